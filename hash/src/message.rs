//! One message on its way through SHA-1.

use std::fmt;

use crate::{Digest, backend};

/// The five words that the blocks hashed so far come to.
pub(crate) type State = [u32; 5];

/// What SHA-1 works on at once.
pub(crate) type Block = [u8; BLOCK_LEN];

/// Bytes of a [`Block`].
pub(crate) const BLOCK_LEN: usize = 64;

/// FIPS 180-4, 5.3.1.
const START: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// Where the message's length in bits stands in its last block.
const LENGTH_AT: usize = BLOCK_LEN - size_of::<u64>();

/// A SHA-1 being computed.
#[derive(Clone)]
pub struct Sha1 {
    pub(crate) state: State,
    /// Bytes of the message, modulo 2^64.
    len: u64,
    /// The first `tail_len` bytes have come and are not hashed. It is full only while a cursor is
    /// at work.
    tail: Block,
    tail_len: usize,
}

impl Default for Sha1 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha1").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Sha1 {
    /// Of a message of which nothing has come yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: START, len: 0, tail: [0; BLOCK_LEN], tail_len: 0 }
    }

    /// Hashes further bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.tail_len == 0 {
                let (blocks, rest) = bytes.as_chunks();
                backend::compress(self.take_blocks(blocks.len()), blocks);
                bytes = rest;
            }
            bytes = self.stash(bytes);
            self.hash_tail();
        }
    }

    /// The digest of all bytes.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        if !self.pad() {
            self.hash_tail();
            self.pad_on();
        }
        self.hash_tail();
        self.digest()
    }

    /// What the state says, once the padding is hashed.
    pub(crate) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// Whether bytes wait in the tail, so that what comes next must go there too.
    pub(crate) const fn has_tail(&self) -> bool {
        self.tail_len > 0
    }

    /// Whether the tail is a whole block.
    pub(crate) const fn is_tail_full(&self) -> bool {
        self.tail_len == BLOCK_LEN
    }

    /// Takes bytes into the tail, until it is full, and returns the others.
    pub(crate) fn stash<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = self.tail.get_mut(self.tail_len..).unwrap_or_default();
        let (mine, rest) = bytes.split_at(bytes.len().min(room.len()));
        room.iter_mut().zip(mine).for_each(|(to, from)| *to = *from);
        self.tail_len += mine.len();
        self.len = self.len.wrapping_add(mine.len() as u64);
        rest
    }

    /// Takes the full tail out, to be hashed now.
    pub(crate) const fn take_tail(&mut self) -> (&mut State, &Block) {
        self.tail_len = 0;
        (&mut self.state, &self.tail)
    }

    /// The state, to hash so many blocks into it that follow what has come.
    pub(crate) const fn take_blocks(&mut self, block_count: usize) -> &mut State {
        self.len = self.len.wrapping_add((block_count * BLOCK_LEN) as u64);
        &mut self.state
    }

    /// Fills the tail with the padding (FIPS 180-4, 5.1.1): a one bit, zeros, the length in bits.
    /// If that takes a further block, gives false: hash this one and call [`pad_on`](Self::pad_on).
    pub(crate) fn pad(&mut self) -> bool {
        let start = std::mem::replace(&mut self.tail_len, BLOCK_LEN);
        if let Some((first, rest)) = self.tail.get_mut(start..).and_then(<[u8]>::split_first_mut) {
            *first = 0x80;
            rest.fill(0);
        }
        let fits = start < LENGTH_AT;
        if fits {
            self.put_len();
        }
        fits
    }

    /// Fills the tail with the block that is only padding.
    pub(crate) fn pad_on(&mut self) {
        (self.tail, self.tail_len) = ([0; BLOCK_LEN], BLOCK_LEN);
        self.put_len();
    }

    fn put_len(&mut self) {
        self.tail[LENGTH_AT..].copy_from_slice(&self.len.wrapping_mul(8).to_be_bytes());
    }

    fn hash_tail(&mut self) {
        if self.is_tail_full() {
            let (state, tail) = self.take_tail();
            backend::compress(state, std::slice::from_ref(tail));
        }
    }
}
