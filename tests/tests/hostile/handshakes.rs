//! Who shakes hands wrongly, not at all, or as somebody else.

use peerless_core::{CloseReason, Config, Event};
use peerless_sim::link::{Net, Speed};
use peerless_sim::puppet::{Plan, Shake};
use peerless_sim::swarm::{Role, Swarm};

use super::{MINUTE, SECOND, closed_for, sample};

#[test]
fn what_can_not_be_a_peer_of_this_torrent_is_closed_for_its_reason() {
    let sample = sample();
    let mut swarm = Swarm::new(3, Net::default());
    let seed = swarm.add_seed(&sample);
    swarm.run_for(SECOND);
    let own_id = *swarm.host(seed).session.peer_id().as_bytes();
    let base = Plan { dials: vec![swarm.addr(seed)], has: false, ..Plan::seed(b'x') };
    let add = |swarm: &mut Swarm, plan: Plan| swarm.add_puppet(&sample, plan, Speed::default());
    add(&mut swarm, Plan { shake: Shake::WrongHash, ..base.clone() });
    add(&mut swarm, Plan { shake: Shake::Garbage, ..base.clone() });
    add(&mut swarm, Plan { shake: Shake::Never, ..base.clone() });
    add(&mut swarm, Plan { peer_id: own_id, ..base.clone() });
    let first = add(&mut swarm, base.clone());
    swarm.run_for(5 * SECOND);
    add(&mut swarm, base);
    swarm.run_for(30 * SECOND);
    let count = |is: fn(&CloseReason) -> bool| closed_for(&swarm, seed, is);
    assert_eq!(count(|reason| *reason == CloseReason::UnknownTorrent), 1);
    assert_eq!(count(|reason| matches!(reason, CloseReason::Violation(_))), 1);
    assert_eq!(count(|reason| *reason == CloseReason::Timeout), 1);
    assert_eq!(count(|reason| *reason == CloseReason::Ourselves), 1);
    assert_eq!(count(|reason| *reason == CloseReason::Duplicate), 1);
    assert_eq!(swarm.puppet(first).conn_count(), 1, "the first of two is kept");
}

#[test]
fn a_session_does_not_stay_connected_to_itself() {
    let sample = sample();
    let mut swarm = Swarm::new(4, Net::default());
    let own = swarm.next_addr();
    let leech = swarm.add_leech(&sample, &[own]);
    swarm.run_for(10 * MINUTE);
    assert!(swarm.host(leech).conns.is_empty());
    let dials = swarm.host(leech).count(|event| matches!(event, Event::PeerClosed { .. }));
    assert!((1..=4).contains(&dials), "it dialled itself {dials} times and more");
}

#[test]
fn a_crowd_that_never_shakes_hands_keeps_nobody_out() {
    let sample = sample();
    let mut swarm = Swarm::new(5, Net::default());
    let seed =
        swarm.add_host(Config { peers_max: 30, half_open_max: 10, ..Config::default() }, Speed::default());
    swarm.host_mut(seed).disk.insert_full(&sample);
    swarm.start(seed, &sample, Role::seed());
    swarm.run_for(SECOND);
    let addr = swarm.addr(seed);
    for mark in 0..60 {
        let plan = Plan { dials: vec![addr], redial: Some(SECOND), shake: Shake::Never, ..Plan::seed(mark) };
        swarm.add_puppet(&sample, plan, Speed::default());
    }
    swarm.run_for(5 * SECOND);
    let leech = swarm.add_leech(&sample, &[addr]);
    let done = swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
}
