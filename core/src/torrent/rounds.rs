//! Unchoke slots: given in rounds by the choker, and at once where one is free.

use std::time::Duration;

use super::choker::{CHOKE_INTERVAL, Contender};
use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::key::PeerKey;
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
        if self.peers.is_empty() || !self.takes_peers() || !self.has_metadata() {
            return;
        }
        if let Phase::Leeching(download) = &mut self.phase {
            download.hand_over_late(cx, peers);
            for key in &self.peers {
                let Some(peer) = peers.get_mut(*key) else { continue };
                let lost = peer.open().map_or_else(Vec::new, |open| open.requests.lost());
                download.take_back(cx, peer, lost);
                download.refill |= peer.open_mut().is_some_and(|open| open.requests.retry());
            }
        }
        self.super_seed_round(cx, peers);
        let seeding = matches!(self.phase, Phase::Seeding);
        let mut sent = Vec::new();
        let mut contenders = Vec::with_capacity(self.peers.len());
        for key in &self.peers {
            let Some(peer) = peers.get_mut(*key) else { continue };
            // What our own limit holds up is not the peer's fault.
            let (could_move, is_held) = (peer.could_move(), peer.is_held(cx));
            let Some(open) = peer.open_mut() else { continue };
            let totals = (open.down.total(), open.up.total());
            let (down, up) = (totals.0 - open.round_start.0, totals.1 - open.round_start.1);
            open.round_start = totals;
            open.worth.on_round(cx.now, down + up > 0 || is_held, could_move);
            if !open.flow.am_choking {
                sent.push(up);
            }
            if down > 0 {
                self.last_giver = Some(*key);
            }
            contenders.push(Contender {
                peer: *key,
                interested: open.flow.peer_interested,
                snubbed: !seeding && open.requests.snubbed,
                moved_len: if seeding { up } else { down },
                unchoked_at: open.unchoked_at,
                unchoked: !open.flow.am_choking,
                newcomer: cx.now.since(open.connected_at) < NEWCOMER_TIME,
                given_len: totals.1,
                has_share: open.pieces.count().saturating_mul(1000) / open.pieces.piece_count().max(1),
            });
        }
        self.choker.fit_slots(&cx.config, sent);
        let order = seeding.then_some(cx.config.seed_choking);
        let chosen = self.choker.rank(cx.now, &mut cx.rng, order, &contenders);
        for contender in &contenders {
            let Some(peer) = peers.get_mut(contender.peer) else { continue };
            if chosen.contains(&contender.peer) {
                self.unchoked_count += usize::from(peer.unchoke(cx));
            } else {
                self.unchoked_count -= usize::from(peer.choke(cx));
            }
        }
        self.start_rounds(cx);
        self.refill(cx, peers);
    }

    /// Unchokes peers that wait while slots are free, without waiting for the next round.
    pub(super) fn fill_slots(&mut self, cx: &mut Cx, peers: &mut Peers) {
        self.slots_changed = false;
        let free = self.choker.slots().saturating_sub(self.unchoked_count);
        if free == 0 || !self.takes_peers() {
            return;
        }
        let may_flap = self.is_super_seeding();
        let waits = |key: &PeerKey| peers.get(*key).is_some_and(|peer| waits(cx, peer, may_flap));
        let mut waiting: Vec<PeerKey> = self.peers.iter().copied().filter(waits).collect();
        cx.rng.shuffle(&mut waiting);
        for key in waiting.into_iter().take(free) {
            if let Some(peer) = peers.get_mut(key) {
                self.unchoked_count += usize::from(peer.unchoke(cx));
            }
        }
    }

    /// Unchokes a peer that has come to want something, if a slot is free.
    pub(super) fn offer_slot(&mut self, cx: &mut Cx, peer: &mut Peer) {
        if self.unchoked_count < self.choker.slots()
            && self.takes_peers()
            && waits(cx, peer, self.is_super_seeding())
        {
            self.unchoked_count += usize::from(peer.unchoke(cx));
        }
    }
}

/// Whether a free slot may go to this peer. Not to one that had a slot a moment ago: a peer must not
/// gain by changing its mind. But one that was told of little may have got it, and want the next.
fn waits(cx: &Cx, peer: &Peer, may_flap: bool) -> bool {
    peer.open().is_some_and(|open| {
        let rested = may_flap || open.unchoked_at.is_none_or(|at| cx.now.since(at) >= CHOKE_INTERVAL);
        open.flow.am_choking && open.flow.peer_interested && rested
    })
}
