//! Scenarios: who is in a swarm, when, and what goes wrong, as a TOML file says it.
//!
//! A scenario and a seed decide everything; [`Run`](crate::run::Run) plays it. docs/simulation.md
//! explains every key.

mod group;
mod values;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use peerless_core::text::escaped;
use serde::Deserialize;

pub use group::{Arrive, Behaviour, DiskSpec, FloodKind, Group, Leave, Restart, SeedChoice};
use values::{Share, Size, Spread, Time, Whole, list, maybe, plain};

/// The most peers of one scenario.
pub const PEER_COUNT_MAX: u64 = 100_000;

/// The most pieces of a scenario's torrent.
pub const PIECE_COUNT_MAX: u64 = 100_000;

/// The most bytes of a scenario's torrent: its content is made in memory.
pub const TORRENT_LEN_MAX: u64 = 4 << 30;

/// A swarm to be simulated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Scenario {
    /// What to call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Decides every chance.
    #[serde(default = "one", deserialize_with = "plain::<_, Whole<0, { i64::MAX as u64 }>, _>")]
    pub seed: u64,
    /// The virtual time after which it ends in any case.
    #[serde(default = "six_hours", deserialize_with = "plain::<_, Time, _>")]
    pub limit: Duration,
    /// The virtual time between two samples; `None`: such that there are some hundred.
    #[serde(default, deserialize_with = "maybe::<_, Time, _>")]
    pub sample: Option<Duration>,
    /// What is shared.
    pub torrent: TorrentSpec,
    /// The lines between peers.
    #[serde(default)]
    pub network: NetworkSpec,
    /// Trackers, each a tier of its own; none: one that always works.
    #[serde(default, rename = "tracker")]
    pub trackers: Vec<TrackerSpec>,
    /// Web seeds, known to every peer.
    #[serde(default, rename = "web_seed")]
    pub web_seeds: Vec<WebSeedSpec>,
    /// The peers.
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
}

/// What is shared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct TorrentSpec {
    /// How many pieces.
    #[serde(deserialize_with = "plain::<_, Whole<1, PIECE_COUNT_MAX>, _>")]
    pub pieces: u32,
    /// Bytes of each.
    #[serde(deserialize_with = "plain::<_, Size, _>")]
    pub piece_length: u64,
}

impl TorrentSpec {
    /// Bytes in all.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.pieces as u64 * self.piece_length
    }
}

/// The lines between peers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct NetworkSpec {
    /// The time from one peer to another; each connection has its own.
    #[serde(deserialize_with = "plain::<_, Spread, _>")]
    pub delay: Range<Duration>,
    /// Added for each part of a stream; parts stay in order.
    #[serde(deserialize_with = "maybe::<_, Spread, _>")]
    pub jitter: Option<Range<Duration>>,
    /// The share of a stream's parts that are lost, and come late by `loss_delay`.
    #[serde(deserialize_with = "plain::<_, Share, _>")]
    pub loss: f64,
    /// How long it takes until what was lost is there.
    #[serde(deserialize_with = "plain::<_, Time, _>")]
    pub loss_delay: Duration,
    /// After how long a connection breaks; `None`: never.
    #[serde(deserialize_with = "maybe::<_, Spread, _>")]
    pub cut_after: Option<Range<Duration>>,
    /// Bytes on their way in one direction of a connection at which its sender waits.
    #[serde(deserialize_with = "plain::<_, Size, _>")]
    pub window: usize,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10)..Duration::from_millis(80),
            jitter: None,
            loss: 0.0,
            loss_delay: Duration::from_millis(250),
            cut_after: None,
            window: 256 * 1024,
        }
    }
}

/// A tracker.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct TrackerSpec {
    /// When it answers nobody, since the scenario began.
    #[serde(deserialize_with = "list::<_, Spread, _>")]
    pub down: Vec<Range<Duration>>,
    /// The interval that it asks peers to keep; `None`: half an hour.
    #[serde(deserialize_with = "maybe::<_, Time, _>")]
    pub interval: Option<Duration>,
}

/// A web seed (BEP 19).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct WebSeedSpec {
    /// Bytes per second of each answer.
    #[serde(default = "ten_mib", deserialize_with = "plain::<_, Size, _>")]
    pub rate: u64,
    /// How it answers.
    #[serde(default)]
    pub answer: WebAnswer,
}

/// How a web seed answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebAnswer {
    /// As it should.
    #[default]
    Right,
    /// With other bytes.
    Wrong,
    /// With the first half.
    Cut,
    /// Not at all.
    Never,
    /// With status 503.
    Busy,
}

const fn one() -> u64 {
    1
}

const fn six_hours() -> Duration {
    Duration::from_secs(6 * 3600)
}

const fn ten_mib() -> u64 {
    10 << 20
}

