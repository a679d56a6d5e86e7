//! Which blocks to ask of which peer, and what to do with a block that came.
//!
//! It decides by piece state and availability alone. It knows neither time nor rates: how many
//! blocks a peer is asked for, when it counts as snubbed and how much memory there is are the
//! caller's to say, and so is what a failed hash means for the givers.
//!
//! The order of choice (BEP 3, "rarest first", and common practice):
//! 1. free blocks of open pieces, first the piece that this peer was asked for last, then the one
//!    opened first: only a complete piece is worth something. But in place of another's a new piece that
//!    is much rarer, if there is one and we have something to give already;
//! 2. blocks that nobody is waited for any more ([`Picker::release`]);
//! 3. a new piece, of those of the highest priority the rarest that the peer has, or any while we
//!    have next to nothing, or the first if they are wanted in order;
//! 4. if nothing is left to ask for at all: blocks that others have been asked for (endgame).
//!
//! A peer that got nothing is to ask again when something changes: a block was given back or
//! released, a piece failed, memory came free, or its own last block arrived.

mod answers;
mod availability;
mod choose;
mod discard;
mod endgame;
mod exclusive;
mod invariants;
mod open_piece;
mod priorities;
mod rarity;
mod run;
mod sparse;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use availability::{Availability, PieceState};
use endgame::Doubles;
use exclusive::Exclusives;
use open_piece::OpenPiece;
use priorities::InOrder;
use sparse::Sparse;

pub use answers::Received;
pub use availability::PROBE_MAX;
pub use choose::{RANDOM_FIRST_COUNT, RARER_FACTOR};
pub use endgame::ENDGAME_COUNT;
pub use exclusive::TAKEOVERS_MAX;
pub use open_piece::ASKERS_MAX;

use crate::bitfield::Bitfield;
use crate::key::PeerKey;
use crate::piece::{BlockRef, Geometry, PieceIndex};
use crate::rng::Rng;

/// Chooses the blocks to ask for, for one torrent that is not complete.
///
/// Every piece that is neither had nor of priority 0 is wanted. A pick takes the same time however
/// many pieces there are; the tables take 17 bytes a piece.
#[derive(Debug)]
pub struct Picker {
    geometry: Geometry,
    /// The state of each piece, and the missing ones by rarity.
    pieces: Availability,
    /// The missing ones once more, for peers that have few of them.
    sparse: Sparse,
    /// The missing ones once more, if they are wanted in order.
    in_order: Option<InOrder>,
    open: Vec<OpenPiece>,
    /// The open pieces with free blocks, the oldest first.
    joinable: BTreeSet<(u64, PieceIndex)>,
    opened_count: u64,
    doubles: Doubles,
    /// Whether the endgame may ask for blocks twice.
    doubling: bool,
    exclusives: Exclusives,
    /// Blocks in flight.
    asked_count: usize,
    held_len: usize,
    open_len: u64,
}

impl Picker {
    /// A picker for all pieces but those in `have`.
    #[must_use]
    pub fn new(geometry: Geometry, have: &Bitfield, rng: &mut Rng) -> Self {
        Self {
            geometry,
            pieces: Availability::new(geometry, have, rng),
            sparse: Sparse::new(geometry, have),
            in_order: None,
            open: Vec::new(),
            joinable: BTreeSet::new(),
            opened_count: 0,
            doubles: Doubles::default(),
            doubling: true,
            exclusives: Exclusives::default(),
            asked_count: 0,
            held_len: 0,
            open_len: 0,
        }
    }

    /// Counts the pieces of a peer, once its set is known.
    ///
    /// From here to [`Picker::remove_peer`] the set changes through [`Picker::add_have`] and
    /// [`Picker::remove_have`] alone. A peer that has nothing yet may be added or not: it counts for
    /// nothing.
    pub fn add_peer(&mut self, pieces: &Bitfield) {
        self.pieces.add_peer(self.geometry, pieces);
    }

    /// Forgets a peer that has left, with the set that it had at the end and the blocks that were
    /// still outstanding at it.
    pub fn remove_peer(
        &mut self,
        peer: PeerKey,
        pieces: &Bitfield,
        outstanding: impl IntoIterator<Item = BlockRef>,
    ) {
        self.pieces.remove_peer(self.geometry, pieces);
        self.sparse.forget(peer);
        self.give_back_all(peer, outstanding);
    }

    /// Puts `piece` into the set of a peer that has been added, and counts it. False if it was in
    /// before.
    pub fn add_have(&mut self, pieces: &mut Bitfield, piece: PieceIndex) -> bool {
        self.pieces.add_have(pieces, piece)
    }

    /// Takes `piece` out of the set of a peer that has been added: it has lost it. False if it was
    /// not in. Blocks of it that the peer was asked for are the caller's to give back.
    pub fn remove_have(&mut self, peer: PeerKey, pieces: &mut Bitfield, piece: PieceIndex) -> bool {
        // What was found for the peer may be this piece, and it may come to have others instead.
        self.sparse.forget(peer);
        self.pieces.remove_have(pieces, piece)
    }

