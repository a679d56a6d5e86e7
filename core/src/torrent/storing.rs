//! Complete pieces on their way to disk: who gave them, and which wait for others.
//!
//! Where workers hash several pieces side by side ([`Config::hash_width`](crate::Config)), a piece
//! waits a moment for others to be handed over with it, but not once none can come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::verdict::Giver;
use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::job::{FullPiece, Job};
use crate::key::TorrentKey;
use crate::piece::PieceIndex;
use crate::storage::Storage;
use crate::time::Instant;

/// How long a complete piece waits for others at most: nothing beside a round trip of the `have`
/// that tells of it, and time for several where their number matters (250 MiB/s and more).
const GATHER_TIME: Duration = Duration::from_millis(10);

/// Pieces that wait are handed over when they are longer than this together, however few: 4 MiB, more
/// than a CPU's cache holds.
const GATHER_LEN_MAX: u64 = 4 * 1024 * 1024;

/// The pieces of a torrent that are complete and not known to be right yet.
#[derive(Debug)]
pub(super) struct Storing {
    torrent: TorrentKey,
    storage: Arc<Storage>,
    /// Those that are to be hashed or are being hashed, with the giver of each block.
    givers: BTreeMap<PieceIndex, Vec<Option<Giver>>>,
    /// Those that wait to be handed over, and their length.
    waiting: Vec<FullPiece>,
    waiting_len: u64,
    /// Those that are not to be hashed yet, because of who gave them.
    kept: BTreeMap<PieceIndex, Kept>,
}

/// A piece that is not to be hashed yet.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) since: Instant,
    pub(super) why: Wait,
    pub(super) piece: FullPiece,
    pub(super) givers: Vec<Option<Giver>>,
}

/// What a piece waits for that is not to be hashed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// That it is known who spoilt another piece.
    Verdict,
    /// That a first piece of its givers has been hashed.
    Trial,
}

impl Storing {
    pub(super) fn new(torrent: TorrentKey, storage: &Arc<Storage>) -> Self {
        let storage = Arc::clone(storage);
        let (givers, kept) = (BTreeMap::new(), BTreeMap::new());
        Self { torrent, storage, givers, waiting: Vec::new(), waiting_len: 0, kept }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.givers.len() + self.kept.len()
    }

    /// Whether a worker is to say if it is right.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.givers.contains_key(&piece)
    }

    /// Takes in a piece; `more_to_come` says whether others may be complete soon.
    pub(super) fn add(
        &mut self,
        cx: &mut Cx,
        piece: FullPiece,
        givers: Vec<Option<Giver>>,
        more_to_come: bool,
    ) {
        let len = self.storage.metainfo.geometry().len_of(piece.piece);
        cx.budget.begin_store(self.torrent, piece.piece, len);
        self.givers.insert(piece.piece, givers);
        self.waiting.push(piece);
        self.waiting_len += u64::from(len);
        let enough = self.waiting.len() >= cx.config.hash_width || self.waiting_len > GATHER_LEN_MAX;
        // While reading pauses none can come; it goes on when one that a worker has is done.
        let stuck = cx.budget.is_disk_busy() && self.waiting.len() == self.givers.len();
        if enough || stuck || !more_to_come {
            self.hand_over(cx);
        } else if self.waiting.len() == 1 {
            cx.timers.set(self.timer(), cx.now + GATHER_TIME);
        }
    }

    /// Keeps a piece. It counts as one that is being stored.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.kept.insert(kept.piece.piece, kept);
    }

    /// Whether pieces are kept.
    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Takes the kept pieces that are such.
    pub(super) fn take_kept(&mut self, is_such: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let taken: Vec<_> = self.kept.values().filter(|kept| is_such(kept)).map(Kept::index).collect();
        taken.into_iter().filter_map(|piece| self.kept.remove(&piece)).collect()
    }

    /// Bytes of the pieces kept until their givers' first piece has been hashed.
    pub(super) fn on_trial_len(&self) -> u64 {
        let on_trial = self.kept.values().filter(|kept| kept.why == Wait::Trial);
        on_trial.map(|kept| u64::from(self.storage.metainfo.geometry().len_of(kept.index()))).sum()
    }

    /// Whether such a giver has a share in a piece that is to be hashed or is being hashed.
    pub(super) fn has_share(&self, is_such: impl Fn(&Giver) -> bool) -> bool {
        self.givers.values().flatten().flatten().any(is_such)
    }

    /// Gives all that is kept or waits to a worker.
    pub(super) fn release(&mut self, cx: &mut Cx) {
        for kept in self.take_kept(|_| true) {
            self.add(cx, kept.piece, kept.givers, false);
        }
        self.hand_over(cx);
    }

    /// Gives the pieces that wait to a worker.
    pub(super) fn hand_over(&mut self, cx: &mut Cx) {
        if self.waiting.is_empty() {
            return;
        }
        cx.timers.clear(self.timer());
        self.waiting_len = 0;
        let (torrent, storage) = (self.torrent, Arc::clone(&self.storage));
        cx.job(Job::Store { torrent, storage, pieces: std::mem::take(&mut self.waiting) });
    }

    /// A piece is no more on its way: the givers of its blocks, if it was.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> Option<Vec<Option<Giver>>> {
        self.givers.remove(&piece)
    }

    const fn timer(&self) -> TimerKey {
        TimerKey::Torrent(self.torrent, TorrentTimer::Store)
    }
}

