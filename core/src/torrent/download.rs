//! The way of a block down: asked of a peer, taken in, stored as part of a verified piece.

use std::sync::Arc;

use super::storing::Storing;
use super::suspects::Suspects;
use super::verdict::Giver;
use crate::bitfield::Bitfield;
use crate::cx::Cx;
use crate::job::BlockDigest;
use crate::key::{PeerKey, TorrentKey};
use crate::peer::{Peer, PeerError, Peers};
use crate::picker::{Picker, Received};
use crate::piece::{BlockRef, PieceIndex};
use crate::priority::Priority;
use crate::storage::Storage;
use crate::webseed::first_run;
use crate::wire::Message;

/// Blocks that a peer may have sent unasked, less those it was asked for, before it is left. Blocks
/// that cross our cancels are honest; one pipeline of them is the most there can be, doubled.
const UNASKED_MAX: u32 = 1000;

/// What only a torrent has that wants pieces.
#[derive(Debug)]
pub(crate) struct Download {
    pub(super) torrent: TorrentKey,
    storage: Arc<Storage>,
    pub(crate) picker: Picker,
    /// Pieces on their way to disk.
    pub(super) storing: Storing,
    pub(super) suspects: Suspects,
    /// By file, how many of its pieces are missing.
    file_left: Vec<u32>,
    /// Pieces counted in the session's budget: those open and those on their way to disk.
    counted: usize,
    /// Whether peers with room in their pipeline may find something new to ask for.
    pub(crate) refill: bool,
}

impl Download {
    pub(crate) fn new(cx: &mut Cx, torrent: TorrentKey, storage: &Arc<Storage>, have: &Bitfield) -> Self {
        let metainfo = &storage.metainfo;
        let geometry = *metainfo.geometry();
        let mut file_left = vec![0; metainfo.layout().files().len()];
        for piece in geometry.pieces().filter(|piece| !have.has(*piece)) {
            for span in metainfo.layout().spans(&geometry, geometry.whole(piece)) {
                file_left[span.file] += 1;
            }
        }
        Self {
            torrent,
            storage: Arc::clone(storage),
            picker: Picker::new(geometry, have, &mut cx.rng),
            storing: Storing::new(torrent, storage),
            suspects: Suspects::default(),
            file_left,
            counted: 0,
            refill: false,
        }
    }

    /// The files that nothing is missing of.
    pub(crate) fn complete_files(&self) -> impl Iterator<Item = usize> {
        let files = self.storage.metainfo.layout().files().iter().zip(&self.file_left).enumerate();
        files.filter(|(_, (file, left))| **left == 0 && !file.padding).map(|(index, _)| index)
    }

    /// Whether nothing that is wanted is missing or on its way to disk.
    pub(crate) fn is_whole(&self) -> bool {
        self.picker.wanted_count() == 0 && self.storing.len() == 0
    }

    /// Gives pieces their priorities, which `None` leaves at the usual one for all, and takes back
    /// what is no longer wanted.
    pub(crate) fn choose(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        priorities: Option<&[Priority]>,
        sequential: bool,
    ) {
        let geometry = *self.storage.metainfo.geometry();
        // Taken out of use first, or each change would be made to it too.
        self.picker.set_in_order(false);
        for piece in geometry.pieces() {
            let priority = priorities.map(|priorities| priorities.get(piece.as_usize()));
            let priority = priority.flatten().copied().unwrap_or_default();
            for (peer, block) in self.picker.set_priority(piece, priority) {
                self.cancel_at(cx, peers, peer, block);
            }
        }
        self.picker.set_in_order(sequential);
        self.suspects.retain(|piece| self.picker.priority(piece).is_wanted());
        self.refill = true;
        self.settle(cx);
    }

    /// Whether nothing is asked for because pieces on their way to disk take all the room, or are all
    /// that is missing.
    pub(super) fn waits_for_disk(&self, cx: &Cx) -> bool {
        let is_last = self.storing.len() > 0 && self.picker.wanted_count() == 0;
        (is_last || self.has_no_room(cx)) && self.picker.asked_count() == 0
    }

    /// Whether no further piece may be opened before others are on disk.
    pub(super) fn has_no_room(&self, cx: &Cx) -> bool {
        self.storing.len() > 0 && self.may_open(cx) == 0
    }

