//! What happened outside: what a runtime tells the session.

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::job::JobDone;
use crate::key::PeerKey;

/// Something that happened outside.
#[derive(Debug)]
pub enum Input<'a> {
    /// The connection asked for by [`Output::Connect`](crate::Output::Connect) is up.
    Connected {
        /// Which.
        peer: PeerKey,
    },
    /// Bytes came from a peer. Any split of the stream means the same.
    Received {
        /// From whom.
        peer: PeerKey,
        /// The next bytes of its stream.
        bytes: &'a [u8],
    },
    /// A connection is gone, or could not be made.
    Closed {
        /// Which.
        peer: PeerKey,
        /// Why.
        cause: CloseCause,
    },
    /// A datagram came to the session's port.
    Datagram {
        /// The sender's address, as far as it can be believed.
        from: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// A job has ended.
    Done(JobDone),
}

/// How a connection ended, as the runtime saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCause {
    /// The peer ended its stream.
    End,
    /// Nobody answers at this address.
    Refused,
    /// The system reported another error while reading, writing or connecting.
    Failed,
}

impl From<ErrorKind> for CloseCause {
    /// What an error of a socket means here: whether anyone is there, or something else went wrong.
    fn from(kind: ErrorKind) -> Self {
        let refused =
            matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::TimedOut);
        if refused { Self::Refused } else { Self::Failed }
    }
}
