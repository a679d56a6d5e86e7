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

    /// Its bytes, to be overwritten.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
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

/// The shortest run whose buffer is kept. A peer that asks for single bytes must not hold a long
/// buffer for each, and the allocator serves short ones well.
const RUN_LEN_MIN: usize = 128 * 1024;

/// The most spare buffers of runs kept: 2 MiB of the longest, for as many peers as usually have a slot.
const SPARE_RUN_COUNT_MAX: usize = 8;

/// Buffers of runs that were sent, kept so that the next are read into memory that is there and
/// still in the CPU's cache. An allocator gives memory of this length back to the system each time.
#[derive(Debug, Default)]
pub(crate) struct RunPool {
    spare: Vec<Block>,
}

impl RunPool {
    /// A buffer of `len` bytes to read into. What it holds means nothing.
    pub(crate) fn buffer(&mut self, len: usize) -> Block {
        let spare = if len < RUN_LEN_MIN { None } else { self.spare.pop() };
        let mut buffer = spare.map_or_else(Vec::new, Block::into_vec);
        buffer.resize(len, 0);
        Block(buffer)
    }

    /// Keeps the memory of a run that has been sent.
    pub(crate) fn give_back(&mut self, run: Block) {
        if run.0.len() >= RUN_LEN_MIN && self.spare.len() < SPARE_RUN_COUNT_MAX {
            self.spare.push(run);
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
    fn long_buffers_serve_long_runs_again_and_no_others() {
        let mut pool = RunPool::default();
        let long = pool.buffer(2 * RUN_LEN_MIN);
        let address = long.as_slice().as_ptr();
        pool.give_back(long);
        pool.give_back(Block::new(vec![0; RUN_LEN_MIN - 1]));
        let short = pool.buffer(RUN_LEN_MIN - 1);
        assert!(short.as_slice().as_ptr() != address && short.into_vec().capacity() < RUN_LEN_MIN);
        let again = pool.buffer(RUN_LEN_MIN);
        assert_eq!((again.as_slice().as_ptr(), again.as_slice().len()), (address, RUN_LEN_MIN));
        (0..2 * SPARE_RUN_COUNT_MAX).for_each(|_| pool.give_back(Block::new(vec![0; RUN_LEN_MIN])));
        assert_eq!(pool.spare.len(), SPARE_RUN_COUNT_MAX);
    }

    #[test]
    fn the_pool_keeps_no_more_than_its_bound() {
        let mut pool = BlockPool::default();
        (0..2 * SPARE_COUNT_MAX).for_each(|_| pool.give_back(Block::new(vec![0])));
        assert_eq!(pool.spare.len(), SPARE_COUNT_MAX);
    }
}
