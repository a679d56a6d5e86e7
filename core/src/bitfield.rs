//! A set of pieces: who has what.

use std::{fmt, iter};

use bitvec::order::Msb0;
use bitvec::vec::BitVec;

use crate::piece::{Geometry, PieceIndex};

/// A set of a torrent's pieces.
///
/// The empty and the full set hold no bits, so a peer that has nothing or everything costs a few
/// bytes however many pieces there are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bitfield {
    piece_count: u32,
    has_count: u32,
    /// The first piece is the high bit of the first byte (BEP 3); `None` when empty or full.
    bits: Option<BitVec<u8, Msb0>>,
}

/// A bitfield message that cannot be about this torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitfieldError {
    /// It has not exactly one bit for each piece, rounded up to whole bytes.
    Length {
        /// The bytes that came.
        got: usize,
        /// The bytes there must be.
        want: usize,
    },
    /// A bit behind the last piece is set (BEP 3: "spare bits at the end are set to zero").
    SpareBits,
}

impl fmt::Display for BitfieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { got, want } => write!(f, "bitfield of {got} bytes instead of {want}"),
            Self::SpareBits => f.write_str("bitfield with bits behind the last piece"),
        }
    }
}

impl std::error::Error for BitfieldError {}

impl Bitfield {
    /// No piece of a torrent of `piece_count` pieces.
    #[must_use]
    pub const fn empty(piece_count: u32) -> Self {
        Self { piece_count, has_count: 0, bits: None }
    }

    /// Every piece of a torrent of `piece_count` pieces.
    #[must_use]
    pub const fn full(piece_count: u32) -> Self {
        Self { piece_count, has_count: piece_count, bits: None }
    }

    /// The set that a bitfield message's payload names (BEP 3, "bitfield").
    ///
    /// # Errors
    /// When the length is not that of this torrent or a spare bit is set.
    pub fn from_wire(bytes: &[u8], piece_count: u32) -> Result<Self, BitfieldError> {
        let want = piece_count.div_ceil(8) as usize;
        if bytes.len() != want {
            return Err(BitfieldError::Length { got: bytes.len(), want });
        }
        let mut bits = BitVec::from_slice(bytes);
        if bits.iter().skip(piece_count as usize).any(|bit| *bit) {
            return Err(BitfieldError::SpareBits);
        }
        bits.truncate(piece_count as usize);
        let has_count = bits.count_ones();
        let has_count = u32::try_from(has_count).unwrap_or(piece_count);
        let mut set = Self { piece_count, has_count, bits: Some(bits) };
        set.shrink();
        Ok(set)
    }

    /// The payload of a bitfield message.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        self.bits.clone().unwrap_or_else(|| self.uniform()).into_vec()
    }

    /// How many pieces the torrent has.
    #[must_use]
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// How many pieces are in the set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.has_count
    }

    /// Whether every piece is in the set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.has_count == self.piece_count
    }

    /// Whether no piece is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.has_count == 0
    }

    /// How many pieces are in this set and not in `other`, a set of the same torrent.
    #[must_use]
    pub fn count_outside(&self, other: &Self) -> u32 {
        match (&self.bits, &other.bits) {
            (_, None) if !other.is_empty() => 0,
            (_, None) => self.has_count,
            (None, Some(_)) if self.is_empty() => 0,
            (None, Some(_)) => self.piece_count - other.has_count,
            (Some(ours), Some(theirs)) => {
                let bytes = ours.as_raw_slice().iter().zip(theirs.as_raw_slice());
                bytes.map(|(ours, theirs)| (ours & !theirs).count_ones()).sum()
            }
        }
    }

    /// The pieces that are in this set, in `other`, or in both: sets of the same torrent.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_full() || other.is_empty() {
            return self.clone();
        }
        let (Some(ours), Some(theirs)) = (&self.bits, &other.bits) else { return other.clone() };
        let mut bits = ours.clone();
        bits.as_raw_mut_slice().iter_mut().zip(theirs.as_raw_slice()).for_each(|(to, from)| *to |= from);
        let has_count = self.has_count + other.count_outside(self);
        let mut union = Self { piece_count: self.piece_count, has_count, bits: Some(bits) };
        union.shrink();
        union
    }

    /// Whether this piece is in the set.
    #[must_use]
    pub fn has(&self, piece: PieceIndex) -> bool {
        match &self.bits {
            Some(bits) => bits.get(piece.as_usize()).is_some_and(|bit| *bit),
            None => self.has_count > 0 && piece.get() < self.piece_count,
        }
    }

    /// Puts a piece in; true if it was not in before.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        self.change(piece, true)
    }

    /// Takes a piece out; true if it was in before.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        self.change(piece, false)
    }

    /// The pieces in the set, in order.
    pub fn iter(&self, geometry: &Geometry) -> impl Iterator<Item = PieceIndex> {
        let all = if self.bits.is_none() { self.has_count } else { 0 };
        self.pieces(geometry, all, 0)
    }

    /// The pieces that are not in the set, in order.
    pub fn missing(&self, geometry: &Geometry) -> impl Iterator<Item = PieceIndex> {
        let all = if self.bits.is_none() { self.piece_count - self.has_count } else { 0 };
        self.pieces(geometry, all, u64::MAX)
    }

    /// The first `all` pieces if there are no bits, else those whose bit differs from its one in
    /// `flip`.
    fn pieces(&self, geometry: &Geometry, all: u32, flip: u64) -> impl Iterator<Item = PieceIndex> {
        let geometry = *geometry;
        let bytes = self.as_bytes().unwrap_or_default();
        (0..all).chain(ones(bytes, flip)).filter_map(move |index| geometry.piece(index))
    }

    /// 64 pieces from `64 * index` on, the first in the highest bit; zeros if there are no bits, and
    /// behind the last piece.
    pub(crate) fn word(&self, index: usize) -> u64 {
        let bytes = self.as_bytes().unwrap_or_default();
        bytes.get(index * 8..).map_or(0, |bytes| word(bytes.get(..8).unwrap_or(bytes)))
    }

    /// The bits, eight pieces a byte, if the set is neither empty nor full.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.bits.as_ref().map(|bits| bits.as_raw_slice())
    }

    /// Bytes of memory that the bits take.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        self.bits.as_ref().map_or(0, |bits| bits.capacity() / 8)
    }

    fn change(&mut self, piece: PieceIndex, value: bool) -> bool {
        if piece.get() >= self.piece_count || self.has(piece) == value {
            return false;
        }
        let mut bits = self.bits.take().unwrap_or_else(|| self.uniform());
        bits.set(piece.as_usize(), value);
        self.bits = Some(bits);
        self.has_count = if value { self.has_count + 1 } else { self.has_count - 1 };
        self.shrink();
        true
    }

    /// The bits of the empty or full set, with no bit set behind the last piece.
    fn uniform(&self) -> BitVec<u8, Msb0> {
        let mut bits = BitVec::repeat(self.has_count > 0, self.piece_count as usize);
        bits.set_uninitialized(false);
        bits
    }

    fn shrink(&mut self) {
        if self.is_empty() || self.is_full() {
            self.bits = None;
        }
    }
}

