//! Web seeds (BEP 19): servers that have the torrent's files. What to ask of which, and when to
//! leave one alone.
//!
//! Pure state: which pieces are asked for is the picker's to say, and a worker does the GET.

mod room;
mod url;

use std::time::Duration;

pub(crate) use room::WebRoom;
pub use url::{file_url, parts};

use crate::job::{FetchError, FetchFailure};
use crate::key::{Key as _, PeerKey};
use crate::piece::{BlockRef, Geometry, PieceIndex};
use crate::time::Instant;

/// Runs asked of one web seed at a time: with two the line is never idle for a round trip.
pub const RUNS_MAX: usize = 2;

/// Blocks of the first run, 256 KiB: little to wait for from a slow server.
const RUN_COUNT_START: usize = 16;

/// Blocks of a run at most, 4 MiB: what a fast line brings in a moment, and a bound on memory.
pub const RUN_COUNT_MAX: usize = 256;

/// A run that took less time than this is followed by a longer one, one that took four times as
/// long by a shorter one: figures move at least every few seconds.
const RUN_TIME: Duration = Duration::from_secs(1);

/// The pause after the first failure; it doubles with each further one in a row.
const REST_START: Duration = Duration::from_secs(10);

/// The pause after an answer that will hardly be another soon: the file is not there, or not ours.
const REST_LONG: Duration = Duration::from_secs(600);

/// The longest pause, also if the server asks for a longer one.
const REST_MAX: Duration = Duration::from_secs(3600);

/// Times that it gave bad pieces after which a web seed is left: one may be a fault on the way.
const STRIKES_MAX: u32 = 3;

/// A run that is under way.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    /// Blocks that follow one on the other.
    pub(crate) blocks: Vec<BlockRef>,
    begun_at: Instant,
}

/// One web seed.
#[derive(Debug)]
pub(crate) struct WebSeed {
    pub(crate) url: String,
    runs: Vec<Run>,
    run_count: usize,
    /// The piece behind the last run: to go on there is easy for a server.
    pub(crate) next: Option<PieceIndex>,
    failures: u32,
    strikes: u32,
    rest: Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    No,
    Until(Instant),
    ForEver,
}

/// The web seeds of one torrent.
#[derive(Debug, Default)]
pub(crate) struct WebSeeds {
    pub(crate) seeds: Vec<WebSeed>,
    number: u64,
}

impl WebSeeds {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let seed = |url| WebSeed {
            url,
            runs: Vec::new(),
            run_count: RUN_COUNT_START,
            next: None,
            failures: 0,
            strikes: 0,
            rest: Rest::No,
        };
        Self { seeds: urls.into_iter().map(seed).collect(), number: 0 }
    }

    /// How many are at work.
    pub(crate) fn busy_count(&self) -> usize {
        self.seeds.iter().filter(|seed| !seed.runs.is_empty()).count()
    }

    /// When the next one has rested enough.
    pub(crate) fn next_at(&self, now: Instant) -> Option<Instant> {
        let until = |seed: &WebSeed| match seed.rest {
            Rest::Until(at) if at > now => Some(at),
            Rest::Until(_) | Rest::No | Rest::ForEver => None,
        };
        self.seeds.iter().filter_map(until).min()
    }

    /// A run of these blocks begins; its number.
    pub(crate) fn begin(&mut self, now: Instant, seed: usize, blocks: Vec<BlockRef>) -> u64 {
        self.number += 1;
        let number = self.number;
        if let Some(seed) = self.seeds.get_mut(seed) {
            seed.runs.push(Run { number, blocks, begun_at: now });
        }
        number
    }

    /// Takes the run out, if it is under way.
    pub(crate) fn end(&mut self, seed: usize, number: u64) -> Option<Run> {
        let runs = &mut self.seeds.get_mut(seed)?.runs;
        let at = runs.iter().position(|run| run.number == number)?;
        Some(runs.remove(at))
    }
}

