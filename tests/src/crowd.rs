//! One session with very many torrents and peers that do next to nothing: what each of them costs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::{Content, Create, Metainfo};
use peerless_core::wire::{Decoder, Handshake, Message, Step};
use peerless_core::{
    AddTorrent, Check, Choice, Config, FetchError, Input, Instant, IpFamily, Job, JobDone, Opened, Output,
    PeerId, PeerKey, Purpose, Session, StoreTime, TorrentKey,
};

/// A session without a runtime: what it asks for is answered at once, or counted and dropped.
#[derive(Debug)]
pub struct Crowd {
    /// It.
    pub session: Session,
    /// The time.
    pub now: Instant,
    /// Jobs that nobody has done: all but opening, saving and announcing.
    pub jobs: Vec<Job>,
    /// Events told so far.
    pub event_count: usize,
    /// Bytes sent to peers so far.
    pub sent_len: usize,
    peer_count: u32,
    /// The peer that listens, and what it was told and has not understood yet.
    listener: Option<(PeerKey, Vec<u8>, Decoder)>,
}

impl Crowd {
    /// A session with this configuration and nobody in it.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            session: Session::new(config, 1, Instant::START),
            now: Instant::START,
            jobs: Vec::new(),
            event_count: 0,
            sent_len: 0,
            peer_count: 0,
            listener: None,
        }
    }

    /// From now on what this peer is told is kept for [`Crowd::requests`].
    pub fn listen(&mut self, peer: PeerKey, piece_count: u32) {
        self.listener = Some((peer, Vec::new(), Decoder::new(piece_count)));
    }

    /// The blocks that the listener was asked for since this was last called: piece and `begin`.
    ///
    /// # Panics
    /// If it was told what is no message.
    pub fn requests(&mut self) -> Vec<(u32, u32)> {
        let mut requests = Vec::new();
        let Some((_, bytes, decoder)) = &mut self.listener else { return requests };
        let told = std::mem::take(bytes);
        let mut rest = &told[..];
        while let Step::Message { message, used } = decoder.step(rest).expect("we keep to the protocol") {
            if let Message::Request { index, begin, .. } = message {
                requests.push((index, begin));
            }
            rest = &rest[used..];
        }
        requests
    }

    /// Stores every piece that waits for it, as if the disk took no time.
    pub fn store_all(&mut self) {
        for job in std::mem::take(&mut self.jobs) {
            if let Job::Store { torrent, pieces, .. } = job {
                let pieces = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new()))).collect();
                self.done(JobDone::Stored { torrent, pieces, time: StoreTime::default() });
            }
        }
    }

    /// Adds a torrent of which `have` is there.
    ///
    /// # Panics
    /// If it is there already.
    pub fn add(&mut self, metainfo: Metainfo, have: Bitfield, purpose: Purpose) -> TorrentKey {
        let unsure = Bitfield::empty(have.piece_count());
        let add = AddTorrent {
            tiers: metainfo.tiers().to_vec(),
            metainfo,
            root: PathBuf::from("/data"),
            purpose,
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        };
        let torrent = self.session.add_torrent(self.now, add).expect("no torrent is added twice");
        let result = Ok(Opened { have, unsure, ours: true });
        self.done(JobDone::Opened { torrent, result });
        torrent
    }

    /// A further peer calls and shakes hands.
    ///
    /// # Panics
    /// If the session takes no more.
    pub fn join(&mut self, torrent: TorrentKey) -> PeerKey {
        self.join_with(torrent, [0; 8])
    }

    /// The same, with these reserved bits in its handshake.
    ///
    /// # Panics
    /// If the session takes no more.
    pub fn join_with(&mut self, torrent: TorrentKey, reserved: [u8; 8]) -> PeerKey {
        self.peer_count += 1;
        let addr = SocketAddr::from((Ipv4Addr::from(0x0B00_0000 + self.peer_count), 6881));
        let mut id = [0; 20];
        id[..4].copy_from_slice(&self.peer_count.to_be_bytes());
        let info_hash = self.session.info_hash(torrent).expect("the torrent is there");
        let peer = self.session.accept(self.now, addr).expect("there is room");
        let handshake = Handshake { reserved, info_hash, peer_id: PeerId::new(id) };
        self.hear(peer, &handshake.encode());
        peer
    }

    /// The peer says something.
    pub fn say(&mut self, peer: PeerKey, message: Message<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.hear(peer, &bytes);
    }

    /// Bytes come from the peer.
    pub fn hear(&mut self, peer: PeerKey, bytes: &[u8]) {
        self.session.handle_input(self.now, Input::Received { peer, bytes });
        self.settle();
    }

    /// A job is done.
    pub fn done(&mut self, done: JobDone) {
        self.session.handle_input(self.now, Input::Done(done));
        self.settle();
    }

    /// Lets time pass; how often the session had to be woken.
    pub fn pass(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        let mut woken = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.settle();
            woken += 1;
        }
        self.now = end;
        woken
    }

    /// Does what the session asks for.
    pub fn settle(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send { peer } => {
                    let len = self.session.unsent(peer).map(<[u8]>::len).sum();
                    if let Some((listener, bytes, _)) = &mut self.listener
                        && *listener == peer
                    {
                        self.session.unsent(peer).for_each(|run| bytes.extend_from_slice(run));
                    }
                    self.sent_len += len;
                    self.session.sent(self.now, peer, len);
                }
                Output::Event(_) => self.event_count += 1,
                Output::Job(job) => self.on_job(job),
                Output::Connect { .. }
                | Output::Resume { .. }
                | Output::Close { .. }
                | Output::Datagram { .. } => {}
            }
        }
    }

    fn on_job(&mut self, job: Job) {
        let done = match job {
            // Answered by [`Crowd::add`], who knows what is there.
            Job::Open { .. } => return,
            Job::Save { torrent, .. } => JobDone::Saved { torrent, result: Ok(()) },
            Job::Announce { torrent, tier, family, .. } => {
                let result = match family {
                    IpFamily::V4 => Ok(b"d8:intervali1800e5:peers0:e".to_vec()),
                    IpFamily::V6 => Err(FetchError::NoAddress),
                };
                JobDone::Announced { torrent, tier, family, result }
            }
            Job::Choose { .. }
            | Job::Fetch { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Read { .. }
            | Job::Scrape { .. }
            | Job::Metadata { .. }
            | Job::Resolve { .. }
            | Job::CheckBind { .. }
            | Job::Record { .. } => {
                return self.jobs.push(job);
            }
        };
        self.session.handle_input(self.now, Input::Done(done));
    }
}

