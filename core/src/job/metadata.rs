//! The job about the metadata of a magnet link's torrent.

use std::path::PathBuf;
use std::sync::Arc;

use super::BlockDigest;
use crate::id::InfoHash;
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;

/// What [`Job::Metadata`](super::Job::Metadata) is about.
#[derive(Debug, Hash)]
pub enum MetadataWork {
    /// Read what an earlier run has saved.
    Find {
        /// The folder that is to hold the torrent's top name.
        root: PathBuf,
        /// Whose metadata.
        info_hash: InfoHash,
    },
    /// Put together what peers have sent, verify it, and save it for a later run.
    Build {
        /// The folder that is to hold the torrent's top name; `None`: nothing is saved.
        save_in: Option<PathBuf>,
        /// The link that named it.
        magnet: Arc<Magnet>,
        /// All of it, in pieces as they came.
        pieces: Vec<Vec<u8>>,
        /// Whether to report each piece's digest even if all is right.
        digest_pieces: bool,
    },
}

/// What [`Job::Metadata`](super::Job::Metadata) found or built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltMetadata {
    /// The torrent, with the link's trackers and web seeds.
    pub metainfo: Metainfo,
    /// With `digest_pieces` the digest of each piece, else nothing.
    pub digests: Vec<BlockDigest>,
}

/// Why there is no metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataError {
    /// No earlier run has saved it, or not in a way that can be read.
    NotSaved,
    /// It is not what the magnet link names. With the digest of each piece.
    Mismatch(Vec<BlockDigest>),
    /// It is what the link names, and no torrent that can be used: why.
    Unusable(String),
}
