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
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
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

/// Writes all of `slices`, one behind the other, from `offset` on.
pub(crate) fn write_all_at(file: &File, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    // Drops empty slices in front, so that a write of nothing can't be taken for a full disk.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match write_at(file, slices, offset) {
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

    #[test]
    fn a_file_that_ends_early_is_told() {
        let file = tempfile::tempfile().unwrap();
        write_all_at(&file, &mut [IoSlice::new(b"abc")], 0).unwrap();
        let error = read_exact_at(&file, &mut [0; 4], 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
