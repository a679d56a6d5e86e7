//! A peer's way through a scenario: it comes, stops and comes back, goes.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::{Config, DiskErrorKind, Instant};

use super::agenda::Act;
use super::build::{per_mille, tracker_host, web_host};
use super::{Phase, Run, Totals};
use crate::disk::Faults;
use crate::link::{DiskPace, NodeId, Speed};
use crate::puppet::{Flood, Plan, Serve, Shake};
use crate::scenario::{Behaviour, DiskSpec, FloodKind, Group, Leave};
use crate::swarm::Role;
use crate::tracker::Mood;

/// What a session that ends in order gets to say so to its trackers and save.
const FAREWELL: Duration = Duration::from_secs(10);

/// How many of those who are there a scripted peer calls when it comes.
const CALL_COUNT: usize = 8;

/// How long a scripted peer waits until it calls again who hung up.
const CALL_AGAIN: Duration = Duration::from_secs(60);

impl Run {
    pub(super) fn arrive(&mut self, number: usize) {
        let group = self.group_of(&self.members[number]).clone();
        let now = self.swarm.now();
        self.members[number].arrived_at = Some(now);
        self.members[number].phase = Phase::Here;
        if group.behaviour.is_session() {
            self.arrive_session(number, &group);
        } else {
            self.arrive_puppet(number, &group);
        }
    }

    fn arrive_session(&mut self, number: usize, group: &Group) {
        let speed = Speed { up: group.up, down: group.down };
        let config = Config { record: self.records, ..group.config() };
        let node = self.swarm.add_host(config, speed);
        self.place(node, group);
        self.furnish(node, group);
        self.by_node.insert(node, number);
        self.members[number].node = Some(node);
        if group.is_seed() {
            self.members[number].completed_at = self.members[number].arrived_at;
        }
        let (now, life) = (self.swarm.now(), self.members[number].life);
        self.plan_leave(number, now, |leave| leave.after.as_ref());
        if group.is_seed() {
            // Nothing will tell that it is complete.
            self.plan_leave(number, now, |leave| leave.after_complete.as_ref());
        }
        if let Some(restart) = &group.restart
            && self.chance(restart.share)
        {
            let at = self.swarm.now() + self.draw(&restart.every);
            self.agenda.add(at, Act::Stop { life }, number);
        }
        self.begin(number);
    }

    /// Where it stands in the network.
    fn place(&mut self, node: NodeId, group: &Group) {
        if let Some(range) = &group.delay {
            let delay = self.draw(range);
            self.swarm.set_delay(node, delay);
        }
        if group.nat > 0.0 && self.chance(group.nat) {
            self.swarm.put_behind_nat(node);
        }
    }

    /// What its disk is like, and what is on it.
    fn furnish(&mut self, node: NodeId, group: &Group) {
        if group.is_seed() {
            self.swarm.host_mut(node).disk.insert_full(&self.sample);
        } else {
            let geometry = *self.sample.metainfo.geometry();
            let mut there = Bitfield::empty(geometry.piece_count());
            let has = per_mille(group.has);
            for piece in geometry.pieces().filter(|_| has > 0) {
                if self.rng.below(1000) < has {
                    there.insert(piece);
                }
            }
            self.swarm.host_mut(node).disk.insert_with(&self.sample, there);
        }
        let Some(disk) = &group.disk else { return };
        if !self.chance(disk.share) {
            return;
        }
        let DiskSpec { delay, rate, read_fails, save_fails, full_after, .. } = disk;
        self.swarm.set_disk_pace(node, DiskPace { delay: delay.clone(), rate: *rate });
        self.swarm.host_mut(node).disk.set_faults(Faults {
            write_fails_from: full_after.map(|count| (count, DiskErrorKind::Full)),
            read_fails_per_mille: per_mille(*read_fails),
            save_fails_per_mille: per_mille(*save_fails),
            open_fails: None,
        });
    }

