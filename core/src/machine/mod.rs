//! The session's inside: looks up keys and routes inputs.
//!
//! No rule of the protocol is here. A handler that finds a reason to end a connection leaves it in
//! `Cx::to_close`; every input ends with `settle`, which ends those and gives their places to others.

mod bind;
mod closing;
mod connections;
#[cfg(test)]
pub(crate) mod lab;
mod limits;
mod proxy;
mod trackers;
mod turnover;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::choice::Choice;
use crate::config::Config;
use crate::cx::{Cx, PeerTimer, Seeds, TimerKey, TorrentTimer};
use crate::id::{InfoHash, PeerId};
use crate::input::Input;
use crate::job::{BuiltMetadata, JobDone, MetadataError, ResolveFor, StoredPiece};
use crate::key::{PeerKey, Slab, TorrentKey};
use crate::output::{CloseReason, Event, Output, Progress};
use crate::peer::{Peer, PeerError, Peers, Phase};
use crate::peer_info::PeerInfo;
use crate::session::{AddMagnet, AddTorrent, AddTorrentError};
use crate::time::Instant;
use crate::torrent::{Source, Torrent};
use crate::tracker::Trackers;
use crate::wire::{HandshakeStep, Socks5, Step, WireError};
use proxy::ProxyHealth;
use turnover::Turnover;

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
    turnover: Turnover,
    /// Torrents that end and have not told everyone yet.
    closing: BTreeSet<TorrentKey>,
    /// Those of them that may have told the last.
    maybe_closed: Vec<TorrentKey>,
    trackers: Trackers,
    proxy: ProxyHealth,
    /// Announce URLs of the scrapes under way, by number.
    scrapes: BTreeMap<u32, String>,
    scrape_count: u32,
    shutting_down: bool,
    /// Whether trackers are still waited for.
    trackers_awaited: bool,
    shut_down: bool,
}

