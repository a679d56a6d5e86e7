//! Hashing what is in memory, and making the digests of a new torrent.
//!
//! How it is done fast is in `peerless-hash`, for what is in memory, and in `pieces.rs`, for
//! what is on disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peerless_core::block::Block;
use peerless_core::key::Key as _;
use peerless_core::metainfo::{Digest, Span};
use peerless_core::{BlockDigest, DiskError, DiskErrorKind, TorrentKey};
use peerless_hash::sha1_each;

use crate::disk::read_error;
use crate::disk::root::Access;
use crate::error::{disk_error, refusal};
use crate::files::OpenFiles;
use crate::pieces::{Files, digest_all};

/// Files that are kept open while a torrent is made or verified.
pub(crate) const OPEN_FILES_MAX: usize = 128;

/// How many pieces at once [`peerless_core::Config::hash_width`] is best set to.
#[must_use]
pub fn width() -> usize {
    peerless_hash::width()
}

/// Of each of some pieces, given by its blocks in order, whether it is the one with this digest. As
/// [`peerless_core::verify`].
pub(crate) fn verify_each<'a>(pieces: impl Iterator<Item = (&'a [Block], Digest)>) -> Vec<bool> {
    let (parts, want): (Vec<Vec<&[u8]>>, Vec<Digest>) =
        pieces.map(|(blocks, digest)| (blocks.iter().map(Block::as_slice).collect(), digest)).unzip();
    let messages: Vec<&[&[u8]]> = parts.iter().map(|parts| &parts[..]).collect();
    let digests = sha1_each(&messages).into_iter().map(Digest::Sha1);
    digests.zip(want).map(|(digest, want)| digest == want).collect()
}

/// The digest of each block. As [`peerless_core::block_digest`].
pub(crate) fn block_digests(blocks: &[Block]) -> Vec<BlockDigest> {
    let parts: Vec<_> = blocks.iter().map(|block| [block.as_slice()]).collect();
    sha1_each(&parts.iter().map(<[_; 1]>::as_slice).collect::<Vec<_>>())
}

/// The SHA-1 of every piece of `piece_len` bytes of `files`, one behind the other: what a new
/// torrent needs. A file is its path and its length.
///
/// Works on `threads` threads and tells `on_progress` how many bytes are done in all, from the
/// calling thread.
///
/// # Errors
/// When a file can't be read, is shorter than said, or no thread can be started.
///
/// # Panics
/// If `piece_len` is 0.
pub fn pieces_of(
    files: &[(PathBuf, u64)],
    piece_len: u32,
    threads: usize,
    mut on_progress: impl FnMut(u64),
) -> Result<Vec<[u8; 20]>, DiskError> {
    assert!(piece_len > 0, "a piece has at least one byte");
    let listed = Listed::new(files, piece_len);
    let Ok(count) = u32::try_from(listed.total_len.div_ceil(piece_len.into())) else {
        let path = files.first().map_or_else(|| Path::new(""), |(path, _)| path);
        return Err(refusal(DiskErrorKind::Other, path, "too many pieces: use longer ones"));
    };
    let mut digests = vec![[0; 20]; count as usize];
    let mut done = 0_u64;
    digest_all(
        &listed,
        count,
        threads,
        |_, digest| digest,
        |index, digest| {
            done += u64::from(listed.len_of(index));
            if let Some(place) = digests.get_mut(index as usize) {
                *place = digest;
            }
            on_progress(done);
        },
    )?;
    Ok(digests)
}

/// The files of a torrent that is being made.
struct Listed<'a> {
    files: &'a [(PathBuf, u64)],
    /// Each file's first byte, counted through all.
    starts: Vec<u64>,
    total_len: u64,
    piece_len: u32,
    open: OpenFiles,
}

impl<'a> Listed<'a> {
    fn new(files: &'a [(PathBuf, u64)], piece_len: u32) -> Self {
        let lens = files.iter().map(|(_, len)| *len);
        let starts =
            lens.clone().scan(0_u64, |end, len| Some(std::mem::replace(end, end.saturating_add(len))));
        let (starts, total_len) = (starts.collect(), lens.fold(0, u64::saturating_add));
        Self { files, starts, total_len, piece_len, open: OpenFiles::new(OPEN_FILES_MAX) }
    }

