//! Torrents of which a magnet link is all that is known, in swarms with liars.

use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::Event;
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Meta, Plan};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::Swarm;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A torrent of many files, so that its metadata has four pieces.
fn sample() -> Sample {
    let names: Vec<String> =
        (0..1000).map(|number| format!("a name of some length, number {number}")).collect();
    let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let files: Vec<(&[&str], usize)> = paths.iter().map(|path| (&path[..], 1500)).collect();
    Sample::with_files(11, &files, 65_536)
}

/// A leech with an honest seed and these others, all of which it knows from the start.
fn beside(seed: u64, metas: &[Meta]) -> (Swarm, NodeId, Vec<NodeId>) {
    let sample = sample();
    let mut swarm = Swarm::new(seed, Net::default());
    let add = |(meta, mark): (&Meta, u8)| Plan { metadata: *meta, ..Plan::seed(mark) };
    let plans: Vec<Plan> = metas.iter().zip(b'a'..).map(add).collect();
    let others: Vec<NodeId> =
        plans.into_iter().map(|plan| swarm.add_puppet(&sample, plan, Speed::default())).collect();
    let honest = swarm.add_seed(&sample);
    let mut peers: Vec<SocketAddr> = others.iter().map(|&node| swarm.addr(node)).collect();
    peers.push(swarm.addr(honest));
    swarm.run_for(SECOND);
    let leech = swarm.add_magnet_leech(&sample, &peers);
    (swarm, leech, others)
}

fn finish(swarm: &mut Swarm, leech: NodeId) -> Duration {
    let began_at = swarm.now();
    let done = swarm.run_until(30 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "never done: {:#?}", swarm.host(leech).events);
    swarm.now().since(began_at)
}

#[test]
fn a_magnet_link_brings_the_torrent_and_its_data() {
    let (mut swarm, leech, _) = beside(1, &[]);
    finish(&mut swarm, leech);
    assert_eq!(swarm.host(leech).count(|event| matches!(event, Event::MetadataDone { .. })), 1);
}

#[test]
fn who_got_it_by_a_link_gives_the_metadata_to_others() {
    let (mut swarm, leech, _) = beside(2, &[]);
    finish(&mut swarm, leech);
    let first = swarm.addr(leech);
    let second = swarm.add_magnet_leech(&sample(), &[first]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 2), "{:#?}", swarm.host(second).events);
}

#[test]
fn one_that_lies_or_bombs_does_not_keep_the_metadata_from_coming() {
    let (mut swarm, leech, _) = beside(3, &[]);
    let alone = finish(&mut swarm, leech);
    for meta in [&[Meta::None, Meta::Right], &Meta::BAD[..]].concat() {
        for seed in 10..15 {
            let (mut swarm, leech, _) = beside(seed, &[meta]);
            let time = finish(&mut swarm, leech);
            assert!(time <= alone.mul_f64(1.5) + 10 * SECOND, "{meta:?}: {time:?} instead of {alone:?}");
        }
    }
}

#[test]
fn many_liars_are_found_and_nobody_else_is_banned() {
    for seed in 20..30 {
        let metas = [Meta::Wrong, Meta::Right, Meta::Wrong, Meta::Mute, Meta::Wrong, Meta::Right];
        let (mut swarm, leech, others) = beside(seed, &metas);
        finish(&mut swarm, leech);
        for (meta, node) in metas.iter().zip(&others) {
            let addr = swarm.addr(*node);
            let is_it =
                |event: &Event| matches!(event, Event::PeerBanned { addr: banned, .. } if *banned == addr);
            if swarm.host(leech).count(is_it) > 0 {
                assert_eq!(*meta, Meta::Wrong, "seed {seed}: an honest peer is banned");
            }
        }
    }
}

#[test]
fn what_an_earlier_run_has_saved_is_not_fetched_again() {
    let (mut swarm, leech, _) = beside(4, &[]);
    let known = swarm.run_until(MINUTE, |swarm| {
        swarm.host(leech).count(|event| matches!(event, Event::MetadataDone { .. })) == 1
    });
    assert!(known);
    swarm.crash(leech);
    swarm.revive(leech);
    swarm.start_magnet(leech, &sample(), &[]);
    swarm.run_for(SECOND);
    let count = |is: fn(&Event) -> bool| swarm.host(leech).count(is);
    assert_eq!(count(|event| matches!(event, Event::Metadata { .. })), 0, "it is fetched again");
    assert_eq!(count(|event| matches!(event, Event::Started { .. })), 1);
}
