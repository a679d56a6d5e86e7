//! Every piece's state, and the missing pieces in order of rarity.
//!
//! `order` holds the missing pieces grouped by availability, the rarest first; `starts` says where
//! each group begins. One peer more or less for a piece moves it over the border between two
//! groups, which is one swap. In front of the first group lies the room that pieces no longer
//! missing have left, so taking out a rare piece crosses few borders.
//!
//! Peers that have everything are only counted: they make no piece rarer than another.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::bitfield::Bitfield;
use crate::piece::{Geometry, PieceIndex};
use crate::rng::Rng;

/// Places in the order looked at for one pick: a look costs about 2 ns, and with up to so many
/// pieces missing the choice is exact.
pub const PROBE_MAX: usize = 128;

/// What we have of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceState {
    /// Nothing, and nobody was asked. It stands at this place of the order.
    Missing { at: u32 },
    /// Some blocks are held or asked for: this entry among the open pieces.
    Open { slot: u32 },
    /// All blocks; they are being hashed and written.
    Storing,
    /// Verified and written.
    Have,
}

/// What a bounded look at the order found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Found(PieceIndex),
    /// The peer has no missing piece.
    Nothing,
    /// [`PROBE_MAX`] pieces were none of the peer's; others may be.
    GaveUp,
}

#[derive(Debug)]
pub(super) struct Availability {
    states: Vec<PieceState>,
    /// For each piece: the peers that have it but not everything, plus `base`. Both wrap.
    counts: Vec<u32>,
    /// One more takes one from every count at once: a peer has come to have everything. One less
    /// adds one: a peer that lacks few pieces is counted everywhere, and then taken out of those.
    base: u32,
    full_peer_count: u32,
    order: Vec<PieceIndex>,
    /// Where in `order` each group begins, by availability; the last one ends with `order`.
    starts: Vec<u32>,
    have_count: u32,
    storing_count: u32,
}

impl Availability {
    pub(super) fn new(geometry: Geometry, have: &Bitfield, rng: &mut Rng) -> Self {
        let (mut order, mut missing): (Vec<_>, Vec<_>) =
            geometry.pieces().partition(|&piece| have.has(piece));
        // A look from some place on is to find any of the equally rare pieces, not neighbours.
        rng.shuffle(&mut missing);
        let have_count = have.count();
        let mut states = vec![PieceState::Have; geometry.piece_count() as usize];
        for (at, piece) in (have_count..).zip(&missing) {
            states[piece.as_usize()] = PieceState::Missing { at };
        }
        order.append(&mut missing);
        Self {
            counts: vec![0; states.len()],
            states,
            base: 0,
            full_peer_count: 0,
            order,
            starts: vec![have_count],
            have_count,
            storing_count: 0,
        }
    }

    pub(super) fn state(&self, piece: PieceIndex) -> PieceState {
        self.states[piece.as_usize()]
    }

    /// How many peers have the piece.
    pub(super) fn count(&self, piece: PieceIndex) -> u32 {
        self.full_peer_count + self.partial_count(piece)
    }

    pub(super) const fn have_count(&self) -> u32 {
        self.have_count
    }

    pub(super) const fn storing_count(&self) -> u32 {
        self.storing_count
    }

    pub(super) fn missing_count(&self) -> u32 {
        self.end() - self.start(0)
    }

    /// Takes time by the pieces that the peer has or by those that it lacks, whichever are fewer.
    pub(super) fn add_peer(&mut self, geometry: Geometry, pieces: &Bitfield) {
        if pieces.is_full() {
            self.full_peer_count += 1;
        } else if lacks_few(pieces) {
            self.raise_all();
            pieces.missing(&geometry).for_each(|piece| self.lower(piece));
        } else {
            pieces.iter(&geometry).for_each(|piece| self.raise(piece));
        }
    }

