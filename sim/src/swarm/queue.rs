//! What will happen in a swarm, in order.

use std::cmp::Ordering;
use std::net::SocketAddr;

use peerless_core::{Instant, Job};

use crate::link::{Conn, LinkKey, NodeId};
use crate::puppet::Alarm;

/// Something that will happen; what is scheduled first of one moment happens first.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) at: Instant,
    pub(super) number: u64,
    pub(super) what: What,
}

/// What will happen.
#[derive(Debug)]
pub(super) enum What {
    Wake(NodeId),
    PuppetWake(NodeId, Alarm),
    PuppetDial(NodeId, SocketAddr),
    /// The host's life in which it was asked for, and the job.
    Job(NodeId, u32, Box<Job>),
    /// The dial has reached the one who was called.
    Dialled(LinkKey),
    /// The answer has reached the one who called; whether it is yes.
    DialAnswered(LinkKey, bool),
    /// A part has left the line of this end.
    Departed(Conn),
    /// A part has come to this end.
    Arrived(Conn),
    /// There may be room again for what this end has to send.
    Pump(Conn),
    Cut(LinkKey),
    /// A host's datagram has come to this address.
    DatagramOut(NodeId, SocketAddr, Vec<u8>),
    /// The answer from this address has come to the host.
    DatagramBack(NodeId, SocketAddr, Vec<u8>),
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
