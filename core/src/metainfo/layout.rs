//! Where a torrent's bytes lie in its files.

use std::ops::Range;

use crate::piece::{BlockRef, Geometry};

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    /// Safe components joined by `/`, the torrent's own name first; never absolute, never `..`.
    pub path: String,
    /// Its length in bytes; may be 0.
    pub len: u64,
    /// The offset of its first byte in the torrent.
    pub offset: u64,
    /// BEP 47, `attr` `p`: bytes that only align the next file, all zero, never written to disk.
    pub padding: bool,
    /// BEP 47, `attr` `x`.
    pub executable: bool,
}

/// The torrent's files, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    files: Vec<File>,
}

/// A run of bytes within one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which file, counted in [`Layout::files`].
    pub file: usize,
    /// The offset of the run in that file.
    pub offset: u64,
    /// Its length in bytes, at least 1.
    pub len: u64,
}

impl Layout {
    /// A layout of `files`, whose offsets follow one on the other from 0.
    pub(crate) fn new(files: Vec<File>) -> Self {
        debug_assert!(files.windows(2).all(|pair| pair[0].offset + pair[0].len == pair[1].offset));
        Self { files }
    }

    /// Every file, padding files among them.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The pieces, as indices into a table of them, that hold bytes of this file; none for a file of
    /// length 0 or one that is not there.
    #[must_use]
    pub fn pieces_of(&self, geometry: &Geometry, file: usize) -> Range<usize> {
        let Some(file) = self.files.get(file).filter(|file| file.len > 0) else { return 0..0 };
        let piece_len = u64::from(geometry.piece_len());
        let index = |offset| usize::try_from(offset / piece_len).unwrap_or(usize::MAX);
        index(file.offset)..index(file.offset + file.len - 1) + 1
    }

    /// The spans of `range`, in order; together exactly as long. Files of length 0 have none.
    pub fn spans(&self, geometry: &Geometry, range: BlockRef) -> impl Iterator<Item = Span> {
        let start = geometry.offset_of(range.piece()) + u64::from(range.begin());
        let end = start + u64::from(range.len());
        let first = self.files.partition_point(|file| file.offset + file.len <= start);
        let files = self.files.iter().enumerate().skip(first);
        files.take_while(move |(_, file)| file.offset < end).filter_map(move |(index, file)| {
            let from = start.max(file.offset);
            let len = end.min(file.offset + file.len).saturating_sub(from);
            (len > 0).then_some(Span { file: index, offset: from - file.offset, len })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_files_edges() {
        let mut offset = 0;
        let files = [3_u64, 0, 4, 0, 5].map(|len| {
            let file = File { path: String::new(), len, offset, padding: false, executable: false };
            offset += len;
            file
        });
        let (layout, geometry) = (Layout::new(files.to_vec()), Geometry::new(12, 6).unwrap());
        let spans = |index, begin, len| {
            let range = geometry.range(index, begin, len).unwrap();
            layout.spans(&geometry, range).map(|s| (s.file, s.offset, s.len)).collect::<Vec<_>>()
        };
        assert_eq!(spans(0, 0, 6), [(0, 0, 3), (2, 0, 3)]);
        assert_eq!(spans(1, 0, 6), [(2, 3, 1), (4, 0, 5)]);
        assert_eq!(spans(0, 3, 1), [(2, 0, 1)]);
        assert_eq!(spans(0, 1, 1), [(0, 1, 1)]);
        let pieces: Vec<_> = (0..6).map(|file| layout.pieces_of(&geometry, file)).collect();
        assert_eq!(pieces, [0..1, 0..0, 0..2, 0..0, 1..2, 0..0]);
    }
}
