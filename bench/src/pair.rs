//! A seed and a leech joined in memory: the whole protocol, no system calls.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::block::Block;
use peerless_core::metainfo::Metainfo;
use peerless_core::{
    AddTorrent, Check, Choice, Config, Event, Input, Instant, Job, JobDone, Opened, Output, PeerKey, Purpose,
    Session, StoreTime,
};

/// What one read brings at most: the scratch buffer of either runtime.
const SCRATCH_LEN: usize = 256 * 1024;

/// What passes between two looks at the clock: about the time for a read of this length at 4 GiB/s.
const TICK: Duration = Duration::from_micros(60);

/// Turns of both sides without progress after which the transfer counts as stuck.
const TURNS_MAX: usize = 100_000;

/// Where the seed listens, and as whom the leech comes: it's the same to both.
const SEED_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 6881);

/// A seed and a leech of the same torrent. Jobs are done at once; payload is a stand-in, and every
/// piece passes for right.
#[derive(Debug)]
pub struct Pair {
    seed: Side,
    leech: Side,
    now: Instant,
    scratch: Vec<u8>,
    blocks_stored: u64,
}

/// One session, and its end of the connection.
#[derive(Debug)]
struct Side {
    session: Session,
    peer: Option<PeerKey>,
    /// Whom it wants to connect to, until that is done.
    dials: Option<PeerKey>,
    jobs: Vec<Job>,
    has_all: bool,
    is_complete: bool,
}

impl Pair {
    /// Both sides with the torrent added; nothing has happened yet.
    #[must_use]
    pub fn new(total_len: u64, piece_len: u32) -> Self {
        Self::with(total_len, piece_len, &Config::default())
    }

    /// The same, and both sides record what they are told.
    #[must_use]
    pub fn recorded(total_len: u64, piece_len: u32) -> Self {
        Self::with(total_len, piece_len, &Config { record: true, ..Config::default() })
    }

    fn with(total_len: u64, piece_len: u32, config: &Config) -> Self {
        let metainfo = crate::metainfo(total_len, piece_len);
        Self {
            seed: Side::new(config, 1, &metainfo, true, Vec::new()),
            leech: Side::new(config, 2, &metainfo, false, vec![SEED_ADDR]),
            now: Instant::START,
            scratch: vec![0; SCRATCH_LEN],
            blocks_stored: 0,
        }
    }

    /// Runs until the leech has everything. How many blocks it has stored.
    ///
    /// `bench/instructions` counts what happens in here, but for `copy` and `run_job`, which stand
    /// for the socket and the disk.
    #[inline(never)]
    pub fn run(&mut self) -> u64 {
        for _ in 0..TURNS_MAX {
            if self.leech.is_complete {
                return self.blocks_stored;
            }
            self.tick();
            if let Some(peer) = self.leech.dials.take() {
                self.seed.peer = self.seed.session.accept(self.now, SEED_ADDR);
                self.leech.peer = Some(peer);
                self.leech.session.handle_input(self.now, Input::Connected { peer });
            }
            carry(self.now, &mut self.leech, &mut self.seed, &mut self.scratch);
            carry(self.now, &mut self.seed, &mut self.leech, &mut self.scratch);
        }
        panic!("the transfer is stuck after {} blocks", self.blocks_stored);
    }

    /// Lets time pass, and both sides do what they ask for.
    fn tick(&mut self) {
        self.now = self.now + TICK;
        for side in [&mut self.leech, &mut self.seed] {
            if side.session.poll_timeout().is_some_and(|at| at <= self.now) {
                side.session.handle_timeout(self.now);
            }
            side.drain();
            while let Some(job) = side.jobs.pop() {
                if let Job::Store { pieces, .. } = &job {
                    self.blocks_stored += pieces.iter().map(|piece| piece.blocks.len() as u64).sum::<u64>();
                }
                let done = run_job(job, side.has_all);
                side.session.handle_input(self.now, Input::Done(done));
                side.drain();
            }
        }
    }
}

impl Side {
    fn new(config: &Config, seed: u64, metainfo: &Metainfo, has_all: bool, peers: Vec<SocketAddr>) -> Self {
        let mut session = Session::new(config.clone(), seed, Instant::START);
        let add = AddTorrent {
            metainfo: metainfo.clone(),
            root: PathBuf::new(),
            purpose: if has_all { Purpose::Serve } else { Purpose::Download },
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers: Vec::new(),
            peers,
            hosts: Vec::new(),
        };
        session.add_torrent(Instant::START, add).expect("the first torrent");
        Self { session, peer: None, dials: None, jobs: Vec::new(), has_all, is_complete: false }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "two sides alone need no more")]
    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect { peer, .. } => self.dials = Some(peer),
                // Two seeds have no use for each other. Before that, the transfer is stuck.
                Output::Close { .. } => self.peer = None,
                Output::Job(job) => self.jobs.push(job),
                Output::Event(Event::Complete { .. }) => self.is_complete = true,
                _ => {}
            }
        }
    }
}

/// Carries what one side has to send to the other, as one write and one read would.
fn carry(now: Instant, from: &mut Side, to: &mut Side, scratch: &mut [u8]) {
    let (Some(source), Some(target)) = (from.peer, to.peer) else { return };
    if !to.session.wants_read(target) {
        return;
    }
    let len = copy(&from.session, source, scratch);
    if len > 0 {
        from.session.sent(now, source, len);
        to.session.handle_input(now, Input::Received { peer: target, bytes: &scratch[..len] });
    }
}

/// The socket.
#[inline(never)]
fn copy(from: &Session, peer: PeerKey, scratch: &mut [u8]) -> usize {
    let mut len = 0;
    for run in from.unsent(peer) {
        let part = run.len().min(scratch.len() - len);
        scratch[len..len + part].copy_from_slice(&run[..part]);
        len += part;
    }
    len
}

/// The disk: everything is there or can be written, at once.
#[expect(clippy::wildcard_enum_match_arm, reason = "two sides alone ask for no other job")]
#[inline(never)]
fn run_job(job: Job, has_all: bool) -> JobDone {
    match job {
        Job::Open { torrent, storage, .. } => {
            let piece_count = storage.metainfo.geometry().piece_count();
            let nothing = Bitfield::empty(piece_count);
            let have = if has_all { Bitfield::full(piece_count) } else { nothing.clone() };
            JobDone::Opened { torrent, result: Ok(Opened { have, unsure: nothing, ours: true }) }
        }
        Job::Read { torrent, peer, range, .. } => {
            // Not zeros: those would not be copied.
            let block = Block::new(vec![1; range.len() as usize]);
            JobDone::Read { torrent, peer, range, result: Ok(block) }
        }
        Job::Store { torrent, pieces, .. } => {
            let stored = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new())));
            JobDone::Stored { torrent, pieces: stored.collect(), time: StoreTime::default() }
        }
        Job::Save { torrent, .. } => JobDone::Saved { torrent, result: Ok(()) },
        Job::Record { .. } => JobDone::Recorded { result: Ok(()) },
        job => panic!("no answer to {job:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_stored_once() {
        for piece_len in [16, 256, 4096] {
            let mut pair = Pair::new(16 * 1024 * 1024 + 5, piece_len * 1024);
            assert_eq!(pair.run(), 1024 + 1);
        }
    }
}
