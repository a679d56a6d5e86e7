//! The order of choice.

use std::cmp::Reverse;

use super::availability::{PieceState, Probe};
use super::endgame::ENDGAME_COUNT;
use super::{Picker, invariants};
use crate::bitfield::Bitfield;
use crate::key::PeerKey;
use crate::piece::{BlockRef, PieceIndex};
use crate::rng::Rng;

/// As long as fewer pieces are had, new pieces are chosen at random.
///
/// A rare piece has few sources and is slow to get, and who has nothing to give gets nothing
/// (Cohen, "Incentives Build Robustness in BitTorrent", 2003, section 2.4.3).
pub const RANDOM_FIRST_COUNT: u32 = 4;

/// A peer that has a missing piece so many times as rare as the open piece that it could join begins that
/// one instead. Who alone has a piece, as the first seed of a swarm has nearly all, is not to spend its line
/// on what many can give: the swarm can get no more pieces than leave it.
pub const RARER_FACTOR: u32 = 2;

impl Picker {
    /// Marks up to `count` blocks as asked of `peer` and appends them to `out`.
    ///
    /// `pieces` is the peer's set as it was added. The blocks are in the order in which they should
    /// be asked for.
    ///
    /// At most `may_open` pieces are opened for it; with 0 one may be opened nevertheless, in place
    /// of an open piece that nobody goes on with. If the peer has a missing piece, one is found.
    ///
    /// No block is chosen that is in flight at `peer`, but for this: when a piece was given up whose
    /// last blocks only snubbed peers were asked for, such a peer may be asked for them anew.
    pub fn pick(
        &mut self,
        rng: &mut Rng,
        peer: PeerKey,
        pieces: &Bitfield,
        count: usize,
        may_open: usize,
        out: &mut Vec<BlockRef>,
    ) {
        let before = out.len();
        let goal = before.saturating_add(count);
        let mut left = may_open;
        while out.len() < goal
            && let Some(mut slot) = self.find_joinable(peer, pieces)
        {
            if left > 0
                && let Some(piece) = self.find_rarer(rng, peer, pieces, slot)
            {
                slot = self.open(piece, peer);
                left -= 1;
            }
            self.ask_free(slot, peer, goal, out);
        }
        if out.len() < goal {
            let again = self.askable(self.doubles.lapsed(), peer, pieces, goal - out.len());
            self.ask_again(peer, again, out);
        }
        while left > 0
            && out.len() < goal
            && let Some(piece) = self.find_missing(rng, peer, pieces)
        {
            let slot = self.open(piece, peer);
            self.ask_free(slot, peer, goal, out);
            left -= 1;
        }
        if out.len() == before && goal > before {
            if may_open == 0 {
                self.pick_instead(rng, peer, pieces, goal, out);
            }
            self.pick_in_endgame(peer, pieces, goal, out);
        }
    }

    /// As [`Picker::pick`], but from the pieces of `list` alone, in their order, as far as the peer has
    /// them.
    pub fn pick_of(
        &mut self,
        peer: PeerKey,
        pieces: &Bitfield,
        list: &[PieceIndex],
        count: usize,
        may_open: usize,
        out: &mut Vec<BlockRef>,
    ) {
        let goal = out.len().saturating_add(count);
        let mut left = may_open;
        for &piece in list.iter().filter(|piece| pieces.has(**piece)) {
            if out.len() >= goal {
                break;
            }
            let slot = match self.pieces.state(piece) {
                PieceState::Missing { .. } if left > 0 => {
                    left -= 1;
                    self.open(piece, peer)
                }
                PieceState::Open { slot } if self.may_join(slot as usize, peer) => slot as usize,
                PieceState::Missing { .. } | PieceState::Open { .. } => continue,
                PieceState::Unwanted | PieceState::Storing | PieceState::Have => continue,
            };
            self.ask_free(slot, peer, goal, out);
        }
    }

    /// A new piece in place of a stuck one.
    pub(super) fn pick_instead(
        &mut self,
        rng: &mut Rng,
        peer: PeerKey,
        pieces: &Bitfield,
        goal: usize,
        out: &mut Vec<BlockRef>,
    ) {
        if let Some(stuck) = self.find_stuck()
            && let Some(piece) = self.find_missing(rng, peer, pieces)
        {
            self.abandon(stuck);
            let slot = self.open(piece, peer);
            self.ask_free(slot, peer, goal, out);
        }
    }

    /// Blocks of others, when every block has been asked for and none is waited for from this peer.
    pub(super) fn pick_in_endgame(
        &mut self,
        peer: PeerKey,
        pieces: &Bitfield,
        goal: usize,
        out: &mut Vec<BlockRef>,
    ) {
        if !self.doubling || !self.in_endgame() {
            return;
        }
        if !self.doubles.has_begun() {
            self.doubles.begin(invariants::asked(self.geometry, &self.open));
        }
        if self.doubles.is_idle(peer) {
            let count = (goal - out.len()).min(ENDGAME_COUNT);
            let again = self.askable(self.doubles.all(), peer, pieces, count);
            self.ask_again(peer, again, out);
        }
    }