    /// How many peers have the piece.
    #[must_use]
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.pieces.count(piece)
    }

    /// Whether the piece is still to be fetched: of a priority above 0, and neither had nor complete
    /// and being stored.
    ///
    /// This and [`Picker::count_wanted`] are for a count per peer of the wanted pieces that it has:
    /// we are interested in it while that isn't zero. Only these change whether a piece is wanted:
    /// [`Picker::take_piece`] (one less for each peer that has it), [`Picker::failed`] and
    /// [`Picker::reopen`] (one more) and [`Picker::set_priority`].
    #[must_use]
    pub fn wants(&self, piece: PieceIndex) -> bool {
        match self.pieces.state(piece) {
            PieceState::Missing { .. } | PieceState::Open { .. } => true,
            PieceState::Unwanted | PieceState::Storing | PieceState::Have => false,
        }
    }

    /// Whether a wanted piece of `pieces`, which are those of one peer, no other peer has. It looks at
    /// each of them.
    #[must_use]
    pub fn is_only_source(&self, pieces: &Bitfield) -> bool {
        pieces.iter(&self.geometry).any(|piece| self.pieces.count(piece) <= 1 && self.wants(piece))
    }

    /// How many of `pieces` are wanted. It looks at each of them, but not if the set is full.
    #[must_use]
    pub fn count_wanted(&self, pieces: &Bitfield) -> u32 {
        if pieces.is_full() {
            return self.wanted_count();
        }
        let wanted = pieces.iter(&self.geometry).filter(|&piece| self.wants(piece));
        wanted.fold(0, |count, _| count + 1)
    }

    /// How many pieces are wanted in all.
    #[must_use]
    pub fn wanted_count(&self) -> u32 {
        let open_count = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.pieces.missing_count() + open_count
    }

    /// How many pieces are had.
    #[must_use]
    pub const fn have_count(&self) -> u32 {
        self.pieces.have_count()
    }

    /// How many pieces are open.
    #[must_use]
    pub const fn open_count(&self) -> usize {
        self.open.len()
    }

    /// How many blocks of an open piece are held, and how many it has.
    #[must_use]
    pub fn progress(&self, piece: PieceIndex) -> Option<(usize, usize)> {
        let open = self.slot(piece).and_then(|slot| self.open.get(slot))?;
        Some((open.held_count(), open.block_count()))
    }

    /// The length of all open pieces: what they hold once they are complete.
    #[must_use]
    pub const fn open_len(&self) -> u64 {
        self.open_len
    }

    /// Bytes of blocks held in open pieces.
    #[must_use]
    pub const fn held_len(&self) -> usize {
        self.held_len
    }

    /// How many blocks are in flight, each counted once.
    #[must_use]
    pub const fn asked_count(&self) -> usize {
        self.asked_count
    }

    /// Whether blocks in flight may be asked of others in the endgame, as they may from the start.
    /// Only the caller knows whether they come fast enough to wait for.
    pub const fn set_doubling(&mut self, doubling: bool) {
        self.doubling = doubling;
    }

    /// Whether every block that is neither held nor on its way to disk has been asked for, and
    /// some are in flight.
    #[must_use]
    pub fn in_endgame(&self) -> bool {
        self.asked_count > 0
            && self.pieces.missing_count() == 0
            // A free block that one peer alone may fetch is as good as asked for.
            && self.joinable.iter().all(|&(_, piece)| self.exclusives.owner(piece).is_some())
    }

    fn open(&mut self, piece: PieceIndex, peer: PeerKey) -> usize {
        let slot = self.open.len();
        let block_count = self.geometry.block_count(piece);
        self.open.push(OpenPiece::new(piece, self.opened_count, peer, block_count));
        self.opened_count += 1;
        self.open_len += u64::from(self.geometry.len_of(piece));
        self.unlist(piece);
        self.set_open(piece, slot);
        self.note_free(slot);
        slot
    }

    fn set_open(&mut self, piece: PieceIndex, slot: usize) {
        if let Ok(slot) = u32::try_from(slot) {
            self.pieces.set(piece, PieceState::Open { slot });
        }
    }

    fn slot(&self, piece: PieceIndex) -> Option<usize> {
        match self.pieces.state(piece) {
            PieceState::Open { slot } => Some(slot as usize),
            PieceState::Unwanted | PieceState::Missing { .. } | PieceState::Storing | PieceState::Have => {
                None
            }
        }
    }

    /// Takes a piece out of the open ones, towards another state.
    fn close(&mut self, slot: usize) -> OpenPiece {
        let open = self.open.swap_remove(slot);
        if let Some(moved) = self.open.get(slot) {
            self.set_open(moved.piece, slot);
        }
        self.joinable.remove(&(open.age, open.piece));
        self.open_len -= u64::from(self.geometry.len_of(open.piece));
        open
    }

    /// Makes sure that the piece is among the joinable ones exactly if it has free blocks.
    fn note_free(&mut self, slot: usize) {
        let open = &self.open[slot];
        let key = (open.age, open.piece);
        if open.free_count() > 0 {
            self.joinable.insert(key);
        } else {
            self.joinable.remove(&key);
        }
    }

    /// Every change of who was asked for a block goes through here.
    fn change(&mut self, slot: usize, block: BlockRef, act: impl FnOnce(&mut OpenPiece, u32)) {
        let open = &mut self.open[slot];
        let before = open.askers(block.number());
        act(open, block.number());
        let after = open.askers(block.number());
        self.asked_count += usize::from(!after.is_empty());
        self.asked_count -= usize::from(!before.is_empty());
        self.doubles.changed((open.age, block), &before, &after);
    }
}