    /// Fills the pipeline of a peer, as far as it lets us request.
    pub(crate) fn fill(&mut self, cx: &mut Cx, peer: &mut Peer) {
        let key = peer.key;
        let Some(open) = peer.open_mut() else { return };
        let room = open.requests.room();
        if room == 0 || !open.flow.am_interested {
            return;
        }
        let geometry = self.storage.metainfo.geometry();
        let choking = open.flow.peer_choking;
        // BEP 6: some pieces may be asked for while choked, others are advised when not.
        let mut first = open.fast.first(geometry, choking, |piece| self.picker.wants(piece));
        if !choking {
            // Until it is known who spoilt them, more may be.
            first.splice(..0, self.suspects.pieces());
        }
        if choking && first.is_empty() {
            return;
        }
        let may_open = self.may_open(cx);
        let mut blocks = Vec::new();
        self.picker.pick_of(key, &open.pieces, &first, room, may_open, &mut blocks);
        let opened = self.settle(cx);
        if !choking {
            let (room, may_open) = (room - blocks.len(), may_open.saturating_sub(opened));
            self.picker.pick(&mut cx.rng, key, &open.pieces, room, may_open, &mut blocks);
        }
        let opened = opened + self.settle(cx);
        if blocks.len() < room && opened >= may_open {
            cx.budget.starve(self.torrent);
        }
        if blocks.is_empty() {
            return;
        }
        cx.budget.note_asked(key);
        cx.limits.down.share((self.torrent, key));
        let (now, is_snubbed) = (cx.now, open.requests.snubbed);
        for block in &blocks {
            open.requests.add(now, *block);
            if is_snubbed {
                // Three such peers would keep a block to themselves, each for a minute.
                self.picker.lapse(key, *block);
            }
        }
        peer.send_with(cx, |queue| blocks.iter().for_each(|block| queue.push(request(*block))));
        peer.set_snub_timer(cx);
    }

    /// Blocks to ask of a web seed: at most `count`, each of which follows on the one before.
    pub(crate) fn pick_run(
        &mut self,
        cx: &mut Cx,
        source: PeerKey,
        next: Option<PieceIndex>,
        count: usize,
    ) -> Vec<BlockRef> {
        let may_open = self.may_open(cx);
        let mut blocks = Vec::new();
        self.picker.pick_run(&mut cx.rng, source, next, count, may_open, &mut blocks);
        let run = first_run(self.storage.metainfo.geometry(), &mut blocks);
        // What lies elsewhere is for the next run, or for others.
        blocks.into_iter().for_each(|block| self.picker.give_back(source, block));
        let opened = self.settle(cx);
        if run.is_empty() && opened >= may_open {
            cx.budget.starve(self.torrent);
        }
        run
    }

    /// How many pieces may be opened now.
    pub(super) fn may_open(&self, cx: &Cx) -> usize {
        let may_open = cx.budget.pieces_to_open(self.piece_len());
        // One piece is always allowed, or small limits and large pieces would stop everything.
        if self.counted == 0 { may_open.max(1) } else { may_open }
    }

    /// Takes in a block. Returns how many bytes of it served nothing.
    pub(crate) fn on_block(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        from: PeerKey,
        block: BlockRef,
        data: &[u8],
    ) -> u64 {
        match self.picker.received(&mut cx.pool, from, block, data) {
            Received::Unwanted => u64::from(block.len()),
            Received::Taken { cancel, complete } => {
                for other in cancel {
                    self.cancel_at(cx, peers, other, block);
                }
                if complete {
                    self.store(cx, peers, block.piece());
                }
                0
            }
        }
    }

    /// Takes a request back that another peer has answered.
    fn cancel_at(&mut self, cx: &mut Cx, peers: &mut Peers, peer: PeerKey, block: BlockRef) {
        if let Some(peer) = peers.get_mut(peer) {
            self.refill |= cancel(cx, peer, block);
        }
    }

    /// A piece is on disk. Returns who is now known to have sent bad blocks of it, and the files
    /// that are complete with it.
    pub(crate) fn on_stored(
        &mut self,
        cx: &mut Cx,
        piece: PieceIndex,
        digests: &[BlockDigest],
    ) -> (Vec<Giver>, Vec<usize>) {
        let givers = self.storing.remove(piece).unwrap_or_default();
        self.picker.stored(piece);
        self.refill = true;
        self.settle(cx);
        let metainfo = &self.storage.metainfo;
        let geometry = metainfo.geometry();
        let mut complete = Vec::new();
        for span in metainfo.layout().spans(geometry, geometry.whole(piece)) {
            if let Some(left) = self.file_left.get_mut(span.file) {
                *left = left.saturating_sub(1);
                if *left == 0 && metainfo.layout().files().get(span.file).is_some_and(|file| !file.padding) {
                    complete.push(span.file);
                }
            }
        }
        (self.suspects.on_good(piece, &givers, digests), complete)
    }

