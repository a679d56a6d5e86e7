//! Asking a second time: blocks in flight that one more peer may be asked for.
//!
//! At any time these are the blocks that nobody is waited for any more (snubbed peers). In the
//! endgame, when no block is left that nobody was asked for, they are all blocks in flight: else
//! the whole download would wait for its slowest peers. Of those the youngest come first: peers answer
//! in order, so they would come last, and are most likely to be cancelled in time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::open_piece::{ASKERS_MAX, Askers};
use crate::key::PeerKey;
use crate::piece::BlockRef;

/// Blocks of other peers that an idle peer is asked for at a time, in the endgame.
///
/// Each may come twice, so few; but several, or a peer far away would need a round trip for each.
pub const ENDGAME_COUNT: usize = 8;

/// A block after the age of its piece: about the order in which blocks were first asked for.
pub(super) type Young = (u64, BlockRef);

/// Blocks in flight that may be asked for once more.
#[derive(Debug, Default)]
pub(super) struct Doubles {
    /// Those that nobody is waited for: the oldest first, as with all pieces.
    lapsed: BTreeSet<Young>,
    /// From the first endgame on, the others: by the number of peers that each is waited for from,
    /// then the youngest first.
    live: BTreeSet<(usize, Reverse<Young>)>,
    /// From the first endgame on: the blocks waited for from each peer. What is fetched after it
    /// (after a bad piece) is little, so the account is kept to the end.
    outstanding: Option<BTreeMap<PeerKey, usize>>,
}

impl Doubles {
    pub(super) const fn has_begun(&self) -> bool {
        self.outstanding.is_some()
    }

    /// The first endgame begins, with these blocks in flight.
    pub(super) fn begin(&mut self, asked: impl Iterator<Item = (Young, Askers)>) {
        self.lapsed.clear();
        self.outstanding = Some(BTreeMap::new());
        asked.for_each(|(block, askers)| self.changed(block, &Askers::default(), &askers));
    }

    /// The peers that a block was asked of have changed.
    pub(super) fn changed(&mut self, block: Young, before: &Askers, after: &Askers) {
        self.unlist(block, before);
        self.list(block, after);
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

    fn list(&mut self, block: Young, askers: &Askers) {
        match askers.live().count() {
            0 if askers.is_empty() => {}
            0 => _ = self.lapsed.insert(block),
            live if self.has_begun() && live < ASKERS_MAX => {
                self.live.insert((live, Reverse(block)));
            }
            _ => {}
        }
    }

    fn unlist(&mut self, block: Young, askers: &Askers) {
        match askers.live().count() {
            0 => _ = self.lapsed.remove(&block),
            live => _ = self.live.remove(&(live, Reverse(block))),
        }
    }

    /// Whether no block is waited for from this peer. Known from the first endgame on.
    pub(super) fn is_idle(&self, peer: PeerKey) -> bool {
        self.outstanding.as_ref().is_some_and(|outstanding| !outstanding.contains_key(&peer))
    }

    /// The blocks that nobody is waited for.
    pub(super) fn lapsed(&self) -> impl Iterator<Item = BlockRef> {
        self.lapsed.iter().map(|(_, block)| *block)
    }

    pub(super) fn lapsed_count(&self) -> usize {
        self.lapsed.len()
    }

    /// The blocks waited for from the fewest peers first.
    pub(super) fn all(&self) -> impl Iterator<Item = BlockRef> {
        self.lapsed().chain(self.live.iter().map(|(_, Reverse((_, block)))| *block))
    }

    /// Compares with all blocks in flight.
    pub(super) fn check_invariants(&self, asked: impl Iterator<Item = (Young, Askers)>) {
        let mut fresh =
            Self { outstanding: self.outstanding.as_ref().map(|_| BTreeMap::new()), ..Self::default() };
        asked.for_each(|(block, askers)| fresh.changed(block, &Askers::default(), &askers));
        assert_eq!(self.lapsed, fresh.lapsed, "blocks that nobody is waited for");
        assert_eq!(self.live, fresh.live, "blocks that may be asked for twice");
        assert_eq!(self.outstanding, fresh.outstanding, "blocks waited for from each peer");
    }
}