impl Machine {
    pub(crate) fn new(config: Config, seeds: impl Into<Seeds>, now: Instant) -> Self {
        let progress_interval = config.progress_interval.map(|time| time.max(PROGRESS_INTERVAL_MIN));
        let config = Config { progress_interval, ..config };
        let mut cx = Cx::new(config, seeds, now);
        bind::watch(&mut cx);
        Self {
            cx,
            peers: Slab::default(),
            torrents: Slab::default(),
            by_hash: BTreeMap::new(),
            peer_count: 0,
            half_open: BTreeSet::new(),
            dialling: VecDeque::new(),
            turnover: Turnover::default(),
            closing: BTreeSet::new(),
            maybe_closed: Vec::new(),
            trackers: Trackers::default(),
            proxy: ProxyHealth::default(),
            scrapes: BTreeMap::new(),
            scrape_count: 0,
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
        self.add(now, add.metainfo.info_hash(), |cx, key| Torrent::new(cx, key, add))
    }

    pub(crate) fn add_magnet(&mut self, now: Instant, add: AddMagnet) -> Result<TorrentKey, AddTorrentError> {
        self.add(now, add.magnet.info_hash, |cx, key| Torrent::of_magnet(cx, key, add))
    }

    fn add(
        &mut self,
        now: Instant,
        info_hash: InfoHash,
        make: impl FnOnce(&mut Cx, TorrentKey) -> Torrent,
    ) -> Result<TorrentKey, AddTorrentError> {
        self.cx.set_now(now);
        if self.shutting_down {
            return Err(AddTorrentError::ShuttingDown);
        }
        if let Some(key) = self.by_hash.get(&info_hash) {
            return Err(AddTorrentError::Duplicate(*key));
        }
        let cx = &mut self.cx;
        let key = self.torrents.insert_with(|key| make(cx, key));
        self.by_hash.insert(info_hash, key);
        Ok(key)
    }

    pub(crate) fn remove_torrent(&mut self, now: Instant, torrent: TorrentKey) {
        self.cx.set_now(now);
        self.close_torrent(torrent);
        self.settle();
    }

    pub(crate) fn set_choice(&mut self, now: Instant, torrent: TorrentKey, choice: Choice) {
        self.cx.set_now(now);
        if let Some(torrent) = self.torrents.get_mut(torrent) {
            torrent.set_choice(&mut self.cx, &mut self.peers, choice);
        }
        self.settle();
    }

    pub(crate) fn add_peer(&mut self, now: Instant, torrent: TorrentKey, addr: SocketAddr) {
        self.cx.set_now(now);
        self.add_candidates(torrent, [addr], Source::User);
        self.settle();
    }

    pub(crate) fn shut_down(&mut self, now: Instant) {
        self.cx.set_now(now);
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

    pub(crate) fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.cx.set_now(now);
        match input {
            Input::Connected { peer } => self.on_connected(peer),
            Input::Received { peer, bytes } => self.on_received(peer, bytes),
            Input::Closed { peer, cause: _ } => self.end(peer, None),
            Input::Datagram { from, bytes } => self.on_datagram(from, bytes),
            Input::Done(done) => self.on_done(done),
        }
        self.settle();
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.cx.set_now(now);
        while let Some(key) = self.cx.timers.pop_due(self.cx.now) {
            match key {
                TimerKey::Peer(peer, timer) => self.on_peer_timer(peer, timer),
                TimerKey::Torrent(torrent, timer) => self.on_torrent_timer(torrent, timer),
                TimerKey::Trackers => {
                    self.trackers.on_timer(&mut self.cx);
                    self.hear_trackers();
                }
                TimerKey::Turnover => self.on_turn(),
                TimerKey::Limits => self.share_out(),
                TimerKey::StopAnnounce => self.give_trackers_up(),
                TimerKey::Shutdown => self.shut_down = true,
                TimerKey::CheckBind => bind::check(&mut self.cx),
                // Who waits to dial may, once this returns.
                TimerKey::Proxy => {}
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

    /// What the recorder has to know of a connection that goes through a proxy.
    pub(crate) fn negotiation(&self, key: PeerKey) -> Option<Socks5> {
        self.peers.get(key).and_then(|peer| connections::negotiation(&self.cx, peer))
    }

    pub(crate) fn set_fast_set(&mut self, ip: IpAddr, info_hash: InfoHash, pieces: Vec<u32>) {
        self.cx.fast_sets.insert((ip, info_hash), pieces);
    }

    pub(crate) fn wants_read(&self, key: PeerKey) -> bool {
        self.peers.get(key).is_some_and(|peer| peer.wants_read(&self.cx))
    }

    pub(crate) fn sent(&mut self, now: Instant, key: PeerKey, len: usize) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        self.cx.set_now(now);
        let payload_len = peer.on_sent(&mut self.cx, len);
        if let Some(torrent) = peer.torrent.and_then(|torrent| self.torrents.get_mut(torrent)) {
            torrent.on_sent(&mut self.cx, &mut self.peers, key, payload_len);
        }
        self.settle();
    }

    pub(crate) fn progress(&self, now: Instant, torrent: TorrentKey) -> Option<Progress> {
        self.torrents.get(torrent).map(|torrent| torrent.progress(&self.cx, now, &self.peers))
    }

    pub(crate) fn peer_infos(&self, now: Instant, torrent: TorrentKey) -> impl Iterator<Item = PeerInfo> {
        let torrent = self.torrents.get(torrent).into_iter();
        torrent.flat_map(move |torrent| torrent.peer_infos(&self.cx, now, &self.peers))
    }

    pub(crate) fn torrent(&self, key: TorrentKey) -> Option<&Torrent> {
        self.torrents.get(key)
    }

    /// Tells something that no input is the reason of.
    pub(crate) fn tell(&mut self, event: Event) {
        self.cx.event(event);
    }

    fn on_received(&mut self, key: PeerKey, mut bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.on_received(self.cx.now);
        if let Phase::Proxying(_) = &peer.phase {
            match self.on_proxy_bytes(key, bytes) {
                Ok(None) => return,
                Ok(Some(used)) => bytes = bytes.get(used..).unwrap_or_default(),
                Err(reason) => return self.cx.close(key, reason),
            }
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
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

    fn on_messages(&mut self, key: PeerKey, mut bytes: &[u8]) -> Result<(), CloseReason> {
        let Some(peer) = self.peers.get_mut(key) else { return Ok(()) };
        let torrent_key = peer.torrent;
        // Messages borrow from the decoder while they change the peer, so it is taken out of it.
        let Some(mut decoder) = peer.open_mut().and_then(|open| open.decoder.take()) else { return Ok(()) };
        while self.peers.get(key).is_some() {
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

    fn on_done(&mut self, done: JobDone) {
        done.torrent().into_iter().for_each(|torrent| self.may_have_closed(torrent));
        let (cx, peers, torrents) = (&mut self.cx, &mut self.peers, &mut self.torrents);
        match done {
            JobDone::Opened { torrent, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_opened(cx, peers, result);
                }
            }
            JobDone::Chosen { torrent, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_chosen(cx, peers, result);
                }
            }
            JobDone::Fetched { torrent, seed, run, blocks, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_fetched(cx, peers, seed, run, blocks, result);
                } else if let Some(next) = cx.web.give_back(torrent) {
                    cx.budget.wake(next);
                }
            }
            JobDone::Checked { torrent, pieces, result } => {
                if let Some(torrent) = torrents.get_mut(torrent) {
                    torrent.on_checked(cx, peers, &pieces, result);
                }
            }
            JobDone::Stored { torrent: key, pieces, time: _ } => {
                let mut results = Vec::with_capacity(pieces.len());
                let mut reads_go_on = false;
                for StoredPiece { piece, blocks, result } in pieces {
                    blocks.into_iter().for_each(|block| cx.pool.give_back(block));
                    reads_go_on |= cx.budget.end_store(key, piece);
                    results.push((piece, result));
                }
                if let Some(torrent) = torrents.get_mut(key) {
                    torrent.on_stored(cx, peers, results);
                }
                if reads_go_on {
                    self.resume_reads();
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
            JobDone::Announced { torrent, tier, family, result } => {
                self.trackers.on_announced((torrent, tier), family, result);
                self.hear_trackers();
            }
            JobDone::Scraped { number, result } => {
                self.trackers.on_scraped(number, result);
                self.hear_trackers();
            }
            JobDone::Resolved { whom: ResolveFor::Tracker, host, port, result } => {
                self.trackers.on_resolved(cx, host, port, result);
                self.hear_trackers();
            }
            JobDone::Resolved { whom: ResolveFor::Peer(key), host, port: _, result } => {
                self.on_peer_resolved(key, host, result);
            }
            JobDone::Metadata { torrent, result } => self.on_metadata(torrent, result),
            JobDone::BindChecked { result } if !self.shutting_down => bind::on_checked(cx, result),
            JobDone::BindChecked { .. } | JobDone::Recorded { .. } => {}
        }
    }

    fn on_metadata(&mut self, key: TorrentKey, result: Result<Box<BuiltMetadata>, MetadataError>) {
        if let Some(torrent) = self.torrents.get_mut(key) {
            torrent.on_metadata(&mut self.cx, &mut self.peers, result);
        }
    }

    /// The addresses of a peer that the user named.
    fn on_peer_resolved(&mut self, key: TorrentKey, host: String, result: Result<Vec<SocketAddr>, String>) {
        match result {
            Ok(addrs) => self.add_candidates(key, addrs, Source::User),
            Err(why) => self.cx.event(Event::ResolveFailed { torrent: key, host, why }),
        }
    }

    fn on_peer_timer(&mut self, key: PeerKey, timer: PeerTimer) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        match timer {
            PeerTimer::Handshake if matches!(peer.phase, Phase::Ourselves) => {
                self.cx.close(key, CloseReason::Ourselves);
            }
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
            PeerTimer::Extension => {
                if let Some(torrent) = peer.torrent.and_then(|torrent| self.torrents.get_mut(torrent))
                    && let Err(reason) = torrent.on_extension_timer(&mut self.cx, &mut self.peers, key)
                {
                    self.cx.close(key, reason);
                }
            }
        }
    }

    fn on_torrent_timer(&mut self, key: TorrentKey, timer: TorrentTimer) {
        self.may_have_closed(key);
        let (cx, peers) = (&mut self.cx, &mut self.peers);
        let Some(torrent) = self.torrents.get_mut(key) else { return };
        match timer {
            TorrentTimer::Announce => torrent.announce_due(cx),
            TorrentTimer::Dial => self.want_dial(key),
            TorrentTimer::Choke => torrent.on_choke_timer(cx, peers),
            TorrentTimer::Save => torrent.save(cx),
            TorrentTimer::Metadata => torrent.on_metadata_timer(cx, peers),
            TorrentTimer::News => torrent.tell_news(cx, peers),
            TorrentTimer::Web => torrent.on_web_timer(cx),
            TorrentTimer::Pex => torrent.on_pex_timer(cx, peers),
            TorrentTimer::Store => torrent.on_store_timer(cx),
            TorrentTimer::Endgame => torrent.on_endgame_timer(cx, peers),
            TorrentTimer::Progress => {
                let progress = Box::new(torrent.progress(cx, cx.now, peers));
                cx.event(Event::Progress { torrent: key, progress });
                if let Some(interval) = cx.config.progress_interval {
                    cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Progress), cx.now + interval);
                }
            }
        }
    }

    /// Ends what has been found to end, and gives the room to others.
    fn settle(&mut self) {
        // Until nothing is left: what the next input found of it would depend on how streams are cut.
        loop {
            if let Some((key, reason)) = self.cx.to_close.pop() {
                self.end(key, Some(reason));
            } else if self.cx.budget.take_short() {
                self.make_room();
            } else if self.cx.budget.take_freed() {
                self.give_room();
            } else {
                break;
            }
        }
        while let Some(key) = self.cx.budget.next_waiting() {
            let torrent = self.peers.get(key).and_then(|peer| peer.torrent);
            if let Some(torrent) = torrent.and_then(|torrent| self.torrents.get(torrent)) {
                torrent.pump_uploads(&mut self.cx, &mut self.peers, key);
            }
        }
        self.set_limits_timer();
        self.ask_trackers();
        self.dial();
        self.forget_closed();
    }

    /// Ends the pieces that nobody is there to finish: others wait for their room.
    fn make_room(&mut self) {
        for key in self.cx.budget.holders() {
            if let Some(torrent) = self.torrents.get_mut(key) {
                torrent.make_room(&mut self.cx);
            }
        }
    }

    /// Lets those open pieces who waited for room.
    fn give_room(&mut self) {
        for key in self.cx.budget.take_starved() {
            if let Some(torrent) = self.torrents.get_mut(key) {
                torrent.on_room(&mut self.cx, &mut self.peers);
            }
            if let Some(next) = self.cx.web.decline(key) {
                self.cx.budget.wake(next);
            }
        }
    }
}

const fn violation(error: WireError) -> CloseReason {
    CloseReason::Violation(PeerError::Wire(error))
}
