//! The bytes to send to one peer, in order, until the system has taken them.
//!
//! Protocol bytes gather in one buffer between blocks, so that a whole pipeline of requests leaves
//! in one write. Payload is never copied: a block is a range of what was read from disk.

mod parts;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::Arc;

use crate::block::{Block, RunPool};
use crate::piece::BlockRef;
use crate::wire::{Message, PIECE_HEADER_LEN, piece_header};

pub use parts::Unsent;
pub(crate) use parts::{PartKind, Parts};

/// The bytes to send to one peer. Empty, it holds no heap.
///
/// It has no bound of its own: who pushes looks at [`SendQueue::len`] first.
#[derive(Default)]
pub(crate) struct SendQueue {
    blocks: VecDeque<Queued>,
    /// Protocol bytes behind the last block.
    tail: Vec<u8>,
    /// Bytes that have left of the first block with what stands before it, or of the tail when
    /// there is no block.
    started_len: usize,
    /// All bytes that have not left.
    len: usize,
    /// The payload bytes among them.
    payload_len: usize,
    /// How many of the first of them nobody else may see, not even as a digest: up to a login's end.
    secret_len: usize,
}

/// One block and the protocol bytes before it.
struct Queued {
    before: Vec<u8>,
    header: [u8; PIECE_HEADER_LEN],
    block: BlockRef,
    /// What was read from disk: the block lies in it at `offset`.
    data: Arc<Block>,
    offset: usize,
}

impl SendQueue {
    /// Puts a message at the end.
    pub(crate) fn push(&mut self, message: Message<'_>) {
        let tail_len = self.tail.len();
        message.encode(&mut self.tail);
        self.len += self.tail.len() - tail_len;
    }

    /// Puts protocol bytes that are no message at the end: a handshake.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Puts a login at the end, before any block.
    pub(crate) fn push_secret(&mut self, bytes: &[u8]) {
        self.push_bytes(bytes);
        self.secret_len = self.len;
    }

    /// How many of the first bytes are secret.
    #[must_use]
    pub(crate) const fn secret_len(&self) -> usize {
        self.secret_len
    }

    /// Puts a block at the end, as a piece message. Its payload lies in `data` at `offset`, so
    /// that several blocks of one read can share it.
    ///
    /// # Panics
    /// If the block does not lie within `data`.
    pub(crate) fn push_block(&mut self, block: BlockRef, data: Arc<Block>, offset: usize) {
        let queued =
            Queued { before: mem::take(&mut self.tail), header: piece_header(block), block, data, offset };
        assert_eq!(queued.payload().len(), block.len() as usize, "a block lies within what was read for it");
        self.len += queued.message_len();
        self.payload_len += queued.payload().len();
        self.blocks.push_back(queued);
    }

