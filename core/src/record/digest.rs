//! A digest that is the same on every machine and with every compiler.

use std::hash::Hasher;

/// An odd constant with bits all over: the golden ratio, as in the generator of `rng.rs`.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A running digest of 64 bits. Guards against mistakes, not against malice.
///
/// Each step is a bijection of the state, so of two inputs that differ in one word no later step can
/// hide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(FACTOR)
    }
}

impl Digest {
    const fn step(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }

    /// Sixteen bits that tell of all that was written so far.
    pub(super) fn short(self) -> u16 {
        let [low, high, ..] = self.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.step(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.step(u64::from_le_bytes(word));
        }
        self.step(bytes.len() as u64);
    }

    // Whatever the width or the order of bytes of this machine.
    fn write_u8(&mut self, number: u8) {
        self.step(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.step(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.step(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.step(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.step(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.step(i64::try_from(number).unwrap_or_default().cast_unsigned());
    }

    fn finish(&self) -> u64 {
        // SplitMix64's last steps: every bit of the state shows in every bit of the result.
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut digest = Digest::default();
        digest.write(bytes);
        digest.finish()
    }

    proptest! {
        #[test]
        fn a_flipped_bit_always_shows(mut bytes in prop::collection::vec(any::<u8>(), 1..60), at: prop::sample::Index) {
            let before = of(&bytes);
            let bit = at.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(of(&bytes), before);
        }
    }

    #[test]
    fn it_is_the_same_on_every_machine() {
        assert_eq!(of(b"peerless"), 7_239_328_628_109_647_687);
    }
}
