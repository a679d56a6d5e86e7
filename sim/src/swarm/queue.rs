//! What will happen in a swarm, in order.
//!
//! Nearly all that is scheduled happens within a second, and a large swarm has hundreds of thousands of
//! such things: what is near lies in slots by its time, and only one slot at a time is sorted.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use peerless_core::{Instant, Job};

use crate::link::{Conn, LinkKey, NodeId};
use crate::puppet::Alarm;

/// The nanoseconds of a slot, as a power of two: a quarter of a millisecond.
const SLOT_BITS: u32 = 18;

/// How many slots there are: what is further away than a second waits elsewhere.
const SLOT_COUNT: usize = 4096;

/// Something that will happen; what is scheduled first of one moment happens first.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) at: Instant,
    number: u64,
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
    /// A part has come to this end's line.
    Arrived(Conn),
    /// A part has come through this end's line, which others were on.
    Landed(Conn),
    /// This end may send more: its last part has left, or there is room again.
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

/// All that will happen.
#[derive(Debug)]
pub(super) struct Queue {
    number: u64,
    /// The slot whose turn it is, counted from the beginning of time.
    slot: u64,
    /// What is in it, the last first.
    now: Vec<Scheduled>,
    /// What came too late to be among that.
    late: BinaryHeap<Reverse<Scheduled>>,
    /// What is in the slots behind it, in no order, and how much that is.
    slots: Vec<Vec<Scheduled>>,
    slots_len: usize,
    /// What is further away.
    far: BinaryHeap<Reverse<Scheduled>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            number: 0,
            slot: 0,
            now: Vec::new(),
            late: BinaryHeap::new(),
            slots: (0..SLOT_COUNT).map(|_| Vec::new()).collect(),
            slots_len: 0,
            far: BinaryHeap::new(),
        }
    }
}

impl Queue {
    pub(super) fn push(&mut self, at: Instant, what: What) {
        self.number += 1;
        self.place(Scheduled { at, number: self.number, what });
    }

    /// When the next thing happens.
    pub(super) fn next_at(&mut self) -> Option<Instant> {
        self.advance();
        let (now, late) = (self.now.last(), self.late.peek());
        now.into_iter().chain(late.map(|Reverse(late)| late)).map(|next| next.at).min()
    }

    /// Takes out what happens next.
    pub(super) fn pop(&mut self) -> Option<Scheduled> {
        self.advance();
        let late = self.late.peek().map(|Reverse(late)| late);
        let is_late = late.is_some_and(|late| self.now.last().is_none_or(|next| late < next));
        if is_late { self.late.pop().map(|Reverse(next)| next) } else { self.now.pop() }
    }

    fn place(&mut self, one: Scheduled) {
        let slot = slot_of(one.at);
        if slot <= self.slot {
            self.late.push(Reverse(one));
        } else if slot - self.slot < SLOT_COUNT as u64 {
            self.slots_len += 1;
            self.slots[place_of(slot)].push(one);
        } else {
            self.far.push(Reverse(one));
        }
    }

    /// Goes on to the next slot that has something in it.
    fn advance(&mut self) {
        while self.now.is_empty() && self.late.is_empty() {
            if self.slots_len > 0 {
                self.slot += 1;
            } else if let Some(Reverse(next)) = self.far.peek() {
                self.slot = slot_of(next.at);
            } else {
                return;
            }
            let place = place_of(self.slot);
            self.slots_len -= self.slots[place].len();
            std::mem::swap(&mut self.now, &mut self.slots[place]);
            self.now.sort_unstable_by(|one, other| other.cmp(one));
            while let Some(Reverse(next)) = self.far.peek()
                && slot_of(next.at).saturating_sub(self.slot) < SLOT_COUNT as u64
                && let Some(Reverse(next)) = self.far.pop()
            {
                self.place(next);
            }
        }
    }
}

/// The slot of a time.
fn slot_of(at: Instant) -> u64 {
    u64::try_from(at.since_start().as_nanos() >> SLOT_BITS).unwrap_or(u64::MAX)
}

/// Where a slot lies.
#[expect(clippy::cast_possible_truncation, reason = "a remainder of the number of slots")]
const fn place_of(slot: u64) -> usize {
    (slot % SLOT_COUNT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::rng::Rng;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn what_is_sooner_comes_first_however_far_away_it_was() {
        let (mut queue, mut rng, mut want) = (Queue::default(), Rng::new(1), BTreeSet::new());
        let (mut now, mut number) = (Instant::START, 0);
        for round in 0..20_000 {
            // More in than out, then the other way round.
            if rng.below(3) < if round < 10_000 { 2 } else { 1 } {
                let nanos = match rng.below(4) {
                    0 => rng.below(1000),
                    1 => rng.below(1_000_000),
                    2 => rng.below(2_000_000_000),
                    _ => rng.below(100_000_000_000),
                };
                let at = now + Duration::from_nanos(nanos as u64);
                queue.push(at, What::Wake(NodeId(number)));
                want.insert((at, number));
                number += 1;
            } else if let Some((at, number)) = want.pop_first() {
                assert_eq!(queue.next_at(), Some(at));
                let next = queue.pop().expect("there is one");
                assert!(matches!(next.what, What::Wake(node) if next.at == at && node.0 == number));
                now = at;
            } else {
                assert!(queue.next_at().is_none() && queue.pop().is_none());
            }
        }
        assert!(number > 9000);
    }
}