    /// The bytes that have not left, in order.
    #[must_use]
    pub(crate) fn unsent(&self) -> Unsent<'_> {
        Unsent::new(self.parts())
    }

    /// The bytes that have not left, in order, payload told from the rest.
    #[must_use]
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts::new(self.started_len, self.blocks.iter(), &self.tail)
    }

    /// Drops the first `len` bytes, or all if there are fewer: the system has them. Returns how many
    /// of them were payload.
    pub(crate) fn sent(&mut self, len: usize, runs: &mut RunPool) -> u64 {
        let mut left = len.min(self.len);
        let mut payload_len = 0;
        self.secret_len = self.secret_len.saturating_sub(left);
        self.len -= left;
        while left > 0
            && let Some(first) = self.blocks.front()
        {
            let (lead_len, whole_len) = (first.before.len() + PIECE_HEADER_LEN, first.len());
            let end = whole_len.min(self.started_len + left);
            payload_len += end.max(lead_len) - self.started_len.max(lead_len);
            left -= end - self.started_len;
            self.started_len = end;
            if end == whole_len {
                let sent = self.blocks.pop_front();
                self.started_len = 0;
                if let Some(run) = sent.and_then(|sent| Arc::into_inner(sent.data)) {
                    runs.give_back(run);
                }
            }
        }
        self.started_len += left;
        self.payload_len -= payload_len;
        self.release();
        payload_len as u64
    }

    /// How many bytes have not left.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether all bytes have left.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many payload bytes have not left.
    #[must_use]
    pub(crate) const fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// How many blocks have not left whole.
    #[must_use]
    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Takes out a block of which nothing has left; false if there is none. The peer has
    /// cancelled its request. Of two requests for one block it takes back one.
    pub(crate) fn remove_block(&mut self, block: BlockRef) -> bool {
        let skip = self.started_block_count();
        let at = self.blocks.iter().skip(skip).position(|queued| queued.block == block);
        let Some(at) = at else { return false };
        self.remove_at(skip + at);
        self.release();
        true
    }

    /// Takes out all blocks of which nothing has left, and says which: we choke the peer.
    pub(crate) fn remove_unstarted_blocks(&mut self) -> Vec<BlockRef> {
        let kept_count = self.started_block_count();
        let removed: Vec<_> = self.blocks.iter().skip(kept_count).map(|queued| queued.block).collect();
        removed.iter().for_each(|_| self.remove_at(kept_count));
        self.release();
        removed
    }

    /// How many blocks, one at most, have begun to leave and must go on: the peer counts on the
    /// length that it has seen.
    fn started_block_count(&self) -> usize {
        usize::from(self.blocks.front().is_some_and(|first| self.started_len > first.before.len()))
    }

    /// Takes out one block; the protocol bytes before it go before what comes next.
    fn remove_at(&mut self, at: usize) {
        let Some(mut removed) = self.blocks.remove(at) else { return };
        self.len -= removed.message_len();
        self.payload_len -= removed.payload().len();
        let next = self.blocks.get_mut(at).map_or(&mut self.tail, |queued| &mut queued.before);
        removed.before.append(next);
        *next = removed.before;
    }

    /// Lets go of memory whose bytes have left.
    fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        } else if self.blocks.is_empty() && self.started_len >= self.tail.len() / 2 {
            // Without this, a peer that never quite catches up would make the tail grow for ever.
            self.tail = self.tail.split_off(self.started_len);
            self.started_len = 0;
        }
    }
}

impl Queued {
    /// The block's content.
    fn payload(&self) -> &[u8] {
        let behind = self.data.as_slice().get(self.offset..).unwrap_or_default();
        behind.get(..self.block.len() as usize).unwrap_or_default()
    }

    /// The length of the piece message.
    fn message_len(&self) -> usize {
        PIECE_HEADER_LEN + self.payload().len()
    }

    /// The length of the piece message and what stands before it.
    fn len(&self) -> usize {
        self.before.len() + self.message_len()
    }
}

