//! What a peer's messages mean.

use super::download::count_unasked;
use super::{Phase, Torrent};
use crate::bitfield::Bitfield;
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::job::{BlockDigest, DiskError, StoreError};
use crate::key::PeerKey;
use crate::output::{CloseReason, Event};
use crate::peer::{Open, Peer, PeerError, Peers};
use crate::piece::PieceIndex;
use crate::torrent::verdict::Giver;
use crate::wire::Message;

impl Torrent {
    /// Takes in one message of a peer that has shaken hands.
    pub(crate) fn on_message(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
        message: Message<'_>,
    ) -> Result<(), CloseReason> {
        if !self.has_metadata() {
            return self.on_early_message(cx, peers, key, message);
        }
        let Some(peer) = peers.get_mut(key) else { return Ok(()) };
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let result = match message {
            Message::KeepAlive | Message::Unknown { .. } => Ok(()),
            Message::Suggest { .. }
            | Message::HaveAll
            | Message::HaveNone
            | Message::Reject { .. }
            | Message::AllowedFast { .. } => {
                let result = self.on_fast(cx, peer, message);
                self.end_super_seed(peers, key);
                return result;
            }
            Message::Choke => self.on_choke(cx, peer),
            Message::Unchoke => {
                // One that chokes and unchokes without end is left for that; one that says again that it
                // does not choke has nothing new to offer.
                if open.flow.on_unchoke(cx.now) {
                    open.requests.retry();
                    self.may_ask = true;
                }
                Ok(())
            }
            Message::Interested => {
                if !std::mem::replace(&mut open.flow.peer_interested, true) {
                    self.offer_slot(cx, peer);
                    self.grant_fast(cx, peer);
                }
                Ok(())
            }
            Message::NotInterested => {
                open.flow.peer_interested = false;
                if peer.choke(cx) {
                    self.unchoked_count -= 1;
                    self.slots_changed = true;
                }
                Ok(())
            }
            Message::Extended { id, payload } => return self.on_extended(cx, peer, id, payload),
            Message::Have { index } => {
                let result = self.on_have(cx, peer, index);
                if let Some(piece) = self.storage.metainfo.geometry().piece(index) {
                    self.on_spread(cx, peers, key, piece);
                }
                return result;
            }
            Message::Bitfield { bits } => {
                let result = self.on_bitfield(cx, peer, bits);
                self.end_super_seed(peers, key);
                return result;
            }
            Message::Request { index, begin, len } => self.on_request(cx, peer, index, begin, len),
            Message::Piece { index, begin, data } => self.on_piece(cx, peers, key, index, begin, data),
            Message::Cancel { index, begin, len } => {
                if let Some(range) = self.storage.metainfo.geometry().range(index, begin, len) {
                    peer.cancel_upload(cx, range);
                }
                Ok(())
            }
        };
        result.map_err(CloseReason::Violation)
    }

    fn on_choke(&mut self, cx: &mut Cx, peer: &mut Peer) -> Result<(), PeerError> {
        let Some(open) = peer.open_mut().filter(|open| !open.flow.peer_choking) else { return Ok(()) };
        open.flow.on_choke(cx.now)?;
        if open.fast.is_on {
            // BEP 6: each request is still answered, if only by a reject.
            return Ok(());
        }
        // BEP 3: a choke drops what was asked.
        let owed = open.requests.forget_all();
        if let Phase::Leeching(download) = &mut self.phase {
            download.give_back_all(cx, peer.key, &owed);
        }
        Ok(())
    }

    fn on_have(&mut self, cx: &mut Cx, peer: &mut Peer, index: u32) -> Result<(), CloseReason> {
        let Some(piece) = self.storage.metainfo.geometry().piece(index) else {
            return Err(CloseReason::Violation(PeerError::NoSuchPiece { index }));
        };
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let is_new = match &mut self.phase {
            Phase::Leeching(download) => download.picker.add_have(&mut open.pieces, piece),
            Phase::Metadata(_) | Phase::Checking(_) | Phase::Seeding | Phase::Stopped => {
                open.pieces.insert(piece)
            }
        };
        if !is_new {
            return Ok(());
        }
        open.knows.on_have();
        let is_wanted = self.is_leeching() && self.wants(piece);
        open.wanted_count += u32::from(is_wanted);
        self.may_ask |= is_wanted;
        self.after_pieces_told(cx, peer)
    }

    /// BEP 3 has a bitfield come first or never. aria2 sends one in place of many `have`s, at any
    /// time: then it adds to what the peer has told, as those would.
    fn on_bitfield(&mut self, cx: &mut Cx, peer: &mut Peer, bits: &[u8]) -> Result<(), CloseReason> {
        let pieces = match Bitfield::from_wire(bits, self.have.piece_count()) {
            Ok(pieces) => pieces,
            Err(error) => return Err(CloseReason::Violation(PeerError::Bitfield(error))),
        };
        self.on_pieces(cx, peer, pieces)
    }

