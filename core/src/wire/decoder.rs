//! One peer's stream to messages, however it is cut.

use std::fmt;

use crate::wire::message::{Message, id};
use crate::wire::{WireError, decode};

/// One peer's stream after the handshake.
///
/// A frame that lies whole in the input is parsed where it lies. One cut by the end of the input
/// goes through a stash, whose memory is let go of as soon as its message has been seen, so a
/// peer with nothing under way costs no heap.
///
/// Call [`Decoder::step`] with the rest of the input until it answers [`Step::NeedMore`], also when
/// no input is left.
pub struct Decoder {
    /// `None` as long as the torrent's metadata is not there.
    piece_count: Option<u32>,
    /// The stash's message has been given out: it is empty to the next call.
    is_spent: bool,
    /// The beginning of a frame whose rest has not come.
    stash: Vec<u8>,
}

/// What [`Decoder::step`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The next message of the stream.
    Message {
        /// It.
        message: Message<'a>,
        /// How many bytes of the input it took, at least one.
        used: usize,
    },
    /// All of the input was taken and no message is whole.
    NeedMore,
}

impl Decoder {
    /// A decoder for a peer of a torrent of `piece_count` pieces.
    #[must_use]
    pub const fn new(piece_count: u32) -> Self {
        Self { piece_count: Some(piece_count), is_spent: false, stash: Vec::new() }
    }

    /// A decoder for a peer of a torrent whose metadata is not there: a bitfield may be of any length
    /// that there can be, until [`Decoder::set_piece_count`].
    #[must_use]
    pub const fn of_unknown() -> Self {
        Self { piece_count: None, is_spent: false, stash: Vec::new() }
    }

    /// From here on the torrent has so many pieces.
    pub const fn set_piece_count(&mut self, piece_count: u32) {
        self.piece_count = Some(piece_count);
    }

    /// Takes the next bytes of the stream, up to the end of the next message.
    ///
    /// # Errors
    /// As soon as the bytes show that the frame is longer, or for a fixed-length message shorter,
    /// than it may be, before any of it is kept. The stream is then of no further use.
    pub fn step<'a>(&'a mut self, input: &'a [u8]) -> Result<Step<'a>, WireError> {
        if self.is_spent {
            self.is_spent = false;
            self.stash = Vec::new();
        }
        if self.stash.is_empty() {
            let len = decode::frame_len(input, self.piece_count)?;
            if let Some(frame) = len.and_then(|len| input.get(..len)) {
                return Ok(Step::Message { message: decode::message(frame)?, used: frame.len() });
            }
        }
        self.step_through_stash(input)
    }

    /// Whether a block has come in part.
    #[must_use]
    pub fn is_within_block(&self) -> bool {
        !self.is_spent && self.stash.get(decode::PREFIX_LEN) == Some(&id::PIECE)
    }

    /// Bytes of memory that the stash takes: at most [`Decoder::heap_len_max`].
    #[must_use]
    pub const fn heap_len(&self) -> usize {
        self.stash.capacity()
    }

    /// The most memory that any stream makes the stash take: the longest frame, in bytes.
    #[must_use]
    pub fn heap_len_max(&self) -> usize {
        decode::PREFIX_LEN + decode::message_len_max(self.piece_count) as usize
    }

