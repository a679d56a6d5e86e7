//! Peers of one kind: how many, how they behave, when they come and go, what they have.

use std::ops::Range;
use std::time::Duration;

use peerless_core::{Config, Limits, SeedChoking};
use serde::Deserialize;

use super::PEER_COUNT_MAX;
use super::values::{Share, Size, Spread, Time, Whole, maybe, plain};

/// The longest name of a group.
const NAME_LEN_MAX: usize = 40;

/// Peers of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Group {
    /// What to call them.
    pub name: String,
    /// How many.
    #[serde(default = "one", deserialize_with = "plain::<_, Whole<1, PEER_COUNT_MAX>, _>")]
    pub count: usize,
    /// What they do.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// The share of the pieces that each has at the start, 1 for seeds.
    #[serde(default, deserialize_with = "plain::<_, Share, _>")]
    pub has: f64,
    /// Bytes per second from each, all connections together.
    #[serde(default = "one_mib", deserialize_with = "plain::<_, Size, _>")]
    pub up: u64,
    /// Bytes per second to each, all connections together.
    #[serde(default = "four_mib", deserialize_with = "plain::<_, Size, _>")]
    pub down: u64,
    /// Added to the delay of each of a peer's connections; each peer has its own.
    #[serde(default, deserialize_with = "maybe::<_, Spread, _>")]
    pub delay: Option<Range<Duration>>,
    /// The share of them that can't be dialled.
    #[serde(default, deserialize_with = "plain::<_, Share, _>")]
    pub nat: f64,
    /// When they come.
    #[serde(default)]
    pub arrive: Arrive,
    /// When they go; `None`: never.
    #[serde(default)]
    pub leave: Option<Leave>,
    /// When they stop and come back; `None`: never.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// What is slow or fails with their disks; `None`: disks like the others'.
    #[serde(default)]
    pub disk: Option<DiskSpec>,
    /// Of a poisoner: the share of blocks that are wrong; all if `None`.
    #[serde(default, deserialize_with = "maybe::<_, Share, _>")]
    pub lies: Option<f64>,
    /// Of a flooder: what it sends without end.
    #[serde(default)]
    pub flood: Option<FloodKind>,
    /// [`Config::upload_slots`].
    #[serde(default, deserialize_with = "maybe::<_, Whole<0, 1000>, _>")]
    pub upload_slots: Option<usize>,
    /// [`Config::upload_slots_max`].
    #[serde(default, deserialize_with = "maybe::<_, Whole<0, 1000>, _>")]
    pub upload_slots_max: Option<usize>,
    /// [`Config::peers_max`].
    #[serde(default, deserialize_with = "maybe::<_, Whole<1, 10_000>, _>")]
    pub peers_max: Option<usize>,
    /// [`Config::buffer_len_max`].
    #[serde(default, deserialize_with = "maybe::<_, Size, _>")]
    pub buffer: Option<usize>,
    /// [`Config::requests_max`].
    #[serde(default, deserialize_with = "maybe::<_, Whole<1, 10_000>, _>")]
    pub requests_max: Option<usize>,
    /// The most that each sends, by its own limit.
    #[serde(default, deserialize_with = "maybe::<_, Size, _>")]
    pub max_up: Option<u64>,
    /// The most that each receives, by its own limit.
    #[serde(default, deserialize_with = "maybe::<_, Size, _>")]
    pub max_down: Option<u64>,
    /// [`Config::seed_choking`].
    #[serde(default)]
    pub seed_choking: Option<SeedChoice>,
    /// [`Config::super_seed`].
    #[serde(default)]
    pub super_seed: bool,
    /// [`Config::pex`].
    #[serde(default = "yes")]
    pub pex: bool,
}

/// What a peer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// A session as it is.
    #[default]
    Honest,
    /// A session that gives nothing.
    FreeRider,
    /// Says to have everything and gives wrong blocks.
    Poisoner,
    /// Says to have everything, unchokes, and answers no request.
    Silent,
    /// Says to have everything and rejects each request (BEP 6).
    Rejecter,
    /// Gives right blocks, one byte a second.
    Trickler,
    /// Takes connections and says nothing, not even a handshake.
    Mute,
    /// Sends `flood` without end.
    Flooder,
    /// An address at which nobody answers.
    Dead,
}

