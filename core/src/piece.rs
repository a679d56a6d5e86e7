//! Pieces and blocks as checked numbers.
//!
//! A [`PieceIndex`] or [`BlockRef`] can only be made by the [`Geometry`] of its torrent, so what
//! holds one needs no further check of range. They are not to be mixed between torrents.

use std::fmt;

/// The unit of requests: 16 KiB. Clients refuse to serve much more at once (BEP 3, "request").
pub const BLOCK_LEN: u32 = 16 * 1024;

/// The longest range a peer may ask of us: 128 KiB, as the older clients accept.
pub const REQUEST_LEN_MAX: u32 = 128 * 1024;

/// The longest piece: 512 MiB. No real torrent passes 64 MiB.
pub const PIECE_LEN_MAX: u32 = 1 << 29;

/// The most pieces of a torrent: 2^21, as libtorrent has it; their digests alone are 40 MiB.
pub const PIECE_COUNT_MAX: u32 = 1 << 21;

/// The most bytes of a torrent: 2^48 (256 TiB), so that no sum of offsets comes near a limit.
pub const TOTAL_LEN_MAX: u64 = 1 << 48;

/// The index of a piece that exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as an index into a table of pieces.
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A range of bytes within one piece that exists: what a request or a block is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    piece: PieceIndex,
    begin: u32,
    len: u32,
}

impl BlockRef {
    /// The piece it lies in.
    #[must_use]
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }

    /// Its first byte's offset in the piece.
    #[must_use]
    pub const fn begin(self) -> u32 {
        self.begin
    }

    /// Its length in bytes, at least 1.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Always false: a block has at least one byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The offset in the piece of the byte behind it.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.begin + self.len
    }

    /// Its number in the piece's grid of blocks, if it starts on the grid.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.begin / BLOCK_LEN
    }

    /// One range for this and `next`, if `next` follows directly in the same piece.
    #[must_use]
    pub fn joined(self, next: Self) -> Option<Self> {
        (self.piece == next.piece && self.end() == next.begin).then(|| Self {
            piece: self.piece,
            begin: self.begin,
            len: self.len + next.len,
        })
    }
}

impl fmt::Debug for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}[{}..{}]", self.piece, self.begin, self.end())
    }
}

/// How a torrent's bytes divide into pieces and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    total_len: u64,
    piece_len: u32,
    piece_count: u32,
}

impl Geometry {
    /// Of a torrent of which nothing is known yet: it has no pieces.
    pub(crate) const NONE: Self = Self { total_len: 0, piece_len: 1, piece_count: 0 };

    /// Of which no other has more of anything: any piece that can be exists in it.
    pub(crate) const LARGEST: Self =
        Self { total_len: 1 << 50, piece_len: PIECE_LEN_MAX, piece_count: PIECE_COUNT_MAX };

    /// The division of `total_len` bytes into pieces of `piece_len` bytes, the last one shorter.
    ///
    /// `None` if either is zero or over [`TOTAL_LEN_MAX`], [`PIECE_LEN_MAX`], or if there would be
    /// more than [`PIECE_COUNT_MAX`] pieces.
    #[must_use]
    pub fn new(total_len: u64, piece_len: u32) -> Option<Self> {
        if total_len == 0 || total_len > TOTAL_LEN_MAX || piece_len == 0 || piece_len > PIECE_LEN_MAX {
            return None;
        }
        let piece_count = u32::try_from(total_len.div_ceil(u64::from(piece_len))).ok()?;
        (piece_count <= PIECE_COUNT_MAX).then_some(Self { total_len, piece_len, piece_count })
    }

    /// All bytes of the torrent.
    #[must_use]
    pub const fn total_len(&self) -> u64 {
        self.total_len
    }

    /// The length of every piece but the last.
    #[must_use]
    pub const fn piece_len(&self) -> u32 {
        self.piece_len
    }

    /// The number of pieces, at least 1 once the torrent is known.
    #[must_use]
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// The piece with this number, if there is one.
    #[must_use]
    pub fn piece(&self, index: u32) -> Option<PieceIndex> {
        (index < self.piece_count).then_some(PieceIndex(index))
    }

