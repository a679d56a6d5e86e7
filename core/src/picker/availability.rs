//! Every piece's state and priority, and the missing pieces in order of both priority and rarity.
//!
//! Peers that have everything are only counted: they make no piece rarer than another.

#[cfg(test)]
mod tests;

use crate::bitfield::Bitfield;
use crate::piece::{Geometry, PieceIndex};
use crate::priority::Priority;
use crate::rng::Rng;

use super::rarity::Rarity;

/// Places in the order looked at for one pick: a look costs about 2 ns, and with up to so many
/// pieces missing the choice is exact.
pub const PROBE_MAX: usize = 128;

/// What we have of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceState {
    /// Nothing, and none is wanted: its priority is 0.
    Unwanted,
    /// Nothing, and nobody was asked. It stands at this place of its priority's order.
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

/// Priorities at which pieces are missing: all but 0.
const PRIORITY_COUNT: usize = Priority::TOP.get() as usize;

#[derive(Debug)]
pub(super) struct Availability {
    states: Vec<PieceState>,
    priorities: Vec<Priority>,
    /// For each piece: the peers that have it but not everything, plus `base`. Both wrap.
    counts: Vec<u32>,
    /// One more takes one from every count at once: a peer that has come to have everything counts
    /// apart. One less adds one: a peer that lacks few pieces is counted everywhere, and then taken
    /// out of those.
    base: u32,
    full_peer_count: u32,
    /// The missing pieces by priority, the highest first.
    missing: [Rarity; PRIORITY_COUNT],
    have_count: u32,
    storing_count: u32,
}

