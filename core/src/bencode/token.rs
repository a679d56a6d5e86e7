//! The tokens of bencode.

use nom::bytes::complete::{tag, take};
use nom::character::complete::digit1;
use nom::combinator::{opt, recognize};
use nom::error::{ErrorKind, ParseError};
use nom::number::complete::u8;
use nom::sequence::pair;
use nom::{IResult, Parser};

use super::BencodeErrorKind;

/// What a value starts with, or the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Integer,
    Bytes(&'a [u8]),
    List,
    Dict,
    End,
}

/// The parser's error: how many bytes were left at it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) left: usize,
    pub(super) kind: BencodeErrorKind,
}

/// The first token of `input`, and what follows it.
pub(super) fn token(input: &[u8]) -> IResult<&[u8], Token<'_>, Fault> {
    let (rest, first) = u8(input)?;
    match first {
        b'l' => Ok((rest, Token::List)),
        b'd' => Ok((rest, Token::Dict)),
        b'e' => Ok((rest, Token::End)),
        b'i' => integer(rest),
        b'0'..=b'9' => string(input),
        _ => Err(fault(input, BencodeErrorKind::Unexpected)),
    }
}

fn integer(input: &[u8]) -> IResult<&[u8], Token<'_>, Fault> {
    let wrong = |_| {
        fault(input, if input.len() < 2 { BencodeErrorKind::Truncated } else { BencodeErrorKind::Integer })
    };
    let (rest, digits) = recognize(pair(opt(tag("-")), digit1::<_, Fault>)).parse(input).map_err(wrong)?;
    let well_formed = match digits {
        [b'0'] => true,
        [b'0', ..] | [b'-', b'0', ..] => false,
        _ => number::<i64>(digits).is_some(),
    };
    match rest.first() {
        Some(b'e') if well_formed => Ok((rest.get(1..).unwrap_or_default(), Token::Integer)),
        None if well_formed => Err(fault(rest, BencodeErrorKind::Truncated)),
        Some(_) | None => Err(fault(input, BencodeErrorKind::Integer)),
    }
}

fn string(input: &[u8]) -> IResult<&[u8], Token<'_>, Fault> {
    let (rest, digits) = digit1(input)?;
    let len = number::<usize>(digits).filter(|_| digits == b"0" || !digits.starts_with(b"0"));
    let wrong =
        |_| fault(rest, if rest.is_empty() { BencodeErrorKind::Truncated } else { BencodeErrorKind::Length });
    let (rest, _) = tag::<_, _, Fault>(":")(rest).map_err(wrong)?;
    let len = len.ok_or_else(|| fault(input, BencodeErrorKind::Length))?;
    let (rest, bytes) =
        take(len).parse(rest).map_err(|_: nom::Err<Fault>| fault(&[], BencodeErrorKind::Truncated))?;
    Ok((rest, Token::Bytes(bytes)))
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

const fn fault(input: &[u8], kind: BencodeErrorKind) -> nom::Err<Fault> {
    nom::Err::Failure(Fault { left: input.len(), kind })
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Self { left: input.len(), kind: BencodeErrorKind::Truncated }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}
