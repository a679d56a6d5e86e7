//! Torrents that end: kept until their trackers and the disk have been told.

use super::Machine;
use crate::cx::{TimerKey, TorrentTimer};
use crate::key::TorrentKey;
use crate::output::CloseReason;

impl Machine {
    pub(super) fn close_torrent(&mut self, key: TorrentKey) {
        if let Some(torrent) = self.torrents.get_mut(key) {
            torrent.close(&mut self.cx);
            self.closing.insert(key);
            self.maybe_closed.push(key);
        }
        // Those that have shaken hands are ended by the torrent.
        for (_, half_open) in &self.half_open {
            if self.peers.get(*half_open).is_some_and(|peer| peer.torrent == Some(key)) {
                self.cx.close(*half_open, CloseReason::TorrentGone);
            }
        }
    }

    /// Something was done about a torrent: if it is closing, that may have been the last.
    pub(super) fn may_have_closed(&mut self, key: TorrentKey) {
        if self.closing.contains(&key) {
            self.maybe_closed.push(key);
        }
    }

    /// Whichever tracker has not heard by now that we stop will not.
    pub(super) fn give_trackers_up(&mut self) {
        self.trackers_awaited = false;
        self.maybe_closed.extend(&self.closing);
    }

    /// Forgets the torrents that have told everyone that they end.
    pub(super) fn forget_closed(&mut self) {
        let (trackers_awaited, cx) = (self.trackers_awaited, &mut self.cx);
        for key in self.maybe_closed.drain(..) {
            let Some(torrent) = self.torrents.get_mut(key) else { continue };
            if !torrent.is_closed(trackers_awaited) {
                continue;
            }
            torrent.leave_phase(cx);
            TorrentTimer::ALL.into_iter().for_each(|timer| cx.timers.clear(TimerKey::Torrent(key, timer)));
            self.trackers.forget_torrent(cx, key);
            cx.limits.forget_torrent(key);
            self.by_hash.remove(&torrent.info_hash());
            self.torrents.remove(key);
            self.closing.remove(&key);
        }
        if self.shutting_down && self.torrents.is_empty() {
            self.shut_down = true;
            self.cx.timers.clear(TimerKey::StopAnnounce);
            self.cx.timers.clear(TimerKey::Shutdown);
            self.cx.timers.clear(TimerKey::CheckBind);
        }
    }
}
