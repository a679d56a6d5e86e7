//! Asking a second time: blocks in flight that one more peer may be asked for.
//!
//! At any time these are the blocks that nobody is waited for any more (snubbed peers). In the
//! endgame, when no block is left that nobody was asked for, they are all blocks in flight: else
//! the whole download would wait for its slowest peers.

use std::collections::{BTreeMap, BTreeSet};

use super::open_piece::{ASKERS_MAX, Askers};
use crate::key::PeerKey;
use crate::piece::BlockRef;

/// Blocks of other peers that an idle peer is asked for at a time, in the endgame.
///
/// Each may come twice, so few; but several, or a peer far away would need a round trip for each.
pub const ENDGAME_COUNT: usize = 8;

/// Blocks in flight that may be asked for once more.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    /// By the number of peers that each is waited for from.
    blocks: BTreeSet<(usize, BlockRef)>,
    /// From the first endgame on: the blocks waited for from each peer. What is fetched after it
    /// (after a bad piece) is little, so the account is kept to the end.
    outstanding: Option<BTreeMap<PeerKey, usize>>,
}

impl Doubles {
    pub(super) const fn has_begun(&self) -> bool {
        self.outstanding.is_some()
    }

    /// The first endgame begins, with these blocks in flight.
    pub(super) fn begin(&mut self, asked: impl Iterator<Item = (BlockRef, Askers)>) {
        self.blocks.clear();
        self.outstanding = Some(BTreeMap::new());
        asked.for_each(|(block, askers)| self.changed(block, &Askers::default(), &askers));
    }

    /// The peers that a block was asked of have changed.
    pub(super) fn changed(&mut self, block: BlockRef, before: &Askers, after: &Askers) {
        let [old, new] = [before, after].map(|askers| self.key(block, askers));
        if old != new {
            old.map(|key| self.blocks.remove(&key));
            new.map(|key| self.blocks.insert(key));
        }
        let Some(outstanding) = &mut self.outstanding else { return };
        for peer in after.live() {
            *outstanding.entry(peer).or_default() += 1;
        }
        for peer in before.live() {
            let count = outstanding.entry(peer).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                outstanding.remove(&peer);
            }
        }
    }

    fn key(&self, block: BlockRef, askers: &Askers) -> Option<(usize, BlockRef)> {
        let live = askers.live().count();
        let may = !askers.is_empty() && (live == 0 || (self.has_begun() && live < ASKERS_MAX));
        may.then_some((live, block))
    }

    /// Whether no block is waited for from this peer. Known from the first endgame on.
    pub(super) fn is_idle(&self, peer: PeerKey) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| !outstanding.contains_key(&peer))
    }

    /// The blocks that nobody is waited for.
    pub(super) fn lapsed(&self) -> impl Iterator<Item = BlockRef> {
        self.blocks.iter().take_while(|(live, _)| *live == 0).map(|(_, block)| *block)
    }

    pub(super) fn lapsed_count(&self) -> usize {
        self.lapsed().count()
    }

    /// The blocks waited for from the fewest peers first.
    pub(super) fn all(&self) -> impl Iterator<Item = BlockRef> {
        self.blocks.iter().map(|(_, block)| *block)
    }

    /// Compares with all blocks in flight.
    pub(super) fn check_invariants(&self, asked: impl Iterator<Item = (BlockRef, Askers)>) {
        let mut fresh =
            Self { outstanding: self.outstanding.as_ref().map(|_| BTreeMap::new()), ..Self::default() };
        asked.for_each(|(block, askers)| fresh.changed(block, &Askers::default(), &askers));
        assert_eq!(self.blocks, fresh.blocks, "blocks that may be asked for again");
        assert_eq!(self.outstanding, fresh.outstanding, "blocks waited for from each peer");
    }
}
