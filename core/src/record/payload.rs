//! A peer's stream without its payload.
//!
//! Bytes of blocks become their length. The head of a block that follows the one before in its piece is
//! left out too: where peers answer in order, as nearly all do, a read of many blocks is a few bytes.

use super::codec::{Put, Reader, Take, Writer};
use crate::wire::{Socks5, Socks5Step};

/// The id of a piece message (BEP 3).
const PIECE: u8 = 7;

/// Length prefix, id, index and begin: what precedes the payload in a piece message.
const HEAD_LEN: usize = 13;

/// What a piece message's length is beyond that of its payload.
const REST_LEN: u32 = 9;

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run<B> {
    /// As it came.
    Plain(B),
    /// So many bytes of payload.
    Payload(usize),
    /// So many whole piece messages, each of the block behind that of the one before, as long as it.
    Blocks(usize),
    /// The head of one more such message, and so many bytes of its payload.
    Begun(usize),
}

impl<B: AsRef<[u8]>> Put for Run<B> {
    fn put(&self, out: &mut Writer) {
        let (kind, number) = match self {
            Self::Plain(bytes) => (0, bytes.as_ref().len()),
            Self::Payload(len) => (1, *len),
            Self::Blocks(count) => (2, *count),
            Self::Begun(len) => (3, *len),
        };
        out.number((number as u64) << 2 | kind);
        if let Self::Plain(bytes) = self {
            out.0.extend_from_slice(bytes.as_ref());
        }
    }
}

impl Take for Run<Vec<u8>> {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let head = from.number()?;
        let number = usize::try_from(head >> 2).ok()?;
        Some(match head & 3 {
            0 => Self::Plain(from.skip(number)?.to_vec()),
            1 => Self::Payload(number),
            2 => Self::Blocks(number),
            _ => Self::Begun(number),
        })
    }
}

/// Where in a peer's stream we are.
#[derive(Debug)]
pub(super) struct Stream {
    /// Through a proxy: what it says first.
    proxy: Option<Box<Socks5>>,
    state: State,
    /// Index, begin and length of the last block.
    last: Option<[u32; 3]>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a message's first bytes, these.
    Head([u8; HEAD_LEN], usize),
    /// In the handshake or the rest of a message, with so many bytes to come.
    Plain(u32),
    /// In payload, with so many bytes to come.
    Payload(u32),
}

/// At the beginning of a message.
const START: State = State::Head([0; HEAD_LEN], 0);

impl Default for Stream {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Stream {
    /// The stream of a peer that is reached by this negotiation with a proxy, or without one.
    pub(super) fn new(proxy: Option<Socks5>) -> Self {
        Self { proxy: proxy.map(Box::new), state: State::Plain(68), last: None }
    }

    /// The head of the message that is expected: of the block behind the last one.
    fn expected(&self) -> Option<([u8; HEAD_LEN], u32)> {
        let [index, begin, len] = self.last?;
        let mut head = [0; HEAD_LEN];
        let fields = [
            len.checked_add(REST_LEN)?.to_be_bytes(),
            index.to_be_bytes(),
            begin.checked_add(len)?.to_be_bytes(),
        ];
        let [length, index, begin] = fields;
        let bytes = length.into_iter().chain([PIECE]).chain(index).chain(begin);
        head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Some((head, len))
    }

    /// Takes payload and expected heads out of the next `bytes` of the stream.
    pub(super) fn pack<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<Run<&'a [u8]>> {
        let mut runs = Vec::new();
        let (whole, mut plain_from) = (bytes, 0);
        while !bytes.is_empty() {
            let at = whole.len() - bytes.len();
            let (run, used) = self.next_run(bytes);
            self.follow(bytes.get(..used).unwrap_or_default());
            bytes = bytes.get(used..).unwrap_or_default();
            let Some(run) = run else { continue };
            push_plain(&mut runs, whole.get(plain_from..at).unwrap_or_default());
            plain_from = at + used;
            match (runs.last_mut(), run) {
                (Some(Run::Blocks(count)), Run::Blocks(more)) => *count += more,
                (_, run) => runs.push(run),
            }
        }
        push_plain(&mut runs, whole.get(plain_from..).unwrap_or_default());
        runs
    }