    fn path(&self, file: usize) -> &Path {
        self.files.get(file).map_or_else(|| Path::new(""), |(path, _)| path)
    }
}

impl Files for Listed<'_> {
    fn total_len(&self) -> u64 {
        self.total_len
    }

    fn piece_len(&self) -> u32 {
        self.piece_len
    }

    fn spans(&self, piece: u32, begin: u32, len: u32) -> impl Iterator<Item = Span> {
        let start = u64::from(piece) * u64::from(self.piece_len) + u64::from(begin);
        let end = start + u64::from(len);
        let first = self.starts.partition_point(|&file_start| file_start <= start).saturating_sub(1);
        let files = self.files.iter().zip(&self.starts).enumerate().skip(first);
        files.take_while(move |(_, (_, at))| **at < end).filter_map(move |(file, ((_, file_len), &at))| {
            let (from, to) = (start.saturating_sub(at), (end - at).min(*file_len));
            (from < to).then_some(Span { file, offset: from, len: to - from })
        })
    }

    fn open(&self, span: Span) -> Result<Option<Arc<File>>, DiskError> {
        let path = self.path(span.file);
        let open = || File::open(path).map_err(|error| disk_error(path, &error));
        self.open.with((TorrentKey::new(0, 0), span.file), Access::Read, open).map(Some)
    }

    fn error(&self, span: Span, error: &io::Error) -> DiskError {
        read_error(self.path(span.file), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::block_digest;
    use peerless_hash::sha1;

    fn blocks() -> Vec<Block> {
        [5_usize, 0, 16_384, 100_001].map(|len| Block::new((0..=250).cycle().take(len).collect())).into()
    }

    #[test]
    fn agrees_with_the_cores_portable_sha1() {
        let blocks = blocks();
        let whole = blocks.iter().map(Block::as_slice).collect::<Vec<_>>().concat();
        let digest = Digest::Sha1(sha1(&whole));
        let pieces = [(&blocks[..], digest), (&blocks[1..], digest), (&blocks[..], digest)];
        let right = verify_each(pieces.into_iter());
        assert_eq!(right, pieces.map(|(blocks, digest)| peerless_core::verify(blocks, digest)));
        assert_eq!(right, [true, false, true]);
        assert_eq!(block_digests(&blocks), blocks.iter().map(block_digest).collect::<Vec<_>>());
    }

    #[test]
    fn pieces_run_over_the_files_edges() {
        let dir = tempfile::tempdir().unwrap();
        let lens = [700_000_usize, 0, 3, 1, 300_000];
        let bytes: Vec<u8> = (0..=252).cycle().take(lens.iter().sum()).collect();
        let mut rest = &bytes[..];
        let files: Vec<_> = lens
            .iter()
            .enumerate()
            .map(|(index, &len)| {
                let path = dir.path().join(index.to_string());
                let (own, others) = rest.split_at(len);
                std::fs::write(&path, own).unwrap();
                rest = others;
                (path, len as u64)
            })
            .collect();
        for piece_len in [100_000, 350_001, 2_000_000] {
            let want: Vec<_> = bytes.chunks(piece_len).map(sha1).collect();
            let mut done = 0;
            let got = pieces_of(&files, u32::try_from(piece_len).unwrap(), 3, |bytes| done = bytes);
            assert_eq!(got.unwrap(), want, "{piece_len}");
            assert_eq!(done, bytes.len() as u64);
        }
        assert_eq!(pieces_of(&[], 1, 1, |_| ()), Ok(vec![]));
    }

    #[test]
    fn a_file_shorter_than_said_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short");
        std::fs::write(&path, b"ab").unwrap();
        let error = pieces_of(&[(path.clone(), 3)], 16, 2, |_| ()).unwrap_err();
        assert_eq!(error.path, path);
    }
}
