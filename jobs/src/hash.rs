//! Bulk hashing: the one place to make it faster.
//!
//! SHA-1 by the CPU's own instructions where it has them, found at run time; about twice as fast
//! as the core's portable one, with the same answers. Data is read in runs that stay in the CPU's
//! cache until they are hashed: on cold data hashing takes 1.7 times as long.

use std::fs::File;
use std::path::{Path, PathBuf};

use peerless_core::block::Block;
use peerless_core::metainfo::Digest;
use peerless_core::{BlockDigest, DiskError, DiskErrorKind};
use sha1::Digest as _;

use crate::disk::positioned::read_exact_at;
use crate::disk::read_error;
use crate::error::{disk_error, refusal};
use crate::parallel;

/// Bytes read at once: fits the CPU's cache beside the rest, and makes a system call cheap.
pub(crate) const READ_LEN: usize = 256 * 1024;

/// A SHA-1 being computed.
#[derive(Default)]
pub(crate) struct Hasher(sha1::Sha1);

impl Hasher {
    /// Hashes further bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Hashes `len` further bytes that are zero.
    pub(crate) fn update_zeros(&mut self, mut len: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        while len > 0 {
            let run = usize::try_from(len).map_or(&ZEROS[..], |len| ZEROS.get(..len).unwrap_or(&ZEROS));
            self.update(run);
            len -= run.len() as u64;
        }
    }

    /// The digest of all bytes.
    pub(crate) fn finish(self) -> [u8; 20] {
        self.0.finalize().into()
    }

    /// Whether the bytes were what `digest` says.
    pub(crate) fn matches(self, digest: Digest) -> bool {
        let Digest::Sha1(want) = digest;
        self.finish() == want
    }
}

/// The SHA-1 of `bytes`.
pub(crate) fn sha1(bytes: &[u8]) -> [u8; 20] {
    sha1::Sha1::digest(bytes).into()
}

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
    let digests = peerless_hash::sha1_each(&messages).into_iter().map(Digest::Sha1);
    digests.zip(want).map(|(digest, want)| digest == want).collect()
}

/// The digest of each block. As [`peerless_core::block_digest`].
pub(crate) fn block_digests(blocks: &[Block]) -> Vec<BlockDigest> {
    blocks.iter().map(|block| sha1(block.as_slice())).collect()
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
    let starts: Vec<u64> = files
        .iter()
        .scan(0_u64, |end, (_, len)| Some(std::mem::replace(end, end.saturating_add(*len))))
        .collect();
    let total = files.iter().fold(0_u64, |sum, (_, len)| sum.saturating_add(*len));
    let piece_len = u64::from(piece_len);
    let Ok(count) = u32::try_from(total.div_ceil(piece_len)) else {
        let path = files.first().map_or_else(|| Path::new(""), |(path, _)| path);
        return Err(refusal(DiskErrorKind::Other, path, "too many pieces: use longer ones"));
    };
    let mut digests = vec![[0; 20]; count as usize];
    let mut done = 0_u64;
    let piece = |worker: &mut Reader, index: u32| {
        let start = u64::from(index) * piece_len;
        worker.digest(files, &starts, start, (start + piece_len).min(total))
    };
    parallel::run(count, threads, Reader::default, piece, |index, digest| {
        let start = u64::from(index) * piece_len;
        done += piece_len.min(total - start);
        if let Some(place) = digests.get_mut(index as usize) {
            *place = digest;
        }
        on_progress(done);
    })?;
    Ok(digests)
}

/// One worker's buffer and the file it read last: pieces come mostly in order.
#[derive(Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    open: Option<(usize, File)>,
}

impl Reader {
    /// The file with this number, opened by `open` unless it was read last; and the buffer.
    pub(crate) fn file(
        &mut self,
        index: usize,
        open: impl FnOnce() -> Result<File, DiskError>,
    ) -> Result<(&File, &mut Vec<u8>), DiskError> {
        let file = match self.open.take() {
            Some((last, file)) if last == index => file,
            Some(_) | None => open()?,
        };
        let (_, file) = self.open.insert((index, file));
        Ok((file, &mut self.buffer))
    }

    /// The digest of the bytes `start..end` of all files; `starts` are the files' first offsets.
    fn digest(
        &mut self,
        files: &[(PathBuf, u64)],
        starts: &[u64],
        start: u64,
        end: u64,
    ) -> Result<[u8; 20], DiskError> {
        let mut hasher = Hasher::default();
        let first = starts.partition_point(|&file_start| file_start <= start).saturating_sub(1);
        let spans = files.iter().zip(starts).enumerate().skip(first);
        for (index, ((path, len), &file_start)) in spans.take_while(|(_, (_, at))| **at < end) {
            let (from, to) = (start.saturating_sub(file_start), (end - file_start).min(*len));
            if from < to {
                let open = || File::open(path).map_err(|error| disk_error(path, &error));
                let (file, buffer) = self.file(index, open)?;
                read_through(file, from, to - from, buffer, |bytes| hasher.update(bytes))
                    .map_err(|error| read_error(path, &error))?;
            }
        }
        Ok(hasher.finish())
    }
}

/// Reads `len` bytes from `offset` on, in runs through `buffer`, and shows each to `on_bytes`.
pub(crate) fn read_through(
    file: &File,
    mut offset: u64,
    mut len: u64,
    buffer: &mut Vec<u8>,
    mut on_bytes: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    buffer.resize(READ_LEN, 0);
    while len > 0 {
        let run_len = usize::try_from(len).unwrap_or(READ_LEN).min(READ_LEN);
        let run = buffer.get_mut(..run_len).unwrap_or_default();
        read_exact_at(file, run, offset)?;
        on_bytes(run);
        offset += run_len as u64;
        len -= run_len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::block_digest;

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
    fn zeros_hash_as_zeros() {
        for len in [0, 1, 4096, 10_000] {
            let mut hasher = Hasher::default();
            hasher.update_zeros(len);
            assert_eq!(hasher.finish(), sha1(&vec![0; usize::try_from(len).unwrap()]));
        }
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
