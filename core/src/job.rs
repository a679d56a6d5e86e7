//! Blocking work that the core asks for, and what came of it.
//!
//! A runtime hands every [`Job`] to a worker and feeds the [`JobDone`] back; it need not know what
//! any of them mean. [`verify`] is here so that every worker hashes by the same rule.

mod error;
mod metadata;

pub use error::{DiskError, DiskErrorKind, FetchError, FetchFailure, StoreError};
pub use metadata::{BuiltMetadata, MetadataError, MetadataWork};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::block::{Block, ReadBuffer};
use crate::family::IpFamily;
use crate::key::{PeerKey, TorrentKey};
use crate::metainfo::Digest;
use crate::piece::{BlockRef, PieceIndex};
use crate::route::{Bind, Route};
use crate::storage::Storage;

/// What to believe of data that is there before the torrent starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Check {
    /// Trust the resume file where sizes and times agree, hash the rest.
    #[default]
    Auto,
    /// Hash everything.
    Full,
    /// Trust the resume file; without one, trust that files of the right length are right.
    Trust,
}

/// What a torrent is added for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To get the data: files are made, the folder is locked for us alone.
    Download,
    /// To serve what is there: nothing is written but the resume file, where that can be.
    Serve,
}

/// Work that may block: disk, hashing, HTTP, name resolution.
#[derive(Debug, Hash)]
pub enum Job {
    /// Lock the download, read its resume file, see what is there, make folders and empty files.
    Open {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its data.
        storage: Arc<Storage>,
        /// What to believe.
        check: Check,
        /// Whether anything will be written.
        purpose: Purpose,
        /// By file, whether it is not wanted; empty if all are. What pieces on an edge have of such a
        /// file goes to the part file, unless the file is there.
        unwanted: Vec<bool>,
    },
    /// Change which files are wanted: what the part file has of those that now are goes to them.
    Choose {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its data.
        storage: Arc<Storage>,
        /// As in [`Job::Open`].
        unwanted: Vec<bool>,
    },
    /// Hash pieces that are on disk.
    Check {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its data.
        storage: Arc<Storage>,
        /// In rising order, at least one.
        pieces: Vec<PieceIndex>,
    },
    /// Verify pieces and write those that are right.
    Store {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its data.
        storage: Arc<Storage>,
        /// At least one; several, so that a worker can hash them side by side.
        pieces: Vec<FullPiece>,
    },
    /// Read a range of a piece that we have, for a peer.
    Read {
        /// Which torrent.
        torrent: TorrentKey,
        /// For whom.
        peer: PeerKey,
        /// Its data.
        storage: Arc<Storage>,
        /// What to read: one block, or a run of them.
        range: BlockRef,
        /// Where to put it.
        buffer: ReadBuffer,
    },
    /// Sync what was written, then claim `have` in the resume file.
    Save {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its data.
        storage: Arc<Storage>,
        /// The pieces to claim: verified and written before this job was asked for.
        have: Bitfield,
        /// Whether nothing will be written after this: the files are closed and the lock let go.
        close: bool,
    },
    /// GET an announce URL.
    Announce {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which of its tracker tiers asked.
        tier: usize,
        /// Which way.
        route: Route,
        /// In which family the host's address is to be. Means nothing to a proxy.
        family: IpFamily,
        /// The whole URL.
        url: String,
    },
    /// GET a scrape URL.
    Scrape {
        /// Which scrape.
        number: u32,
        /// Which way.
        route: Route,
        /// The whole URL.
        url: String,
    },
    /// Look up the addresses of a host, as the system does it. Never asked for where a proxy does it.
    Resolve {
        /// What for.
        whom: ResolveFor,
        /// From where they are to be reached: others are left out.
        bind: Bind,
        /// The host.
        host: String,
        /// The port to put into every address.
        port: u16,
    },
    /// Find the metadata of a torrent that was added by a magnet link, or look at what peers sent.
    Metadata {
        /// Which torrent.
        torrent: TorrentKey,
        /// What is to be done.
        work: MetadataWork,
    },
    /// GET a run of blocks from a web seed.
    Fetch {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which of its web seeds.
        seed: usize,
        /// Which run of that one.
        run: u64,
        /// Which way.
        route: Route,
        /// Where the bytes are, in order.
        parts: Vec<FetchPart>,
        /// The lengths of the blocks that they make, in order.
        block_lens: Vec<u32>,
    },
    /// See whether sockets can be bound to this address.
    CheckBind {
        /// Which.
        ip: IpAddr,
    },
    /// Write a part of the session's recording.
    Record {
        /// Where in the recording it belongs.
        offset: u64,
        /// The part.
        bytes: Vec<u8>,
    },
}

