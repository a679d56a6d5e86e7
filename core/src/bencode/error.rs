//! What can be wrong with bencode.

use std::fmt;

/// What is wrong with bencode, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BencodeError {
    /// The offset of the byte that the trouble is at.
    pub offset: usize,
    /// What it is.
    pub kind: BencodeErrorKind,
}

/// What is wrong with bencode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BencodeErrorKind {
    /// The bytes end within a value.
    Truncated,
    /// No value starts with this byte.
    Unexpected,
    /// An integer has a leading zero or plus, is `-0`, has no digits, or does not fit 64 bits.
    Integer,
    /// A string's length has a leading zero or no colon, or does not fit.
    Length,
    /// Lists and dictionaries lie too deep in one another.
    TooDeep,
    /// There are too many values.
    TooMany,
    /// A dictionary's key is no string.
    Key,
    /// A dictionary ends behind a key.
    NoValue,
    /// A dictionary is needed here.
    NotADict,
    /// A dictionary has this key twice.
    DuplicateKey,
    /// There is more behind the end.
    Trailing,
}

impl fmt::Display for BencodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BencodeErrorKind::Truncated => "the bytes end within a value",
            BencodeErrorKind::Unexpected => "no bencoded value starts like this",
            BencodeErrorKind::Integer => "malformed integer, or one over 64 bits",
            BencodeErrorKind::Length => "malformed string length",
            BencodeErrorKind::TooDeep => "lists and dictionaries are nested too deep",
            BencodeErrorKind::TooMany => "too many values",
            BencodeErrorKind::Key => "a dictionary key that is not a string",
            BencodeErrorKind::NoValue => "a dictionary key without a value",
            BencodeErrorKind::NotADict => "a dictionary is needed here",
            BencodeErrorKind::DuplicateKey => "a dictionary has this key twice",
            BencodeErrorKind::Trailing => "more bytes behind the end",
        };
        write!(f, "byte {}: {what}", self.offset)
    }
}

impl std::error::Error for BencodeError {}
