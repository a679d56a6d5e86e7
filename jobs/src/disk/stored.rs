//! The pieces of a torrent's data, as they are read to be hashed.

use std::fs::File;
use std::io;
use std::sync::Arc;

use peerless_core::metainfo::{Digest, Span};
use peerless_core::{DiskError, DiskErrorKind, Storage};

use super::part::Part;
use super::{path, span_error};
use crate::pieces::Files;

/// A torrent's data, with a way to open the file of a span, whose path it is given.
pub(crate) struct Stored<'a, O> {
    pub(crate) storage: &'a Storage,
    /// What is kept in the part file, if there may be one.
    pub(crate) part: Option<&'a Part>,
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
        range.into_iter().flat_map(move |range| {
            let spans = metainfo.layout().spans(metainfo.geometry(), range);
            spans.map(move |span| {
                let part = self.part.filter(|part| part.has_file(span.file));
                // What is not there either is missed where it would be.
                part.and_then(|part| part.find(metainfo, range.piece(), span)).unwrap_or(span)
            })
        })
    }

    fn open(&self, span: Span) -> Result<Option<Arc<File>>, DiskError> {
        let files = self.storage.metainfo.layout().files();
        let is_padding = files.get(span.file).is_some_and(|file| file.padding);
        let path = path(self.storage, span.file)?;
        if is_padding { Ok(None) } else { (self.open)(span, &path).map(Some) }
    }

    fn error(&self, span: Span, error: &io::Error) -> DiskError {
        span_error(self.storage, span, error)
    }
}
