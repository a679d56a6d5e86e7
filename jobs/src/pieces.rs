//! Digests of pieces that lie in files: the one way in which a torrent is verified, checked before
//! it starts, and made.
//!
//! Several pieces advance side by side, a run of bytes of each at a time, so that no more than one
//! buffer per thread is held however long the pieces are. Data is read and not mapped: a file
//! that is cut short meanwhile is then an error instead of a signal.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use peerless_core::DiskError;
use peerless_core::metainfo::Span;
use peerless_hash::{Digest, Sha1, finish_each, update_each, width};

use crate::disk::advice::{Advice, advise, is_large};
use crate::disk::positioned::read_exact_at;
use crate::parallel;

/// Bytes read before they are hashed, of all pieces together: they stay in the CPU's second cache.
const BUFFER_LEN: usize = 512 * 1024;

/// Bytes read of one piece at once, at most and at least. All lengths are powers of two, so that a
/// run ends with a block of the hash, and [`AHEAD_LEN`] with a run.
const RUN_LEN_MAX: usize = 256 * 1024;
const RUN_LEN_MIN: usize = 16 * 1024;

/// Bytes of a piece that the system is asked to read ahead at once: long enough that a disk with
/// heads reads more than it seeks, short enough that all pieces' are not much.
const AHEAD_LEN: u32 = 4 * 1024 * 1024;

/// Bytes that a thread takes at once, at least and at most. Fewer cost hand-overs, more would let
/// progress come in jumps.
const TAKE_LEN_MIN: u64 = 4 * 1024 * 1024;
const TAKE_LEN_MAX: u64 = 256 * 1024 * 1024;

/// Pieces, and the files in which they lie.
pub(crate) trait Files: Sync {
    /// How many bytes all pieces have.
    fn total_len(&self) -> u64;
    /// How many bytes every piece but the last has.
    fn piece_len(&self) -> u32;
    /// The spans of `len` bytes of a piece from `begin` on, in order; together exactly as long.
    fn spans(&self, piece: u32, begin: u32, len: u32) -> impl Iterator<Item = Span>;
    /// An open file; `None` if it is padding, all zeros and not there.
    fn open(&self, span: Span) -> Result<Option<Arc<File>>, DiskError>;
    /// The error of reading a span.
    fn error(&self, span: Span, error: &io::Error) -> DiskError;

    /// How many bytes a piece has.
    fn len_of(&self, piece: u32) -> u32 {
        let piece_len = self.piece_len();
        let rest = self.total_len().saturating_sub(u64::from(piece) * u64::from(piece_len));
        u32::try_from(rest).map_or(piece_len, |rest| rest.min(piece_len))
    }
}

/// Digests every piece below `count` on `threads` threads. `judge` says there what a digest, or
/// the failure to read the piece, comes to; an error of its own ends it all. `on_done` gets the
/// rest on the calling thread, in no order.
pub(crate) fn digest_all<T: Send>(
    files: &impl Files,
    count: u32,
    threads: usize,
    judge: impl Fn(u32, Result<Digest, DiskError>) -> Result<T, DiskError> + Sync,
    on_done: impl FnMut(u32, T),
) -> Result<(), DiskError> {
    let take_count = take_count(files.piece_len());
    let round_count = take_count.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX));
    let work = |hasher: &mut PieceHasher, pieces: Range<u32>| {
        // What is likely to be this thread's next.
        let next = pieces.start.saturating_add(round_count)..pieces.end.saturating_add(round_count);
        hasher.read_ahead(files, next.start.min(count)..next.end.min(count));
        let pieces: Vec<u32> = pieces.collect();
        let digests = hasher.digests(files, &pieces);
        pieces.into_iter().zip(digests).map(|(piece, digest)| judge(piece, digest)).collect()
    };
    parallel::run(count, take_count, threads, PieceHasher::default, work, on_done)
}

/// How many pieces a thread takes at once: as many as are hashed side by side, if that isn't much.
fn take_count(piece_len: u32) -> u32 {
    let piece_len = u64::from(piece_len.max(1));
    let lanes = (width() as u64).min(TAKE_LEN_MAX / piece_len);
    u32::try_from((TAKE_LEN_MIN / piece_len).max(lanes).max(1)).unwrap_or(u32::MAX)
}

/// How long a run is, when so many pieces share the buffer.
fn run_len(piece_count: usize) -> usize {
    let share = BUFFER_LEN / piece_count.next_power_of_two();
    share.clamp(RUN_LEN_MIN, RUN_LEN_MAX)
}

/// One thread's means: its buffer, and the file it read last.
#[derive(Debug, Default)]
pub(crate) struct PieceHasher {
    buffer: Vec<u8>,
    last: LastFile,
}

/// One of the pieces that are being hashed side by side.
struct Lane {
    piece: u32,
    len: u32,
    sha1: Sha1,
    /// Bytes that were read last.
    run_len: usize,
    error: Option<DiskError>,
}

impl PieceHasher {
    /// The digest of each of `pieces`, or why it can't be read.
    pub(crate) fn digests(&mut self, files: &impl Files, pieces: &[u32]) -> Vec<Result<Digest, DiskError>> {
        pieces.chunks(width()).flat_map(|pieces| self.side_by_side(files, pieces)).collect()
    }

