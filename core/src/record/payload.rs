//! Finding the payload in a peer's stream, so that it need not be recorded.

/// The id of a piece message (BEP 3).
const PIECE: u8 = 7;

/// Id, index and begin: what precedes the payload in a piece message.
const PIECE_HEAD_LEN: u32 = 9;

/// Where in a peer's stream we are.
#[derive(Debug)]
pub(super) enum Finder {
    /// In the handshake, with so many bytes to come.
    Handshake(u32),
    /// In a length prefix, with its value and its bytes so far.
    Prefix(u32, u8),
    /// Before the id of a message of this length.
    Id(u32),
    /// In what is recorded as it is, with so many bytes to come, and so much payload behind it.
    Plain(u32, u32),
    /// In payload, with so many bytes to come.
    Payload(u32),
}

impl Default for Finder {
    fn default() -> Self {
        Self::Handshake(68)
    }
}

impl Finder {
    /// Cuts `bytes` into runs that are payload (true) or not.
    pub(super) fn runs<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<(bool, &'a [u8])> {
        let mut runs: Vec<(bool, &[u8])> = Vec::new();
        let whole = bytes;
        let mut begin = 0;
        while let Some(first) = bytes.first() {
            let (is_payload, len) = match self {
                Self::Handshake(left) | Self::Plain(left, _) => (false, *left),
                Self::Payload(left) => (true, *left),
                Self::Prefix(..) | Self::Id(_) => (false, 1),
            };
            let len = bytes.len().min(len.max(1) as usize);
            self.advance(*first, u32::try_from(len).unwrap_or(u32::MAX));
            let end = begin + len;
            match runs.last_mut() {
                Some((kind, run)) if *kind == is_payload => {
                    let start = begin - run.len();
                    *run = whole.get(start..end).unwrap_or_default();
                }
                _ => runs.push((is_payload, whole.get(begin..end).unwrap_or_default())),
            }
            begin = end;
            bytes = bytes.get(len..).unwrap_or_default();
        }
        runs
    }

    fn advance(&mut self, first: u8, len: u32) {
        *self = match *self {
            Self::Handshake(left) if left > len => Self::Handshake(left - len),
            Self::Prefix(value, count) => match ((value << 8) | u32::from(first), count + 1) {
                (0, 4) => Self::Prefix(0, 0),
                (value, 4) => Self::Id(value),
                (value, count) => Self::Prefix(value, count),
            },
            Self::Id(length) if first == PIECE && length > PIECE_HEAD_LEN => {
                Self::Plain(PIECE_HEAD_LEN - 1, length - PIECE_HEAD_LEN)
            }
            Self::Id(length) if length > 1 => Self::Plain(length - 1, 0),
            Self::Plain(left, payload) if left > len => Self::Plain(left - len, payload),
            Self::Plain(_, payload) if payload > 0 => Self::Payload(payload),
            Self::Payload(left) if left > len => Self::Payload(left - len),
            Self::Handshake(_) | Self::Id(_) | Self::Plain(..) | Self::Payload(_) => Self::Prefix(0, 0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn payload_is_found_however_the_stream_is_cut(cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let mut stream = vec![1; 68];
            let mut want = vec![false; 68];
            for message in [
                Message::Unchoke,
                Message::Piece { index: 1, begin: 2, data: &[7; 50] },
                Message::KeepAlive,
                Message::Have { index: 7 },
                Message::Bitfield { bits: &[7; 20] },
                Message::Piece { index: 7, begin: 7, data: &[7; 1] },
                Message::Extended { id: 7, payload: &[7; 30] },
                Message::Piece { index: 0, begin: 0, data: &[0; 100] },
            ] {
                message.encode(&mut stream);
                want.resize(stream.len(), false);
                if let Message::Piece { data, .. } = message {
                    let start = want.len() - data.len();
                    want[start..].fill(true);
                }
            }
            let (mut finder, mut got, mut rest) = (Finder::default(), Vec::new(), &stream[..]);
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*cut));
                for (is_payload, run) in finder.runs(now) {
                    got.extend(std::iter::repeat_n(is_payload, run.len()));
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, want);
        }
    }
}
