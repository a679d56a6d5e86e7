//! Messages to bytes.

use crate::piece::BlockRef;
use crate::wire::message::{Message, id};

/// Bytes that precede the payload of a piece message: length prefix, id, index, begin.
pub const PIECE_HEADER_LEN: usize = 13;

/// Bytes of a piece message that its length prefix counts and that are not payload.
const PIECE_FIELDS_LEN: u32 = 9;

/// What precedes the payload when this range is sent as a piece message (BEP 3, "piece").
#[must_use]
pub fn piece_header(block: BlockRef) -> [u8; PIECE_HEADER_LEN] {
    let mut header = [0; PIECE_HEADER_LEN];
    header[..4].copy_from_slice(&(PIECE_FIELDS_LEN + block.len()).to_be_bytes());
    header[4] = id::PIECE;
    header[5..9].copy_from_slice(&block.piece().get().to_be_bytes());
    header[9..].copy_from_slice(&block.begin().to_be_bytes());
    header
}

impl Message<'_> {
    /// Appends the message to `out`, its length prefix first.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => frame(out, id::CHOKE, [], &[]),
            Self::Unchoke => frame(out, id::UNCHOKE, [], &[]),
            Self::Interested => frame(out, id::INTERESTED, [], &[]),
            Self::NotInterested => frame(out, id::NOT_INTERESTED, [], &[]),
            Self::Have { index } => frame(out, id::HAVE, [index], &[]),
            Self::Bitfield { bits } => frame(out, id::BITFIELD, [], bits),
            Self::Request { index, begin, len } => frame(out, id::REQUEST, [index, begin, len], &[]),
            Self::Piece { index, begin, data } => frame(out, id::PIECE, [index, begin], data),
            Self::Cancel { index, begin, len } => frame(out, id::CANCEL, [index, begin, len], &[]),
            Self::Suggest { index } => frame(out, id::SUGGEST, [index], &[]),
            Self::HaveAll => frame(out, id::HAVE_ALL, [], &[]),
            Self::HaveNone => frame(out, id::HAVE_NONE, [], &[]),
            Self::Reject { index, begin, len } => frame(out, id::REJECT, [index, begin, len], &[]),
            Self::AllowedFast { index } => frame(out, id::ALLOWED_FAST, [index], &[]),
            Self::Extended { id, payload } => {
                out.reserve(6 + payload.len());
                prefix(out, 2 + payload.len());
                out.extend_from_slice(&[id::EXTENDED, id]);
                out.extend_from_slice(payload);
            }
            Self::Unknown { id, payload } => frame(out, id, [], payload),
        }
    }
}

fn frame<const N: usize>(out: &mut Vec<u8>, id: u8, numbers: [u32; N], payload: &[u8]) {
    let len = 1 + 4 * N + payload.len();
    out.reserve(4 + len);
    prefix(out, len);
    out.push(id);
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    out.extend_from_slice(payload);
}

fn prefix(out: &mut Vec<u8>, len: usize) {
    let prefix = u32::try_from(len).expect("a message is shorter than 4 GiB");
    out.extend_from_slice(&prefix.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::Geometry;

    fn encoded(message: Message<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn messages_look_as_bep_3_has_them() {
        assert_eq!(encoded(Message::KeepAlive), b"\0\0\0\0");
        assert_eq!(encoded(Message::Choke), b"\0\0\0\x01\x00");
        assert_eq!(encoded(Message::Unchoke), b"\0\0\0\x01\x01");
        assert_eq!(encoded(Message::Interested), b"\0\0\0\x01\x02");
        assert_eq!(encoded(Message::NotInterested), b"\0\0\0\x01\x03");
        assert_eq!(encoded(Message::Have { index: 0x0102_0304 }), b"\0\0\0\x05\x04\x01\x02\x03\x04");
        assert_eq!(encoded(Message::Bitfield { bits: b"\xF0\x80" }), b"\0\0\0\x03\x05\xF0\x80");
        let request = Message::Request { index: 1, begin: 0x4000, len: 0x2000 };
        assert_eq!(encoded(request), b"\0\0\0\x0D\x06\0\0\0\x01\0\0\x40\0\0\0\x20\0");
        let piece = Message::Piece { index: 2, begin: 3, data: b"abc" };
        assert_eq!(encoded(piece), b"\0\0\0\x0C\x07\0\0\0\x02\0\0\0\x03abc");
        let cancel = Message::Cancel { index: 1, begin: 0x4000, len: 0x2000 };
        assert_eq!(encoded(cancel), b"\0\0\0\x0D\x08\0\0\0\x01\0\0\x40\0\0\0\x20\0");
        assert_eq!(encoded(Message::Unknown { id: 99, payload: b"ab" }), b"\0\0\0\x03\x63ab");
    }

    #[test]
    fn messages_look_as_bep_6_and_bep_10_have_them() {
        assert_eq!(encoded(Message::Suggest { index: 7 }), b"\0\0\0\x05\x0D\0\0\0\x07");
        assert_eq!(encoded(Message::HaveAll), b"\0\0\0\x01\x0E");
        assert_eq!(encoded(Message::HaveNone), b"\0\0\0\x01\x0F");
        let reject = Message::Reject { index: 1, begin: 0x4000, len: 0x2000 };
        assert_eq!(encoded(reject), b"\0\0\0\x0D\x10\0\0\0\x01\0\0\x40\0\0\0\x20\0");
        assert_eq!(encoded(Message::AllowedFast { index: 7 }), b"\0\0\0\x05\x11\0\0\0\x07");
        assert_eq!(encoded(Message::Extended { id: 0, payload: b"de" }), b"\0\0\0\x04\x14\0de");
    }

    #[test]
    fn a_piece_header_and_its_payload_are_a_piece_message() {
        let geometry = Geometry::new(100, 60).unwrap();
        let block = geometry.range(1, 5, 3).unwrap();
        let message = Message::Piece { index: 1, begin: 5, data: b"abc" };
        assert_eq!([&piece_header(block)[..], b"abc"].concat(), encoded(message));
    }
}
