//! Looks at everybody from time to time. Nothing here is asked for at each event.

use std::time::Duration;

use peerless_core::{Instant, State};
use serde::Serialize;

use super::{Member, Phase, Run, Totals};
use crate::report::rounded;

/// The samples at which the interval doubles, if the scenario leaves it open.
const SAMPLE_COUNT_MAX: usize = 240;

/// The interval at first, if the scenario leaves it open.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The leeches whose connections are looked at in a sample, spread evenly over all.
const LOOK_COUNT_MAX: usize = 200;

/// The swarm at one moment. Counts are of sessions that take part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// Virtual seconds since the scenario began.
    pub t: f64,
    /// Honest peers that lack something.
    pub leeches: usize,
    /// Honest peers that have everything.
    pub seeds: usize,
    /// The share of the wanted pieces that the honest leeches of the scenario have.
    pub done: f64,
    /// Payload sent since the sample before, as a share of what the lines of honest peers could carry;
    /// `None` if nobody was there.
    pub upload_use: Option<f64>,
    /// Of the connections of leeches to leeches, the share on which the near one wants what the far
    /// one has; `None` if there are none.
    pub entropy: Option<f64>,
    /// Copies of the rarest piece, those of seeds included.
    pub copies_min: usize,
    /// Copies of a piece on average.
    pub copies_mean: f64,
}

/// What the lines of those who are there could have carried.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    rate: i128,
    since: Instant,
    /// Byte-microseconds per second.
    sum: i128,
}

impl Capacity {
    /// Somebody comes or goes.
    pub(super) fn change(&mut self, now: Instant, by: i128) {
        self.sum += self.rate * i128::try_from(now.since(self.since).as_micros()).unwrap_or(i128::MAX);
        self.since = now;
        self.rate += by;
    }

    /// Bytes that could have been sent so far.
    fn len(&mut self, now: Instant) -> u64 {
        self.change(now, 0);
        u64::try_from(self.sum / 1_000_000).unwrap_or(u64::MAX)
    }
}

/// The samples.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) moments: Vec<Moment>,
    /// At each of them, bytes sent so far and bytes that could have been.
    pub(crate) sent: Vec<(u64, u64)>,
    pub(crate) capacity: Capacity,
    interval: Duration,
    is_fixed: bool,
}

impl Series {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self {
            moments: Vec::new(),
            sent: Vec::new(),
            capacity: Capacity::default(),
            interval: interval.unwrap_or(INTERVAL_MIN),
            is_fixed: interval.is_some(),
        }
    }

    /// The time to the next sample.
    pub(super) const fn interval(&self) -> Duration {
        self.interval
    }

    fn push(&mut self, mut moment: Moment, sent: (u64, u64)) {
        let before = self.sent.last().copied().unwrap_or_default();
        moment.upload_use = use_of(before, sent);
        if self.moments.last().is_some_and(|last| last.t >= moment.t) {
            return;
        }
        self.moments.push(moment);
        self.sent.push(sent);
        if !self.is_fixed && self.moments.len() >= SAMPLE_COUNT_MAX {
            self.thin();
        }
    }

    /// Forgets every other sample; what was sent between two is then that of both intervals.
    fn thin(&mut self) {
        self.interval *= 2;
        keep_every_other(&mut self.moments);
        keep_every_other(&mut self.sent);
        let mut before = (0, 0);
        for (moment, sent) in self.moments.iter_mut().zip(&self.sent) {
            moment.upload_use = use_of(before, *sent);
            before = *sent;
        }
    }
}

fn keep_every_other<T>(list: &mut Vec<T>) {
    let mut is_kept = false;
    list.retain(|_| {
        is_kept = !is_kept;
        !is_kept
    });
}

/// What was sent between two samples, as a share of what could have been.
fn use_of(before: (u64, u64), after: (u64, u64)) -> Option<f64> {
    share(after.0.saturating_sub(before.0), after.1.saturating_sub(before.1))
}

/// A part as a share of the whole, rounded; `None` if there is no whole.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64))
}

impl Run {
    /// Looks at everybody.
    pub(super) fn take_sample(&mut self) {
        self.refresh_all();
        let now = self.swarm.now();
        let (capacity_len, sent_len) = (self.series.capacity.len(now), self.honest_up_len());
        let piece_count = self.scenario.torrent.pieces;
        let honest = |member: &&Member| self.group_of(member).behaviour.is_honest();
        let here = || self.members.iter().filter(|member| member.phase == Phase::Here).filter(honest);
        let seeds = here().filter(|member| member.now.have_count == piece_count).count();
        let leeches = here().count() - seeds;
        let (copies_min, copies_mean) = self.copies();
        let status = self.status();
        let moment = Moment {
            t: rounded(now.since_start().as_secs_f64()),
            leeches,
            seeds,
            done: share(status.piece_count, status.piece_goal).unwrap_or_default(),
            upload_use: None,
            entropy: self.entropy(),
            copies_min,
            copies_mean,
        };
        self.series.push(moment, (sent_len, capacity_len));
    }

