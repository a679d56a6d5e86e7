//! Turnover: what connections that come to nothing hold goes to others when all places are taken.
//!
//! Who calls gets such a place at once. Addresses that wait to be dialled get some from time to time:
//! most of them come to nothing themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Machine;
use crate::cx::TimerKey;
use crate::key::PeerKey;
use crate::output::CloseReason;
use crate::time::Instant;
use crate::torrent::Idle;

/// Time between two turns in which addresses that wait get places, and the part of all places that one
/// turn gives at most. libtorrent gives a twenty-fifth every five minutes, of whatever use its peers are.
const TURN_INTERVAL: Duration = Duration::from_secs(60);
const TURN_SHARE: usize = 20;

/// How long a list of dispensable connections is good: each of it is looked at again, but what has
/// become dispensable since is missing.
const LIST_TIME: Duration = Duration::from_secs(10);

/// How long a caller has to show its handshake before it rather than a peer makes room for another.
const PROOF_TIME: Duration = Duration::from_secs(2);

/// Who can go.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    /// Dispensable connections when it was looked last, the least loss last.
    list: Vec<PeerKey>,
    listed_at: Option<Instant>,
    turned_at: Option<Instant>,
    /// Whether the timer is set.
    is_set: bool,
}

impl Machine {
    pub(super) fn is_full(&self) -> bool {
        self.peer_count >= self.cx.config.peers_max
    }

    /// Whose place a caller gets when there is none: that of the oldest other caller that has not shown
    /// who it is in time, or of the peer that is the least loss, or of any such caller.
    pub(super) fn find_place(&mut self) -> Option<PeerKey> {
        let is_incoming = |key: PeerKey| self.peers.get(key).is_some_and(|peer| !peer.outgoing);
        let oldest = self.half_open.iter().copied().find(|(_, key)| is_incoming(*key));
        let is_late = oldest.is_some_and(|(since, _)| self.cx.now.since(since) >= PROOF_TIME);
        let peer = if is_late || !self.is_full() { None } else { self.take_dispensable() };
        peer.or_else(|| oldest.map(|(_, key)| key))
    }

    /// The connection that is the least loss, of those that are dispensable.
    fn take_dispensable(&mut self) -> Option<PeerKey> {
        let now = self.cx.now;
        let is_old = self.turnover.listed_at.is_none_or(|at| now.since(at) >= LIST_TIME);
        if is_old && self.turnover.list.is_empty() {
            self.list_dispensable();
        }
        while let Some(key) = self.turnover.list.pop() {
            if self.is_dispensable(key).is_some() && !self.is_depended_on(key) {
                return Some(key);
            }
        }
        None
    }

    /// Looks at all connections.
    fn list_dispensable(&mut self) {
        self.turnover.listed_at = Some(self.cx.now);
        let list = self.peers.iter().filter_map(|(key, _)| Some((self.is_dispensable(key)?, key)));
        let sorted: BTreeSet<_> = list.collect();
        self.turnover.list = sorted.into_iter().rev().map(|(_, key)| key).collect();
    }

    fn is_dispensable(&self, key: PeerKey) -> Option<(Idle, Instant)> {
        let peer = self.peers.get(key)?;
        self.torrents.get(peer.torrent?)?.is_dispensable(self.cx.now, peer)
    }

    fn is_depended_on(&self, key: PeerKey) -> bool {
        let peer = self.peers.get(key);
        let torrent = peer.and_then(|peer| self.torrents.get(peer.torrent?));
        peer.zip(torrent).is_some_and(|(peer, torrent)| torrent.depends_on(peer))
    }

    /// If addresses wait and there is no place for them, some will be given one in a while.
    pub(super) fn plan_turn(&mut self) {
        if self.turnover.is_set || self.dialling.is_empty() || !self.is_full() || self.shutting_down {
            return;
        }
        self.turnover.is_set = true;
        let at = self.turnover.turned_at.map_or(self.cx.now, |at| at + TURN_INTERVAL);
        self.cx.timers.set(TimerKey::Turnover, at.max(self.cx.now));
    }

