//! Bytes to operations on a Session, with its promises checked after each.

mod jobs;
mod talk;
mod trackers;
mod way;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use peerless_core::magnet::Magnet;
use peerless_core::priority::Priority;
use peerless_core::{
    AddMagnet, AddTorrent, AddTorrentError, Check, Choice, CloseCause, Config, Input, Instant, Job, Limits,
    Output, PeerKey, Purpose, TorrentKey,
};

use peerless_sim::host::Host;
use peerless_sim::sample::Sample;
use peerless_sim::speak::Ear;

pub use self::way::Allowed;
use self::way::Seen;

/// The torrent of every run: four pieces, the last one short.
static SAMPLE: LazyLock<Sample> = LazyLock::new(|| Sample::with_trackers(7, 110_000, 32 * 1024, TIERS));

/// The same, private.
static PRIVATE: LazyLock<Sample> = LazyLock::new(|| Sample::private(7, 110_000, 32 * 1024, TIERS));

const TIERS: &[&[&str]] = &[&["http://a/announce"], &["http://b/announce", "udp://c:1"], &["udp://d:1/x"]];

/// The block budget of every run, small so that it is reached.
const BUFFER_LEN_MAX: usize = 128 * 1024;

/// The most operations of one run: a longer input only repeats itself.
const OP_COUNT_MAX: usize = 2000;

/// What is cut finely of each stream, and the parts of the rest.
const HEAD_LEN_MAX: usize = 300;
const PAYLOAD_PART_LEN: usize = 997;

/// Timeouts that may be handled at one moment before it counts as a busy loop.
const TIMEOUT_COUNT_MAX: usize = 100;

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    /// The outputs as text, with the time. Without the parts of a recording.
    pub outputs: Vec<String>,
    /// The recording, as far as it was written.
    pub recording: Vec<u8>,
}

/// Does what `bytes` say, every received stream cut into parts of `cut` bytes.
#[must_use]
pub fn run(bytes: &[u8], cut: usize, record: bool) -> Trace {
    run_within(&Allowed::default(), bytes, cut, record)
}

/// The same, by these ways and sources alone.
#[must_use]
pub fn run_within(allowed: &Allowed, bytes: &[u8], cut: usize, record: bool) -> Trace {
    let mut source = Source(bytes);
    let mode = source.byte().unwrap_or_default();
    let mut world = World::new(mode, cut, record, allowed);
    if mode & 1 == 0 {
        // Most runs begin with a torrent that is open, so that what follows can mean something.
        world.add(&mut source);
        world.finish_job(&mut source);
    }
    for _ in 0..OP_COUNT_MAX {
        let Some(op) = source.byte() else { break };
        world.operate(op, &mut source);
        world.check();
    }
    world.drain();
    if record {
        // The last second is written once it is over.
        world.now = world.now + Duration::from_secs(1);
        world.host.session.handle_timeout(world.now);
        world.drain();
    }
    Trace { outputs: world.trace, recording: world.host.disk.recording().to_vec() }
}

/// Reads numbers off the input.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// A number below `bound`, 0 at the end of the input.
    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte().unwrap_or_default()) % bound.max(1)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A Session with all that is outside of it.
struct World {
    host: Host,
    sample: &'static Sample,
    allowed: Allowed,
    seen: Seen,
    now: Instant,
    cut: usize,
    peers: Vec<Peer>,
    /// Connections that were there once.
    gone: Vec<PeerKey>,
    torrents: Vec<TorrentKey>,
    jobs: Vec<Job>,
    /// What the session sent by datagrams last.
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Peers that greeted so far.
    met_count: u16,
    trace: Vec<String>,
}

/// The far end of one connection.
struct Peer {
    key: PeerKey,
    /// Whether the session knows that the connection is up.
    up: bool,
    /// Whether it has said who it is.
    greeted: bool,
    /// Whether it is heard: a proxy that is between has made the connection.
    through: bool,
    /// The beginning of what it has heard.
    said: Vec<u8>,
    ear: Ear,
    /// What the session asked of it and did not take back.
    requests: Vec<[u32; 3]>,
}

impl Peer {
    fn new(key: PeerKey, up: bool, through: bool) -> Self {
        Self { key, up, greeted: false, through, said: Vec::new(), ear: Ear::default(), requests: Vec::new() }
    }
}

impl World {
    fn new(mode: u8, cut: usize, record: bool, allowed: &Allowed) -> Self {
        let config = Config {
            listen_port: (mode & 4 == 0).then_some(6881),
            peers_max: 6,
            half_open_max: 3,
            buffer_len_max: BUFFER_LEN_MAX,
            hash_width: 2,
            upload_slots: 2,
            progress_interval: (mode & 2 == 0).then_some(Duration::from_secs(1)),
            record,
            route: allowed.route(),
            pex: allowed.pex,
            ..Config::default()
        };
        let sample: &Sample = if allowed.private { &PRIVATE } else { &SAMPLE };
        let mut host = Host::new(config, u64::from(mode >> 2), Instant::START);
        host.disk.insert(sample);
        Self {
            host,
            sample,
            allowed: allowed.clone(),
            seen: Seen::default(),
            now: Instant::START,
            cut,
            peers: Vec::new(),
            gone: Vec::new(),
            torrents: Vec::new(),
            jobs: Vec::new(),
            datagrams: VecDeque::new(),
            met_count: 0,
            trace: Vec::new(),
        }
    }

