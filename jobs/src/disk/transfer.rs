//! Pieces from and to their files.

use std::io::IoSlice;

use peerless_core::block::Block;
use peerless_core::piece::{BlockRef, PieceIndex};
use peerless_core::{
    BlockDigest, DiskError, DiskErrorKind, FullPiece, Storage, StoreError, StoredPiece, TorrentKey,
};

use super::positioned::{read_exact_at, write_all_at};
use super::root::Access;
use super::stored::Stored;
use super::{Disk, entry, span_error};
use crate::error::{locked, refusal};
use crate::hash;
use crate::pieces::PieceHasher;

impl Disk {
    /// [`Job::Check`](peerless_core::Job::Check): whether each of `pieces` is right.
    pub(crate) fn check(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        pieces: &[PieceIndex],
    ) -> Result<Vec<bool>, DiskError> {
        let files = Stored { storage, open: |span, _: &str| self.file(torrent, storage, span, Access::Read) };
        let indexes: Vec<u32> = pieces.iter().map(|piece| piece.get()).collect();
        let digests = PieceHasher::default().digests(&files, &indexes);
        let verdicts = indexes.iter().zip(digests).map(|(&piece, digest)| files.is_right(piece, digest));
        let verdicts: Vec<bool> = verdicts.collect::<Result<_, _>>()?;
        if let Some(held) = self.held(torrent) {
            let mut state = locked(&held.state);
            for (&piece, &right) in pieces.iter().zip(&verdicts) {
                let maybe = &mut state.maybe;
                if right {
                    maybe.insert(piece)
                } else {
                    maybe.remove(piece)
                };
            }
        }
        Ok(verdicts)
    }

    /// [`Job::Store`](peerless_core::Job::Store): writes those of the pieces that are right.
    pub(crate) fn store(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        pieces: Vec<FullPiece>,
    ) -> Vec<StoredPiece> {
        let right = hash::verify_each(
            pieces
                .iter()
                .map(|FullPiece { piece, blocks, .. }| (&blocks[..], storage.metainfo.digest(*piece))),
        );
        let store = |piece: FullPiece, is_right: bool| {
            let result = self.store_piece(torrent, storage, &piece, is_right);
            piece.stored(result)
        };
        pieces.into_iter().zip(right).map(|(piece, is_right)| store(piece, is_right)).collect()
    }

    fn store_piece(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        FullPiece { piece, blocks, digest_blocks }: &FullPiece,
        is_right: bool,
    ) -> Result<Vec<BlockDigest>, StoreError> {
        if !is_right {
            return Err(StoreError::Mismatch(hash::block_digests(blocks)));
        }
        self.write_piece(torrent, storage, *piece, blocks).map_err(StoreError::Disk)?;
        Ok(if *digest_blocks { hash::block_digests(blocks) } else { Vec::new() })
    }

    /// [`Job::Read`](peerless_core::Job::Read): the bytes of `range`, in `buffer`.
    pub(crate) fn read(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        range: BlockRef,
        mut buffer: Block,
    ) -> Result<Block, DiskError> {
        let mut rest = buffer.as_mut_slice();
        let metainfo = &storage.metainfo;
        for span in metainfo.layout().spans(metainfo.geometry(), range) {
            let len = usize::try_from(span.len).unwrap_or(usize::MAX).min(rest.len());
            let (part, behind) = rest.split_at_mut(len);
            rest = behind;
            if entry(storage, span.file)?.padding {
                part.fill(0);
                continue;
            }
            let file = self.file(torrent, storage, span, Access::Read)?;
            read_exact_at(&file, part, span.offset).map_err(|error| span_error(storage, span, &error))?;
        }
        Ok(buffer)
    }

    fn write_piece(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        piece: PieceIndex,
        blocks: &[Block],
    ) -> Result<(), DiskError> {
        let (metainfo, mut written) = (&storage.metainfo, Vec::new());
        let geometry = metainfo.geometry();
        let len: u64 = blocks.iter().map(|block| block.as_slice().len() as u64).sum();
        if len != u64::from(geometry.len_of(piece)) {
            return Err(refusal(DiskErrorKind::Other, &storage.root, "blocks do not make up the piece"));
        }
        let mut blocks = Blocks::new(blocks);
        let mut spans = metainfo.layout().spans(geometry, geometry.whole(piece));
        let result = spans.try_for_each(|span| {
            let mut slices = blocks.take(span.len);
            if entry(storage, span.file)?.padding {
                return Ok(());
            }
            let file = self.file(torrent, storage, span, Access::Write)?;
            written.push(span.file);
            write_all_at(&file, &mut slices, span.offset).map_err(|error| span_error(storage, span, &error))
        });
        if let Some(held) = self.held(torrent) {
            let mut state = locked(&held.state);
            // Only now: a sync between a mark and its write would miss the write.
            state.dirty.extend(written);
            if result.is_ok() {
                state.maybe.insert(piece);
                state.ours = true;
            }
        }
        result
    }
}

/// The bytes of blocks in order, cut where files end.
struct Blocks<'a> {
    rest: std::slice::Iter<'a, Block>,
    first: &'a [u8],
}

impl<'a> Blocks<'a> {
    fn new(blocks: &'a [Block]) -> Self {
        Self { rest: blocks.iter(), first: &[] }
    }

    /// The next `len` bytes, or what is left of them.
    fn take(&mut self, mut len: u64) -> Vec<IoSlice<'a>> {
        let mut slices = Vec::new();
        while len > 0 {
            if self.first.is_empty() {
                let Some(block) = self.rest.next() else { break };
                self.first = block.as_slice();
            }
            let run_len = usize::try_from(len).unwrap_or(usize::MAX).min(self.first.len());
            let (run, behind) = self.first.split_at(run_len);
            slices.push(IoSlice::new(run));
            self.first = behind;
            len -= run_len as u64;
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_cut_where_files_end() {
        let blocks = ["abc", "", "defg", "h"].map(|text| Block::new(text.into()));
        let mut blocks = Blocks::new(&blocks);
        let mut take = |len| blocks.take(len).iter().map(|slice| slice.to_vec()).collect::<Vec<_>>().concat();
        assert_eq!(take(2), b"ab");
        assert_eq!(take(3), b"cde");
        assert_eq!(take(1), b"f");
        assert_eq!(take(9), b"gh");
        assert_eq!(take(1), b"");
    }
}
