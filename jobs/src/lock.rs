//! One process at a time on one download.
//!
//! The system's own file locks are used, which end with their process however it dies; a file
//! that is left behind is not a lock. The file is removed when the lock is let go, so that a
//! finished download leaves no litter. Since a file can be removed between another process's
//! opening and locking it, a lock counts only if its file is still the one under the name.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;

use peerless_core::{DiskError, DiskErrorKind, InfoHash};

use crate::disk::root::{Access, Root};
use crate::error::{disk_error, refusal};

/// Whether others may hold the same lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nobody else: something will be written.
    Alone,
    /// All who only read.
    Shared,
}

/// How often the lock's file may vanish under us. Each time another process finished just then.
const VANISHED_COUNT_MAX: u32 = 100;

/// A held lock, let go when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    root: Arc<Root>,
    name: String,
    /// `None` where the file system has no locks.
    file: Option<File>,
}

/// The name of the lock's file in the root.
pub(crate) fn name(info_hash: InfoHash) -> String {
    format!(".peerless-{info_hash}.lock")
}

impl Lock {
    /// Takes the lock of `info_hash` in `root` without waiting.
    ///
    /// # Errors
    /// [`DiskErrorKind::Locked`] if another holds it; otherwise why its file can't be made.
    pub(crate) fn take(root: Arc<Root>, info_hash: InfoHash, sharing: Sharing) -> Result<Self, DiskError> {
        let name = name(info_hash);
        for _ in 0..VANISHED_COUNT_MAX {
            let file = root.file(&name, Access::Write)?;
            let locked = match sharing {
                Sharing::Alone => file.try_lock(),
                Sharing::Shared => file.try_lock_shared(),
            };
            match locked {
                Ok(()) if root.is_at(&file, &name)? => return Ok(Self { root, name, file: Some(file) }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                // Better a download without a lock than none on a disk without locks.
                Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                    return Ok(Self { root, name, file: None });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(disk_error(&root.path().join(&name), &error));
                }
            }
        }
        let why = "another process holds this download";
        Err(refusal(DiskErrorKind::Locked, &root.path().join(&name), why))
    }
}

impl Drop for Lock {
    /// Removes the file if nobody else holds it, then lets it go; in this order, so that who finds
    /// the file gone knows that we are done. What fails here leaves a file, which does no harm.
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        // Systems without the look at what lies under the name keep the file.
        let alone = cfg!(unix) && file.unlock().is_ok() && file.try_lock().is_ok();
        if alone && self.root.is_at(file, &self.name) == Ok(true) {
            let _ = self.root.remove(&self.name);
        }
    }
}

/// Whether the file system has no locks at all, as NFS without its lock service has none.
#[cfg(unix)]
fn has_no_locks(error: &io::Error) -> bool {
    let no_service = Some(rustix::io::Errno::NOLCK.raw_os_error());
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == no_service
}

#[cfg(not(unix))]
fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: InfoHash = InfoHash::new([7; 20]);

    fn temp() -> (tempfile::TempDir, Arc<Root>) {
        let dir = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(dir.path()).unwrap());
        (dir, root)
    }

    fn take(root: &Arc<Root>, sharing: Sharing) -> Result<Lock, DiskErrorKind> {
        Lock::take(Arc::clone(root), HASH, sharing).map_err(|error| error.kind)
    }

    #[test]
    fn a_writer_keeps_all_others_out_until_it_is_done() {
        let (dir, root) = temp();
        let held = take(&root, Sharing::Alone).unwrap();
        assert_eq!(take(&root, Sharing::Alone).unwrap_err(), DiskErrorKind::Locked);
        assert_eq!(take(&root, Sharing::Shared).unwrap_err(), DiskErrorKind::Locked);
        drop(held);
        assert!(take(&root, Sharing::Alone).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(!cfg!(unix)));
    }

    #[test]
    fn readers_share_and_the_last_one_removes_the_file() {
        let (dir, root) = temp();
        let first = take(&root, Sharing::Shared).unwrap();
        let second = take(&root, Sharing::Shared).unwrap();
        drop(first);
        assert_eq!(take(&root, Sharing::Alone).unwrap_err(), DiskErrorKind::Locked);
        drop(second);
        assert!(take(&root, Sharing::Alone).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), usize::from(!cfg!(unix)));
    }

    #[test]
    fn a_file_left_by_a_killed_process_is_no_lock() {
        let (dir, root) = temp();
        std::fs::write(dir.path().join(name(HASH)), b"").unwrap();
        assert!(take(&root, Sharing::Alone).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_on_a_file_that_is_gone_does_not_count() {
        let (dir, root) = temp();
        // Another process, done just now: it holds the old file, which is under no name any more.
        let gone = take(&root, Sharing::Alone).unwrap();
        std::fs::remove_file(dir.path().join(name(HASH))).unwrap();
        let ours = take(&root, Sharing::Alone).unwrap();
        drop(gone);
        assert!(dir.path().join(name(HASH)).exists(), "only its own file is removed");
        assert_eq!(take(&root, Sharing::Alone).unwrap_err(), DiskErrorKind::Locked);
        drop(ours);
    }

    #[test]
    fn many_at_once_never_hold_it_together() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let (_dir, root) = temp();
        let holders = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        if let Ok(lock) = take(&root, Sharing::Alone) {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
    }
}
