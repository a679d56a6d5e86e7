//! Metadata from peers (BEP 9): the messages, and what one peer says to have.
//!
//! Which piece is asked of whom, and whether what came is right, is the torrent's to decide.

use std::fmt::Write as _;

use super::{Extension, ExtensionError, Hello, Told};
use crate::bencode::{Dict, Limits, Value, check};
use crate::cx::Cx;

/// Bytes of a metadata piece; the last one is shorter.
pub const METADATA_PIECE_LEN: u32 = 16 * 1024;

/// A message is one dictionary of three integers. Some clients may say more.
const LIMITS: Limits = Limits { depth: 4, tokens: 100 };

/// A message about metadata. Numbers are as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// The sender asks for a piece.
    Request {
        /// The piece's number.
        piece: u32,
    },
    /// A piece.
    Data {
        /// Its number.
        piece: u32,
        /// The length of all metadata in bytes, if it is told.
        total_len: Option<u32>,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// The sender has not, or does not give, a piece.
    Reject {
        /// Its number.
        piece: u32,
    },
}

impl<'a> MetadataMessage<'a> {
    /// Reads a message; `None` for a type that is not known.
    ///
    /// # Errors
    /// When it is no dictionary, has no type, or no piece where there must be one.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, ExtensionError> {
        let (value, bytes) = check(payload, LIMITS)?;
        let dict = Dict::of(value)?;
        let number = |key| dict.get(key).and_then(Value::read::<u32>);
        let kind = dict.get("msg_type").and_then(Value::read::<i64>).ok_or(ExtensionError::Message)?;
        if !(0..=2).contains(&kind) {
            return Ok(None);
        }
        let piece = number("piece").ok_or(ExtensionError::Message)?;
        Ok(Some(match kind {
            0 => Self::Request { piece },
            1 => Self::Data { piece, total_len: number("total_size"), bytes },
            _ => Self::Reject { piece },
        }))
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, piece) = match self {
            Self::Request { piece } => (0, piece),
            Self::Data { piece, .. } => (1, piece),
            Self::Reject { piece } => (2, piece),
        };
        let mut head = format!("d8:msg_typei{kind}e5:piecei{piece}e");
        let mut tail: &[u8] = &[];
        if let Self::Data { total_len, bytes, .. } = self {
            let _ = total_len.map(|len| write!(head, "10:total_sizei{len}e"));
            tail = bytes;
        }
        head.push('e');
        [head.as_bytes(), tail].concat()
    }
}

/// What a peer says of metadata.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// The length of the metadata that it has.
    pub(crate) len: Option<u32>,
    /// Pieces that it has been given.
    pub(crate) served_count: u32,
}

impl Extension for Metadata {
    const NAME: &'static str = "ut_metadata";

    fn on_handshake(&mut self, _: &mut Cx, hello: &Hello) -> Option<Told<'static>> {
        self.len = hello.metadata_len.or(self.len);
        Some(Told::MetadataLen)
    }

    fn on_message<'a>(&mut self, _: &mut Cx, payload: &'a [u8]) -> Result<Option<Told<'a>>, ExtensionError> {
        Ok(MetadataMessage::parse(payload)?.map(Told::Metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_as_bep_9_has_them() {
        let data = MetadataMessage::Data { piece: 0, total_len: Some(34_256), bytes: b"xx" };
        for (message, bytes) in [
            (MetadataMessage::Request { piece: 0 }, &b"d8:msg_typei0e5:piecei0ee"[..]),
            (data, b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexx"),
            (MetadataMessage::Reject { piece: 7 }, b"d8:msg_typei2e5:piecei7ee"),
        ] {
            assert_eq!(message.encode(), bytes);
            assert_eq!(MetadataMessage::parse(bytes), Ok(Some(message)));
        }
    }

    #[test]
    fn other_types_are_passed_over_and_nonsense_is_not() {
        assert_eq!(MetadataMessage::parse(b"d8:msg_typei3e5:piecei0ee"), Ok(None));
        let deep = [&b"d1:a"[..], &b"l".repeat(1000)].concat();
        for bad in [&b""[..], b"de", b"d8:msg_typei0ee", b"d8:msg_typei0e5:piecei-1ee", b"le", &deep] {
            assert_eq!(MetadataMessage::parse(bad), Err(ExtensionError::Message));
        }
    }
}
