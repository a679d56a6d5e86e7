//! The wire protocol against arbitrary bytes.

use peerless_core::piece::BLOCK_LEN;
use peerless_sim::speak;
use peerless_tests::check;
use proptest::prelude::*;

proptest! {
    #[test]
    fn arbitrary_bytes_decode_the_same_however_cut(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check::wire(&bytes);
    }

    #[test]
    fn plausible_streams_decode_the_same_however_cut(
        head in prop::array::uniform6(any::<u8>()),
        messages in prop::collection::vec(
            (0_u8..12, prop::array::uniform3(0_u32..1000), 0_usize..60, any::<bool>()),
            0..30,
        ),
    ) {
        let mut bytes = head.to_vec();
        for (id, numbers, len, keep_alive) in messages {
            let (count, payload): (usize, &[u8]) = match id {
                speak::HAVE => (1, &[]),
                speak::REQUEST | speak::CANCEL => (3, &[]),
                speak::PIECE => (2, &[7; BLOCK_LEN as usize][..len * 200 + 1]),
                speak::BITFIELD => (0, &[0; 60][..len]),
                9.. => (0, &[9; 60][..len]),
                _ => (0, &[]),
            };
            speak::message(&mut bytes, id, &numbers[..count], payload);
            if keep_alive {
                bytes.extend_from_slice(&[0; 4]);
            }
        }
        check::wire(&bytes);
    }

    #[test]
    fn a_handshake_means_the_same_however_cut(
        cuts in any::<[u8; 2]>(),
        right in any::<bool>(),
        mut stream in prop::collection::vec(any::<u8>(), 0..90),
    ) {
        if right {
            stream.splice(..0, *b"\x13BitTorrent protocol");
        }
        stream.splice(..0, cuts);
        check::handshake(&stream);
    }
}
