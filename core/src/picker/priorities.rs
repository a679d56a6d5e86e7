//! Which pieces are wanted more than others, or not at all, or one after the other.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::availability::{PROBE_MAX, PieceState, Probe};
use super::{Picker, invariants};
use crate::bitfield::Bitfield;
use crate::key::PeerKey;
use crate::piece::{BlockRef, PieceIndex};
use crate::priority::Priority;

/// The missing pieces, the highest priority first, then by number.
#[derive(Debug)]
pub(super) struct InOrder(BTreeSet<(Reverse<Priority>, PieceIndex)>);

impl InOrder {
    /// The first missing piece of the peer.
    pub(super) fn first(&self, pieces: &Bitfield) -> Probe {
        let found = self.0.iter().take(PROBE_MAX).find(|(_, piece)| pieces.has(*piece));
        match found {
            Some(&(_, piece)) => Probe::Found(piece),
            None if self.0.len() <= PROBE_MAX => Probe::Nothing,
            None => Probe::GaveUp,
        }
    }

    /// Compares with the truth.
    pub(super) fn check_invariants(
        &self,
        missing: impl Iterator<Item = PieceIndex>,
        priority: impl Fn(PieceIndex) -> Priority,
    ) {
        let truth: BTreeSet<_> = missing.map(|piece| (Reverse(priority(piece)), piece)).collect();
        assert_eq!(self.0, truth, "missing pieces in order");
    }
}

impl Picker {
    /// How much the piece is wanted, whether it is had or not.
    #[must_use]
    pub fn priority(&self, piece: PieceIndex) -> Priority {
        self.pieces.priority(piece)
    }

    /// Changes how much a piece is wanted. New pieces of a higher priority are begun before others;
    /// what is open is finished all the same.
    ///
    /// At priority 0 a piece that is open is given up. Returns what is then to be cancelled: the
    /// picker has forgotten these requests. One that is being stored will be had.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) -> Vec<(PeerKey, BlockRef)> {
        if priority == self.pieces.priority(piece) {
            return Vec::new();
        }
        self.unlist(piece);
        self.pieces.set_priority(piece, priority);
        let mut cancel = Vec::new();
        if let Some(slot) = self.slot(piece).filter(|_| !priority.is_wanted()) {
            for ((_, block), askers) in invariants::asked(self.geometry, &self.open[slot..=slot]) {
                cancel.extend(askers.iter().map(|peer| (peer, block)));
            }
            self.exclusives.remove(piece);
            self.abandon(slot);
        }
        self.list(piece);
        cancel
    }

    /// Chooses new pieces of one priority by their number instead of by rarity.
    pub fn set_in_order(&mut self, in_order: bool) {
        let missing = self.geometry.pieces().filter(|&piece| self.is_missing(piece));
        let missing = missing.map(|piece| (Reverse(self.pieces.priority(piece)), piece));
        self.in_order = in_order.then(|| InOrder(missing.collect()));
    }

    pub(super) fn is_missing(&self, piece: PieceIndex) -> bool {
        matches!(self.pieces.state(piece), PieceState::Missing { .. })
    }

    /// Puts a piece that may have become missing where missing ones are looked for.
    pub(super) fn list(&mut self, piece: PieceIndex) {
        if !self.is_missing(piece) {
            return;
        }
        self.sparse.insert(piece);
        if let Some(in_order) = &mut self.in_order {
            in_order.0.insert((Reverse(self.pieces.priority(piece)), piece));
        }
    }

    /// Takes a piece out of where missing ones are looked for.
    pub(super) fn unlist(&mut self, piece: PieceIndex) {
        self.sparse.remove(piece);
        if let Some(in_order) = &mut self.in_order {
            in_order.0.remove(&(Reverse(self.pieces.priority(piece)), piece));
        }
    }
}
