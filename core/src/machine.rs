//! The session's inside: looks up keys, routes inputs, makes and ends connections.
//!
//! No rule of the protocol is here. A handler that finds a reason to end a connection leaves it in
//! `Cx::to_close`; every input ends with `settle`, which ends those and gives their places to others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::cx::{Cx, PeerTimer, TimerKey, TorrentTimer};
use crate::id::{InfoHash, PeerId};
use crate::input::Input;
use crate::job::JobDone;
use crate::key::{PeerKey, Slab, TorrentKey};
use crate::output::{CloseReason, Event, Output, Progress};
use crate::peer::{Peer, PeerError, Peers, Phase};
use crate::session::{AddTorrent, AddTorrentError};
use crate::time::Instant;
use crate::torrent::{Ended, Source, Torrent};
use crate::wire::{Handshake, HandshakeStep, Step, WireError};

/// How long a shutdown waits for trackers: enough for one round trip to a live one.
const STOP_ANNOUNCE_TIMEOUT: Duration = Duration::from_millis(900);

/// How long a shutdown waits for the disk: within the five seconds that a user is promised.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// The least time between two progress events: with none, time would stand still.
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// All state of a session.
#[derive(Debug)]
pub(crate) struct Machine {
    cx: Cx,
    peers: Peers,
    torrents: Slab<TorrentKey, Torrent>,
    by_hash: BTreeMap<InfoHash, TorrentKey>,
    /// Connections, and those of them that have not shown a handshake, the oldest first.
    peer_count: usize,
    half_open: BTreeSet<(Instant, PeerKey)>,
    /// Torrents with an address ready to dial, in turn.
    dialling: VecDeque<TorrentKey>,
    /// Torrents that end and have not told everyone yet.
    closing: Vec<TorrentKey>,
    shutting_down: bool,
    /// Whether trackers are still waited for.
    trackers_awaited: bool,
    shut_down: bool,
}

impl Machine {
    pub(crate) fn new(config: Config, seed: u64, now: Instant) -> Self {
        let progress_interval = config.progress_interval.map(|time| time.max(PROGRESS_INTERVAL_MIN));
        let config = Config { progress_interval, ..config };
        Self {
            cx: Cx::new(config, seed, now),
            peers: Slab::default(),
            torrents: Slab::default(),
            by_hash: BTreeMap::new(),
            peer_count: 0,
            half_open: BTreeSet::new(),
            dialling: VecDeque::new(),
            closing: Vec::new(),
            shutting_down: false,
            trackers_awaited: true,
            shut_down: false,
        }
    }

    pub(crate) const fn peer_id(&self) -> PeerId {
        self.cx.peer_id
    }

    pub(crate) fn add_torrent(
        &mut self,
        now: Instant,
        add: AddTorrent,
    ) -> Result<TorrentKey, AddTorrentError> {
        self.cx.now = now;
        if self.shutting_down {
            return Err(AddTorrentError::ShuttingDown);
        }
        let info_hash = add.metainfo.info_hash();
        if let Some(key) = self.by_hash.get(&info_hash) {
            return Err(AddTorrentError::Duplicate(*key));
        }
        let cx = &mut self.cx;
        let key = self.torrents.insert_with(|key| Torrent::new(cx, key, add));
        self.by_hash.insert(info_hash, key);
        Ok(key)
    }

    pub(crate) fn remove_torrent(&mut self, now: Instant, torrent: TorrentKey) {
        self.cx.now = now;
        self.close_torrent(torrent);
        self.settle();
    }

    pub(crate) fn add_peer(&mut self, now: Instant, torrent: TorrentKey, addr: SocketAddr) {
        self.cx.now = now;
        self.add_candidates(torrent, [addr], Source::User);
        self.settle();
    }

    pub(crate) fn shut_down(&mut self, now: Instant) {
        self.cx.now = now;
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.cx.timers.set(TimerKey::StopAnnounce, now + STOP_ANNOUNCE_TIMEOUT);
        self.cx.timers.set(TimerKey::Shutdown, now + SHUTDOWN_TIMEOUT);
        for key in self.torrents.keys() {
            self.close_torrent(key);
        }
        for key in self.peers.keys() {
            self.cx.close(key, CloseReason::TorrentGone);
        }
        self.settle();
    }