    /// What the stream goes on with, `None` if it is plain, and how much of it is seen.
    fn next_run<'a>(&self, bytes: &'a [u8]) -> (Option<Run<&'a [u8]>>, usize) {
        if self.proxy.is_some() {
            return (None, 1);
        }
        match self.state {
            State::Payload(left) => {
                let len = bytes.len().min(left as usize);
                (Some(Run::Payload(len)), len)
            }
            State::Plain(left) => (None, bytes.len().min(left as usize)),
            State::Head(_, 0) => match self.expected() {
                Some((head, len)) if bytes.starts_with(&head) => {
                    let there = (bytes.len() - HEAD_LEN).min(len as usize);
                    let run = if there == len as usize { Run::Blocks(1) } else { Run::Begun(there) };
                    (Some(run), HEAD_LEN + there)
                }
                _ => (None, 1),
            },
            State::Head(..) => (None, 1),
        }
    }

    /// Goes along with these bytes of the stream.
    fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if let Some(proxy) = &mut self.proxy {
                // Where it fails all is plain: nothing more is taken for payload.
                if let Ok(Socks5Step::Done { .. }) = proxy.step(&[*first]) {
                    self.proxy = None;
                }
                bytes = rest;
                continue;
            }
            match &mut self.state {
                State::Plain(left) | State::Payload(left) => {
                    let len = bytes.len().min(*left as usize);
                    bytes = bytes.get(len..).unwrap_or_default();
                    *left = left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
                    if *left == 0 {
                        self.state = START;
                    }
                }
                State::Head(head, count) => {
                    head.iter_mut().skip(*count).take(1).for_each(|byte| *byte = *first);
                    *count += 1;
                    bytes = rest;
                    self.on_head();
                }
            }
        }
    }

    /// One more byte of a message's beginning is there.
    fn on_head(&mut self) {
        let State::Head([l0, l1, l2, l3, id, i0, i1, i2, i3, b0, b1, b2, b3], count) = self.state else {
            return;
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if count == 4 && length == 0 {
            self.state = START;
        }
        if count == 5 && !(id == PIECE && length > REST_LEN) {
            self.state = if length > 1 { State::Plain(length - 1) } else { START };
        }
        if count == HEAD_LEN {
            let len = length - REST_LEN;
            self.last =
                Some([u32::from_be_bytes([i0, i1, i2, i3]), u32::from_be_bytes([b0, b1, b2, b3]), len]);
            self.state = State::Payload(len);
        }
    }

    /// The bytes that were packed, with zeros for payload; `None` if they can't be, or would be more
    /// than `len_max`.
    pub(super) fn unpack(&mut self, runs: &[Run<Vec<u8>>], len_max: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for run in runs {
            match run {
                Run::Plain(plain) => self.append(&mut bytes, plain, 0, len_max)?,
                Run::Payload(len) => self.append(&mut bytes, &[], *len, len_max)?,
                Run::Blocks(count) => {
                    for _ in 0..*count {
                        let (head, len) = self.expected()?;
                        self.append(&mut bytes, &head, len as usize, len_max)?;
                    }
                }
                Run::Begun(len) => {
                    let (head, _) = self.expected()?;
                    self.append(&mut bytes, &head, *len, len_max)?;
                }
            }
        }
        Some(bytes)
    }

    fn append(
        &mut self,
        bytes: &mut Vec<u8>,
        plain: &[u8],
        payload_len: usize,
        len_max: usize,
    ) -> Option<()> {
        let from = bytes.len();
        let len = from.checked_add(plain.len())?.checked_add(payload_len).filter(|len| *len <= len_max)?;
        bytes.extend_from_slice(plain);
        bytes.resize(len, 0);
        self.follow(bytes.get(from..).unwrap_or_default());
        Some(())
    }
}

fn push_plain<'a>(runs: &mut Vec<Run<&'a [u8]>>, plain: &'a [u8]) {
    if !plain.is_empty() {
        runs.push(Run::Plain(plain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;
    use proptest::prelude::*;

    const LEN_MAX: usize = 1 << 20;

    /// A stream with payload of ones, and one in which it is zeros.
    fn stream() -> (Vec<u8>, Vec<u8>) {
        let mut streams = [vec![1; 68], vec![1; 68]];
        for (byte, stream) in [1_u8, 0].into_iter().zip(&mut streams) {
            let data = [byte; 50];
            for message in [
                Message::Unchoke,
                Message::Piece { index: 1, begin: 0, data: &data },
                Message::Piece { index: 1, begin: 50, data: &data },
                Message::Piece { index: 1, begin: 100, data: &data },
                Message::KeepAlive,
                Message::Piece { index: 1, begin: 150, data: &data },
                Message::Have { index: 7 },
                Message::Bitfield { bits: &[7; 20] },
                Message::Piece { index: 7, begin: 7, data: &data[..1] },
                Message::Extended { id: 7, payload: &[7; 30] },
                Message::Piece { index: 0, begin: 0, data: &data },
                Message::Piece { index: 0, begin: u32::MAX - 20, data: &data },
                Message::Piece { index: 0, begin: 29, data: &data },
            ] {
                message.encode(stream);
            }
        }
        let [full, empty] = streams;
        (full, empty)
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_without_payload(cuts in prop::collection::vec(1_usize..200, 1..60)) {
            let (full, empty) = stream();
            let (mut packer, mut unpacker, mut rest) = (Stream::default(), Stream::default(), &full[..]);
            let mut got = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(rest.len().min(*cut));
                let runs = packer.pack(now);
                let mut out = Writer::default();
                runs.as_slice().put(&mut out);
                let read = Take::take(&mut Reader::new(&out.0, &|_| None));
                let runs: Vec<Run<Vec<u8>>> = read.expect("it is read again");
                got.extend(unpacker.unpack(&runs, LEN_MAX).expect("it is unpacked"));
                rest = later;
            }
            prop_assert_eq!(got, empty);
        }

        #[test]
        fn any_runs_are_unpacked_or_not_and_bounded(bytes: Vec<u8>) {
            if let Some(runs) = Vec::<Run<Vec<u8>>>::take(&mut Reader::new(&bytes, &|_| None)) {
                let unpacked = Stream::default().unpack(&runs, LEN_MAX);
                prop_assert!(unpacked.is_none_or(|unpacked| unpacked.len() <= LEN_MAX));
            }
        }
    }

    #[test]
    fn blocks_in_order_are_a_number() {
        let mut bytes = vec![1; 68];
        for number in 0..17 {
            Message::Piece { index: 3, begin: number * 100, data: &[5; 100] }.encode(&mut bytes);
        }
        bytes.truncate(bytes.len() - 30);
        let runs = Stream::default().pack(&bytes);
        assert_eq!(runs[1..], [Run::Payload(100), Run::Blocks(15), Run::Begun(70)]);
    }
}
