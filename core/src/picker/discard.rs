//! Blocks that are thrown away because of who gave them.

use super::Picker;
use super::availability::PieceState;
use crate::block::Block;
use crate::key::PeerKey;
use crate::piece::PieceIndex;

impl Picker {
    /// Throws away what is held of open pieces from peers that lie: it is asked for anew. It looks at
    /// every block of the open pieces. Returns how many bytes it was.
    #[cold]
    pub fn discard(&mut self, lies: impl Fn(PeerKey) -> bool) -> usize {
        let mut len = 0;
        // From the end: the last one takes the place of one that is given up.
        for slot in (0..self.open.len()).rev() {
            let open = &mut self.open[slot];
            let of_piece = open.discard(&lies);
            if of_piece == 0 {
                continue;
            }
            len += of_piece;
            self.held_len -= of_piece;
            if self.open[slot].is_untouched() {
                self.exclusives.end_ownership(self.open[slot].piece);
                self.abandon(slot);
            } else {
                self.note_free(slot);
            }
        }
        len
    }

    /// Takes back a piece that was being stored, with the blocks of it that are still good, by number
    /// and with the giver of each. It's open again, or missing if there are none.
    #[cold]
    pub fn reopen(&mut self, piece: PieceIndex, blocks: Vec<Option<(PeerKey, Block)>>) {
        if !self.was_storing(piece) {
            return;
        }
        self.exclusives.end_ownership(piece);
        self.set_missing(piece);
        let worker = blocks.iter().flatten().map(|(peer, _)| *peer).next();
        let (PieceState::Missing { .. }, Some(worker)) = (self.pieces.state(piece), worker) else { return };
        let slot = self.open(piece, worker);
        self.held_len += self.open[slot].refill(blocks);
        self.note_free(slot);
    }
}