impl Kept {
    const fn index(&self) -> PieceIndex {
        self.piece.piece
    }
}

impl Torrent {
    /// Complete pieces wait for others no longer.
    pub(crate) fn on_store_timer(&mut self, cx: &mut Cx) {
        if let Phase::Leeching(download) = &mut self.phase {
            download.storing.hand_over(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::{DiskError, DiskErrorKind, JobDone, StoreError, StoreTime};
    use crate::key::PeerKey;
    use crate::machine::lab::Lab;

    /// A leech whose workers hash three pieces side by side, its seed, and what it has asked for of
    /// these five, piece by piece.
    fn lab(config: Config) -> (Lab, PeerKey, Vec<(u32, u32, u32)>) {
        let mut lab = Lab::new(Config { hash_width: 3, ..config }, ".....");
        let seed = lab.giver(1, "xxxxx");
        let mut requests = lab.requests(seed);
        assert!(requests.len() >= 8);
        requests.truncate(8);
        (lab, seed, requests)
    }

    /// How many pieces each job has that is asked for.
    fn stores(lab: &Lab) -> Vec<usize> {
        let len = |job: &Job| if let Job::Store { pieces, .. } = job { Some(pieces.len()) } else { None };
        lab.jobs.iter().filter_map(len).collect()
    }

    #[test]
    fn pieces_are_handed_over_by_as_many_as_are_hashed_side_by_side_and_the_last_at_once() {
        let (mut lab, seed, requests) = lab(Config::default());
        requests[..5].iter().for_each(|request| lab.give(seed, *request));
        assert!(stores(&lab).is_empty());
        lab.give(seed, requests[5]);
        assert_eq!(stores(&lab), [3]);
        for request in requests[6..].iter().copied().chain(lab.requests(seed)) {
            assert_eq!(stores(&lab), [3]);
            lab.give(seed, request);
        }
        assert_eq!(stores(&lab), [3, 2]);
    }

    #[test]
    fn a_piece_waits_for_others_no_longer_than_its_time_or_the_torrent() {
        let (mut lab, seed, requests) = lab(Config::default());
        requests[..2].iter().for_each(|request| lab.give(seed, *request));
        lab.pass(GATHER_TIME / 2);
        assert!(stores(&lab).is_empty());
        lab.pass(GATHER_TIME);
        assert_eq!(stores(&lab), [1]);
        requests[2..4].iter().for_each(|request| lab.give(seed, *request));
        lab.machine.shut_down(lab.now);
        lab.pass(Duration::from_secs(1));
        assert_eq!(stores(&lab), [1, 1]);
    }

    #[test]
    fn a_torrent_that_fails_leaves_nothing_behind_that_would_hold_others_up() {
        let buffer_len_max = 8 * usize::try_from(crate::machine::lab::PIECE_LEN).unwrap();
        let (mut lab, seed, requests) = lab(Config { buffer_len_max, ..Config::default() });
        requests[..4].iter().for_each(|request| lab.give(seed, *request));
        assert!(stores(&lab) == [2] && !lab.machine.wants_read(seed));
        // A piece that was read before the pause waits for others when the disk fails.
        requests[4..6].iter().for_each(|request| lab.give(seed, *request));
        assert_eq!(stores(&lab), [2]);
        let Some(Job::Store { torrent, pieces, .. }) = lab.jobs.pop() else { panic!("no piece to store") };
        let kind = DiskErrorKind::Full;
        let error = || StoreError::Disk(DiskError { kind, path: "/".into(), why: "full".to_owned() });
        let pieces = pieces.into_iter().map(|piece| piece.stored(Err(error()))).collect();
        lab.done(JobDone::Stored { torrent, pieces, time: StoreTime::default() });
        assert_eq!(stores(&lab), [1]);
        lab.finish(|job| matches!(job, Job::Store { .. }));
        lab.add("other", ".....");
        let other = lab.giver(2, "xxxxx");
        assert!(lab.machine.wants_read(other));
    }

    #[test]
    fn a_piece_does_not_wait_for_what_is_not_read() {
        let buffer_len_max = 8 * usize::try_from(crate::machine::lab::PIECE_LEN).unwrap();
        let (mut lab, seed, requests) = lab(Config { buffer_len_max, ..Config::default() });
        requests[..2].iter().for_each(|request| lab.give(seed, *request));
        assert!(stores(&lab).is_empty() && lab.machine.wants_read(seed));
        requests[2..4].iter().for_each(|request| lab.give(seed, *request));
        assert!(stores(&lab) == [2] && !lab.machine.wants_read(seed));
    }
}