    fn step_through_stash<'a>(&'a mut self, input: &[u8]) -> Result<Step<'a>, WireError> {
        let mut rest = input;
        // The head goes in byte by byte, so that nothing behind it is kept before it is checked.
        let frame_len = loop {
            if let Some(len) = decode::frame_len(&self.stash, self.piece_count)? {
                break len;
            }
            let Some((&byte, behind)) = rest.split_first() else { return Ok(Step::NeedMore) };
            self.stash.push(byte);
            rest = behind;
        };
        let missing = frame_len.saturating_sub(self.stash.len());
        let (taken, rest) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
        self.reserve(taken.len(), frame_len);
        self.stash.extend_from_slice(taken);
        if taken.len() < missing {
            return Ok(Step::NeedMore);
        }
        self.is_spent = true;
        let used = input.len().saturating_sub(rest.len());
        Ok(Step::Message { message: decode::message(&self.stash)?, used })
    }

    /// Makes room for `more` bytes by doubling, but for no more than the frame needs: memory
    /// follows what a peer has sent, not what it has announced.
    fn reserve(&mut self, more: usize, frame_len: usize) {
        let (held, capacity) = (self.stash.len(), self.stash.capacity());
        let want = held.saturating_add(more);
        if want > capacity {
            let target = want.max(capacity.saturating_mul(2).min(frame_len));
            self.stash.reserve_exact(target.saturating_sub(held));
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stashed = if self.is_spent { 0 } else { self.stash.len() };
        write!(f, "Decoder({stashed} bytes stashed)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::BLOCK_LEN;
    use proptest::prelude::*;

    const PIECE_COUNT: u32 = 100;

    /// A message that owns its payload.
    #[derive(Clone, Debug)]
    struct Owned {
        kind: u8,
        numbers: [u32; 3],
        payload: Vec<u8>,
    }

    impl Owned {
        fn message(&self) -> Message<'_> {
            let ([index, begin, len], payload) = (self.numbers, &self.payload[..]);
            match self.kind {
                0 => Message::Choke,
                1 => Message::Unchoke,
                2 => Message::Interested,
                3 => Message::NotInterested,
                4 => Message::Have { index },
                5 => Message::Bitfield { bits: &[0x5A; 13] },
                6 => Message::Request { index, begin, len },
                7 => Message::Piece { index, begin, data: payload },
                8 => Message::Cancel { index, begin, len },
                9 => Message::KeepAlive,
                13 => Message::Suggest { index },
                14 => Message::HaveAll,
                15 => Message::HaveNone,
                16 => Message::Reject { index, begin, len },
                17 => Message::AllowedFast { index },
                20 => Message::Extended { id: 1, payload },
                id => Message::Unknown { id, payload },
            }
        }
    }

    fn owned() -> impl Strategy<Value = Owned> {
        let payload = prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 1..40),
            1 => (1..=BLOCK_LEN as usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        ];
        let kind = prop_oneof![4 => 0_u8..=20, 1 => 10..=u8::MAX];
        (kind, any::<[u32; 3]>(), payload).prop_map(|(kind, numbers, payload)| Owned {
            kind,
            numbers,
            payload,
        })
    }

    fn encoded(messages: &[Owned]) -> Vec<u8> {
        let mut stream = Vec::new();
        messages.iter().for_each(|owned| owned.message().encode(&mut stream));
        stream
    }

    /// Feeds `stream` cut after each of `lens` bytes, over and over; gives every message to `see`.
    ///
    /// Checks on the way that the stash keeps its bound and is let go of.
    fn feed(stream: &[u8], lens: &[usize], mut see: impl FnMut(Message<'_>)) -> Result<(), WireError> {
        let mut decoder = Decoder::new(PIECE_COUNT);
        let (mut at, mut lens) = (0, lens.iter().cycle());
        while at < stream.len() {
            let end = stream.len().min(at + lens.next().map_or(stream.len(), |len| *len.max(&1)));
            loop {
                let (len_max, step) = (decoder.heap_len_max(), decoder.step(&stream[at..end])?);
                let Step::Message { message, used } = step else { break };
                see(message);
                at += used;
                assert!(used > 0 && at <= end && decoder.heap_len() <= len_max);
            }
            assert!(decoder.heap_len() <= 8.max(2 * decoder.stash.len()), "memory runs ahead of the stream");
            at = end;
        }
        Ok(())
    }

    /// The messages of a stream, encoded again, and how it ended.
    fn decoded(stream: &[u8], lens: &[usize]) -> (Vec<Vec<u8>>, Result<(), WireError>) {
        let mut seen = Vec::new();
        let end = feed(stream, lens, |message| {
            seen.push(Vec::new());
            message.encode(seen.last_mut().unwrap());
        });
        (seen, end)
    }

    #[test]
    fn a_bitfield_is_held_to_the_number_of_pieces_once_it_is_known() {
        let bitfield = [0, 0, 0, 3, id::BITFIELD, 0, 0];
        let mut decoder = Decoder::of_unknown();
        assert!(matches!(decoder.step(&bitfield), Ok(Step::Message { used: 7, .. })));
        decoder.set_piece_count(16);
        assert!(matches!(decoder.step(&bitfield), Ok(Step::Message { used: 7, .. })));
        decoder.set_piece_count(100);
        assert_eq!(decoder.step(&bitfield), Err(WireError::Length { id: id::BITFIELD, len: 3 }));
    }

    #[test]
    fn a_whole_frame_is_borrowed_from_the_input() {
        let stream = encoded(&[Owned { kind: 7, numbers: [1, 0, 0], payload: vec![1; 1000] }]);
        let mut decoder = Decoder::new(PIECE_COUNT);
        let Ok(Step::Message { message: Message::Piece { data, .. }, used }) = decoder.step(&stream) else {
            panic!("no piece")
        };
        assert_eq!((data.as_ptr(), used), (stream[13..].as_ptr(), stream.len()));
        assert_eq!(decoder.heap_len(), 0);
    }

    #[test]
    fn the_stash_is_let_go_of_when_its_message_has_been_seen() {
        let stream = encoded(&[Owned { kind: 7, numbers: [1, 0, 0], payload: vec![1; 1000] }]);
        let mut decoder = Decoder::new(PIECE_COUNT);
        assert_eq!(decoder.step(&stream[..900]), Ok(Step::NeedMore));
        assert!((900..=stream.len()).contains(&decoder.heap_len()) && decoder.is_within_block());
        let Ok(Step::Message { message, used }) = decoder.step(&stream[900..]) else { panic!("no message") };
        assert_eq!((message, used), (Message::Piece { index: 1, begin: 0, data: &[1; 1000] }, 113));
        assert!(!decoder.is_within_block(), "it is whole");
        assert_eq!(decoder.step(&[]), Ok(Step::NeedMore));
        assert_eq!(decoder.heap_len(), 0);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_its_body_is_kept() {
        let stream = [&(10 + BLOCK_LEN).to_be_bytes()[..], &[7], &[0; 5000]].concat();
        let error = WireError::TooLong { id: 7, len: 10 + BLOCK_LEN, max: 9 + BLOCK_LEN };
        for cut in 0..5 {
            let mut decoder = Decoder::new(PIECE_COUNT);
            assert_eq!(decoder.step(&stream[..cut]), Ok(Step::NeedMore));
            for _ in 0..2 {
                assert_eq!(decoder.step(&stream[cut..]), Err(error));
                assert!(decoder.heap_len() <= 8);
            }
        }
    }

    proptest! {
        #[test]
        fn encoded_messages_come_back_however_they_are_cut(
            messages in prop::collection::vec(owned(), 0..12),
            lens in prop::collection::vec(prop_oneof![1_usize..30, 1_usize..40_000], 0..20),
        ) {
            let stream = encoded(&messages);
            let mut want = messages.iter();
            let end = feed(&stream, &lens, |message| {
                assert_eq!(want.next().map(Owned::message), Some(message));
            });
            prop_assert_eq!((end, want.next().is_none()), (Ok(()), true));
        }

        #[test]
        fn any_bytes_mean_the_same_however_they_are_cut(
            messages in prop::collection::vec(owned(), 0..4),
            noise in prop::collection::vec(prop_oneof![2 => 0_u8..15, 1 => any::<u8>()], 0..200),
            lens in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let mut stream = encoded(&messages);
            stream.extend(noise);
            prop_assert_eq!(decoded(&stream, &lens), decoded(&stream, &[]));
        }

        #[test]
        fn what_decodes_encodes_to_the_bytes_it_came_from(
            stream in prop::collection::vec(prop_oneof![4 => Just(0_u8), 2 => 1_u8..15, 1 => any::<u8>()], 0..300),
        ) {
            let (seen, _) = decoded(&stream, &[]);
            prop_assert!(stream.starts_with(&seen.concat()));
        }
    }
}