    /// A piece could not be written; false if it was not to be.
    pub(crate) fn on_unwritten(&mut self, cx: &mut Cx, piece: PieceIndex) -> bool {
        let was_storing = self.storing.remove(piece).is_some();
        if was_storing {
            self.picker.failed(piece);
            self.settle(cx);
        }
        was_storing
    }

    /// Gives back blocks that a peer will not send.
    pub(crate) fn give_back(&mut self, cx: &mut Cx, peer: PeerKey, blocks: &[BlockRef]) {
        blocks.iter().for_each(|block| self.picker.give_back(peer, *block));
        self.refill |= !blocks.is_empty();
        self.settle(cx);
    }

    /// Gives back all that a peer owes: it chokes us or is gone.
    pub(crate) fn give_back_all(&mut self, cx: &mut Cx, peer: PeerKey, blocks: &[BlockRef]) {
        self.picker.give_back_all(peer, blocks.iter().copied());
        // A suspect piece that it was to fetch alone is free too.
        self.refill |= !blocks.is_empty() || !self.suspects.is_empty();
        self.settle(cx);
    }

    /// A peer is gone: all that it owes is given back, and what it gave stays its own.
    pub(crate) fn on_peer_gone(&mut self, cx: &mut Cx, peer: &Peer) {
        let (Some(open), Some(giver)) = (peer.open(), Giver::of(peer)) else { return };
        if open.down.total() > 0 {
            self.suspects.on_gone(giver);
        }
        self.picker.remove_peer(peer.key, &open.pieces, open.requests.blocks());
        // Else nothing is free that was not: what it owed, a suspect piece that was its alone, or
        // the place of a piece that only it could finish.
        let full = cx.budget.pieces_to_open(self.piece_len()) == 0;
        self.refill |= full || !open.requests.is_empty() || !self.suspects.is_empty();
        if self.picker.asked_count() == 0 {
            // No verdict is to come.
            self.storing.release(cx);
        }
        self.settle(cx);
    }

    /// Lets others be asked for what a snubbed peer owes.
    pub(crate) fn release(&mut self, cx: &mut Cx, peer: &mut Peer) {
        let Some(open) = peer.open() else { return };
        let owed: Vec<BlockRef> = open.requests.blocks().collect();
        for block in owed {
            if !self.picker.release(peer.key, block) {
                cancel(cx, peer, block);
            }
        }
        self.refill = true;
        self.settle(cx);
    }

    /// Takes back what a peer does not answer, so that it can be asked for anew, also of this peer.
    pub(crate) fn take_back(&mut self, cx: &mut Cx, peer: &mut Peer, blocks: Vec<BlockRef>) {
        self.refill |= !blocks.is_empty();
        for block in blocks {
            cancel(cx, peer, block);
            self.picker.give_back(peer.key, block);
        }
        self.settle(cx);
    }

    /// Ends all open pieces, with what is held of them.
    pub(crate) fn abandon_all(&mut self, cx: &mut Cx) {
        self.storing.release(cx);
        self.picker.abandon_all();
        self.settle(cx);
    }

    /// Ends the count of this torrent's pieces in the session's budget.
    pub(crate) fn let_go(&mut self, cx: &mut Cx) {
        // As with those that a worker has already: what comes of them is only counted.
        self.storing.release(cx);
        let piece_len = self.piece_len();
        cx.budget.set_holder(self.torrent, false);
        (0..std::mem::take(&mut self.counted)).for_each(|_| cx.budget.end_piece(piece_len));
    }

    fn piece_len(&self) -> u32 {
        self.storage.metainfo.geometry().piece_len()
    }

