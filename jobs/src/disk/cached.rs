//! Reads of what the system has in memory, for the event loop: they never wait for a disk.

use std::fs::File;

use peerless_core::block::ReadBuffer;
use peerless_core::piece::BlockRef;
use peerless_core::{Storage, TorrentKey};

use super::{Disk, entry};

impl Disk {
    /// As [`Disk::read`], if all of `range` can be had at once: from open files, and from memory.
    /// Else `None`, and what `buffer` holds means nothing; errors too are for the worker to tell.
    pub(crate) fn read_cached(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        range: BlockRef,
        buffer: &mut ReadBuffer,
    ) -> Option<()> {
        let mut rest = buffer.as_mut_slice();
        let metainfo = &storage.metainfo;
        for span in metainfo.layout().spans(metainfo.geometry(), range) {
            let (part, behind) = rest.split_at_mut_checked(usize::try_from(span.len).ok()?)?;
            rest = behind;
            if entry(storage, span.file).ok()?.padding {
                part.fill(0);
                continue;
            }
            let (file, in_memory) = self.files.opened((torrent, span.file))?;
            if read_now(&file, in_memory, part, span.offset) != Some(part.len()) {
                return None;
            }
        }
        Some(())
    }
}

/// Whether the file is in a file system without a disk below it. Linux's takes no `RWF_NOWAIT`; it
/// waits only for what was swapped out, as all our memory does.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_memory(file: &File) -> bool {
    /// `TMPFS_MAGIC` of `linux/magic.h`.
    const TMPFS: u32 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|system| u32::try_from(system.f_type) == Ok(TMPFS))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_in_memory(_file: &File) -> bool {
    false
}

/// Fills `buffer` as far as that needs no waiting; how far.
#[cfg(target_os = "linux")]
fn read_now(file: &File, in_memory: bool, buffer: &mut [u8], offset: u64) -> Option<usize> {
    use rustix::io::ReadWriteFlags;
    let flags = if in_memory { ReadWriteFlags::empty() } else { ReadWriteFlags::NOWAIT };
    rustix::io::preadv2(file, &mut [std::io::IoSliceMut::new(buffer)], offset, flags).ok()
}

#[cfg(not(target_os = "linux"))]
fn read_now(_file: &File, _in_memory: bool, _buffer: &mut [u8], _offset: u64) -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_in_memory_is_read_at_once() {
        let Ok(mut file) = tempfile::tempfile_in("/dev/shm") else { return };
        file.write_all(b"abcdef").unwrap();
        let mut buffer = [0; 4];
        assert!(is_in_memory(&file));
        assert_eq!((read_now(&file, true, &mut buffer, 1), &buffer), (Some(4), b"bcde"));
        assert_eq!(read_now(&file, true, &mut buffer, 4), Some(2), "the file ends");
    }
}
