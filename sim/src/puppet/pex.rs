//! What scripted peers say by peer exchange, by the letter of BEP 11 and without its bounds.

use peerless_core::rng::Rng;

use crate::speak;

/// The number that a session gives `ut_pex`.
const SESSION_ID: u8 = 4;

/// Addresses in a message.
const NAMED_COUNT: usize = 400;

/// Says that it exchanges peers.
pub(super) fn greet(out: &mut Vec<u8>) {
    speak::message(out, speak::EXTENDED, &[], b"\0d1:md6:ut_pexi1eee");
}

/// Names addresses that nobody has.
pub(super) fn names(rng: &mut Rng, out: &mut Vec<u8>) {
    let mut text = vec![SESSION_ID];
    text.extend_from_slice(format!("d5:added{}:", 6 * NAMED_COUNT).as_bytes());
    for _ in 0..NAMED_COUNT {
        let [.., a, b, c] = rng.next_u32().to_be_bytes();
        text.extend_from_slice(&[11, a, b, c, 0x1A, 0xE1]);
    }
    text.extend_from_slice(format!("7:added.f{NAMED_COUNT}:").as_bytes());
    text.resize(text.len() + NAMED_COUNT, 0x10);
    text.push(b'e');
    speak::message(out, speak::EXTENDED, &[], &text);
}
