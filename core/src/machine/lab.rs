//! For tests: a session with one torrent, and peers that say what the test has them say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Machine;
use crate::bitfield::Bitfield;
use crate::block::Block;
use crate::choice::Choice;
use crate::config::Config;
use crate::extension::{Hello, Kind, PexMessage};
use crate::id::PeerId;
use crate::input::Input;
use crate::job::{
    BuiltMetadata, Check, Job, JobDone, MetadataError, MetadataWork, Opened, Purpose, StoreTime, block_digest,
};
use crate::key::{PeerKey, TorrentKey};
use crate::magnet::Magnet;
use crate::metainfo::{Content, Create, Metainfo};
use crate::output::{CloseReason, Event, Output};
use crate::session::{AddMagnet, AddTorrent};
use crate::time::Instant;
use crate::wire::{Decoder, Handshake, HandshakeDecoder, HandshakeStep, Message, RESERVED, Step};

pub(crate) const PIECE_LEN: u32 = 32 * 1024;

/// A session under test, and what it asked for that the test has not taken.
pub(crate) struct Lab {
    pub(crate) machine: Machine,
    pub(crate) now: Instant,
    pub(crate) torrent: TorrentKey,
    pub(crate) metainfo: Metainfo,
    pub(crate) jobs: Vec<Job>,
    pub(crate) closed: Vec<(PeerKey, CloseReason)>,
    pub(crate) dialled: Vec<(PeerKey, SocketAddr)>,
    pub(crate) events: Vec<Event>,
    /// Peers that may be read from again.
    pub(crate) resumed: Vec<PeerKey>,
    /// What comes from the session, past the handshake if there is a decoder.
    ears: BTreeMap<PeerKey, Option<Decoder>>,
}

impl Lab {
    /// A torrent of `has.len()` pieces, of which those with an `x` are there.
    pub(crate) fn new(config: Config, has: &str) -> Self {
        Self::with_content(config, has, file(has))
    }

    /// The same before it is known what is there: [`Lab::open`] tells.
    pub(crate) fn unopened(has: &str) -> Self {
        Self::unopened_of(Config::default(), metainfo("name", has, file(has), false))
    }

    fn unopened_of(config: Config, metainfo: Metainfo) -> Self {
        let mut machine = Machine::new(config, 1, Instant::START);
        let torrent = add(&mut machine, Instant::START, &metainfo);
        let mut lab = Self::with(machine, torrent, metainfo);
        lab.drain();
        lab
    }

    /// The same in as many files as pieces.
    pub(crate) fn with_files(config: Config, has: &str) -> Self {
        Self::with_content(config, has, files(has))
    }

    /// The same as [`Lab::new`], of a private torrent.
    pub(crate) fn private(has: &str) -> Self {
        Self::of(Config::default(), has, metainfo("name", has, file(has), true))
    }

    fn with_content(config: Config, has: &str, content: Content) -> Self {
        Self::of(config, has, metainfo("name", has, content, false))
    }

    fn of(config: Config, has: &str, metainfo: Metainfo) -> Self {
        let mut lab = Self::unopened_of(config, metainfo);
        lab.open(has);
        lab
    }

    /// Such a torrent, of which the session knows the magnet link alone.
    pub(crate) fn of_magnet(config: Config, has: &str) -> Self {
        Self::of_magnet_with(config, metainfo("name", has, file(has), false), Vec::new(), Vec::new())
    }

    /// A torrent of as many files as pieces, of which the session knows the magnet link alone; that
    /// names these files.
    pub(crate) fn of_magnet_with_files(has: &str, select: Vec<(u32, u32)>) -> Self {
        Self::of_magnet_with(Config::default(), metainfo("name", has, files(has), false), select, Vec::new())
    }

    /// Such a magnet link of a private torrent, and a further tracker.
    pub(crate) fn of_private_magnet(has: &str, tracker: &str) -> Self {
        let metainfo = metainfo("name", has, file(has), true);
        let tiers = metainfo.tiers().iter().cloned().chain([vec![tracker.to_owned()]]).collect();
        Self::of_magnet_with(Config::default(), metainfo, Vec::new(), tiers)
    }