impl WebSeed {
    /// How many blocks to ask it for now; 0: none.
    pub(crate) fn wants(&self, now: Instant) -> usize {
        let rests = match self.rest {
            Rest::No => false,
            Rest::Until(at) => at > now,
            Rest::ForEver => true,
        };
        if rests || self.runs.len() >= RUNS_MAX { 0 } else { self.run_count }
    }

    /// A run has come, whole.
    pub(crate) fn on_success(&mut self, now: Instant, run: &Run) {
        self.failures = 0;
        let took = now.since(run.begun_at);
        // A run that was short for another reason than our will tells nothing.
        if took < RUN_TIME && run.blocks.len() >= self.run_count {
            self.run_count = (self.run_count * 2).min(RUN_COUNT_MAX);
        } else if took > RUN_TIME * 4 {
            self.run_count = (self.run_count / 2).max(1);
        }
    }

    /// A run has failed, in part or whole. Returns how long the web seed rests; `None`: for ever.
    pub(crate) fn on_failure(&mut self, now: Instant, failure: &FetchFailure) -> Option<Duration> {
        // Runs that are under way together fail together: that is one failure.
        if !matches!(self.rest, Rest::Until(at) if at > now) {
            self.failures = self.failures.saturating_add(1);
        }
        self.run_count = (self.run_count / 2).max(RUN_COUNT_START.min(self.run_count));
        let start = match &failure.error {
            FetchError::Url(_) | FetchError::Redirect(_) => {
                self.rest = Rest::ForEver;
                return None;
            }
            FetchError::Status(408 | 429 | 500..)
            | FetchError::Timeout
            | FetchError::Failed(_)
            | FetchError::Proxy(_) => REST_START,
            FetchError::Status(_) | FetchError::Unfit(_) | FetchError::TooLong(_) | FetchError::NoAddress => {
                REST_LONG
            }
        };
        let doubled = start.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let rest = failure.retry_after.unwrap_or_default().max(doubled).min(REST_MAX);
        self.rest(now, rest);
        Some(rest)
    }

    /// A piece that it gave alone was bad, or a block that it gave was. True if it is left for that.
    ///
    /// What comes to light while it rests counts as one: a run has many pieces.
    pub(crate) fn on_lie(&mut self, now: Instant) -> bool {
        if !matches!(self.rest, Rest::No) && !matches!(self.rest, Rest::Until(at) if at <= now) {
            return false;
        }
        self.strikes += 1;
        let is_left = self.strikes >= STRIKES_MAX;
        if is_left {
            self.rest = Rest::ForEver;
        } else {
            self.rest(now, REST_START);
        }
        is_left
    }

    fn rest(&mut self, now: Instant, time: Duration) {
        let at = now + time;
        self.rest = match self.rest {
            Rest::ForEver => Rest::ForEver,
            Rest::Until(until) => Rest::Until(until.max(at)),
            Rest::No => Rest::Until(at),
        };
    }
}

/// The key under which the picker knows a web seed. No connection has it: their places are far fewer.
pub(crate) fn key_of(seed: usize) -> PeerKey {
    PeerKey::new(u32::MAX - u32::try_from(seed).unwrap_or(u32::MAX), u32::MAX)
}

/// The web seed that a key names, out of `count`.
pub(crate) fn seed_of(key: PeerKey, count: usize) -> Option<usize> {
    let seed = usize::try_from(u32::MAX - key.index()).ok()?;
    (key.generation() == u32::MAX && seed < count).then_some(seed)
}