impl Behaviour {
    /// Whether it is a real session rather than a script.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Honest | Self::FreeRider)
    }

    /// Whether it is a session as it is.
    #[must_use]
    pub const fn is_honest(self) -> bool {
        matches!(self, Self::Honest)
    }

    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::FreeRider => "free-rider",
            Self::Poisoner => "poisoner",
            Self::Silent => "silent",
            Self::Rejecter => "rejecter",
            Self::Trickler => "trickler",
            Self::Mute => "mute",
            Self::Flooder => "flooder",
            Self::Dead => "dead",
        }
    }
}

/// What a flooder sends without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloodKind {
    /// The same `have`.
    Haves,
    /// Requests for the first piece.
    Requests,
    /// Blocks that nobody asked for.
    Blocks,
    /// `choke` and `unchoke` in turn.
    Chokes,
    /// Random bytes.
    Garbage,
    /// Addresses at which nobody is (BEP 11).
    Pex,
}

/// [`SeedChoking`], by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedChoice {
    /// [`SeedChoking::RoundRobin`].
    RoundRobin,
    /// [`SeedChoking::Fastest`].
    Fastest,
    /// [`SeedChoking::AntiLeech`].
    AntiLeech,
}

/// When peers come: all at once, unless one of `every`, `poisson` and `within` says otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Arrive {
    /// When the first may come.
    #[serde(deserialize_with = "plain::<_, Time, _>")]
    pub at: Duration,
    /// The time from one to the next.
    #[serde(deserialize_with = "maybe::<_, Time, _>")]
    pub every: Option<Duration>,
    /// The mean time from one to the next, which is exponential.
    #[serde(deserialize_with = "maybe::<_, Time, _>")]
    pub poisson: Option<Duration>,
    /// Each comes by chance within this time.
    #[serde(deserialize_with = "maybe::<_, Time, _>")]
    pub within: Option<Duration>,
}

/// When peers go, for good.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Leave {
    /// So long after they have everything.
    #[serde(default, deserialize_with = "maybe::<_, Spread, _>")]
    pub after_complete: Option<Range<Duration>>,
    /// So long after they came, whatever they have.
    #[serde(default, deserialize_with = "maybe::<_, Spread, _>")]
    pub after: Option<Range<Duration>>,
    /// Without a word: connections break, and the tracker hears nothing.
    #[serde(default)]
    pub kill: bool,
    /// The share of them that does.
    #[serde(default = "all", deserialize_with = "plain::<_, Share, _>")]
    pub share: f64,
}

/// When peers stop and come back with what they had.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Restart {
    /// How long they run.
    #[serde(deserialize_with = "plain::<_, Spread, _>")]
    pub every: Range<Duration>,
    /// How long they are away.
    #[serde(default = "half_a_minute", deserialize_with = "plain::<_, Spread, _>")]
    pub away: Range<Duration>,
    /// As if the power failed: what is not synced to the disk may be gone.
    #[serde(default)]
    pub kill: bool,
    /// The share of them that does.
    #[serde(default = "all", deserialize_with = "plain::<_, Share, _>")]
    pub share: f64,
}

/// What is slow or fails with a disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct DiskSpec {
    /// How long a job takes beside its bytes.
    #[serde(default = "a_blink", deserialize_with = "plain::<_, Spread, _>")]
    pub delay: Range<Duration>,
    /// Bytes per second read and written, one job after the other; `None`: without end.
    #[serde(default, deserialize_with = "maybe::<_, Size, _>")]
    pub rate: Option<u64>,
    /// The share of reads that fail.
    #[serde(default, deserialize_with = "plain::<_, Share, _>")]
    pub read_fails: f64,
    /// The share of saves of the resume file that fail.
    #[serde(default, deserialize_with = "plain::<_, Share, _>")]
    pub save_fails: f64,
    /// After how many pieces the disk is full; `None`: never.
    #[serde(default, deserialize_with = "maybe::<_, Whole<0, { i64::MAX as u64 }>, _>")]
    pub full_after: Option<u64>,
    /// The share of them that has such a disk.
    #[serde(default = "all", deserialize_with = "plain::<_, Share, _>")]
    pub share: f64,
}

const fn one() -> usize {
    1
}

const fn one_mib() -> u64 {
    1 << 20
}

const fn four_mib() -> u64 {
    4 << 20
}

const fn yes() -> bool {
    true
}

const fn all() -> f64 {
    1.0
}

const fn half_a_minute() -> Range<Duration> {
    Duration::from_secs(30)..Duration::from_secs(30)
}