    fn of_magnet_with(
        config: Config,
        metainfo: Metainfo,
        select: Vec<(u32, u32)>,
        tiers: Vec<Vec<String>>,
    ) -> Self {
        let mut machine = Machine::new(config, 1, Instant::START);
        let add = AddMagnet {
            magnet: Magnet { select, ..Magnet::of(&metainfo) },
            root: PathBuf::new(),
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers,
            peers: Vec::new(),
            hosts: Vec::new(),
            metadata_only: false,
        };
        let torrent = machine.add_magnet(Instant::START, add).unwrap();
        let mut lab = Self::with(machine, torrent, metainfo);
        lab.drain();
        lab.finish(|job| matches!(job, Job::Metadata { .. }));
        lab
    }

    const fn with(machine: Machine, torrent: TorrentKey, metainfo: Metainfo) -> Self {
        Self {
            machine,
            now: Instant::START,
            torrent,
            metainfo,
            jobs: Vec::new(),
            closed: Vec::new(),
            dialled: Vec::new(),
            events: Vec::new(),
            resumed: Vec::new(),
            ears: BTreeMap::new(),
        }
    }

    /// One more such torrent; what follows is about this one.
    pub(crate) fn add(&mut self, name: &str, has: &str) {
        self.add_served(name, has, Vec::new());
        self.open(has);
    }

    /// The same without its folder opened, and with web seeds.
    pub(crate) fn add_served(&mut self, name: &str, has: &str, web_seeds: Vec<String>) {
        self.metainfo = metainfo(name, has, file(has), false);
        let add = AddTorrent { web_seeds, ..to_add(&self.metainfo) };
        self.torrent = self.machine.add_torrent(self.now, add).unwrap();
        self.drain();
    }

    /// The folder has been opened, and those pieces with an `x` are there.
    pub(crate) fn open(&mut self, has: &str) {
        let (torrent, have) = (self.torrent, self.pieces(has));
        let unsure = Bitfield::empty(have.piece_count());
        self.done(JobDone::Opened { torrent, result: Ok(Opened { have, unsure, ours: true }) });
        self.pass(Duration::ZERO);
        self.jobs.clear();
    }

    /// The set drawn as `x.x`.
    pub(crate) fn pieces(&self, picture: &str) -> Bitfield {
        let geometry = self.metainfo.geometry();
        let mut set = Bitfield::empty(geometry.piece_count());
        for (piece, _) in geometry.pieces().zip(picture.chars()).filter(|(_, sign)| *sign == 'x') {
            set.insert(piece);
        }
        set
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.machine.handle_input(self.now, input);
        self.drain();
    }

