//! The payload of one block: moved, never cloned, and kept for reuse.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::piece::BLOCK_LEN;

/// The bytes of one block, from the peer that sent it to the disk.
///
/// It prints and hashes as its length alone: decisions never depend on payload, only on the
/// verdict about it, and a recording need not hold it.
///
/// Where all of it is zero it takes no memory: so thousands of sessions in one process, or a
/// recording done again, can move a payload of zeros in place of one that matters to nobody.
pub struct Block(Bytes);

enum Bytes {
    Own(Vec<u8>),
    /// Bytes that the program holds anyway.
    Static(&'static [u8]),
}

/// What a block of zeros that came from a peer shows as its bytes.
pub static ZEROS: [u8; BLOCK_LEN as usize] = [0; BLOCK_LEN as usize];

impl Block {
    /// A block that owns these bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(Bytes::Own(bytes))
    }

    /// A block of bytes that the program holds anyway: it takes no memory of its own.
    #[must_use]
    pub const fn of_static(bytes: &'static [u8]) -> Self {
        Self(Bytes::Static(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Bytes::Own(bytes) => bytes,
            Bytes::Static(bytes) => bytes,
        }
    }

    /// Gives the memory back.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Bytes::Own(bytes) => bytes,
            Bytes::Static(bytes) => bytes.to_vec(),
        }
    }

    /// The block without memory of its own, if all of its bytes are zero. For nearly all payload the
    /// first byte tells that they are not.
    fn of_zeros(bytes: &[u8]) -> Option<Self> {
        let zeros = ZEROS.get(..bytes.len()).filter(|_| bytes.first() == Some(&0))?;
        (zeros == bytes).then_some(Self::of_static(zeros))
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Block {}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.as_slice().len())
    }
}

impl Hash for Block {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().len().hash(state);
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
        if let Some(zeros) = Block::of_zeros(bytes) {
            return zeros;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        Block::new(buffer)
    }

    /// Keeps the memory of a block that has served.
    pub fn give_back(&mut self, block: Block) {
        if self.spare.len() < SPARE_COUNT_MAX
            && let Bytes::Own(buffer) = block.0
        {
            self.spare.push(buffer);
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
    spare: Vec<Vec<u8>>,
}

impl RunPool {
    /// A buffer of `len` bytes to read into.
    pub(crate) fn buffer(&mut self, len: usize) -> ReadBuffer {
        let spare = if len < RUN_LEN_MIN { None } else { self.spare.pop() };
        ReadBuffer { spare: spare.unwrap_or_default(), len }
    }

    /// Keeps the memory of a run that has been sent.
    pub(crate) fn give_back(&mut self, run: Block) {
        if self.spare.len() < SPARE_RUN_COUNT_MAX
            && let Bytes::Own(buffer) = run.0
            && buffer.len() >= RUN_LEN_MIN
        {
            self.spare.push(buffer);
        }
    }
}

/// Memory for a run that is to be read. There may be none yet: who reads in another way needs none.
///
/// It prints and hashes as its length, like a block.
#[derive(Debug)]
pub struct ReadBuffer {
    spare: Vec<u8>,
    len: usize,
}

impl ReadBuffer {
    /// A buffer of `len` bytes that has no memory yet.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self { spare: Vec::new(), len }
    }

    /// The bytes to read into. What they hold means nothing.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.spare.resize(self.len, 0);
        &mut self.spare
    }

    /// What was read.
    #[must_use]
    pub fn into_block(mut self) -> Block {
        self.spare.resize(self.len, 0);
        Block::new(self.spare)
    }
}

impl Hash for ReadBuffer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
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
    fn zeros_take_no_memory_and_are_what_they_look_like() {
        let mut pool = BlockPool::default();
        let blocks = [pool.block(&[0; 300]), pool.block(&[0; 300])];
        assert_eq!(blocks[0].as_slice(), [0; 300]);
        assert_eq!(blocks[0].as_slice().as_ptr(), blocks[1].as_slice().as_ptr());
        for block in blocks {
            pool.give_back(block);
        }
        assert!(pool.spare.is_empty());
        let almost = [[0; 299].as_slice(), &[1]].concat();
        assert_eq!(pool.block(&almost), Block::new(almost));
        let long = vec![0; BLOCK_LEN as usize + 1];
        assert_eq!(pool.block(&long), Block::new(long));
        assert_eq!(Block::of_static(b"abc").into_vec(), b"abc");
    }

    #[test]
    fn long_buffers_serve_long_runs_again_and_no_others() {
        let mut pool = RunPool::default();
        let long = pool.buffer(2 * RUN_LEN_MIN).into_block();
        let address = long.as_slice().as_ptr();
        pool.give_back(long);
        pool.give_back(Block::new(vec![0; RUN_LEN_MIN - 1]));
        let short = pool.buffer(RUN_LEN_MIN - 1).into_block();
        assert!(short.as_slice().as_ptr() != address && short.into_vec().capacity() < RUN_LEN_MIN);
        let again = pool.buffer(RUN_LEN_MIN).into_block();
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
