//! Peers that send without end, or do not read.

use peerless_sim::link::Net;
use peerless_sim::link::Speed;
use peerless_sim::puppet::{Flood, Plan, Serve, Shake};
use peerless_sim::swarm::Swarm;

use super::{MINUTE, SECOND, beside, sample, time_to_complete};

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
