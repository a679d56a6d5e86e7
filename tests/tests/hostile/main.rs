//! Peers that break the rules: each rule of hardening against peers, over the wire.

mod handshakes;
mod poison;
mod silence;

use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::{CloseReason, Event};
use peerless_sim::link::NodeId;
use peerless_sim::sample::Sample;
use peerless_sim::swarm::Swarm;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn sample() -> Sample {
    Sample::new(9, 1_500_000, 65_536)
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
