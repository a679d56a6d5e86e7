//! Bencode (BEP 3, "bencoding") from outside, walked without recursion.
//!
//! `serde_bencode` recurses, keeps no spans, and refuses a dictionary for one key that is not
//! UTF-8. So `check` goes first: it looks at every token and bounds nesting, count and lengths.
//! The `Value` it gives can be cut into its parts, and only those parts that someone wants are
//! handed to `serde_bencode`, each with an offset to name in an error.

mod error;
mod token;

pub use error::{BencodeError, BencodeErrorKind};

use std::ops::Range;

use serde::de::DeserializeOwned;
use token::{Token, token};

/// Keys of one dictionary that is read by key. Real ones have under 40.
const DICT_KEYS_MAX: usize = 1000;

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Lists and dictionaries within one another.
    pub(crate) depth: usize,
    /// Values, keys and ends.
    pub(crate) tokens: usize,
}

/// One whole value that has passed [`check`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    raw: &'a [u8],
    offset: usize,
}

/// A dictionary's values by key; no key is there twice.
#[derive(Debug)]
pub(crate) struct Dict<'a> {
    /// Sorted by key, whatever their order in the file.
    entries: Vec<(&'a [u8], Value<'a>)>,
}

/// A list or dictionary that is not closed yet, by what comes next in it.
enum Open {
    Item,
    Key,
    Value,
}

/// The value at the start of `raw`, whole and within `limits`, and what follows it.
pub(crate) fn check(raw: &[u8], limits: Limits) -> Result<(Value<'_>, &[u8]), BencodeError> {
    let error = |left: usize, kind| BencodeError { offset: raw.len() - left, kind };
    let (mut rest, mut open) = (raw, Vec::new());
    for _ in 0..limits.tokens {
        let (after, token) = token(rest).map_err(|fault| match fault {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => error(fault.left, fault.kind),
            nom::Err::Incomplete(_) => error(0, BencodeErrorKind::Truncated),
        })?;
        take_in(&mut open, token, limits.depth).map_err(|kind| error(rest.len(), kind))?;
        rest = after;
        if open.is_empty() {
            return Ok((Value { raw: before(raw, rest), offset: 0 }, rest));
        }
    }
    Err(error(rest.len(), BencodeErrorKind::TooMany))
}

/// Keeps `open`, the lists and dictionaries that are not closed yet, by the next token.
fn take_in(open: &mut Vec<Open>, token: Token<'_>, depth: usize) -> Result<(), BencodeErrorKind> {
    match (open.last_mut(), token) {
        (None, Token::End) => return Err(BencodeErrorKind::Unexpected),
        (Some(Open::Value), Token::End) => return Err(BencodeErrorKind::NoValue),
        (Some(Open::Key | Open::Item), Token::End) => drop(open.pop()),
        (Some(next @ Open::Key), Token::Bytes(_)) => *next = Open::Value,
        (Some(Open::Key), _) => return Err(BencodeErrorKind::Key),
        (Some(next @ Open::Value), _) => *next = Open::Key,
        (Some(Open::Item) | None, _) => {}
    }
    match token {
        Token::List | Token::Dict if open.len() >= depth => return Err(BencodeErrorKind::TooDeep),
        Token::List => open.push(Open::Item),
        Token::Dict => open.push(Open::Key),
        Token::Integer | Token::Bytes(_) | Token::End => {}
    }
    Ok(())
}

impl<'a> Value<'a> {
    /// The value that `raw` is, if it has been part of a checked one.
    pub(crate) fn checked(raw: &'a [u8]) -> Option<Self> {
        split(raw).map(|(raw, _)| Self { raw, offset: 0 })
    }

    /// Where its bytes are in what was checked.
    pub(crate) const fn span(self) -> Range<usize> {
        self.offset..self.offset + self.raw.len()
    }

    /// Where its content is in what was checked, if it is a string.
    pub(crate) fn content_span(self) -> Option<Range<usize>> {
        let end = self.span().end;
        self.bytes().map(|bytes| end - bytes.len()..end)
    }

    /// Its bytes as they stand.
    pub(crate) const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Its bytes, if it is a string.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match token(self.raw) {
            Ok((_, Token::Bytes(bytes))) => Some(bytes),
            Ok((_, Token::Integer | Token::List | Token::Dict | Token::End)) | Err(_) => None,
        }
    }

    /// What `serde_bencode` makes of it.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Option<T> {
        serde_bencode::from_bytes(self.raw).ok()
    }

    /// Its items, if it is a list.
    pub(crate) fn items(self) -> Option<impl Iterator<Item = Self>> {
        self.parts(b'l')
    }

    /// Its keys and values in turn as they stand, if it is a dictionary.
    pub(crate) fn pairs(self) -> Option<impl Iterator<Item = Self>> {
        self.parts(b'd')
    }

    /// The values within a list, or the keys and values in turn within a dictionary.
    fn parts(self, first: u8) -> Option<impl Iterator<Item = Self>> {
        let (&start, mut rest) = self.raw.split_first()?;
        let end = self.offset + self.raw.len();
        (start == first).then(|| {
            std::iter::from_fn(move || {
                let (raw, after) = split(rest)?;
                let offset = end - rest.len();
                rest = after;
                Some(Self { raw, offset })
            })
        })
    }
}

