//! The blocks asked of one peer: how many at once, and when it is snubbed.
//!
//! The pipeline must hold what the peer can send during one round trip, and a little more so that
//! neither side ever waits for the other. It starts small, grows with each block that comes, and
//! from the first full second on follows the measured rate and round trip.

use std::collections::VecDeque;
use std::time::Duration;

use crate::piece::{BLOCK_LEN, BlockRef};
use crate::time::Instant;

/// Requests kept outstanding at the start; doubles each round trip.
const DEPTH_START: usize = 8;

/// The fewest requests kept outstanding at a peer that delivers.
const DEPTH_MIN: usize = 4;

/// The part of the pipeline that is filled at once: a sixteenth, which the slack more than covers.
const FILL_SHARE: usize = 16;

/// What the pipeline holds beyond one round trip: covers a peer's busy disk and uneven networks.
const SLACK: Duration = Duration::from_millis(500);

/// How long the pipeline only grows before rates are believed.
const START_TIME: Duration = Duration::from_secs(1);

/// How long a round trip counts as the shortest before it is measured anew: paths change.
const ROUND_TRIP_LIFE: Duration = Duration::from_secs(30);

/// A peer that owes blocks and delivers none for this long is snubbed, however slow it was:
/// long enough for one block at 1 KiB/s. (BEP 3 names a minute; a third of it costs less.)
const SNUB_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a snubbed peer may still bring what it owes before that is taken back, so that it can be
/// asked for again, also of the same peer: it may have lost the request. With the time until it is
/// snubbed this is the minute that BEP 3 names.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(40);

/// How much younger an answered request must be than one that is not, for that one to count as lost.
/// Peers answer in order, or nearly so, but drop what is beyond the bound of their queue.
const LOST_TIME: Duration = Duration::from_secs(30);

/// One request that is not answered.
#[derive(Clone, Copy, Debug)]
struct Request {
    block: BlockRef,
    at: Instant,
}

/// The requests outstanding at one peer.
#[derive(Debug)]
pub(crate) struct Requests {
    outstanding: VecDeque<Request>,
    depth: usize,
    /// The most that we ask for at once.
    asked_max: usize,
    /// The most that the peer keeps, as it says.
    kept_max: usize,
    /// When the first block came.
    started_at: Option<Instant>,
    /// The shortest time from request to block of late, and when that was.
    round_trip: Option<(Duration, Instant)>,
    /// The shortest time from request to block ever: what the path takes.
    path_time: Option<Duration>,
    /// When the youngest of the answered requests was sent.
    answered_at: Instant,
    /// When the peer last delivered, or was first asked after having delivered all.
    progress_at: Instant,
    /// Whether it owed blocks for too long.
    pub(crate) snubbed: bool,
    /// Whether it has rejected all that it was asked for and has not been let be since.
    refused: bool,
}

impl Requests {
    /// None yet; never more than `asked_max` at once, nor less than one.
    pub(crate) const fn new(now: Instant, asked_max: usize) -> Self {
        Self {
            outstanding: VecDeque::new(),
            depth: DEPTH_START,
            asked_max,
            kept_max: usize::MAX,
            started_at: None,
            round_trip: None,
            path_time: None,
            answered_at: now,
            progress_at: now,
            snubbed: false,
            refused: false,
        }
    }

    /// How many more to send now: none until a part of the pipeline is free, so that a deep one is
    /// filled some blocks at a time.
    pub(crate) fn room(&self) -> usize {
        if self.refused {
            return 0;
        }
        let depth = self.target();
        let room = depth.saturating_sub(self.outstanding.len());
        if room > depth / FILL_SHARE { room } else { 0 }
    }

    /// How many are to be outstanding, if there is so much to ask for.
    pub(crate) fn target(&self) -> usize {
        if self.snubbed { 1 } else { self.depth.min(self.window()) }
    }

    /// The most that may be outstanding, by what the peer keeps and what we ask for.
    fn window(&self) -> usize {
        self.kept_max.min(self.asked_max).max(1)
    }

