//! All torrents in one line: with many of them, a line for each would say nothing.

use std::time::Duration;

use peerless_core::{Instant, Progress, State};

use crate::format;

/// How often the line is written anew at most: as often as figures come.
const INTERVAL: Duration = Duration::from_secs(1);

/// What all torrents do together.
#[derive(Debug, Default)]
pub(super) struct Sum {
    total: Figures,
    each: Vec<Figures>,
    told_at: Instant,
}

/// The figures of one torrent, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    leeching_count: usize,
    seeding_count: usize,
    done_len: u64,
    wanted_len: u64,
    down_rate: u64,
    up_rate: u64,
    peer_count: usize,
}

impl Figures {
    fn of(progress: &Progress) -> Self {
        Self {
            leeching_count: usize::from(progress.state == State::Leeching),
            seeding_count: usize::from(progress.state == State::Seeding),
            done_len: progress.done_len,
            wanted_len: progress.wanted_len,
            down_rate: progress.down_rate,
            up_rate: progress.up_rate,
            peer_count: progress.peer_count,
        }
    }

    fn add(&mut self, more: &Self) {
        self.leeching_count += more.leeching_count;
        self.seeding_count += more.seeding_count;
        self.done_len += more.done_len;
        self.wanted_len += more.wanted_len;
        self.down_rate += more.down_rate;
        self.up_rate += more.up_rate;
        self.peer_count += more.peer_count;
    }

    fn take(&mut self, less: &Self) {
        self.leeching_count -= less.leeching_count;
        self.seeding_count -= less.seeding_count;
        self.done_len -= less.done_len;
        self.wanted_len -= less.wanted_len;
        self.down_rate -= less.down_rate;
        self.up_rate -= less.up_rate;
        self.peer_count -= less.peer_count;
    }
}

impl Sum {
    /// Takes a torrent in, of which nothing is known but its length.
    pub(super) fn add(&mut self, total_len: u64) {
        let figures = Figures { wanted_len: total_len, ..Figures::default() };
        self.total.add(&figures);
        self.each.push(figures);
    }

    /// Takes in the figures of the torrent with this number.
    pub(super) fn update(&mut self, number: usize, progress: &Progress) {
        self.set(number, Figures::of(progress));
    }

    /// The torrent with this number is over: what it had counts on, what it did does not.
    pub(super) fn finish(&mut self, number: usize) {
        let Some(&Figures { done_len, wanted_len, .. }) = self.each.get(number) else { return };
        self.set(number, Figures { done_len, wanted_len, ..Figures::default() });
    }

    fn set(&mut self, number: usize, figures: Figures) {
        let Some(known) = self.each.get_mut(number) else { return };
        self.total.take(known);
        *known = figures;
        self.total.add(known);
    }

    /// Whether the line is to be shown anew: an `interval` has passed since it was, or since the start.
    pub(super) fn is_due(&mut self, now: Instant, interval: Duration) -> bool {
        let due = now.since(self.told_at) >= interval.max(INTERVAL);
        if due {
            self.told_at = now;
        }
        due
    }

    /// Bytes there, and bytes wanted.
    pub(super) const fn lens(&self) -> (u64, u64) {
        (self.total.done_len, self.total.wanted_len)
    }

    /// What is counted.
    pub(super) fn name(&self) -> String {
        format::count(self.each.len(), "torrent")
    }

    /// The line without its beginning.
    pub(super) fn words(&self) -> String {
        let total = &self.total;
        let (down, up) = (format::rate(total.down_rate), format::rate(total.up_rate));
        let peers = format::count(total.peer_count, "peer");
        let (leeching, seeding) = (total.leeching_count, total.seeding_count);
        let done = if total.done_len < total.wanted_len {
            let percent = format::percent(total.done_len, total.wanted_len);
            format!("{percent:.1} % of {}, {leeching} downloading, ", format::size(total.wanted_len))
        } else {
            String::new()
        };
        format!("{done}{seeding} seeding, down {down}, up {up}, {peers}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::tests::progress;

    #[test]
    fn the_line_counts_each_torrent_as_it_is_now() {
        let mut sum = Sum::default();
        (0..1000).for_each(|_| sum.add(300 << 20));
        for _ in 0..3 {
            (0..900).for_each(|number| sum.update(number, &progress(State::Seeding)));
            (900..1000).for_each(|number| sum.update(number, &progress(State::Leeching)));
        }
        assert_eq!(sum.name(), "1000 torrents");
        let words =
            "50.0 % of 292.9 GiB, 100 downloading, 900 seeding, down 9.7 GiB/s, up 500.0 KiB/s, 1000 peers";
        assert_eq!(sum.words(), words);
        (0..900).for_each(|number| sum.finish(number));
        assert_eq!(sum.words().split(", ").nth(2), Some("0 seeding"));
        assert_eq!(sum.lens().0, 1000 * (150 << 20));
    }

    #[test]
    fn the_line_is_due_once_an_interval_however_many_figures_come() {
        let mut sum = Sum::default();
        let at = |millis| Instant::from_start(Duration::from_millis(millis));
        let due = (0..40_000).filter(|millis| sum.is_due(at(*millis), Duration::from_secs(10)));
        assert_eq!(due.collect::<Vec<_>>(), [10_000, 20_000, 30_000]);
    }
}
