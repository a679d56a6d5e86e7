//! Finding a missing piece of a peer that has none of the rarest.
//!
//! The peer's set and the set of missing pieces are laid over each other, 64 pieces at a time. What
//! one pass finds serves that peer's next picks, so the cost of the pass is spread over many blocks.

use std::collections::BTreeMap;

use crate::bitfield::Bitfield;
use crate::key::PeerKey;
use crate::piece::{Geometry, PieceIndex};
use crate::rng::Rng;

/// Pieces that one pass gathers before it stops: enough to choose a rare one among, few enough to
/// compare at every pick.
const CANDIDATES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Sparse {
    /// The missing pieces, 64 a word; the first piece is the highest bit, as in a bitfield message.
    missing: Vec<u64>,
    /// Grows when a piece becomes missing: what was searched in vain may be found then.
    generation: u64,
    memos: BTreeMap<PeerKey, Memo>,
}

/// What was found for one peer and not used yet.
#[derive(Debug)]
struct Memo {
    candidates: Vec<PieceIndex>,
    /// The word where the next pass begins.
    next: usize,
    /// Nothing else was to be found in this generation when the peer had so many pieces.
    exhausted: Option<(u64, u32)>,
}

impl Sparse {
    pub(super) fn new(geometry: Geometry, have: &Bitfield) -> Self {
        let words = geometry.piece_count().div_ceil(u64::BITS) as usize;
        let mut sparse = Self { missing: vec![0; words], generation: 0, memos: BTreeMap::new() };
        for piece in geometry.pieces().filter(|&piece| !have.has(piece)) {
            sparse.insert(piece);
        }
        sparse
    }

    /// The piece has become missing.
    pub(super) fn insert(&mut self, piece: PieceIndex) {
        let (word, bit) = place(piece);
        self.missing[word] |= bit;
        self.generation += 1;
    }

    /// The piece is not missing any more.
    pub(super) fn remove(&mut self, piece: PieceIndex) {
        let (word, bit) = place(piece);
        self.missing[word] &= !bit;
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        let (word, bit) = place(piece);
        self.missing[word] & bit != 0
    }

    pub(super) fn forget(&mut self, peer: PeerKey) {
        self.memos.remove(&peer);
    }

    /// A missing piece of the peer with the lowest `rank` among some, if it has any at all.
    pub(super) fn find<R: Ord>(
        &mut self,
        rng: &mut Rng,
        geometry: Geometry,
        peer: PeerKey,
        pieces: &Bitfield,
        rank: impl Fn(PieceIndex) -> R,
    ) -> Option<PieceIndex> {
        let Self { missing, generation, memos } = self;
        let memo = memos.entry(peer).or_insert_with(|| Memo {
            candidates: Vec::new(),
            // Not the same pieces for every such peer.
            next: rng.below(missing.len()),
            exhausted: None,
        });
        memo.candidates.retain(|&piece| {
            let (word, bit) = place(piece);
            missing[word] & bit != 0
        });
        if memo.candidates.is_empty() {
            let now = (*generation, pieces.count());
            if memo.exhausted == Some(now) {
                return None;
            }
            memo.exhausted = memo.gather(missing, geometry, pieces).then_some(now);
        }
        let count = memo.candidates.len();
        let first = rng.below(count);
        let best = (first..count).chain(0..first).min_by_key(|&index| rank(memo.candidates[index]))?;
        Some(memo.candidates.swap_remove(best))
    }

    /// Compares with the truth.
    pub(super) fn check_invariants(&self, geometry: Geometry, is_missing: impl Fn(PieceIndex) -> bool) {
        for piece in geometry.pieces() {
            assert_eq!(self.has(piece), is_missing(piece), "{piece:?} is in the set of missing pieces");
        }
    }
}

impl Memo {
    /// Gathers missing pieces of the peer from `next` on; true if there are no others.
    fn gather(&mut self, missing: &[u64], geometry: Geometry, pieces: &Bitfield) -> bool {
        if pieces.is_full() || pieces.is_empty() {
            // A full peer is never searched here, an empty one has nothing.
            return true;
        }
        for index in (self.next..missing.len()).chain(0..self.next) {
            let mut found = missing[index];
            if found != 0 {
                found &= pieces.word(index);
            }
            while found != 0 {
                let bit = found.leading_zeros();
                found ^= 1 << (u64::BITS - 1 - bit);
                let first = u32::try_from(index * 64).ok();
                self.candidates.extend(first.and_then(|first| geometry.piece(first + bit)));
            }
            if self.candidates.len() >= CANDIDATES_MAX {
                self.next = index + 1;
                return false;
            }
        }
        true
    }
}

/// The word and the bit of a piece.
const fn place(piece: PieceIndex) -> (usize, u64) {
    (piece.as_usize() / 64, 1 << (63 - piece.as_usize() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn every_missing_piece_of_the_peer_is_found_and_no_other() {
        let geometry = Geometry::new(1_000, 1).unwrap();
        let (mut have, mut pieces) = (Bitfield::empty(1_000), Bitfield::empty(1_000));
        geometry.pieces().step_by(2).for_each(|piece| _ = have.insert(piece));
        geometry.pieces().step_by(3).for_each(|piece| _ = pieces.insert(piece));
        let mut sparse = Sparse::new(geometry, &have);
        let (mut rng, peer) = (Rng::new(2), PeerKey::new(0, 0));
        let mut found = Vec::new();
        while let Some(piece) = sparse.find(&mut rng, geometry, peer, &pieces, |_| 0) {
            sparse.remove(piece);
            found.push(piece.get());
        }
        found.sort_unstable();
        assert_eq!(found, (0..1_000).filter(|index| index % 2 == 1 && index % 3 == 0).collect::<Vec<_>>());

        sparse.insert(geometry.piece(9).unwrap());
        assert_eq!(sparse.find(&mut rng, geometry, peer, &pieces, |_| 0), geometry.piece(9), "missing again");
        pieces.insert(geometry.piece(1).unwrap());
        sparse.insert(geometry.piece(1).unwrap());
        sparse.remove(geometry.piece(9).unwrap());
        assert_eq!(sparse.find(&mut rng, geometry, peer, &pieces, |_| 0), geometry.piece(1), "newly had");
    }
}
