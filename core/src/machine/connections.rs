//! Connections: accepted, dialled, proven by a handshake, ended.

use std::net::SocketAddr;

use super::Machine;
use crate::cx::{Cx, PeerTimer, TimerKey, TorrentTimer};
use crate::id::{InfoHash, PeerId};
use crate::key::{PeerKey, TorrentKey};
use crate::output::{CloseReason, Event, Output};
use crate::peer::{HANDSHAKE_TIMEOUT, Peer, Phase};
use crate::time::Instant;
use crate::torrent::{Ended, Source};
use crate::wire::{Handshake, Socks5};

impl Machine {
    pub(crate) fn accept(&mut self, now: Instant, addr: SocketAddr) -> Option<PeerKey> {
        self.cx.set_now(now);
        if self.shutting_down {
            return None;
        }
        // A socket for both families shows an IPv4 peer as an IPv6 one.
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let is_crowded = self.half_open.len() >= self.cx.config.half_open_max || self.is_full();
        let loser = if is_crowded { Some(self.find_place()?) } else { None };
        let cx = &mut self.cx;
        let key = self.peers.insert_with(|key| Peer::accepted(cx, key, addr));
        self.count_in(key);
        if let Some(loser) = loser {
            self.cx.close(loser, CloseReason::Crowded);
            self.settle();
        }
        Some(key)
    }

    pub(super) fn on_connected(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let torrent = peer.torrent.and_then(|torrent| self.torrents.get(torrent));
        match torrent {
            Some(torrent) if matches!(peer.phase, Phase::Connecting) => match negotiation(&self.cx, peer) {
                Some(socks) => peer.on_proxy(&mut self.cx, socks),
                None => peer.on_connected(&mut self.cx, torrent.info_hash()),
            },
            Some(_) | None => {}
        }
    }

