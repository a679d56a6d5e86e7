//! It is quiet: with nothing to do a session is hardly woken, and never twice for nothing.
//!
//! The host of each simulated session looks at the second in every swarm of every test; here are the
//! states in which it may be left.

use std::time::Duration;

use peerless_core::{Config, DiskErrorKind};
use peerless_sim::disk::Faults;
use peerless_sim::link::{Net, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use proptest::prelude::*;

use super::config;

const HOUR: Duration = Duration::from_secs(3600);

/// Until what there was to do at first is done, or has failed often enough.
const BEGIN: Duration = Duration::from_secs(30 * 60);

/// How often in an hour an idle session is woken at most: for itself, and for each torrent. While one
/// has peers, somebody may deserve a slot each ten seconds; beside that there are signs of life, trackers
/// and addresses to be tried again.
const WAKES_MAX: usize = 60;
const WAKES_PER_TORRENT_MAX: usize = 360 + 180;

/// In what state a torrent has nothing to do.
#[derive(Clone, Copy, Debug)]
enum Idle {
    /// All is there, and nobody comes.
    Seed,
    /// All is there, and those who are there want nothing.
    WatchedSeed,
    /// Nobody is known.
    Alone,
    /// Nobody answers at the addresses that are known.
    Unanswered,
    /// Those who are there let it ask for nothing.
    Choked,
    /// Those who are there have nothing.
    Empty,
    /// Those who are there answer nothing.
    Ignored,
    /// The disk was full.
    Stopped,
}

const ALL: [Idle; 8] = [
    Idle::Seed,
    Idle::WatchedSeed,
    Idle::Alone,
    Idle::Unanswered,
    Idle::Choked,
    Idle::Empty,
    Idle::Ignored,
    Idle::Stopped,
];

/// A session with torrents in these states; how often it is woken in an hour.
fn wakes(seed: u64, states: &[Idle], tracked: bool) -> usize {
    let mut swarm = Swarm::new(seed, Net::default());
    let host = swarm.add_host(Config::default(), Speed::default());
    for (number, state) in (0..).zip(states) {
        let tiers: &[&[&str]] = if tracked { &[&["http://tracker/announce"]] } else { &[] };
        let sample = Sample::with_trackers(seed ^ number, 200_000, 32_768, tiers);
        let own = swarm.addr(host);
        let puppet = |swarm: &mut Swarm, plan: Plan| {
            let node = swarm.add_puppet(&sample, plan, Speed::default());
            swarm.addr(node)
        };
        let silent = Plan { unchokes: false, ..Plan::seed(b'a') };
        let peers = match state {
            Idle::Seed | Idle::Alone => Vec::new(),
            Idle::WatchedSeed => {
                let plan = Plan { has: false, dials: vec![own], redial: Some(HOUR / 60), ..silent };
                puppet(&mut swarm, plan);
                Vec::new()
            }
            Idle::Unanswered => vec![swarm.add_silent(), swarm.add_silent()],
            Idle::Choked => vec![puppet(&mut swarm, silent)],
            Idle::Empty => vec![puppet(&mut swarm, Plan { has: false, ..silent })],
            Idle::Ignored => vec![puppet(&mut swarm, Plan { serve: Serve::Never, ..Plan::seed(b'b') })],
            Idle::Stopped => vec![puppet(&mut swarm, Plan::seed(b'c'))],
        };
        let disk = &mut swarm.host_mut(host).disk;
        let role = if matches!(state, Idle::Seed | Idle::WatchedSeed) {
            disk.insert_full(&sample);
            Role::seed()
        } else {
            disk.insert(&sample);
            Role::leech(&peers)
        };
        let write_fails_from = states.iter().any(|state| matches!(state, Idle::Stopped));
        let write_fails_from = write_fails_from.then_some((0, DiskErrorKind::Full));
        disk.set_faults(Faults { write_fails_from, ..Faults::default() });
        swarm.start(host, &sample, role);
    }
    swarm.run_for(BEGIN);
    let before = swarm.host(host).wake_count;
    swarm.run_for(HOUR);
    swarm.host(host).wake_count - before
}

#[test]
fn every_state_by_itself_is_quiet() {
    for state in ALL {
        for tracked in [false, true] {
            let count = wakes(1, &[state], tracked);
            let most = WAKES_MAX + WAKES_PER_TORRENT_MAX;
            assert!(count <= most, "{state:?}, {tracked}: woken {count} times in an hour, of {most}");
        }
    }
}

proptest! {
    #![proptest_config(config(30, "regressions/quiet.txt"))]

    #[test]
    fn whatever_it_has_that_is_idle_a_session_is_hardly_woken(
        seed in any::<u64>(),
        states in prop::collection::vec(prop::sample::select(ALL.to_vec()), 0..5),
        tracked in any::<bool>(),
    ) {
        let count = wakes(seed, &states, tracked);
        let most = WAKES_MAX + states.len() * WAKES_PER_TORRENT_MAX;
        prop_assert!(count <= most, "woken {} times in an hour, of {}", count, most);
    }
}
