//! Datagrams of a swarm: delayed, lost, answered by UDP trackers.

use std::net::SocketAddr;

use peerless_core::tracker::{TrackerOptions, TrackerServer};
use peerless_core::{Input, Instant};

use super::{Swarm, What};
use crate::link::{NodeId, pick};

/// A UDP tracker of the simulation: our own, and what came to it.
#[derive(Debug)]
pub struct UdpTracker {
    /// The tracker.
    pub server: TrackerServer,
    /// Whether it hears nothing.
    pub down: bool,
    /// When datagrams came, also while it was down, and from whom.
    pub log: Vec<(Instant, SocketAddr)>,
}

impl Default for UdpTracker {
    fn default() -> Self {
        Self { server: TrackerServer::new(TrackerOptions::default(), [9; 32]), down: false, log: Vec::new() }
    }
}

impl Swarm {
    /// The UDP tracker at this address, made if there is none yet.
    pub fn udp_tracker(&mut self, addr: &str) -> &mut UdpTracker {
        self.udp_trackers.entry(addr.parse().expect("an address")).or_default()
    }

    /// A host sends a datagram.
    pub(super) fn send_datagram(&mut self, node: NodeId, to: SocketAddr, bytes: Vec<u8>) {
        if let Some(at) = self.arrival() {
            self.schedule(at, What::DatagramOut(node, to, bytes));
        }
    }

    /// It has come to whom it was sent.
    pub(super) fn on_datagram_out(&mut self, node: NodeId, to: SocketAddr, bytes: &[u8]) {
        let (now, from) = (self.now, self.addr(node));
        let Some(tracker) = self.udp_trackers.get_mut(&to) else { return };
        tracker.log.push((now, from));
        if tracker.down {
            return;
        }
        if let Some(answer) = tracker.server.handle_udp(now, &mut self.rng, from, bytes)
            && let Some(at) = self.arrival()
        {
            self.schedule(at, What::DatagramBack(node, to, answer));
        }
    }

    /// An answer has come to a host.
    pub(super) fn on_datagram_back(&mut self, node: NodeId, from: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        if !self.nodes[node.0].down {
            self.host_mut(node).session.handle_input(now, Input::Datagram { from, bytes });
            self.settle(node);
        }
    }

    /// When a datagram that leaves now arrives; `None` if it is lost.
    fn arrival(&mut self) -> Option<Instant> {
        let latency = pick(&mut self.rng, &self.net.latency);
        (self.rng.below(1000) >= self.net.datagram_loss).then(|| self.now + latency)
    }
}
