//! The blocks that one peer asks of us, from request to send queue.

use std::collections::VecDeque;
use std::sync::Arc;

use super::send_queue::SendQueue;
use crate::block::Block;
use crate::budget::Budget;
use crate::key::PeerKey;
use crate::piece::BlockRef;

/// Requests kept for one peer that can't be told that one is not; further ones are dropped.
///
/// Without the fast extension there is no way to tell a peer what we keep, and what is dropped
/// it waits for in vain: Transmission asks for what it expects to get in 10 s and gives up on that
/// only after 90 s. This many are 512 MiB, 10 s of all that one Transmission can take in, and
/// 400 KB of memory for each of the few peers that are unchoked.
pub(crate) const QUEUE_MAX: usize = 32 * 1024;

/// Requests looked through for one that is cancelled. Peers cancel in endgame, when they have few;
/// one that cancels at the end of a long queue gets its block, and costs us no long search.
const CANCEL_LOOK_MAX: usize = 1024;

/// The longest run read at once: large enough that the system's overhead is small beside the copy.
const READ_LEN_MAX: u32 = 256 * 1024;

/// Payload that may wait in the send queue while more is read: one run leaves while the next comes.
const AHEAD_LEN_MAX: usize = 256 * 1024;

/// Blocks that may be in one run, and that may wait in the send queue while more is read: four times
/// as many as make up the bytes if they are of the usual length. Each costs a hundred bytes beside
/// its payload, and a peer may ask for single bytes.
const BLOCK_COUNT_MAX: usize = 64;

/// What one peer has asked for and not got yet.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    wanted: VecDeque<BlockRef>,
    /// The blocks of the run being read, and the run; a cancelled block is taken out of the list.
    reading: Option<(BlockRef, Vec<BlockRef>)>,
}

impl Uploads {
    /// Takes a request; false if there are `max` already.
    pub(crate) fn request(&mut self, block: BlockRef, max: usize) -> bool {
        let fits = self.wanted.len() < max;
        if fits {
            self.wanted.push_back(block);
        }
        fits
    }

    /// Takes a request back; false if it is not waiting or being read any more.
    pub(crate) fn cancel(&mut self, block: BlockRef) -> bool {
        let before = self.len();
        if let Some(at) = self.wanted.iter().take(CANCEL_LOOK_MAX).position(|wanted| *wanted == block) {
            self.wanted.remove(at);
        } else if let Some((_, blocks)) = &mut self.reading {
            blocks.retain(|reading| *reading != block);
        }
        self.len() < before
    }

    /// Drops every request, as a choke does (BEP 3), and tells what they were for.
    pub(crate) fn clear(&mut self) -> Vec<BlockRef> {
        let mut dropped = self.reading.as_mut().map_or_else(Vec::new, |(_, blocks)| std::mem::take(blocks));
        dropped.extend(std::mem::take(&mut self.wanted));
        dropped
    }

    /// Requests not answered.
    pub(crate) fn len(&self) -> usize {
        self.wanted.len() + self.reading.as_ref().map_or(0, |(_, blocks)| blocks.len())
    }

    /// Whether anything is asked for that is not being read, and no read is under way.
    pub(crate) fn has_next(&self) -> bool {
        self.reading.is_none() && !self.wanted.is_empty()
    }

    /// The next run to read, if there is one, none is being read, and the send queue runs low.
    ///
    /// Requests that follow each other in a piece are read as one, of no more than `len_max` bytes unless
    /// the first is longer by itself.
    pub(crate) fn next_read(
        &mut self,
        peer: PeerKey,
        queue: &SendQueue,
        budget: &mut Budget,
        len_max: u64,
    ) -> Option<BlockRef> {
        let len_max = u32::try_from(len_max).unwrap_or(u32::MAX).min(READ_LEN_MAX);
        // A peer that reads slowly is not to have more waiting than a limit gives it at once.
        let ahead_max = AHEAD_LEN_MAX.min(len_max as usize);
        let ahead = queue.payload_len() > ahead_max || queue.block_count() > BLOCK_COUNT_MAX;
        if self.reading.is_some() || ahead {
            return None;
        }
        let mut run = *self.wanted.front()?;
        let mut count = 1;
        for next in self.wanted.iter().take(BLOCK_COUNT_MAX).skip(1) {
            match run.joined(*next) {
                Some(longer) if longer.len() <= len_max => run = longer,
                _ => break,
            }
            count += 1;
        }
        if !budget.take_upload(peer, run.len()) {
            return None;
        }
        self.reading = Some((run, self.wanted.drain(..count).collect()));
        if self.wanted.is_empty() {
            self.wanted = VecDeque::new();
        }
        Some(run)
    }

