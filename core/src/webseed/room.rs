//! How many GETs of web seeds are under way in the whole session.

use std::collections::BTreeSet;

use crate::key::TorrentKey;

/// GETs at once. Fewer than a runtime has workers in its net lane, which is for trackers too.
const FETCHES_MAX: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct WebRoom {
    count: usize,
    /// Torrents that found no room.
    waiting: BTreeSet<TorrentKey>,
    /// Torrents for which a place is kept that another gave back.
    called: BTreeSet<TorrentKey>,
}

impl WebRoom {
    /// Takes a place, or notes that the torrent waits for one.
    pub(crate) fn take(&mut self, torrent: TorrentKey) -> bool {
        self.called.remove(&torrent);
        let room = self.count + self.called.len() < FETCHES_MAX;
        if room {
            self.count += 1;
        } else {
            self.waiting.insert(torrent);
        }
        room
    }

    /// Gives a place back. Returns a torrent that waits for it, if one does: it is kept for that one
    /// until it has taken or declined it.
    pub(crate) fn give_back(&mut self, torrent: TorrentKey) -> Option<TorrentKey> {
        self.count = self.count.saturating_sub(1);
        self.call(torrent)
    }

    /// A torrent that was called has taken what it wanted. Returns who is called in its place, if it
    /// wanted nothing.
    pub(crate) fn decline(&mut self, torrent: TorrentKey) -> Option<TorrentKey> {
        if self.called.remove(&torrent) { self.call(torrent) } else { None }
    }

    /// The next in turn behind `torrent`, so that all have theirs.
    fn call(&mut self, torrent: TorrentKey) -> Option<TorrentKey> {
        let behind = self.waiting.range(torrent..).find(|key| **key != torrent);
        let next = behind.or_else(|| self.waiting.first()).copied()?;
        self.waiting.remove(&next);
        self.called.insert(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key as _;

    #[test]
    fn a_place_that_is_free_goes_to_who_waits() {
        let [a, b, c] = [0, 1, 2].map(|index| TorrentKey::new(index, 0));
        let mut room = WebRoom::default();
        assert!((0..FETCHES_MAX).all(|_| room.take(a)));
        assert!(!room.take(b) && !room.take(c));
        assert_eq!(room.give_back(a), Some(b));
        assert!(!room.take(a), "it is kept for b");
        assert_eq!(room.decline(b), Some(c));
        assert!(room.take(c) && room.decline(c).is_none());
        assert_eq!(room.give_back(c), Some(a));
    }
}
