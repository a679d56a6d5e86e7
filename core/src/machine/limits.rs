//! Limits of payload per second: who waits for one is told when it may go on.

use super::Machine;
use crate::cx::TimerKey;
use crate::key::{PeerKey, TorrentKey};
use crate::limit::Limits;
use crate::output::Output;
use crate::time::Instant;

/// The least that is read at once, in bytes, where a limit leaves less: reads cost too.
const READ_LEN_MIN: u64 = 1024;

impl Machine {
    /// Sets the limits of a torrent, or of the session.
    pub(crate) fn set_limits(&mut self, now: Instant, torrent: Option<TorrentKey>, limits: Limits) {
        self.cx.set_now(now);
        if torrent.is_none_or(|torrent| self.torrents.get(torrent).is_some()) {
            self.cx.limits.set(self.cx.now, torrent, limits);
        }
        // Who waits may have to wait less long, or not at all.
        self.cx.limits.tick_at = None;
        self.settle();
    }

    /// How much to read from a peer at once at most.
    pub(crate) fn read_len_max(&self, key: PeerKey) -> usize {
        let owing = self.peers.get(key).filter(|peer| peer.owes());
        let share = owing.and_then(|peer| peer.mover()).map(|mover| self.cx.limits.down.share_of(mover));
        let share = share.unwrap_or(u64::MAX).max(READ_LEN_MIN);
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// Gives those who wait for a limit their next shares.
    pub(super) fn share_out(&mut self) {
        self.cx.limits.tick_at = None;
        for (torrent, key) in self.cx.limits.down.tick(self.cx.now) {
            if let Some(peer) = self.peers.get(key) {
                if peer.wants_read(&self.cx) {
                    self.cx.outbox.push_back(Output::Resume { peer: key });
                }
            } else if let Some(torrent) = self.torrents.get_mut(torrent) {
                torrent.fill_web(&mut self.cx);
            }
        }
        for (torrent, key) in self.cx.limits.up.tick(self.cx.now) {
            if let Some(torrent) = self.torrents.get(torrent) {
                torrent.pump_uploads(&mut self.cx, &mut self.peers, key);
            }
        }
    }

    /// Wakes us when somebody in line may get something, if anybody is.
    pub(super) fn set_limits_timer(&mut self) {
        if self.cx.limits.tick_at.is_none()
            && let Some(at) = self.cx.limits.wake_at(self.cx.now)
        {
            self.cx.limits.tick_at = Some(at);
            self.cx.timers.set(TimerKey::Limits, at);
        }
    }
}