    /// Its session begins with the torrent, the first time or again.
    fn begin(&mut self, number: usize) {
        let Some(node) = self.members[number].node else { return };
        let group = self.group_of(&self.members[number]);
        let (is_seed, up) = (group.is_seed(), self.capacity_of(group));
        let mut role = if is_seed { Role::seed() } else { Role::leech(&[]) };
        if !is_seed {
            role.web_seeds =
                (0..self.scenario.web_seeds.len()).map(|web| format!("http://{}/", web_host(web))).collect();
        }
        self.swarm.host_mut(node).tally = Some(Box::default());
        let torrent = self.swarm.start(node, &self.sample, role);
        self.members[number].torrent = Some(torrent);
        let now = self.swarm.now();
        self.series.capacity.change(now, i128::from(up));
    }

    /// What it may send for others, as far as it counts as capacity of the swarm.
    fn capacity_of(&self, group: &Group) -> u64 {
        if group.behaviour == Behaviour::Honest { group.up_rate() } else { 0 }
    }

    fn arrive_puppet(&mut self, number: usize, group: &Group) {
        let addr = self.swarm.next_addr();
        let info_hash = *self.sample.metainfo.info_hash().as_bytes();
        for tracker in 0..self.scenario.trackers.len().max(1) {
            self.swarm.tracker(&tracker_host(tracker)).insert(&info_hash, addr);
        }
        if group.behaviour == Behaviour::Dead {
            self.swarm.add_silent();
            return;
        }
        let mut peer_id = *b"-XX0000-000000000000";
        let digits = format!("{number:012}");
        peer_id[8..].copy_from_slice(&digits.as_bytes()[..12]);
        let (serve, shake) = match group.behaviour {
            Behaviour::Poisoner => (Serve::Wrong(group.lies.map_or(1000, per_mille)), Shake::Right),
            Behaviour::Silent => (Serve::Never, Shake::Right),
            Behaviour::Rejecter => (Serve::Rejects, Shake::Right),
            Behaviour::Trickler => (Serve::Trickle, Shake::Right),
            Behaviour::Mute => (Serve::Never, Shake::Never),
            Behaviour::Flooder | Behaviour::Dead | Behaviour::Honest | Behaviour::FreeRider => {
                (Serve::Right, Shake::Right)
            }
        };
        let flood = group.flood.unwrap_or(FloodKind::Haves);
        let plan = Plan {
            dials: self.somebody(),
            redial: Some(CALL_AGAIN),
            shake,
            peer_id,
            serve,
            flood: (group.behaviour == Behaviour::Flooder).then(|| flood_of(flood)),
            ..Plan::seed(0)
        };
        let speed = Speed { up: group.up, down: group.down };
        let node = self.swarm.add_puppet(&self.sample, plan, speed);
        self.place(node, group);
        self.members[number].node = Some(node);
    }

