//! One frame to a message, and how long a frame may be.

use std::ops::RangeInclusive;

use nom::combinator::{all_consuming, rest, success};
use nom::number::complete::{be_u8, be_u32};
use nom::number::streaming;
use nom::{IResult, Parser};

use crate::piece::{BLOCK_LEN, PIECE_COUNT_MAX};
use crate::wire::WireError;
use crate::wire::message::{Message, id};

/// The longest piece message, without its prefix: we never ask for more than one block.
pub const PIECE_MESSAGE_LEN_MAX: u32 = 9 + BLOCK_LEN;

/// The longest message of an extension or of an unknown type, without its prefix: 64 KiB.
///
/// The extensions in use carry at most a block's worth of payload with a head before it (metadata
/// pieces of BEP 9, hashes of BEP 52), so this leaves four times the room.
pub const UNKNOWN_MESSAGE_LEN_MAX: u32 = 64 * 1024;

/// Bytes of a length prefix.
pub(super) const PREFIX_LEN: usize = 4;

/// The bytes, prefix included, of the frame that `stream` begins with; `None` if its head, at most
/// five bytes, is not whole. `piece_count` is `None` as long as nobody knows it.
///
/// # Errors
/// As soon as the bytes that are there show a length that the frame may not have.
pub(super) fn frame_len(stream: &[u8], piece_count: Option<u32>) -> Result<Option<usize>, WireError> {
    let prefix: IResult<_, _, ()> = streaming::be_u32(stream);
    let Ok((rest, len)) = prefix else { return Ok(None) };
    if len > 0 {
        let max = message_len_max(piece_count);
        if len > max {
            return Err(WireError::FrameTooLong { len, max });
        }
        let Some(&id) = rest.first() else { return Ok(None) };
        check_len(id, len, piece_count)?;
    }
    Ok(Some(PREFIX_LEN + len as usize))
}

/// The message in a frame whose length [`frame_len`] has found right.
pub(super) fn message(frame: &[u8]) -> Result<Message<'_>, WireError> {
    let body = frame.get(PREFIX_LEN..).unwrap_or_default();
    let Some(&id) = body.first() else { return Ok(Message::KeepAlive) };
    match all_consuming(fields).parse(body) {
        Ok((_, message)) => Ok(message),
        // Not reached behind `frame_len`; the frame itself says how long it is.
        Err(_) => Err(WireError::Length { id, len: u32::try_from(body.len()).unwrap_or(u32::MAX) }),
    }
}

/// Id and payload (BEP 3, "peer messages"; BEP 6; BEP 10).
fn fields(body: &[u8]) -> IResult<&[u8], Message<'_>, ()> {
    let (payload, id) = be_u8(body)?;
    match id {
        id::CHOKE => success(Message::Choke).parse(payload),
        id::UNCHOKE => success(Message::Unchoke).parse(payload),
        id::INTERESTED => success(Message::Interested).parse(payload),
        id::NOT_INTERESTED => success(Message::NotInterested).parse(payload),
        id::HAVE => be_u32.map(|index| Message::Have { index }).parse(payload),
        id::BITFIELD => rest.map(|bits| Message::Bitfield { bits }).parse(payload),
        id::REQUEST => {
            let range = (be_u32, be_u32, be_u32);
            range.map(|(index, begin, len)| Message::Request { index, begin, len }).parse(payload)
        }
        id::PIECE => {
            let block = (be_u32, be_u32, rest);
            block.map(|(index, begin, data)| Message::Piece { index, begin, data }).parse(payload)
        }
        id::CANCEL => {
            let range = (be_u32, be_u32, be_u32);
            range.map(|(index, begin, len)| Message::Cancel { index, begin, len }).parse(payload)
        }
        id::SUGGEST => be_u32.map(|index| Message::Suggest { index }).parse(payload),
        id::HAVE_ALL => success(Message::HaveAll).parse(payload),
        id::HAVE_NONE => success(Message::HaveNone).parse(payload),
        id::REJECT => {
            let range = (be_u32, be_u32, be_u32);
            range.map(|(index, begin, len)| Message::Reject { index, begin, len }).parse(payload)
        }
        id::ALLOWED_FAST => be_u32.map(|index| Message::AllowedFast { index }).parse(payload),
        id::EXTENDED => (be_u8, rest).map(|(id, payload)| Message::Extended { id, payload }).parse(payload),
        id => rest.map(|payload| Message::Unknown { id, payload }).parse(payload),
    }
}

/// The longest message of any type in a torrent of this many pieces, without its prefix. `None`: as
/// many as there can be.
pub(super) fn message_len_max(piece_count: Option<u32>) -> u32 {
    let bitfield_len = bitfield_message_len(piece_count.unwrap_or(PIECE_COUNT_MAX));
    bitfield_len.max(PIECE_MESSAGE_LEN_MAX).max(UNKNOWN_MESSAGE_LEN_MAX)
}

const fn bitfield_message_len(piece_count: u32) -> u32 {
    1 + piece_count.div_ceil(8)
}

