//! What a peer can do wrong.

use std::fmt;

use crate::bitfield::BitfieldError;
use crate::extension::ExtensionError;
use crate::wire::WireError;

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerError {
    /// Its bytes are no message.
    Wire(WireError),
    /// Its bitfield is not of this torrent.
    Bitfield(BitfieldError),
    /// It named a piece that does not exist.
    NoSuchPiece {
        /// The index it named.
        index: u32,
    },
    /// It asked for a range that is empty, too long, or not within one piece that we have.
    BadRequest {
        /// The piece it named.
        index: u32,
        /// The offset in the piece.
        begin: u32,
        /// The length.
        len: u32,
    },
    /// It keeps sending blocks that were not asked of it.
    UnaskedBlocks,
    /// It chokes us right after each unchoke.
    Flapping,
    /// It does not read what it makes us send.
    DoesNotRead,
    /// What it says by an extension is malformed.
    Extension(ExtensionError),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => error.fmt(f),
            Self::Bitfield(error) => error.fmt(f),
            Self::NoSuchPiece { index } => write!(f, "no piece {index}"),
            Self::BadRequest { index, begin, len } => {
                write!(f, "bad request of {len} bytes at {begin} of piece {index}")
            }
            Self::UnaskedBlocks => f.write_str("blocks that were not asked for"),
            Self::Flapping => f.write_str("chokes and unchokes again and again"),
            Self::DoesNotRead => f.write_str("does not read what it is sent"),
            Self::Extension(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PeerError {}
