//! When a peer is told of a piece that we have come to have.
//!
//! At once, if it may act on it: it can ask for the piece, or may come to want something of us. To a peer
//! that is choked and wants something already, the news only tells how rare the piece is. It gets some at
//! a time: of 50 peers most are choked, and a packet for each piece to each of them costs either side more
//! than the block in it.

use std::time::Duration;

use super::Peer;
use crate::cx::Cx;
use crate::piece::PieceIndex;
use crate::wire::Message;

/// How long the news waits for more at most: rarity changes no faster than pieces come.
pub(crate) const HAVE_DELAY: Duration = Duration::from_secs(2);

/// Pieces that a peer is still to be told of, at most: they fit in one packet.
const UNTOLD_MAX: usize = 64;

impl Peer {
    /// Tells it of a piece, unless it has that. True if it is to be told later.
    pub(crate) fn tell_have(&mut self, cx: &mut Cx, piece: PieceIndex) -> bool {
        let Some(open) = self.open_mut().filter(|open| !open.pieces.has(piece)) else { return false };
        open.untold.push(piece);
        let can_wait = open.flow.am_choking && open.flow.peer_interested && open.untold.len() < UNTOLD_MAX;
        if !can_wait {
            self.tell_untold(cx);
        }
        can_wait
    }

    /// Tells it of the pieces that it has not been told of, but for those that it has got meanwhile.
    pub(crate) fn tell_untold(&mut self, cx: &mut Cx) {
        let Some(open) = self.open_mut().filter(|open| !open.untold.is_empty()) else { return };
        let untold = std::mem::take(&mut open.untold);
        self.send_with_open(cx, |queue, open| {
            let news = untold.iter().filter(|piece| !open.pieces.has(**piece));
            news.for_each(|piece| queue.push(Message::Have { index: piece.get() }));
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

    /// A leech that has one piece and serves one peer, a peer that it chokes and one that gives it more.
    fn lab(pieces: &str) -> (Lab, [PeerKey; 3]) {
        let mut lab = Lab::new(Config { upload_slots: 1, upload_slots_max: 1, ..Config::default() }, pieces);
        let served = lab.peer(1);
        lab.say(served, Message::Interested);
        let choked = lab.peer(2);
        lab.say(choked, Message::Interested);
        let giver = lab.giver(3, &"x".repeat(pieces.len()));
        [served, choked].into_iter().for_each(|peer| _ = lab.heard(peer));
        (lab, [served, choked, giver])
    }

    /// Lets all come that is asked of a peer, so far.
    fn get(lab: &mut Lab, giver: PeerKey) {
        for request in lab.requests(giver) {
            lab.give(giver, request);
        }
        lab.finish(|job| matches!(job, Job::Store { .. }));
    }

    #[test]
    fn who_can_ask_for_a_piece_hears_of_it_at_once_and_who_is_choked_soon() {
        let (mut lab, [served, choked, giver]) = lab("x...");
        get(&mut lab, giver);
        let told = lab.heard(served).len();
        assert!(told > 0);
        assert_eq!(lab.heard(choked), Vec::<String>::new());
        lab.pass(HAVE_DELAY);
        assert_eq!((lab.heard(served).len(), lab.heard(choked).len()), (0, told));
    }
}