    /// Whether more requests at once would bring more than this `rate`, in bytes per second, and neither
    /// the peer nor we have room for them: what is outstanding lasts no longer than the path takes
    /// twice.
    pub(crate) fn is_window_full(&self, rate: u64) -> bool {
        let max = self.window();
        let Some(path_time) = self.path_time.filter(|_| !self.snubbed && self.target() >= max) else {
            return false;
        };
        let carried = u128::from(rate) * 2 * path_time.as_millis() / 1000;
        carried >= max as u128 * u128::from(BLOCK_LEN)
    }

    /// How many are outstanding.
    pub(crate) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// Notes that the peer keeps so many requests and no more (BEP 10, `reqq`).
    pub(crate) fn set_kept_max(&mut self, count: u32) {
        self.kept_max = usize::try_from(count).unwrap_or(usize::MAX).max(1);
    }

    /// Notes that `block` has been asked for.
    pub(crate) fn add(&mut self, now: Instant, block: BlockRef) {
        if self.outstanding.is_empty() {
            if now.since(self.progress_at) > START_TIME {
                // The rate tells of the pause, not of what the peer can do.
                self.started_at = None;
            }
            self.progress_at = now;
        }
        self.outstanding.push_back(Request { block, at: now });
    }

    /// Notes that `block` came; false if it was not outstanding.
    ///
    /// `rate` is what the peer delivers, in bytes per second.
    pub(crate) fn answered(&mut self, now: Instant, block: BlockRef, rate: u64) -> bool {
        // Peers answer in order, so this finds it at the front.
        let Some(request) = self.take(block) else { return false };
        self.progress_at = now;
        self.snubbed = false;
        self.refused = false;
        self.answered_at = self.answered_at.max(request.at);
        let taken = now.since(request.at);
        self.path_time = Some(self.path_time.map_or(taken, |best| best.min(taken)));
        match self.round_trip {
            Some((best, at)) if taken >= best && now.since(at) < ROUND_TRIP_LIFE => {}
            _ => self.round_trip = Some((taken, now)),
        }
        let started_at = *self.started_at.get_or_insert(now);
        self.depth =
            if now.since(started_at) < START_TIME { self.depth + 1 } else { self.steady_depth(rate) };
        self.depth = self.depth.max(DEPTH_MIN).min(self.asked_max.max(1));
        true
    }

    /// Notes that `block` will not come; false if it was not outstanding.
    pub(crate) fn forget(&mut self, block: BlockRef) -> bool {
        self.take(block).is_some()
    }

    /// Notes that the peer will not send `block` though it does not choke us (BEP 6, "reject
    /// request"); false if it was not outstanding.
    ///
    /// It is asked for no more than it seems to keep until a block comes, and when it has rejected
    /// everything, for nothing: without this, each reject would lead to the next.
    pub(crate) fn rejected(&mut self, block: BlockRef) -> bool {
        if self.take(block).is_none() {
            return false;
        }
        self.depth = self.outstanding.len().max(1);
        self.refused = self.outstanding.is_empty();
        true
    }

    /// Notes that the peer may be asked again, though it has rejected all; true if it had.
    pub(crate) fn retry(&mut self) -> bool {
        let refused = std::mem::take(&mut self.refused);
        if refused {
            self.depth = self.depth.max(DEPTH_START);
        }
        refused
    }

    /// Forgets all that is outstanding, and tells what it was.
    pub(crate) fn forget_all(&mut self) -> Vec<BlockRef> {
        std::mem::take(&mut self.outstanding).into_iter().map(|request| request.block).collect()
    }

    /// Whether nothing is outstanding.
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Notes that the peer could not deliver, because we did not read.
    pub(crate) const fn excuse(&mut self, now: Instant) {
        self.progress_at = now;
    }

