//! Missing pieces of one priority in order of rarity.
//!
//! The pieces are grouped by how many peers have them, the most common first and the rarest last;
//! `starts` says where each group begins. One peer more or less for a piece moves it over the
//! border between two groups, which is one swap. Pieces come and go at the rare end, so taking
//! out a rare piece crosses few borders.

use std::ops::Range;

use super::availability::PieceState;
use crate::piece::PieceIndex;

#[derive(Debug, Default)]
pub(super) struct Rarity {
    order: Vec<PieceIndex>,
    /// Where in `order` each group begins, the rarest group first; it ends where the one before it
    /// in this list begins.
    starts: Vec<u32>,
}

impl Rarity {
    /// Pieces that nobody has.
    pub(super) fn new(order: Vec<PieceIndex>) -> Self {
        Self { order, starts: vec![0] }
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// The pieces of one group.
    pub(super) fn group(&self, group: usize) -> &[PieceIndex] {
        self.order.get(self.range(group)).unwrap_or_default()
    }

    /// The pieces of this group and of all that are more common.
    pub(super) fn from(&self, group: usize) -> &[PieceIndex] {
        self.order.get(..self.range(group).end).unwrap_or_default()
    }

    pub(super) fn put_in(&mut self, states: &mut [PieceState], piece: PieceIndex, group: usize) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        let empty = self.empty_below(group);
        self.starts.iter_mut().take(empty).for_each(|start| *start += 1);
        let mut at = self.len();
        self.order.push(piece);
        self.place(states, at);
        for group in empty..group {
            at = self.raise(states, at, group);
        }
    }

    pub(super) fn take_out(&mut self, states: &mut [PieceState], mut at: u32, group: usize) {
        let empty = self.empty_below(group);
        for group in (empty + 1..=group).rev() {
            at = self.lower(states, at, group);
        }
        let last = self.len().saturating_sub(1);
        self.swap(states, at, last);
        self.order.pop();
        self.starts.iter_mut().take(empty).for_each(|start| *start = last);
    }

    /// How many of the groups rarer than this one are empty, from the rarest on. Nothing there moves
    /// when a piece passes: where most peers have most pieces, that is nearly all of them.
    fn empty_below(&self, group: usize) -> usize {
        let empty = self.starts.partition_point(|start| *start == self.len());
        empty.min(self.starts.len() - 1).min(group)
    }

    /// Moves the piece at `at` from `group` into the next, more common one; its new place.
    pub(super) fn raise(&mut self, states: &mut [PieceState], at: u32, group: usize) -> u32 {
        if self.starts.len() == group + 1 {
            self.starts.push(0);
        }
        let to = self.starts[group];
        self.starts[group] += 1;
        self.swap(states, at, to)
    }

    /// Moves the piece at `at` from `group` into the one before, which is rarer; its new place.
    pub(super) fn lower(&mut self, states: &mut [PieceState], at: u32, group: usize) -> u32 {
        self.starts[group - 1] -= 1;
        let to = self.starts[group - 1];
        self.swap(states, at, to)
    }

    /// Every piece was in a group that is one too high: there is nothing in the lowest.
    pub(super) fn drop_lowest(&mut self) {
        if self.starts.len() > 1 {
            self.starts.remove(0);
        }
    }

    /// Every piece goes into the next group: one peer more has each of them.
    pub(super) fn add_lowest(&mut self) {
        self.starts.insert(0, self.len());
    }

    fn range(&self, group: usize) -> Range<usize> {
        let start = |group: usize| self.starts.get(group).map_or(0, |start| *start as usize);
        start(group)..group.checked_sub(1).map_or(self.order.len(), start)
    }

    fn swap(&mut self, states: &mut [PieceState], at: u32, to: u32) -> u32 {
        if at != to {
            self.order.swap(at as usize, to as usize);
            self.place(states, at);
            self.place(states, to);
        }
        to
    }

    fn place(&self, states: &mut [PieceState], at: u32) {
        states[self.order[at as usize].as_usize()] = PieceState::Missing { at };
    }

    /// Checks each piece's place, and its group by `group_of`.
    pub(super) fn check_invariants(
        &self,
        states: &[PieceState],
        mut group_of: impl FnMut(PieceIndex) -> usize,
    ) {
        assert!(self.starts.is_sorted_by(|rarer, commoner| rarer >= commoner), "groups follow each other");
        for (at, &piece) in (0..).zip(&self.order) {
            assert_eq!(states[piece.as_usize()], PieceState::Missing { at }, "{piece:?} knows its place");
            assert!(self.range(group_of(piece)).contains(&(at as usize)), "{piece:?} is in its group");
        }
    }
}