/// The longest beginning of `blocks`, in order, in which each follows on the one before; the rest is
/// left in `blocks`.
pub(crate) fn first_run(geometry: &Geometry, blocks: &mut Vec<BlockRef>) -> Vec<BlockRef> {
    blocks.sort_unstable();
    let begin = |block: &BlockRef| geometry.offset_of(block.piece()) + u64::from(block.begin());
    let follows =
        |pair: &[BlockRef]| matches!(pair, [one, next] if begin(one) + u64::from(one.len()) == begin(next));
    let len = blocks.windows(2).take_while(|pair| follows(pair)).count() + 1;
    let rest = blocks.split_off(len.min(blocks.len()));
    std::mem::replace(blocks, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_start(Duration::from_secs(secs))
    }

    fn failure(error: FetchError, retry_after: Option<u64>) -> FetchFailure {
        FetchFailure { error, retry_after: retry_after.map(Duration::from_secs) }
    }

    fn seeds() -> WebSeeds {
        WebSeeds::new(vec!["http://h/".to_owned()])
    }

    #[test]
    fn rests_grow_and_end_with_a_success() {
        let mut seeds = seeds();
        let seed = &mut seeds.seeds[0];
        let rest = |seed: &mut WebSeed, secs, error, after| {
            seed.on_failure(at(secs), &failure(error, after)).map(|rest| rest.as_secs())
        };
        assert_eq!(rest(seed, 0, FetchError::Timeout, None), Some(10));
        // The run beside it.
        assert_eq!(rest(seed, 1, FetchError::Timeout, None), Some(10));
        assert_eq!(rest(seed, 11, FetchError::Timeout, None), Some(20));
        assert_eq!(rest(seed, 31, FetchError::Status(503), Some(90)), Some(90));
        assert_eq!(rest(seed, 121, FetchError::Status(503), Some(1 << 40)), Some(3600));
        assert_eq!((seed.wants(at(3720)), seed.wants(at(3721))), (0, RUN_COUNT_START));
        seed.on_success(at(3721), &Run { number: 0, blocks: Vec::new(), begun_at: at(3721) });
        assert_eq!(rest(seed, 3721, FetchError::Status(404), None), Some(600));
        assert_eq!(rest(seed, 3721, FetchError::Redirect(String::new()), None), None);
        assert_eq!((seed.wants(at(1 << 30)), seeds.next_at(at(0))), (0, None));
    }

    #[test]
    fn repeated_lies_end_it() {
        let mut seeds = seeds();
        let seed = &mut seeds.seeds[0];
        assert_eq!(
            [0, 1, 20, 21, 40, 41].map(|secs| seed.on_lie(at(secs))),
            [false, false, false, false, true, false]
        );
        assert_eq!(seed.wants(at(1 << 30)), 0);
    }

    #[test]
    fn runs_grow_on_a_fast_line_and_shrink_on_a_slow_one() {
        let geometry = Geometry::new(1 << 30, 1 << 20).unwrap();
        let all: Vec<BlockRef> = geometry.pieces().flat_map(|piece| geometry.blocks(piece)).collect();
        let mut seeds = seeds();
        for (took, want) in [(0, 32), (0, 64), (2, 64), (5, 32), (5, 16), (99, 8)] {
            let blocks = all[..seeds.seeds[0].wants(at(0))].to_vec();
            let number = seeds.begin(at(0), 0, blocks);
            let run = seeds.end(0, number).unwrap();
            seeds.seeds[0].on_success(at(took), &run);
            assert_eq!(seeds.seeds[0].wants(at(0)), want);
        }
        assert!(seeds.end(0, 1).is_none() && seeds.end(9, 1).is_none());
    }

    #[test]
    fn a_run_ends_where_something_is_between() {
        let geometry = Geometry::new(100_000, 40_000).unwrap();
        let mut all: Vec<BlockRef> = geometry.pieces().flat_map(|piece| geometry.blocks(piece)).collect();
        let gap = all.remove(4);
        all.reverse();
        assert_eq!(first_run(&geometry, &mut all).len(), 4);
        assert!(all.iter().all(|block| *block > gap));
        assert!(first_run(&geometry, &mut Vec::new()).is_empty());
    }

    #[test]
    fn keys_name_their_seed() {
        assert_eq!(seed_of(key_of(3), 4), Some(3));
        assert_eq!((seed_of(key_of(4), 4), seed_of(PeerKey::new(0, 0), 4)), (None, None));
    }
}
