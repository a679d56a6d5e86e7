//! What a .torrent file says (BEP 3, 12, 27, 47).

mod assemble;
mod create;
mod edit;
mod error;
mod layout;
mod parse;
mod path;
mod span;
#[cfg(test)]
mod tests;
mod tiers;
mod unique;

pub use create::{Content, Create, auto_piece_len};
pub use edit::Edit;
pub use error::{MetainfoError, Place};
pub use layout::{File, Layout, Span};
pub(crate) use tiers::{TRACKER_COUNT_MAX, WEB_SEED_COUNT_MAX, tracker_url, web_seed_url};

use std::fmt;
use std::ops::Range;

use crate::bencode::Value;
use crate::id::InfoHash;
use crate::piece::{Geometry, PieceIndex};

/// The longest .torrent file in bytes: 64 MiB. The digests of
/// [`PIECE_COUNT_MAX`](crate::piece::PIECE_COUNT_MAX) pieces take 40 MiB, the entries of 200,000
/// files about 20 MiB.
pub const FILE_LEN_MAX: usize = 64 << 20;

/// The most files of a torrent, links and padding among them. The largest known have some 200,000.
pub const FILE_COUNT_MAX: usize = 1_000_000;

/// The longest path of one file in bytes. Linux takes 4,095, from the root on.
pub const PATH_LEN_MAX: usize = 3072;

/// All paths together, in bytes: as much as the file itself may have, since the torrent's name is
/// in every path and could otherwise be repeated a million times.
pub const PATHS_LEN_MAX: usize = FILE_LEN_MAX;

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
    raw_name: Range<usize>,
    name: String,
    geometry: Geometry,
    layout: Layout,
    private: bool,
    tiers: Vec<Vec<String>>,
    extras: Extras,
}

/// Where in the file that is which is only shown; an empty range is not there.
#[derive(Clone, PartialEq, Eq)]
struct Extras {
    comment: Range<usize>,
    created_by: Range<usize>,
    source: Range<usize>,
    url_list: Range<usize>,
    creation_date: Option<i64>,
}

impl Metainfo {
    /// Reads a .torrent file: BitTorrent v1, or a hybrid (BEP 52) by its v1 half.
    ///
    /// # Errors
    /// When it is not a torrent, or one that can't be used.
    pub fn parse(mut raw: Vec<u8>) -> Result<Self, MetainfoError> {
        let read = parse::parse(&raw)?;
        raw.shrink_to_fit();
        Ok(Self { raw, ..read })
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

    /// Whether it is a folder of files, be it of one, and not a single file (BEP 3, `files`).
    #[must_use]
    pub fn is_folder(&self) -> bool {
        // Only in a folder a file's path has the torrent's name in front.
        self.layout.files().iter().any(|file| file.path.contains('/'))
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

    /// Whether the torrent may be announced at `url`: at its own trackers alone if it is private and
    /// names any (BEP 27).
    #[must_use]
    pub fn may_announce_at(&self, url: &str) -> bool {
        !self.private || self.tiers.is_empty() || self.tiers.iter().flatten().any(|own| own == url)
    }

    /// Announce URLs by tier (BEP 12); a lone `announce` is one tier of one.
    #[must_use]
    pub fn tiers(&self) -> &[Vec<String>] {
        &self.tiers
    }

    /// The name as it stands in the file, for who must know it: it may be no UTF-8.
    #[must_use]
    pub fn raw_name(&self) -> &[u8] {
        self.raw.get(self.raw_name.clone()).unwrap_or_default()
    }

    /// `comment`: foreign text of any length. What is no UTF-8 in it is replaced.
    #[must_use]
    pub fn comment(&self) -> Option<String> {
        self.raw_comment().map(lossy)
    }

    /// `created by`: the program that made the torrent; foreign text.
    #[must_use]
    pub fn created_by(&self) -> Option<String> {
        self.raw_created_by().map(lossy)
    }

    /// `source` of `info`: where a private tracker says it comes from; foreign text.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        self.raw_source().map(lossy)
    }

    /// `creation date` in seconds since 1970.
    #[must_use]
    pub const fn creation_date(&self) -> Option<i64> {
        self.extras.creation_date
    }

    /// The usable URLs of `url-list` (BEP 19).
    #[must_use]
    pub fn web_seeds(&self) -> Vec<String> {
        self.value(&self.extras.url_list).map(tiers::web_seeds).unwrap_or_default()
    }

    /// [`Metainfo::comment`] as it stands in the file.
    #[must_use]
    pub fn raw_comment(&self) -> Option<&[u8]> {
        self.value(&self.extras.comment)?.bytes()
    }

    /// [`Metainfo::created_by`] as it stands in the file.
    #[must_use]
    pub fn raw_created_by(&self) -> Option<&[u8]> {
        self.value(&self.extras.created_by)?.bytes()
    }

    /// [`Metainfo::source`] as it stands in the file.
    #[must_use]
    pub fn raw_source(&self) -> Option<&[u8]> {
        self.value(&self.extras.source)?.bytes()
    }

    fn value(&self, at: &Range<usize>) -> Option<Value<'_>> {
        self.raw.get(at.clone()).and_then(Value::checked)
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
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