    /// All that is outstanding.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockRef> {
        self.outstanding.iter().map(|request| request.block)
    }

    /// What the peer will not answer any more: it has answered what was asked much later.
    pub(crate) fn lost(&self) -> Vec<BlockRef> {
        let is_lost = |request: &&Request| request.at + LOST_TIME <= self.answered_at;
        self.outstanding.iter().take_while(is_lost).map(|request| request.block).collect()
    }

    /// When the peer will be snubbed if it delivers nothing or, when it is, what it owes will be
    /// taken back; `None` if it owes nothing.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let time = if self.snubbed { SNUB_TIMEOUT + GIVE_UP_TIMEOUT } else { SNUB_TIMEOUT };
        (!self.outstanding.is_empty()).then(|| self.progress_at + time)
    }

    /// What fills the path and the slack at this rate.
    fn steady_depth(&self, rate: u64) -> usize {
        let round_trip = self.round_trip.map_or(Duration::ZERO, |(best, _)| best);
        let millis = u64::try_from((round_trip + SLACK).as_millis()).unwrap_or(u64::MAX);
        let len = rate.saturating_mul(millis) / 1000;
        usize::try_from(len / u64::from(BLOCK_LEN)).unwrap_or(usize::MAX).saturating_add(1)
    }

    fn take(&mut self, block: BlockRef) -> Option<Request> {
        let at = self.outstanding.iter().position(|request| request.block == block)?;
        self.outstanding.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::Geometry;

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    fn blocks(count: u32) -> Vec<BlockRef> {
        let geometry = Geometry::new(u64::from(count * BLOCK_LEN), count * BLOCK_LEN).unwrap();
        geometry.blocks(geometry.piece(0).unwrap()).collect()
    }

    /// A peer that answers after `delay` and sends one block each `pace`, all in milliseconds:
    /// what the pipeline comes to within ten seconds.
    fn depth_at(delay: u64, pace: u64) -> usize {
        let blocks = blocks(20_000);
        let (mut requests, mut next) = (Requests::new(at(0), 500), blocks.iter());
        let (mut sent, mut free_at): (VecDeque<(BlockRef, u64)>, u64) = (VecDeque::new(), 0);
        let rate = u64::from(BLOCK_LEN) * 1000 / pace;
        for now in 0..10_000 {
            for _ in 0..requests.room() {
                let block = *next.next().unwrap();
                requests.add(at(now), block);
                free_at = free_at.max(now + delay) + pace;
                sent.push_back((block, free_at));
            }
            while sent.front().is_some_and(|&(_, due)| due <= now) {
                let (block, _) = sent.pop_front().unwrap();
                assert!(requests.answered(at(now), block, rate));
            }
        }
        requests.depth
    }

    #[test]
    fn the_pipeline_covers_the_round_trip_and_the_slack() {
        // 100 blocks a second over 200 ms: 20 are on the way, 50 more are slack.
        assert!((65..=80).contains(&depth_at(200, 10)), "{}", depth_at(200, 10));
        // One block a second needs no long queue.
        assert_eq!(depth_at(50, 1000), DEPTH_MIN);
        // A very fast peer is kept busy up to the bound.
        assert_eq!(depth_at(600, 1), 500);
    }

    #[test]
    fn a_peer_that_owes_blocks_is_snubbed_until_one_comes() {
        let blocks = blocks(2);
        let mut requests = Requests::new(at(0), 500);
        assert_eq!(requests.due_at(), None);
        requests.add(at(1_000), blocks[0]);
        requests.add(at(5_000), blocks[1]);
        assert_eq!(requests.due_at(), Some(at(21_000)));
        requests.snubbed = true;
        assert_eq!(requests.due_at(), Some(at(61_000)));
        assert_eq!(requests.room(), 0);
        assert!(requests.answered(at(30_000), blocks[0], 0));
        assert!(!requests.snubbed && requests.room() > 0);
        assert_eq!(requests.due_at(), Some(at(50_000)));
        assert!(!requests.answered(at(30_000), blocks[0], 0));
        assert!(requests.forget(blocks[1]) && requests.due_at().is_none());
    }

    #[test]
    fn no_more_is_asked_for_than_we_may_not_even_at_the_start() {
        let mut requests = Requests::new(at(0), 3);
        assert_eq!(requests.room(), 3);
        requests.set_kept_max(2);
        assert_eq!(requests.room(), 2);
        requests.refused = true;
        requests.set_kept_max(2000);
        assert!(requests.retry() && requests.room() == 3);
    }

    #[test]
    fn a_deep_pipeline_is_filled_some_blocks_at_a_time() {
        let blocks = blocks(32);
        let mut requests = Requests::new(at(0), 500);
        assert!(requests.is_empty());
        requests.depth = 32;
        blocks[..30].iter().for_each(|block| requests.add(at(0), *block));
        assert_eq!((requests.room(), requests.is_empty()), (0, false));
        assert!(requests.forget(blocks[0]) && requests.room() == 3);
    }

    #[test]
    fn no_more_is_asked_for_than_the_peer_keeps() {
        let blocks = blocks(20);
        let mut requests = Requests::new(at(0), 500);
        requests.set_kept_max(3);
        assert_eq!(requests.room(), 3);
        blocks[..3].iter().for_each(|block| requests.add(at(0), *block));
        assert!(requests.answered(at(10), blocks[0], 1 << 30));
        assert_eq!(requests.room(), 1);
    }

    #[test]
    fn a_window_is_full_where_the_path_takes_longer_than_what_it_holds() {
        let blocks = blocks(20);
        let mut requests = Requests::new(at(0), 500);
        requests.set_kept_max(5);
        blocks[..5].iter().for_each(|block| requests.add(at(0), *block));
        assert!(!requests.is_window_full(1 << 30), "nothing is known yet");
        assert!(requests.answered(at(200), blocks[0], 1 << 30));
        // Five blocks each 200 ms are all that the window lets through; a tenth of it is a slow peer.
        let rate = 5 * 5 * u64::from(BLOCK_LEN);
        assert!(requests.is_window_full(rate));
        assert!(!requests.is_window_full(rate / 10));
        requests.set_kept_max(1000);
        assert!(!requests.is_window_full(rate), "there is room");
    }

    #[test]
    fn who_rejects_is_asked_for_less_and_at_last_for_nothing_until_a_retry() {
        let blocks = blocks(20);
        let mut requests = Requests::new(at(0), 500);
        blocks[..8].iter().for_each(|block| requests.add(at(0), *block));
        assert!(requests.rejected(blocks[7]) && !requests.rejected(blocks[7]));
        assert_eq!(requests.room(), 0);
        assert!(requests.answered(at(10), blocks[0], 1 << 30) && requests.room() == 2);
        blocks[1..7].iter().for_each(|block| assert!(requests.rejected(*block)));
        assert_eq!(requests.room(), 0);
        assert!(requests.retry() && !requests.retry());
        assert_eq!(requests.room(), DEPTH_START);
    }

    #[test]
    fn a_shorter_round_trip_counts_at_once_and_a_longer_one_after_a_while() {
        let blocks = blocks(9);
        let mut requests = Requests::new(at(0), 500);
        // What fills a round trip and the slack, at a hundred blocks a second.
        let mut depth_after = |asked, came| {
            requests.add(at(asked), blocks[0]);
            assert!(requests.answered(at(came), blocks[0], 0));
            requests.steady_depth(100 * u64::from(BLOCK_LEN))
        };
        assert_eq!(depth_after(0, 400), 91);
        assert_eq!(depth_after(1_000, 1_200), 71);
        assert_eq!(depth_after(30_000, 31_199), 71);
        assert_eq!(depth_after(30_900, 31_200), 81);
    }

    #[test]
    fn what_was_overtaken_long_ago_is_lost() {
        let blocks = blocks(4);
        let mut requests = Requests::new(at(0), 500);
        for (number, time) in [(0, 0), (1, 1_000), (2, 31_000), (3, 31_500)] {
            requests.add(at(time), blocks[number]);
        }
        assert!(requests.answered(at(90_000), blocks[1], 0) && requests.lost().is_empty());
        assert!(requests.answered(at(90_000), blocks[2], 0));
        assert_eq!(requests.lost(), [blocks[0]]);
    }

    #[test]
    fn a_pipeline_that_was_empty_for_a_while_grows_as_at_the_start() {
        let blocks = blocks(40);
        let mut requests = Requests::new(at(0), 500);
        requests.add(at(0), blocks[0]);
        assert!(requests.answered(at(100), blocks[0], 0));
        for block in &blocks[1..] {
            requests.add(at(60_000), *block);
        }
        for block in &blocks[1..] {
            assert!(requests.answered(at(60_100), *block, 10));
        }
        assert!(requests.depth > 40);
        requests.add(at(60_100), blocks[0]);
        requests.asked_max = 2;
        assert!(requests.answered(at(60_200), blocks[0], 0));
        assert_eq!(requests.depth, 2, "a bound below the usual least holds");
    }
}