fn check_len(id: u8, len: u32, piece_count: Option<u32>) -> Result<(), WireError> {
    let lens = message_lens(id, piece_count);
    if lens.contains(&len) {
        return Ok(());
    }
    let (min, max) = lens.into_inner();
    Err(if len > max && min < max {
        WireError::TooLong { id, len, max }
    } else {
        WireError::Length { id, len }
    })
}

/// The lengths, without the prefix, that a message of this type may have.
const fn message_lens(id: u8, piece_count: Option<u32>) -> RangeInclusive<u32> {
    match id {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => 1..=1,
        id::HAVE | id::SUGGEST | id::ALLOWED_FAST => 5..=5,
        id::BITFIELD => match piece_count {
            Some(piece_count) => bitfield_message_len(piece_count)..=bitfield_message_len(piece_count),
            None => 2..=bitfield_message_len(PIECE_COUNT_MAX),
        },
        id::REQUEST | id::CANCEL | id::REJECT => 13..=13,
        id::EXTENDED => 2..=UNKNOWN_MESSAGE_LEN_MAX,
        // A block has at least one byte, so no request can be answered with none.
        id::PIECE => 10..=PIECE_MESSAGE_LEN_MAX,
        _ => 1..=UNKNOWN_MESSAGE_LEN_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the head of a frame comes to, in a torrent of 100 pieces (a bitfield of 13 bytes).
    fn head(len: u32, id: u8) -> Result<Option<usize>, WireError> {
        let mut stream = len.to_be_bytes().to_vec();
        stream.push(id);
        frame_len(&stream, Some(100))
    }

    #[test]
    fn each_type_has_its_lengths() {
        for id in 0..=u8::MAX {
            let (min, max) = match id {
                0..=3 | 14 | 15 => (1, 1),
                4 | 13 | 17 => (5, 5),
                5 => (14, 14),
                6 | 8 | 16 => (13, 13),
                20 => (2, 65_536),
                7 => (10, 9 + 16_384),
                _ => (1, 65_536),
            };
            assert_eq!(head(min, id), Ok(Some(4 + min as usize)));
            assert_eq!(head(max, id), Ok(Some(4 + max as usize)));
            if min > 1 {
                assert_eq!(head(min - 1, id), Err(WireError::Length { id, len: min - 1 }));
            }
            let len = max + 1;
            let long = if max == 65_536 {
                WireError::FrameTooLong { len, max }
            } else if min == max {
                WireError::Length { id, len }
            } else {
                WireError::TooLong { id, len, max }
            };
            assert_eq!(head(len, id), Err(long));
        }
    }

    #[test]
    fn an_impossible_length_is_refused_by_the_prefix_alone() {
        for len in [65_537, u32::MAX / 2, u32::MAX] {
            assert_eq!(
                frame_len(&len.to_be_bytes(), Some(100)),
                Err(WireError::FrameTooLong { len, max: 65_536 })
            );
        }
        assert_eq!(frame_len(&65_536_u32.to_be_bytes(), Some(100)), Ok(None));
    }

    #[test]
    fn a_large_torrent_raises_the_bound_for_its_bitfield_only() {
        let piece_count = 8 * 100_000;
        let head = |id: u8| frame_len(&[&100_001_u32.to_be_bytes()[..], &[id]].concat(), Some(piece_count));
        assert_eq!(head(id::BITFIELD), Ok(Some(100_005)));
        let len = 100_001;
        assert_eq!(head(id::PIECE), Err(WireError::TooLong { id: 7, len, max: PIECE_MESSAGE_LEN_MAX }));
        assert_eq!(head(20), Err(WireError::TooLong { id: 20, len, max: UNKNOWN_MESSAGE_LEN_MAX }));
        assert_eq!(message_len_max(Some(u32::MAX)), 1 + (1 << 29));
    }

    #[test]
    fn a_bitfield_of_a_torrent_of_unknown_size_may_be_any_that_there_can_be() {
        let head = |len: u32| frame_len(&[&len.to_be_bytes()[..], &[id::BITFIELD]].concat(), None);
        let max = 1 + PIECE_COUNT_MAX / 8;
        assert_eq!((head(2), head(max)), (Ok(Some(6)), Ok(Some(4 + max as usize))));
        assert_eq!(head(1), Err(WireError::Length { id: id::BITFIELD, len: 1 }));
        assert_eq!(head(max + 1), Err(WireError::FrameTooLong { len: max + 1, max }));
    }

    #[test]
    fn a_keep_alive_needs_no_id_and_part_of_a_head_says_nothing() {
        assert_eq!(frame_len(&[0; 4], Some(100)), Ok(Some(4)));
        assert_eq!(frame_len(&[0xFF; 3], Some(100)), Ok(None));
        assert_eq!(frame_len(&[], Some(100)), Ok(None));
    }

    #[test]
    fn a_frame_of_another_length_than_its_type_is_no_message() {
        assert_eq!(message(&[0, 0, 0, 2, id::CHOKE, 9]), Err(WireError::Length { id: id::CHOKE, len: 2 }));
        assert_eq!(
            message(&[0, 0, 0, 4, id::HAVE, 1, 2, 3]),
            Err(WireError::Length { id: id::HAVE, len: 4 })
        );
    }
}