    pub(crate) const fn is_shut_down(&self) -> bool {
        self.shut_down
    }

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

    pub(crate) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.cx.now = now;
        match input {
            Input::Connected { peer } => self.on_connected(peer),
            Input::Received { peer, bytes } => self.on_received(peer, bytes),
            Input::Closed { peer, cause: _ } => self.on_closed(peer),
            Input::Done(done) => self.on_done(done),
        }
        self.settle();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.cx.now = now;
        while let Some(key) = self.cx.timers.pop_due(now) {
            match key {
                TimerKey::Peer(peer, timer) => self.on_peer_timer(peer, timer),
                TimerKey::Torrent(torrent, timer) => self.on_torrent_timer(torrent, timer),
                TimerKey::StopAnnounce => self.trackers_awaited = false,
                TimerKey::Shutdown => self.shut_down = true,
            }
        }
        self.settle();
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.cx.outbox.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.cx.timers.next()
    }

    pub(crate) fn peer(&self, key: PeerKey) -> Option<&Peer> {
        self.peers.get(key)
    }

    pub(crate) fn sent(&mut self, now: Instant, key: PeerKey, len: usize) {
        self.cx.now = now;
        let Some(peer) = self.peers.get_mut(key) else { return };
        let payload_len = peer.on_sent(&mut self.cx, len);
        if let Some(torrent) = peer.torrent.and_then(|torrent| self.torrents.get_mut(torrent)) {
            torrent.on_sent(&mut self.cx, &mut self.peers, key, payload_len);
        }
        self.settle();
    }

    pub(crate) fn progress(&mut self, now: Instant, torrent: TorrentKey) -> Option<Progress> {
        self.cx.now = now;
        self.torrents.get_mut(torrent).map(|torrent| torrent.progress(&self.cx, &self.peers))
    }

    pub(crate) fn torrent(&self, key: TorrentKey) -> Option<&Torrent> {
        self.torrents.get(key)
    }

    /// Tells something that no input is the reason of.
    pub(crate) fn tell(&mut self, event: Event) {
        self.cx.event(event);
    }

    fn close_torrent(&mut self, key: TorrentKey) {
        if let Some(torrent) = self.torrents.get_mut(key) {
            torrent.close(&mut self.cx);
            if !self.closing.contains(&key) {
                self.closing.push(key);
            }
        }
    }

    fn on_connected(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let torrent = peer.torrent.and_then(|torrent| self.torrents.get(torrent));
        match torrent {
            Some(torrent) if matches!(peer.phase, Phase::Connecting) => {
                peer.on_connected(&mut self.cx, torrent.info_hash());
            }
            Some(_) | None => {}
        }
    }

    fn on_received(&mut self, key: PeerKey, mut bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.on_received(self.cx.now);
        if let Phase::Handshaking(decoder) = &mut peer.phase {
            match decoder.step(bytes) {
                Ok(HandshakeStep::NeedMore) => return,
                Ok(HandshakeStep::Done { handshake, used }) => {
                    bytes = bytes.get(used..).unwrap_or_default();
                    if let Err(reason) = self.on_handshake(key, handshake) {
                        return self.cx.close(key, reason);
                    }
                    self.settle();
                }
                Err(error) => return self.cx.close(key, violation(error)),
            }
        }
        if let Err(reason) = self.on_messages(key, bytes) {
            self.cx.close(key, reason);
        }
    }

    /// Both sides have shown who they are: is this a connection to keep?
    fn on_handshake(&mut self, key: PeerKey, handshake: Handshake) -> Result<(), CloseReason> {
        let Handshake { info_hash, peer_id, .. } = handshake;
        let Some(peer) = self.peers.get_mut(key) else { return Ok(()) };
        let torrent_key = self.by_hash.get(&info_hash).copied().ok_or(CloseReason::UnknownTorrent)?;
        if peer.torrent.is_some_and(|torrent| torrent != torrent_key) {
            return Err(CloseReason::UnknownTorrent);
        }
        let torrent = self.torrents.get(torrent_key).filter(|torrent| torrent.takes_peers());
        let torrent = torrent.ok_or(CloseReason::UnknownTorrent)?;
        if peer_id == self.cx.peer_id {
            self.end_own_dial(key);
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

    /// The end that dialled ourselves would see no more than a connection that breaks, and dial again.
    fn end_own_dial(&mut self, key: PeerKey) {
        let Some(ip) = self.peers.get(key).map(|peer| peer.addr.ip()) else { return };
        for (_, other) in &self.half_open {
            let Some(peer) = self.peers.get(*other).filter(|peer| peer.outgoing) else { continue };
            if peer.addr.ip() == ip && Some(peer.addr.port()) == self.cx.config.listen_port {
                self.cx.close(*other, CloseReason::Ourselves);
            }
        }
    }

    fn on_messages(&mut self, key: PeerKey, mut bytes: &[u8]) -> Result<(), CloseReason> {
        let Some(peer) = self.peers.get_mut(key) else { return Ok(()) };
        let torrent_key = peer.torrent;
        // Messages borrow from the decoder while they change the peer, so it is taken out of it.
        let Some(mut decoder) = peer.open_mut().and_then(|open| open.decoder.take()) else { return Ok(()) };
        loop {
            let Some(torrent) = torrent_key.and_then(|torrent| self.torrents.get_mut(torrent)) else {
                return Ok(());
            };
            match decoder.step(bytes) {
                Ok(Step::Message { message, used }) => {
                    torrent.on_message(&mut self.cx, &mut self.peers, key, message)?;
                    // After each message, not after each read: how the stream was cut means nothing.
                    torrent.after_message(&mut self.cx, &mut self.peers, key)?;
                    self.settle();
                    bytes = bytes.get(used..).unwrap_or_default();
                }
                Ok(Step::NeedMore) => break,
                Err(error) => return Err(violation(error)),
            }
        }
        if let Some(open) = self.peers.get_mut(key).and_then(Peer::open_mut) {
            open.decoder = Some(decoder);
        }
        Ok(())
    }

    fn on_closed(&mut self, key: PeerKey) {
        let ended = match self.peers.get(key) {
            Some(peer) if peer.is_half_open() => Ended::Failed,
            Some(_) => Ended::WasOpen,
            None => return,
        };
        self.end(key, ended, None);
    }

    fn on_done(&mut self, done: JobDone) {
        let (cx, peers, torrents) = (&mut self.cx, &mut self.peers, &mut self.torrents);
        match done {
            JobDone::Opened { torrent, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_opened(cx, peers, result);
                }
            }
            JobDone::Checked { torrent, pieces, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_checked(cx, peers, &pieces, result);
                }
            }
            JobDone::Stored { torrent, piece, blocks, result } => {
                blocks.into_iter().for_each(|block| cx.pool.give_back(block));
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_stored(cx, peers, piece, result);
                }
            }
            JobDone::Read { torrent, peer, range, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_read(cx, peers, peer, range, result);
                }
            }
            JobDone::Saved { torrent, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_saved(cx, peers, result);
                }
            }
            JobDone::Announced { torrent: key, tier, result } => {
                let Some(torrent) = torrents.get_mut(key) else { return };
                let stats = torrent.stats();
                let addrs = torrent.announcer.on_answer(cx, &stats, tier, result);
                torrent.announce_due(cx);
                self.add_candidates(key, addrs, Source::Tracker);
            }
            JobDone::Resolved { torrent: key, host, result } => match result {
                Ok(addrs) => self.add_candidates(key, addrs, Source::User),
                Err(why) => cx.event(Event::ResolveFailed { torrent: key, host, why }),
            },
            JobDone::Recorded { .. } => {}
        }
    }

    fn on_peer_timer(&mut self, key: PeerKey, timer: PeerTimer) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        match timer {
            PeerTimer::Handshake => self.cx.close(key, CloseReason::Timeout),
            PeerTimer::Idle => {
                if peer.is_idle(&mut self.cx) {
                    self.cx.close(key, CloseReason::Timeout);
                }
            }
            PeerTimer::KeepAlive => peer.keep_alive(&mut self.cx),
            PeerTimer::Snub => {
                if let Some(torrent) = peer.torrent.and_then(|torrent| self.torrents.get_mut(torrent)) {
                    torrent.on_snub_timer(&mut self.cx, &mut self.peers, key);
                }
            }
        }
    }

    fn on_torrent_timer(&mut self, key: TorrentKey, timer: TorrentTimer) {
        let (cx, peers) = (&mut self.cx, &mut self.peers);
        let Some(torrent) = self.torrents.get_mut(key) else { return };
        match timer {
            TorrentTimer::Announce => torrent.announce_due(cx),
            TorrentTimer::Dial => self.want_dial(key),
            TorrentTimer::Choke => torrent.on_choke_timer(cx, peers),
            TorrentTimer::Save => torrent.save(cx),
            TorrentTimer::Progress => {
                let progress = Box::new(torrent.progress(cx, peers));
                cx.event(Event::Progress { torrent: key, progress });
                if let Some(interval) = cx.config.progress_interval {
                    cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Progress), cx.now + interval);
                }
            }
        }
    }

    fn add_candidates(
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
    fn want_dial(&mut self, key: TorrentKey) {
        let Some(torrent) = self.torrents.get(key).filter(|torrent| torrent.takes_peers()) else { return };
        match torrent.candidates.next_at() {
            Some(_) if self.dialling.contains(&key) => {}
            Some(at) if at <= self.cx.now => self.dialling.push_back(key),
            Some(at) => self.cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Dial), at),
            None => {}
        }
    }

    /// Dials for the torrents in line, in turn, while there is room.
    fn dial(&mut self) {
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

    /// Ends what has been found to end, and gives the room to others.
    fn settle(&mut self) {
        while let Some((key, reason)) = self.cx.to_close.pop() {
            let ended = match reason {
                CloseReason::Violation(_) | CloseReason::Ourselves | CloseReason::Banned => Ended::Useless,
                CloseReason::UnknownTorrent | CloseReason::Timeout => Ended::Failed,
                CloseReason::Duplicate | CloseReason::Redundant => Ended::Redundant,
                CloseReason::Crowded | CloseReason::TorrentGone => Ended::WasOpen,
            };
            self.end(key, ended, Some(reason));
        }
        for key in self.cx.budget.take_starved() {
            if let Some(torrent) = self.torrents.get_mut(key) {
                torrent.on_room(&mut self.cx, &mut self.peers);
            }
        }
        while let Some(key) = self.cx.budget.next_waiting() {
            let torrent = self.peers.get(key).and_then(|peer| peer.torrent);
            if let Some(torrent) = torrent.and_then(|torrent| self.torrents.get(torrent)) {
                torrent.pump_uploads(&mut self.cx, &mut self.peers, key);
            }
        }
        self.dial();
        self.forget_closed();
    }

    /// Forgets a connection, everywhere.
    fn end(&mut self, key: PeerKey, ended: Ended, reason: Option<CloseReason>) {
        let Some(peer) = self.peers.remove(key) else { return };
        self.peer_count -= 1;
        self.half_open.retain(|(_, half_open)| *half_open != key);
        PeerTimer::ALL.into_iter().for_each(|timer| self.cx.timers.clear(TimerKey::Peer(key, timer)));
        self.cx.budget.end_upload(peer.upload_len());
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

    /// Forgets the torrents that have told everyone that they end.
    fn forget_closed(&mut self) {
        let (trackers_awaited, cx) = (self.trackers_awaited, &mut self.cx);
        let (torrents, by_hash) = (&mut self.torrents, &mut self.by_hash);
        self.closing.retain(|key| {
            let Some(torrent) = torrents.get_mut(*key) else { return false };
            if !torrent.is_closed(trackers_awaited) {
                return true;
            }
            torrent.leave_phase(cx);
            TorrentTimer::ALL.into_iter().for_each(|timer| cx.timers.clear(TimerKey::Torrent(*key, timer)));
            by_hash.remove(&torrent.info_hash());
            torrents.remove(*key);
            false
        });
        if self.shutting_down && self.torrents.is_empty() {
            self.shut_down = true;
            self.cx.timers.clear(TimerKey::StopAnnounce);
            self.cx.timers.clear(TimerKey::Shutdown);
        }
    }
}

const fn violation(error: WireError) -> CloseReason {
    CloseReason::Violation(PeerError::Wire(error))
}
