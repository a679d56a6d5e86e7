//! Why bytes are not a torrent that can be used.

use std::fmt;

use super::{FILE_COUNT_MAX, FILE_LEN_MAX, PATH_LEN_MAX, PATHS_LEN_MAX};
use crate::bencode::BencodeError;
use crate::piece::{PIECE_COUNT_MAX, TOTAL_LEN_MAX};

/// Why bytes are not a torrent, with the offset or key that the trouble is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetainfoError {
    /// It is longer than [`FILE_LEN_MAX`].
    TooLong,
    /// It is not bencode, or not of the shape that a torrent has.
    Bencode(BencodeError),
    /// A key that must be there is not.
    Missing(Place),
    /// The value of a key is of the wrong type.
    Type {
        /// Which key.
        at: Place,
        /// What it must be, with its article.
        want: &'static str,
    },
    /// A number is out of its range.
    Range {
        /// Which key.
        at: Place,
        /// The number.
        value: i64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// The length of `info.pieces` in bytes is no multiple of 20.
    PiecesLen(usize),
    /// `info.pieces` does not fit the length of the files.
    PieceCount {
        /// Digests that are there.
        have: usize,
        /// Pieces that the files have.
        want: u64,
    },
    /// More than [`PIECE_COUNT_MAX`] pieces.
    TooManyPieces(u64),
    /// More than [`FILE_COUNT_MAX`] files.
    TooManyFiles,
    /// The files have more than [`TOTAL_LEN_MAX`] bytes in all.
    TooMuchData,
    /// The files have no bytes, so there is nothing to get.
    NoData,
    /// A path without components.
    NoPath(Place),
    /// A path of over [`PATH_LEN_MAX`] bytes.
    PathTooLong(Place),
    /// Paths of over [`PATHS_LEN_MAX`] bytes in all.
    PathsTooLong,
    /// It is for BitTorrent v2 (BEP 52) alone.
    V2Only,
}

/// A place within a torrent, shown as `comment`, `info.name` or `info.files[3].path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A key of the whole.
    Top(&'static str),
    /// A key of `info`.
    Info(&'static str),
    /// A key of an entry of `info.files`.
    File {
        /// The entry, from 0.
        index: usize,
        /// The key.
        key: &'static str,
    },
    /// An entry of `info.files`.
    Entry(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(key) => f.write_str(key),
            Self::Info(key) => write!(f, "info.{key}"),
            Self::File { index, key } => write!(f, "info.files[{index}].{key}"),
            Self::Entry(index) => write!(f, "info.files[{index}]"),
        }
    }
}

impl fmt::Display for MetainfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {FILE_LEN_MAX} bytes"),
            Self::Bencode(error) => error.fmt(f),
            Self::Missing(at) => write!(f, "{at} is missing"),
            Self::Type { at, want } => write!(f, "{at} is not {want}"),
            Self::Range { at, value, min, max } => write!(f, "{at} is {value}, not from {min} to {max}"),
            Self::PiecesLen(len) => write!(f, "info.pieces has {len} bytes, not a multiple of 20"),
            Self::PieceCount { have, want } => {
                write!(f, "info.pieces has {have} hashes, but the files have {want} pieces")
            }
            Self::TooManyPieces(count) => {
                write!(f, "info.piece length makes {count} pieces, over {PIECE_COUNT_MAX}")
            }
            Self::TooManyFiles => write!(f, "info.files has over {FILE_COUNT_MAX} files"),
            Self::TooMuchData => write!(f, "the files have over {TOTAL_LEN_MAX} bytes in all"),
            Self::NoData => f.write_str("the files have no bytes in all, so there is nothing to get"),
            Self::NoPath(at) => write!(f, "{at} is empty"),
            Self::PathTooLong(at) => write!(f, "{at} is longer than {PATH_LEN_MAX} bytes"),
            Self::PathsTooLong => write!(f, "the files' paths have over {PATHS_LEN_MAX} bytes in all"),
            Self::V2Only => f.write_str("BitTorrent v2 only torrents are not supported"),
        }
    }
}

impl std::error::Error for MetainfoError {}

impl From<BencodeError> for MetainfoError {
    fn from(error: BencodeError) -> Self {
        Self::Bencode(error)
    }
}
