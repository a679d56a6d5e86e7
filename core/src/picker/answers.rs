//! What becomes of blocks asked for: they come, or are given back; and of complete pieces.

use super::availability::PieceState;
use super::open_piece::{Askers, OpenPiece};
use super::{Picker, invariants};
use crate::block::{Block, BlockPool};
use crate::key::PeerKey;
use crate::piece::{BlockRef, PieceIndex};

/// What became of a block that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// It was not to come from this peer, or it's held already: the bytes were not copied.
    Unwanted,
    /// It's held now.
    Taken {
        /// Other peers that were asked for it: to be cancelled (BEP 3, "cancel").
        cancel: Vec<PeerKey>,
        /// Whether all blocks of the piece are held: [`Picker::take_piece`] has them.
        complete: bool,
    },
}

impl Picker {
    /// Takes a block that came from `peer`, if it was to come from there and is not held yet.
    pub fn received(
        &mut self,
        pool: &mut BlockPool,
        peer: PeerKey,
        block: BlockRef,
        data: &[u8],
    ) -> Received {
        let Some((slot, askers)) = self.find_asked(peer, block) else { return Received::Unwanted };
        if data.len() != block.len() as usize {
            return Received::Unwanted;
        }
        self.change(slot, block, |open, number| open.hold(number, peer, pool.block(data)));
        self.held_len += data.len();
        Received::Taken {
            cancel: askers.iter().filter(|&asker| asker != peer).collect(),
            complete: self.open[slot].is_complete(),
        }
    }

    /// Takes the blocks of a complete piece, in order, with the giver of each. It's being stored
    /// from now on, until [`Picker::stored`] or [`Picker::failed`] is called. `None` if the piece
    /// isn't open and complete.
    pub fn take_piece(&mut self, piece: PieceIndex) -> Option<(Vec<Block>, Vec<PeerKey>)> {
        let slot = self.slot(piece).filter(|&slot| self.open[slot].is_complete())?;
        let open = self.close(slot);
        self.held_len -= open.held_len();
        self.pieces.set(piece, PieceState::Storing);
        Some(open.into_blocks())
    }

    /// A piece that was being stored is verified and written.
    pub fn stored(&mut self, piece: PieceIndex) {
        if self.was_storing(piece) {
            self.exclusives.remove(piece);
            self.pieces.set(piece, PieceState::Have);
        }
    }

    /// A piece that was being stored has failed its hash: it's missing again, or unwanted by now.
    /// If it was restricted it is no longer.
    pub fn failed(&mut self, piece: PieceIndex) {
        if self.was_storing(piece) {
            self.exclusives.remove(piece);
            self.set_missing(piece);
        }
    }

    /// From now on one peer alone is asked for this missing piece: the one that begins it.
    ///
    /// To be called after [`Picker::failed`] when several gave the bad copy. If that peer chokes,
    /// leaves or is snubbed, another begins from scratch, [`TAKEOVERS_MAX`](super::TAKEOVERS_MAX)
    /// times at most, so the givers reported by [`Picker::take_piece`] may then be several again.
    pub fn restrict(&mut self, piece: PieceIndex) {
        if let PieceState::Missing { .. } = self.pieces.state(piece) {
            self.exclusives.insert(piece);
        }
    }

    /// The one peer that fetches a restricted piece has had time enough: it's begun from scratch by
    /// whoever does so first or, when that happened often enough, gone on with by all.
    ///
    /// Returns what is to be cancelled: the picker has forgotten these requests. Only the caller
    /// knows the time. Without this, who gave a bad piece could take the next copy upon itself and
    /// then be endlessly slow.
    pub fn hand_over(&mut self, piece: PieceIndex) -> Vec<(PeerKey, BlockRef)> {
        let Some(slot) = self.slot(piece) else { return Vec::new() };
        if !self.exclusives.take_over(piece, None) {
            return Vec::new();
        }
        let mut cancel = Vec::new();
        for ((_, block), askers) in invariants::asked(self.geometry, &self.open[slot..=slot]) {
            cancel.extend(askers.iter().map(|peer| (peer, block)));
        }
        self.abandon(slot);
        cancel
    }

    /// Gives up every open piece, with what is held of it: nobody is there to go on, and the memory
    /// is wanted elsewhere. To be called when no block is in flight.
    pub fn abandon_all(&mut self) {
        let is_partial = |open: &OpenPiece| !open.is_complete();
        while let Some(slot) = self.open.iter().position(is_partial) {
            self.abandon(slot);
        }
    }