    /// Some of the sessions that are there, by chance.
    fn somebody(&mut self) -> Vec<SocketAddr> {
        let here = self.members.iter().filter(|member| member.phase == Phase::Here);
        let nodes: Vec<NodeId> = here.filter_map(|member| member.torrent.and(member.node)).collect();
        let mut addrs = Vec::new();
        for _ in 0..CALL_COUNT.min(nodes.len()) {
            let addr = self.swarm.addr(nodes[self.rng.below(nodes.len())]);
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        addrs
    }

    /// Plans when it leaves, if it is one of those that do and the group says so of this case.
    pub(super) fn plan_leave(
        &mut self,
        number: usize,
        from: Instant,
        case: impl Fn(&Leave) -> Option<&Range<Duration>>,
    ) {
        let Some(leave) = self.group_of(&self.members[number]).leave.clone() else { return };
        let Some(range) = case(&leave) else { return };
        let leaves = self.members[number].leaves.unwrap_or_else(|| self.chance(leave.share));
        self.members[number].leaves = Some(leaves);
        if leaves {
            let at = from + self.draw(range);
            self.agenda.add(at, Act::Leave, number);
        }
    }

    /// It goes for good.
    pub(super) fn leave(&mut self, number: usize) {
        let kill = self.group_of(&self.members[number]).leave.as_ref().is_some_and(|leave| leave.kill);
        let goes = match self.members[number].phase {
            Phase::Expected | Phase::Gone | Phase::Failed => false,
            Phase::Here => self.part(number, kill),
            Phase::Away => true,
        };
        if goes {
            self.members[number].phase = Phase::Gone;
            self.give_up_on(number);
        }
    }

    /// It stops, to come back.
    pub(super) fn stop(&mut self, number: usize, life: u32) {
        let member = &self.members[number];
        if member.life != life || member.phase != Phase::Here {
            return;
        }
        let Some(restart) = self.group_of(member).restart.clone() else { return };
        if !self.part(number, restart.kill) {
            return;
        }
        self.members[number].phase = Phase::Away;
        let farewell = if restart.kill { Duration::ZERO } else { FAREWELL };
        let at = self.swarm.now() + farewell + self.draw(&restart.away).max(Duration::from_millis(1));
        let life = self.members[number].life;
        self.agenda.add(at, Act::Back { life }, number);
    }

    /// Its session ends, with or without a word; not if it is found to have failed since the last sample.
    fn part(&mut self, number: usize, kill: bool) -> bool {
        self.refresh(number);
        if self.members[number].phase == Phase::Failed {
            return false;
        }
        let now = self.swarm.now();
        let up = self.capacity_of(self.group_of(&self.members[number]));
        self.series.capacity.change(now, -i128::from(up));
        let member = &mut self.members[number];
        member.life += 1;
        let (Some(node), life) = (member.node, member.life) else { return true };
        if kill {
            self.drop_node(number, life);
        } else {
            self.swarm.shut_down(node);
            self.agenda.add(now + FAREWELL, Act::Drop { life }, number);
        }
        true
    }

    /// What is left of its session ends.
    pub(super) fn drop_node(&mut self, number: usize, life: u32) {
        let member = &mut self.members[number];
        if let (Some(node), true) = (member.node, member.life == life) {
            let have_count = member.now.have_count;
            member.past = member.now;
            member.now = Totals { have_count, ..member.past };
            member.torrent = None;
            self.swarm.crash(node);
        }
    }

    /// It comes back with what it had.
    pub(super) fn back(&mut self, number: usize, life: u32) {
        let member = &mut self.members[number];
        let (Some(node), Phase::Away, true) = (member.node, member.phase, member.life == life) else {
            return;
        };
        member.phase = Phase::Here;
        self.swarm.revive(node);
        self.begin(number);
        if let Some(Range { start, end }) =
            self.group_of(&self.members[number]).restart.as_ref().map(|restart| restart.every.clone())
        {
            let at = self.swarm.now() + self.draw(&(start..end));
            self.agenda.add(at, Act::Stop { life }, number);
        }
    }

    /// Nobody waits for it any more, if anybody did.
    pub(super) fn give_up_on(&mut self, number: usize) {
        let member = &self.members[number];
        if member.completed_at.is_none() && self.group_of(member).is_waited_for() {
            self.waiting_count -= 1;
        }
    }

    /// Its torrent has failed, as the disk planned.
    pub(super) fn fail(&mut self, number: usize) {
        let now: Instant = self.swarm.now();
        let up = self.capacity_of(self.group_of(&self.members[number]));
        self.series.capacity.change(now, -i128::from(up));
        self.members[number].phase = Phase::Failed;
        self.give_up_on(number);
    }

    /// A tracker begins or ceases to fail, unless another of its times to fail goes on.
    pub(super) fn turn_tracker(&mut self, number: usize) {
        let now = self.swarm.now().since_start();
        let is_down = self.scenario.trackers[number].down.iter().any(|down| down.contains(&now));
        self.swarm.tracker(&tracker_host(number)).mood = if is_down { Mood::Down } else { Mood::Fine };
    }
}

const fn flood_of(kind: FloodKind) -> Flood {
    match kind {
        FloodKind::Haves => Flood::Haves,
        FloodKind::Requests => Flood::Requests,
        FloodKind::Blocks => Flood::Blocks,
        FloodKind::Chokes => Flood::Chokes,
        FloodKind::Garbage => Flood::Garbage,
        FloodKind::Pex => Flood::Pex,
    }
}