    pub(crate) fn done(&mut self, done: JobDone) {
        self.input(Input::Done(done));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a test that needs another answer gives it itself")]
    /// Answers the oldest job of those that `is` picks, as a disk without faults would.
    pub(crate) fn finish(&mut self, is: impl Fn(&Job) -> bool) {
        let at = self.jobs.iter().position(is).expect("such a job");
        let done = match self.jobs.remove(at) {
            Job::Store { torrent, pieces, .. } => {
                let stored = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new())));
                JobDone::Stored { torrent, pieces: stored.collect(), time: StoreTime::default() }
            }
            Job::Read { torrent, peer, range, .. } => {
                let block = Block::new(vec![0; range.len() as usize]);
                JobDone::Read { torrent, peer, range, result: Ok(block) }
            }
            Job::Save { torrent, .. } => JobDone::Saved { torrent, result: Ok(()) },
            Job::Metadata { torrent, work: MetadataWork::Find { .. } } => {
                JobDone::Metadata { torrent, result: Err(MetadataError::NotSaved) }
            }
            Job::Metadata { torrent, work: MetadataWork::Build { magnet, pieces, .. } } => {
                let digest = |piece: &Vec<u8>| block_digest(&Block::new(piece.clone()));
                let digests = pieces.iter().map(digest).collect();
                let built = Metainfo::assemble(&magnet, &pieces);
                let result = built.map(|metainfo| Box::new(BuiltMetadata { metainfo, digests }));
                JobDone::Metadata { torrent, result }
            }
            job => panic!("no answer to {job:?}"),
        };
        self.done(done);
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) const fn addr(number: u8) -> SocketAddr {
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, number)), 6881)
    }

    /// Peer `number` has connected and shaken hands.
    pub(crate) fn peer(&mut self, number: u8) -> PeerKey {
        let peer = self.machine.accept(self.now, Self::addr(number)).expect("room for a peer");
        self.greet(peer, PeerId::new([number; 20]));
        peer
    }

    pub(crate) fn greet(&mut self, peer: PeerKey, peer_id: PeerId) {
        self.greet_with(peer, peer_id, [0; 8]);
    }

    fn greet_with(&mut self, peer: PeerKey, peer_id: PeerId, reserved: [u8; 8]) {
        let handshake = Handshake { reserved, info_hash: self.metainfo.info_hash(), peer_id };
        self.input(Input::Received { peer, bytes: &handshake.encode() });
    }

    /// Peer `number`, which speaks all extensions that we do, has connected and shaken hands.
    pub(crate) fn modern_peer(&mut self, number: u8) -> PeerKey {
        let peer = self.machine.accept(self.now, Self::addr(number)).expect("room for a peer");
        self.greet_with(peer, PeerId::new([number; 20]), RESERVED);
        peer
    }

    /// Peer `number`, which can be called and takes all extensions under our own numbers, has connected.
    pub(crate) fn exchanger(&mut self, number: u8) -> PeerKey {
        self.exchanger_as(Self::addr(number), number)
    }

    /// The same, at any address.
    pub(crate) fn exchanger_as(&mut self, addr: SocketAddr, number: u8) -> PeerKey {
        let from = SocketAddr::new(addr.ip(), 40_000);
        let peer = self.machine.accept(self.now, from).expect("room for a peer");
        self.greet_with(peer, PeerId::new([number; 20]), RESERVED);
        let ids = Kind::ALL.map(|kind| Some(kind.id()));
        let your_ip = Some([192, 0, 2, 250].into());
        self.hello(peer, &Hello { ids, listen_port: Some(addr.port()), your_ip, ..Hello::default() });
        peer
    }

    pub(crate) fn hello(&mut self, peer: PeerKey, hello: &Hello) {
        self.say(peer, Message::Extended { id: 0, payload: &hello.encode() });
    }

    /// The peer tells of these others.
    pub(crate) fn tell(&mut self, peer: PeerKey, message: &PexMessage) {
        self.say(peer, Message::Extended { id: Kind::Pex.id(), payload: &message.encode() });
    }

    /// A peer that has these pieces and lets us request.
    pub(crate) fn giver(&mut self, number: u8, pieces: &str) -> PeerKey {
        let peer = self.peer(number);
        let bits = self.pieces(pieces).to_wire();
        self.say(peer, Message::Bitfield { bits: &bits });
        self.say(peer, Message::Unchoke);
        peer
    }

    pub(crate) fn say(&mut self, peer: PeerKey, message: Message<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.input(Input::Received { peer, bytes: &bytes });
    }

    /// The peer sends this block.
    pub(crate) fn give(&mut self, peer: PeerKey, (index, begin, len): (u32, u32, u32)) {
        self.say(peer, Message::Piece { index, begin, data: &vec![0; len as usize] });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are shown as they are")]
    /// What the session has said to a peer since it was last asked, word by word.
    pub(crate) fn heard(&mut self, peer: PeerKey) -> Vec<String> {
        let bytes = self
            .machine
            .peer(peer)
            .map_or_else(Vec::new, |peer| peer.queue.unsent().flatten().copied().collect());
        self.machine.sent(self.now, peer, bytes.len());
        self.drain();
        let piece_count = self.metainfo.geometry().piece_count();
        let (mut rest, mut words) = (&bytes[..], Vec::new());
        let ear = self.ears.entry(peer).or_default();
        if ear.is_none()
            && let Ok(HandshakeStep::Done { used, .. }) = HandshakeDecoder::default().step(rest)
        {
            *ear = Some(Decoder::new(piece_count));
            rest = &rest[used..];
        }
        while let Some(Ok(Step::Message { message, used })) = ear.as_mut().map(|ear| ear.step(rest)) {
            words.push(match message {
                Message::Request { index, begin, .. } => format!("request {index} {begin}"),
                Message::Cancel { index, begin, .. } => format!("cancel {index} {begin}"),
                Message::Piece { index, begin, .. } => format!("piece {index} {begin}"),
                Message::Reject { index, begin, .. } => format!("reject {index} {begin}"),
                Message::AllowedFast { index } => format!("allowed fast {index}"),
                Message::Bitfield { .. } => "bitfield".to_owned(),
                Message::Extended { id: 0, .. } => "hello".to_owned(),
                Message::Extended { payload, .. } if payload.starts_with(b"d5:added") => pex(payload),
                Message::Extended { id, payload } => {
                    format!("extended {id} {}", String::from_utf8_lossy(payload))
                }
                message => format!("{message:?}").to_lowercase(),
            });
            rest = &rest[used..];
        }
        words
    }

    /// The blocks among what was heard that were asked for.
    pub(crate) fn requests(&mut self, peer: PeerKey) -> Vec<(u32, u32, u32)> {
        let words = self.heard(peer);
        let asked = words.iter().filter_map(|word| word.strip_prefix("request "));
        let numbers = asked.map(|word| word.split_once(' ').unwrap());
        numbers.map(|(index, begin)| (index.parse().unwrap(), begin.parse().unwrap(), 16 * 1024)).collect()
    }

    pub(crate) fn is_there(&self, peer: PeerKey) -> bool {
        self.machine.peer(peer).is_some()
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Connect { peer, hop } => self.dialled.push((peer, hop.to())),
                Output::Send { .. } | Output::Datagram { .. } => {}
                Output::Resume { peer } => self.resumed.push(peer),
                Output::Close { peer, reason } => self.closed.push((peer, reason)),
                Output::Job(job) => self.jobs.push(job),
                Output::Event(event) => self.events.push(event),
            }
        }
    }
}

