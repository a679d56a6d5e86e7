//! Open files, kept for the next job on them, with a bound on their number.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

use peerless_core::{DiskError, DiskErrorKind, TorrentKey};

use crate::disk::cached::is_in_memory;
use crate::disk::root::Access;
use crate::error::locked;

/// A file of a torrent: which torrent, and its number in the layout.
pub(crate) type FileKey = (TorrentKey, usize);

/// The open files. The one that was longest unused is closed when there are too many.
///
/// A file being used by another worker stays open until that is done, so there may be as many more
/// as there are workers.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<FileKey, OpenFile>,
    /// Counts uses; a file's last one tells how long it was not used.
    uses: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: Arc<File>,
    access: Access,
    in_memory: bool,
    last_use: u64,
}

impl OpenFiles {
    /// Keeps at most `max` files open, at least one.
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.max(1), inner: Mutex::default() }
    }

    /// The file of `key` with at least this access, opened by `open` if it is not open yet.
    pub(crate) fn with(
        &self,
        key: FileKey,
        access: Access,
        open: impl Fn() -> Result<File, DiskError>,
    ) -> Result<Arc<File>, DiskError> {
        if let Some(open) = locked(&self.inner).find(key, access) {
            return Ok(Arc::clone(&open.file));
        }
        // Opened without the lock: a slow disk then holds up nobody who has a file open.
        let file = match open() {
            // It may be that no descriptors are left: give ours back and try once more.
            Err(error) if error.kind == DiskErrorKind::Other && self.close_all() => open(),
            opened => opened,
        };
        let file = Arc::new(file?);
        let in_memory = is_in_memory(&file);
        let open = OpenFile { file: Arc::clone(&file), access, in_memory, last_use: 0 };
        locked(&self.inner).insert(key, open, self.max);
        Ok(file)
    }

    /// Closes one file.
    pub(crate) fn close_file(&self, key: FileKey) {
        locked(&self.inner).files.remove(&key);
    }

    /// The file of `key` if it is open, and whether its file system is in memory.
    pub(crate) fn opened(&self, key: FileKey) -> Option<(Arc<File>, bool)> {
        let mut inner = locked(&self.inner);
        inner.find(key, Access::Read).map(|open| (Arc::clone(&open.file), open.in_memory))
    }

    /// Closes the files of a torrent.
    pub(crate) fn close(&self, torrent: TorrentKey) {
        locked(&self.inner).files.retain(|key, _| key.0 != torrent);
    }

    /// Closes all of them; whether there were any.
    fn close_all(&self) -> bool {
        !std::mem::take(&mut locked(&self.inner).files).is_empty()
    }
}

impl Inner {
    fn find(&mut self, key: FileKey, access: Access) -> Option<&OpenFile> {
        self.uses += 1;
        let open = self.files.get_mut(&key)?;
        if access == Access::Write && open.access == Access::Read {
            return None;
        }
        open.last_use = self.uses;
        Some(open)
    }

    fn insert(&mut self, key: FileKey, open: OpenFile, max: usize) {
        self.uses += 1;
        self.files.insert(key, OpenFile { last_use: self.uses, ..open });
        while self.files.len() > max {
            let oldest = self.files.iter().min_by_key(|(_, open)| open.last_use);
            let Some(oldest) = oldest.map(|(&key, _)| key) else { break };
            self.files.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::key::Key as _;
    use std::cell::Cell;
    use std::path::PathBuf;

    fn key(torrent: u32, file: usize) -> FileKey {
        (TorrentKey::new(torrent, 0), file)
    }

    /// Uses a file and tells whether it had to be opened.
    fn opens(files: &OpenFiles, key: FileKey, access: Access) -> bool {
        let opened = Cell::new(false);
        let file = files.with(key, access, || {
            opened.set(true);
            Ok(tempfile::tempfile().unwrap())
        });
        assert!(file.is_ok());
        opened.get()
    }

    #[test]
    fn the_file_longest_unused_is_closed_first() {
        let files = OpenFiles::new(2);
        assert!(opens(&files, key(0, 0), Access::Read));
        assert!(opens(&files, key(0, 1), Access::Read));
        assert!(!opens(&files, key(0, 0), Access::Read));
        assert!(opens(&files, key(0, 2), Access::Read));
        assert!(!opens(&files, key(0, 0), Access::Read));
        assert!(opens(&files, key(0, 1), Access::Read));
    }

    #[test]
    fn a_file_open_for_reading_is_opened_again_for_writing_and_then_serves_both() {
        let files = OpenFiles::new(9);
        assert!(opens(&files, key(0, 0), Access::Read));
        assert!(opens(&files, key(0, 0), Access::Write));
        assert!(!opens(&files, key(0, 0), Access::Read));
        assert!(!opens(&files, key(0, 0), Access::Write));
    }

    #[test]
    fn closing_a_torrent_leaves_the_others_open() {
        let files = OpenFiles::new(9);
        opens(&files, key(0, 0), Access::Read);
        opens(&files, key(1, 0), Access::Read);
        files.close(key(0, 0).0);
        assert!(opens(&files, key(0, 0), Access::Read));
        assert!(!opens(&files, key(1, 0), Access::Read));
    }

    #[test]
    fn without_descriptors_the_open_files_are_given_back() {
        let files = OpenFiles::new(9);
        opens(&files, key(0, 0), Access::Read);
        let tries = Cell::new(0);
        let file = files.with(key(0, 1), Access::Read, || {
            tries.set(tries.get() + 1);
            let error = DiskError { kind: DiskErrorKind::Other, path: PathBuf::new(), why: String::new() };
            if tries.get() == 1 { Err(error) } else { Ok(tempfile::tempfile().unwrap()) }
        });
        assert!(file.is_ok());
        assert!(opens(&files, key(0, 0), Access::Read));
    }
}
