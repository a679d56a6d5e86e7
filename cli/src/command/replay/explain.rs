//! Where the time of a recorded session went: in all, and for each peer.
//!
//! The recording is done again, and between its calls one looks at what the session waits for. The time
//! until the next call counts for that. Where calls are dense not each is looked at; pauses always are.
//!
//! The session only knows that it waits for pieces to be hashed and written. Which of the two it was is told by
//! the job that has done both; the wait until then is divided as its time was.

use std::collections::BTreeMap;
use std::time::Duration;

use peerless_core::{
    Event, Instant, Output, PeerInfo, PeerKey, PeerWait, Progress, Replay, ReplayError, Replayed,
    StallReason, State, Step, StoreTime, TorrentKey,
};

use crate::peers::wait_name;

/// The least time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How often one looks while nothing is known of how long the recording is: a long one is looked at less
/// often, by the same share of its time.
const LOOK_SHARE: u32 = 4096;

/// The most moments that are kept; beyond it each second one goes.
const MOMENT_COUNT_MAX: usize = 2000;

/// What a torrent's time went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Nobody has sent the metadata.
    Metadata,
    /// What is there is being read and hashed.
    Checking,
    /// Nobody is connected.
    NoPeers,
    /// Nobody lets us request.
    Choked,
    /// Nobody has what is missing.
    NothingWanted,
    /// Blocks are asked for.
    PeersSlow,
    /// As many are asked for as may be, and the path takes longer than they do.
    Window,
    /// What has come is being hashed.
    Hashing,
    /// What has come is being written.
    Disk,
    /// Our own limit.
    Limit,
    /// Nothing is missing.
    Seeding,
    /// It has failed.
    Stopped,
}

/// Time by what it went to.
pub(super) type Times<C> = BTreeMap<C, Duration>;

/// What came of a recording.
#[derive(Debug)]
pub(super) struct Explanation {
    /// The replay.
    pub(super) replayed: Replayed,
    /// In the order in which they were added.
    pub(super) torrents: Vec<TorrentStory>,
    /// What was there at a time, all torrents together.
    pub(super) moments: Vec<Moment>,
}

/// What a torrent's time went to.
#[derive(Debug, Default)]
pub(super) struct TorrentStory {
    /// Its name, or its info-hash.
    pub(super) name: String,
    /// The last figures.
    pub(super) progress: Option<Progress>,
    /// Of all that time that it was there.
    pub(super) times: Times<Cause>,
    /// How long it now waits for pieces to be stored; counted as [`Cause::Disk`] so far.
    storing: Duration,
    /// By connection.
    pub(super) peers: BTreeMap<PeerKey, PeerStory>,
}

/// What a peer's time went to.
#[derive(Debug)]
pub(super) struct PeerStory {
    /// The last figures.
    pub(super) info: PeerInfo,
    /// Since the handshake, by what it waited for, as `-v` has it; and `window` for [`Cause::Window`].
    pub(super) times: Times<&'static str>,
    /// As a torrent's.
    storing: Duration,
}

/// Sums at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Since the session's beginning.
    pub(super) time: Duration,
    /// Payload bytes received.
    pub(super) downloaded_len: u64,
    /// Payload bytes sent.
    pub(super) uploaded_len: u64,
    /// Pieces that are there.
    pub(super) have_count: u64,
    /// Pieces that there are, as far as it is known.
    pub(super) piece_count: u64,
}

