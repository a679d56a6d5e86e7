//! The beginning of a scenario: its network, its torrent, and who is to come when.

use std::ops::Range;
use std::time::Duration;

use peerless_core::Instant;
use peerless_core::rng::Rng;

use super::agenda::Act;
use super::{Member, Phase, Run, Totals};
use crate::link::{self, Net};
use crate::sample::Sample;
use crate::scenario::{Arrive, NetworkSpec, Scenario, WebAnswer};
use crate::swarm::Swarm;
use crate::tracker::Tracker;
use crate::web::{Answer, WebServer};

/// The name of a tracker's host.
pub(super) fn tracker_host(number: usize) -> String {
    format!("tracker-{}", number + 1)
}

/// The name of a web seed's host.
pub(super) fn web_host(number: usize) -> String {
    format!("web-{}", number + 1)
}

/// The network, with its trackers and nobody in it.
pub(super) fn network(scenario: &Scenario, rng: &mut Rng) -> Swarm {
    let NetworkSpec { delay, jitter, loss, loss_delay, cut_after, window } = scenario.network.clone();
    let per_mille = per_mille(loss);
    let net = Net {
        latency: delay,
        window_len: window,
        rechunk: false,
        cut_after,
        stall: (per_mille > 0).then_some((per_mille, loss_delay)),
        jitter,
        datagram_loss: per_mille,
        ..Net::default()
    };
    let mut swarm = Swarm::new(rng.next_u64(), net);
    for number in 0..scenario.trackers.len().max(1) {
        let interval = scenario.trackers.get(number).and_then(|tracker| tracker.interval);
        let mut tracker = Tracker::default();
        if let Some(interval) = interval {
            tracker.interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
        }
        swarm.trackers.insert(tracker_host(number), tracker);
    }
    swarm
}

/// The torrent, the same for every seed.
pub(super) fn torrent(scenario: &Scenario) -> Sample {
    let urls: Vec<String> = (0..scenario.trackers.len().max(1))
        .map(|number| format!("http://{}/announce", tracker_host(number)))
        .collect();
    let tiers: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(<[&str; 1]>::as_slice).collect();
    let piece_len = u32::try_from(scenario.torrent.piece_length).expect("checked to be 64 MiB at most");
    Sample::stand_in(1, scenario.torrent.size(), piece_len, &tiers)
}

/// A share in thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
pub(super) fn per_mille(share: f64) -> usize {
    (share * 1000.0).round() as usize
}

impl Run {
    /// Puts everything on the agenda that is known from the start.
    pub(super) fn plan(&mut self) {
        let groups = self.scenario.groups.clone();
        for (place, group) in groups.iter().enumerate() {
            let mut last = group.arrive.at;
            for number in 0..group.count {
                let at = self.arrival(&group.arrive, number, &mut last);
                self.agenda.add(Instant::from_start(at), Act::Arrive, self.members.len());
                self.members.push(Member {
                    group: place,
                    phase: Phase::Expected,
                    node: None,
                    torrent: None,
                    arrived_at: None,
                    completed_at: None,
                    life: 0,
                    leaves: None,
                    past: Totals::default(),
                    now: Totals::default(),
                });
            }
            if group.is_waited_for() {
                self.waiting_count += group.count;
            }
        }
        for (number, tracker) in self.scenario.trackers.iter().enumerate() {
            for at in tracker.down.iter().flat_map(|Range { start, end }| [*start, *end]) {
                self.agenda.add(Instant::from_start(at), Act::Tracker, number);
            }
        }
        for (number, web) in self.scenario.web_seeds.iter().enumerate() {
            let answer = match web.answer {
                WebAnswer::Right => Answer::Right,
                WebAnswer::Wrong => Answer::Wrong,
                WebAnswer::Cut => Answer::Cut,
                WebAnswer::Never => Answer::Never,
                WebAnswer::Busy => Answer::Status(503, None),
            };
            let mut server = WebServer::new(&self.sample, answer);
            server.rate = web.rate;
            self.swarm.web.insert(web_host(number), server);
        }
        self.agenda.add(Instant::START + self.series.interval(), Act::Sample, 0);
    }

    /// When the next of a group comes.
    fn arrival(&mut self, arrive: &Arrive, number: usize, last: &mut Duration) -> Duration {
        if let Some(within) = arrive.within {
            return arrive.at + self.draw(&(Duration::ZERO..within));
        }
        let pause = match (arrive.every, arrive.poisson) {
            (Some(every), _) if number > 0 => every,
            (_, Some(mean)) => self.exponential(mean),
            _ => Duration::ZERO,
        };
        *last += pause;
        *last
    }

    /// A time of an exponential distribution.
    fn exponential(&mut self, mean: Duration) -> Duration {
        // 2^-53 to 1: never 0, whose logarithm there is none of.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let uniform = ((self.rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_millis(
            Duration::mul_f64(mean, -uniform.ln()).as_millis().try_into().unwrap_or(u64::MAX),
        )
    }

    /// A random time of the range.
    pub(super) fn draw(&mut self, range: &Range<Duration>) -> Duration {
        link::pick(&mut self.rng, range)
    }

    /// Whether something of this share is so for the one who asks.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.rng.below(1000) < per_mille(share)
    }
}