    /// An open piece whose free blocks `peer` may be asked for.
    pub(super) fn find_joinable(&self, peer: PeerKey, pieces: &Bitfield) -> Option<usize> {
        // Few, as a new piece is opened only for a peer that can join none. At most all open ones,
        // whose number is bounded by the memory for them.
        let mut oldest = None;
        for &(_, piece) in &self.joinable {
            let Some(slot) = self.slot(piece).filter(|_| pieces.has(piece)) else { continue };
            if !self.may_join(slot, peer) {
                continue;
            }
            if self.open[slot].worker == peer {
                return Some(slot);
            }
            oldest = oldest.or(Some(slot));
        }
        oldest
    }

    /// Whether `peer` may be asked for the piece's free blocks, as far as it's exclusive.
    fn may_join(&self, slot: usize, peer: PeerKey) -> bool {
        let open = &self.open[slot];
        if !self.exclusives.has(open.piece) {
            return true;
        }
        match self.exclusives.owner(open.piece) {
            Some(owner) => owner == peer,
            // Not while a block may come from the one before: it would belong to the new copy.
            None => open.asked_count() == 0 || open.is_all_of(peer),
        }
    }

    /// A missing piece of the peer that is much rarer than an open one, with which others can go on.
    fn find_rarer(&self, rng: &mut Rng, peer: PeerKey, pieces: &Bitfield, slot: usize) -> Option<PieceIndex> {
        let open = &self.open[slot];
        let in_any_order = self.in_order.is_none() && self.pieces.have_count() >= RANDOM_FIRST_COUNT;
        if !in_any_order || open.worker == peer || self.exclusives.has(open.piece) {
            return None;
        }
        let Probe::Found(piece) = self.pieces.rarest(rng, pieces) else { return None };
        let is_rarer = self.pieces.count(piece).saturating_mul(RARER_FACTOR) <= self.pieces.count(open.piece);
        let is_wanted_less = self.pieces.priority(piece) < self.pieces.priority(open.piece);
        (is_rarer && !is_wanted_less).then_some(piece)
    }

    pub(super) fn find_missing(
        &mut self,
        rng: &mut Rng,
        peer: PeerKey,
        pieces: &Bitfield,
    ) -> Option<PieceIndex> {
        let at_random = self.pieces.have_count() < RANDOM_FIRST_COUNT;
        let probe = match &self.in_order {
            Some(in_order) => in_order.first(pieces),
            None if at_random => self.pieces.random(rng, pieces),
            None => self.pieces.rarest(rng, pieces),
        };
        match probe {
            Probe::Found(piece) => Some(piece),
            Probe::Nothing => None,
            Probe::GaveUp => {
                let in_order = self.in_order.is_some();
                let rank = |piece: PieceIndex| {
                    let next = match (in_order, at_random) {
                        (true, _) => piece.get(),
                        (false, true) => 0,
                        (false, false) => self.pieces.count(piece),
                    };
                    (Reverse(self.pieces.priority(piece)), next)
                };
                self.sparse.find(rng, self.geometry, peer, pieces, rank)
            }
        }
    }

    /// Those of `blocks` that `peer` may be asked for too, at most `count`.
    pub(super) fn askable(
        &self,
        blocks: impl Iterator<Item = BlockRef>,
        peer: PeerKey,
        pieces: &Bitfield,
        count: usize,
    ) -> Vec<BlockRef> {
        let may = |block: &BlockRef| {
            let askers = self.slot(block.piece()).map(|slot| self.open[slot].askers(block.number()));
            pieces.has(block.piece())
                && !self.exclusives.has(block.piece())
                && askers.is_some_and(|askers| !askers.has(peer))
        };
        blocks.filter(may).take(count).collect()
    }

    pub(super) fn ask_again(&mut self, peer: PeerKey, blocks: Vec<BlockRef>, out: &mut Vec<BlockRef>) {
        for block in blocks {
            if let Some(slot) = self.slot(block.piece()) {
                self.change(slot, block, |open, number| open.ask(number, peer));
                out.push(block);
            }
        }
    }

    /// Asks `peer` for free blocks of an open piece until there is none or `out` is full.
    pub(super) fn ask_free(&mut self, slot: usize, peer: PeerKey, goal: usize, out: &mut Vec<BlockRef>) {
        let piece = self.open[slot].piece;
        if self.exclusives.has(piece) && self.exclusives.owner(piece) != Some(peer) {
            if self.open[slot].is_all_of(peer) {
                self.exclusives.own(piece, peer);
            } else if self.exclusives.take_over(piece, Some(peer)) {
                self.restart(slot);
            }
        }
        while out.len() < goal
            && let Some(number) = self.open[slot].next_free()
            && let Some(block) = self.geometry.block(piece, number)
        {
            self.change(slot, block, |open, number| open.ask(number, peer));
            out.push(block);
        }
        self.note_free(slot);
    }
}
