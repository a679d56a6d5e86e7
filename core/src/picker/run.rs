//! Blocks for a source that has everything and is best asked for much at a time: a web seed.

use super::Picker;
use crate::bitfield::Bitfield;
use crate::key::PeerKey;
use crate::piece::{BlockRef, PieceIndex};
use crate::rng::Rng;

impl Picker {
    /// As [`Picker::pick`], for a source that has every piece: what it's asked for lies together as
    /// far as can be. It goes on with the piece `next`, if that is missing and no other is wanted more,
    /// or else with the one that a peer would begin, and then with those behind it.
    pub fn pick_run(
        &mut self,
        rng: &mut Rng,
        source: PeerKey,
        next: Option<PieceIndex>,
        count: usize,
        may_open: usize,
        out: &mut Vec<BlockRef>,
    ) {
        let before = out.len();
        let goal = before.saturating_add(count);
        let all = Bitfield::full(self.geometry.piece_count());
        let mut left = may_open;
        let mut last = None;
        if count > 0
            && let Some(slot) = self.find_joinable(source, &all)
        {
            last = Some(self.open[slot].piece);
            self.ask_free(slot, source, goal, out);
        }
        let top = self.pieces.top_priority();
        let is_best = |picker: &Self, piece: &PieceIndex| {
            picker.is_missing(*piece) && Some(picker.pieces.priority(*piece)) == top
        };
        while left > 0 && out.len() < goal {
            let behind = last.and_then(|last: PieceIndex| self.geometry.piece(last.get().checked_add(1)?));
            let piece = match (last, behind.or(next).filter(|piece| is_best(self, piece))) {
                (_, Some(piece)) => Some(piece),
                (None, None) => self.find_missing(rng, source, &all),
                (Some(_), None) => None,
            };
            let Some(piece) = piece else { break };
            let slot = self.open(piece, source);
            self.ask_free(slot, source, goal, out);
            last = Some(piece);
            left -= 1;
        }
        if out.len() == before && goal > before {
            let again = self.askable(self.doubles.lapsed(), source, &all, goal - before);
            self.ask_again(source, again, out);
        }
        if out.len() == before && goal > before {
            if may_open == 0 {
                self.pick_instead(rng, source, &all, goal, out);
            }
            self.pick_in_endgame(source, &all, goal, out);
        }
    }
}
