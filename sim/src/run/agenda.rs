//! What a scenario has planned, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use peerless_core::Instant;

/// Something planned, of a peer unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Act {
    /// It comes.
    Arrive,
    /// It goes for good, whichever of its lives it is in.
    Leave,
    /// It stops, to come back.
    Stop { life: u32 },
    /// It had its time to end in order.
    Drop { life: u32 },
    /// It comes back.
    Back { life: u32 },
    /// A tracker may stop to answer, or answer again.
    Tracker,
    /// A look at everybody.
    Sample,
}

/// What is planned; what was planned first for one moment comes first.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    queue: BinaryHeap<Reverse<(Instant, u64, Act, usize)>>,
    count: u64,
}

impl Agenda {
    /// Plans something; `number` is that of the peer, or the tracker.
    pub(super) fn add(&mut self, at: Instant, act: Act, number: usize) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count, act, number)));
    }

    /// When the next is due.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next that is due by now.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Act, usize)> {
        self.next_at().filter(|at| *at <= now)?;
        self.queue.pop().map(|Reverse((_, _, act, number))| (act, number))
    }
}
