//! A scenario, played: real sessions and scripted peers that come, go and come back, until everybody
//! who can has everything. The scenario and a seed decide all of it.

mod agenda;
mod build;
mod life;
mod sampling;

use std::collections::BTreeMap;
use std::time::Duration;

use peerless_core::rng::Rng;
use peerless_core::{Instant, TorrentKey};

use crate::link::NodeId;
use crate::report::Report;
use crate::sample::Sample;
use crate::scenario::{Group, Scenario};
use crate::swarm::Swarm;
use crate::tally::Counts;
use agenda::{Act, Agenda};
use sampling::Series;

pub use sampling::Moment;
pub(crate) use sampling::share;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everybody who was to get everything has it, has left or has failed.
    Complete,
    /// The scenario's limit of virtual time came first.
    Limit,
    /// It was not played to its end.
    Interrupted,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The virtual time.
    pub time: Duration,
    /// Honest peers that are to get everything and have it.
    pub complete_count: usize,
    /// Honest peers that are to get everything.
    pub goal_count: usize,
    /// Pieces that they have got, at the last sample.
    pub piece_count: u64,
    /// Pieces that they are to get.
    pub piece_goal: u64,
}

/// A scenario being played.
#[derive(Debug)]
pub struct Run {
    pub(crate) scenario: Scenario,
    pub(crate) seed: u64,
    swarm: Swarm,
    sample: Sample,
    rng: Rng,
    pub(crate) members: Vec<Member>,
    by_node: BTreeMap<NodeId, usize>,
    agenda: Agenda,
    seen_count: usize,
    /// Honest leeches that may still get everything.
    waiting_count: usize,
    complete_count: usize,
    pub(crate) series: Series,
    ended: Option<Ended>,
    /// Whether every session records.
    records: bool,
}

/// One peer of a scenario.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its place in [`Scenario::groups`].
    pub(crate) group: usize,
    phase: Phase,
    node: Option<NodeId>,
    torrent: Option<TorrentKey>,
    pub(crate) arrived_at: Option<Instant>,
    pub(crate) completed_at: Option<Instant>,
    /// What is planned for an earlier life is void, but for its leaving.
    life: u32,
    /// Whether it is one of those that leave, once that was to be known.
    leaves: Option<bool>,
    /// The figures of lives that are over, and since the last sample those of this one.
    past: Totals,
    pub(crate) now: Totals,
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not come yet.
    Expected,
    /// It takes part.
    Here,
    /// It has stopped, and will come back.
    Away,
    /// It has gone for good.
    Gone,
    /// Its torrent has failed.
    Failed,
}

/// A session's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) uploaded_len: u64,
    pub(crate) downloaded_len: u64,
    pub(crate) wasted_len: u64,
    pub(crate) have_count: u32,
    pub(crate) counts: Counts,
}

impl Totals {
    /// Both together; of pieces what the later one has.
    fn and(&self, later: &Self) -> Self {
        let mut counts = self.counts;
        counts.add(&later.counts);
        Self {
            uploaded_len: self.uploaded_len + later.uploaded_len,
            downloaded_len: self.downloaded_len + later.downloaded_len,
            wasted_len: self.wasted_len + later.wasted_len,
            have_count: later.have_count,
            counts,
        }
    }
}

impl Member {
    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }
}

impl Run {
    /// The beginning of a scenario; `seed` decides every chance in it.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5CE2_A210);
        let swarm = build::network(&scenario, &mut rng);
        let sample = build::torrent(&scenario);
        let series = Series::new(scenario.sample);
        let mut run = Self {
            seed,
            swarm,
            sample,
            rng,
            members: Vec::new(),
            by_node: BTreeMap::new(),
            agenda: Agenda::default(),
            seen_count: 0,
            waiting_count: 0,
            complete_count: 0,
            series,
            ended: None,
            records: false,
            scenario,
        };
        run.plan();
        run
    }

    /// The same, every session of which records.
    #[must_use]
    pub fn recorded(scenario: Scenario, seed: u64) -> Self {
        Self { records: true, ..Self::new(scenario, seed) }
    }

    /// The recordings of all sessions that there were.
    pub fn recordings(&self) -> impl Iterator<Item = &[u8]> {
        let hosts = self.by_node.keys().map(|node| self.swarm.host(*node));
        hosts.flat_map(|host| host.disk.recordings())
    }

    /// Lets at most so many things happen; how it ended, once it has.
    pub fn advance(&mut self, mut steps: usize) -> Option<Ended> {
        let end = Instant::from_start(self.scenario.limit);
        while self.ended.is_none() && steps > 0 {
            let next_at = self.agenda.next_at().unwrap_or(end).min(end);
            let (seen, pause) = (self.seen_count, next_at.since(self.swarm.now()));
            let happened = self.swarm.run_until(pause, |swarm| {
                let news = swarm.complete_count() != seen;
                let enough = steps == 0;
                steps = steps.saturating_sub(1);
                news || enough
            });
            self.note_completions();
            if !happened {
                while let Some((act, member)) = self.agenda.due(self.swarm.now()) {
                    self.perform(act, member);
                }
                steps = steps.saturating_sub(1);
            }
            if self.waiting_count == 0 {
                self.end(Ended::Complete);
            } else if self.swarm.now() >= end {
                self.end(Ended::Limit);
            }
        }
        self.ended
    }

    /// Plays it to its end.
    pub fn finish(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.advance(usize::MAX) {
                return ended;
            }
        }
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let goals = || self.members.iter().filter(|member| self.group_of(member).is_waited_for());
        let goal_count = goals().count();
        Status {
            time: self.swarm.now().since_start(),
            complete_count: self.complete_count,
            goal_count,
            piece_count: goals().map(|member| u64::from(member.now.have_count)).sum(),
            piece_goal: goal_count as u64 * u64::from(self.scenario.torrent.pieces),
        }
    }

    /// What has come of it so far.
    #[must_use]
    pub fn report(&mut self) -> Report {
        let ended = self.ended.unwrap_or_else(|| {
            self.take_sample();
            Ended::Interrupted
        });
        Report::of(self, ended)
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.swarm.now()
    }

    pub(crate) fn group_of(&self, member: &Member) -> &Group {
        &self.scenario.groups[member.group]
    }

    fn end(&mut self, ended: Ended) {
        self.take_sample();
        self.ended = Some(ended);
    }

    fn perform(&mut self, act: Act, member: usize) {
        match act {
            Act::Arrive => self.arrive(member),
            Act::Leave => self.leave(member),
            Act::Stop { life } => self.stop(member, life),
            Act::Drop { life } => self.drop_node(member, life),
            Act::Back { life } => self.back(member, life),
            Act::Tracker => self.turn_tracker(member),
            Act::Sample => {
                self.take_sample();
                self.agenda.add(self.swarm.now() + self.series.interval(), Act::Sample, 0);
            }
        }
    }

    /// Hosts tell of what they have completed; the first time counts.
    fn note_completions(&mut self) {
        while let Some(&(at, node)) = self.swarm.completions().get(self.seen_count) {
            self.seen_count += 1;
            let Some(&number) = self.by_node.get(&node) else { continue };
            if self.members[number].completed_at.is_none() {
                self.members[number].completed_at = Some(at);
                self.on_complete(number, at);
            }
        }
    }

    fn on_complete(&mut self, number: usize, at: Instant) {
        self.plan_leave(number, at, |leave| leave.after_complete.as_ref());
        if self.group_of(&self.members[number]).is_waited_for() {
            self.complete_count += 1;
            self.waiting_count -= 1;
        }
    }
}
