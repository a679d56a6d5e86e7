//! Peers that know one other peer, and what they hear of the rest of the swarm.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::{Config, Event, IpFamily, replay};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Flood, Plan};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

const MINUTE: Duration = Duration::from_secs(60);

/// Slow enough that nobody is done while peers still find each other.
const SLOW: Speed = Speed { up: 10_000, down: 100_000 };

fn sample() -> Sample {
    Sample::new(41, 3_000_000, 65_536)
}

/// A seed, and `count` leeches that know it and nobody else.
fn star(swarm: &mut Swarm, sample: &Sample, count: usize, config: &Config) -> Vec<NodeId> {
    let hub = swarm.add_host(config.clone(), SLOW);
    swarm.host_mut(hub).disk.insert_full(sample);
    swarm.start(hub, sample, Role::seed());
    let hub_addr = swarm.addr(hub);
    let leech = |swarm: &mut Swarm| join(swarm, sample, hub_addr, config);
    std::iter::once(hub).chain((0..count).map(|_| leech(swarm))).collect()
}

/// One more leech, which knows `peer` and nobody else.
fn join(swarm: &mut Swarm, sample: &Sample, peer: SocketAddr, config: &Config) -> NodeId {
    let node = swarm.add_host(config.clone(), SLOW);
    swarm.host_mut(node).disk.insert(sample);
    swarm.start(node, sample, Role::leech(&[peer]));
    node
}

/// To how many others each of them is connected, at least.
fn least(swarm: &Swarm, nodes: &[NodeId]) -> usize {
    nodes.iter().map(|&node| swarm.host(node).conns.len()).min().unwrap_or_default()
}

#[test]
fn who_knows_one_peer_finds_all_thirty() {
    let (sample, config) = (sample(), Config { record: true, ..Config::default() });
    let mut swarm = Swarm::new(41, Net::default());
    let mut nodes = star(&mut swarm, &sample, 29, &config);
    let all = |swarm: &Swarm, nodes: &[NodeId], count| least(swarm, nodes) >= count;
    assert!(swarm.run_until(2 * MINUTE, |swarm| all(swarm, &nodes, 29)), "{}", least(&swarm, &nodes));
    // One that comes late and knows a leech alone is told of all at once.
    let leech = swarm.addr(nodes[7]);
    nodes.push(join(&mut swarm, &sample, leech, &config));
    let late = &nodes[30..];
    assert!(swarm.run_until(MINUTE / 4, |swarm| all(swarm, late, 30)), "{}", least(&swarm, late));
    assert!(swarm.run_until(60 * MINUTE, |swarm| swarm.complete_count() == 30));
    // Who has gone is forgotten by all.
    swarm.run_for(Duration::from_secs(2));
    for &node in &nodes[1..] {
        let replayed = replay(swarm.host(node).disk.recording()).expect("it is done again");
        assert_eq!(replayed.cut_len, 0);
    }
}

#[test]
fn both_families_are_told_of() {
    let (sample, config) = (sample(), Config::default());
    let mut swarm = Swarm::new(42, Net::default());
    let mut nodes = star(&mut swarm, &sample, 3, &config);
    let hub = swarm.addr(nodes[0]);
    swarm.family = IpFamily::V6;
    nodes.extend((0..4).map(|_| join(&mut swarm, &sample, hub, &config)));
    assert!(swarm.run_until(2 * MINUTE, |swarm| least(swarm, &nodes) == 7), "{}", least(&swarm, &nodes));
}

#[test]
fn a_link_alone_finds_the_swarm_by_its_one_peer() {
    let (sample, config) = (sample(), Config::default());
    let mut swarm = Swarm::new(43, Net::default());
    let nodes = star(&mut swarm, &sample, 9, &config);
    swarm.run_for(Duration::from_secs(10));
    let peer = swarm.addr(nodes[3]);
    let late = swarm.add_magnet_leech(&sample, &[peer]);
    assert!(swarm.run_until(MINUTE, |swarm| least(swarm, &[late]) == 10), "{}", least(&swarm, &[late]));
}

#[test]
fn nobody_hears_of_others_in_a_private_swarm_nor_where_it_is_off() {
    let private = Sample::private(44, 1_000_000, 65_536, &[]);
    for (sample, config) in
        [(private, Config::default()), (sample(), Config { pex: false, ..Config::default() })]
    {
        let mut swarm = Swarm::new(44, Net::default());
        let nodes = star(&mut swarm, &sample, 5, &config);
        let hub = swarm.addr(nodes[0]);
        let met = |swarm: &Swarm, node: NodeId| -> BTreeSet<SocketAddr> {
            let addr = |event: &Event| {
                if let Event::PeerConnected { addr, .. } = event { Some(*addr) } else { None }
            };
            swarm.host(node).events.iter().filter_map(|(_, event)| addr(event)).collect()
        };
        swarm.run_for(10 * MINUTE);
        for &leech in &nodes[1..] {
            assert_eq!(met(&swarm, leech), BTreeSet::from([hub]), "it has met others");
        }
    }
}

#[test]
fn a_flood_of_addresses_keeps_no_good_peer_from_being_used() {
    let sample = Sample::new(45, 1_500_000, 65_536);
    let time = |flooders: u8| {
        let mut swarm = Swarm::new(45, Net::default());
        let seed = swarm.add_seed(&sample);
        let mut peers = vec![swarm.addr(seed)];
        for mark in 0..flooders {
            let plan = Plan { flood: Some(Flood::Pex), unchokes: false, ..Plan::seed(b'a' + mark) };
            let node = swarm.add_puppet(&sample, plan, Speed::default());
            peers.push(swarm.addr(node));
        }
        let leech = swarm.add_host(Config::default(), Speed::default());
        swarm.host_mut(leech).disk.insert(&sample);
        let torrent = swarm.start(leech, &sample, Role::leech(&peers));
        let most = (1 + usize::from(flooders) * 251).min(1000);
        let mut seen = 0;
        let done = swarm.run_until(30 * MINUTE, |swarm| {
            let progress = swarm.host(leech).session.progress(swarm.now(), torrent);
            seen = progress.map_or(0, |progress| progress.candidate_count).max(seen);
            swarm.complete_count() == 1
        });
        assert!(done, "with {flooders}");
        assert!((usize::from(flooders) * 50..=most).contains(&seen), "{seen} addresses are known");
        swarm.now().since_start()
    };
    let alone = time(0);
    for flooders in [1, 6] {
        let beside = time(flooders);
        assert!(beside <= alone.mul_f64(1.5) + Duration::from_secs(2), "{beside:?} instead of {alone:?}");
    }
}
