//! Files that others cut short, remove or replace while we write to them.
//!
//! What was written before is then gone, and nothing but a look tells: later writes succeed and make
//! the file as long as it was. So each file is looked at before it is written to, and once more
//! before its pieces are claimed. Bytes that others change in place are not noticed.

use std::fs::File;

use peerless_core::metainfo::Span;
use peerless_core::{DiskError, DiskErrorKind, Storage};

use super::root::{FileId, look_at};
use super::{Held, full_path};
use crate::error::{disk_error, locked, refusal};

/// What a file was when we last wrote to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    id: Option<FileId>,
    /// How long it must be, at least.
    len: u64,
}

impl Seen {
    /// It has been written up to `end`.
    pub(super) fn on_written(&mut self, end: u64) {
        self.len = self.len.max(end);
    }
}

impl Held {
    /// Whether the open file of a span may still have what was written to it, and what it had before.
    ///
    /// # Errors
    /// [`DiskErrorKind::NotFound`] if it has not.
    pub(super) fn look_again(&self, storage: &Storage, span: Span, file: &File) -> Result<(), DiskError> {
        // The part file we remove and make anew ourselves.
        if span.file == storage.metainfo.layout().files().len() {
            return Ok(());
        }
        let path = || full_path(storage, span);
        let mut state = locked(&self.state);
        // Under the lock: a look from before another worker's write must not be held against it.
        let (id, len) = look_at(file).map_err(|error| disk_error(&path(), &error))?;
        let first_len = state.stats.get(span.file).copied().flatten().map_or(0, |stat| stat.len);
        let seen = state.seen.entry(span.file).or_insert(Seen { id, len: first_len });
        let why = match (seen.id == id, len >= seen.len) {
            (true, true) => return Ok(()),
            (true, false) => "was cut short meanwhile",
            (false, _) => "was removed or replaced meanwhile",
        };
        Err(refusal(DiskErrorKind::NotFound, &path(), why))
    }
}