    /// Queues what was read, but for blocks that are not wanted any more. Returns the bytes that
    /// were not queued.
    pub(crate) fn on_read(&mut self, run: BlockRef, data: Block, queue: &mut SendQueue) -> u64 {
        let Some((_, blocks)) = self.reading.take_if(|(reading, _)| *reading == run) else {
            return u64::from(run.len());
        };
        let data = Arc::new(data);
        let mut unused = u64::from(run.len());
        for block in blocks {
            queue.push_block(block, Arc::clone(&data), (block.begin() - run.begin()) as usize);
            unused -= u64::from(block.len());
        }
        unused
    }

    /// The bytes of a run being read: they are counted until its read is done.
    pub(crate) fn reading_len(&self) -> u64 {
        self.reading.as_ref().map_or(0, |(run, _)| u64::from(run.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::piece::Geometry;

    fn range(begin: u32, len: u32) -> BlockRef {
        Geometry::new(1 << 20, 1 << 20).unwrap().range(0, begin, len).unwrap()
    }

    fn next(uploads: &mut Uploads, queue: &SendQueue) -> Option<BlockRef> {
        uploads.next_read(PeerKey::new(0, 0), queue, &mut Budget::new(1 << 20), u64::MAX)
    }

    fn data(len: u32) -> Block {
        Block::new((0..len).map(|i| i.to_le_bytes()[0]).collect())
    }

    #[test]
    fn neighbours_are_read_as_one_and_sent_as_asked() {
        let (mut uploads, mut queue) = (Uploads::default(), SendQueue::default());
        for (begin, len) in [(0, 100), (100, 50), (150, 50), (500, 10)] {
            assert!(uploads.request(range(begin, len), QUEUE_MAX));
        }
        assert!(uploads.has_next());
        let run = next(&mut uploads, &queue).unwrap();
        assert!(run == range(0, 200) && !uploads.has_next());
        assert_eq!(next(&mut uploads, &queue), None, "one read at a time");
        assert!(uploads.cancel(range(100, 50)) && !uploads.cancel(range(100, 50)));
        assert_eq!(uploads.on_read(run, data(200), &mut queue), 50);
        assert_eq!(queue.len(), 2 * 13 + 150);
        let sent: Vec<u8> = queue.unsent().flatten().copied().collect();
        assert_eq!(sent[13..113], data(200).as_slice()[..100]);
        assert_eq!(sent[126..], data(200).as_slice()[150..]);
        assert_eq!(next(&mut uploads, &queue), Some(range(500, 10)));
    }

    #[test]
    fn a_choke_drops_what_is_being_read_too() {
        let (mut uploads, mut queue) = (Uploads::default(), SendQueue::default());
        uploads.request(range(0, 100), QUEUE_MAX);
        let run = next(&mut uploads, &queue).unwrap();
        uploads.request(range(300, 100), QUEUE_MAX);
        assert_eq!(uploads.clear(), [range(0, 100), range(300, 100)]);
        assert_eq!((uploads.len(), uploads.reading_len()), (0, 100));
        assert_eq!(uploads.on_read(run, data(100), &mut queue), 100);
        assert!(queue.is_empty() && next(&mut uploads, &queue).is_none());
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut uploads = Uploads::default();
        let taken = (0..40_000).filter(|&i| uploads.request(range(i, 1), QUEUE_MAX)).count();
        assert_eq!(taken, 32_768);
    }

    #[test]
    fn requests_for_single_bytes_do_not_fill_the_memory() {
        let (mut uploads, mut queue) = (Uploads::default(), SendQueue::default());
        (0..1000).for_each(|begin| _ = uploads.request(range(begin, 1), QUEUE_MAX));
        (0..1000).for_each(|begin| _ = uploads.request(range(2 * begin, 1), QUEUE_MAX));
        while let Some(run) = next(&mut uploads, &queue) {
            assert!(run.len() <= 64);
            uploads.on_read(run, data(run.len()), &mut queue);
        }
        assert!(queue.block_count() <= 2 * BLOCK_COUNT_MAX && uploads.len() > 1800);
    }
}
