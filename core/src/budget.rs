//! Memory for payload, counted in bytes against one limit for the whole session.
//!
//! A piece is counted whole from its opening until it is written or thrown away, so that every
//! block asked for has its place before it comes: no peer can push the process past the limit, and
//! a slow disk keeps new pieces from being opened. Payload read for peers is counted apart.

use std::collections::{BTreeSet, VecDeque};

use crate::key::{PeerKey, TorrentKey};

/// What is in use, and who waits for more.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    /// Bytes of open pieces and of pieces on their way to disk.
    pieces_len: u64,
    /// Bytes of payload being read or waiting to be sent.
    uploads_len: u64,
    /// Peers whose next read had no place.
    waiting: VecDeque<PeerKey>,
    /// Torrents that had no room to open a piece.
    starved: BTreeSet<TorrentKey>,
    /// Whether a piece has ended since the starved were last taken.
    freed: bool,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max as u64,
            pieces_len: 0,
            uploads_len: 0,
            waiting: VecDeque::new(),
            starved: BTreeSet::new(),
            freed: false,
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
    }

    /// The torrents that waited for room, once pieces have made some.
    pub(crate) fn take_starved(&mut self) -> BTreeSet<TorrentKey> {
        let freed = std::mem::take(&mut self.freed);
        if freed { std::mem::take(&mut self.starved) } else { BTreeSet::new() }
    }

    pub(crate) fn open_piece(&mut self, len: u32) {
        self.pieces_len += u64::from(len);
    }

    pub(crate) fn end_piece(&mut self, len: u32) {
        self.pieces_len = self.pieces_len.saturating_sub(u64::from(len));
        self.freed = true;
    }

    /// Takes `len` bytes for an upload, or notes that `peer` waits for them.
    ///
    /// Uploads may use half of the limit; the first is always allowed, so that one can go on.
    pub(crate) fn take_upload(&mut self, peer: PeerKey, len: u32) -> bool {
        let wanted = self.uploads_len + u64::from(len);
        if self.uploads_len > 0 && wanted > self.max / 2 {
            if !self.waiting.contains(&peer) {
                self.waiting.push_back(peer);
            }
            return false;
        }
        self.uploads_len = wanted;
        true
    }

    pub(crate) fn end_upload(&mut self, len: u64) {
        self.uploads_len = self.uploads_len.saturating_sub(len);
    }

    /// The next peer that waits, if there is room again.
    pub(crate) fn next_waiting(&mut self) -> Option<PeerKey> {
        (self.uploads_len < self.max / 2).then(|| self.waiting.pop_front()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

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
    fn an_upload_that_does_not_fit_waits_its_turn() {
        let (a, b) = (PeerKey::new(0, 0), PeerKey::new(1, 0));
        let mut budget = Budget::new(100);
        assert!(budget.take_upload(a, 80), "the first always fits");
        assert!(!budget.take_upload(b, 1) && !budget.take_upload(b, 1));
        assert_eq!(budget.next_waiting(), None);
        budget.end_upload(80);
        assert_eq!((budget.next_waiting(), budget.next_waiting()), (Some(b), None));
    }
}