    /// As [`Availability::add_peer`]; it does not matter how the peer was counted then.
    pub(super) fn remove_peer(&mut self, geometry: Geometry, pieces: &Bitfield) {
        if pieces.is_full() {
            debug_assert!(self.full_peer_count > 0, "a peer leaves that never came");
            self.full_peer_count = self.full_peer_count.saturating_sub(1);
        } else if lacks_few(pieces) {
            pieces.missing(&geometry).for_each(|piece| self.raise(piece));
            self.lower_all();
        } else {
            pieces.iter(&geometry).for_each(|piece| self.lower(piece));
        }
    }

    /// Puts `piece` into the set of a peer that is counted; false if it was in before.
    pub(super) fn add_have(&mut self, pieces: &mut Bitfield, piece: PieceIndex) -> bool {
        if !pieces.insert(piece) {
            return false;
        }
        self.raise(piece);
        if pieces.is_full() {
            // It counted once for every piece; now it counts apart.
            self.full_peer_count += 1;
            self.lower_all();
        }
        true
    }

    /// Changes the state of a piece. The place of a missing piece is found here.
    pub(super) fn set(&mut self, piece: PieceIndex, state: PieceState) {
        match self.state(piece) {
            PieceState::Missing { at } => self.take_out(piece, at),
            PieceState::Storing => self.storing_count -= 1,
            PieceState::Have => self.have_count -= 1,
            PieceState::Open { .. } => {}
        }
        match state {
            PieceState::Missing { .. } => return self.put_in(piece),
            PieceState::Storing => self.storing_count += 1,
            PieceState::Have => self.have_count += 1,
            PieceState::Open { .. } => {}
        }
        self.states[piece.as_usize()] = state;
    }

    /// The rarest missing piece of the peer, any of them when several are equally rare.
    pub(super) fn rarest(&self, rng: &mut Rng, pieces: &Bitfield) -> Probe {
        let mut from = self.first_of(pieces);
        let mut left = PROBE_MAX;
        while from < self.end() {
            if left == 0 {
                return Probe::GaveUp;
            }
            let to = self.start(self.partial_count(self.order[from as usize]) as usize + 1);
            if let Some(piece) = self.probe(rng, from..to, pieces, &mut left) {
                return Probe::Found(piece);
            }
            from = to;
        }
        Probe::Nothing
    }

    /// Any missing piece of the peer.
    pub(super) fn random(&self, rng: &mut Rng, pieces: &Bitfield) -> Probe {
        let all = self.first_of(pieces)..self.end();
        let whole = all.len() <= PROBE_MAX;
        match self.probe(rng, all, pieces, &mut { PROBE_MAX }) {
            Some(piece) => Probe::Found(piece),
            None if whole => Probe::Nothing,
            None => Probe::GaveUp,
        }
    }

    /// Where the pieces of a peer can begin: one that lacks something is counted for each piece
    /// it has, so none of them is in the lowest group.
    fn first_of(&self, pieces: &Bitfield) -> u32 {
        self.start(usize::from(!pieces.is_full()))
    }

    /// The first of the peer's pieces in this part of the order, from a random place in it on.
    fn probe(
        &self,
        rng: &mut Rng,
        part: Range<u32>,
        pieces: &Bitfield,
        left: &mut usize,
    ) -> Option<PieceIndex> {
        let part = &self.order[part.start as usize..part.end as usize];
        let (head, tail) = part.split_at(rng.below(part.len()));
        let looks = part.len().min(*left);
        *left -= looks;
        tail.iter().chain(head).take(looks).copied().find(|&piece| pieces.has(piece))
    }

    fn partial_count(&self, piece: PieceIndex) -> u32 {
        self.counts[piece.as_usize()].wrapping_sub(self.base)
    }

    fn start(&self, group: usize) -> u32 {
        self.starts.get(group).copied().unwrap_or_else(|| self.end())
    }

