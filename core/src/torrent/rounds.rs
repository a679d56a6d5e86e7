//! Unchoke slots: given in rounds by the choker, and at once where one is free.

use std::time::Duration;

use super::choker::{CHOKE_INTERVAL, Contender};
use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::key::PeerKey;
use crate::peer::{Peer, Peers};

/// How long a connection counts as new: the length of an optimistic unchoke.
const NEWCOMER_TIME: Duration = Duration::from_secs(30);

/// How soon a peer may be given a slot again that nobody else waits for, if it has had one and wanted
/// nothing for a moment. While everybody has few pieces, interest comes and goes with each of them, and
/// lines would lie idle until the next round; sooner than this it is only for show.
const REST_TIME: Duration = Duration::from_secs(1);

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
        self.choker.fit_slots(&cx.config, &sent);
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
        // A peer must not gain by changing its mind: who had a slot a moment ago comes last.
        waiting.sort_by_key(|key| !peers.get(*key).is_some_and(|peer| has_rested(cx, peer, CHOKE_INTERVAL)));
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

/// Whether a free slot may go to this peer: one that was told of little may have got it at once, and want
/// the next.
fn waits(cx: &Cx, peer: &Peer, may_flap: bool) -> bool {
    let wants = peer.open().is_some_and(|open| open.flow.am_choking && open.flow.peer_interested);
    wants && (may_flap || has_rested(cx, peer, REST_TIME))
}

/// Whether it was last given a slot so long ago.
fn has_rested(cx: &Cx, peer: &Peer, time: Duration) -> bool {
    peer.open().is_some_and(|open| open.unchoked_at.is_none_or(|at| cx.now.since(at) >= time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::machine::lab::Lab;
    use crate::wire::Message;

    #[test]
    fn a_slot_that_nobody_else_waits_for_goes_to_who_had_it_a_moment_ago() {
        let mut lab = Lab::new(Config { upload_slots: 1, upload_slots_max: 1, ..Config::default() }, "x.");
        let (first, second) = (lab.peer(1), lab.peer(2));
        let is_unchoked = |lab: &mut Lab, peer| lab.heard(peer).contains(&"unchoke".to_owned());
        let flap = |lab: &mut Lab, peer, pause| {
            lab.say(peer, Message::NotInterested);
            lab.pass(pause);
            lab.say(peer, Message::Interested);
        };
        lab.say(first, Message::Interested);
        assert!(is_unchoked(&mut lab, first));
        flap(&mut lab, first, REST_TIME / 2);
        assert!(!is_unchoked(&mut lab, first), "it may only show off");
        flap(&mut lab, first, REST_TIME);
        assert!(is_unchoked(&mut lab, first));
        // The other has waited for longer.
        lab.say(second, Message::Interested);
        lab.say(first, Message::NotInterested);
        assert!(is_unchoked(&mut lab, second));
    }
}
