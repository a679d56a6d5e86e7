//! Pieces from and to their files.

use std::io::IoSlice;
use std::sync::{PoisonError, RwLockReadGuard};
use std::time::Instant;

use peerless_core::block::{Block, ReadBuffer};
use peerless_core::metainfo::Span;
use peerless_core::piece::{BlockRef, PieceIndex};
use peerless_core::{
    BlockDigest, DiskError, DiskErrorKind, FullPiece, Storage, StoreError, StoreTime, StoredPiece, TorrentKey,
};

use super::part::{self, Part};
use super::positioned::{read_exact_at, write_all_at};
use super::root::Access;
use super::stored::Stored;
use super::{Disk, Held, entry, span_error};
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
        let held = self.held(torrent);
        let part = held.as_deref().map(Held::part);
        let open = |span, _: &str| self.file(torrent, storage, span, Access::Read);
        let files = Stored { storage, part: part.as_deref(), open };
        let indexes: Vec<u32> = pieces.iter().map(|piece| piece.get()).collect();
        let digests = PieceHasher::default().digests(&files, &indexes);
        let verdicts = indexes.iter().zip(digests).map(|(&piece, digest)| files.is_right(piece, digest));
        let verdicts: Vec<bool> = verdicts.collect::<Result<_, _>>()?;
        if let Some(held) = &held {
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

    /// [`Job::Store`](peerless_core::Job::Store): writes those of the pieces that are right. Also how long
    /// that took.
    pub(crate) fn store(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        pieces: Vec<FullPiece>,
    ) -> (Vec<StoredPiece>, StoreTime) {
        let begun_at = Instant::now();
        let right = hash::verify_each(
            pieces
                .iter()
                .map(|FullPiece { piece, blocks, .. }| (&blocks[..], storage.metainfo.digest(*piece))),
        );
        let digests = |piece: &FullPiece, is_right: bool| {
            let are_wanted = !is_right || piece.digest_blocks;
            if are_wanted { hash::block_digests(&piece.blocks) } else { Vec::new() }
        };
        let hashed: Vec<_> = pieces
            .into_iter()
            .zip(right)
            .map(|(piece, is_right)| (digests(&piece, is_right), piece, is_right))
            .collect();
        let hashing = begun_at.elapsed();
        let store = |(digests, piece, is_right): (Vec<BlockDigest>, FullPiece, bool)| {
            let result = if is_right {
                let written = self.write_piece(torrent, storage, piece.piece, &piece.blocks);
                written.map(|()| digests).map_err(StoreError::Disk)
            } else {
                Err(StoreError::Mismatch(digests))
            };
            piece.stored(result)
        };
        let stored = hashed.into_iter().map(store).collect();
        (stored, StoreTime { hashing, writing: begun_at.elapsed().saturating_sub(hashing) })
    }

    /// [`Job::Read`](peerless_core::Job::Read): the bytes of `range`, in `buffer`.
    pub(crate) fn read(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        range: BlockRef,
        mut buffer: ReadBuffer,
    ) -> Result<Block, DiskError> {
        let mut rest = buffer.as_mut_slice();
        let (metainfo, held) = (&storage.metainfo, self.held(torrent));
        let part = held.as_deref().map(Held::part);
        for span in metainfo.layout().spans(metainfo.geometry(), range) {
            let len = usize::try_from(span.len).unwrap_or(usize::MAX).min(rest.len());
            let (run, behind) = rest.split_at_mut(len);
            rest = behind;
            let Some(span) = keeper(storage, part.as_deref(), range.piece(), span)? else {
                run.fill(0);
                continue;
            };
            let file = self.file(torrent, storage, span, Access::Read)?;
            read_exact_at(&file, run, span.offset).map_err(|error| span_error(storage, span, &error))?;
        }
        Ok(buffer.into_block())
    }

    fn write_piece(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        piece: PieceIndex,
        blocks: &[Block],
    ) -> Result<(), DiskError> {
        let geometry = storage.metainfo.geometry();
        let len: u64 = blocks.iter().map(|block| block.as_slice().len() as u64).sum();
        if len != u64::from(geometry.len_of(piece)) {
            return Err(refusal(DiskErrorKind::Other, &storage.root, "blocks do not make up the piece"));
        }
        let Some(held) = self.held(torrent) else {
            return self.write_spans(torrent, storage, None, piece, blocks, &mut Vec::new());
        };
        let mut written = Vec::new();
        let result = held.part_for(storage, piece, |part| {
            self.write_spans(torrent, storage, Some(part), piece, blocks, &mut written)
        });
        let mut state = locked(&held.state);
        // Only now: a sync between a mark and its write would miss the write.
        for (file, end) in written {
            state.dirty.insert(file);
            if let Some(seen) = state.seen.get_mut(&file) {
                seen.on_written(end);
            }
        }
        if result.is_ok() {
            state.maybe.insert(piece);
            state.ours = true;
        }
        result
    }

    /// Writes the piece where it is kept. Each file is noted before it is written to, and up to where
    /// it was.
    fn write_spans(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        part: Option<&Part>,
        piece: PieceIndex,
        blocks: &[Block],
        written: &mut Vec<(usize, u64)>,
    ) -> Result<(), DiskError> {
        let metainfo = &storage.metainfo;
        let mut blocks = Blocks::new(blocks);
        for span in metainfo.layout().spans(metainfo.geometry(), metainfo.geometry().whole(piece)) {
            let mut slices = blocks.take(span.len);
            let Some(span) = keeper(storage, part, piece, span)? else { continue };
            let file = self.file(torrent, storage, span, Access::Write)?;
            if let Some(held) = self.held(torrent) {
                held.look_again(storage, span, &file)?;
            }
            written.push((span.file, 0));
            write_all_at(&file, &mut slices, span.offset)
                .map_err(|error| span_error(storage, span, &error))?;
            if let Some((_, end)) = written.last_mut() {
                *end = span.offset.saturating_add(span.len);
            }
        }
        Ok(())
    }
}

impl Held {
    /// What is kept in the part file, as long as it is looked at.
    fn part(&self) -> RwLockReadGuard<'_, Part> {
        self.part.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `work` done on a piece with a place for all of it.
    fn part_for(
        &self,
        storage: &Storage,
        piece: PieceIndex,
        work: impl FnOnce(&Part) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let metainfo = &storage.metainfo;
        let part = self.part();
        if part.has_room_for(metainfo, piece) {
            return work(&part);
        }
        drop(part);
        let mut part = self.part.write().unwrap_or_else(PoisonError::into_inner);
        // By now another choice may have been made.
        if !part.has_room_for(metainfo, piece) {
            part.make_slot(&self.root, metainfo, piece)?;
        }
        work(&part)
    }
}

/// Where a span of a piece is kept: in its file or in the part file. `None`: nowhere, it is padding.
fn keeper(
    storage: &Storage,
    part: Option<&Part>,
    piece: PieceIndex,
    span: Span,
) -> Result<Option<Span>, DiskError> {
    if entry(storage, span.file)?.padding {
        return Ok(None);
    }
    let Some(part) = part.filter(|part| part.has_file(span.file)) else { return Ok(Some(span)) };
    let why = "has nothing of a piece that is to be read";
    let missing = || {
        refusal(DiskErrorKind::NotFound, &storage.root.join(part::name(storage.metainfo.info_hash())), why)
    };
    part.find(&storage.metainfo, piece, span).map(Some).ok_or_else(missing)
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
