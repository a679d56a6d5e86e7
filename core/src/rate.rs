//! Byte rates over a short window.

use std::time::Duration;

use crate::time::Instant;

/// Buckets of the window: enough that one leaving it changes the rate by a tenth at most.
const BUCKET_COUNT: usize = 10;

/// The length of one bucket; ten of them make a window of five seconds.
const BUCKET_LEN: Duration = Duration::from_millis(500);

/// Counts bytes, in all and over the last five seconds.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    total: u64,
    buckets: [u64; BUCKET_COUNT],
    /// The number, since the session's beginning, of the newest bucket.
    newest: u64,
    /// The number of the bucket in which counting began.
    oldest: u64,
}

impl Rate {
    /// Counts from `now` on.
    #[must_use]
    pub(crate) fn new(now: Instant) -> Self {
        let newest = bucket(now);
        Self { total: 0, buckets: [0; BUCKET_COUNT], newest, oldest: newest }
    }

    /// Counts `len` bytes that passed just now.
    pub(crate) fn add(&mut self, now: Instant, len: u64) {
        self.turn(now);
        self.total = self.total.saturating_add(len);
        let slot = slot(self.newest);
        self.buckets[slot] = self.buckets[slot].saturating_add(len);
    }

    /// All bytes counted.
    #[must_use]
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// As [`Rate::per_second`], and nothing changes.
    #[must_use]
    pub(crate) fn per_second_at(&self, now: Instant) -> u64 {
        self.clone().per_second(now)
    }

    /// Bytes per second over the window that ends now, or over the time since counting began.
    pub(crate) fn per_second(&mut self, now: Instant) -> u64 {
        self.turn(now);
        let begun = self.oldest.max((self.newest + 1).saturating_sub(BUCKET_COUNT as u64));
        let begun = BUCKET_LEN.saturating_mul(u32::try_from(begun).unwrap_or(u32::MAX));
        let span = now.since_start().saturating_sub(begun).max(BUCKET_LEN);
        let sum: u64 = self.buckets.iter().sum();
        sum.saturating_mul(1000) / u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Empties the buckets that time has passed since the last call.
    fn turn(&mut self, now: Instant) {
        let current = bucket(now);
        for passed in (self.newest + 1..=current).take(BUCKET_COUNT) {
            self.buckets[slot(passed)] = 0;
        }
        if current > self.newest + BUCKET_COUNT as u64 {
            self.buckets = [0; BUCKET_COUNT];
        }
        self.newest = self.newest.max(current);
    }
}

fn bucket(now: Instant) -> u64 {
    u64::try_from(now.since_start().as_millis() / BUCKET_LEN.as_millis()).unwrap_or(u64::MAX - 1)
}

#[expect(clippy::cast_possible_truncation, reason = "below the count of buckets")]
const fn slot(bucket: u64) -> usize {
    (bucket % BUCKET_COUNT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_steady_flow_shows_its_rate() {
        let mut rate = Rate::new(at(0));
        (0..100).for_each(|i| rate.add(at(i * 100), 1000));
        let shown = rate.per_second(at(9_999));
        assert!((9_500..=10_500).contains(&shown), "{shown}");
        assert_eq!(rate.total(), 100_000);
    }

    #[test]
    fn a_flow_that_ends_is_forgotten() {
        let mut rate = Rate::new(at(0));
        rate.add(at(100), 1_000_000);
        assert!(rate.per_second(at(4_000)) > 0);
        assert_eq!(rate.per_second(at(5_500)), 0);
        rate.add(at(1_000_000), 5);
        assert_eq!(rate.per_second(at(1_000_001)), 1);
    }
}