/// A torrent of one file, told from others by its number; its digests are those of nothing.
///
/// # Panics
/// If there can be no such torrent.
#[must_use]
pub fn torrent(number: u32, piece_count: u32, piece_len: u32) -> Metainfo {
    let len = u64::from(piece_count) * u64::from(piece_len);
    parse(&format!("torrent {number}"), Content::File(len), piece_count, piece_len)
}

/// A torrent of very many files, a hundred in a folder, and four in a piece.
///
/// # Panics
/// If there can be no such torrent.
#[must_use]
pub fn torrent_of_files(file_count: u32) -> Metainfo {
    let path = |index: u32| {
        vec![
            format!("a folder of many, number {:05}", index / 100),
            format!("a file, number {index:06}.data"),
        ]
    };
    let files = (0..file_count).map(|index| (path(index), 4096)).collect();
    parse("very many files", Content::Folder(files), file_count.div_ceil(4), 16_384)
}

fn parse(name: &str, content: Content, piece_count: u32, piece_len: u32) -> Metainfo {
    let create = Create {
        tiers: vec![vec!["http://192.0.2.1:6969/announce".to_owned()]],
        ..Create::new(name.to_owned(), content, piece_len)
    };
    Metainfo::parse(create.encode(&vec![[0; 20]; piece_count as usize])).expect("a torrent that is in order")
}
