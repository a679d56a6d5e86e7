//! What may be chosen when.

use std::cmp::Reverse;

use peerless_core::PeerKey;
use peerless_core::picker::{
    ASKERS_MAX, ENDGAME_COUNT, PROBE_MAX, RANDOM_FIRST_COUNT, RARER_FACTOR, TAKEOVERS_MAX,
};
use peerless_core::piece::{BlockRef, PieceIndex};

use super::{Exclusive, Model, Piece};

impl Model {
    /// Follows a pick that chose `got`, and checks each choice.
    ///
    /// # Panics
    /// When a block was not to be chosen then, or none was though there was one.
    pub fn pick(&mut self, peer: PeerKey, count: usize, may_open: usize, got: &[BlockRef]) {
        assert!(got.len() <= count, "more blocks than asked for");
        let asked = self.asked();
        let idle = !asked.iter().any(|(_, askers)| askers.contains(&(peer, false)));
        let mut got = got.iter().copied();
        let mut taken = 0;
        let most_open = self.open().len() + may_open;
        let take = |model: &mut Self, allowed: &[BlockRef], got: Option<BlockRef>| {
            let got = got.unwrap_or_else(|| panic!("{peer:?} gets nothing, not even {allowed:?}"));
            assert!(allowed.contains(&got), "{peer:?} gets {got:?}, not one of {allowed:?}");
            model.ask(peer, got);
        };
        while taken < count {
            let mut allowed = self.usual(peer);
            let rarer = if self.open().len() < most_open { self.rarer(peer) } else { Vec::new() };
            if !rarer.is_empty() {
                if self.missing().len() > PROBE_MAX {
                    allowed.extend(rarer);
                } else {
                    allowed = rarer;
                }
            } else if allowed.is_empty() && self.open().len() < most_open {
                allowed = self.rarest(peer);
            } else if allowed.is_empty() && taken == 0 && may_open == 0 {
                allowed = self.rarest(peer);
                if let Some(stuck) = self.stuck().filter(|_| !allowed.is_empty()) {
                    self.pieces[stuck.as_usize()] = Piece::Missing;
                } else {
                    allowed.clear();
                }
            }
            if allowed.is_empty() {
                break;
            }
            take(self, &allowed, got.next());
            taken += 1;
        }
        if taken == 0 && idle && self.in_endgame() {
            for _ in 0..count.min(ENDGAME_COUNT) {
                let allowed = self.doubles(peer);
                if allowed.is_empty() {
                    break;
                }
                take(self, &allowed, got.next());
            }
        }
        assert_eq!(got.next(), None, "more than allowed");
    }

    /// Blocks to go on with: of the piece to finish first, or not waited for.
    fn usual(&self, peer: PeerKey) -> Vec<BlockRef> {
        let asked = self.asked();
        match self.joined(peer) {
            Some(piece) if self.begins_anew(piece, peer) => self.geometry.blocks(piece).collect(),
            Some(piece) => self.free().into_iter().filter(|block| block.piece() == piece).collect(),
            None => {
                self.askable(peer, &asked).filter(|(_, live)| *live == 0).map(|(block, _)| block).collect()
            }
        }
    }

    /// The open piece that this peer goes on with.
    fn joined(&self, peer: PeerKey) -> Option<PieceIndex> {
        let joinable = self.open().into_iter().filter(|&piece| self.may_join(piece, peer));
        joinable.min_by_key(|piece| match &self.pieces[piece.as_usize()] {
            Piece::Open { age, worker, .. } => (*worker != peer, *age),
            Piece::Missing | Piece::Storing | Piece::Have => unreachable!("it's open"),
        })
    }

    /// Blocks of the missing pieces that go before the open one that this peer would join.
    fn rarer(&self, peer: PeerKey) -> Vec<BlockRef> {
        let Some(joined) = self.joined(peer) else { return Vec::new() };
        let is_own = matches!(&self.pieces[joined.as_usize()], Piece::Open { worker, .. } if *worker == peer);
        let have_count = self.all(|piece| matches!(piece, Piece::Have)).len();
        let at_random = have_count < RANDOM_FIRST_COUNT as usize;
        if is_own || at_random || self.in_order || self.exclusives.contains_key(&joined) {
            return Vec::new();
        }
        let most = self.availability(joined) / RARER_FACTOR as usize;
        let is_rarer = |piece: PieceIndex| {
            let priority = self.priorities[piece.as_usize()];
            self.availability(piece) <= most && priority >= self.priorities[joined.as_usize()]
        };
        self.rarest(peer).into_iter().filter(|block| is_rarer(block.piece())).collect()
    }

