//! Deadlines, by what they are for.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

/// At most one deadline for each key; setting, clearing and finding the next are logarithmic.
#[derive(Debug)]
pub(crate) struct TimerTable<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
    /// The earliest of them: it is asked for after every input, and changes seldom.
    next: Option<Instant>,
}

impl<K> Default for TimerTable<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new(), next: None }
    }
}

impl<K: Ord + Copy> TimerTable<K> {
    /// Sets the deadline of `key`, in place of an earlier one.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        if let Some(old) = self.by_key.insert(key, at) {
            self.by_time.remove(&(old, key));
        }
        self.by_time.insert((at, key));
        self.find_next();
    }

    /// Forgets the deadline of `key`.
    pub(crate) fn clear(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
            self.find_next();
        }
    }

    fn find_next(&mut self) {
        self.next = self.by_time.first().map(|&(at, _)| at);
    }

    /// The deadline of `key`.
    #[must_use]
    pub(crate) fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// The earliest deadline.
    #[must_use]
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes out the earliest deadline that is not after `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        self.next.filter(|at| *at <= now)?;
        let &(_, key) = self.by_time.first()?;
        self.clear(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn timers_come_due_in_order_and_once() {
        let mut timers = TimerTable::default();
        timers.set('b', at(2));
        timers.set('a', at(9));
        timers.set('a', at(1));
        timers.set('c', at(3));
        timers.clear('b');
        assert_eq!((timers.next(), timers.get('c')), (Some(at(1)), Some(at(3))));
        assert_eq!(timers.pop_due(at(0)), None);
        assert_eq!(timers.pop_due(at(5)), Some('a'));
        assert_eq!(timers.pop_due(at(5)), Some('c'));
        assert_eq!((timers.pop_due(at(5)), timers.next()), (None, None));
    }
}
