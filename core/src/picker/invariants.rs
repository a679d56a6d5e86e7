//! Recomputes everything that the picker keeps only to be fast.

use super::Picker;
use super::availability::PieceState;
use super::endgame::Young;
use super::open_piece::{Askers, OpenPiece};
use crate::piece::Geometry;

/// Every block in flight, after its piece's age, with whom it was asked of.
pub(super) fn asked(geometry: Geometry, open: &[OpenPiece]) -> impl Iterator<Item = (Young, Askers)> {
    open.iter().flat_map(move |open| {
        let blocks = open.asked();
        blocks.filter_map(move |(number, askers)| {
            Some(((open.age, geometry.block(open.piece, number)?), askers))
        })
    })
}

impl Picker {
    /// Checks that all that is cached agrees with what it's computed from. For tests: it looks at
    /// every piece.
    ///
    /// # Panics
    /// If it doesn't.
    pub fn check_invariants(&self) {
        let geometry = self.geometry;
        self.pieces.check_invariants();
        let is_missing = |piece| matches!(self.pieces.state(piece), PieceState::Missing { .. });
        self.sparse.check_invariants(geometry, is_missing);
        if let Some(in_order) = &self.in_order {
            in_order.check_invariants(geometry.pieces().filter(|&piece| is_missing(piece)), |piece| {
                self.pieces.priority(piece)
            });
        }
        self.doubles.check_invariants(asked(geometry, &self.open));

        let open_count = geometry.pieces().filter(|&piece| self.slot(piece).is_some()).count();
        assert_eq!(open_count, self.open.len(), "each open piece has one entry");
        for (slot, open) in self.open.iter().enumerate() {
            open.check_invariants();
            assert_eq!(self.slot(open.piece), Some(slot), "{:?} knows its entry", open.piece);
            assert!(!open.is_untouched(), "{:?} is open for a reason", open.piece);
        }
        let joinable = self.open.iter().filter(|open| open.free_count() > 0);
        let joinable = joinable.map(|open| (open.age, open.piece)).collect();
        assert_eq!(self.joinable, joinable, "open pieces with free blocks");

        let sum = |len: fn(&OpenPiece) -> usize| self.open.iter().map(len).sum::<usize>();
        assert_eq!(self.held_len, sum(OpenPiece::held_len), "bytes held");
        assert_eq!(self.asked_count, sum(OpenPiece::asked_count), "blocks in flight");
        let open_len: u64 = self.open.iter().map(|open| u64::from(geometry.len_of(open.piece))).sum();
        assert_eq!(self.open_len, open_len, "length of the open pieces");
        for piece in self.exclusives.pieces() {
            let owned = self.exclusives.owner(piece).is_some();
            assert!(!owned || !is_missing(piece), "{piece:?} is missing, so nobody owns it");
        }
    }
}