impl fmt::Debug for SendQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendQueue({} bytes, {} of payload)", self.len, self.payload_len)
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {:?}", self.before.len(), self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::Geometry;
    use proptest::prelude::*;

    /// A queue written the obvious way: whole messages, and how much of the first has left.
    #[derive(Default)]
    struct Model {
        messages: Vec<(Option<BlockRef>, Vec<u8>)>,
        started_len: usize,
    }

    impl Model {
        fn bytes(&self, want: Option<PartKind>) -> Vec<u8> {
            let kinds = self.messages.iter().flat_map(|(block, bytes)| {
                let payload_at = if block.is_some() { PIECE_HEADER_LEN } else { bytes.len() };
                let kind = move |at| if at < payload_at { PartKind::Protocol } else { PartKind::Payload };
                bytes.iter().enumerate().map(move |(at, byte)| (kind(at), *byte))
            });
            let unsent = kinds.skip(self.started_len);
            unsent.filter(|(kind, _)| want.is_none_or(|want| want == *kind)).map(|(_, byte)| byte).collect()
        }

        fn sent(&mut self, len: usize) {
            self.started_len += len;
            while let Some((_, bytes)) = self.messages.first()
                && bytes.len() <= self.started_len
            {
                self.started_len -= bytes.len();
                self.messages.remove(0);
            }
            if self.messages.is_empty() {
                self.started_len = 0;
            }
        }

        fn unstarted(&self) -> impl Iterator<Item = usize> {
            let blocks = self.messages.iter().map(|(block, _)| block.is_some()).enumerate();
            blocks.filter(|(at, is_block)| *is_block && (*at > 0 || self.started_len == 0)).map(|(at, _)| at)
        }

        fn remove_block(&mut self, block: BlockRef) -> bool {
            let at = self.unstarted().find(|at| self.messages[*at].0 == Some(block));
            at.map(|at| self.messages.remove(at)).is_some()
        }

        fn remove_unstarted_blocks(&mut self) -> Vec<BlockRef> {
            let unstarted: Vec<_> = self.unstarted().collect();
            let mut removed: Vec<_> =
                unstarted.iter().rev().map(|at| self.messages.remove(*at).0.unwrap()).collect();
            removed.reverse();
            removed
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(u32),
        PushBytes(Vec<u8>),
        PushBlock(u32),
        Sent(usize),
        RemoveBlock(u32),
        RemoveUnstarted,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            3 => any::<u32>().prop_map(Op::Push),
            1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(Op::PushBytes),
            4 => (0_u32..8).prop_map(Op::PushBlock),
            4 => prop_oneof![0_usize..20, 0_usize..300].prop_map(Op::Sent),
            3 => (0_u32..8).prop_map(Op::RemoveBlock),
            1 => Just(Op::RemoveUnstarted),
        ]
    }

    /// Block `number` of a run of 8 blocks of 30 bytes, and the run as it was read.
    fn block(number: u32) -> (BlockRef, Arc<Block>, usize) {
        let geometry = Geometry::new(240, 240).unwrap();
        let begin = number * 30;
        (geometry.range(0, begin, 30).unwrap(), Arc::new(Block::new((0..240).collect())), begin as usize)
    }

    fn bytes(queue: &SendQueue, want: Option<PartKind>) -> Vec<u8> {
        let parts = queue.parts().inspect(|(_, bytes)| assert!(!bytes.is_empty()));
        parts
            .filter(|(kind, _)| want.is_none_or(|want| want == *kind))
            .flat_map(|(_, bytes)| bytes.to_vec())
            .collect()
    }

    fn apply(op: &Op, queue: &mut SendQueue, model: &mut Model) {
        match op {
            Op::Push(index) => {
                let message = Message::Have { index: *index };
                queue.push(message);
                model.messages.push((None, Vec::new()));
                message.encode(&mut model.messages.last_mut().unwrap().1);
            }
            Op::PushBytes(bytes) => {
                queue.push_bytes(bytes);
                model.messages.push((None, bytes.clone()));
            }
            Op::PushBlock(number) => {
                let (block, data, offset) = block(*number);
                let bytes = [&piece_header(block)[..], &data.as_slice()[offset..offset + 30]].concat();
                queue.push_block(block, data, offset);
                model.messages.push((Some(block), bytes));
            }
            Op::Sent(len) => {
                let payload_len = model.bytes(Some(PartKind::Payload)).len();
                model.sent(*len);
                let left_len = model.bytes(Some(PartKind::Payload)).len();
                assert_eq!(queue.sent(*len, &mut RunPool::default()), (payload_len - left_len) as u64);
            }
            Op::RemoveBlock(number) => {
                let (block, ..) = block(*number);
                assert_eq!(queue.remove_block(block), model.remove_block(block));
            }
            Op::RemoveUnstarted => {
                assert_eq!(queue.remove_unstarted_blocks(), model.remove_unstarted_blocks());
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list_of_messages(ops in prop::collection::vec(op(), 0..60)) {
            let (mut queue, mut model) = (SendQueue::default(), Model::default());
            for op in &ops {
                apply(op, &mut queue, &mut model);
                let all = model.bytes(None);
                prop_assert_eq!(queue.unsent().collect::<Vec<_>>().concat(), &all[..]);
                for kind in [PartKind::Protocol, PartKind::Payload] {
                    prop_assert_eq!(bytes(&queue, Some(kind)), model.bytes(Some(kind)));
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (all.len(), all.is_empty()));
                prop_assert_eq!(queue.payload_len(), bytes(&queue, Some(PartKind::Payload)).len());
                if queue.is_empty() {
                    prop_assert_eq!((queue.blocks.capacity(), queue.tail.capacity()), (0, 0));
                }
            }
        }
    }

    #[test]
    fn a_pipeline_of_requests_is_one_run() {
        let mut queue = SendQueue::default();
        (0..100).for_each(|index| queue.push(Message::Request { index, begin: 0, len: 1 }));
        assert_eq!(queue.unsent().map(<[u8]>::len).collect::<Vec<_>>(), [1700]);
    }

    #[test]
    fn a_peer_that_lags_behind_does_not_make_memory_grow() {
        let mut queue = SendQueue::default();
        queue.push(Message::Have { index: 0 });
        for index in 0..10_000 {
            queue.push(Message::Have { index });
            queue.sent(9, &mut RunPool::default());
            assert!(queue.tail.capacity() < 100);
        }
    }
}
