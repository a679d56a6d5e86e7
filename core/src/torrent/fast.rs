//! What the messages of the fast extension (BEP 6) mean, and what is granted by it.

use super::{Phase, Torrent};
use crate::bitfield::Bitfield;
use crate::cx::Cx;
use crate::output::CloseReason;
use crate::peer::{GRANTED_MAX, Peer, allowed_fast_set};
use crate::piece::{BlockRef, PieceIndex};
use crate::wire::Message;

impl Torrent {
    /// Takes in a message of the fast extension. It means nothing from who has not named that.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other messages are not of this extension")]
    pub(super) fn on_fast(
        &mut self,
        cx: &mut Cx,
        peer: &mut Peer,
        message: Message<'_>,
    ) -> Result<(), CloseReason> {
        let Some(open) = peer.open_mut().filter(|open| open.fast.is_on) else { return Ok(()) };
        match message {
            Message::HaveAll => {
                let all = Bitfield::full(self.have.piece_count());
                return self.on_pieces(cx, peer, all);
            }
            Message::Reject { index, begin, len } => {
                let block = self.storage.metainfo.geometry().exact_block(index, begin, len);
                if let Some(block) = block {
                    self.on_reject(cx, peer, block);
                }
            }
            Message::AllowedFast { index } => {
                self.may_ask |= open.fast.allow(index) && open.flow.peer_choking;
            }
            Message::Suggest { index } => open.fast.suggest(index),
            _ => {}
        }
        Ok(())
    }

    /// A peer will not send a block that it was asked for: others are asked for it at once.
    fn on_reject(&mut self, cx: &mut Cx, peer: &mut Peer, block: BlockRef) {
        let key = peer.key;
        let Some(open) = peer.open_mut() else { return };
        let choking = open.flow.peer_choking;
        if !(if choking { open.requests.forget(block) } else { open.requests.rejected(block) }) {
            return;
        }
        if choking {
            // Or it would be asked for the same again as soon as there is room.
            open.fast.disallow(block.piece());
        }
        if let Phase::Leeching(download) = &mut self.phase {
            download.give_back(cx, key, &[block]);
        }
    }

