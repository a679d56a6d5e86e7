//! What every handler may use besides its own state: the time, the limits, chance, and the outbox.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::block::{BlockPool, RunPool};
use crate::budget::Budget;
use crate::config::Config;
use crate::id::{InfoHash, PeerId};
use crate::job::Job;
use crate::key::{PeerKey, TorrentKey};
use crate::limit::Limiter;
use crate::names::Names;
use crate::output::{CloseReason, Event, Output};
use crate::rng::Rng;
use crate::time::Instant;
use crate::timer::TimerTable;
use crate::tracker::Ask;
use crate::webseed::WebRoom;

/// What a session's seed is split into, by a one-way function: who knows how it chooses can't tell
/// from that who it is. So a recording can be renamed and still be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeds {
    /// For all that is chosen.
    pub(crate) chance: u64,
    /// For what names us: the peer id and the key for trackers.
    pub(crate) identity: u64,
}

impl From<u64> for Seeds {
    fn from(seed: u64) -> Self {
        let part = |label: &[u8]| {
            let mut sha1 = sha1_smol::Sha1::from(label);
            sha1.update(&seed.to_le_bytes());
            let [a, b, c, d, e, f, g, h, ..] = sha1.digest().bytes();
            u64::from_le_bytes([a, b, c, d, e, f, g, h])
        };
        Self { chance: part(b"choices"), identity: part(b"identity") }
    }
}

/// The context of one call into the session.
#[derive(Debug)]
pub(crate) struct Cx {
    /// The time of the call.
    pub(crate) now: Instant,
    pub(crate) config: Config,
    pub(crate) rng: Rng,
    pub(crate) timers: TimerTable<TimerKey>,
    pub(crate) pool: BlockPool,
    pub(crate) runs: RunPool,
    pub(crate) budget: Budget,
    /// Our name on the wire.
    pub(crate) peer_id: PeerId,
    /// Tells trackers that two announces are of one client even if its address changed (BEP 7).
    pub(crate) announce_key: u32,
    pub(crate) outbox: VecDeque<Output>,
    /// What trackers are to be asked once the handler at work has returned.
    pub(crate) asks: Vec<Ask>,
    pub(crate) web: WebRoom,
    pub(crate) limits: Limiter,
    /// Hosts that a proxy looks up.
    pub(crate) names: Names,
    /// Allowed fast sets that are not those of their addresses: those of a renamed recording.
    pub(crate) fast_sets: BTreeMap<(IpAddr, InfoHash), Vec<u32>>,
    /// Connections to close once the handler that found the reason has returned.
    pub(crate) to_close: Vec<(PeerKey, CloseReason)>,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TimerKey {
    Peer(PeerKey, PeerTimer),
    Torrent(TorrentKey, TorrentTimer),
    /// Until a tracker that was asked over UDP is asked again.
    Trackers,
    /// Until addresses that wait get the places of connections that come to nothing.
    Turnover,
    /// Until those who wait for a limit on payload get their shares.
    Limits,
    /// Trackers that have not heard us stop by then will not.
    StopAnnounce,
    /// A shutdown waits no longer.
    Shutdown,
    /// Until the address that everything is bound to is looked at again.
    CheckBind,
    /// Until a proxy that was of no use is called again.
    Proxy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PeerTimer {
    /// Until a connection is up and has shown a handshake.
    Handshake,
    /// Until a silent peer is given up.
    Idle,
    /// Until a peer that we have nothing to tell hears from us all the same.
    KeepAlive,
    /// Until a peer that owes blocks is snubbed.
    Snub,
    /// Until time matters to an extension.
    Extension,
}

impl PeerTimer {
    pub(crate) const ALL: [Self; 5] =
        [Self::Handshake, Self::Idle, Self::KeepAlive, Self::Snub, Self::Extension];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TorrentTimer {
    Announce,
    Dial,
    Choke,
    Save,
    /// Until complete pieces wait no longer for others.
    Store,
    /// Until blocks in flight are waited for no longer from one peer alone.
    Endgame,
    Progress,
    /// Until someone may be late with metadata.
    Metadata,
    /// Until everybody is told of the pieces that have come.
    News,
    /// Until a web seed may be asked again.
    Web,
    /// Until peers are told of others that have come or left meanwhile.
    Pex,
}

impl TorrentTimer {
    pub(crate) const ALL: [Self; 11] = [
        Self::Announce,
        Self::Dial,
        Self::Choke,
        Self::Save,
        Self::Store,
        Self::Endgame,
        Self::Progress,
        Self::Metadata,
        Self::News,
        Self::Web,
        Self::Pex,
    ];
}

impl Cx {
    pub(crate) fn new(config: Config, seeds: impl Into<Seeds>, now: Instant) -> Self {
        let seeds = seeds.into();
        let mut own = Rng::new(seeds.identity);
        let mut limits = Limiter::new();
        limits.set(now, None, config.limits);
        Self {
            now,
            budget: Budget::new(config.buffer_len_max),
            config,
            timers: TimerTable::default(),
            pool: BlockPool::default(),
            runs: RunPool::default(),
            peer_id: PeerId::random(&mut own),
            announce_key: own.next_u32(),
            rng: Rng::new(seeds.chance),
            outbox: VecDeque::new(),
            asks: Vec::new(),
            to_close: Vec::new(),
            web: WebRoom::default(),
            limits,
            names: Names::default(),
            fast_sets: BTreeMap::new(),
        }
    }

    /// The time of the call that begins. A caller may have taken it before that of an earlier one:
    /// here time never goes back, so that a recording of both gives what they gave.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outbox.push_back(Output::Event(event));
    }

    pub(crate) fn job(&mut self, job: Job) {
        self.outbox.push_back(Output::Job(job));
    }

    /// Closes the connection when the handler at work has returned.
    pub(crate) fn close(&mut self, peer: PeerKey, reason: CloseReason) {
        self.to_close.push((peer, reason));
    }
}