    fn operate(&mut self, op: u8, source: &mut Source<'_>) {
        match op % 32 {
            0 => self.add(source),
            1 | 2 => self.accept(source),
            3 | 4 => self.connected(source),
            5 => self.closed(source),
            6 => {
                let (peer, len) = (self.pick_peer(source), source.below(256));
                self.receive(peer, source.take(len));
            }
            7 => self.shake(source),
            8 => {
                self.accept(source);
                self.greet(self.peers.len().saturating_sub(1), source);
            }
            9 | 10 => self.greet(self.pick_peer(source), source),
            11..=13 => self.say(source),
            14..=18 => self.serve(source),
            19..=23 => self.finish_job(source),
            24 => self.fail_job(source),
            25..=27 => self.pass_time(source),
            28 => self.take_sent(source),
            29 => self.meddle(source),
            30 => self.datagram(source),
            _ => self.drain(),
        }
    }

    fn add(&mut self, source: &mut Source<'_>) {
        self.drain();
        let flags = source.below(256);
        if flags & 1 != 0 && self.torrents.is_empty() && self.jobs.is_empty() {
            self.host.disk.insert_full(self.sample);
        }
        let add = AddTorrent {
            metainfo: self.sample.metainfo.clone(),
            root: "/sim".into(),
            purpose: if flags & 2 == 0 { Purpose::Download } else { Purpose::Serve },
            check: [Check::Auto, Check::Full, Check::Trust, Check::Auto][flags >> 2 & 3],
            choice: if flags & 128 == 0 { Choice::default() } else { choice(source) },
            web_seeds: self.web_seeds(flags),
            tiers: self.tiers(),
            peers: (0..flags >> 4 & 3).map(|index| self.addr(index)).collect(),
            hosts: if flags & 64 == 0 { Vec::new() } else { vec![("host".into(), 1)] },
        };
        // Two sessions of one download never meet in practice: the lock refuses the second.
        self.seen.named.extend(&add.peers);
        let busy = self.jobs.iter().any(|job| matches!(job, Job::Save { close: true, .. }));
        if !busy && let Ok(torrent) = self.add_by(flags & 128 != 0, add) {
            self.torrents.push(torrent);
        }
        self.drain();
    }

    /// Adds the torrent, or its magnet link alone.
    fn add_by(&mut self, link: bool, add: AddTorrent) -> Result<TorrentKey, AddTorrentError> {
        self.seen.link |= link;
        if !link {
            return self.host.session.add_torrent(self.now, add);
        }
        let AddTorrent { metainfo, root, check, choice, tiers, web_seeds, peers, hosts, .. } = add;
        let magnet = Magnet::of(&metainfo);
        let metadata_only = hosts.is_empty() && !peers.is_empty();
        let add = AddMagnet { magnet, root, check, choice, tiers, web_seeds, peers, hosts, metadata_only };
        self.host.session.add_magnet(self.now, add)
    }

    fn accept(&mut self, source: &mut Source<'_>) {
        let addr = self.addr(source.below(16));
        if let Some(key) = self.host.session.accept(self.now, addr) {
            assert!(self.peers.iter().all(|peer| peer.key != key), "{key:?} is given twice");
            self.peers.push(Peer::new(key, true, true));
        }
        self.drain();
    }

    fn connected(&mut self, source: &mut Source<'_>) {
        self.drain();
        let skip = source.below(4);
        if let Some(peer) = self.peers.iter_mut().filter(|peer| !peer.up).nth(skip) {
            peer.up = true;
            let key = peer.key;
            self.host.session.handle_input(self.now, Input::Connected { peer: key });
            self.negotiate(key, source);
        }
    }

    fn closed(&mut self, source: &mut Source<'_>) {
        self.drain();
        let index = self.pick_peer(source);
        if index < self.peers.len() && source.below(2) == 0 {
            let peer = self.peers.swap_remove(index).key;
            let cause = [CloseCause::End, CloseCause::Refused, CloseCause::Failed][source.below(3)];
            self.host.forget(peer);
            self.gone.push(peer);
            self.host.session.handle_input(self.now, Input::Closed { peer, cause });
        }
    }

    /// Time passes, to the next timeout or by some power of two.
    fn pass_time(&mut self, source: &mut Source<'_>) {
        // Small steps are the most likely: a big one ends every conversation.
        let step = Duration::from_millis(1 << source.below(18).min(source.below(18)));
        let next = self.host.session.poll_timeout().filter(|_| source.below(4) == 0);
        self.now = next.unwrap_or(self.now + step).max(self.now);
        for count in 0.. {
            self.host.session.handle_timeout(self.now);
            self.drain();
            if self.host.session.poll_timeout().is_none_or(|at| at > self.now) {
                break;
            }
            assert!(count < TIMEOUT_COUNT_MAX, "time stands still at {:?}", self.now);
        }
    }