    fn side_by_side(&mut self, files: &impl Files, pieces: &[u32]) -> Vec<Result<Digest, DiskError>> {
        let mut lanes: Vec<_> = pieces.iter().map(|&piece| Lane::new(files, piece)).collect();
        let run_len = run_len(lanes.len());
        self.buffer.resize(lanes.len() * run_len, 0);
        let longest = lanes.iter().map(|lane| lane.len).max().unwrap_or(0);
        for begin in (0..longest).step_by(run_len) {
            if begin % AHEAD_LEN == 0 {
                let next = begin.saturating_add(AHEAD_LEN);
                let from = if begin == 0 { 0 } else { next };
                self.advise(
                    files,
                    pieces.iter().copied(),
                    from..next.saturating_add(AHEAD_LEN),
                    Advice::Soon,
                );
            }
            for (lane, run) in lanes.iter_mut().zip(self.buffer.chunks_exact_mut(run_len)) {
                lane.read(files, &mut self.last, begin, run);
            }
            let runs = self.buffer.chunks_exact(run_len);
            update_each(
                lanes
                    .iter_mut()
                    .zip(runs)
                    .map(|(lane, run)| (&mut lane.sha1, run.get(..lane.run_len).unwrap_or_default())),
            );
        }
        if is_large(files.total_len()) {
            self.advise(files, pieces.iter().copied(), 0..u32::MAX, Advice::Done);
        }
        let (running, errors): (Vec<_>, Vec<_>) =
            lanes.into_iter().map(|lane| (lane.sha1, lane.error)).unzip();
        finish_each(running)
            .into_iter()
            .zip(errors)
            .map(|(digest, error)| error.map_or(Ok(digest), Err))
            .collect()
    }

    /// Asks the system to read the start of pieces that will be hashed soon.
    fn read_ahead(&mut self, files: &impl Files, pieces: Range<u32>) {
        self.advise(files, pieces, 0..AHEAD_LEN, Advice::Soon);
    }

    /// Tells the system about a part of each of `pieces`. What lies in a row is told at once.
    fn advise(
        &mut self,
        files: &impl Files,
        pieces: impl Iterator<Item = u32>,
        part: Range<u32>,
        advice: Advice,
    ) {
        let mut row: Option<Span> = None;
        for piece in pieces {
            let (begin, end) = (part.start, part.end.min(files.len_of(piece)));
            for span in files.spans(piece, begin, end.saturating_sub(begin)) {
                match &mut row {
                    Some(row) if row.file == span.file && row.offset + row.len == span.offset => {
                        row.len += span.len
                    }
                    row => {
                        if let Some(row) = row.replace(span) {
                            self.advise_span(files, row, advice);
                        }
                    }
                }
            }
        }
        if let Some(row) = row {
            self.advise_span(files, row, advice);
        }
    }

    /// It is only advice: a file that can't be opened is told of when it is read.
    fn advise_span(&mut self, files: &impl Files, span: Span, advice: Advice) {
        if let Ok(Some(file)) = self.last.open(files, span) {
            advise(&file, span.offset, span.len, advice);
        }
    }
}

impl Lane {
    fn new(files: &impl Files, piece: u32) -> Self {
        Self { piece, len: files.len_of(piece), sha1: Sha1::new(), run_len: 0, error: None }
    }

    /// Reads what comes from `begin` on, as far as the piece and the run go.
    fn read(&mut self, files: &impl Files, last: &mut LastFile, begin: u32, run: &mut [u8]) {
        let len = self.len.saturating_sub(begin).min(u32::try_from(run.len()).unwrap_or(u32::MAX));
        self.run_len = if self.error.is_some() { 0 } else { len as usize };
        let mut rest = run.get_mut(..self.run_len).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        for span in files.spans(self.piece, begin, len) {
            let len = usize::try_from(span.len).unwrap_or(usize::MAX).min(rest.len());
            let (part, behind) = rest.split_at_mut(len);
            rest = behind;
            let read = last.open(files, span).and_then(|file| match file {
                Some(file) => {
                    read_exact_at(&file, part, span.offset).map_err(|error| files.error(span, &error))
                }
                None => {
                    part.fill(0);
                    Ok(())
                }
            });
            if let Err(error) = read {
                self.run_len = 0;
                self.error = Some(error);
                return;
            }
        }
    }
}

/// The file that was used last, which is mostly the next one too, and its number.
#[derive(Debug, Default)]
struct LastFile(Option<(usize, Option<Arc<File>>)>);