const fn a_blink() -> Range<Duration> {
    Duration::from_millis(1)..Duration::from_millis(20)
}

impl Arrive {
    /// Whether all come at one time.
    #[must_use]
    pub fn is_at_once(&self) -> bool {
        [self.every, self.poisson, self.within].into_iter().flatten().all(|time| time.is_zero())
    }
}

impl Group {
    /// Whether they begin with everything.
    #[must_use]
    pub fn is_seed(&self) -> bool {
        self.has >= 1.0
    }

    /// Whether the run waits for them.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.behaviour == Behaviour::Honest && !self.is_seed()
    }

    /// Bytes per second that each may send by its line and its own limit.
    #[must_use]
    pub fn up_rate(&self) -> u64 {
        self.max_up.unwrap_or(u64::MAX).min(self.up)
    }

    /// Bytes per second that each may receive by its line and its own limit.
    #[must_use]
    pub fn down_rate(&self) -> u64 {
        self.max_down.unwrap_or(u64::MAX).min(self.down)
    }

    /// How its sessions are configured.
    #[must_use]
    pub fn config(&self) -> Config {
        let base = Config::default();
        let free_rider = self.behaviour == Behaviour::FreeRider;
        let slots = if free_rider { Some(0) } else { self.upload_slots };
        let upload_slots = slots.unwrap_or(base.upload_slots);
        let slots_max = if free_rider { Some(0) } else { self.upload_slots_max };
        Config {
            upload_slots,
            // Who asks for more slots than is usual means it.
            upload_slots_max: slots_max.unwrap_or_else(|| base.upload_slots_max.max(upload_slots)),
            peers_max: self.peers_max.unwrap_or(base.peers_max),
            buffer_len_max: self.buffer.unwrap_or(base.buffer_len_max),
            requests_max: self.requests_max.unwrap_or(base.requests_max),
            limits: Limits { down: self.max_down, up: if free_rider { Some(0) } else { self.max_up } },
            seed_choking: match self.seed_choking {
                None => base.seed_choking,
                Some(SeedChoice::RoundRobin) => SeedChoking::RoundRobin,
                Some(SeedChoice::Fastest) => SeedChoking::Fastest,
                Some(SeedChoice::AntiLeech) => SeedChoking::AntiLeech,
            },
            super_seed: self.super_seed,
            pex: self.pex,
            ..base
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > NAME_LEN_MAX || self.name.contains(char::is_control) {
            return Err(format!("a name of 1 to {NAME_LEN_MAX} bytes without control characters is wanted"));
        }
        let ways = [self.arrive.every, self.arrive.poisson, self.arrive.within];
        if ways.iter().flatten().count() > 1 {
            return Err("arrive: one of every, poisson and within is enough".to_owned());
        }
        if self.leave.as_ref().is_some_and(|leave| leave.after_complete.is_none() && leave.after.is_none()) {
            return Err("leave: after_complete or after is missing".to_owned());
        }
        if self.restart.as_ref().is_some_and(|restart| restart.every.start < Duration::from_secs(1)) {
            return Err("restart: every has to be a second at least".to_owned());
        }
        if self.lies.is_some() && self.behaviour != Behaviour::Poisoner {
            return Err("lies is for poisoners".to_owned());
        }
        if self.flood.is_some() && self.behaviour != Behaviour::Flooder {
            return Err("flood is for flooders".to_owned());
        }
        if !self.behaviour.is_session() {
            let sessions_only = [
                ("has", self.has > 0.0),
                ("leave", self.leave.is_some()),
                ("restart", self.restart.is_some()),
                ("disk", self.disk.is_some()),
                ("max_up", self.max_up.is_some()),
                ("max_down", self.max_down.is_some()),
                ("upload_slots", self.upload_slots.is_some()),
                ("upload_slots_max", self.upload_slots_max.is_some()),
                ("peers_max", self.peers_max.is_some()),
                ("buffer", self.buffer.is_some()),
                ("requests_max", self.requests_max.is_some()),
                ("seed_choking", self.seed_choking.is_some()),
                ("super_seed", self.super_seed),
                ("pex", !self.pex),
            ];
            if let Some((key, _)) = sessions_only.iter().find(|(_, is_set)| *is_set) {
                return Err(format!("{key} is for sessions, not for a {}", self.behaviour.name()));
            }
        }
        Ok(())
    }
}
