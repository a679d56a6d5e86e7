//! The payload of one block: moved, never cloned, and kept for reuse.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The bytes of one block, from the peer that sent it to the disk.
///
/// It prints and hashes as its length alone: decisions never depend on payload, only on the
/// verdict about it, and a recording need not hold it.
#[derive(PartialEq, Eq)]
pub struct Block(Vec<u8>);

impl Block {
    /// A block that owns these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Gives the memory back.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.0.len())
    }
}

impl Hash for Block {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.len().hash(state);
    }
}

/// The most spare buffers kept: 4 MiB of 16 KiB blocks, more than one fast peer has on its way.
const SPARE_COUNT_MAX: usize = 256;

/// Buffers of written blocks, kept so that the next blocks need no allocation.
#[derive(Debug, Default)]
pub struct BlockPool {
    spare: Vec<Vec<u8>>,
}

impl BlockPool {
    /// A block with a copy of `bytes`: the one copy on its way from socket to disk.
    #[must_use]
    pub fn block(&mut self, bytes: &[u8]) -> Block {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Block(buffer)
    }

    /// Keeps the memory of a block that has served.
    pub fn give_back(&mut self, block: Block) {
        if self.spare.len() < SPARE_COUNT_MAX {
            self.spare.push(block.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_buffer_is_used_again_without_its_old_bytes() {
        let mut pool = BlockPool::default();
        let first = pool.block(b"a longer first block");
        let address = first.as_slice().as_ptr();
        pool.give_back(first);
        let second = pool.block(b"second");
        assert_eq!((second.as_slice(), second.as_slice().as_ptr()), (&b"second"[..], address));
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound() {
        let mut pool = BlockPool::default();
        (0..2 * SPARE_COUNT_MAX).for_each(|_| pool.give_back(Block::new(vec![0])));
        assert_eq!(pool.spare.len(), SPARE_COUNT_MAX);
    }
}
