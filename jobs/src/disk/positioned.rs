//! Reads and writes at an offset, whole or not at all.

use std::fs::File;
use std::io::{self, IoSlice};

/// The most runs of memory in one call; the least that Linux and the BSDs allow (`IOV_MAX`).
#[cfg(unix)]
const SLICE_COUNT_MAX: usize = 1024;

/// Fills `buffer` from `offset` on.
///
/// # Errors
/// `UnexpectedEof` if the file ends before the buffer is full.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    read_exact(buffer, offset, |buffer, offset| read_at(file, buffer, offset))
}

/// Writes all of `slices`, one behind the other, from `offset` on.
pub(crate) fn write_all_at(file: &File, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
    write_all(slices, offset, |slices, offset| write_at(file, slices, offset))
}

/// Reads until the buffer is full, however little each call brings.
fn read_exact(
    mut buffer: &mut [u8],
    mut offset: u64,
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                buffer = buffer.get_mut(len..).unwrap_or_default();
                offset = offset.saturating_add(len as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes until nothing is left, however little each call takes.
fn write_all(
    mut slices: &mut [IoSlice<'_>],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    // Drops empty slices in front, so that a write of nothing can't be taken for a full disk.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match write(slices, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => {
                offset = offset.saturating_add(len as u64);
                IoSlice::advance_slices(&mut slices, len);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let slices = slices.get(..SLICE_COUNT_MAX).unwrap_or(slices);
    Ok(rustix::io::pwritev(file, slices, offset)?)
}

#[cfg(windows)]
fn write_at(file: &File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let first = slices.first().map_or(&[][..], |slice| slice);
    std::os::windows::fs::FileExt::seek_write(file, first, offset)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn many_slices_arrive_in_order_at_their_offset() {
        let file = tempfile::tempfile().unwrap();
        let parts: Vec<Vec<u8>> = (0..3000_u32).map(|n| n.to_be_bytes()[..n as usize % 5].to_vec()).collect();
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        write_all_at(&file, &mut slices, 10).unwrap();
        let want = parts.concat();
        let mut got = vec![0; want.len()];
        read_exact_at(&file, &mut got, 10).unwrap();
        assert!(got == want);
        assert_eq!(file.metadata().unwrap().len(), 10 + want.len() as u64);
    }

    #[test]
    fn nothing_but_empty_slices_is_no_error() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, &mut [IoSlice::new(b""), IoSlice::new(b"")], 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    /// Whether a call is interrupted, and else how many bytes it moves at most.
    fn calls() -> impl Strategy<Value = Vec<(bool, usize)>> {
        prop::collection::vec((prop::bool::weighted(0.2), 1_usize..50), 1..20)
    }

    proptest! {
        #[test]
        fn calls_that_move_little_or_are_interrupted_lose_nothing(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            offset in 0_usize..100,
            calls in calls(),
        ) {
            let want = parts.concat();
            let mut disk = vec![0; offset + want.len()];
            // After all these calls the first are made again, and one moves something.
            let mut next = calls.iter().chain([&(false, 7)]).cycle();
            let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
            write_all(&mut slices, offset as u64, |slices, at| {
                let (interrupted, len_max) = *next.next().unwrap();
                if interrupted {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let bytes = slices.iter().flat_map(|slice| slice.iter()).take(len_max);
                let at = usize::try_from(at).unwrap();
                Ok(disk[at..].iter_mut().zip(bytes).map(|(to, from)| *to = *from).count())
            })
            .unwrap();
            prop_assert_eq!(&disk[offset..], &want);
            let mut got = vec![0; want.len()];
            read_exact(&mut got, offset as u64, |buffer, at| {
                let (interrupted, len_max) = *next.next().unwrap();
                if interrupted {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let from = &disk[usize::try_from(at).unwrap()..];
                let len = len_max.min(from.len()).min(buffer.len());
                buffer[..len].copy_from_slice(&from[..len]);
                Ok(len)
            })
            .unwrap();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn an_error_behind_a_short_write_is_told_and_so_is_a_disk_that_takes_nothing() {
        for (then, kind) in [
            (Err(io::ErrorKind::StorageFull.into()), io::ErrorKind::StorageFull),
            (Ok(0), io::ErrorKind::WriteZero),
        ] {
            let mut answers = vec![then, Ok(3)];
            let parts = [&b"ab"[..], b"cd"];
            let mut offsets = Vec::new();
            let error = write_all(&mut parts.map(IoSlice::new), 10, |_, at| {
                offsets.push(at);
                answers.pop().unwrap()
            });
            assert_eq!((error.unwrap_err().kind(), offsets), (kind, vec![10, 13]));
        }
    }

    #[test]
    fn a_file_that_ends_early_is_told() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, &mut [IoSlice::new(b"abc")], 0).unwrap();
        let error = read_exact_at(&file, &mut [0; 4], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