    /// Brings the session's budget up to date. Returns how many more pieces are counted now.
    pub(super) fn settle(&mut self, cx: &mut Cx) -> usize {
        let piece_len = self.piece_len();
        let counted = self.picker.open_count() + self.storing.len();
        let more = counted.saturating_sub(self.counted);
        if (self.counted == 0) != (counted == 0) {
            cx.budget.set_holder(self.torrent, counted > 0);
        }
        (self.counted..counted).for_each(|_| cx.budget.open_piece(piece_len));
        (counted..self.counted).for_each(|_| cx.budget.end_piece(piece_len));
        self.counted = counted;
        more
    }
}

/// Counts a block that was not outstanding; an error once there are too many.
pub(crate) const fn count_unasked(unasked_count: &mut u32) -> Result<(), PeerError> {
    *unasked_count += 1;
    if *unasked_count > UNASKED_MAX { Err(PeerError::UnaskedBlocks) } else { Ok(()) }
}

/// Takes a request back; false if the peer does not owe the block.
pub(super) fn cancel(cx: &mut Cx, peer: &mut Peer, block: BlockRef) -> bool {
    let owed = peer.open_mut().is_some_and(|open| open.requests.forget(block));
    if owed {
        let (index, begin, len) = (block.piece().get(), block.begin(), block.len());
        peer.send(cx, Message::Cancel { index, begin, len });
    }
    owed
}

const fn request(block: BlockRef) -> Message<'static> {
    Message::Request { index: block.piece().get(), begin: block.begin(), len: block.len() }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::input::{CloseCause, Input};
    use crate::job::Job;
    use crate::machine::lab::Lab;
    use std::time::Duration;

    #[test]
    fn a_lone_source_that_loses_a_request_is_asked_again() {
        let mut lab = Lab::new(Config::default(), ".");
        let seed = lab.giver(1, "x");
        assert_eq!(lab.requests(seed), [(0, 0, 16_384), (0, 16_384, 16_384)]);
        lab.give(seed, (0, 16_384, 16_384));
        lab.pass(Duration::from_secs(59));
        assert!(lab.requests(seed).is_empty());
        lab.pass(Duration::from_secs(2));
        assert_eq!(lab.heard(seed), ["cancel 0 0", "request 0 0"]);
        lab.give(seed, (0, 0, 16_384));
        lab.finish(|job| matches!(job, Job::Store { .. }));
    }

    #[test]
    fn what_a_busy_source_passes_over_is_asked_for_again() {
        let mut lab = Lab::new(Config { requests_max: 4, ..Config::default() }, &".".repeat(100));
        let seed = lab.giver(1, &"x".repeat(100));
        let mut requests = lab.requests(seed);
        let lost = requests.remove(0);
        let mut again = 0;
        for _ in 0..60 {
            lab.give(seed, requests.remove(0));
            lab.pass(Duration::from_secs(1));
            requests.extend(lab.requests(seed));
            again += requests.iter().filter(|request| **request == lost).count();
            requests.retain(|request| *request != lost);
        }
        assert_eq!(again, 1);
    }

    #[test]
    fn a_torrent_without_peers_keeps_no_room_from_others() {
        let buffer_len_max = 2 * usize::try_from(crate::machine::lab::PIECE_LEN).unwrap();
        let mut lab = Lab::new(Config { buffer_len_max, ..Config::default() }, "...");
        let first = lab.giver(1, "xxx");
        let requests = lab.requests(first);
        assert_eq!(requests.len(), 4, "two pieces fit");
        [0, 2].into_iter().for_each(|at| lab.give(first, requests[at]));
        lab.input(Input::Closed { peer: first, cause: CloseCause::End });
        lab.add("other", "...");
        let second = lab.giver(2, "xxx");
        assert_eq!(lab.requests(second).len(), 4);
    }

    #[test]
    fn who_waits_for_room_keeps_what_it_holds_when_its_last_peer_leaves() {
        let buffer_len_max = 2 * usize::try_from(crate::machine::lab::PIECE_LEN).unwrap();
        let mut lab = Lab::new(Config { buffer_len_max, ..Config::default() }, "....");
        let first = lab.giver(1, "xxxx");
        let requests = lab.requests(first);
        requests[..3].iter().for_each(|request| lab.give(first, *request));
        lab.finish(|job| matches!(job, Job::Store { .. }));
        lab.input(Input::Closed { peer: first, cause: CloseCause::End });
        let second = lab.giver(2, "xxxx");
        let again = lab.requests(second);
        assert!(again.contains(&requests[3]) && !again.contains(&requests[2]), "{again:?} of {requests:?}");
    }
}
