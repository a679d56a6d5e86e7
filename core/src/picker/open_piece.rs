//! One open piece: which of its blocks are free, asked for, or held.

use crate::block::Block;
use crate::key::PeerKey;
use crate::piece::PieceIndex;

/// The most peers that one block is asked of at once.
///
/// A third of them brings the block hardly sooner than two, and each costs a block sent in vain.
pub const ASKERS_MAX: usize = 3;

/// The peers that one block was asked of, the first asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Askers([Option<Asker>; ASKERS_MAX]);

/// A peer that a block was asked of. When it has lapsed, the block is still taken from that peer,
/// but no longer waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asker {
    peer: PeerKey,
    lapsed: bool,
}

impl Askers {
    const fn of(peer: PeerKey) -> Self {
        let mut askers = [None; ASKERS_MAX];
        askers[0] = Some(Asker { peer, lapsed: false });
        Self(askers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn has(&self, peer: PeerKey) -> bool {
        self.iter().any(|asker| asker == peer)
    }

    /// All of them, lapsed or not.
    pub(super) fn iter(&self) -> impl Iterator<Item = PeerKey> {
        self.0.iter().flatten().map(|asker| asker.peer)
    }

    /// Those that have not lapsed.
    pub(super) fn live(&self) -> impl Iterator<Item = PeerKey> {
        self.0.iter().flatten().filter(|asker| !asker.lapsed).map(|asker| asker.peer)
    }

    /// Adds a peer; one that has lapsed is forgotten if there is no room. False if nothing changed.
    fn add(&mut self, peer: PeerKey) -> bool {
        if self.has(peer) {
            return false;
        }
        if self.0.iter().all(Option::is_some) {
            let lapsed = self.0.iter().flatten().find(|asker| asker.lapsed).map(|asker| asker.peer);
            lapsed.into_iter().for_each(|lapsed| self.remove(lapsed));
        }
        let room = self.0.iter_mut().find(|place| place.is_none());
        room.map(|place| *place = Some(Asker { peer, lapsed: false })).is_some()
    }

    fn remove(&mut self, peer: PeerKey) {
        let mut kept = self.0.iter().flatten().copied().filter(|asker| asker.peer != peer);
        self.0 = std::array::from_fn(|_| kept.next());
    }

    fn lapse(&mut self, peer: PeerKey) {
        let asker = self.0.iter_mut().flatten().find(|asker| asker.peer == peer);
        asker.into_iter().for_each(|asker| asker.lapsed = true);
    }
}

#[derive(Debug)]
enum BlockState {
    Free,
    /// By at least one peer.
    Asked(Askers),
    Held {
        data: Block,
        from: PeerKey,
    },
}

/// A piece that is neither missing nor complete in the hands of the disk.
#[derive(Debug)]
pub(super) struct OpenPiece {
    pub(super) piece: PieceIndex,
    /// Its turn among all pieces ever opened: those opened first are finished first.
    pub(super) age: u64,
    /// The peer that the latest free block was asked of: it goes on with this piece.
    pub(super) worker: PeerKey,
    blocks: Vec<BlockState>,
    /// Blocks from this one on are free and never were anything else.
    fresh: u32,
    /// The other free blocks; the last one goes first.
    returned: Vec<u32>,
    held_count: u32,
}

impl OpenPiece {
    pub(super) fn new(piece: PieceIndex, age: u64, worker: PeerKey, block_count: u32) -> Self {
        let blocks = (0..block_count).map(|_| BlockState::Free).collect();
        Self { piece, age, worker, blocks, fresh: 0, returned: Vec::new(), held_count: 0 }
    }

    pub(super) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn free_count(&self) -> usize {
        self.block_count() - self.fresh as usize + self.returned.len()
    }

    pub(super) const fn held_count(&self) -> usize {
        self.held_count as usize
    }

    pub(super) fn asked_count(&self) -> usize {
        self.block_count() - self.free_count() - self.held_count()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.held_count() == self.block_count()
    }

    /// Whether nothing would be lost with it: no block is held or asked for.
    pub(super) fn is_untouched(&self) -> bool {
        self.free_count() == self.block_count()
    }

    /// Whether every block held or asked for is this peer's.
    pub(super) fn is_all_of(&self, peer: PeerKey) -> bool {
        self.blocks.iter().all(|block| match block {
            BlockState::Free => true,
            BlockState::Asked(askers) => askers.iter().all(|asker| asker == peer),
            BlockState::Held { from, .. } => *from == peer,
        })
    }

    /// Whom the block was asked of; nobody if it's free or held.
    pub(super) fn askers(&self, number: u32) -> Askers {
        match self.blocks.get(number as usize) {
            Some(BlockState::Asked(askers)) => *askers,
            Some(BlockState::Free | BlockState::Held { .. }) | None => Askers::default(),
        }
    }

    /// Every block asked for, with whom it was asked of.
    pub(super) fn asked(&self) -> impl Iterator<Item = (u32, Askers)> {
        (0..).zip(&self.blocks).filter_map(|(number, block)| match block {
            BlockState::Asked(askers) => Some((number, *askers)),
            BlockState::Free | BlockState::Held { .. } => None,
        })
    }

    /// The free block that is to be asked for next.
    pub(super) fn next_free(&self) -> Option<u32> {
        let fresh = Some(self.fresh).filter(|&fresh| (fresh as usize) < self.block_count());
        self.returned.last().copied().or(fresh)
    }

    /// A free block, or one asked of others, is asked of `peer` too.
    pub(super) fn ask(&mut self, number: u32, peer: PeerKey) {
        let Some(block) = self.blocks.get_mut(number as usize) else { return };
        match block {
            BlockState::Free => {
                *block = BlockState::Asked(Askers::of(peer));
                self.worker = peer;
                if self.returned.last() == Some(&number) {
                    self.returned.pop();
                } else {
                    debug_assert_eq!(number, self.fresh, "only the next free block is asked for");
                    self.fresh += 1;
                }
            }
            BlockState::Asked(askers) => {
                let added = askers.add(peer);
                debug_assert!(added, "a block is asked of a peer once, and of {ASKERS_MAX} at most");
            }
            BlockState::Held { .. } => debug_assert!(false, "a held block is not asked for"),
        }
    }

    /// The block is not to come from `peer` any more. Free if it was to come from nobody else.
    pub(super) fn give_back(&mut self, number: u32, peer: PeerKey) {
        let Some(block) = self.blocks.get_mut(number as usize) else { return };
        if let BlockState::Asked(askers) = block {
            askers.remove(peer);
            if askers.is_empty() {
                *block = BlockState::Free;
                self.returned.push(number);
            }
        }
    }

    /// The block may still come from `peer` but is not waited for.
    pub(super) fn lapse(&mut self, number: u32, peer: PeerKey) {
        if let Some(BlockState::Asked(askers)) = self.blocks.get_mut(number as usize) {
            askers.lapse(peer);
        }
    }

    /// The block has come; it must have been asked for.
    pub(super) fn hold(&mut self, number: u32, from: PeerKey, data: Block) {
        if let Some(block @ BlockState::Asked(_)) = self.blocks.get_mut(number as usize) {
            *block = BlockState::Held { data, from };
            self.held_count += 1;
        }
    }

    /// Forgets every block, held or asked for.
    pub(super) fn restart(&mut self) {
        self.blocks.iter_mut().for_each(|block| *block = BlockState::Free);
        (self.fresh, self.held_count) = (0, 0);
        self.returned.clear();
    }

    /// Frees the blocks held from these peers; their bytes.
    pub(super) fn discard(&mut self, lies: impl Fn(PeerKey) -> bool) -> usize {
        let mut len = 0;
        for (number, block) in (0..).zip(&mut self.blocks) {
            if let BlockState::Held { data, from } = block
                && lies(*from)
            {
                len += data.as_slice().len();
                *block = BlockState::Free;
                self.returned.push(number);
                self.held_count -= 1;
            }
        }
        len
    }

    /// Holds these blocks of a piece of which nothing is held or asked for; their bytes.
    pub(super) fn refill(&mut self, blocks: Vec<Option<(PeerKey, Block)>>) -> usize {
        let blocks = blocks.into_iter().chain(std::iter::repeat_with(|| None));
        for ((number, state), block) in (0..).zip(&mut self.blocks).zip(blocks) {
            match block {
                Some((from, data)) => {
                    *state = BlockState::Held { data, from };
                    self.held_count += 1;
                }
                None => self.returned.push(number),
            }
        }
        self.fresh = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        self.held_len()
    }

    /// Bytes of the blocks held.
    pub(super) fn held_len(&self) -> usize {
        let held = self.blocks.iter().map(|block| match block {
            BlockState::Held { data, .. } => data.as_slice().len(),
            BlockState::Free | BlockState::Asked(_) => 0,
        });
        held.sum()
    }

    /// The held blocks in order, with the giver of each.
    pub(super) fn into_blocks(self) -> (Vec<Block>, Vec<PeerKey>) {
        let held = self.blocks.into_iter().filter_map(|block| match block {
            BlockState::Held { data, from } => Some((data, from)),
            BlockState::Free | BlockState::Asked(_) => None,
        });
        held.unzip()
    }

    /// Recomputes what is cached.
    pub(super) fn check_invariants(&self) {
        let held = self.blocks.iter().filter(|block| matches!(block, BlockState::Held { .. }));
        assert_eq!(self.held_count(), held.count(), "{:?}: held blocks", self.piece);
        let mut free: Vec<_> = self.returned.clone();
        free.extend((self.fresh..).take(self.block_count() - self.fresh as usize));
        free.sort_unstable();
        let numbered = (0..).zip(&self.blocks).filter(|(_, block)| matches!(block, BlockState::Free));
        assert!(free.into_iter().eq(numbered.map(|(number, _)| number)), "{:?}: free blocks", self.piece);
        for (number, askers) in self.asked() {
            assert!(!askers.is_empty(), "{:?}: block {number} is asked of somebody", self.piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::piece::Geometry;

    fn peer(index: u32) -> PeerKey {
        PeerKey::new(index, 0)
    }

    fn open(block_count: u32) -> OpenPiece {
        let piece = Geometry::new(1, 1).and_then(|geometry| geometry.piece(0)).unwrap();
        OpenPiece::new(piece, 0, peer(0), block_count)
    }

    fn ask_next(open: &mut OpenPiece, peer: PeerKey) -> u32 {
        let number = open.next_free().unwrap();
        open.ask(number, peer);
        open.check_invariants();
        number
    }

    #[test]
    fn a_block_given_back_is_the_next_one_asked_for() {
        let mut open = open(3);
        assert_eq!([0; 2].map(|_| ask_next(&mut open, peer(0))), [0, 1]);
        open.give_back(0, peer(1));
        assert_eq!(open.free_count(), 1, "it was not asked of that peer");
        open.give_back(0, peer(0));
        assert_eq!([0; 2].map(|_| ask_next(&mut open, peer(1))), [0, 2]);
        assert_eq!((open.next_free(), open.asked_count()), (None, 3));
    }

    #[test]
    fn a_block_asked_of_two_is_free_when_both_gave_it_back() {
        let mut open = open(1);
        ask_next(&mut open, peer(0));
        open.ask(0, peer(1));
        open.give_back(0, peer(0));
        assert!(open.askers(0).iter().eq([peer(1)]) && open.free_count() == 0);
        open.give_back(0, peer(1));
        assert!(open.is_untouched());
    }

    #[test]
    fn a_lapsed_asker_makes_room_for_a_live_one() {
        let mut open = open(1);
        ask_next(&mut open, peer(0));
        (1..3).for_each(|index| open.ask(0, peer(index)));
        open.lapse(0, peer(1));
        assert!(open.askers(0).live().eq([peer(0), peer(2)]));
        open.ask(0, peer(3));
        assert!(open.askers(0).iter().eq([peer(0), peer(2), peer(3)]));
    }

    #[test]
    fn blocks_come_out_in_order_with_their_givers() {
        let mut open = open(2);
        (0..2).for_each(|index| _ = ask_next(&mut open, peer(index)));
        open.hold(1, peer(1), Block::new(vec![1]));
        assert!(!open.is_complete());
        open.hold(0, peer(0), Block::new(vec![0]));
        assert!(open.is_complete() && open.held_len() == 2);
        let (blocks, givers) = open.into_blocks();
        assert_eq!(blocks, [Block::new(vec![0]), Block::new(vec![1])]);
        assert_eq!(givers, [peer(0), peer(1)]);
    }
}
