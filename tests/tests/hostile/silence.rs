//! Peers that say nothing, do not answer, or do not read.

use std::net::SocketAddr;

use peerless_core::{CloseReason, Config};
use peerless_sim::link::{Net, Speed};
use peerless_sim::puppet::{Flood, Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

use super::{MINUTE, SECOND, closed_for, sample};

#[test]
fn addresses_that_never_answer_are_given_up_and_do_not_hold_up_the_rest() {
    let sample = sample();
    let mut swarm = Swarm::new(7, Net::default());
    let mut peers: Vec<SocketAddr> = (0..200).map(|_| swarm.add_silent()).collect();
    let seed = swarm.add_seed(&sample);
    peers.push(swarm.addr(seed));
    let leech = swarm.add_leech(&sample, &peers);
    let done = swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
}

#[test]
fn blocks_owed_by_peers_that_never_answer_do_not_use_up_the_memory() {
    let sample = sample();
    let mut swarm = Swarm::new(8, Net::default());
    let never = Plan { serve: Serve::Never, ..Plan::seed(b'n') };
    let peers: Vec<SocketAddr> = (0..4)
        .map(|mark| {
            let plan = Plan { peer_id: Plan::seed(b'a' + mark).peer_id, ..never.clone() };
            let node = swarm.add_puppet(&sample, plan, Speed::default());
            swarm.addr(node)
        })
        .collect();
    // Room for three open pieces: the four that answer nothing are asked first and fill it.
    let config = Config { buffer_len_max: 3 * 65_536, ..Config::default() };
    let leech = swarm.add_host(config, Speed::default());
    swarm.host_mut(leech).disk.insert(&sample);
    let torrent = swarm.start(leech, &sample, Role::leech(&peers));
    swarm.run_for(5 * SECOND);
    let seed = swarm.add_seed(&sample);
    let (now, addr) = (swarm.now(), swarm.addr(seed));
    swarm.host_mut(leech).session.add_peer(now, torrent, addr);
    swarm.settle(leech);
    let done = swarm.run_until(2 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
}

#[test]
fn who_is_silent_is_let_go_and_who_is_not_hears_from_us() {
    let sample = sample();
    let mut swarm = Swarm::new(10, Net::default());
    // Neither unchokes; the one sends keep-alives, the other has nothing to trickle.
    let alive = Plan { unchokes: false, ..Plan::seed(b'a') };
    let silent = Plan { unchokes: false, serve: Serve::Trickle, ..Plan::seed(b's') };
    let alive = swarm.add_puppet(&sample, alive, Speed::default());
    let silent = swarm.add_puppet(&sample, silent, Speed::default());
    let peers = [swarm.addr(alive), swarm.addr(silent)];
    let leech = swarm.add_leech(&sample, &peers);
    swarm.run_for(15 * MINUTE);
    let (alive, silent) = (swarm.puppet(alive), swarm.puppet(silent));
    assert_eq!((alive.conn_count(), alive.stats.closed_count), (1, 0), "a live peer was let go");
    assert!(alive.stats.keep_alive_count >= 7, "{:?}: two minutes may pass (BEP 3)", alive.stats);
    assert!(silent.stats.closed_count >= 1, "a silent peer is kept");
    assert!(closed_for(&swarm, leech, |reason| *reason == CloseReason::Timeout) >= 1);
}

#[test]
fn a_lone_peer_however_slow_brings_everything_and_holds_up_nobody() {
    let sample = Sample::new(11, 40_000, 16_384);
    let mut swarm = Swarm::new(11, Net::default());
    let slow =
        swarm.add_puppet(&sample, Plan { serve: Serve::Trickle, ..Plan::seed(b't') }, Speed::default());
    let leech = swarm.add_leech(&sample, &[swarm.addr(slow)]);
    // One byte a second: each block takes four and a half hours.
    let done = swarm.run_until(13 * 60 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
    assert_eq!(swarm.host(leech).completed[0].wasted_len, 0, "what it had brought was thrown away");
    let late = swarm.add_leech(&sample, &[swarm.addr(slow)]);
    swarm.run_for(60 * MINUTE);
    let seed = swarm.add_seed(&sample);
    let hears = swarm.add_leech(&sample, &[swarm.addr(seed), swarm.addr(late)]);
    assert!(swarm.run_until(2 * MINUTE, |swarm| swarm.complete_count() == 3), "{hears:?} and {late:?}");
}

/// Peers that say to have all, let nobody request and stay.
fn idlers(swarm: &mut Swarm, sample: &Sample, count: u8, dials: &[SocketAddr]) -> Vec<SocketAddr> {
    let plan =
        |mark| Plan { unchokes: false, dials: dials.to_vec(), redial: Some(10 * SECOND), ..Plan::seed(mark) };
    let add = |mark| {
        let node = swarm.add_puppet(sample, plan(mark), Speed::default());
        swarm.addr(node)
    };
    (1..=count).map(add).collect()
}

#[test]
fn a_crowd_that_gives_nothing_does_not_hold_all_places_for_ever() {
    let sample = sample();
    let mut swarm = Swarm::new(12, Net::default());
    let mut peers = idlers(&mut swarm, &sample, 30, &[]);
    let leech = swarm.add_host(Config { peers_max: 10, ..Config::default() }, Speed::default());
    swarm.host_mut(leech).disk.insert(&sample);
    let torrent = swarm.start(leech, &sample, Role::leech(&peers));
    swarm.run_for(MINUTE);
    assert_eq!(swarm.host(leech).conns.len(), 10);
    let seed = swarm.add_seed(&sample);
    peers.push(swarm.addr(seed));
    let (now, addr) = (swarm.now(), swarm.addr(seed));
    swarm.host_mut(leech).session.add_peer(now, torrent, addr);
    swarm.settle(leech);
    assert!(swarm.run_until(60 * MINUTE, |swarm| swarm.complete_count() == 1), "it is never tried");
}

#[test]
fn who_calls_gets_the_place_of_somebody_who_does_nothing() {
    let sample = sample();
    let mut swarm = Swarm::new(13, Net::default());
    let partial = swarm.add_host(Config { peers_max: 10, ..Config::default() }, Speed::default());
    swarm.host_mut(partial).disk.insert(&sample);
    let seed = swarm.add_seed(&sample);
    swarm.start(partial, &sample, Role::leech(&[swarm.addr(seed)]));
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
    let addr = swarm.addr(partial);
    // They have nothing and want nothing.
    for mark in 0..10 {
        let plan = Plan { dials: vec![addr], has: false, ..Plan::seed(mark) };
        swarm.add_puppet(&sample, plan, Speed::default());
    }
    swarm.run_for(5 * MINUTE);
    assert_eq!(swarm.host(partial).conns.len(), 10);
    let leech = swarm.add_leech(&sample, &[addr]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 2), "{:#?}", swarm.host(leech).events);
}

#[test]
fn a_peer_that_reads_nothing_is_bounded_and_let_go() {
    let sample = sample();
    let mut swarm = Swarm::new(6, Net::default());
    let seed = swarm.add_seed(&sample);
    swarm.run_for(SECOND);
    let plan = Plan {
        dials: vec![swarm.addr(seed)],
        reads: false,
        has: false,
        asks: true,
        flood: Some(Flood::Requests),
        ..Plan::seed(b'x')
    };
    let glutton = swarm.add_puppet(&sample, plan, Speed::default());
    // The host checks what waits for it whenever the line is blocked.
    swarm.run_for(10 * MINUTE);
    assert_eq!(swarm.puppet(glutton).conn_count(), 1, "a puppet that does not read sees no end");
    assert!(swarm.host(seed).conns.is_empty(), "it is still served");
}