    /// Every piece, in order.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.piece_count).map(PieceIndex)
    }

    /// The offset of the piece's first byte in the torrent.
    #[must_use]
    pub fn offset_of(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_len)
    }

    /// The length of this piece.
    #[must_use]
    pub fn len_of(&self, piece: PieceIndex) -> u32 {
        let rest = self.total_len - self.offset_of(piece);
        u32::try_from(rest).map_or(self.piece_len, |rest| rest.min(self.piece_len))
    }

    /// The number of blocks of this piece, at least 1.
    #[must_use]
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.len_of(piece).div_ceil(BLOCK_LEN)
    }

    /// The block with this number in the piece, if there is one.
    #[must_use]
    pub fn block(&self, piece: PieceIndex, number: u32) -> Option<BlockRef> {
        let begin = number.checked_mul(BLOCK_LEN)?;
        let len = self.len_of(piece).checked_sub(begin)?.min(BLOCK_LEN);
        (len > 0).then_some(BlockRef { piece, begin, len })
    }

    /// Every block of the piece, in order.
    pub fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = BlockRef> + use<> {
        let geometry = *self;
        (0..self.block_count(piece)).filter_map(move |number| geometry.block(piece, number))
    }

    /// The whole piece as one range.
    #[must_use]
    pub fn whole(&self, piece: PieceIndex) -> BlockRef {
        BlockRef { piece, begin: 0, len: self.len_of(piece) }
    }

    /// The range that a peer named, if it is not empty and lies within one piece.
    #[must_use]
    pub fn range(&self, index: u32, begin: u32, len: u32) -> Option<BlockRef> {
        let piece = self.piece(index)?;
        let end = begin.checked_add(len)?;
        (len > 0 && end <= self.len_of(piece)).then_some(BlockRef { piece, begin, len })
    }

    /// The range that a peer named, if it is exactly one of our blocks.
    #[must_use]
    pub fn exact_block(&self, index: u32, begin: u32, len: u32) -> Option<BlockRef> {
        let block = self.block(self.piece(index)?, begin / BLOCK_LEN)?;
        (block.begin == begin && block.len == len).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two whole pieces of 40,000 bytes and a last one of 1.
    fn geometry() -> Geometry {
        Geometry::new(80_001, 40_000).unwrap()
    }

    #[test]
    fn the_last_piece_and_the_last_block_are_shorter() {
        let geometry = geometry();
        let lens: Vec<_> = geometry.pieces().map(|piece| geometry.len_of(piece)).collect();
        assert_eq!(lens, [40_000, 40_000, 1]);
        let blocks: Vec<_> = geometry.blocks(geometry.piece(0).unwrap()).map(BlockRef::len).collect();
        assert_eq!(blocks, [BLOCK_LEN, BLOCK_LEN, 40_000 - 2 * BLOCK_LEN]);
    }

    #[test]
    fn ranges_outside_a_piece_are_refused() {
        let geometry = geometry();
        assert!(geometry.range(0, 39_999, 1).is_some());
        for (index, begin, len) in
            [(0, 39_999, 2), (0, 40_000, 1), (3, 0, 1), (0, 0, 0), (0, u32::MAX, u32::MAX)]
        {
            assert_eq!(geometry.range(index, begin, len), None, "{index} {begin} {len}");
        }
    }

    #[test]
    fn exact_block_wants_the_grid() {
        let geometry = geometry();
        assert!(geometry.exact_block(0, BLOCK_LEN, BLOCK_LEN).is_some());
        assert_eq!(geometry.exact_block(0, 1, BLOCK_LEN), None);
        assert_eq!(geometry.exact_block(0, 0, BLOCK_LEN - 1), None);
        assert_eq!(geometry.exact_block(0, u32::MAX, 1), None);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert_eq!(Geometry::new(0, 1), None);
        assert_eq!(Geometry::new(1, 0), None);
        assert_eq!(Geometry::new(u64::MAX, PIECE_LEN_MAX), None);
        assert_eq!(Geometry::new(u64::from(PIECE_COUNT_MAX) + 1, 1), None);
        assert_eq!(Geometry::new(1, PIECE_LEN_MAX + 1), None);
        assert!(Geometry::new(TOTAL_LEN_MAX, PIECE_LEN_MAX).is_some());
    }

    #[test]
    fn only_neighbours_join() {
        let geometry = geometry();
        let (a, b) = (geometry.range(0, 0, 10).unwrap(), geometry.range(0, 10, 5).unwrap());
        assert_eq!(a.joined(b), geometry.range(0, 0, 15));
        assert_eq!(b.joined(a), None);
    }
}