    fn meddle(&mut self, source: &mut Source<'_>) {
        let torrent = self.torrents.first().copied();
        let (what, gone) = (source.below(9), self.gone.first());
        let named = (what == 1 && torrent.is_some()).then(|| self.addr(source.below(16)));
        self.seen.named.extend(named);
        let session = &mut self.host.session;
        match (what, torrent, gone) {
            (8, torrent, _) => {
                let mut rate = || [None, Some(0), Some(20_000), Some(u64::MAX)][source.below(4)];
                let limits = Limits { down: rate(), up: rate() };
                session.set_limits(self.now, torrent.filter(|_| source.below(2) == 0), limits);
            }
            (7, Some(torrent), _) => session.set_choice(self.now, torrent, choice(source)),
            (0, Some(torrent), _) => {
                session.remove_torrent(self.now, torrent);
                self.torrents.remove(0);
            }
            (1, Some(torrent), _) => {
                named.into_iter().for_each(|addr| session.add_peer(self.now, torrent, addr));
            }
            (2, _, _) if source.below(8) == 0 => session.shut_down(self.now),
            (6, Some(torrent), _) => {
                let hashes = session.info_hash(torrent).into_iter().collect();
                let url = ["http://a/announce", "udp://c:1", "ws://e/"][source.below(3)];
                self.seen.scraped = true;
                session.scrape(self.now, url.to_owned(), hashes);
            }
            (3, _, Some(&peer)) => session.handle_input(self.now, Input::Connected { peer }),
            (4, _, Some(&peer)) => {
                session.handle_input(self.now, Input::Received { peer, bytes: b"\x13BitTorrent" });
                session.sent(self.now, peer, 0);
            }
            (5, _, Some(&peer)) => {
                session.handle_input(self.now, Input::Closed { peer, cause: CloseCause::End });
            }
            _ => {}
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.host.next_output(self.now) {
            if let Output::Job(job @ Job::Record { .. }) = output {
                // At once, and not among the jobs: a run with a recording is to be like one without.
                let done = self.host.disk.run(job);
                self.host.session.handle_input(self.now, Input::Done(done));
                continue;
            }
            self.check_way(&output);
            self.trace.push(format!("{:?} {output:?}", self.now));
            match output {
                Output::Connect { peer: key, .. } => {
                    assert!(self.peers.iter().all(|peer| peer.key != key), "{key:?} is given twice");
                    self.peers.push(Peer::new(key, false, self.allowed.proxy.is_none()));
                }
                Output::Close { peer: key, .. } => {
                    let index = self.peers.iter().position(|peer| peer.key == key);
                    self.peers.remove(index.expect("what is closed was open"));
                    self.host.forget(key);
                    self.gone.push(key);
                }
                Output::Job(job) => {
                    self.host.disk.ask(&job);
                    self.jobs.push(job);
                }
                Output::Datagram { hop, bytes } => self.keep_datagram(hop.to(), bytes),
                Output::Send { .. } | Output::Resume { .. } | Output::Event(_) => {}
            }
        }
    }

    /// What holds at any time.
    fn check(&mut self) {
        let config = &self.host.config;
        assert!(self.peers.len() <= config.peers_max + 8, "too many connections");
        self.peers.iter().for_each(|peer| self.host.check_unsent(peer.key));
        let held: usize = self.jobs.iter().map(held_len).sum();
        // One piece may be open whatever the budget, and each peer may be told one block.
        let most = BUFFER_LEN_MAX + 32 * 1024 + config.peers_max * 16 * 1024;
        assert!(held <= most, "{held} bytes are held by jobs");
        for &torrent in &self.torrents {
            if let Some(progress) = self.host.session.progress(self.now, torrent) {
                assert!(progress.have_count <= progress.piece_count, "{progress:?}");
                assert!(progress.done_len <= progress.wanted_len, "{progress:?}");
            }
        }
    }
}

fn held_len(job: &Job) -> usize {
    match job {
        Job::Store { pieces, .. } => {
            pieces.iter().flat_map(|piece| &piece.blocks).map(|block| block.as_slice().len()).sum()
        }
        Job::Read { range, .. } => range.len() as usize,
        Job::Open { .. }
        | Job::Choose { .. }
        | Job::Fetch { .. }
        | Job::Check { .. }
        | Job::Save { .. }
        | Job::Announce { .. }
        | Job::Scrape { .. }
        | Job::Resolve { .. }
        | Job::CheckBind { .. }
        | Job::Metadata { .. }
        | Job::Record { .. } => 0,
    }
}

/// Each of the files wanted more or less, or not at all.
fn choice(source: &mut Source<'_>) -> Choice {
    let flags = source.below(4);
    let priorities = (0..3).filter_map(|_| Priority::new(u8::try_from(source.below(8)).ok()?)).collect();
    Choice { priorities, sequential: flags & 1 != 0, first_last: flags & 2 != 0 }
}
