//! What a .torrent file says (BEP 3, 12, 27, 47).

mod layout;
mod path;
mod span;

pub use layout::{File, Layout, Span};

use std::fmt;
use std::ops::Range;

use crate::id::InfoHash;
use crate::piece::{Geometry, PieceIndex};

/// The SHA-1 of one piece. (A v2 piece will be verified by a Merkle root: a second case.)
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// BEP 3, `pieces`.
    Sha1([u8; 20]),
}

/// A .torrent file that has been checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Metainfo {
    raw: Vec<u8>,
    info: Range<usize>,
    digests: Range<usize>,
    info_hash: InfoHash,
    name: String,
    geometry: Geometry,
    layout: Layout,
    private: bool,
    tiers: Vec<Vec<String>>,
}

/// Why bytes are not a torrent, with the offset or key that the trouble is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetainfoError {}

impl Metainfo {
    /// Reads a .torrent file.
    ///
    /// # Errors
    /// When it is not a torrent, or one that can't be used.
    pub fn parse(_raw: Vec<u8>) -> Result<Self, MetainfoError> {
        unimplemented!()
    }

    /// The file as it was read.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The raw bytes of the `info` dictionary.
    #[must_use]
    pub fn info(&self) -> &[u8] {
        self.raw.get(self.info.clone()).unwrap_or_default()
    }

    /// The swarm's name.
    #[must_use]
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// The torrent's name, made safe as a path component.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the bytes divide into pieces.
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// How the bytes divide into files.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What `piece` must hash to. The piece must be of this torrent's geometry.
    #[must_use]
    pub fn digest(&self, piece: PieceIndex) -> Digest {
        let start = self.digests.start + piece.as_usize() * 20;
        let mut sha1 = [0; 20];
        if let Some(bytes) = self.raw.get(start..start + 20) {
            sha1.copy_from_slice(bytes);
        }
        Digest::Sha1(sha1)
    }

    /// Whether peers may come from the torrent's own trackers alone (BEP 27).
    #[must_use]
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// Announce URLs by tier (BEP 12); a lone `announce` is one tier of one.
    #[must_use]
    pub fn tiers(&self) -> &[Vec<String>] {
        &self.tiers
    }
}

impl fmt::Debug for Metainfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metainfo({} {:?})", self.info_hash, self.name)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sha1(bytes) = self;
        f.write_str("sha1:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
