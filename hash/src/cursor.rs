//! Messages side by side: which of them take the next step together, and how far.

use crate::backend::{self, Backend, Lane};
use crate::message::{BLOCK_LEN, Sha1};

/// A message and what is still to be hashed of it.
pub(crate) struct Cursor<'a> {
    message: &'a mut Sha1,
    /// Bytes of the part at hand.
    bytes: &'a [u8],
    /// The parts behind it.
    parts: &'a [&'a [u8]],
    end: End,
}

/// What comes behind a message's last part.
enum End {
    /// Nothing: the message goes on later, or its padding is in place.
    Open,
    /// The padding.
    Pad,
    /// The second half of the padding.
    PadOn,
}

impl<'a> Cursor<'a> {
    /// Through one part of a message that goes on.
    pub(crate) fn update(message: &'a mut Sha1, part: &'a [u8]) -> Self {
        Self { message, bytes: part, parts: &[], end: End::Open }
    }

    /// Through the last parts of a message.
    pub(crate) fn finish(message: &'a mut Sha1, parts: &'a [&'a [u8]]) -> Self {
        Self { message, bytes: &[], parts, end: End::Pad }
    }

    /// How many blocks lie in a row; 0 at the end.
    fn ready(&mut self) -> usize {
        loop {
            if self.message.is_tail_full() {
                return 1;
            }
            if !self.message.has_tail() && self.bytes.len() >= BLOCK_LEN {
                return self.bytes.len() / BLOCK_LEN;
            }
            self.bytes = self.message.stash(self.bytes);
            if !self.bytes.is_empty() {
                continue;
            }
            match (self.parts.split_first(), &self.end) {
                (Some((next, behind)), _) => (self.bytes, self.parts) = (next, behind),
                (None, _) if self.message.is_tail_full() => {}
                (None, End::Open) => return 0,
                (None, End::Pad) => self.end = if self.message.pad() { End::Open } else { End::PadOn },
                (None, End::PadOn) => {
                    self.message.pad_on();
                    self.end = End::Open;
                }
            }
        }
    }

    /// Takes the next `count` blocks, of those that are [`ready`](Self::ready).
    fn take(&mut self, count: usize) -> Lane<'_> {
        if self.message.is_tail_full() {
            let (state, tail) = self.message.take_tail();
            return Lane { state, blocks: std::slice::from_ref(tail) };
        }
        let (run, rest) = self.bytes.split_at(count * BLOCK_LEN);
        self.bytes = rest;
        Lane { state: self.message.take_blocks(count), blocks: run.as_chunks().0 }
    }
}

/// Takes every cursor to its end.
///
/// A message that ends leaves its lane to one that waits. When too few are left to fill the lanes
/// of a backend, another takes over: the state between two blocks is the same in all.
pub(crate) fn run(backends: &[Backend], cursors: &mut [Cursor<'_>]) {
    let mut waiting: Vec<&mut Cursor<'_>> = cursors.iter_mut().collect();
    while !waiting.is_empty() {
        let backend = backend::choose(backends, waiting.len());
        let mut block_count = usize::MAX;
        let mut chosen = 0;
        while chosen < backend.lane_count()
            && let Some(cursor) = waiting.get_mut(chosen)
        {
            match cursor.ready() {
                0 => drop(waiting.swap_remove(chosen)),
                ready => {
                    block_count = block_count.min(ready);
                    chosen += 1;
                }
            }
        }
        let mut lanes: Vec<_> =
            waiting.iter_mut().take(chosen).map(|cursor| cursor.take(block_count)).collect();
        backend.compress(&mut lanes);
    }
}