    /// Both sides have shown who they are: is this a connection to keep?
    pub(super) fn on_handshake(&mut self, key: PeerKey, handshake: Handshake) -> Result<(), CloseReason> {
        let Handshake { info_hash, peer_id, .. } = handshake;
        let Some(peer) = self.peers.get(key) else { return Ok(()) };
        let torrent_key = self.by_hash.get(&info_hash).copied().ok_or(CloseReason::UnknownTorrent)?;
        if peer.torrent.is_some_and(|torrent| torrent != torrent_key) {
            return Err(CloseReason::UnknownTorrent);
        }
        let torrent = self.torrents.get(torrent_key).filter(|torrent| torrent.keeps_peers());
        let torrent = torrent.ok_or(CloseReason::UnknownTorrent)?;
        if peer_id == self.cx.peer_id {
            return self.on_ourselves(key, info_hash);
        }
        let (now, addr) = (self.cx.now, peer.addr);
        if torrent.candidates.is_banned(now, addr, Some(peer_id)) {
            return Err(CloseReason::Banned);
        }
        if torrent.is_strange(peer) {
            return Err(CloseReason::Private);
        }
        if let Some(other) = torrent.find_peer(peer_id) {
            if !self.is_preferred(peer, peer_id, other) {
                return Err(CloseReason::Duplicate);
            }
            self.cx.close(other, CloseReason::Duplicate);
        }
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(key), self.torrents.get_mut(torrent_key))
        else {
            return Ok(());
        };
        if peer.torrent.is_none() {
            peer.torrent = Some(torrent_key);
            peer.send_handshake(&mut self.cx, info_hash);
        }
        let piece_count = torrent.piece_count();
        peer.on_open(&mut self.cx, &handshake, piece_count);
        self.half_open.retain(|(_, half_open)| *half_open != key);
        torrent.on_peer_open(&mut self.cx, peer, &handshake);
        Ok(())
    }

    /// Both ends are ours. The one that was called answers and leaves it to the other to close: so
    /// it learns whose address it has dialled.
    fn on_ourselves(&mut self, key: PeerKey, info_hash: InfoHash) -> Result<(), CloseReason> {
        match self.peers.get_mut(key) {
            Some(peer) if !peer.outgoing => {
                // Nothing further is read. If it is someone who repeats our id, its time runs out.
                peer.phase = Phase::Ourselves;
                peer.send_handshake(&mut self.cx, info_hash);
                Ok(())
            }
            Some(_) | None => Err(CloseReason::Ourselves),
        }
    }

    /// Whether a second connection to one peer takes the place of the first, as it must at one of
    /// the two ends when both have called each other at once: else each would close the one that
    /// the other keeps. The call of the greater peer id counts.
    fn is_preferred(&self, peer: &Peer, id: PeerId, other: PeerKey) -> bool {
        let Some(other) = self.peers.get(other) else { return true };
        let Some(open) = other.open() else { return true };
        let at_once = self.cx.now.since(open.connected_at) < HANDSHAKE_TIMEOUT;
        at_once && peer.outgoing != other.outgoing && peer.outgoing == (self.cx.peer_id > id)
    }

    pub(super) fn add_candidates(
        &mut self,
        key: TorrentKey,
        addrs: impl IntoIterator<Item = SocketAddr>,
        source: Source,
    ) {
        let Some(torrent) = self.torrents.get_mut(key) else { return };
        for addr in addrs {
            torrent.add_candidate(&mut self.cx, addr, source);
        }
        self.want_dial(key);
    }

    /// Puts a torrent in line to dial, or sets the time when it will have an address ready.
    pub(super) fn want_dial(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get_mut(key).filter(|torrent| torrent.takes_peers()) else {
            return;
        };
        match torrent.candidates.next_at() {
            Some(_) if torrent.waits_to_dial => {}
            Some(at) if at <= self.cx.now => {
                torrent.waits_to_dial = true;
                self.dialling.push_back(key);
            }
            Some(at) => self.cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Dial), at),
            None => {}
        }
    }

    /// Dials for the torrents in line, in turn, while there is room.
    pub(super) fn dial(&mut self) {
        while self.half_open.len() < self.cx.config.half_open_max
            && !self.is_full()
            && !self.shutting_down
            && self.proxy.may_be_called(self.cx.now)
            && let Some(key) = self.dialling.pop_front()
        {
            let Some(torrent) = self.torrents.get_mut(key) else { continue };
            torrent.waits_to_dial = false;
            if !torrent.takes_peers() {
                continue;
            }
            // To whom we are connected already is called again only once that has ended.
            if let Some(addr) = torrent.candidates.next(self.cx.now)
                && !torrent.is_connected_to(addr)
                && let Some(hop) = self.cx.config.route.stream(addr)
            {
                let cx = &mut self.cx;
                let peer = self.peers.insert_with(|peer| Peer::connecting(cx, peer, addr, key));
                self.cx.outbox.push_back(Output::Connect { peer, hop });
                self.count_in(peer);
            }
            self.want_dial(key);
        }
        self.plan_turn();
    }

    /// Lets everyone speak again who owed blocks: who of them was not read is not kept.
    pub(super) fn resume_reads(&mut self) {
        for key in self.cx.budget.take_asked() {
            let Some(peer) = self.peers.get(key) else { continue };
            if peer.open().is_some_and(|open| !open.requests.is_empty()) {
                self.cx.budget.note_asked(key);
            }
            if peer.wants_read(&self.cx) {
                self.cx.outbox.push_back(Output::Resume { peer: key });
            }
        }
    }

    fn count_in(&mut self, key: PeerKey) {
        self.peer_count += 1;
        self.half_open.insert((self.cx.now, key));
    }

    /// Forgets a connection, everywhere. Without a reason, if the other side ended it.
    pub(super) fn end(&mut self, key: PeerKey, reason: Option<CloseReason>) {
        let Some(peer) = self.peers.remove(key) else { return };
        self.peer_count -= 1;
        self.half_open.retain(|(_, half_open)| *half_open != key);
        PeerTimer::ALL.into_iter().for_each(|timer| self.cx.timers.clear(TimerKey::Peer(key, timer)));
        self.cx.budget.end_upload(peer.upload_len());
        self.cx.budget.forget(key);
        peer.mover().into_iter().for_each(|mover| self.cx.limits.forget(mover));
        if let Some(reason) = reason {
            self.cx.outbox.push_back(Output::Close { peer: key, reason });
        }
        self.cx.event(Event::PeerClosed {
            torrent: peer.torrent,
            peer: key,
            addr: peer.addr,
            reason,
            downloaded_len: peer.open().map_or(0, |open| open.down.total()),
            uploaded_len: peer.open().map_or(0, |open| open.up.total()),
        });
        let is_proxys = self.blame_proxy(&peer, reason);
        let Some(torrent_key) = peer.torrent else { return };
        let Some(torrent) = self.torrents.get_mut(torrent_key) else { return };
        let ended = if is_proxys { Ended::Untried } else { ended(&peer, reason, torrent.is_leeching()) };
        torrent.on_peer_gone(&mut self.cx, &mut self.peers, &peer, ended);
        torrent.refill(&mut self.cx, &mut self.peers);
        torrent.hurry_if_alone(&mut self.cx);
        self.want_dial(torrent_key);
    }
}

/// What is to be said to the proxy, if this connection goes through one.
pub(super) fn negotiation(cx: &Cx, peer: &Peer) -> Option<Socks5> {
    let proxy = cx.config.route.proxy.as_ref().filter(|_| peer.outgoing)?;
    Some(Socks5::new(cx.names.target(peer.addr), proxy.login.clone()))
}