    /// A peer has told many of its pieces at once.
    pub(super) fn on_pieces(
        &mut self,
        cx: &mut Cx,
        peer: &mut Peer,
        pieces: Bitfield,
    ) -> Result<(), CloseReason> {
        if peer.open().is_some_and(|open| pieces.count_outside(&open.pieces) == 0) {
            // Nothing new, which takes no look at each piece: it may come again and again.
            return self.after_pieces_told(cx, peer);
        }
        let wanted_count = self.count_wanted(&pieces);
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let geometry = self.storage.metainfo.geometry();
        self.may_ask = true;
        open.knows.lacks_count = 0;
        match &mut self.phase {
            Phase::Leeching(download) if open.pieces.is_empty() => {
                download.picker.add_peer(&pieces);
                open.wanted_count = wanted_count;
                open.pieces = pieces;
            }
            Phase::Leeching(download) => {
                for piece in pieces.iter(geometry) {
                    let is_new = download.picker.add_have(&mut open.pieces, piece);
                    let is_wanted = !self.have.has(piece) && !self.choosing.skips(piece);
                    open.wanted_count += u32::from(is_new && is_wanted);
                }
            }
            Phase::Metadata(_) | Phase::Checking(_) | Phase::Seeding | Phase::Stopped => {
                pieces.iter(geometry).for_each(|piece| {
                    open.pieces.insert(piece);
                });
            }
        }
        self.after_pieces_told(cx, peer)
    }

    /// Whether there is something to be got.
    pub(crate) const fn is_leeching(&self) -> bool {
        matches!(self.phase, Phase::Leeching(_) | Phase::Metadata(_))
    }

    /// Tells our interest; leaves a peer with which nothing can be exchanged.
    pub(super) fn after_pieces_told(&self, cx: &mut Cx, peer: &mut Peer) -> Result<(), CloseReason> {
        peer.update_interest(cx);
        if self.is_redundant(peer) { Err(CloseReason::Redundant) } else { Ok(()) }
    }

    /// Whether neither side has anything for the other, now or ever.
    pub(super) fn is_redundant(&self, peer: &Peer) -> bool {
        matches!(self.phase, Phase::Seeding) && peer.open().is_some_and(Open::wants_nothing)
    }

    fn on_piece(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
        index: u32,
        begin: u32,
        data: &[u8],
    ) -> Result<(), PeerError> {
        let len = data.len() as u64;
        self.down.add(cx.now, len);
        cx.limits.down.charge(cx.now, (self.key, key), len);
        let block = u32::try_from(data.len()).ok();
        let block = block.and_then(|len| self.storage.metainfo.geometry().exact_block(index, begin, len));
        let Some(open) = peers.get_mut(key).and_then(Peer::open_mut) else { return Ok(()) };
        let rate = open.down.per_second(cx.now);
        let asked = block.filter(|block| open.requests.answered(cx.now, *block, rate));
        let Some(block) = asked else {
            self.wasted_len += len;
            return count_unasked(&mut open.unasked_count);
        };
        // Only these count for the peer: or it could buy its slot with anything.
        open.down.add(cx.now, len);
        open.unasked_count = open.unasked_count.saturating_sub(1);
        self.may_ask = true;
        self.wasted_len += match &mut self.phase {
            Phase::Leeching(download) => download.on_block(cx, peers, key, block, data),
            Phase::Metadata(_) | Phase::Checking(_) | Phase::Seeding | Phase::Stopped => len,
        };
        Ok(())
    }

    /// Pieces have been verified and written, or have not.
    pub(crate) fn on_stored(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        results: Vec<(PieceIndex, Result<Vec<BlockDigest>, StoreError>)>,
    ) {
        for (piece, result) in results {
            match result {
                Ok(digests) => self.on_good_piece(cx, peers, piece, &digests),
                Err(StoreError::Mismatch(digests)) => self.on_bad_piece(cx, peers, piece, &digests),
                Err(StoreError::Disk(error)) => self.on_unwritten_piece(cx, piece, error),
            }
        }
        if self.closing {
            self.save(cx);
        } else {
            self.refill(cx, peers);
        }
    }

    fn on_good_piece(&mut self, cx: &mut Cx, peers: &mut Peers, piece: PieceIndex, digests: &[BlockDigest]) {
        let Phase::Leeching(download) = &mut self.phase else { return };
        if !download.storing.has(piece) {
            return;
        }
        let (guilty, files) = download.on_stored(cx, piece, digests);
        self.have.insert(piece);
        self.on_dirty(cx);
        guilty.into_iter().for_each(|giver| self.ban(cx, peers, giver));
        self.on_hashed(cx);
        files.into_iter().for_each(|file| self.tell_file(cx, file));
        let was_wanted = !self.choosing.skips(piece);
        for key in &self.peers {
            let Some(peer) = peers.get_mut(*key) else { continue };
            let Some(open) = peer.open_mut() else { continue };
            if was_wanted && open.pieces.has(piece) {
                open.wanted_count = open.wanted_count.saturating_sub(1);
                peer.update_interest(cx);
            }
        }
        self.spread(cx, peers, piece);
        self.complete_if_whole(cx, peers);
    }