    /// Blocks of the missing pieces that may be opened for this peer.
    fn rarest(&self, peer: PeerKey) -> Vec<BlockRef> {
        let missing = self.missing();
        let have_count = self.all(|piece| matches!(piece, Piece::Have)).len();
        // More than one pick looks at: then the choice is only nearly the best.
        let many = missing.len() > PROBE_MAX;
        let at_random = have_count < RANDOM_FIRST_COUNT as usize;
        let theirs: Vec<_> = missing.into_iter().filter(|piece| self.peers[&peer].contains(piece)).collect();
        let rank = |piece: PieceIndex| {
            let next = match (self.in_order, at_random) {
                (true, _) => piece.as_usize(),
                (false, true) => 0,
                (false, false) => self.availability(piece),
            };
            (Reverse(self.priorities[piece.as_usize()]), next)
        };
        let best = theirs.iter().map(|&piece| rank(piece)).min();
        let pieces = theirs.into_iter().filter(|&piece| many || Some(rank(piece)) == best);
        pieces.flat_map(|piece| self.geometry.blocks(piece)).collect()
    }

    /// Blocks of others, asked of the fewest.
    fn doubles(&self, peer: PeerKey) -> Vec<BlockRef> {
        let asked = self.asked();
        let may: Vec<_> = self.askable(peer, &asked).filter(|(_, live)| *live < ASKERS_MAX).collect();
        let least = may.iter().map(|(_, live)| *live).min();
        may.into_iter().filter(|(_, live)| Some(*live) == least).map(|(block, _)| block).collect()
    }

    /// Blocks in flight that this peer may be asked for too, with how many they're waited for from.
    fn askable<'a>(
        &'a self,
        peer: PeerKey,
        asked: &'a [(BlockRef, Vec<(PeerKey, bool)>)],
    ) -> impl Iterator<Item = (BlockRef, usize)> + 'a {
        let may = move |(block, askers): &&(BlockRef, Vec<(PeerKey, bool)>)| {
            self.peers[&peer].contains(&block.piece())
                && !self.exclusives.contains_key(&block.piece())
                && askers.iter().all(|&(asker, _)| asker != peer)
        };
        asked
            .iter()
            .filter(may)
            .map(|(block, askers)| (*block, askers.iter().filter(|(_, lapsed)| !lapsed).count()))
    }

    /// The open piece to be given up when there is no room.
    fn stuck(&self) -> Option<PieceIndex> {
        let waited = self.asked().into_iter().any(|(_, askers)| askers.iter().any(|(_, lapsed)| !lapsed));
        let still = !waited && self.storing().is_empty();
        let (asked, held) = (self.asked(), self.held());
        let stuck = self.open().into_iter().filter(|&piece| {
            let is_asked = asked.iter().any(|(block, _)| block.piece() == piece);
            let owned = self.exclusives.get(&piece).is_some_and(|exclusive| exclusive.owner.is_some());
            !owned && !self.is_held(piece) && (still || (!is_asked && self.availability(piece) == 0))
        });
        stuck.min_by_key(|&piece| {
            let Piece::Open { age, .. } = &self.pieces[piece.as_usize()] else { unreachable!("it's open") };
            (held.iter().filter(|(block, _)| block.piece() == piece).count(), *age)
        })
    }

    fn may_join(&self, piece: PieceIndex, peer: PeerKey) -> bool {
        let free = self.free().iter().any(|block| block.piece() == piece);
        let asked = self.asked().iter().any(|(block, _)| block.piece() == piece);
        let allowed = match self.exclusives.get(&piece) {
            None => true,
            Some(Exclusive { owner: Some(owner), .. }) => *owner == peer,
            Some(Exclusive { owner: None, .. }) => !asked || self.is_all_of(piece, peer),
        };
        free && allowed && self.peers[&peer].contains(&piece)
    }

    /// Whether all that was done for an open piece was done by this peer.
    pub(super) fn is_all_of(&self, piece: PieceIndex, peer: PeerKey) -> bool {
        let others = |asked: &[(PeerKey, bool)]| asked.iter().any(|&(asker, _)| asker != peer);
        !self.held().iter().any(|&(block, from)| block.piece() == piece && from != peer)
            && !self.asked().iter().any(|(block, askers)| block.piece() == piece && others(askers))
    }

    /// Whether this peer would begin an open piece from scratch.
    fn begins_anew(&self, piece: PieceIndex, peer: PeerKey) -> bool {
        let exclusive = self.exclusives.get(&piece);
        exclusive.is_some_and(|exclusive| exclusive.owner.is_none() && exclusive.takeovers < TAKEOVERS_MAX)
            && !self.is_all_of(piece, peer)
    }
}
