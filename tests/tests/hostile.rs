//! Peers that break the rules: each rule of hardening against peers, over the wire.

use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::{CloseReason, Config, Event};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Flood, Plan, Serve, Shake};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn sample() -> Sample {
    Sample::new(9, 1_500_000, 65_536)
}

/// A swarm of a leech with one honest seed and these others, which it knows from the start.
fn beside(seed: u64, plans: &[Plan]) -> (Swarm, NodeId, Vec<NodeId>) {
    let sample = sample();
    let mut swarm = Swarm::new(seed, Net::default());
    let honest = swarm.add_seed(&sample);
    let mut peers = vec![swarm.addr(honest)];
    let others: Vec<NodeId> =
        plans.iter().map(|plan| swarm.add_puppet(&sample, plan.clone(), Speed::default())).collect();
    peers.extend(others.iter().map(|&node| swarm.addr(node)));
    let leech = swarm.add_leech(&sample, &peers);
    (swarm, leech, others)
}

/// How long the download takes.
fn time_to_complete(swarm: &mut Swarm, leech: NodeId) -> Duration {
    let done = swarm.run_until(30 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "never done: {:#?}", swarm.host(leech).events);
    swarm.now().since_start()
}

fn closed_for(swarm: &Swarm, node: NodeId, is: impl Fn(&CloseReason) -> bool) -> usize {
    swarm
        .host(node)
        .count(|event| matches!(event, Event::PeerClosed { reason: Some(reason), .. } if is(reason)))
}

fn banned(swarm: &Swarm, node: NodeId) -> Vec<SocketAddr> {
    let addr = |event: &Event| if let Event::PeerBanned { addr, .. } = event { Some(*addr) } else { None };
    swarm.host(node).events.iter().filter_map(|(_, event)| addr(event)).collect()
}

#[test]
fn beside_one_bad_and_one_good_peer_a_download_takes_hardly_longer() {
    let (mut swarm, leech, _) = beside(1, &[]);
    let alone = time_to_complete(&mut swarm, leech);
    let seed = Plan::seed(b'x');
    let flood = |flood| Plan { flood: Some(flood), ..seed.clone() };
    let bad = [
        ("mute", Plan { unchokes: false, ..seed.clone() }),
        ("never answers", Plan { serve: Serve::Never, ..seed.clone() }),
        ("trickles", Plan { serve: Serve::Trickle, ..seed.clone() }),
        ("lies", Plan { serve: Serve::Wrong(1000), ..seed.clone() }),
        ("lies at times", Plan { serve: Serve::Wrong(200), ..seed.clone() }),
        ("never shakes hands", Plan { shake: Shake::Never, ..seed.clone() }),
        ("shakes with garbage", Plan { shake: Shake::Garbage, ..seed.clone() }),
        ("keep-alives", flood(Flood::KeepAlives)),
        ("haves", flood(Flood::Haves)),
        ("interest", flood(Flood::Interest)),
        ("chokes", flood(Flood::Chokes)),
        ("unknown", flood(Flood::Unknown)),
        ("requests", flood(Flood::Requests)),
        ("blocks", flood(Flood::Blocks)),
        ("garbage", flood(Flood::Garbage)),
        ("frame", flood(Flood::Frame)),
        ("reads nothing", Plan { reads: false, ..flood(Flood::Requests) }),
    ];
    for (name, plan) in bad {
        let (mut swarm, leech, _) = beside(1, &[plan]);
        let time = time_to_complete(&mut swarm, leech);
        assert!(time <= alone.mul_f64(1.5) + 2 * SECOND, "{name}: {time:?} instead of {alone:?}");
    }
}

#[test]
fn a_liar_is_found_within_a_few_bad_pieces_and_the_honest_are_never_banned() {
    for (seed, wrong) in (1..=20).zip([1000, 300, 50].into_iter().cycle()) {
        let honest = Plan::seed(b'h');
        let liar = Plan { serve: Serve::Wrong(wrong), ..Plan::seed(b'l') };
        let (mut swarm, leech, others) = beside(seed, &[honest, liar]);
        time_to_complete(&mut swarm, leech);
        let failed = swarm.host(leech).count(|event| matches!(event, Event::PieceFailed { .. }));
        let lied = swarm.puppet(others[1]).stats.lie_count;
        let banned = banned(&swarm, leech);
        let liar_addr = swarm.addr(others[1]);
        assert!(
            banned.iter().all(|addr| *addr == liar_addr),
            "seed {seed}: the honest are banned: {banned:?}"
        );
        if failed > 0 {
            assert!(!banned.is_empty(), "seed {seed}: {lied} lies spoilt {failed} pieces and it goes on");
        }
        assert!(failed <= 4, "seed {seed}: {failed} bad pieces before it was found");
    }
}

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