impl<'a> Dict<'a> {
    /// The dictionary that `value` is.
    pub(crate) fn of(value: Value<'a>) -> Result<Self, BencodeError> {
        let error = |offset, kind| BencodeError { offset, kind };
        let mut parts = value.parts(b'd').ok_or_else(|| error(value.offset, BencodeErrorKind::NotADict))?;
        let mut entries: Vec<(&[u8], Value<'_>)> = Vec::new();
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            if entries.len() >= DICT_KEYS_MAX {
                return Err(error(key.offset, BencodeErrorKind::TooMany));
            }
            entries.push((key.bytes().unwrap_or_default(), value));
        }
        entries.sort_by_key(|(key, _)| *key);
        let twice = entries.iter().zip(entries.iter().skip(1)).find(|(a, b)| a.0 == b.0);
        match twice {
            Some((_, (key, value))) => {
                Err(error(value.offset.saturating_sub(key.len()), BencodeErrorKind::DuplicateKey))
            }
            None => Ok(Self { entries }),
        }
    }

    /// Every key with its value, sorted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        self.entries.iter().copied()
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<Value<'a>> {
        self.get_raw(key.as_bytes())
    }

    /// The value of a `key` that need not be text.
    pub(crate) fn get_raw(&self, key: &[u8]) -> Option<Value<'a>> {
        let index = self.entries.binary_search_by_key(&key, |(key, _)| key).ok()?;
        self.entries.get(index).map(|(_, value)| *value)
    }
}

/// The first value of checked bytes, and what follows it; `None` at the end.
fn split(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut rest, mut depth) = (raw, 0_usize);
    loop {
        let (after, token) = token(rest).ok()?;
        match token {
            Token::List | Token::Dict => depth += 1,
            Token::End => depth = depth.checked_sub(1)?,
            Token::Integer | Token::Bytes(_) => {}
        }
        rest = after;
        if depth == 0 {
            return Some((before(raw, rest), rest));
        }
    }
}

/// `raw` without `rest`, which is its end.
fn before<'a>(raw: &'a [u8], rest: &[u8]) -> &'a [u8] {
    raw.get(..raw.len() - rest.len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { depth: 3, tokens: 12 };

    fn checked(raw: &str) -> Result<usize, (usize, BencodeErrorKind)> {
        let done = check(raw.as_bytes(), LIMITS);
        done.map(|(value, _)| value.raw().len()).map_err(|error| (error.offset, error.kind))
    }

    #[test]
    fn values_are_measured() {
        for whole in
            ["i0e", "i-1e", "i9223372036854775807e", "0:", "3:i1e", "le", "de", "lli1eee", "d1:ai1ee"]
        {
            assert_eq!(checked(&format!("{whole}e0:")), Ok(whole.len()), "{whole}");
        }
    }

    #[test]
    fn faults_are_found_where_they_are() {
        use BencodeErrorKind::{Integer, Key, Length, NoValue, TooDeep, TooMany, Truncated, Unexpected};
        for (raw, offset, kind) in [
            ("", 0, Truncated),
            ("x", 0, Unexpected),
            ("e", 0, Unexpected),
            ("li1e", 4, Truncated),
            ("l-1:e", 1, Unexpected),
            ("li01ee", 2, Integer),
            ("li-0ee", 2, Integer),
            ("li+1ee", 2, Integer),
            ("li-ee", 2, Integer),
            ("lie", 2, Truncated),
            ("liee", 2, Integer),
            ("li1.5ee", 2, Integer),
            ("li9223372036854775808ee", 2, Integer),
            ("li12", 4, Truncated),
            ("l01:ae", 1, Length),
            ("l1ae", 2, Length),
            ("l12", 3, Truncated),
            ("l99999999999999999999:a", 1, Length),
            ("l5:abc", 6, Truncated),
            ("di1ei1ee", 1, Key),
            ("d1:ae", 4, NoValue),
            ("llllleeeee", 3, TooDeep),
            ("l0:0:0:0:0:0:0:0:0:0:0:0:e", 23, TooMany),
        ] {
            assert_eq!(checked(raw), Err((offset, kind)), "{raw}");
        }
    }

    #[test]
    fn nesting_takes_no_stack() {
        let deep = "l".repeat(1_000_000);
        let limits = Limits { depth: usize::MAX, tokens: usize::MAX };
        assert_eq!(check(deep.as_bytes(), limits).unwrap_err().kind, BencodeErrorKind::Truncated);
    }

    #[test]
    fn a_dict_gives_values_with_their_offsets() {
        let (value, _) = check(b"d1:bli1e2:xxe1:ad1:\xff0:ee", LIMITS).unwrap();
        let dict = Dict::of(value).unwrap();
        let list = dict.get("b").unwrap();
        assert_eq!((list.span(), list.raw()), (4..13, &b"li1e2:xxe"[..]));
        let items: Vec<_> = list.items().unwrap().map(|item| (item.span().start, item.raw())).collect();
        assert_eq!(items, [(5, &b"i1e"[..]), (8, &b"2:xx"[..])]);
        assert_eq!(list.items().unwrap().next().unwrap().read::<i64>(), Some(1));
        assert_eq!(list.items().unwrap().nth(1).unwrap().bytes(), Some(&b"xx"[..]));
        assert_eq!(list.items().unwrap().nth(1).unwrap().content_span(), Some(10..12));
        assert_eq!(list.bytes(), None);
        assert!(dict.get("a").unwrap().items().is_none());
        assert!(dict.get("c").is_none());
    }

    #[test]
    fn a_key_may_be_there_once() {
        let (value, _) = check(b"d1:ai1e1:bi1e1:ai2ee", LIMITS).unwrap();
        let error = BencodeError { offset: 15, kind: BencodeErrorKind::DuplicateKey };
        assert_eq!(Dict::of(value).unwrap_err(), error);
    }
}