    /// A block will not come from `peer` (rejected, cancelled).
    pub fn give_back(&mut self, peer: PeerKey, block: BlockRef) {
        let Some((slot, _)) = self.find_asked(peer, block) else { return };
        self.exclusives.disown(block.piece(), peer);
        self.change(slot, block, |open, number| open.give_back(number, peer));
        if self.open[slot].is_untouched() {
            self.abandon(slot);
        } else {
            self.note_free(slot);
        }
    }

    /// No block will come from `peer`, which has choked us or left; `outstanding` are those that
    /// it was asked for. To be called also when there are none.
    pub fn give_back_all(&mut self, peer: PeerKey, outstanding: impl IntoIterator<Item = BlockRef>) {
        outstanding.into_iter().for_each(|block| self.give_back(peer, block));
        self.exclusives.disown_all(peer);
    }

    /// A block may still come from `peer`, which is snubbed or late, but is not waited for: another
    /// peer may be asked for it. What comes first is taken, also from `peer`.
    ///
    /// Returns whether the block stays in flight at `peer`. False: it was given back, as the blocks
    /// of a restricted piece are, or never was in flight; the caller forgets and cancels it.
    #[must_use]
    pub fn release(&mut self, peer: PeerKey, block: BlockRef) -> bool {
        if self.exclusives.has(block.piece()) {
            self.give_back(peer, block);
            return false;
        }
        self.lapse(peer, block)
    }

    /// As [`Picker::release`], but a block of a restricted piece is still waited for.
    ///
    /// Returns whether the block is in flight at `peer`.
    pub fn lapse(&mut self, peer: PeerKey, block: BlockRef) -> bool {
        let Some((slot, _)) = self.find_asked(peer, block) else { return false };
        if !self.exclusives.has(block.piece()) {
            self.change(slot, block, |open, number| open.lapse(number, peer));
        }
        true
    }

    /// The entry of the block's piece, and all whom the block was asked of, if `peer` is among them.
    fn find_asked(&self, peer: PeerKey, block: BlockRef) -> Option<(usize, Askers)> {
        let slot = self.slot(block.piece())?;
        let askers = self.open[slot].askers(block.number());
        let exact = self.geometry.block(block.piece(), block.number()) == Some(block);
        (exact && askers.has(peer)).then_some((slot, askers))
    }

    pub(super) fn was_storing(&self, piece: PieceIndex) -> bool {
        let storing = self.pieces.state(piece) == PieceState::Storing;
        debug_assert!(storing, "only a piece that is being stored is stored or fails");
        storing
    }

    pub(super) fn set_missing(&mut self, piece: PieceIndex) {
        self.pieces.set(piece, PieceState::Missing { at: 0 });
        self.list(piece);
    }

    /// Forgets all blocks of an open piece.
    pub(super) fn restart(&mut self, slot: usize) {
        let open = &mut self.open[slot];
        let (age, piece, asked) = (open.age, open.piece, open.asked().collect::<Vec<_>>());
        self.held_len -= open.held_len();
        open.restart();
        self.asked_count -= asked.len();
        for (number, askers) in asked {
            if let Some(block) = self.geometry.block(piece, number) {
                self.doubles.changed((age, block), &askers, &Askers::default());
            }
        }
    }

    /// An open piece is missing again, with what is held of it lost.
    pub(super) fn abandon(&mut self, slot: usize) {
        self.restart(slot);
        let OpenPiece { piece, .. } = self.close(slot);
        self.set_missing(piece);
    }

    /// The open piece with the least to lose, among those that nobody goes on with.
    ///
    /// Without this, pieces begun by peers that are gone could take up all memory for ever.
    pub(super) fn find_stuck(&self) -> Option<usize> {
        if self.pieces.missing_count() == 0 {
            return None;
        }
        let still = self.pieces.storing_count() == 0 && self.doubles.lapsed_count() == self.asked_count;
        let may_go = |open: &&OpenPiece| !open.is_complete() && self.exclusives.owner(open.piece).is_none();
        let is_dead = |open: &&OpenPiece| open.asked_count() == 0 && self.pieces.count(open.piece) == 0;
        let cost = |open: &&OpenPiece| (open.held_count(), open.age);
        let least = if still {
            self.open.iter().filter(may_go).min_by_key(cost)
        } else {
            // Fewer to look at: what is neither asked for nor held is free.
            let joinable = self.joinable.iter().filter_map(|&(_, piece)| self.slot(piece));
            joinable.map(|slot| &self.open[slot]).filter(may_go).filter(is_dead).min_by_key(cost)
        };
        self.slot(least?.piece)
    }
}
