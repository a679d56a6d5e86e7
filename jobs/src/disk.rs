//! A torrent's files: opened and looked at, read, written, synced.
//!
//! What is trusted and what is claimed is decided in [`believe`] and in [`save`]; which piece is
//! asked for when is the core's business.

pub(crate) mod advice;
mod believe;
pub(crate) mod cached;
mod choose;
mod holes;
pub(crate) mod open;
pub(crate) mod part;
pub(crate) mod positioned;
pub(crate) mod root;
mod save;
mod seen;
pub(crate) mod stored;
mod transfer;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock, Weak};

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::{File as FileEntry, Span};
use peerless_core::{DiskError, DiskErrorKind, Purpose, Storage, TorrentKey};

use crate::error::{disk_error, locked, refusal};
use crate::files::OpenFiles;
use crate::lock::Lock;
use crate::resume::Checksum;
use part::Part;
use root::{Access, Root, Stat};
use seen::Seen;

/// All torrents' files.
#[derive(Debug)]
pub(crate) struct Disk {
    files: OpenFiles,
    held: Mutex<BTreeMap<TorrentKey, Arc<Held>>>,
    /// The roots in use, by the path that each was opened at.
    roots: Mutex<BTreeMap<PathBuf, Weak<Root>>>,
}

/// A torrent that has been opened and not closed yet.
#[derive(Debug)]
struct Held {
    root: Arc<Root>,
    purpose: Purpose,
    state: Mutex<State>,
    /// Read-locked by who reads or writes pieces; what is kept where changes only in between.
    part: RwLock<Part>,
    /// Held while a resume file is written, so that claims get there in order.
    saving: Mutex<()>,
    /// Let go when the last job on the torrent is done. `None` where a server can't make the file.
    _lock: Option<Lock>,
}

/// What we know of a torrent's files between two saves.
#[derive(Debug)]
struct State {
    /// Files written since they were last synced.
    dirty: BTreeSet<usize>,
    /// Each file as it was when we opened or last synced it, and behind them the part file. Not as
    /// it is now: what others change meanwhile is to be noticed at the next start.
    stats: Vec<Option<Stat>>,
    /// What each file that we have written to must still be.
    seen: BTreeMap<usize, Seen>,
    /// The pieces whose bytes may be right on disk. Those that are not claimed at the end must be
    /// looked at next time.
    maybe: Bitfield,
    /// Whether the data may be called ours, which a resume file does.
    ours: bool,
    /// The checksum of the resume file that is there.
    on_disk: Option<Checksum>,
    /// A sync that failed. The system may have dropped what it could not write and will not say so
    /// again, so nothing more is claimed.
    sync_error: Option<DiskError>,
}

impl Disk {
    /// Keeps at most `open_files_max` files open between jobs.
    pub(crate) fn new(open_files_max: usize) -> Self {
        Self { files: OpenFiles::new(open_files_max), held: Mutex::default(), roots: Mutex::default() }
    }

    fn held(&self, torrent: TorrentKey) -> Option<Arc<Held>> {
        locked(&self.held).get(&torrent).cloned()
    }

    /// The open file of a span.
    fn file(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        span: Span,
        access: Access,
    ) -> Result<Arc<File>, DiskError> {
        let path = &path(storage, span.file)?;
        match self.held(torrent) {
            Some(held) => self.files.with((torrent, span.file), access, || held.root.file(path, access)),
            // A late job on a closed torrent leaves no file open.
            None => Root::open(&storage.root)?.file(path, access).map(Arc::new),
        }
    }
}

/// The file that a span names.
fn entry(storage: &Storage, index: usize) -> Result<&FileEntry, DiskError> {
    let file = storage.metainfo.layout().files().get(index);
    file.ok_or_else(|| refusal(DiskErrorKind::Other, &storage.root, "has no such file"))
}

/// The path below the root of a file, or of the part file, which stands behind them all.
fn path(storage: &Storage, index: usize) -> Result<Cow<'_, str>, DiskError> {
    if index == storage.metainfo.layout().files().len() {
        return Ok(Cow::Owned(part::name(storage.metainfo.info_hash())));
    }
    Ok(Cow::Borrowed(&entry(storage, index)?.path))
}

fn full_path(storage: &Storage, span: Span) -> PathBuf {
    path(storage, span.file).map_or_else(|_| storage.root.clone(), |path| storage.root.join(&*path))
}

/// The error of work on a span of a file, with the place in the file.
fn span_error(storage: &Storage, span: Span, error: &io::Error) -> DiskError {
    let error = read_error(&full_path(storage, span), error);
    DiskError { why: format!("{}, at byte {}", error.why, span.offset), ..error }
}

/// The error of a read that may have found the end of the file.
pub(crate) fn read_error(path: &Path, error: &io::Error) -> DiskError {
    match error.kind() == io::ErrorKind::UnexpectedEof {
        true => refusal(DiskErrorKind::NotFound, path, "is shorter than it should be"),
        false => disk_error(path, error),
    }
}
