//! Where chance comes from: the core has none of its own.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// A number that nobody can guess: the standard library takes its hash keys from the system.
#[must_use]
pub fn seed() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_differ() {
        assert_ne!(super::seed(), super::seed());
    }
}
