//! Peers are asked for more when there is more to ask for: room, or blocks that are not waited for.

use super::{Phase, Torrent};
use crate::cx::Cx;
use crate::key::PeerKey;
use crate::peer::Peers;

impl Torrent {
    /// Asks every peer with room in its pipeline, if there may be something new to ask for.
    pub(crate) fn refill(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Phase::Leeching(download) = &mut self.phase else { return };
        if !download.refill {
            return;
        }
        while std::mem::take(&mut download.refill) {
            let was_endgame = download.picker.in_endgame();
            // Who owes blocks for too long comes last. Else whoever gives nothing could have a piece that
            // one peer alone is asked for, be given up on, and have it again, time after time.
            for is_snubbed in [false, true] {
                for key in &self.peers {
                    let peer = peers.get_mut(*key);
                    let peer = peer
                        .filter(|peer| peer.open().is_some_and(|open| open.requests.snubbed) == is_snubbed);
                    if let Some(peer) = peer {
                        download.fill(cx, peer);
                    }
                }
            }
            // What the first peers were not given they may share once nothing else is left.
            download.note_endgame(cx, &self.down, was_endgame);
        }
        self.fill_web(cx);
    }

    /// Asks all peers again: the session has room for pieces again.
    pub(crate) fn on_room(&mut self, cx: &mut Cx, peers: &mut Peers) {
        if let Phase::Leeching(download) = &mut self.phase {
            download.refill = true;
        }
        self.refill(cx, peers);
    }

    /// Ends the pieces of a torrent that has nobody to finish them: others wait for their room.
    pub(crate) fn make_room(&mut self, cx: &mut Cx) {
        if let Phase::Leeching(download) = &mut self.phase
            && self.peers.is_empty()
            // Web seeds are asked too, and what they are asked for keeps its place.
            && download.picker.asked_count() == 0
        {
            download.abandon_all(cx);
        }
    }

    /// A peer owes blocks for too long: others are asked for them, and at last it is asked anew; not
    /// while one is on its way, as slowly as it may be.
    pub(crate) fn on_snub_timer(&mut self, cx: &mut Cx, peers: &mut Peers, key: PeerKey) {
        let Some(peer) = peers.get_mut(key) else { return };
        let (is_bringing, is_held) = (peer.is_bringing(cx.now), peer.is_held(cx));
        let Some(open) = peer.open_mut() else { return };
        open.is_timed = false;
        let Phase::Leeching(download) = &mut self.phase else { return };
        if cx.budget.is_disk_busy() || is_held || (open.requests.snubbed && is_bringing) {
            open.requests.excuse(cx.now);
        }
        if open.requests.due_at().is_some_and(|at| at <= cx.now) {
            if std::mem::replace(&mut open.requests.snubbed, true) {
                let owed = open.requests.blocks().collect();
                download.take_back(cx, peer, owed);
            } else {
                download.release(cx, peer);
            }
            self.refill(cx, peers);
        }
        if let Some(peer) = peers.get_mut(key) {
            peer.set_snub_timer(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::bitfield::Bitfield;
    use crate::config::Config;
    use crate::job::{Job, JobDone, Opened, StoreError, StoreTime};
    use crate::machine::lab::{Lab, PIECE_LEN};

    #[test]
    fn who_gives_nothing_has_a_piece_that_failed_to_itself_once() {
        let mut lab = Lab::new(Config::default(), ".");
        let silent = lab.giver(1, "x");
        let [first, _] = lab.requests(silent)[..] else { panic!("both blocks are asked for") };
        lab.give(silent, first);
        // It gives no more; another does, and what they gave together is bad.
        lab.pass(Duration::from_secs(25));
        let good = lab.giver(2, "x");
        let [second] = lab.requests(good)[..] else { panic!("what the first owes is asked for") };
        lab.give(good, second);
        let at = lab.jobs.iter().position(|job| matches!(job, Job::Store { .. })).unwrap();
        let Job::Store { torrent, pieces, .. } = lab.jobs.remove(at) else { unreachable!() };
        let bad =
            pieces.into_iter().map(|piece| piece.stored(Err(StoreError::Mismatch(vec![[1; 20], [2; 20]]))));
        lab.done(JobDone::Stored { torrent, pieces: bad.collect(), time: StoreTime::default() });
        // One peer alone is to give it now, and not who owes another block.
        assert_eq!((lab.requests(good).len(), lab.requests(silent)), (2, Vec::new()));
        // Neither gives it, so it goes to and fro.
        lab.pass(Duration::from_secs(90));
        assert_eq!(lab.requests(good).len(), 2, "{:?}", lab.requests(silent));
    }

    #[test]
    fn what_silent_peers_are_asked_for_anew_others_are_asked_for_too() {
        let mut lab = Lab::new(Config::default(), ".");
        let silent = [1, 2, 3, 4, 5, 6].map(|number| lab.giver(number, "x"));
        lab.pass(Duration::from_secs(50));
        silent.iter().for_each(|peer| _ = lab.requests(*peer));
        lab.pass(Duration::from_secs(50));
        assert!(silent.iter().all(|peer| lab.requests(*peer).len() == 1), "each has been given up on");
        let good = lab.giver(7, "x");
        assert_eq!(lab.requests(good).len(), 2);
    }

    #[test]
    fn what_a_web_seed_is_asked_for_is_not_given_up_for_room() {
        let room = 2 * PIECE_LEN;
        let mut lab = Lab::new(Config { buffer_len_max: room as usize, ..Config::default() }, "x");
        lab.add_served("served", "....", vec!["http://web/".to_owned()]);
        let (torrent, have) = (lab.torrent, lab.pieces("...."));
        let opened = Opened { unsure: Bitfield::empty(have.piece_count()), have, ours: true };
        lab.done(JobDone::Opened { torrent, result: Ok(opened) });
        let lens =
            |job: &Job| if let Job::Fetch { block_lens, .. } = job { block_lens.clone() } else { Vec::new() };
        let asked: u32 = lab.jobs.iter().flat_map(lens).sum();
        assert_eq!(asked, room, "all that there is room for, and no more");
    }
}