    /// Asks a session for its figures.
    pub(super) fn refresh(&mut self, number: usize) {
        let now = self.swarm.now();
        let member = &mut self.members[number];
        let (Some(node), Some(torrent)) = (member.node, member.torrent) else { return };
        let host = self.swarm.host(node);
        let Some(progress) = host.session.progress(now, torrent) else { return };
        let totals = Totals {
            uploaded_len: progress.uploaded_len,
            downloaded_len: progress.downloaded_len,
            wasted_len: progress.wasted_len,
            // While it looks at what is on the disk it knows of less than there is.
            have_count: progress.have_count.max(match progress.state {
                State::Checking => member.now.have_count,
                State::Metadata | State::Leeching | State::Seeding | State::Stopped => 0,
            }),
            counts: host.tally.as_ref().map(|tally| tally.counts).unwrap_or_default(),
        };
        member.now = member.past.and(&totals);
        if progress.state == State::Stopped && member.phase == Phase::Here {
            self.fail(number);
        }
    }

    pub(super) fn refresh_all(&mut self) {
        for number in 0..self.members.len() {
            if self.members[number].phase == Phase::Here {
                self.refresh(number);
            }
        }
    }

    /// Payload that the honest have sent so far.
    fn honest_up_len(&self) -> u64 {
        let honest = self.members.iter().filter(|member| self.group_of(member).behaviour.is_honest());
        honest.map(|member| member.now.uploaded_len).sum()
    }

    /// Payload that those who began with everything have sent so far.
    pub(crate) fn seeds_up_len(&self) -> u64 {
        let is_seed = |member: &&Member| {
            let group = self.group_of(member);
            group.is_seed() && group.behaviour.is_honest()
        };
        self.members.iter().filter(is_seed).map(|member| member.now.uploaded_len).sum()
    }

    /// Copies of the rarest piece, and of a piece on average.
    fn copies(&self) -> (usize, f64) {
        let metainfo = &self.sample.metainfo;
        let (geometry, info_hash) = (metainfo.geometry(), metainfo.info_hash());
        let mut full_count = 0;
        let mut counts = vec![0_usize; geometry.piece_count() as usize];
        let here = self.members.iter().filter(|member| member.phase == Phase::Here);
        for node in here.filter_map(|member| member.torrent.and(member.node)) {
            let pieces = self.swarm.host(node).disk.pieces(info_hash);
            if pieces.is_full() {
                full_count += 1;
            } else {
                pieces.iter(geometry).for_each(|piece| counts[piece.get() as usize] += 1);
            }
        }
        let sum = counts.iter().sum::<usize>() as u64;
        let mean = share(sum, u64::from(geometry.piece_count())).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let full = full_count as f64;
        (full_count + counts.iter().min().copied().unwrap_or_default(), rounded(mean + full))
    }

    /// Legout, Urvoy-Keller, Michiardi, "Rarest first and choke algorithms are enough" (2006): with ideal
    /// entropy each leech is always interested in each other. They measure the time for which one peer is
    /// interested in another; this is the same over many pairs at one moment.
    fn entropy(&self) -> Option<f64> {
        let now = self.swarm.now();
        let piece_count = self.scenario.torrent.pieces;
        let is_leech = |member: &&Member| {
            member.phase == Phase::Here
                && member.now.have_count < piece_count
                && self.group_of(member).behaviour.is_honest()
        };
        let leeches: Vec<&Member> = self.members.iter().filter(is_leech).collect();
        let step = leeches.len().div_ceil(LOOK_COUNT_MAX).max(1);
        let (mut pairs, mut interested) = (0, 0);
        for member in leeches.into_iter().step_by(step) {
            let (Some(node), Some(torrent)) = (member.node, member.torrent) else { continue };
            for peer in self.swarm.host(node).session.peers(now, torrent) {
                // Who has nothing yet has nothing to want: it has only just come.
                if (1..piece_count).contains(&peer.have_count) {
                    pairs += 1;
                    interested += u64::from(peer.am_interested);
                }
            }
        }
        share(interested, pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(t: f64) -> Moment {
        Moment {
            t,
            leeches: 1,
            seeds: 1,
            done: 0.0,
            upload_use: None,
            entropy: None,
            copies_min: 1,
            copies_mean: 1.0,
        }
    }

    #[test]
    fn samples_stay_few_and_lose_nothing_that_was_sent() {
        let mut series = Series::new(None);
        let mut t = 0;
        for _ in 0..1000_u32 {
            t += series.interval().as_secs();
            series.push(moment(f64::from(u32::try_from(t).unwrap())), (10 * t, 20 * t));
        }
        assert!(series.moments.len() < SAMPLE_COUNT_MAX && series.moments.len() == series.sent.len());
        assert!(series.moments.iter().all(|moment| moment.upload_use == Some(0.5)), "{:?}", series.moments);
        let gaps: Vec<f64> = series.moments.windows(2).map(|pair| pair[1].t - pair[0].t).collect();
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{gaps:?}");
    }

    #[test]
    fn capacity_is_what_was_there_while_it_was_there() {
        let at = |secs| Instant::from_start(Duration::from_secs(secs));
        let mut capacity = Capacity::default();
        capacity.change(at(10), 100);
        capacity.change(at(20), 50);
        capacity.change(at(30), -100);
        assert_eq!(capacity.len(at(40)), 1000 + 1500 + 500);
    }
}