/// Does a recording again and looks where the time goes.
///
/// # Errors
/// As [`peerless_core::replay`].
pub(super) fn explain(recording: &[u8]) -> Result<Explanation, ReplayError> {
    let mut replay = Replay::new(recording)?;
    let mut looker = Looker::default();
    while let Some(next_at) = replay.next_at() {
        looker.look(&replay, next_at);
        if let Some(Step::Outputs(outputs)) = replay.step()? {
            looker.note_closed(&replay, &outputs);
        }
    }
    // Whatever is left is no step: it is told.
    while replay.step()?.is_some() {}
    Ok(Explanation { replayed: replay.sum(), torrents: looker.torrents, moments: looker.moments })
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looker {
    looked_at: Instant,
    torrents: Vec<TorrentStory>,
    /// What all jobs so far took that stored pieces.
    store_time: StoreTime,
    moments: Vec<Moment>,
    moment_at: Instant,
    moment_interval: Duration,
}

impl Looker {
    /// Nothing changes until `next_at`.
    fn look(&mut self, replay: &Replay, next_at: Instant) {
        let passed = next_at.since(self.looked_at);
        let interval = (next_at.since_start() / LOOK_SHARE).max(LOOK_INTERVAL);
        let is_end = replay.is_end_next();
        if passed < interval && !is_end {
            return;
        }
        self.looked_at = next_at;
        let keys = replay.torrents();
        self.torrents.resize_with(keys.len(), TorrentStory::default);
        for (story, key) in self.torrents.iter_mut().zip(keys) {
            story.look(replay, *key, next_at, passed);
        }
        let store_time = replay.sum().store_time;
        let share = hashing_share(self.store_time, store_time);
        if let Some(share) = share {
            self.torrents.iter_mut().for_each(|story| story.divide(share));
        }
        self.store_time = store_time;
        if next_at.since(self.moment_at) >= self.moment_interval || is_end {
            self.moment_at = next_at;
            self.keep_moment(next_at);
        }
    }

    /// What peers moved since the last look is told as they go.
    fn note_closed(&mut self, replay: &Replay, outputs: &[Output]) {
        for output in outputs {
            let Output::Event(Event::PeerClosed { torrent, peer, downloaded_len, uploaded_len, .. }) = output
            else {
                continue;
            };
            let number = replay.torrents().iter().position(|key| Some(*key) == *torrent);
            let story = number.and_then(|number| self.torrents.get_mut(number));
            if let Some(story) = story.and_then(|story| story.peers.get_mut(peer)) {
                (story.info.downloaded_len, story.info.uploaded_len) = (*downloaded_len, *uploaded_len);
            }
        }
    }

    fn keep_moment(&mut self, at: Instant) {
        let mut moment = Moment { time: at.since_start(), ..Moment::default() };
        for progress in self.torrents.iter().filter_map(|story| story.progress.as_ref()) {
            moment.downloaded_len += progress.downloaded_len;
            moment.uploaded_len += progress.uploaded_len;
            moment.have_count += u64::from(progress.have_count);
            moment.piece_count += u64::from(progress.piece_count);
        }
        self.moments.push(moment);
        if self.moments.len() > MOMENT_COUNT_MAX {
            let mut number = 0;
            self.moments.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.moment_interval = at.since_start() / u32::try_from(MOMENT_COUNT_MAX / 2).unwrap_or(1);
        }
    }
}

impl TorrentStory {
    fn look(&mut self, replay: &Replay, key: TorrentKey, at: Instant, passed: Duration) {
        let session = replay.session();
        let Some(progress) = session.progress(at, key) else { return };
        let name = session.metainfo(key).map(|metainfo| metainfo.name().to_owned());
        if let Some(name) = name.or_else(|| Some(session.info_hash(key)?.to_string())) {
            self.name = name;
        }
        let (mut full_rate, mut slow_rate) = (0, 0);
        for info in session.peers(at, key) {
            if info.waits_for == PeerWait::Blocks {
                let rate = if info.is_window_full { &mut full_rate } else { &mut slow_rate };
                *rate += info.down_rate;
            }
            let is_full = info.waits_for == PeerWait::Blocks && info.is_window_full;
            let cause = if is_full { "window" } else { wait_name(info.waits_for) };
            let story = self.peers.entry(info.peer);
            let story = story.or_insert_with(|| PeerStory::new(info.clone()));
            let passed = passed.min(info.connected_time);
            *story.times.entry(cause).or_default() += passed;
            if info.waits_for == PeerWait::Disk {
                story.storing += passed;
            }
            story.info = info;
        }
        let cause = Cause::of(&progress, full_rate > slow_rate);
        *self.times.entry(cause).or_default() += passed;
        if cause == Cause::Disk {
            self.storing += passed;
        }
        self.progress = Some(progress);
    }

    /// Pieces have been stored, and so much of the time went to hashing.
    fn divide(&mut self, share: f64) {
        move_share(&mut self.times, &mut self.storing, share, [Cause::Disk, Cause::Hashing]);
        for story in self.peers.values_mut() {
            move_share(&mut story.times, &mut story.storing, share, [wait_name(PeerWait::Disk), "hashing"]);
        }
    }
}

impl PeerStory {
    const fn new(info: PeerInfo) -> Self {
        Self { info, times: Times::new(), storing: Duration::ZERO }
    }
}

/// How much of what passed between these two went to hashing; `None` if nothing is known to have passed.
fn hashing_share(from: StoreTime, to: StoreTime) -> Option<f64> {
    let hashing = to.hashing.saturating_sub(from.hashing).as_secs_f64();
    let all = hashing + to.writing.saturating_sub(from.writing).as_secs_f64();
    (all > 0.0).then(|| hashing / all)
}

/// Moves a share of the time that was counted for the one cause to the other.
fn move_share<C: Ord>(times: &mut Times<C>, time: &mut Duration, share: f64, [from, to]: [C; 2]) {
    let moved = std::mem::take(time).mul_f64(share);
    if let Some(counted) = times.get_mut(&from).filter(|_| !moved.is_zero()) {
        *counted = counted.saturating_sub(moved);
        *times.entry(to).or_default() += moved;
    }
}

impl Cause {
    /// Its name in JSON.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Checking => "checking",
            Self::Hashing => "hashing",
            Self::NoPeers => "no_peers",
            Self::Choked => "choked",
            Self::NothingWanted => "nothing_wanted",
            Self::PeersSlow => "peers_slow",
            Self::Window => "window",
            Self::Disk => "disk",
            Self::Limit => "limit",
            Self::Seeding => "seeding",
            Self::Stopped => "stopped",
        }
    }

    /// What it means.
    #[must_use]
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Metadata => "metadata: peers are connected, and none has sent it yet",
            Self::Checking => "checking: what is on disk is read and hashed, before a start",
            Self::Hashing => "hashing: what has come is not hashed yet, and there is no room for more",
            Self::NoPeers => "no peers: nobody is connected",
            Self::Choked => "choked: peers have what is missing, and none lets us request",
            Self::NothingWanted => "nothing wanted: no peer has anything that is missing",
            Self::PeersSlow => "peers slow: blocks are asked for, and come as fast as peers send them",
            Self::Window => "window: as many blocks are asked for as may be, and the path takes longer",
            Self::Disk => "disk: what has come is not written yet, and there is no room for more",
            Self::Limit => "own limit: --max-down is used up",
            Self::Seeding => "complete: nothing is missing",
            Self::Stopped => "stopped: the torrent has failed",
        }
    }

    fn of(progress: &Progress, is_window_full: bool) -> Self {
        match (progress.state, progress.stall) {
            (State::Metadata, _) if progress.peer_count == 0 => Self::NoPeers,
            (State::Metadata, _) | (_, Some(StallReason::MetadataNone)) => Self::Metadata,
            (State::Checking, _) => Self::Checking,
            (State::Seeding, _) | (State::Leeching, None) => Self::Seeding,
            (State::Stopped, _) => Self::Stopped,
            (State::Leeching, Some(reason)) => match reason {
                StallReason::MetadataNone => Self::Metadata,
                StallReason::NoPeers => Self::NoPeers,
                StallReason::AllChoked => Self::Choked,
                StallReason::NoWantedPieces => Self::NothingWanted,
                StallReason::PeersSlow if is_window_full => Self::Window,
                StallReason::PeersSlow => Self::PeersSlow,
                StallReason::DiskBehind => Self::Disk,
                StallReason::RateLimited => Self::Limit,
            },
        }
    }
}

#[cfg(test)]
mod tests;
