//! How a run ends: the exit codes that scripts depend on, and the one line that says why.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use peerless_core::text::escaped;
use peerless_core::{DiskError, DiskErrorKind, FetchError};

pub use peerless_jobs::words;

/// The exit codes. They are a contract: a number never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked is done and verified.
    Done = 0,
    /// Another error.
    Other = 1,
    /// Wrong usage.
    Usage = 2,
    /// Input not found or unreadable: a file or a URL.
    Input = 3,
    /// Input is not a valid torrent, magnet link or scenario.
    Invalid = 4,
    /// Gave up: `--stop-timeout`, or a scenario's limit.
    GaveUp = 5,
    /// Network failed: can't listen.
    Network = 6,
    /// Interrupted with work unfinished; the same command goes on from the saved state.
    Interrupted = 7,
    /// Data does not match the torrent.
    Mismatch = 8,
    /// Disk full.
    DiskFull = 9,
    /// Another disk error: no permission, an I/O error, read-only.
    Disk = 10,
    /// Refused to overwrite, or another process holds this download.
    Refused = 11,
    /// A replay diverged from its recording.
    Diverged = 12,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code for trouble with the disk while writing or serving data.
    #[must_use]
    pub const fn of_disk(kind: DiskErrorKind) -> Self {
        match kind {
            DiskErrorKind::Full => Self::DiskFull,
            DiskErrorKind::Locked | DiskErrorKind::WouldOverwrite => Self::Refused,
            DiskErrorKind::Denied
            | DiskErrorKind::NotFound
            | DiskErrorKind::Unsafe
            | DiskErrorKind::Other => Self::Disk,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error as the user sees it: `WHAT: WHY`, on one line, with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The failure that ends a run with `exit`; `what` names the file, URL, peer or address.
    #[must_use]
    pub fn new(exit: Exit, what: impl fmt::Display, why: impl fmt::Display) -> Self {
        let message = escaped(&format!("{what}: {why}")).to_string();
        Self { exit, message }
    }

    /// The input file `path` could not be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::Input, path.display(), words(error))
    }

    /// `url` brought nothing.
    #[must_use]
    pub fn of_fetch(url: &str, error: &FetchError) -> Self {
        Self::new(Exit::Input, url, error)
    }

    /// Nothing is overwritten unasked, nor written to where a link leads.
    ///
    /// # Errors
    /// When something is at `path` and nobody has said `force`.
    pub fn unless_free(path: &Path, force: bool) -> Result<(), Self> {
        if !force && fs::symlink_metadata(path).is_ok() {
            return Err(Self::new(Exit::Refused, path.display(), "is there already; --force overwrites it"));
        }
        Ok(())
    }

    /// The file `path` could not be written.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is plain disk trouble")]
    pub fn unwritable(path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Exit::DiskFull,
            io::ErrorKind::AlreadyExists => Exit::Refused,
            _ => Exit::Disk,
        };
        Self::new(exit, path.display(), words(error))
    }

    /// The same failure, counted as another kind.
    #[must_use]
    pub fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// How the run ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// `WHAT: WHY`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&DiskError> for Failure {
    fn from(error: &DiskError) -> Self {
        Self::new(Exit::of_disk(error.kind), error.path.display(), &error.why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_contract() {
        let codes = [
            Exit::Done,
            Exit::Other,
            Exit::Usage,
            Exit::Input,
            Exit::Invalid,
            Exit::GaveUp,
            Exit::Network,
            Exit::Interrupted,
            Exit::Mismatch,
            Exit::DiskFull,
            Exit::Disk,
            Exit::Refused,
            Exit::Diverged,
        ]
        .map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }

    #[test]
    fn a_message_stays_on_one_line_and_moves_no_cursor() {
        let failure = Failure::new(Exit::Input, "a\nb\u{1b}[2J", "gone");
        assert!(!failure.message().contains(char::is_control), "{failure}");
        assert!(failure.message().ends_with(": gone"), "{failure}");
    }

    #[test]
    fn disk_trouble_has_its_own_codes() {
        let of = |kind| Failure::unwritable(Path::new("f"), &io::Error::from(kind)).exit();
        assert_eq!(of(io::ErrorKind::StorageFull), Exit::DiskFull);
        assert_eq!(of(io::ErrorKind::PermissionDenied), Exit::Disk);
        assert_eq!(of(io::ErrorKind::AlreadyExists), Exit::Refused);
        assert_eq!(Exit::of_disk(DiskErrorKind::Locked), Exit::Refused);
    }
}
