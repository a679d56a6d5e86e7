//! One connection of the simulation: two ends, a pipe each way. What it decides is kept to the
//! order of bytes; times are decided by the swarm.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use peerless_core::key::Key;
use peerless_core::rng::Rng;
use peerless_core::{Instant, PeerKey};

use crate::part::Part;
use crate::traffic::Counter;

/// Names a node of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Names a link of a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    index: u32,
    generation: u32,
}

impl Key for LinkKey {
    fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }
    fn index(self) -> u32 {
        self.index
    }
    fn generation(self) -> u32 {
        self.generation
    }
}

/// One end of a link: which link, and 0 for the end that dialled, 1 for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn {
    /// The link.
    pub link: LinkKey,
    /// Which of its ends.
    pub side: usize,
}

impl Conn {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        Self { link: self.link, side: 1 - self.side }
    }
}

/// How the network treats everybody.
#[derive(Clone, Debug)]
pub struct Net {
    /// The time from one end of a link to the other; each link has its own.
    pub latency: Range<Duration>,
    /// Bytes on their way or waiting unread at which a sender has to wait.
    pub window_len: usize,
    /// The most bytes handed over at once.
    pub chunk_len_max: usize,
    /// Whether streams are cut into random parts rather than as they come.
    pub rechunk: bool,
    /// After how long a link breaks; `None`: never.
    pub cut_after: Option<Range<Duration>>,
    /// How often, in 1000 parts of a stream, one is held up for this long.
    pub stall: Option<(usize, Duration)>,
    /// Added to the delay of each part of a stream, which still comes in order; `None`: nothing.
    pub jitter: Option<Range<Duration>>,
    /// How many of 1000 datagrams are lost.
    pub datagram_loss: usize,
    /// How long a disk job takes.
    pub job_delay: Range<Duration>,
    /// How long a tracker takes.
    pub tracker_delay: Range<Duration>,
}

impl Default for Net {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            latency: millis(10)..millis(80),
            window_len: 256 * 1024,
            chunk_len_max: 16 * 1024,
            rechunk: true,
            cut_after: None,
            stall: None,
            jitter: None,
            datagram_loss: 0,
            job_delay: millis(1)..millis(20),
            tracker_delay: millis(20)..millis(200),
        }
    }
}

/// Bytes per second that a node's own line carries.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// From it, all connections together.
    pub up: u64,
    /// To it, all connections together.
    pub down: u64,
}

impl Default for Speed {
    fn default() -> Self {
        Self { up: 1_000_000, down: 4_000_000 }
    }
}

/// How fast a node's own disk is.
#[derive(Clone, Debug)]
pub struct DiskPace {
    /// How long a job takes beside its bytes.
    pub delay: Range<Duration>,
    /// Bytes per second that it reads and writes, one job after the other; `None`: as fast as need be.
    pub rate: Option<u64>,
}

/// The time that `len` bytes take at `rate` bytes per second.
#[must_use]
pub fn transfer_time(len: usize, rate: u64) -> Duration {
    let nanos = (len as u128).saturating_mul(1_000_000_000) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A random time of the range.
pub fn pick(rng: &mut Rng, range: &Range<Duration>) -> Duration {
    let span = range.end.saturating_sub(range.start).as_micros();
    let micros = rng.below(usize::try_from(span).unwrap_or(usize::MAX));
    range.start + Duration::from_micros(micros as u64)
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// Who dialled, and who was dialled.
    pub ends: [End; 2],
    /// The bytes from each end to the other.
    pub pipes: [Pipe; 2],
    /// The time from one end to the other.
    pub latency: Duration,
    /// The address that was dialled.
    pub to: SocketAddr,
    /// The address that the dial comes from.
    pub from: SocketAddr,
    /// Whether the one who dialled knows that it was answered.
    pub up: bool,
}

/// One end of a link.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub node: NodeId,
    /// The session's name for it; scripted peers have none.
    pub key: Option<PeerKey>,
    /// Whether the node has it open.
    pub open: bool,
}

/// The bytes from one end of a link to the other.
#[derive(Debug, Default)]
pub struct Pipe {
    /// What a scripted sender still has to send.
    pub backlog: VecDeque<u8>,
    /// Handed to the network, in order; an empty part is the end of the stream.
    pub flight: VecDeque<Part>,
    /// At the reader's line and waiting for others to come through it, in order.
    pub landing: VecDeque<Part>,
    /// Arrived and not read, in order.
    pub unread: VecDeque<Part>,
    /// The bytes of `flight`, `landing` and `unread`.
    pub len: usize,
    /// When the last part has left the sender's line.
    pub free_at: Instant,
    /// When the sender will look if there is more.
    pub planned_at: Option<Instant>,
    /// Whether the sender waits for room.
    pub blocked: bool,
    /// Tells the messages in it apart.
    pub(crate) counter: Counter,
    /// When the last part arrives at the reader's line.
    pub last_arrival: Instant,
}

impl Pipe {
    /// Takes the oldest unread part, or no more than `len_max` bytes of it; the sender may have room now.
    pub fn read(&mut self, len_max: usize) -> Option<Part> {
        let mut part = self.unread.pop_front()?;
        if part.len() > len_max {
            self.unread.push_front(part.split_off(len_max));
        }
        self.len -= part.len();
        Some(part)
    }
}