impl LastFile {
    fn open(&mut self, files: &impl Files, span: Span) -> Result<Option<Arc<File>>, DiskError> {
        if let Some((index, file)) = &self.0
            && *index == span.file
        {
            return Ok(file.clone());
        }
        let file = files.open(span)?;
        self.0 = Some((span.file, file.clone()));
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::DiskErrorKind;
    use peerless_hash::sha1;
    use std::io::Write;
    use std::path::Path;

    /// Files of `FILE_LEN` bytes; every third is padding, and one may be missing.
    struct Made {
        files: Vec<Option<Arc<File>>>,
        bytes: Vec<u8>,
        piece_len: u32,
        total_len: u64,
        missing: usize,
    }

    const FILE_LEN: u64 = 1_000_003;

    fn files(piece_len: u32, missing: usize) -> Made {
        let (mut files, mut bytes) = (Vec::new(), Vec::new());
        for index in 0..10 {
            let len = usize::try_from(FILE_LEN).unwrap();
            if index % 3 == 2 {
                bytes.resize(bytes.len() + len, 0);
                files.push(None);
            } else {
                let own: Vec<u8> = (index..=250).cycle().take(len).collect();
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&own).unwrap();
                files.push(Some(Arc::new(file)));
                bytes.extend(own);
            }
        }
        Made { files, total_len: bytes.len() as u64, bytes, piece_len, missing }
    }

    impl Files for Made {
        fn total_len(&self) -> u64 {
            self.total_len
        }

        fn piece_len(&self) -> u32 {
            self.piece_len
        }

        fn spans(&self, piece: u32, begin: u32, len: u32) -> impl Iterator<Item = Span> {
            let mut at = u64::from(piece) * u64::from(self.piece_len) + u64::from(begin);
            let end = at + u64::from(len);
            std::iter::from_fn(move || {
                let file = usize::try_from(at / FILE_LEN).unwrap();
                let len = (FILE_LEN - at % FILE_LEN).min(end - at);
                let span = Span { file, offset: at % FILE_LEN, len };
                at += len;
                (len > 0).then_some(span)
            })
        }

        fn open(&self, span: Span) -> Result<Option<Arc<File>>, DiskError> {
            match span.file == self.missing {
                true => Err(crate::error::refusal(DiskErrorKind::NotFound, Path::new("gone"), "")),
                false => Ok(self.files[span.file].clone()),
            }
        }

        fn error(&self, _: Span, error: &io::Error) -> DiskError {
            crate::error::disk_error(Path::new("x"), error)
        }
    }

    #[test]
    fn digests_are_those_of_the_bytes_whatever_the_pieces_length() {
        for piece_len in [16_384, 100_000, 262_144, 1_500_000, 20_000_000] {
            let files = files(piece_len, usize::MAX);
            let want: Vec<_> = files.bytes.chunks(piece_len as usize).map(sha1).collect();
            let mut got = vec![None; want.len()];
            let count = u32::try_from(want.len()).unwrap();
            digest_all(
                &files,
                count,
                3,
                |_, digest| digest,
                |piece, digest| got[piece as usize] = Some(digest),
            )
            .unwrap();
            assert_eq!(got, want.iter().copied().map(Some).collect::<Vec<_>>(), "{piece_len}");
            // Any pieces in any order, by one thread.
            let pieces: Vec<u32> = (0..count).rev().step_by(2).collect();
            let some = PieceHasher::default().digests(&files, &pieces);
            assert!(pieces.iter().zip(some).all(|(&piece, digest)| digest == Ok(want[piece as usize])));
        }
    }

    #[test]
    fn what_cant_be_read_spoils_no_other_piece() {
        let files = files(100_000, 4);
        let digests = PieceHasher::default().digests(&files, &(0..100).collect::<Vec<_>>());
        for (piece, digest) in digests.into_iter().enumerate() {
            let bytes = &files.bytes[piece * 100_000..][..100_000];
            let (first, last) = (piece * 100_000 / 1_000_003, (piece * 100_000 + 99_999) / 1_000_003);
            match digest {
                Ok(digest) => assert!(digest == sha1(bytes) && first != 4 && last != 4, "{piece}"),
                Err(error) => {
                    assert!(error.kind == DiskErrorKind::NotFound && (first == 4 || last == 4), "{piece}")
                }
            }
        }
    }

    #[test]
    fn data_larger_than_memory_is_dropped_behind_and_still_read_right() {
        let files = Made { total_len: u64::MAX, ..files(262_144, usize::MAX) };
        let digests = PieceHasher::default().digests(&files, &[0, 1, 2]);
        let want = files.bytes.chunks(262_144).take(3).map(|piece| Ok(sha1(piece)));
        assert_eq!(digests, want.collect::<Vec<_>>());
    }

    #[test]
    fn runs_are_cut_where_read_ahead_is() {
        for count in 0..40 {
            assert!(
                run_len(count).is_power_of_two() && (AHEAD_LEN as usize).is_multiple_of(run_len(count)),
                "{count}"
            );
        }
        assert_eq!([1, 2, 3, 16].map(run_len), [256 << 10, 256 << 10, 128 << 10, 32 << 10]);
    }

    #[test]
    fn a_thread_takes_enough_to_fill_the_lanes_but_not_too_much() {
        assert_eq!(take_count(16_384), 256);
        assert_eq!(take_count(1 << 20), 4.max(u32::try_from(width()).unwrap()));
        assert!(take_count(1 << 26) <= 4);
        assert_eq!((take_count(1 << 31), take_count(0) > 0), (1, true));
    }
}
