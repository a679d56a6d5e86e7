//! A digest of what sessions do, taken of each output: so it has to be fast, and nobody attacks it.

use std::hash::Hasher;

/// An odd constant with bits all over: the golden ratio.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A running digest of 64 bits, the same in every run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digest(u64);

impl Digest {
    const fn step(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.step(u64::from_le_bytes(word));
        }
        self.step(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
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

    fn finish(&self) -> u64 {
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^ (z >> 27)
    }
}
