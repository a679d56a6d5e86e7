//! The one machine that a runtime sees, and the recorder between the two.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::choice::Choice;
use crate::config::Config;
use crate::cx::Seeds;
use crate::id::{InfoHash, PeerId};
use crate::input::Input;
use crate::job::{Check, DiskError, JobDone, Purpose};
use crate::key::{PeerKey, TorrentKey};
use crate::limit::Limits;
use crate::machine::Machine;
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
use crate::output::{Event, Output, Progress};
use crate::peer::{Peer, Unsent};
use crate::peer_info::PeerInfo;
use crate::record::{Recorder, Tag};
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::wire::Socks5;

/// A BitTorrent client without I/O.
///
/// Inputs may come in any order, and many before the outputs are drained. The work for one input
/// is bounded.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    recorder: Option<Recorder>,
}

/// A torrent to be added.
#[derive(Debug)]
pub struct AddTorrent {
    /// What it is.
    pub metainfo: Metainfo,
    /// The folder that holds, or is to hold, the torrent's top name.
    pub root: PathBuf,
    /// Whether to get the data or only to serve what is there.
    pub purpose: Purpose,
    /// What to believe of data that is there.
    pub check: Check,
    /// What of it to get, and in which order; means nothing where it is only to be served.
    pub choice: Choice,
    /// Announce URLs, by tier: usually the torrent's own and the user's further ones.
    pub tiers: Vec<Vec<String>>,
    /// URLs of web seeds (BEP 19), usually the torrent's own.
    pub web_seeds: Vec<String>,
    /// Addresses of peers to try.
    pub peers: Vec<SocketAddr>,
    /// Peers to try whose address must be looked up, with their ports.
    pub hosts: Vec<(String, u16)>,
}

impl AddTorrent {
    /// All of a torrent, with the usual check, from nobody yet.
    #[must_use]
    pub fn new(metainfo: Metainfo, root: PathBuf, purpose: Purpose) -> Self {
        Self {
            metainfo,
            root,
            purpose,
            check: Check::default(),
            choice: Choice::default(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// A torrent to be added of which a magnet link is all that is known (BEP 9).
#[derive(Debug)]
pub struct AddMagnet {
    /// The link: the swarm's name, and what goes with the metadata when it has come.
    pub magnet: Magnet,
    /// The folder that is to hold the torrent's top name.
    pub root: PathBuf,
    /// What to believe of data that is there.
    pub check: Check,
    /// What of it is wanted, and in which order. Where it says nothing of files, the link's own `so`
    /// counts (BEP 53).
    pub choice: Choice,
    /// Announce URLs, by tier: usually the link's own and the user's further ones.
    pub tiers: Vec<Vec<String>>,
    /// URLs of web seeds, usually the link's own.
    pub web_seeds: Vec<String>,
    /// Addresses of peers to try.
    pub peers: Vec<SocketAddr>,
    /// Peers to try whose address must be looked up, with their ports.
    pub hosts: Vec<(String, u16)>,
    /// Whether the metadata is all that is wanted: nothing is written, and no data is got.
    pub metadata_only: bool,
}

impl AddMagnet {
    /// All of the link's torrent, with the usual check, from nobody yet.
    #[must_use]
    pub fn new(magnet: Magnet, root: PathBuf) -> Self {
        Self {
            magnet,
            root,
            check: Check::default(),
            choice: Choice::default(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
            metadata_only: false,
        }
    }
}

/// Why a torrent was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddTorrentError {
    /// It is there already, under this key.
    Duplicate(TorrentKey),
    /// The session is shutting down.
    ShuttingDown,
}

impl fmt::Display for AddTorrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate(_) => "the same torrent is there already",
            Self::ShuttingDown => "the session is shutting down",
        })
    }
}

impl std::error::Error for AddTorrentError {}