/// The numbers of the bits that differ from their one in `flip`, 64 at a time: most sets of a large
/// torrent are nearly empty or nearly full.
fn ones(bytes: &[u8], flip: u64) -> impl Iterator<Item = u32> {
    let mut words = (0_u32..).step_by(64).zip(bytes.chunks(8));
    let (mut first, mut left) = (0, 0);
    iter::from_fn(move || {
        while left == 0 {
            let bytes;
            (first, bytes) = words.next()?;
            left = word(bytes) ^ flip;
        }
        let bit = left.leading_zeros();
        left ^= 1 << (u64::BITS - 1 - bit);
        Some(first + bit)
    })
}

/// Up to eight bytes as they stand, zeros behind them.
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or_else(
        || {
            let mut whole = [0; 8];
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(whole)
        },
        |whole| u64::from_be_bytes(*whole),
    )
}

impl fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bitfield({} of {})", self.has_count, self.piece_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn geometry(piece_count: u32) -> Geometry {
        Geometry::new(u64::from(piece_count), 1).unwrap()
    }

    #[test]
    fn spare_bits_and_other_lengths_are_refused() {
        assert_eq!(Bitfield::from_wire(&[0xFF, 0x80], 9).map(|set| set.is_full()), Ok(true));
        assert_eq!(Bitfield::from_wire(&[0, 0x40], 9), Err(BitfieldError::SpareBits));
        for bytes in [&[][..], &[0], &[0, 0, 0]] {
            assert_eq!(
                Bitfield::from_wire(bytes, 9),
                Err(BitfieldError::Length { got: bytes.len(), want: 2 })
            );
        }
    }

    #[test]
    fn the_full_and_the_empty_set_hold_no_bits() {
        let geometry = geometry(20);
        let mut set = Bitfield::empty(20);
        for piece in geometry.pieces() {
            assert_eq!(set.heap_len() > 0, !set.is_empty());
            assert!(set.insert(piece) && !set.insert(piece));
        }
        assert!(set.is_full() && set.heap_len() == 0);
        assert_eq!(set, Bitfield::full(20));
        assert_eq!(set.to_wire(), [0xFF, 0xFF, 0xF0]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_vector_of_bools(count in 1_u32..200, flips in prop::collection::vec(0_u32..200, 0..300)) {
            let geometry = geometry(count);
            let mut set = Bitfield::empty(count);
            let mut model = vec![false; count as usize];
            for piece in flips.into_iter().filter_map(|index| geometry.piece(index)) {
                let value = &mut model[piece.as_usize()];
                *value = !*value;
                let changed = if *value { set.insert(piece) } else { set.remove(piece) };
                prop_assert!(changed);
            }
            let want: Vec<_> = geometry.pieces().filter(|piece| model[piece.as_usize()]).collect();
            prop_assert_eq!(set.iter(&geometry).collect::<Vec<_>>(), &want[..]);
            prop_assert_eq!(set.count() as usize, want.len());
            let missing: Vec<_> = geometry.pieces().filter(|piece| !model[piece.as_usize()]).collect();
            prop_assert_eq!(set.missing(&geometry).collect::<Vec<_>>(), missing);
            let odd = geometry.pieces().filter(|piece| piece.get() % 2 == 1);
            let mut other = Bitfield::empty(count);
            odd.for_each(|piece| { other.insert(piece); });
            for (a, b) in [(&set, &other), (&other, &set), (&set, &Bitfield::full(count)), (&Bitfield::full(count), &set)] {
                let outside = a.iter(&geometry).filter(|piece| !b.has(*piece)).count();
                prop_assert_eq!(a.count_outside(b) as usize, outside);
            }
            prop_assert_eq!(Bitfield::from_wire(&set.to_wire(), count), Ok(set));
        }
    }
}