/// What the end of a connection means for the address that we had called.
fn ended(peer: &Peer, reason: Option<CloseReason>, leeching: bool) -> Ended {
    match reason {
        Some(CloseReason::Violation(_)) => Ended::Broken,
        Some(CloseReason::Ourselves | CloseReason::Banned) => Ended::Useless,
        Some(CloseReason::Redundant) => Ended::Redundant,
        Some(CloseReason::Duplicate) => Ended::Idle,
        Some(CloseReason::Crowded) if peer.open().is_some() => Ended::Idle,
        Some(
            CloseReason::UnknownTorrent
            | CloseReason::Timeout
            | CloseReason::Crowded
            | CloseReason::Private
            | CloseReason::TorrentGone
            | CloseReason::Proxy(_),
        )
        | None => match peer.open() {
            None => Ended::Failed,
            // A seed that sees a seed leaves, often before it has said that it is one.
            Some(open) if !leeching && open.down.total() + open.up.total() == 0 => Ended::Idle,
            Some(_) => Ended::WasOpen,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::lab::Lab;
    use crate::config::Config;
    use crate::id::PeerId;
    use crate::input::{CloseCause, Input};
    use crate::key::PeerKey;
    use crate::output::CloseReason;
    use std::time::Duration;

    /// A lab that has dialled peer 1, and that connection.
    fn caller(has: &str) -> (Lab, PeerKey) {
        let mut lab = Lab::new(Config::default(), has);
        lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(1));
        lab.drain();
        let (peer, _) = lab.dialled.pop().unwrap();
        lab.input(Input::Connected { peer });
        (lab, peer)
    }

    #[test]
    fn of_two_calls_at_once_both_ends_keep_the_same() {
        for (id, kept) in [(PeerId::new([0; 20]), "ours"), (PeerId::new([0xFF; 20]), "theirs")] {
            for ours_first in [true, false] {
                let (mut lab, ours) = caller("..");
                let theirs = lab.machine.accept(lab.now, Lab::addr(1)).unwrap();
                let order = if ours_first { [ours, theirs] } else { [theirs, ours] };
                order.into_iter().for_each(|peer| lab.greet(peer, id));
                let closed = if kept == "ours" { theirs } else { ours };
                assert_eq!(lab.closed, [(closed, CloseReason::Duplicate)], "{kept}, {ours_first}");
                assert_ne!(lab.is_there(ours), lab.is_there(theirs));
            }
        }
    }

    #[test]
    fn a_second_call_of_a_peer_that_has_been_here_is_refused() {
        let (mut lab, ours) = caller("..");
        let id = PeerId::new([0xFF; 20]);
        lab.greet(ours, id);
        lab.pass(Duration::from_secs(20));
        let theirs = lab.machine.accept(lab.now, Lab::addr(1)).unwrap();
        lab.greet(theirs, id);
        assert_eq!(lab.closed, [(theirs, CloseReason::Duplicate)]);
    }

    #[test]
    fn our_own_address_is_dialled_once() {
        let (mut lab, ours) = caller("..");
        let theirs = lab.machine.accept(lab.now, Lab::addr(9)).unwrap();
        let id = lab.machine.peer_id();
        lab.greet(theirs, id);
        assert!(lab.closed.is_empty() && lab.machine.peer(theirs).unwrap().queue.len() == 68, "it answers");
        lab.greet(ours, id);
        assert_eq!(lab.closed, [(ours, CloseReason::Ourselves)]);
        lab.input(Input::Closed { peer: theirs, cause: CloseCause::End });
        lab.pass(Duration::from_secs(10_000));
        assert!(lab.dialled.is_empty());
    }

    #[test]
    fn seeds_do_not_call_each_other_again_and_again() {
        let (mut lab, mut peer) = caller("xx");
        let mut count = 0;
        while lab.now.since_start() < Duration::from_secs(3600) {
            lab.greet(peer, PeerId::new([1; 20]));
            lab.input(Input::Closed { peer, cause: CloseCause::End });
            lab.pass(Duration::from_secs(10));
            if let Some((next, _)) = lab.dialled.pop() {
                peer = next;
                lab.input(Input::Connected { peer });
                count += 1;
            }
        }
        assert!(count <= 6, "{count} calls in an hour");
    }

    #[test]
    fn a_flood_of_calls_stays_within_the_bounds() {
        let config = Config { half_open_max: 3, ..Config::default() };
        let mut lab = Lab::new(config, "..");
        for number in 1..10 {
            lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(number));
        }
        for number in 10..100 {
            lab.machine.accept(lab.now, Lab::addr(number));
            assert!(lab.machine.peer_count <= 3 && lab.machine.half_open.len() <= 3);
        }
    }

    #[test]
    fn with_a_torrent_its_calls_end_too() {
        let (mut lab, ours) = caller("..");
        lab.machine.remove_torrent(lab.now, lab.torrent);
        lab.drain();
        assert_eq!(lab.closed, [(ours, CloseReason::TorrentGone)]);
    }
}
