//! It is fair: who gives nothing gets the optimistic slot alone, and nobody keeps others from theirs.
//! That limits hold is looked at in `tests/limits.rs`, over random limits and sources.

use std::time::Duration;

use peerless_core::Config;
use peerless_core::bitfield::Bitfield;
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Flood, Plan};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use proptest::prelude::*;

use super::config;

const SECOND: Duration = Duration::from_secs(1);

/// Between a giver and the leech; slow, so that there is time to look.
const SLOW: Speed = Speed { up: 20_000, down: 100_000 };

/// Of an even share, what the one who gets least gets at least: turns are a minute long, and some are
/// not over.
const LEAST: u64 = 8;

/// Two turns of each of a seed's slots, and half of one.
const TIME: Duration = Duration::from_secs(150);

fn config_of(slots: usize) -> Config {
    Config { upload_slots: slots, upload_slots_max: slots, ..Config::default() }
}

fn unchoked(swarm: &Swarm, nodes: &[NodeId]) -> usize {
    nodes.iter().map(|&node| swarm.puppet(node).unchoked_count()).sum()
}

proptest! {
    #![proptest_config(config(10, "regressions/fair.txt"))]

    #[test]
    fn who_gives_nothing_gets_the_optimistic_slot_alone(
        seed in any::<u64>(),
        slots in 2_usize..6,
        more_givers in 0_usize..3,
        rider_count in 1_usize..8,
    ) {
        let sample = Sample::stand_in(seed % 1000, 16 << 20, 65_536, &[]);
        let mut swarm = Swarm::new(seed, Net::default());
        let leech = swarm.add_host(config_of(slots), Speed::default());
        let mut there = Bitfield::empty(sample.metainfo.geometry().piece_count());
        sample.metainfo.geometry().pieces().take(10).for_each(|piece| _ = there.insert(piece));
        swarm.host_mut(leech).disk.insert_with(&sample, there);
        swarm.start(leech, &sample, Role::leech(&[]));
        swarm.run_for(SECOND);
        let addr = swarm.addr(leech);
        let mut marks = b'A'..;
        let mut add = |swarm: &mut Swarm, plan: Plan, speed| {
            let peer_id = Plan::seed(marks.next().expect("a few")).peer_id;
            swarm.add_puppet(&sample, Plan { peer_id, ..plan }, speed)
        };
        for _ in 0..slots - 1 + more_givers {
            let giver = Plan { dials: vec![addr], asks: true, ..Plan::seed(0) };
            add(&mut swarm, giver, SLOW);
        }
        let riders: Vec<NodeId> =
            (0..rider_count).map(|_| add(&mut swarm, Plan::free_rider(0, addr), Speed::default())).collect();
        // Two rounds to find out who gives.
        swarm.run_for(21 * SECOND);
        let mut was_over = false;
        for _ in 0..40 {
            swarm.run_for(SECOND);
            prop_assert_eq!(swarm.complete_count(), 0, "it was done too soon to tell");
            // A choke is heard behind the blocks that were sent before it, an unchoke at once.
            let count = unchoked(&swarm, &riders);
            prop_assert!(count <= 1 || !was_over, "{} free riders at {:?}", count, swarm.now());
            was_over = count > 1;
        }
    }
}

proptest! {
    #![proptest_config(config(4, "regressions/fair.txt"))]

    #[test]
    fn nobody_who_asks_a_seed_starves_whatever_others_do(
        seed in any::<u64>(),
        slots in 2_usize..6,
        count in 2_usize..10,
        flood in prop_oneof![
            2 => Just(None),
            1 => prop::sample::select(vec![Flood::Interest, Flood::Requests, Flood::Cancels]).prop_map(Some),
        ],
    ) {
        let sample = Sample::stand_in(seed % 1000, 2 << 20, 65_536, &[]);
        let mut swarm = Swarm::new(seed, Net::default());
        let node = swarm.add_host(config_of(slots), Speed { up: 200_000, down: 200_000 });
        swarm.host_mut(node).disk.insert_full(&sample);
        swarm.start(node, &sample, Role::seed());
        swarm.run_for(SECOND);
        let addr = swarm.addr(node);
        // Who floods has its turn as well.
        let count = count.min(2 * slots - usize::from(flood.is_some()));
        let takers: Vec<NodeId> = (b'a'..).take(count).map(|mark| {
            swarm.add_puppet(&sample, Plan::free_rider(mark, addr), Speed::default())
        }).collect();
        if flood.is_some() {
            swarm.add_puppet(&sample, Plan { flood, ..Plan::free_rider(b'Z', addr) }, Speed::default());
        }
        swarm.run_for(TIME);
        let got: Vec<u64> = takers.iter().map(|&node| swarm.puppet(node).stats.got_len).collect();
        let least = got.iter().min().copied().unwrap_or_default();
        // What the line carries, for each of those who ask.
        let share = 200_000 * TIME.as_secs() / (count as u64 + u64::from(flood.is_some()));
        prop_assert!(least * LEAST >= share, "of {} each these got {:?}", share, got);
    }
}