impl Session {
    /// A session whose behaviour is decided by `config`, `seed` and what it will be told.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self::with_seeds(config, seed.into(), now)
    }

    pub(crate) fn with_seeds(config: Config, seeds: Seeds, now: Instant) -> Self {
        let recorder = config.record.then(|| Recorder::new(&config, seeds, now));
        Self { machine: Machine::new(config, seeds, now), recorder }
    }

    /// Our peer id in every torrent.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.machine.peer_id()
    }

    /// Adds a torrent and starts it with a look at what is on disk.
    ///
    /// # Errors
    /// When it is there already or the session is shutting down.
    pub fn add_torrent(&mut self, now: Instant, add: AddTorrent) -> Result<TorrentKey, AddTorrentError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddTorrent, &add);
        }
        self.machine.add_torrent(now, add)
    }

    /// Adds a torrent whose metadata is got from peers, unless an earlier run has saved it. From
    /// [`Event::MetadataDone`] on it is a torrent like any other: who calls [`Session::set_choice`]
    /// when he hears of that does so before anything is made on the disk.
    ///
    /// # Errors
    /// When it is there already or the session is shutting down.
    pub fn add_magnet(&mut self, now: Instant, add: AddMagnet) -> Result<TorrentKey, AddTorrentError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddMagnet, &add);
        }
        self.machine.add_magnet(now, add)
    }

    /// What a torrent is; `None` for a key that is gone, and as long as the metadata is not there.
    #[must_use]
    pub fn metainfo(&self, torrent: TorrentKey) -> Option<&Metainfo> {
        let storage = self.machine.torrent(torrent).map(|torrent| &torrent.storage);
        storage.map(|storage| &storage.metainfo).filter(|metainfo| !metainfo.raw().is_empty())
    }

    /// Closes a torrent's connections, tells its trackers, saves its state and forgets it.
    pub fn remove_torrent(&mut self, now: Instant, torrent: TorrentKey) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::RemoveTorrent, &torrent);
        }
        self.machine.remove_torrent(now, torrent);
    }

    /// Changes what of a torrent is wanted, how much, and in which order. A torrent that is complete
    /// by the old choice goes on downloading where the new one wants more.
    pub fn set_choice(&mut self, now: Instant, torrent: TorrentKey, choice: Choice) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::SetChoice, &(torrent, &choice));
        }
        self.machine.set_choice(now, torrent, choice);
    }

    /// Limits payload per second from now on: of one torrent, or of all together. Both hold at once.
    pub fn set_limits(&mut self, now: Instant, torrent: Option<TorrentKey>, limits: Limits) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::SetLimits, &(torrent, limits));
        }
        self.machine.set_limits(now, torrent, limits);
    }

    /// Gives a torrent a further address to try.
    pub fn add_peer(&mut self, now: Instant, torrent: TorrentKey, addr: SocketAddr) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddPeer, &(torrent, addr));
        }
        self.machine.add_peer(now, torrent, addr);
    }

    /// Asks the tracker whose announce URL is `url` how many peers these swarms have (BEP 48), at most
    /// 70 of them. [`Event::Scraped`] tells.
    pub fn scrape(&mut self, now: Instant, url: String, hashes: Vec<InfoHash>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::Scrape, &(&url, &hashes));
        }
        self.machine.scrape(now, url, hashes);
    }

    /// Ends everything in order: trackers are told, state is saved. See [`Session::is_shut_down`].
    pub fn shut_down(&mut self, now: Instant) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::ShutDown, &());
        }
        self.machine.shut_down(now);
    }

    /// Whether a shutdown has ended: nothing is left to wait for once the outputs are drained.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.machine.is_shut_down() && self.recorder.as_ref().is_none_or(Recorder::is_done)
    }

    /// Whether to take a connection from `addr`; `None`: refuse it.
    pub fn accept(&mut self, now: Instant, addr: SocketAddr) -> Option<PeerKey> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::Accept, &addr);
        }
        self.machine.accept(now, addr)
    }

    /// Tells what happened outside. Inputs for keys that are gone are ignored.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if let Input::Done(JobDone::Recorded { result }) = input {
            return self.on_recorded(result);
        }
        let of_peer = match &input {
            Input::Connected { peer } | Input::Received { peer, .. } | Input::Closed { peer, .. } => {
                Some(*peer)
            }
            Input::Datagram { .. } | Input::Done(_) => None,
        };
        if of_peer.is_some_and(|peer| self.machine.peer(peer).is_none()) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input, |peer| self.machine.negotiation(peer));
        }
        self.machine.handle_input(now, input);
    }

    /// Lets time pass. Too early or too often is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = self.machine.poll_timeout().is_some_and(|at| at <= now);
        if let Some(recorder) = &mut self.recorder {
            recorder.tick(now);
            if is_due {
                recorder.call(now, Tag::Timeout, &());
            }
        }
        if is_due {
            self.machine.handle_timeout(now);
        }
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        let Some(recorder) = &mut self.recorder else { return output };
        match output {
            Some(output) => {
                recorder.output(&output);
                Some(output)
            }
            None => {
                recorder.drained();
                recorder.take_part(self.machine.is_shut_down()).map(Output::Job)
            }
        }
    }

    /// When to call [`Session::handle_timeout`] next, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flush_at = self.recorder.as_ref().and_then(Recorder::flush_at);
        self.machine.poll_timeout().into_iter().chain(flush_at).min()
    }

    /// Whether to read from this peer now. False while it does not read what we send it, and while
    /// it owes blocks and too many wait to get to disk.
    #[must_use]
    pub fn wants_read(&self, peer: PeerKey) -> bool {
        self.machine.wants_read(peer)
    }

    /// How many bytes to read from this peer at once at most, so that a limit is not passed by a large
    /// read. It need not be kept to: what is read is always taken, and counts.
    #[must_use]
    pub fn read_len_max(&self, peer: PeerKey) -> usize {
        self.machine.read_len_max(peer)
    }

    /// The bytes to send to this peer, in order; nothing for a key that is gone.
    #[must_use]
    pub fn unsent(&self, peer: PeerKey) -> Unsent<'_> {
        self.machine.peer(peer).map_or_else(Unsent::default, |peer| peer.queue.unsent())
    }

    /// Tells that the first `len` bytes of [`Session::unsent`] have been handed to the system.
    pub fn sent(&mut self, now: Instant, peer: PeerKey, len: usize) {
        // A runtime may tell this of a peer that it has lost meanwhile.
        let Some(receiver) = self.machine.peer(peer) else { return };
        let len = len.min(receiver.queue.len());
        if let Some(recorder) = &mut self.recorder {
            recorder.sent(now, peer, receiver, len);
        }
        self.machine.sent(now, peer, len);
    }

    /// A torrent's figures; `None` for a key that is gone.
    #[must_use]
    pub fn progress(&self, now: Instant, torrent: TorrentKey) -> Option<Progress> {
        self.machine.progress(now, torrent)
    }

    /// The torrent's peers, one by one, in the order in which they have come; none for a key that is gone.
    ///
    /// The work is done as they are asked for, so a look at the first few is cheap.
    ///
    /// ```
    /// use peerless_core::magnet::Magnet;
    /// use peerless_core::wire::{Handshake, RESERVED};
    /// use peerless_core::{AddMagnet, Config, Input, Instant, PeerId, PeerWait, Session};
    ///
    /// let now = Instant::START;
    /// let mut session = Session::new(Config::default(), 1, now);
    /// let magnet: Magnet = "magnet:?xt=urn:btih:1234567890123456789012345678901234567890".parse()?;
    /// let info_hash = magnet.info_hash;
    /// let torrent = session.add_magnet(now, AddMagnet::new(magnet, "downloads".into()))?;
    ///
    /// // A peer calls and shakes hands.
    /// let caller = session.accept(now, "192.0.2.1:6881".parse()?).ok_or("no room")?;
    /// let peer_id = PeerId::new(*b"-TR3000-abcdefghijkl");
    /// let handshake = Handshake { reserved: RESERVED, info_hash, peer_id };
    /// session.handle_input(now, Input::Received { peer: caller, bytes: &handshake.encode() });
    ///
    /// let peers: Vec<_> = session.peers(now, torrent).collect();
    /// assert_eq!((peers[0].peer, peers[0].flags().as_str()), (caller, "I"));
    /// assert_eq!(peers[0].peer_id.client().as_deref(), Some("Transmission 3.0"));
    /// assert_eq!(peers[0].waits_for, PeerWait::Metadata);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peers(&self, now: Instant, torrent: TorrentKey) -> impl Iterator<Item = PeerInfo> {
        self.machine.peer_infos(now, torrent)
    }

    /// The torrent's info-hash; `None` for a key that is gone.
    #[must_use]
    pub fn info_hash(&self, torrent: TorrentKey) -> Option<InfoHash> {
        self.machine.torrent(torrent).map(Torrent::info_hash)
    }

    pub(crate) fn negotiation(&self, peer: PeerKey) -> Option<Socks5> {
        self.machine.negotiation(peer)
    }

    pub(crate) fn peer(&self, peer: PeerKey) -> Option<&Peer> {
        self.machine.peer(peer)
    }

    /// A part of the recording is written, or recording ends here.
    fn on_recorded(&mut self, result: Result<(), DiskError>) {
        let Some(recorder) = &mut self.recorder else { return };
        match result {
            Ok(()) => {
                if let Some(len) = recorder.on_written() {
                    self.recorder = None;
                    self.machine.tell(Event::RecordFull { len });
                }
            }
            Err(error) => {
                self.recorder = None;
                self.machine.tell(Event::RecordFailed { error });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitfield::Bitfield;
    use crate::input::CloseCause;
    use crate::job::{Job, Opened};
    use crate::metainfo::{Content, Create};
    use crate::route::{Bind, Login, Proxy, Route, Secret};
    use crate::wire::{Handshake, Message};
    use std::sync::Arc;
    use std::time::Duration;

    /// A session with a torrent of three pieces, of which `has` are there already.
    fn session(has: &[u32], purpose: Purpose) -> (Session, TorrentKey) {
        session_with(Config::default(), has, purpose)
    }

    fn session_with(config: Config, has: &[u32], purpose: Purpose) -> (Session, TorrentKey) {
        let create = Create {
            name: "name".to_owned(),
            content: Content::File(3 * 16_384),
            piece_len: 16_384,
            private: false,
            source: None,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        };
        let metainfo = Metainfo::parse(create.encode(&[[0; 20]; 3])).unwrap();
        let mut have = Bitfield::empty(3);
        for index in has {
            have.insert(metainfo.geometry().piece(*index).unwrap());
        }
        session_of(config, metainfo, have, purpose)
    }

    fn session_of(
        config: Config,
        metainfo: Metainfo,
        have: Bitfield,
        purpose: Purpose,
    ) -> (Session, TorrentKey) {
        let unsure = Bitfield::empty(have.piece_count());
        let mut session = Session::new(config, 1, Instant::START);
        let add = AddTorrent {
            metainfo,
            root: PathBuf::new(),
            purpose,
            check: Check::Auto,
            choice: Choice::default(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        };
        let torrent = session.add_torrent(Instant::START, add).unwrap();
        let opened = Opened { have, unsure, ours: true };
        session.handle_input(Instant::START, Input::Done(JobDone::Opened { torrent, result: Ok(opened) }));
        (session, torrent)
    }

    fn received(session: &mut Session, peer: PeerKey, bytes: &[u8]) {
        session.handle_input(Instant::START, Input::Received { peer, bytes });
    }

    #[test]
    fn who_owes_blocks_is_not_read_while_the_disk_is_behind() {
        let config = Config { buffer_len_max: 64 * 1024, ..Config::default() };
        let (mut session, torrent) = session_with(config, &[], Purpose::Download);
        let (owes, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let peers = [owes, other].map(|ip| session.accept(Instant::START, (ip, 1).into()).unwrap());
        let info_hash = session.info_hash(torrent).unwrap();
        for (peer, id) in peers.into_iter().zip(1..) {
            let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([id; 20]) };
            received(&mut session, peer, &handshake.encode());
        }
        // A bitfield of all three pieces and an unchoke, upon which all are asked for.
        received(&mut session, peers[0], &[0, 0, 0, 2, 5, 0b1110_0000, 0, 0, 0, 1, 1]);
        let block = |index| [&[0, 0, 0x40, 9, 7, 0, 0, 0, index, 0, 0, 0, 0], &[0; 16_384][..]].concat();
        received(&mut session, peers[0], &block(0));
        assert!(session.wants_read(peers[0]), "one piece may be on its way, however long");
        received(&mut session, peers[0], &block(1));
        assert_eq!(peers.map(|peer| session.wants_read(peer)), [false, true]);
        let mut jobs = Vec::new();
        while let Some(output) = session.poll_output() {
            assert!(!matches!(output, Output::Resume { .. }));
            if let Output::Job(Job::Store { pieces, .. }) = output {
                let pieces = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new()))).collect();
                jobs.push(JobDone::Stored { torrent, pieces });
            }
        }
        session.handle_input(Instant::START, Input::Done(jobs.pop().unwrap()));
        assert!(session.wants_read(peers[0]));
        let mut outputs = std::iter::from_fn(|| session.poll_output());
        assert!(outputs.any(|output| matches!(output, Output::Resume { peer } if peer == peers[0])));
    }

    fn saves(session: &mut Session) -> Vec<bool> {
        let mut saves = Vec::new();
        while let Some(output) = session.poll_output() {
            if let Output::Job(Job::Save { close, .. }) = output {
                saves.push(close);
            }
        }
        saves
    }

    #[test]
    fn files_that_are_there_or_empty_are_told_when_the_rest_is_fetched() {
        let create = Create {
            name: "name".to_owned(),
            content: Content::Folder(
                [("a", 16_384), ("b", 0), ("c", 16_384)]
                    .map(|(name, len)| (vec![name.to_owned()], len))
                    .to_vec(),
            ),
            piece_len: 16_384,
            private: false,
            source: None,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        };
        let metainfo = Metainfo::parse(create.encode(&[[0; 20]; 2])).unwrap();
        let mut have = Bitfield::empty(2);
        have.insert(metainfo.geometry().piece(0).unwrap());
        let (mut session, _) = session_of(Config::default(), metainfo, have, Purpose::Download);
        let mut files = Vec::new();
        while let Some(output) = session.poll_output() {
            if let Output::Event(Event::FileDone { file, .. }) = output {
                files.push(file);
            }
        }
        assert_eq!(files, [0, 1]);
    }

    #[test]
    fn a_shutdown_ends_as_soon_as_the_state_is_saved() {
        for purpose in [Purpose::Download, Purpose::Serve] {
            let (mut session, torrent) = session(&[0, 2], purpose);
            assert!(saves(&mut session).is_empty());
            session.shut_down(Instant::START);
            assert!(saves(&mut session) == [true] && !session.is_shut_down());
            session.handle_input(Instant::START, Input::Done(JobDone::Saved { torrent, result: Ok(()) }));
            assert!(session.is_shut_down() && session.poll_timeout().is_none());
        }
    }

    /// The recording of a session that is shutting down, to its end.
    fn recorded(session: &mut Session, now: Instant) -> Vec<u8> {
        let mut recording = Vec::new();
        while !session.is_shut_down() {
            match session.poll_output() {
                Some(Output::Job(Job::Record { bytes, .. })) => {
                    recording.extend(bytes);
                    session.handle_input(now, Input::Done(JobDone::Recorded { result: Ok(()) }));
                }
                Some(Output::Job(Job::Save { torrent, .. })) => {
                    session.handle_input(now, Input::Done(JobDone::Saved { torrent, result: Ok(()) }));
                }
                Some(_) => {}
                None => session.handle_timeout(now),
            }
        }
        recording
    }

    #[test]
    fn a_recording_has_no_password_and_is_done_again_without_it() {
        let secret = |text: &str| Secret::of_url(text).unwrap();
        let login = Some(Login { user: secret("somebody"), password: secret("hunter2") });
        let proxy = Some(Arc::new(Proxy { addr: ([192, 0, 2, 9], 1080).into(), login }));
        let route = Route { bind: Bind::to([192, 0, 2, 5].into()), proxy };
        let config = Config { record: true, route, ..Config::default() };
        let (mut session, torrent) = session_with(config, &[0], Purpose::Download);
        let info_hash = session.info_hash(torrent).unwrap();
        session.add_peer(Instant::START, torrent, ([192, 0, 2, 1], 6881).into());
        let mut outputs = std::iter::from_fn(|| session.poll_output());
        let dialled = outputs.find_map(|output| {
            let Output::Connect { peer, hop } = output else { return None };
            Some((peer, hop))
        });
        let (peer, hop) = dialled.unwrap();
        assert_eq!((hop.bind().ip(), hop.to()), (Some([192, 0, 2, 5].into()), ([192, 0, 2, 9], 1080).into()));
        session.handle_input(Instant::START, Input::Connected { peer });
        let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([1; 20]) }.encode();
        let mut stream = handshake.to_vec();
        for message in [Message::Unchoke, Message::Piece { index: 1, begin: 0, data: &[7; 16_384] }] {
            message.encode(&mut stream);
        }
        // A name as the proxy's own address, and all that follows in one read.
        let answer = [&[5, 0, 0, 3, 2, b'h', b'i', 0, 1][..], &stream].concat();
        for bytes in [&[5, 2][..], &[1, 0], &answer] {
            session.sent(Instant::START, peer, usize::MAX);
            received(&mut session, peer, bytes);
        }
        session.sent(Instant::START, peer, usize::MAX);
        session.shut_down(Instant::START);
        let recording = recorded(&mut session, Instant::START);
        let holds = |text: &str| recording.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds("hunter2") && !holds("somebody"));
        assert!(recording.len() < 2000, "payload is left out behind the proxy's words: {}", recording.len());
        let replayed = crate::record::replay(&recording).unwrap();
        assert!(replayed.cut_len == 0 && replayed.output_count > 5, "{replayed:?}");
    }

    #[test]
    fn a_recording_is_done_again_whatever_else_the_session_was_asked() {
        let at = |millis| Instant::from_start(Duration::from_millis(millis));
        let progress_interval = Some(Duration::from_millis(400));
        let config = Config { record: true, progress_interval, ..Config::default() };
        let (mut session, torrent) = session_with(config, &[0], Purpose::Download);
        let info_hash = session.info_hash(torrent).unwrap();
        let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([1; 20]) }.encode();
        let addr = SocketAddr::from(([192, 0, 2, 1], 1));
        let peer = session.accept(at(100), addr).unwrap();
        session.handle_input(at(450), Input::Received { peer, bytes: &handshake });
        // The figures are asked for at a later time than that of the next input, and so is a peer.
        assert!(session.progress(at(1400), torrent).is_some());
        session.add_peer(at(510), torrent, addr);
        session.accept(at(490), addr).unwrap();
        let mut bytes = Vec::new();
        for message in [Message::Unchoke, Message::Piece { index: 1, begin: 0, data: &[0; 16_384] }] {
            message.encode(&mut bytes);
        }
        session.handle_input(at(495), Input::Received { peer, bytes: &bytes });
        session.sent(at(700), peer, usize::MAX);
        session.handle_input(at(500), Input::Closed { peer, cause: CloseCause::End });
        // These come too late.
        session.sent(at(900), peer, 10);
        session.handle_input(at(901), Input::Received { peer, bytes: &[1; 100] });
        // Within this time the second connection is given up.
        (8..106).for_each(|step| session.handle_timeout(at(step * 100)));
        session.shut_down(at(11_000));
        let recording = recorded(&mut session, at(11_000));
        let replayed = crate::record::replay(&recording).unwrap();
        assert!(replayed.cut_len == 0 && replayed.output_count > 10, "{replayed:?}");
    }
}