/// A piece that has come whole.
#[derive(Debug, Hash)]
pub struct FullPiece {
    /// Which.
    pub piece: PieceIndex,
    /// All of its blocks, in order.
    pub blocks: Vec<Block>,
    /// Whether to report each block's digest even if the piece is right.
    pub digest_blocks: bool,
}

impl FullPiece {
    /// It has been dealt with, and this came of it.
    #[must_use]
    pub fn stored(self, result: Result<Vec<BlockDigest>, StoreError>) -> StoredPiece {
        StoredPiece { piece: self.piece, blocks: self.blocks, result }
    }
}

/// What came of a [`FullPiece`].
#[derive(Debug)]
pub struct StoredPiece {
    /// Which.
    pub piece: PieceIndex,
    /// The blocks, so that their memory serves again.
    pub blocks: Vec<Block>,
    /// With `digest_blocks` the digest of each block, else nothing.
    pub result: Result<Vec<BlockDigest>, StoreError>,
}

/// What a [`Job::Store`] took. The session makes nothing of it: it is recorded for who asks later whether a
/// slow disk or a slow CPU held things up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTime {
    /// To hash the pieces.
    pub hashing: Duration,
    /// To write those that are right.
    pub writing: Duration,
}

/// Who is at a host whose addresses are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResolveFor {
    /// A peer of this torrent that the user named.
    Peer(TorrentKey),
    /// A UDP tracker.
    Tracker,
}

/// Jobs of one lane never wait for those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Files and hashing.
    Disk,
    /// HTTP and name resolution: a slow tracker must not hold up a write.
    Net,
}

impl Job {
    /// Which lane it goes into.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Open { .. }
            | Self::Choose { .. }
            | Self::Check { .. }
            | Self::Store { .. }
            | Self::Read { .. }
            | Self::Save { .. }
            | Self::Metadata { .. }
            | Self::Record { .. } => Lane::Disk,
            Self::Fetch { .. }
            | Self::Announce { .. }
            | Self::Scrape { .. }
            | Self::Resolve { .. }
            | Self::CheckBind { .. } => Lane::Net,
        }
    }
}