    /// Lets a choked peer that has next to nothing have a few pieces, so that it gets something to
    /// give. Which ones is decided by its address, so that it can't have others by coming again.
    ///
    /// That is for leeches, whose slots are for those who give. A seed gives newcomers their first
    /// pieces by its slots, and in a new swarm it is the only one to have most pieces: what it granted
    /// to each would be so many copies of the same few, sent before the rest is out once.
    pub(super) fn grant_fast(&self, cx: &mut Cx, peer: &mut Peer) {
        let (geometry, ip, info_hash) = (self.storage.metainfo.geometry(), peer.addr.ip(), self.info_hash());
        let Some(open) = peer.open_mut().filter(|open| open.fast.is_on && open.flow.am_choking) else {
            return;
        };
        if open.fast.has_granted()
            || open.pieces.count() as usize >= GRANTED_MAX
            || !matches!(self.phase, Phase::Leeching(_))
        {
            return;
        }
        let set = cx.fast_sets.get(&(ip, info_hash)).cloned();
        let set = set.unwrap_or_else(|| allowed_fast_set(ip, info_hash, geometry.piece_count(), GRANTED_MAX));
        let of_use = |piece: &PieceIndex| self.have.has(*piece) && !open.pieces.has(*piece);
        let pieces: Vec<PieceIndex> =
            set.into_iter().filter_map(|index| geometry.piece(index)).filter(of_use).collect();
        open.fast.grant(geometry, &pieces);
        peer.send_with(cx, |queue| {
            pieces.iter().for_each(|piece| queue.push(Message::AllowedFast { index: piece.get() }));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::Job;
    use crate::key::PeerKey;
    use crate::machine::lab::Lab;
    use std::time::Duration;

    const BLOCK: u32 = 16 * 1024;

    /// A peer that knows the extension, has these pieces and lets us request.
    fn giver(lab: &mut Lab, number: u8, pieces: &str) -> PeerKey {
        let peer = lab.modern_peer(number);
        let bits = lab.pieces(pieces).to_wire();
        lab.say(peer, Message::Bitfield { bits: &bits });
        lab.say(peer, Message::Unchoke);
        peer
    }

    /// A peer that knows the extension, is interested, and has no slot because another has the only one.
    fn choked(has: &str) -> (Lab, PeerKey) {
        let mut lab = Lab::new(Config { upload_slots: 1, ..Config::default() }, has);
        let first = lab.peer(1);
        lab.say(first, Message::Interested);
        let peer = lab.modern_peer(2);
        lab.say(peer, Message::HaveNone);
        lab.say(peer, Message::Interested);
        (lab, peer)
    }

    fn reject(lab: &mut Lab, peer: PeerKey, (index, begin, len): (u32, u32, u32)) {
        lab.say(peer, Message::Reject { index, begin, len });
    }

    #[test]
    fn what_we_have_is_told_in_one_word_where_there_is_one() {
        for (has, word) in [("..", "havenone"), ("x.", "bitfield"), ("xx", "haveall")] {
            let mut lab = Lab::new(Config::default(), has);
            let peer = lab.modern_peer(1);
            assert_eq!(lab.heard(peer), [word, "hello"]);
        }
    }

    #[test]
    fn who_has_all_is_asked_and_who_does_not_know_the_extension_is_not_believed() {
        let mut lab = Lab::new(Config::default(), ".");
        let (old, new) = (lab.peer(1), lab.modern_peer(2));
        for peer in [old, new] {
            lab.say(peer, Message::HaveAll);
            lab.say(peer, Message::Unchoke);
        }
        assert_eq!((lab.requests(old).len(), lab.requests(new).len()), (0, 2));
    }

    #[test]
    fn a_rejected_block_is_asked_of_another_at_once_and_of_the_same_peer_later() {
        let mut lab = Lab::new(Config::default(), ".");
        let first = giver(&mut lab, 1, "x");
        let asked = lab.requests(first);
        asked.iter().for_each(|block| reject(&mut lab, first, *block));
        assert_eq!(lab.heard(first), Vec::<String>::new());
        let second = giver(&mut lab, 2, "x");
        assert_eq!(lab.requests(second), asked);
        asked.iter().for_each(|block| reject(&mut lab, second, *block));
        lab.pass(Duration::from_secs(10));
        assert_eq!(lab.requests(first).len() + lab.requests(second).len(), 4, "in endgame both");
    }

    #[test]
    fn a_choke_is_followed_by_rejects_and_until_then_the_blocks_may_come() {
        let mut lab = Lab::new(Config::default(), ".");
        let peer = giver(&mut lab, 1, "x");
        let asked = lab.requests(peer);
        lab.say(peer, Message::Choke);
        lab.give(peer, asked[0]);
        reject(&mut lab, peer, asked[1]);
        lab.say(peer, Message::Unchoke);
        assert_eq!(lab.requests(peer), [asked[1]]);
        lab.give(peer, asked[1]);
        lab.finish(|job| matches!(job, Job::Store { .. }));
    }

    #[test]
    fn a_choked_peer_asks_for_what_it_is_allowed() {
        let mut lab = Lab::new(Config::default(), "...");
        let peer = lab.modern_peer(1);
        lab.say(peer, Message::HaveAll);
        lab.heard(peer);
        for index in [1, 77] {
            lab.say(peer, Message::AllowedFast { index });
        }
        assert_eq!(lab.requests(peer), [(1, 0, BLOCK), (1, BLOCK, BLOCK)]);
        reject(&mut lab, peer, (1, 0, BLOCK));
        lab.give(peer, (1, BLOCK, BLOCK));
        assert_eq!(lab.requests(peer), [], "a rejected piece is not allowed any more");
        lab.say(peer, Message::Unchoke);
        assert_eq!(lab.requests(peer).len(), 5);
    }

    #[test]
    fn a_suggested_piece_comes_first() {
        let mut lab = Lab::new(Config::default(), &".".repeat(100));
        let peer = lab.modern_peer(1);
        lab.say(peer, Message::HaveAll);
        for index in [42, 5000, 7] {
            lab.say(peer, Message::Suggest { index });
        }
        lab.say(peer, Message::Unchoke);
        let first: Vec<_> = lab.requests(peer).iter().map(|(index, ..)| *index).take(4).collect();
        assert_eq!(first, [42, 42, 7, 7]);
    }

    #[test]
    fn a_newcomer_is_granted_pieces_and_gets_them_while_choked() {
        let (mut lab, peer) = choked("xxxx.");
        assert_eq!(
            lab.heard(peer),
            ["bitfield", "hello", "allowed fast 0", "allowed fast 1", "allowed fast 2", "allowed fast 3"]
        );
        lab.say(peer, Message::Interested);
        lab.say(peer, Message::Request { index: 2, begin: 0, len: BLOCK });
        lab.finish(|job| matches!(job, Job::Read { .. }));
        assert_eq!(lab.heard(peer), ["piece 2 0"]);
        // Twice as many requests as it has blocks, and no more.
        (0..3).for_each(|_| lab.say(peer, Message::Request { index: 2, begin: 0, len: BLOCK }));
        lab.heard(peer);
        lab.say(peer, Message::Request { index: 2, begin: 0, len: BLOCK });
        assert_eq!(lab.heard(peer), ["reject 2 0"]);
    }

    #[test]
    fn who_has_enough_to_give_is_granted_nothing_and_every_request_is_answered() {
        let (mut lab, _) = choked(&format!("{}.", "x".repeat(30)));
        let peer = lab.modern_peer(3);
        let bits = lab.pieces(&"x".repeat(10)).to_wire();
        lab.say(peer, Message::Bitfield { bits: &bits });
        lab.say(peer, Message::Interested);
        lab.say(peer, Message::Request { index: 20, begin: 0, len: BLOCK });
        assert_eq!(lab.heard(peer), ["bitfield", "hello", "reject 20 0"]);
    }

    #[test]
    fn a_seed_grants_nothing() {
        let (mut lab, peer) = choked("xxxx");
        lab.say(peer, Message::Request { index: 2, begin: 0, len: BLOCK });
        assert_eq!(lab.heard(peer), ["haveall", "hello", "reject 2 0"]);
    }

    #[test]
    fn cancels_floods_and_chokes_leave_no_request_unanswered() {
        let mut lab = Lab::new(Config::default(), "xx");
        let peer = lab.modern_peer(1);
        lab.say(peer, Message::Interested);
        lab.heard(peer);
        (0..510).for_each(|begin| lab.say(peer, Message::Request { index: 0, begin, len: 1 }));
        let rejected = lab.heard(peer);
        assert!(
            rejected.len() < 100 && rejected.iter().all(|word| word.starts_with("reject 0 5")),
            "{rejected:?}"
        );
        lab.say(peer, Message::Cancel { index: 0, begin: 499, len: 1 });
        assert_eq!(lab.heard(peer), ["reject 0 499"]);
        lab.say(peer, Message::NotInterested);
        let words = lab.heard(peer);
        assert_eq!(words[0], "choke");
        assert_eq!(words.len() + rejected.len(), 510);
    }
}
