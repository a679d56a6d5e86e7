//! From the system's errors to ours.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peerless_core::{DiskError, DiskErrorKind};

/// The disk error that `error` is, when it came of working on `path`.
pub(crate) fn disk_error(path: &Path, error: &io::Error) -> DiskError {
    DiskError { kind: kind_of(error), path: path.to_owned(), why: words(error) }
}

/// The system's words for an error, without the number that the library appends to them.
#[must_use]
pub fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" (os error") {
        text.truncate(at);
    }
    text
}

/// A disk error in our own words.
pub(crate) fn refusal(kind: DiskErrorKind, path: &Path, why: &str) -> DiskError {
    DiskError { kind, path: path.to_owned(), why: why.to_owned() }
}

/// What is behind the mutex, also when a thread panicked while it held it: nothing here is left
/// half changed by a panic in a way that could make us claim what is not there.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the list of the system's errors is open")]
fn kind_of(error: &io::Error) -> DiskErrorKind {
    match error.kind() {
        // A file too large for its file system needs another disk, as a full one does.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            DiskErrorKind::Full
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DiskErrorKind::Denied,
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => DiskErrorKind::Unsafe,
        _ if is_link_loop(error) => DiskErrorKind::Unsafe,
        _ => DiskErrorKind::Other,
    }
}

/// Whether a path was not followed because a symbolic link is in it.
#[cfg(unix)]
fn is_link_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link_loop(_error: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_a_user_treats_differently_differ() {
        for (from, to) in [
            (io::ErrorKind::StorageFull, DiskErrorKind::Full),
            (io::ErrorKind::QuotaExceeded, DiskErrorKind::Full),
            (io::ErrorKind::PermissionDenied, DiskErrorKind::Denied),
            (io::ErrorKind::ReadOnlyFilesystem, DiskErrorKind::Denied),
            (io::ErrorKind::NotFound, DiskErrorKind::NotFound),
            (io::ErrorKind::IsADirectory, DiskErrorKind::Unsafe),
            (io::ErrorKind::TimedOut, DiskErrorKind::Other),
        ] {
            let error = disk_error(Path::new("a/b"), &io::Error::from(from));
            assert_eq!((error.kind, error.path.as_path()), (to, Path::new("a/b")), "{from}");
        }
    }

    #[test]
    fn the_systems_words_come_without_their_number() {
        assert_eq!(words(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(words(&io::Error::other("odd")), "odd");
        let error = disk_error(Path::new("f"), &io::Error::from_raw_os_error(28));
        assert!(!error.why.contains("os error"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn system_numbers_map_as_their_kinds_do() {
        use rustix::io::Errno;
        for (errno, kind) in [
            (Errno::NOSPC, DiskErrorKind::Full),
            (Errno::DQUOT, DiskErrorKind::Full),
            (Errno::FBIG, DiskErrorKind::Full),
            (Errno::ROFS, DiskErrorKind::Denied),
            (Errno::ACCESS, DiskErrorKind::Denied),
            (Errno::LOOP, DiskErrorKind::Unsafe),
            (Errno::IO, DiskErrorKind::Other),
        ] {
            assert_eq!(kind_of(&errno.into()), kind, "{errno}");
        }
    }
}
