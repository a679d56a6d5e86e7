//! What a peer has told of its pieces before anyone knew how many there are.

use crate::bitfield::Bitfield;
use crate::peer::PeerError;
use crate::piece::{Geometry, PIECE_COUNT_MAX};

/// The pieces of a peer of a torrent whose metadata is not there.
#[derive(Debug, Default)]
pub(crate) struct Early {
    all: bool,
    /// One bit a piece, as in a bitfield message; as many as were needed so far.
    bits: Vec<u8>,
    /// The length of the bitfield message, if there was one.
    bitfield_len: Option<usize>,
}

impl Early {
    /// The peer has every piece.
    pub(crate) fn on_all(&mut self) {
        *self = Self { all: true, ..Self::default() };
    }

    /// The peer has told many pieces at once.
    pub(crate) fn on_bitfield(&mut self, bits: &[u8]) {
        self.bitfield_len = Some(bits.len());
        self.bits.resize(self.bits.len().max(bits.len()), 0);
        self.bits.iter_mut().zip(bits).for_each(|(known, more)| *known |= more);
    }

    /// The peer has told one piece.
    pub(crate) fn on_have(&mut self, index: u32) -> Result<(), PeerError> {
        if index >= PIECE_COUNT_MAX {
            return Err(PeerError::NoSuchPiece { index });
        }
        let at = index as usize / 8;
        self.bits.resize(self.bits.len().max(at + 1), 0);
        if let Some(byte) = self.bits.get_mut(at) {
            *byte |= 0x80 >> (index % 8);
        }
        Ok(())
    }

    /// Bytes of memory that it takes.
    pub(crate) const fn heap_len(&self) -> usize {
        self.bits.capacity()
    }

    /// The set, now that the torrent is known.
    pub(crate) fn pieces(mut self, geometry: &Geometry) -> Result<Bitfield, PeerError> {
        let piece_count = geometry.piece_count();
        if self.all {
            return Ok(Bitfield::full(piece_count));
        }
        let len = piece_count.div_ceil(8) as usize;
        if self.bitfield_len.is_none() {
            self.bits.resize(self.bits.len().max(len), 0);
        }
        Bitfield::from_wire(&self.bits, piece_count).map_err(PeerError::Bitfield)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry() -> Geometry {
        Geometry::new(10, 1).unwrap()
    }

    fn pieces(early: Early) -> Result<Vec<u32>, PeerError> {
        Ok(early.pieces(&geometry())?.iter(&geometry()).map(|piece| piece.get()).collect())
    }

    #[test]
    fn what_was_told_early_counts_later() {
        let mut early = Early::default();
        assert_eq!((early.heap_len(), early.on_have(9)), (0, Ok(())));
        assert!((2..=64).contains(&early.heap_len()));
        assert_eq!(pieces(early), Ok(vec![9]));
        let mut early = Early::default();
        early.on_bitfield(&[0x80, 0]);
        assert_eq!((early.on_have(1), pieces(early)), (Ok(()), Ok(vec![0, 1])));
        let mut early = Early::default();
        early.on_all();
        assert_eq!(pieces(early).map(|all| all.len()), Ok(10));
        assert_eq!(pieces(Early::default()), Ok(vec![]));
    }

    #[test]
    fn what_can_not_be_of_this_torrent_is_found_then() {
        let bitfield = |bits: &[u8]| {
            let mut early = Early::default();
            early.on_bitfield(bits);
            pieces(early)
        };
        assert!(bitfield(&[0xFF]).is_err() && bitfield(&[0; 3]).is_err() && bitfield(&[0, 1]).is_err());
        let mut early = Early::default();
        assert_eq!(early.on_have(10), Ok(()));
        assert!(pieces(early).is_err());
        assert!(Early::default().on_have(PIECE_COUNT_MAX).is_err());
    }
}
