//! Where chance comes from: the core has none of its own.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A number that nobody can guess: the standard library takes its hash keys from the system.
#[must_use]
pub fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// A key that nobody can guess.
#[must_use]
pub fn key() -> [u8; 32] {
    let state = RandomState::new();
    let mut key = [0; 32];
    for (part, number) in key.chunks_mut(8).zip(0_u8..) {
        part.copy_from_slice(&state.hash_one(number).to_ne_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_differ() {
        assert_ne!(super::seed(), super::seed());
        assert_ne!(super::key(), super::key());
    }
}
