//! Memory for payload, counted in bytes against one limit for the whole session.
//!
//! A piece is counted whole from its opening until it is written or thrown away, so that every
//! block asked for has its place before it comes: no peer can push the process past the limit, and
//! a slow disk keeps new pieces from being opened. Payload read for peers is counted apart.
//!
//! Of the pieces on their way to disk only a few may wait: while there are more, no blocks are read
//! from the peers that owe some. What is hashed is then still in the CPU's cache.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::key::{PeerKey, TorrentKey};
use crate::piece::PieceIndex;

/// The part of the limit that pieces on their way to disk may take before reading pauses: with the
/// default, 4 MiB. Enough to keep every worker at work, and little more than a cache holds.
const STORING_SHARE: u64 = 16;

/// What is in use, and who waits for more.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    /// Bytes of open pieces and of pieces on their way to disk.
    pieces_len: u64,
    /// Pieces on their way to disk, with their lengths, and the sum of these.
    storing: BTreeMap<(TorrentKey, PieceIndex), u32>,
    storing_len: u64,
    /// Whether so much is on its way to disk that reading pauses.
    disk_busy: bool,
    /// Bytes of payload being read or waiting to be sent.
    uploads_len: u64,
    /// Peers whose next read had no place, or had to wait behind those of others.
    waiting: VecDeque<PeerKey>,
    /// The peer taken out of that line last: what it asks for is not behind the others.
    turn: Option<PeerKey>,
    /// Whether who is first in line did not fit, and nothing has ended since.
    full: bool,
    /// Torrents that have pieces counted here.
    holders: BTreeSet<TorrentKey>,
    /// Peers that were asked for blocks since reading last went on: others were never held up.
    asked: BTreeSet<PeerKey>,
    /// Torrents that had no room to open a piece.
    starved: BTreeSet<TorrentKey>,
    /// Whether a piece has ended since the starved were last taken.
    freed: bool,
    /// Whether a torrent has found no room since that was last asked.
    short: bool,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max as u64,
            pieces_len: 0,
            storing: BTreeMap::new(),
            storing_len: 0,
            disk_busy: false,
            uploads_len: 0,
            waiting: VecDeque::new(),
            turn: None,
            full: false,
            holders: BTreeSet::new(),
            asked: BTreeSet::new(),
            starved: BTreeSet::new(),
            freed: false,
            short: false,
        }
    }

    /// How many pieces of this length may be opened now.
    pub(crate) fn pieces_to_open(&self, piece_len: u32) -> usize {
        let room = self.max.saturating_sub(self.pieces_len) / u64::from(piece_len.max(1));
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Notes that `torrent` waits for room to open a piece.
    pub(crate) fn starve(&mut self, torrent: TorrentKey) {
        self.starved.insert(torrent);
        self.short = true;
    }

    /// Has the torrent look again for what it may ask for.
    pub(crate) fn wake(&mut self, torrent: TorrentKey) {
        self.starved.insert(torrent);
        self.freed = true;
    }

    /// Whether a torrent has come to wait for room: those that have no use for theirs are to end
    /// their pieces.
    pub(crate) const fn take_short(&mut self) -> bool {
        std::mem::replace(&mut self.short, false)
    }

    /// Whether pieces have made room since this was last called.
    pub(crate) const fn take_freed(&mut self) -> bool {
        std::mem::replace(&mut self.freed, false)
    }

    /// The torrents that waited for room.
    pub(crate) fn take_starved(&mut self) -> BTreeSet<TorrentKey> {
        std::mem::take(&mut self.starved)
    }

    pub(crate) fn open_piece(&mut self, len: u32) {
        self.pieces_len += u64::from(len);
    }

    pub(crate) fn end_piece(&mut self, len: u32) {
        self.pieces_len = self.pieces_len.saturating_sub(u64::from(len));
        self.freed = true;
    }

    /// A piece of `len` bytes goes to disk. One is always allowed, however long.
    pub(crate) fn begin_store(&mut self, torrent: TorrentKey, piece: PieceIndex, len: u32) {
        if self.storing.insert((torrent, piece), len).is_none() {
            self.storing_len += u64::from(len);
        }
        self.disk_busy |= self.storing.len() > 1 && self.storing_len > self.max / STORING_SHARE;
    }

    /// A piece is no more on its way to disk. True if that lets reading go on: once half is done, so
    /// that it does not stop and go with every piece.
    pub(crate) fn end_store(&mut self, torrent: TorrentKey, piece: PieceIndex) -> bool {
        if let Some(len) = self.storing.remove(&(torrent, piece)) {
            self.storing_len -= u64::from(len);
        }
        let few = self.storing.len() <= 1 || self.storing_len <= self.max / STORING_SHARE / 2;
        few && std::mem::take(&mut self.disk_busy)
    }

    /// Whether so much is on its way to disk that no further blocks are to be read.
    pub(crate) const fn is_disk_busy(&self) -> bool {
        self.disk_busy
    }

    /// Notes whether a torrent has pieces counted here.
    pub(crate) fn set_holder(&mut self, torrent: TorrentKey, holds: bool) {
        if holds {
            self.holders.insert(torrent);
        } else {
            self.holders.remove(&torrent);
        }
    }

    /// The torrents that have pieces counted here.
    pub(crate) fn holders(&self) -> Vec<TorrentKey> {
        self.holders.iter().copied().collect()
    }

    /// Notes that a peer owes blocks from now on.
    pub(crate) fn note_asked(&mut self, peer: PeerKey) {
        self.asked.insert(peer);
    }

    /// The peers that owed blocks since this was last called. Who still does is to be noted anew.
    pub(crate) fn take_asked(&mut self) -> BTreeSet<PeerKey> {
        std::mem::take(&mut self.asked)
    }

    /// Takes `len` bytes for an upload, or notes that `peer` waits for them.
    ///
    /// Uploads may use half of the limit; the first is always allowed, so that one can go on. Who
    /// comes while others wait gets in line, or a busy peer would take each place that it frees.
    pub(crate) fn take_upload(&mut self, peer: PeerKey, len: u32) -> bool {
        let wanted = self.uploads_len + u64::from(len);
        let fits = self.uploads_len == 0 || wanted <= self.max / 2;
        let in_turn = self.turn.take() == Some(peer);
        if fits && (in_turn || self.waiting.is_empty()) {
            self.uploads_len = wanted;
            return true;
        }
        self.full |= !fits;
        if in_turn {
            self.waiting.push_front(peer);
        } else if !self.waiting.contains(&peer) {
            self.waiting.push_back(peer);
        }
        false
    }

    pub(crate) fn end_upload(&mut self, len: u64) {
        self.uploads_len = self.uploads_len.saturating_sub(len);
        self.full &= len == 0;
    }

    /// The next peer that waits, until one has not fitted.
    pub(crate) fn next_waiting(&mut self) -> Option<PeerKey> {
        self.turn = if self.full { None } else { self.waiting.pop_front() };
        self.turn
    }

    /// Forgets a peer that is gone.
    pub(crate) fn forget(&mut self, peer: PeerKey) {
        self.waiting.retain(|waiting| *waiting != peer);
        self.asked.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::piece::Geometry;

    #[test]
    fn pieces_are_opened_while_they_fit() {
        let mut budget = Budget::new(100);
        assert_eq!(budget.pieces_to_open(30), 3);
        budget.open_piece(30);
        budget.open_piece(30);
        assert_eq!(budget.pieces_to_open(30), 1);
        budget.open_piece(60);
        assert_eq!(budget.pieces_to_open(30), 0);
        budget.end_piece(60);
        assert_eq!(budget.pieces_to_open(30), 1);
    }

    #[test]
    fn reading_pauses_from_too_much_on_its_way_to_disk_until_half_of_it_is_there() {
        let torrent = TorrentKey::new(0, 0);
        let geometry = Geometry::new(100, 10).unwrap();
        let piece = |index| geometry.piece(index).unwrap();
        let mut budget = Budget::new(40 * usize::try_from(STORING_SHARE).unwrap());
        (0..4).for_each(|index| budget.begin_store(torrent, piece(index), 10));
        assert!(!budget.is_disk_busy());
        budget.begin_store(torrent, piece(4), 10);
        assert!(budget.is_disk_busy());
        assert!(!budget.end_store(torrent, piece(9)), "never began");
        assert!(!budget.end_store(torrent, piece(0)) && !budget.end_store(torrent, piece(1)));
        assert!(budget.is_disk_busy() && budget.end_store(torrent, piece(2)));
        assert!(!budget.is_disk_busy() && !budget.end_store(torrent, piece(3)));
    }

    #[test]
    fn one_long_piece_pauses_nothing() {
        let torrent = TorrentKey::new(0, 0);
        let geometry = Geometry::new(100, 10).unwrap();
        let mut budget = Budget::new(40);
        budget.begin_store(torrent, geometry.piece(0).unwrap(), 10);
        assert!(!budget.is_disk_busy());
        budget.begin_store(torrent, geometry.piece(1).unwrap(), 10);
        assert!(budget.is_disk_busy() && budget.end_store(torrent, geometry.piece(1).unwrap()));
    }

    #[test]
    fn an_upload_that_does_not_fit_waits_its_turn() {
        let (a, b) = (PeerKey::new(0, 0), PeerKey::new(1, 0));
        let mut budget = Budget::new(100);
        assert!(budget.take_upload(a, 80), "the first always fits");
        assert!(!budget.take_upload(b, 1) && !budget.take_upload(b, 1));
        assert_eq!(budget.next_waiting(), None);
        budget.end_upload(80);
        assert_eq!((budget.next_waiting(), budget.next_waiting()), (Some(b), None));
    }

    #[test]
    fn room_that_is_too_small_for_the_first_in_line_waits_to_grow() {
        let [a, b, c] = [0, 1, 2].map(|index| PeerKey::new(index, 0));
        let mut budget = Budget::new(100);
        assert!(budget.take_upload(a, 30) && !budget.take_upload(b, 30) && !budget.take_upload(c, 10));
        budget.end_upload(5);
        assert!(!budget.take_upload(a, 5), "who frees a place does not get before those that wait");
        assert!(budget.next_waiting() == Some(b) && !budget.take_upload(b, 30));
        assert_eq!(budget.next_waiting(), None, "nothing has changed");
        budget.end_upload(5);
        assert!(budget.next_waiting() == Some(b) && budget.take_upload(b, 30));
        assert!(budget.next_waiting() == Some(c) && !budget.take_upload(c, 10));
        budget.forget(c);
        budget.end_upload(20);
        assert_eq!((budget.next_waiting(), budget.next_waiting()), (Some(a), None));
    }
}
