//! Which parts of a sparse file were ever written.

use std::fs::File;

/// Whether `len` bytes of the file from `offset` on hold anything but a hole. Where the system
/// can't tell, they may.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "dragonfly"
))]
pub(super) fn has_data(file: &File, offset: u64, len: u64) -> bool {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data < offset.saturating_add(len),
        Err(errno) => errno != Errno::NXIO,
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "dragonfly"
)))]
pub(super) fn has_data(_file: &File, _offset: u64, _len: u64) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_never_taken_for_a_hole() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        let zeros = vec![0; 4096];
        let mut slices = [std::io::IoSlice::new(&zeros)];
        super::super::positioned::write_all_at(&file, &mut slices, 5 << 20).unwrap();
        assert!(has_data(&file, 5 << 20, 1));
        assert!(has_data(&file, 0, 6 << 20));
        assert!(has_data(&file, (5 << 20) + 100, 10));
    }
}