    /// The while is over.
    pub(super) fn on_turn(&mut self) {
        self.turnover.is_set = false;
        self.turnover.turned_at = Some(self.cx.now);
        if self.dialling.is_empty() || !self.is_full() {
            return;
        }
        self.list_dispensable();
        for _ in 0..(self.cx.config.peers_max / TURN_SHARE).max(1) {
            let Some(key) = self.take_dispensable() else { break };
            self.cx.close(key, CloseReason::Crowded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lab::Lab;
    use super::*;
    use crate::config::Config;
    use crate::wire::Message;

    const MINUTE: Duration = Duration::from_secs(60);

    fn lab(peers_max: usize, has: &str) -> Lab {
        Lab::new(Config { peers_max, upload_slots: 1, ..Config::default() }, has)
    }

    /// Lets minutes pass in which all show that they are there.
    fn pass(lab: &mut Lab, minutes: u32, peers: &[PeerKey]) {
        for _ in 0..minutes {
            for peer in peers.iter().filter(|peer| lab.is_there(**peer)).copied().collect::<Vec<_>>() {
                lab.heard(peer);
                lab.say(peer, Message::KeepAlive);
            }
            lab.pass(MINUTE);
        }
    }

    /// Who had to go.
    fn crowded(lab: &Lab) -> Vec<PeerKey> {
        let it = lab.closed.iter().filter(|(_, reason)| *reason == CloseReason::Crowded);
        it.map(|(peer, _)| *peer).collect()
    }

    #[test]
    fn addresses_that_wait_get_the_places_of_who_has_nothing_one_after_the_other() {
        let mut lab = lab(3, "x.");
        let peers = [1, 2, 3].map(|number| lab.peer(number));
        [4, 5].iter().for_each(|number| lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(*number)));
        pass(&mut lab, 1, &peers);
        assert!(lab.closed.is_empty() && lab.dialled.is_empty());
        pass(&mut lab, 1, &peers);
        assert_eq!(crowded(&lab), [peers[0]], "one a minute");
        lab.pass(MINUTE / 2);
        let is_called = |number| lab.dialled.iter().any(|(_, addr)| *addr == Lab::addr(number));
        assert!(is_called(4) && is_called(5), "the first of them did not answer");
    }

    #[test]
    fn nobody_goes_where_nobody_waits() {
        let mut lab = lab(2, "x.");
        let peers = [1, 2].map(|number| lab.peer(number));
        pass(&mut lab, 30, &peers);
        assert!(lab.closed.is_empty());
    }

    #[test]
    fn a_caller_gets_the_place_of_the_least_loss() {
        let mut lab = lab(3, ".x");
        let (waits, mute) = (lab.peer(1), lab.giver(2, "x."));
        lab.say(waits, Message::Interested);
        assert_eq!(lab.requests(mute).len(), 2);
        let idle = lab.peer(3);
        assert_eq!(lab.machine.accept(lab.now, Lab::addr(4)), None, "they have just come");
        pass(&mut lab, 6, &[waits, idle, mute]);
        let mut gone = Vec::new();
        for number in 5..7 {
            lab.peer(number);
            gone.extend(lab.closed.drain(..).map(|(peer, _)| peer));
        }
        assert_eq!(gone, [idle, waits], "the other one alone has what is missing");
        assert!(lab.is_there(mute));
    }

    #[test]
    fn who_gave_something_last_stays_and_so_does_who_gives() {
        let mut lab = lab(2, "....");
        let (first, last) = (lab.giver(1, "xxxx"), lab.giver(2, "xxxx"));
        for peer in [first, last] {
            let block = lab.requests(peer)[0];
            lab.give(peer, block);
            lab.pass(MINUTE / 6);
        }
        pass(&mut lab, 3, &[first, last]);
        lab.peer(3);
        assert_eq!(lab.closed, [(first, CloseReason::Crowded)]);
        pass(&mut lab, 10, &[last]);
        lab.machine.accept(lab.now, Lab::addr(4));
        assert!(lab.is_there(last));
    }

    #[test]
    fn a_seed_keeps_who_waits_for_a_slot_and_not_who_has_one_and_asks_for_nothing() {
        let mut lab = lab(3, "xx");
        let peers = [1, 2, 3].map(|number| lab.peer(number));
        peers.iter().for_each(|peer| lab.say(*peer, Message::Interested));
        pass(&mut lab, 2, &[]);
        assert_eq!(lab.machine.accept(lab.now, Lab::addr(4)), None, "nobody has had the slot for a minute");
        // Chance gives it every half minute.
        pass(&mut lab, 8, &peers);
        [4, 5, 6].iter().for_each(|number| _ = lab.peer(*number));
        assert_eq!(crowded(&lab).len(), 3, "in its turns each is found out");
    }

    #[test]
    fn without_metadata_who_has_it_stays_for_longer() {
        let mut lab = Lab::of_magnet(Config { peers_max: 2, ..Config::default() }, "..");
        let (has, other) = (lab.exchanger(1), lab.peer(2));
        let ids = crate::extension::Kind::ALL.map(|kind| Some(kind.id()));
        let hello = crate::extension::Hello { ids, metadata_len: Some(1000), ..Default::default() };
        lab.hello(has, &hello);
        pass(&mut lab, 3, &[has, other]);
        assert!(lab.machine.accept(lab.now, Lab::addr(3)).is_some());
        lab.drain();
        assert_eq!(lab.closed, [(other, CloseReason::Crowded)]);
        lab.pass(Duration::ZERO);
    }
}