    fn end(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// One peer more for every piece.
    fn raise_all(&mut self) {
        self.base = self.base.wrapping_sub(1);
        self.starts.insert(0, self.start(0));
    }

    /// One peer less for every piece: each has one, so the lowest group is empty.
    fn lower_all(&mut self) {
        debug_assert_eq!(self.start(0), self.start(1), "a peer leaves that never came");
        self.base = self.base.wrapping_add(1);
        if self.starts.len() > 1 {
            self.starts.remove(0);
        }
    }

    fn raise(&mut self, piece: PieceIndex) {
        let group = self.partial_count(piece) as usize;
        let count = &mut self.counts[piece.as_usize()];
        *count = count.wrapping_add(1);
        if let PieceState::Missing { at } = self.state(piece) {
            self.move_up(at, group);
        }
    }

    fn lower(&mut self, piece: PieceIndex) {
        let group = self.partial_count(piece) as usize;
        debug_assert!(group > 0, "a peer leaves that never came");
        if group == 0 {
            return;
        }
        let count = &mut self.counts[piece.as_usize()];
        *count = count.wrapping_sub(1);
        if let PieceState::Missing { at } = self.state(piece) {
            self.move_down(at, group);
        }
    }

    /// Moves the piece at `at` from `group` into the next one; its new place.
    fn move_up(&mut self, at: u32, group: usize) -> u32 {
        if self.starts.len() == group + 1 {
            self.starts.push(self.end());
        }
        self.starts[group + 1] -= 1;
        self.swap(at, self.starts[group + 1])
    }

    /// Moves the piece at `at` from `group` into the one before, or out of the lowest; its new place.
    fn move_down(&mut self, at: u32, group: usize) -> u32 {
        self.starts[group] += 1;
        self.swap(at, self.starts[group] - 1)
    }

    fn swap(&mut self, at: u32, to: u32) -> u32 {
        if at != to {
            self.order.swap(at as usize, to as usize);
            self.place(at);
            self.place(to);
        }
        to
    }

    fn place(&mut self, at: u32) {
        let piece = self.order[at as usize];
        self.states[piece.as_usize()] = PieceState::Missing { at };
    }

    fn take_out(&mut self, piece: PieceIndex, mut at: u32) {
        let empty = self.empty_below(piece);
        for group in (empty..=self.partial_count(piece) as usize).rev() {
            at = self.move_down(at, group);
        }
        self.starts[..empty].iter_mut().for_each(|start| *start += 1);
    }

    fn put_in(&mut self, piece: PieceIndex) {
        let empty = self.empty_below(piece);
        self.starts[..=empty].iter_mut().for_each(|start| *start -= 1);
        let mut at = self.starts[empty];
        self.order[at as usize] = piece;
        self.place(at);
        for group in empty..self.partial_count(piece) as usize {
            at = self.move_up(at, group);
        }
    }

    /// How many of the groups below that of the piece are empty, from the lowest on. Nothing there
    /// moves when the piece passes: where most peers have most pieces, that is nearly all of them.
    fn empty_below(&self, piece: PieceIndex) -> usize {
        let begun = self.starts.partition_point(|start| *start == self.starts[0]);
        (begun - 1).min(self.partial_count(piece) as usize)
    }

    /// Recomputes what is cached.
    pub(super) fn check_invariants(&self) {
        let count = |wanted: fn(&PieceState) -> bool| self.states.iter().filter(|&s| wanted(s)).count();
        let missing = count(|state| matches!(state, PieceState::Missing { .. }));
        assert_eq!(self.missing_count() as usize, missing, "the order holds the missing pieces");
        assert_eq!(self.have_count as usize, count(|&state| state == PieceState::Have));
        assert_eq!(self.storing_count as usize, count(|&state| state == PieceState::Storing));
        assert!(self.starts.is_sorted(), "groups follow each other");
        for at in self.start(0)..self.end() {
            let piece = self.order[at as usize];
            assert_eq!(self.state(piece), PieceState::Missing { at }, "{piece:?} knows its place");
            let group = self.partial_count(piece) as usize;
            assert!((self.start(group)..self.start(group + 1)).contains(&at), "{piece:?} is in its group");
        }
    }
}

/// Whether a peer is counted by what it lacks.
const fn lacks_few(pieces: &Bitfield) -> bool {
    pieces.count() > pieces.piece_count() / 2
}
