//! One connection to a peer.

mod send_queue;

pub use send_queue::{PartKind, Parts, SendQueue, Sent, Unsent};

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerError {}