impl Availability {
    /// Every piece but those in `have` is missing, at the usual priority.
    pub(super) fn new(geometry: Geometry, have: &Bitfield, rng: &mut Rng) -> Self {
        let mut order: Vec<_> = geometry.pieces().filter(|&piece| !have.has(piece)).collect();
        // A look from some place on is to find any of the equally rare pieces, not neighbours.
        rng.shuffle(&mut order);
        let mut states = vec![PieceState::Have; geometry.piece_count() as usize];
        for (at, piece) in (0..).zip(&order) {
            states[piece.as_usize()] = PieceState::Missing { at };
        }
        let mut missing = <[Rarity; PRIORITY_COUNT]>::default();
        missing[place(Priority::NORMAL)] = Rarity::new(order);
        Self {
            counts: vec![0; states.len()],
            priorities: vec![Priority::NORMAL; states.len()],
            states,
            base: 0,
            full_peer_count: 0,
            missing,
            have_count: have.count(),
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
        self.missing.iter().map(Rarity::len).sum()
    }

    /// The highest priority at which a piece is missing.
    pub(super) fn top_priority(&self) -> Option<Priority> {
        let at = self.missing.iter().position(|missing| missing.len() > 0)?;
        Priority::new(Priority::TOP.get() - u8::try_from(at).ok()?)
    }

    pub(super) fn priority(&self, piece: PieceIndex) -> Priority {
        self.priorities[piece.as_usize()]
    }

    /// Changes a piece's priority. One that is missing stays so unless the priority is 0; one that
    /// is open at priority 0 is the caller's to end.
    pub(super) fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let state = self.state(piece);
        if let PieceState::Missing { at } = state {
            self.take_out(piece, at);
        }
        self.priorities[piece.as_usize()] = priority;
        if matches!(state, PieceState::Missing { .. } | PieceState::Unwanted) {
            self.put_in(piece);
        }
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

    /// Takes `piece` out of the set of a peer that is counted; false if it was not in.
    pub(super) fn remove_have(&mut self, pieces: &mut Bitfield, piece: PieceIndex) -> bool {
        let was_full = pieces.is_full();
        if !pieces.remove(piece) {
            return false;
        }
        if was_full {
            // It counted apart; from now on it counts once for every piece, but not for this one.
            self.full_peer_count = self.full_peer_count.saturating_sub(1);
            self.raise_all();
        }
        self.lower(piece);
        true
    }

    /// Changes the state of a piece. The place of a missing piece is found here, and whether it is
    /// wanted at all.
    pub(super) fn set(&mut self, piece: PieceIndex, state: PieceState) {
        match self.state(piece) {
            PieceState::Missing { at } => self.take_out(piece, at),
            PieceState::Storing => self.storing_count -= 1,
            PieceState::Have => self.have_count -= 1,
            PieceState::Unwanted | PieceState::Open { .. } => {}
        }
        match state {
            PieceState::Unwanted | PieceState::Missing { .. } => return self.put_in(piece),
            PieceState::Storing => self.storing_count += 1,
            PieceState::Have => self.have_count += 1,
            PieceState::Open { .. } => {}
        }
        self.states[piece.as_usize()] = state;
    }

    /// The rarest missing piece of the peer at the highest priority, any of them when several are
    /// equally rare.
    pub(super) fn rarest(&self, rng: &mut Rng, pieces: &Bitfield) -> Probe {
        let mut left = PROBE_MAX;
        for missing in &self.missing {
            let mut rest = missing.from(first_group(pieces));
            while let Some(&rarest) = rest.last() {
                let group = missing.group(self.partial_count(rarest) as usize);
                match probe(rng, group, pieces, &mut left) {
                    Probe::Nothing => rest = rest.get(..rest.len() - group.len()).unwrap_or_default(),
                    found @ (Probe::Found(_) | Probe::GaveUp) => return found,
                }
            }
        }
        Probe::Nothing
    }

    /// Any missing piece of the peer at the highest priority.
    pub(super) fn random(&self, rng: &mut Rng, pieces: &Bitfield) -> Probe {
        let mut left = PROBE_MAX;
        for missing in &self.missing {
            match probe(rng, missing.from(first_group(pieces)), pieces, &mut left) {
                Probe::Nothing => {}
                found @ (Probe::Found(_) | Probe::GaveUp) => return found,
            }
        }
        Probe::Nothing
    }

    fn partial_count(&self, piece: PieceIndex) -> u32 {
        self.counts[piece.as_usize()].wrapping_sub(self.base)
    }

    /// One peer more for every piece.
    fn raise_all(&mut self) {
        self.base = self.base.wrapping_sub(1);
        self.missing.iter_mut().for_each(Rarity::add_lowest);
    }

    /// One peer less for every piece: each has one, so the lowest group is empty.
    fn lower_all(&mut self) {
        self.base = self.base.wrapping_add(1);
        self.missing.iter_mut().for_each(Rarity::drop_lowest);
    }

    fn raise(&mut self, piece: PieceIndex) {
        let group = self.partial_count(piece) as usize;
        let count = &mut self.counts[piece.as_usize()];
        *count = count.wrapping_add(1);
        if let PieceState::Missing { at } = self.state(piece) {
            self.missing[place(self.priority(piece))].raise(&mut self.states, at, group);
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
            self.missing[place(self.priority(piece))].lower(&mut self.states, at, group);
        }
    }

    fn take_out(&mut self, piece: PieceIndex, at: u32) {
        let group = self.partial_count(piece) as usize;
        self.missing[place(self.priority(piece))].take_out(&mut self.states, at, group);
    }

    fn put_in(&mut self, piece: PieceIndex) {
        let priority = self.priority(piece);
        if priority.is_wanted() {
            let group = self.partial_count(piece) as usize;
            self.missing[place(priority)].put_in(&mut self.states, piece, group);
        } else {
            self.states[piece.as_usize()] = PieceState::Unwanted;
        }
    }

    /// Recomputes what is cached.
    pub(super) fn check_invariants(&self) {
        let count = |wanted: fn(&PieceState) -> bool| self.states.iter().filter(|&s| wanted(s)).count();
        let missing = count(|state| matches!(state, PieceState::Missing { .. }));
        assert_eq!(self.missing_count() as usize, missing, "the order holds the missing pieces");
        assert_eq!(self.have_count as usize, count(|&state| state == PieceState::Have));
        assert_eq!(self.storing_count as usize, count(|&state| state == PieceState::Storing));
        for (missing, number) in self.missing.iter().zip((0..=Priority::TOP.get()).rev()) {
            missing.check_invariants(&self.states, |piece| {
                assert_eq!(self.priority(piece).get(), number, "{piece:?} is where its priority is");
                self.partial_count(piece) as usize
            });
        }
        for (state, priority) in self.states.iter().zip(&self.priorities) {
            let unwanted = *state == PieceState::Unwanted;
            let missing = matches!(state, PieceState::Missing { .. });
            assert!(if priority.is_wanted() { !unwanted } else { !missing }, "{state:?} at {priority:?}");
        }
    }
}

/// Where a priority's pieces are among the missing ones.
fn place(priority: Priority) -> usize {
    usize::from(Priority::TOP.get() - priority.get()).min(PRIORITY_COUNT - 1)
}

/// Whether a peer is counted by what it lacks.
const fn lacks_few(pieces: &Bitfield) -> bool {
    pieces.count() > pieces.piece_count() / 2
}

/// Where the pieces of a peer can begin: one that lacks something is counted for each piece it has,
/// so none of them is in the lowest group.
fn first_group(pieces: &Bitfield) -> usize {
    usize::from(!pieces.is_full())
}

/// The first of the peer's pieces in this part of an order, from a random place in it on, within
/// `left` looks.
fn probe(rng: &mut Rng, part: &[PieceIndex], pieces: &Bitfield, left: &mut usize) -> Probe {
    if part.is_empty() {
        return Probe::Nothing;
    }
    let (head, tail) = part.split_at(rng.below(part.len()));
    let looks = part.len().min(*left);
    *left -= looks;
    match tail.iter().chain(head).take(looks).copied().find(|&piece| pieces.has(piece)) {
        Some(piece) => Probe::Found(piece),
        None if looks < part.len() => Probe::GaveUp,
        None => Probe::Nothing,
    }
}
