//! The peer wire protocol (BEP 3, 6, 10): bytes to messages and back.
//!
//! Decides what is a handshake and what is a message, and how long each may be. Whether a message
//! makes sense now, or for this torrent, is decided by the peer that gets it.

mod decode;
mod decoder;
mod encode;
mod handshake;
mod message;
mod socks5;

use std::fmt;

pub use decode::{PIECE_MESSAGE_LEN_MAX, UNKNOWN_MESSAGE_LEN_MAX};
pub use decoder::{Decoder, Step};
pub use encode::{PIECE_HEADER_LEN, piece_header};
pub use handshake::{HANDSHAKE_LEN, Handshake, HandshakeDecoder, HandshakeStep, RESERVED};
pub use message::Message;
pub use socks5::{NAME_LEN_MAX, Socks5, Socks5Error, Socks5Refusal, Socks5Step, Socks5Target};

/// Bytes that no peer that keeps to the protocol would send. The stream is of no use after it.
///
/// Every `len` is that of the length prefix: id and payload, without the prefix itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireError {
    /// The stream does not begin with the handshake of BEP 3.
    NotBitTorrent,
    /// A frame longer than any message may be.
    FrameTooLong {
        /// Its length.
        len: u32,
        /// The longest that is taken in this torrent.
        max: u32,
    },
    /// A message longer than its type may be.
    TooLong {
        /// The message's id.
        id: u8,
        /// Its length.
        len: u32,
        /// The longest that is taken.
        max: u32,
    },
    /// A message too short for its type, or of another length than its type always has.
    Length {
        /// The message's id.
        id: u8,
        /// Its length.
        len: u32,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBitTorrent => f.write_str("no BitTorrent handshake"),
            Self::FrameTooLong { len, max } => write!(f, "frame of {len} bytes, over {max}"),
            Self::TooLong { id, len, max } => write!(f, "message {id} of {len} bytes, over {max}"),
            Self::Length { id, len } => write!(f, "message {id} of {len} bytes, which it never has"),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_numbers() {
        let (id, len, max) = (7, 9, 8);
        for (error, text) in [
            (WireError::NotBitTorrent, "no BitTorrent handshake"),
            (WireError::FrameTooLong { len, max }, "frame of 9 bytes, over 8"),
            (WireError::TooLong { id, len, max }, "message 7 of 9 bytes, over 8"),
            (WireError::Length { id, len }, "message 7 of 9 bytes, which it never has"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
