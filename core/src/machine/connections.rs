//! Connections: accepted, dialled, proven by a handshake, ended.

use std::net::SocketAddr;

use super::Machine;
use crate::cx::{PeerTimer, TimerKey, TorrentTimer};
use crate::key::{PeerKey, TorrentKey};
use crate::output::{CloseReason, Event, Output};
use crate::peer::{Peer, Phase};
use crate::time::Instant;
use crate::torrent::{Ended, Source};
use crate::wire::Handshake;

impl Machine {
    pub(crate) fn accept(&mut self, now: Instant, addr: SocketAddr) -> Option<PeerKey> {
        self.cx.now = now;
        if self.shutting_down {
            return None;
        }
        // A socket for both families shows an IPv4 peer as an IPv6 one.
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        let incoming = |key: &PeerKey| self.peers.get(*key).is_some_and(|peer| !peer.outgoing);
        let crowded = self.half_open.len() >= self.cx.config.half_open_max;
        if crowded || self.peer_count >= self.cx.config.peers_max {
            // Whoever proves itself may stay: the oldest that has not done so makes room.
            let oldest = self.half_open.iter().map(|(_, key)| *key).find(incoming)?;
            self.cx.close(oldest, CloseReason::Crowded);
            self.settle();
        }
        let cx = &mut self.cx;
        let key = self.peers.insert_with(|key| Peer::accepted(cx, key, addr));
        self.count_in(key);
        Some(key)
    }

    pub(super) fn on_connected(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let torrent = peer.torrent.and_then(|torrent| self.torrents.get(torrent));
        match torrent {
            Some(torrent) if matches!(peer.phase, Phase::Connecting) => {
                peer.on_connected(&mut self.cx, torrent.info_hash());
            }
            Some(_) | None => {}
        }
    }

    /// Both sides have shown who they are: is this a connection to keep?
    pub(super) fn on_handshake(&mut self, key: PeerKey, handshake: Handshake) -> Result<(), CloseReason> {
        let Handshake { info_hash, peer_id, .. } = handshake;
        let Some(peer) = self.peers.get_mut(key) else { return Ok(()) };
        let torrent_key = self.by_hash.get(&info_hash).copied().ok_or(CloseReason::UnknownTorrent)?;
        if peer.torrent.is_some_and(|torrent| torrent != torrent_key) {
            return Err(CloseReason::UnknownTorrent);
        }
        let torrent = self.torrents.get(torrent_key).filter(|torrent| torrent.takes_peers());
        let torrent = torrent.ok_or(CloseReason::UnknownTorrent)?;
        if peer_id == self.cx.peer_id {
            return Err(CloseReason::Ourselves);
        }
        let (now, addr) = (self.cx.now, peer.addr);
        if torrent.candidates.is_banned(now, addr, Some(peer_id)) {
            return Err(CloseReason::Banned);
        }
        if torrent.knows_peer(&self.peers, peer_id) {
            return Err(CloseReason::Duplicate);
        }
        let (Some(peer), Some(torrent)) = (self.peers.get_mut(key), self.torrents.get_mut(torrent_key))
        else {
            return Ok(());
        };
        if peer.torrent.is_none() {
            peer.torrent = Some(torrent_key);
            peer.send_handshake(&mut self.cx, info_hash);
        }
        let piece_count = torrent.storage.metainfo.geometry().piece_count();
        peer.on_open(&mut self.cx, peer_id, piece_count);
        self.half_open.retain(|(_, half_open)| *half_open != key);
        torrent.on_peer_open(&mut self.cx, peer);
        Ok(())
    }

    pub(super) fn on_closed(&mut self, key: PeerKey) {
        let ended = match self.peers.get(key) {
            Some(peer) if peer.is_half_open() => Ended::Failed,
            Some(_) => Ended::WasOpen,
            None => return,
        };
        self.end(key, ended, None);
    }

    pub(super) fn add_candidates(
        &mut self,
        key: TorrentKey,
        addrs: impl IntoIterator<Item = SocketAddr>,
        source: Source,
    ) {
        let Some(torrent) = self.torrents.get_mut(key) else { return };
        for addr in addrs {
            torrent.candidates.add(self.cx.now, &mut self.cx.rng, addr, source);
        }
        self.want_dial(key);
    }

    /// Puts a torrent in line to dial, or sets the time when it will have an address ready.
    pub(super) fn want_dial(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get(key).filter(|torrent| torrent.takes_peers()) else { return };
        match torrent.candidates.next_at() {
            Some(_) if self.dialling.contains(&key) => {}
            Some(at) if at <= self.cx.now => self.dialling.push_back(key),
            Some(at) => self.cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Dial), at),
            None => {}
        }
    }

    /// Dials for the torrents in line, in turn, while there is room.
    pub(super) fn dial(&mut self) {
        while self.half_open.len() < self.cx.config.half_open_max
            && self.peer_count < self.cx.config.peers_max
            && !self.shutting_down
            && let Some(key) = self.dialling.pop_front()
        {
            let Some(torrent) = self.torrents.get_mut(key).filter(|torrent| torrent.takes_peers()) else {
                continue;
            };
            if let Some(addr) = torrent.candidates.next(self.cx.now) {
                let cx = &mut self.cx;
                let peer = self.peers.insert_with(|peer| Peer::connecting(cx, peer, addr, key));
                self.cx.outbox.push_back(Output::Connect { peer, addr });
                self.count_in(peer);
            }
            self.want_dial(key);
        }
    }

    fn count_in(&mut self, key: PeerKey) {
        self.peer_count += 1;
        self.half_open.insert((self.cx.now, key));
    }

    /// Forgets a connection, everywhere.
    pub(super) fn end(&mut self, key: PeerKey, ended: Ended, reason: Option<CloseReason>) {
        let Some(peer) = self.peers.remove(key) else { return };
        self.peer_count -= 1;
        self.half_open.retain(|(_, half_open)| *half_open != key);
        PeerTimer::ALL.into_iter().for_each(|timer| self.cx.timers.clear(TimerKey::Peer(key, timer)));
        self.cx.budget.end_upload(peer.upload_len());
        self.cx.budget.forget(key);
        if let Some(reason) = reason {
            self.cx.outbox.push_back(Output::Close { peer: key, reason });
        }
        self.cx.event(Event::PeerClosed { torrent: peer.torrent, peer: key, addr: peer.addr, reason });
        let Some(torrent_key) = peer.torrent else { return };
        let Some(torrent) = self.torrents.get_mut(torrent_key) else { return };
        torrent.on_peer_gone(&mut self.cx, &mut self.peers, &peer);
        if peer.outgoing {
            torrent.candidates.on_ended(self.cx.now, &mut self.cx.rng, peer.addr, ended);
        }
        torrent.refill(&mut self.cx, &mut self.peers);
        self.want_dial(torrent_key);
    }
}
