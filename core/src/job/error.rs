//! Why a job did not do what it was to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::BlockDigest;

/// Why a piece was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StoreError {
    /// Its hash is not the torrent's; nothing was written. With the digest of each block.
    Mismatch(Vec<BlockDigest>),
    /// It could not be written.
    Disk(DiskError),
}

/// What kind of disk trouble: each is told to the user differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskErrorKind {
    /// No space, or over quota.
    Full,
    /// No permission, or a read-only file system.
    Denied,
    /// Something that must be there is not.
    NotFound,
    /// Another process holds this download.
    Locked,
    /// Something else is there that would be lost.
    WouldOverwrite,
    /// The path leads through a symbolic link, or a folder is where a file must be.
    Unsafe,
    /// Anything else.
    Other,
}

/// Disk trouble, with the file it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DiskError {
    /// What kind.
    pub kind: DiskErrorKind,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's words, or ours.
    pub why: String,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for DiskError {}

/// Why a GET brought no body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FetchError {
    /// The server answered with this HTTP status.
    Status(u16),
    /// The answer passed the limit of this many bytes.
    TooLong(u64),
    /// It took longer than allowed.
    Timeout,
    /// A redirect that is not followed: too many, another scheme, or from a public to a private host.
    Redirect(String),
    /// The URL can't be used.
    Url(String),
    /// The host has no address in the family asked for.
    NoAddress,
    /// The server has another file, or can't send parts of it.
    Unfit(String),
    /// No connection, no TLS, or another failure, in the system's words.
    Failed(String),
    /// The proxy is of no use, or does not lead there.
    Proxy(String),
}

/// Why a web seed did not give what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchFailure {
    /// Why.
    pub error: FetchError,
    /// When the server wants to be asked again (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::TooLong(max) => write!(f, "answer of over {max} bytes"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Redirect(why) => write!(f, "redirect not followed: {why}"),
            Self::Url(why) => write!(f, "bad URL: {why}"),
            Self::NoAddress => f.write_str("the host has no address"),
            Self::Unfit(why) | Self::Failed(why) => f.write_str(why),
            Self::Proxy(why) => write!(f, "proxy: {why}"),
        }
    }
}

impl std::error::Error for FetchError {}