    /// If every piece that is wanted is there, the torrent seeds from now on.
    pub(super) fn complete_if_whole(&mut self, cx: &mut Cx, peers: &mut Peers) {
        if !matches!(&self.phase, Phase::Leeching(download) if download.is_whole()) {
            return;
        }
        self.tell_news(cx, peers);
        self.leave_phase(cx);
        self.phase = Phase::Seeding;
        if self.have.is_full() {
            // Of a part a tracker is not told: what is left tells it (BEP 21).
            self.announcer.complete(cx.now);
            self.set_announce_timer(cx);
        }
        for key in &self.peers {
            if peers.get(*key).is_some_and(|peer| self.is_redundant(peer)) {
                cx.close(*key, CloseReason::Redundant);
            }
        }
        self.tell_upload_only(cx, peers);
        cx.timers.clear(TimerKey::Torrent(self.key, TorrentTimer::Save));
        self.saving.complete();
        self.save_if_due(cx, peers);
    }

    fn on_bad_piece(&mut self, cx: &mut Cx, peers: &Peers, piece: PieceIndex, digests: &[BlockDigest]) {
        let geometry = *self.storage.metainfo.geometry();
        let Phase::Leeching(download) = &mut self.phase else { return };
        if !download.storing.has(piece) {
            return;
        }
        self.wasted_len += u64::from(geometry.len_of(piece));
        let guilty = download.on_bad(cx, piece, digests);
        cx.event(Event::PieceFailed { torrent: self.key, piece: piece.get() });
        if let Some(giver) = guilty {
            self.ban(cx, peers, giver);
        }
        self.on_hashed(cx);
    }

    fn on_hashed(&mut self, cx: &mut Cx) {
        if let Phase::Leeching(download) = &mut self.phase {
            download.on_hashed(cx);
        }
    }

    fn on_unwritten_piece(&mut self, cx: &mut Cx, piece: PieceIndex, error: DiskError) {
        let Phase::Leeching(download) = &mut self.phase else { return };
        if download.on_unwritten(cx, piece) {
            self.fail(cx, error);
        }
    }

    /// Leaves a peer that sent bad data, for long. It may have come back under another key.
    pub(super) fn ban(&mut self, cx: &mut Cx, peers: &Peers, giver: Giver) {
        if self.strike_web(cx, &giver) || self.candidates.is_banned(cx.now, giver.addr, Some(giver.id)) {
            return;
        }
        if let Phase::Leeching(download) = &mut self.phase {
            self.wasted_len += download.discard(cx, peers, &giver);
        }
        self.candidates.ban(cx.now, giver.addr, giver.id);
        cx.event(Event::PeerBanned { torrent: self.key, addr: giver.addr });
        for key in &self.peers {
            let Some(peer) = peers.get(*key) else { continue };
            let id = peer.open().map(|open| open.id);
            if self.candidates.is_banned(cx.now, peer.addr, id) {
                cx.close(*key, CloseReason::Banned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::input::{CloseCause, Input};
    use crate::job::{Job, JobDone, StoreTime};
    use crate::machine::lab::Lab;

    /// Answers the job to store a piece.
    fn stored(lab: &mut Lab, result: Result<Vec<BlockDigest>, StoreError>) {
        match lab.jobs.pop() {
            Some(Job::Store { torrent, mut pieces, .. }) => {
                let piece = pieces.pop().unwrap().stored(result);
                lab.done(JobDone::Stored { torrent, pieces: vec![piece], time: StoreTime::default() });
            }
            job => panic!("no piece to store: {job:?}"),
        }
    }

    #[test]
    fn a_poisoner_that_left_and_came_back_is_found() {
        let mut lab = Lab::new(Config::default(), ".");
        let (bad, good) = (lab.giver(1, "x"), lab.giver(2, "x"));
        let blocks = lab.requests(bad);
        assert_eq!(lab.requests(good).len(), 2, "in endgame both are asked");
        lab.give(bad, blocks[0]);
        lab.give(good, blocks[1]);
        lab.input(Input::Closed { peer: bad, cause: CloseCause::End });
        lab.heard(good);
        stored(&mut lab, Err(StoreError::Mismatch(vec![[6; 20], [1; 20]])));
        let back = lab.peer(1);
        lab.requests(good).into_iter().for_each(|block| lab.give(good, block));
        stored(&mut lab, Ok(vec![[0; 20], [1; 20]]));
        assert_eq!(lab.closed, [(good, CloseReason::Redundant), (back, CloseReason::Banned)]);
    }
}
