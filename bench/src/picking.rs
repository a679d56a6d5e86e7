//! A picker in the middle of a download, with a crowd of peers.

use peerless_core::PeerKey;
use peerless_core::bitfield::Bitfield;
use peerless_core::key::Key;
use peerless_core::picker::Picker;
use peerless_core::piece::{BLOCK_LEN, BlockRef, Geometry};
use peerless_core::rng::Rng;

/// Blocks a piece has.
const PIECE_BLOCKS: u32 = 16;

/// A picker of a torrent of which a quarter is had, with seeds and peers that have a part.
#[derive(Debug)]
pub struct Picking {
    geometry: Geometry,
    picker: Picker,
    rng: Rng,
    peers: Vec<(PeerKey, Bitfield)>,
    picked: Vec<BlockRef>,
    /// What was picked since the last [`Picking::undo`], and by which peer.
    asked: Vec<(usize, BlockRef)>,
}

impl Picking {
    /// A torrent of `piece_count` pieces of 16 blocks. Of `peer_count` peers every fourth is a seed,
    /// the others have two, four or six of eight pieces.
    #[must_use]
    pub fn new(piece_count: u32, peer_count: u32) -> Self {
        let piece_len = PIECE_BLOCKS * BLOCK_LEN;
        let total_len = u64::from(piece_count) * u64::from(piece_len);
        let geometry = Geometry::new(total_len, piece_len).expect("lengths that go together");
        let mut rng = Rng::new(1);
        let have = crate::partial(&geometry, &mut rng, 2);
        let mut picker = Picker::new(geometry, &have, &mut rng);
        let mut peers = Vec::new();
        for index in 0..peer_count {
            let pieces = match index % 4 {
                0 => Bitfield::full(piece_count),
                share => crate::partial(&geometry, &mut rng, 2 * share as usize),
            };
            picker.add_peer(&pieces);
            peers.push((PeerKey::new(index, 0), pieces));
        }
        Self { geometry, picker, rng, peers, picked: Vec::new(), asked: Vec::new() }
    }

    /// A peer, `nth` modulo their number, is asked for up to `count` blocks. How many it was.
    #[inline(never)]
    pub fn pick(&mut self, nth: usize, count: usize) -> usize {
        let nth = nth % self.peers.len();
        let (peer, pieces) = &self.peers[nth];
        self.picked.clear();
        self.picker.pick(&mut self.rng, *peer, pieces, count, 1, &mut self.picked);
        self.asked.extend(self.picked.iter().map(|&block| (nth, block)));
        self.picked.len()
    }

    /// All that was picked is free again.
    pub fn undo(&mut self) {
        for (nth, block) in self.asked.drain(..) {
            self.picker.give_back(self.peers[nth].0, block);
        }
    }

    /// A peer leaves and comes again: what a bitfield costs, twice.
    pub fn rejoin(&mut self, nth: usize) {
        let nth = nth % self.peers.len();
        let (peer, pieces) = &self.peers[nth];
        self.picker.remove_peer(*peer, pieces, []);
        self.picker.add_peer(pieces);
    }

    /// A peer that has nothing tells of each of the first `count` pieces.
    pub fn haves(&mut self, count: usize) -> Bitfield {
        let mut pieces = Bitfield::empty(self.geometry.piece_count());
        for piece in self.geometry.pieces().take(count) {
            self.picker.add_have(&mut pieces, piece);
        }
        pieces
    }

    /// The peer of [`Picking::haves`] has left.
    pub fn forget(&mut self, pieces: &Bitfield) {
        self.picker.remove_peer(PeerKey::new(u32::MAX, 0), pieces, []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_undone_can_be_picked_again() {
        let mut picking = Picking::new(1000, 8);
        for round in 0..100 {
            let found: usize = (0..32).map(|nth| picking.pick(nth, 16)).sum();
            assert_eq!(found, 32 * 16, "in round {round}");
            picking.undo();
        }
        assert_eq!(picking.picker.open_count(), 0);
    }
}
