//! The first 68 bytes from either side.

use nom::bytes::streaming::{tag, take};
use nom::combinator::map_opt;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::id::{InfoHash, PeerId};
use crate::wire::WireError;

/// Bytes of a handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// The extensions that we speak: the fast extension and the extension protocol.
pub const RESERVED: [u8; 8] = {
    let mut reserved = [0; 8];
    reserved[EXTENSIONS.0] |= EXTENSIONS.1;
    reserved[FAST.0] |= FAST.1;
    reserved
};

/// What every handshake begins with: the protocol's name with its length in front.
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The reserved bit of the extension protocol (BEP 10), as byte and mask.
const EXTENSIONS: (usize, u8) = (5, 0x10);

/// The reserved bit of the fast extension (BEP 6), as byte and mask.
const FAST: (usize, u8) = (7, 0x04);

/// What a peer says first (BEP 3, "peer protocol").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handshake {
    /// Bits of extensions; zeros where none is spoken. [`RESERVED`] are ours.
    pub reserved: [u8; 8],
    /// The torrent it is about.
    pub info_hash: InfoHash,
    /// Who speaks.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HANDSHAKE_LEN] {
        let mut bytes = [0; HANDSHAKE_LEN];
        bytes[..20].copy_from_slice(PROTOCOL);
        bytes[20..28].copy_from_slice(&self.reserved);
        bytes[28..48].copy_from_slice(self.info_hash.as_bytes());
        bytes[48..].copy_from_slice(self.peer_id.as_bytes());
        bytes
    }

    /// Whether the speaker knows the extension protocol (BEP 10).
    #[must_use]
    pub const fn has_extensions(&self) -> bool {
        self.reserved[EXTENSIONS.0] & EXTENSIONS.1 != 0
    }

    /// Whether the speaker knows the fast extension (BEP 6).
    #[must_use]
    pub const fn has_fast(&self) -> bool {
        self.reserved[FAST.0] & FAST.1 != 0
    }
}

/// Collects a handshake from any split of the stream.
#[derive(Clone, Debug)]
pub struct HandshakeDecoder {
    bytes: [u8; HANDSHAKE_LEN],
    held: usize,
}

/// What [`HandshakeDecoder::step`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeStep {
    /// All of the input was taken and more is needed.
    NeedMore,
    /// The handshake is whole.
    Done {
        /// It.
        handshake: Handshake,
        /// How many bytes of the input it took; messages follow.
        used: usize,
    },
}

impl Default for HandshakeDecoder {
    fn default() -> Self {
        Self { bytes: [0; HANDSHAKE_LEN], held: 0 }
    }
}

impl HandshakeDecoder {
    /// Takes the next bytes of the stream. Not to be called again after `Done`.
    ///
    /// # Errors
    /// At the first byte that cannot be part of a handshake, before the rest has come; and from
    /// then on.
    pub fn step(&mut self, input: &[u8]) -> Result<HandshakeStep, WireError> {
        let free = self.bytes.iter_mut().skip(self.held);
        let used = free.zip(input).map(|(to, from)| *to = *from).count();
        self.held += used;
        let held = self.bytes.get(..self.held).unwrap_or_default();
        match parse(held) {
            Ok((_, handshake)) => Ok(HandshakeStep::Done { handshake, used }),
            Err(nom::Err::Incomplete(_)) => Ok(HandshakeStep::NeedMore),
            Err(nom::Err::Error(()) | nom::Err::Failure(())) => Err(WireError::NotBitTorrent),
        }
    }
}

fn parse(input: &[u8]) -> IResult<&[u8], Handshake, ()> {
    let fields = (array, array, array);
    let mut handshake = preceded(tag(&PROTOCOL[..]), fields).map(|(reserved, info_hash, peer_id)| {
        Handshake { reserved, info_hash: InfoHash::new(info_hash), peer_id: PeerId::new(peer_id) }
    });
    handshake.parse(input)
}

fn array<const N: usize>(input: &[u8]) -> IResult<&[u8], [u8; N], ()> {
    map_opt(take(N), |bytes: &[u8]| bytes.try_into().ok()).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn handshake() -> Handshake {
        let info_hash = InfoHash::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        Handshake { reserved: [0, 0, 0, 0, 0, 0x10, 0, 5], info_hash, peer_id: PeerId::new([b'p'; 20]) }
    }

    #[test]
    fn any_cut_gives_the_same_handshake_and_leaves_the_rest() {
        let mut stream = handshake().encode().to_vec();
        stream.extend_from_slice(b"messages");
        for first in 0..HANDSHAKE_LEN {
            for second in first..HANDSHAKE_LEN {
                let mut decoder = HandshakeDecoder::default();
                assert_eq!(decoder.step(&stream[..first]), Ok(HandshakeStep::NeedMore));
                assert_eq!(decoder.step(&stream[first..second]), Ok(HandshakeStep::NeedMore));
                let done = HandshakeStep::Done { handshake: handshake(), used: HANDSHAKE_LEN - second };
                assert_eq!(decoder.step(&stream[second..]), Ok(done));
            }
        }
    }

    #[test]
    fn the_reserved_bits_are_where_bep_6_and_bep_10_have_them() {
        assert_eq!(RESERVED, [0, 0, 0, 0, 0, 0x10, 0, 0x04]);
        let of = |reserved| {
            let handshake = Handshake { reserved, ..handshake() };
            (handshake.has_extensions(), handshake.has_fast())
        };
        assert_eq!([of(RESERVED), of([0; 8]), of([0xEF; 8])], [(true, true), (false, false), (false, true)]);
    }

    #[test]
    fn it_fails_at_the_first_wrong_byte_and_stays_so() {
        for wrong in 0..PROTOCOL.len() {
            let mut decoder = HandshakeDecoder::default();
            assert_eq!(decoder.step(&PROTOCOL[..wrong]), Ok(HandshakeStep::NeedMore));
            assert_eq!(decoder.step(&[PROTOCOL[wrong] ^ 0x20]), Err(WireError::NotBitTorrent));
            assert_eq!(decoder.step(&PROTOCOL[wrong..]), Err(WireError::NotBitTorrent));
        }
    }

    #[test]
    fn other_protocols_are_refused() {
        for stream in [&b"GET / HTTP/1.1\r\n"[..], b"\x13bittorrent protocol", b"\0", b"\x16\x03\x01"] {
            assert_eq!(HandshakeDecoder::default().step(stream), Err(WireError::NotBitTorrent));
        }
    }

    proptest! {
        #[test]
        fn bytes_behind_the_protocol_name_are_all_taken_as_they_are(rest in prop::array::uniform32(any::<u8>())) {
            let mut stream = [0; HANDSHAKE_LEN];
            stream[..20].copy_from_slice(PROTOCOL);
            stream[20..52].copy_from_slice(&rest);
            let step = HandshakeDecoder::default().step(&stream).unwrap();
            let HandshakeStep::Done { handshake, used: HANDSHAKE_LEN } = step else { panic!("{step:?}") };
            prop_assert_eq!(handshake.encode(), stream);
        }
    }
}
