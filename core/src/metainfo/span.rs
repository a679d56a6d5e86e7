//! The shape of a torrent, checked before anything is built from it, and where `info` lies in it:
//! its hash is over the raw bytes as they stand.

use std::ops::Range;

use super::{FILE_LEN_MAX, MetainfoError, Place};
use crate::bencode::{BencodeError, BencodeErrorKind, Dict, Limits, check};

/// Nesting and tokens of a torrent.
///
/// `info`, `files`, a file and its `path` are four deep; a v2 file tree is as deep as its folders.
/// A file entry takes about ten tokens, so a million files stay within the limit.
const LIMITS: Limits = Limits { depth: 32, tokens: 16_000_000 };

/// A torrent's two dictionaries that matter.
pub(super) struct Shape<'a> {
    /// The whole.
    pub(super) top: Dict<'a>,
    /// `info`.
    pub(super) info: Dict<'a>,
    /// Where the raw bytes of `info` are.
    pub(super) info_span: Range<usize>,
}

/// Checks every token of `raw` and the keys of both dictionaries.
///
/// Line ends and blanks behind the end are let pass, as editors and scripts leave them there and
/// nothing depends on them; any other byte there is refused.
pub(super) fn shape(raw: &[u8]) -> Result<Shape<'_>, MetainfoError> {
    if raw.len() > FILE_LEN_MAX {
        return Err(MetainfoError::TooLong);
    }
    let (value, rest) = check(raw, LIMITS)?;
    let top = Dict::of(value)?;
    if let Some(at) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
        let offset = raw.len() - rest.len() + at;
        return Err(BencodeError { offset, kind: BencodeErrorKind::Trailing }.into());
    }
    let info = top.get("info").ok_or(MetainfoError::Missing(Place::Top("info")))?;
    Ok(Shape { info: Dict::of(info)?, info_span: info.span(), top })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(raw: &[u8]) -> Result<&[u8], String> {
        let shape = shape(raw).map_err(|error| error.to_string())?;
        Ok(&raw[shape.info_span])
    }

    #[test]
    fn info_is_the_top_levels_own() {
        assert_eq!(info(b"d1:ad4:infod1:b0:ee4:infod1:c0:ee"), Ok(&b"d1:c0:e"[..]));
        assert_eq!(info(b"d3:foo4:info4:infod1:c0:ee\r\n"), Ok(&b"d1:c0:e"[..]));
    }

    #[test]
    fn other_shapes_are_refused_with_the_place() {
        for (raw, why) in [
            (&b"<html>"[..], "byte 0: no bencoded value starts like this"),
            (b"", "byte 0: the bytes end within a value"),
            (b"i1e", "byte 0: a dictionary is needed here"),
            (b"de", "info is missing"),
            (b"d4:infole", "byte 9: the bytes end within a value"),
            (b"d4:infolee", "byte 7: a dictionary is needed here"),
            (b"d4:infodee\nx", "byte 11: more bytes behind the end"),
            (b"d4:infode4:infodee", "byte 11: a dictionary has this key twice"),
            (b"d4:infod1:a0:1:a0:ee", "byte 15: a dictionary has this key twice"),
        ] {
            assert_eq!(info(raw), Err(why.to_owned()));
        }
    }
}
