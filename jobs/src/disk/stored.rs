//! The pieces of a torrent's data, as they are read to be hashed.

use std::fs::File;
use std::io;
use std::sync::Arc;

use peerless_core::metainfo::{Digest, Span};
use peerless_core::{DiskError, DiskErrorKind, Storage};

use super::{entry, span_error};
use crate::pieces::Files;

/// A torrent's data, with a way to open the file of a span, whose path it is given.
pub(crate) struct Stored<'a, O> {
    pub(crate) storage: &'a Storage,
    pub(crate) open: O,
}

impl<O: Fn(Span, &str) -> Result<Arc<File>, DiskError> + Sync> Stored<'_, O> {
    /// Whether a piece that has this digest is right. It is not if a file is not there or too
    /// short; other trouble is an error.
    pub(crate) fn is_right(
        &self,
        piece: u32,
        digest: Result<[u8; 20], DiskError>,
    ) -> Result<bool, DiskError> {
        let metainfo = &self.storage.metainfo;
        match digest {
            Ok(digest) => {
                let piece = metainfo.geometry().piece(piece);
                Ok(piece.is_some_and(|piece| metainfo.digest(piece) == Digest::Sha1(digest)))
            }
            Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<O: Fn(Span, &str) -> Result<Arc<File>, DiskError> + Sync> Files for Stored<'_, O> {
    fn total_len(&self) -> u64 {
        self.storage.metainfo.geometry().total_len()
    }

    fn piece_len(&self) -> u32 {
        self.storage.metainfo.geometry().piece_len()
    }

    fn spans(&self, piece: u32, begin: u32, len: u32) -> impl Iterator<Item = Span> {
        let metainfo = &self.storage.metainfo;
        let range = metainfo.geometry().range(piece, begin, len);
        range.into_iter().flat_map(|range| metainfo.layout().spans(metainfo.geometry(), range))
    }

    fn open(&self, span: Span) -> Result<Option<Arc<File>>, DiskError> {
        let entry = entry(self.storage, span.file)?;
        if entry.padding { Ok(None) } else { (self.open)(span, &entry.path).map(Some) }
    }

    fn error(&self, span: Span, error: &io::Error) -> DiskError {
        span_error(self.storage, span, error)
    }
}
