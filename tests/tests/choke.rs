//! Who gets to download: those who give, and by turns the others.

use std::time::Duration;

use peerless_core::Config;
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::Plan;
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

const SECOND: Duration = Duration::from_secs(1);

/// Between the seed and the free riders' lines; slow, so that there is time to look.
const SLOW: Speed = Speed { up: 20_000, down: 100_000 };

fn config(upload_slots: usize) -> Config {
    Config { upload_slots, upload_slots_max: upload_slots, ..Config::default() }
}

fn add_riders(swarm: &mut Swarm, sample: &Sample, target: NodeId, count: u8) -> Vec<NodeId> {
    let addr = swarm.addr(target);
    let plans = (0..count).map(|mark| Plan::free_rider(b'a' + mark, addr));
    plans.map(|plan| swarm.add_puppet(sample, plan, Speed::default())).collect()
}

fn unchoked(swarm: &Swarm, nodes: &[NodeId]) -> usize {
    nodes.iter().map(|&node| swarm.puppet(node).unchoked_count()).sum()
}

fn got(swarm: &Swarm, nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|&node| swarm.puppet(node).stats.got_len).collect()
}

#[test]
fn who_gives_is_unchoked_and_who_does_not_gets_the_optimistic_slot_alone() {
    let sample = Sample::new(1, 6_000_000, 65_536);
    let mut swarm = Swarm::new(1, Net::default());
    let leech = swarm.add_host(config(4), Speed::default());
    // It has something to give from the start.
    let mut there = peerless_core::bitfield::Bitfield::empty(sample.metainfo.geometry().piece_count());
    sample.metainfo.geometry().pieces().take(10).for_each(|piece| {
        there.insert(piece);
    });
    swarm.host_mut(leech).disk.insert_with(&sample, there);
    swarm.start(leech, &sample, Role::leech(&[]));
    swarm.run_for(SECOND);
    let addr = swarm.addr(leech);
    let givers: Vec<NodeId> = (0..3)
        .map(|mark| {
            let plan = Plan { dials: vec![addr], asks: true, ..Plan::seed(b'A' + mark) };
            swarm.add_puppet(&sample, plan, SLOW)
        })
        .collect();
    let riders = add_riders(&mut swarm, &sample, leech, 10);
    // Two rounds to find out who gives.
    swarm.run_for(21 * SECOND);
    let (mut samples, mut givers_in) = (0, 0);
    for _ in 0..60 {
        swarm.run_for(SECOND);
        assert_eq!(swarm.complete_count(), 0, "it was done too soon to tell");
        assert!(unchoked(&swarm, &riders) <= 1, "more than the optimistic slot at {:?}", swarm.now());
        samples += givers.len();
        givers_in += unchoked(&swarm, &givers);
    }
    assert!(givers_in * 10 >= samples * 9, "givers are unchoked {givers_in} of {samples} times");
    let lucky = riders.iter().filter(|&&rider| swarm.puppet(rider).stats.unchoke_count > 0).count();
    assert!(lucky >= 3, "the optimistic slot does not go round: {lucky}");
}

#[test]
fn a_seed_serves_everybody_by_turns() {
    let sample = Sample::new(2, 2_000_000, 65_536);
    let mut swarm = Swarm::new(2, Net::default());
    let seed = swarm.add_host(config(4), Speed { up: 200_000, down: 200_000 });
    swarm.host_mut(seed).disk.insert_full(&sample);
    swarm.start(seed, &sample, Role::seed());
    swarm.run_for(SECOND);
    let riders = add_riders(&mut swarm, &sample, seed, 12);
    let mut was_over = false;
    for _ in 0..600 {
        swarm.run_for(SECOND);
        // A choke is heard behind the blocks that were sent before it, an unchoke at once.
        let count = unchoked(&swarm, &riders);
        assert!(count <= 4 || !was_over, "{count} slots of 4 at {:?}", swarm.now());
        was_over = count > 4;
    }
    let got = got(&swarm, &riders);
    let (least, all) = (*got.iter().min().expect("twelve"), got.iter().sum::<u64>());
    assert!(least * 12 * 8 >= all, "someone starves: {got:?}");
    assert!(all >= 600 * 150_000, "the line was idle: {all} bytes");
}

#[test]
fn a_free_slot_is_given_at_once() {
    let sample = Sample::new(3, 500_000, 65_536);
    let mut swarm = Swarm::new(3, Net::default());
    let seed = swarm.add_seed(&sample);
    swarm.run_for(SECOND);
    let riders = add_riders(&mut swarm, &sample, seed, 1);
    swarm.run_for(SECOND);
    assert_eq!(unchoked(&swarm, &riders), 1, "a lone peer waits for the next round");
}

/// Copies of the payload that the only seed sends until twelve leeches have everything, and how long it
/// takes.
fn copies(number: u64, super_seed: bool) -> (f64, Duration) {
    let sample = Sample::new(number, 6_000_000, 65_536);
    let mut swarm = Swarm::new(number, Net::default());
    let line = Speed { up: 200_000, down: 2_000_000 };
    let seed = swarm.add_host(Config { super_seed, ..Config::default() }, line);
    swarm.host_mut(seed).disk.insert_full(&sample);
    let torrent = swarm.start(seed, &sample, Role::seed());
    let mut known = vec![swarm.addr(seed)];
    for _ in 0..12 {
        let leech = swarm.add_host(Config::default(), line);
        swarm.host_mut(leech).disk.insert(&sample);
        swarm.start(leech, &sample, Role::leech(&known));
        known.push(swarm.addr(leech));
    }
    assert!(swarm.run_until(1000 * SECOND, |swarm| swarm.complete_count() == 12));
    let now = swarm.now();
    let sent = swarm.host(seed).session.progress(now, torrent).expect("it is there").uploaded_len;
    let sent = u32::try_from(sent).expect("a few copies");
    let total = u32::try_from(sample.metainfo.geometry().total_len()).expect("a few megabytes");
    (f64::from(sent) / f64::from(total), now.since_start())
}

#[test]
fn a_super_seed_gives_each_piece_about_once() {
    // A single swarm says little: chance decides who finds whom first.
    let mean = |super_seed| {
        let runs = [16, 17, 18, 19].map(|number| copies(number, super_seed));
        let (copies, time) =
            runs.into_iter().fold((0.0, Duration::ZERO), |sum, run| (sum.0 + run.0, sum.1 + run.1));
        (copies / 4.0, time / 4)
    };
    let ((plain, plain_time), (held_back, time)) = (mean(false), mean(true));
    assert!(held_back < 1.5 && held_back < plain, "{held_back:.2} copies, {plain:.2} without");
    assert!(time < plain_time, "{time:?} instead of {plain_time:?}");
}