/// Who is added, with flags, and who is dropped, each by its address without its port.
fn pex(payload: &[u8]) -> String {
    let message = PexMessage::parse(payload).expect("a message of peer exchange");
    let added = message.added.iter().map(|(addr, flags)| format!(" +{}/{:x}", addr.ip(), flags.0));
    let mut told: Vec<String> =
        added.chain(message.dropped.iter().map(|addr| format!(" -{}", addr.ip()))).collect();
    told.sort();
    format!("pex{}", told.concat())
}

fn file(has: &str) -> Content {
    Content::File(u64::from(PIECE_LEN) * has.len() as u64)
}

fn files(has: &str) -> Content {
    let files = (0..has.len()).map(|at| (vec![format!("{at}")], u64::from(PIECE_LEN)));
    Content::Folder(files.collect())
}

fn metainfo(name: &str, has: &str, content: Content, private: bool) -> Metainfo {
    let create = Create {
        private,
        tiers: vec![vec!["http://tracker/announce".to_owned()]],
        ..Create::new(name.to_owned(), content, PIECE_LEN)
    };
    Metainfo::parse(create.encode(&vec![[0; 20]; has.len()])).unwrap()
}

fn add(machine: &mut Machine, now: Instant, metainfo: &Metainfo) -> TorrentKey {
    machine.add_torrent(now, to_add(metainfo)).unwrap()
}

fn to_add(metainfo: &Metainfo) -> AddTorrent {
    let tiers = metainfo.tiers().to_vec();
    AddTorrent { tiers, ..AddTorrent::new(metainfo.clone(), PathBuf::new(), Purpose::Download) }
}