/// What came of a [`Job`]; it repeats what names it.
#[derive(Debug)]
pub enum JobDone {
    /// Of [`Job::Open`].
    Opened {
        /// Which torrent.
        torrent: TorrentKey,
        /// What is there.
        result: Result<Opened, DiskError>,
    },
    /// Of [`Job::Choose`].
    Chosen {
        /// Which torrent.
        torrent: TorrentKey,
        /// Whether every wanted file has what is there of it.
        result: Result<(), DiskError>,
    },
    /// Of [`Job::Check`].
    Checked {
        /// Which torrent.
        torrent: TorrentKey,
        /// The pieces hashed.
        pieces: Vec<PieceIndex>,
        /// For each of them, whether it is right. A missing file means no.
        result: Result<Vec<bool>, DiskError>,
    },
    /// Of [`Job::Store`].
    Stored {
        /// Which torrent.
        torrent: TorrentKey,
        /// What came of each piece.
        pieces: Vec<StoredPiece>,
        /// How long it took.
        time: StoreTime,
    },
    /// Of [`Job::Read`].
    Read {
        /// Which torrent.
        torrent: TorrentKey,
        /// For whom.
        peer: PeerKey,
        /// What was asked for.
        range: BlockRef,
        /// Exactly its bytes.
        result: Result<Block, DiskError>,
    },
    /// Of [`Job::Save`].
    Saved {
        /// Which torrent.
        torrent: TorrentKey,
        /// Whether the claim is on disk.
        result: Result<(), DiskError>,
    },
    /// Of [`Job::Announce`].
    Announced {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which of its tracker tiers asked.
        tier: usize,
        /// In which family.
        family: IpFamily,
        /// The answer's body.
        result: Result<Vec<u8>, FetchError>,
    },
    /// Of [`Job::Scrape`].
    Scraped {
        /// Which scrape.
        number: u32,
        /// The answer's body.
        result: Result<Vec<u8>, FetchError>,
    },
    /// Of [`Job::Resolve`].
    Resolved {
        /// What for.
        whom: ResolveFor,
        /// The host.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// Its addresses, with the port; or the system's words.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// Of [`Job::Metadata`].
    Metadata {
        /// Which torrent.
        torrent: TorrentKey,
        /// What was found or built.
        result: Result<Box<BuiltMetadata>, MetadataError>,
    },
    /// Of [`Job::Fetch`].
    Fetched {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which of its web seeds.
        seed: usize,
        /// Which run of that one.
        run: u64,
        /// The whole blocks that came, in order: all, or if it failed those before.
        blocks: Vec<Block>,
        /// Whether all came.
        result: Result<(), FetchFailure>,
    },
    /// Of [`Job::CheckBind`].
    BindChecked {
        /// Nothing, or the system's words why not.
        result: Result<(), String>,
    },
    /// Of [`Job::Record`].
    Recorded {
        /// Whether it is written.
        result: Result<(), DiskError>,
    },
}

impl JobDone {
    /// The torrent that it is about, if it is about one.
    #[must_use]
    pub const fn torrent(&self) -> Option<TorrentKey> {
        match self {
            Self::Opened { torrent, .. }
            | Self::Chosen { torrent, .. }
            | Self::Fetched { torrent, .. }
            | Self::Checked { torrent, .. }
            | Self::Stored { torrent, .. }
            | Self::Read { torrent, .. }
            | Self::Saved { torrent, .. }
            | Self::Announced { torrent, .. }
            | Self::Metadata { torrent, .. }
            | Self::Resolved { whom: ResolveFor::Peer(torrent), .. } => Some(*torrent),
            Self::Resolved { whom: ResolveFor::Tracker, .. }
            | Self::Scraped { .. }
            | Self::BindChecked { .. }
            | Self::Recorded { .. } => None,
        }
    }
}

/// What [`Job::Open`] found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opened {
    /// Pieces to trust without a look.
    pub have: Bitfield,
    /// Further pieces whose bytes may be there: to be hashed before use.
    pub unsure: Bitfield,
    /// Whether the data there is known to be ours: it has our resume file.
    pub ours: bool,
}

/// SHA-1 of one block: tells which block of a bad piece was at fault.
pub type BlockDigest = [u8; 20];

/// Some bytes that lie together at a web seed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchPart {
    /// Of the file; `None`: padding, zeros that no server has.
    pub url: Option<String>,
    /// The offset of the first in the file.
    pub begin: u64,
    /// How many.
    pub len: u64,
    /// The length of the whole file: if the server has another, it has another file.
    pub file_len: u64,
}

/// Whether `blocks`, in order, are the piece with this digest.
///
/// Portable; a worker with a faster SHA-1 may use that instead, with the same answers.
#[must_use]
pub fn verify(blocks: &[Block], digest: Digest) -> bool {
    let Digest::Sha1(want) = digest;
    let mut sha1 = sha1_smol::Sha1::new();
    blocks.iter().for_each(|block| sha1.update(block.as_slice()));
    sha1.digest().bytes() == want
}

/// The digest by which one block is told from another.
#[must_use]
pub fn block_digest(block: &Block) -> BlockDigest {
    sha1_smol::Sha1::from(block.as_slice()).digest().bytes()
}