/// Why a text is no scenario: one line that says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The line of the text, counted from 1; `None`: it is about the whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// When it is no TOML, has a key that is not known, or a value that means nothing or is absurd.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError {
            line: error.span().map(|span| line_of(text, span.start)),
            why: error.message().lines().collect::<Vec<_>>().join(" "),
        })?;
        scenario.check().map_err(|why| ScenarioError { line: None, why })?;
        Ok(scenario)
    }

    /// Looks at what no single value tells.
    ///
    /// # Errors
    /// With words for what is wrong.
    pub fn check(&self) -> Result<(), String> {
        let TorrentSpec { piece_length, .. } = self.torrent;
        if !piece_length.is_power_of_two() || !(16 << 10..=64 << 20).contains(&piece_length) {
            return Err(format!("torrent: piece_length {piece_length} is no power of two from 16K to 64M"));
        }
        if self.torrent.size() > TORRENT_LEN_MAX {
            let len = self.torrent.size();
            return Err(format!(
                "torrent: {len} bytes in all, over {TORRENT_LEN_MAX}: it has to fit in memory"
            ));
        }
        if self.limit.is_zero() || self.sample.is_some_and(|sample| sample.is_zero()) {
            return Err("limit and sample have to be longer than nothing".to_owned());
        }
        if self.network.window < 16 * 1024 {
            return Err("network: a window below 16K does not hold a block".to_owned());
        }
        let count: u64 = self.groups.iter().map(|group| group.count as u64).sum();
        if !(1..=PEER_COUNT_MAX).contains(&count) {
            return Err(format!("{count} peers in all: from 1 to {PEER_COUNT_MAX} are wanted"));
        }
        if !self.groups.iter().any(Group::is_waited_for) {
            return Err(
                "nobody is to get anything: a group of honest peers with has below 1 is missing".to_owned()
            );
        }
        self.groups.iter().try_for_each(|group| {
            group.check().map_err(|why| format!("group '{}': {why}", escaped(&group.name)))
        })?;
        let mut names: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("two groups are called '{}'", escaped(pair[0]))),
            None => Ok(()),
        }
    }
}

/// The line of a place in a text, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[torrent]\npieces = 8\npiece_length = \"64K\"\n\n[[group]]\nname = \"leech\"\nhas = 0.5\n";

    fn error(text: &str) -> String {
        Scenario::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn little_has_to_be_said() {
        let scenario = Scenario::parse(GOOD).unwrap();
        assert_eq!((scenario.torrent.size(), scenario.seed), (512 << 10, 1));
        assert_eq!((scenario.groups[0].count, scenario.groups[0].has), (1, 0.5));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (wrong, want) in [
            ("cuont = 3", "line 8: unknown field `cuont`"),
            ("count = 0", "line 8: invalid value: integer `0`, expected a whole number from 1 to 100000"),
            ("count = 1.5", "line 8: invalid value: floating point `1.5`, expected a whole number from"),
            ("count = 999999999999", "line 8: invalid value: integer `999999999999`, expected a whole"),
            (
                "up = 0",
                "line 8: invalid value: integer `0`, expected a size like 65536, \"500K\", \"2M\" or \"1GiB\", from a byte",
            ),
            ("up = \"fast\"", "line 8: invalid value: string \"fast\", expected a size like"),
            (
                "delay = \"80ms..10ms\"",
                "line 8: invalid value: string \"80ms..10ms\", expected a time or a range",
            ),
            ("nat = 2", "line 8: invalid value: integer `2`, expected a share from 0 to 1"),
            (
                "nat = 0.0001",
                "line 8: invalid value: floating point `0.0001`, expected a share from 0 to 1, in",
            ),
            ("nat = \"half\"", "line 8: invalid value: string \"half\", expected a share from 0 to 1"),
            ("behaviour = \"nice\"", "line 8: unknown variant `nice`"),
            ("arrive = { evry = 3 }", "line 8: unknown field `evry`"),
            ("arrive = 3", "line 8: invalid type: integer `3`, expected a table"),
            ("count = = 3", "line 8: "),
            (
                "arrive = { every = 3, poisson = 3 }",
                "group 'leech': arrive: one of every, poisson and within",
            ),
            ("lies = 0.5", "group 'leech': lies is for poisoners"),
            (
                "count = 2\n[[group]]\nname = \"liar\"\nbehaviour = \"silent\"\npex = false",
                "group 'liar': pex is for sessions, not for a silent",
            ),
            ("leave = { kill = true }", "group 'leech': leave: after_complete or after is missing"),
        ] {
            let error = error(&format!("{GOOD}{wrong}\n"));
            assert!(error.starts_with(want) && !error.contains('\n'), "{wrong}: {error}");
        }
        for (from, to, want) in [
            ("64K", "60K", "torrent: piece_length 61440 is no power of two"),
            (
                "pieces = 8\npiece_length = \"64K\"",
                "pieces = 99999\npiece_length = \"1M\"",
                "torrent: 104856551424 bytes",
            ),
            ("[torrent]", "[torment]", "line 1: unknown field `torment`"),
            ("[[group]]\nname = \"leech\"\nhas = 0.5\n", "", "line 1: missing field `group`"),
        ] {
            let error = error(&GOOD.replace(from, to));
            assert!(error.starts_with(want), "{to}: {error}");
        }
    }
}
