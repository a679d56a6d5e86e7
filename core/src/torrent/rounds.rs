//! Unchoke slots: given in rounds by the choker, and at once where one is free.

use std::time::Duration;

use super::choker::{CHOKE_INTERVAL, Contender};
use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::peer::{Peer, Peers};

/// How long a connection counts as new: the length of an optimistic unchoke.
const NEWCOMER_TIME: Duration = Duration::from_secs(30);

impl Torrent {
    /// The first peer is there: rounds begin.
    pub(super) fn start_rounds(&self, cx: &mut Cx) {
        cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Choke), cx.now + CHOKE_INTERVAL);
    }

    /// Gives the slots anew, by what every peer has done since the last round.
    pub(crate) fn on_choke_timer(&mut self, cx: &mut Cx, peers: &mut Peers) {
        if self.peers.is_empty() || !self.takes_peers() {
            return;
        }
        if let Phase::Leeching(download) = &mut self.phase {
            download.hand_over_late(cx, peers);
        }
        let seeding = matches!(self.phase, Phase::Seeding);
        let mut contenders = Vec::with_capacity(self.peers.len());
        for key in &self.peers {
            let Some(open) = peers.get_mut(*key).and_then(Peer::open_mut) else { continue };
            let totals = (open.down.total(), open.up.total());
            let (down, up) = (totals.0 - open.round_start.0, totals.1 - open.round_start.1);
            open.round_start = totals;
            contenders.push(Contender {
                peer: *key,
                interested: open.flow.peer_interested,
                snubbed: open.requests.snubbed,
                moved_len: if seeding { up } else { down },
                newcomer: cx.now.since(open.connected_at) < NEWCOMER_TIME,
            });
        }
        let chosen = self.choker.rank(&mut cx.rng, seeding, cx.config.upload_slots, &contenders);
        for contender in &contenders {
            let Some(peer) = peers.get_mut(contender.peer) else { continue };
            if chosen.contains(&contender.peer) {
                peer.unchoke(cx);
            } else {
                peer.choke(cx);
            }
        }
        self.start_rounds(cx);
        self.refill(cx, peers);
    }

    /// Unchokes peers that wait while slots are free, without waiting for the next round.
    pub(super) fn fill_slots(&mut self, cx: &mut Cx, peers: &mut Peers) {
        self.slots_changed = false;
        if !self.takes_peers() {
            return;
        }
        let mut waiting = Vec::new();
        let mut taken = 0;
        for key in &self.peers {
            let Some(open) = peers.get(*key).and_then(Peer::open) else { continue };
            taken += usize::from(!open.flow.am_choking);
            if open.flow.am_choking && open.flow.peer_interested {
                waiting.push(*key);
            }
        }
        cx.rng.shuffle(&mut waiting);
        for key in waiting.into_iter().take(cx.config.upload_slots.saturating_sub(taken)) {
            if let Some(peer) = peers.get_mut(key) {
                peer.unchoke(cx);
            }
        }
    }
}
