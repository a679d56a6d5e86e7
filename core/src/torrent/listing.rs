//! A torrent's peers, one by one, for whoever looks.

use super::{Phase, Source, Torrent};
use crate::cx::Cx;
use crate::peer::{Open, Peer, Peers};
use crate::peer_info::{PeerInfo, PeerOrigin, PeerWait};
use crate::time::Instant;

impl Torrent {
    /// Each connection that has shaken hands, in the order of their keys.
    pub(crate) fn peer_infos<'a>(
        &'a self,
        cx: &'a Cx,
        now: Instant,
        peers: &'a Peers,
    ) -> impl Iterator<Item = PeerInfo> + 'a {
        let open = self.peers.iter().filter_map(|key| peers.get(*key));
        open.filter_map(move |peer| peer.open().map(|open| self.peer_info(cx, now, peer, open)))
    }

    fn peer_info(&self, cx: &Cx, now: Instant, peer: &Peer, open: &Open) -> PeerInfo {
        PeerInfo {
            peer: peer.key,
            addr: peer.addr,
            peer_id: open.id,
            client: open.extended.as_ref().and_then(|said| said.client.as_deref()).map(str::to_owned),
            origin: self.origin(peer),
            connected_time: now.since(open.connected_at),
            am_interested: open.flow.am_interested,
            am_choking: open.flow.am_choking,
            peer_interested: open.flow.peer_interested,
            peer_choking: open.flow.peer_choking,
            is_optimistic: !open.flow.am_choking && self.choker.is_optimistic(peer.key),
            is_snubbed: open.requests.snubbed,
            down_rate: open.down.per_second_at(now),
            up_rate: open.up.per_second_at(now),
            downloaded_len: open.down.total(),
            uploaded_len: open.up.total(),
            have_count: open.pieces.count(),
            outstanding_count: open.requests.len(),
            outstanding_target: open.requests.target(),
            is_window_full: open.requests.is_window_full(open.down.per_second_at(now)),
            asked_count: open.uploads.len(),
            waits_for: self.wait(cx, peer, open),
        }
    }

    fn origin(&self, peer: &Peer) -> PeerOrigin {
        if !peer.outgoing {
            return PeerOrigin::Incoming;
        }
        match self.candidates.source(peer.addr) {
            Some(Source::User) => PeerOrigin::User,
            Some(Source::Tracker) => PeerOrigin::Tracker,
            Some(Source::Pex { .. }) => PeerOrigin::Pex,
            None => PeerOrigin::Unknown,
        }
    }

    fn wait(&self, cx: &Cx, peer: &Peer, open: &Open) -> PeerWait {
        let flow = &open.flow;
        match &self.phase {
            Phase::Metadata(_) => return PeerWait::Metadata,
            Phase::Checking(_) => return PeerWait::Check,
            Phase::Leeching(download) => {
                if peer.owes() && peer.is_held(cx) {
                    return PeerWait::Limit;
                }
                if peer.owes() {
                    return if cx.budget.is_disk_busy() { PeerWait::Disk } else { PeerWait::Blocks };
                }
                if flow.am_interested && flow.peer_choking {
                    return PeerWait::Unchoke;
                }
                if flow.am_interested {
                    return if download.has_no_room(cx) { PeerWait::Disk } else { PeerWait::Others };
                }
            }
            Phase::Seeding | Phase::Stopped => {}
        }
        let has_work = open.uploads.len() > 0 || peer.queue.payload_len() > 0;
        let is_held = peer.mover().is_some_and(|mover| cx.limits.up.holds(mover));
        match (flow.peer_interested, flow.am_choking) {
            (_, false) if has_work && is_held => PeerWait::Limit,
            (_, false) if has_work => PeerWait::Reading,
            (true, false) => PeerWait::Requests,
            (true, true) => PeerWait::Slot,
            (false, _) => PeerWait::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::extension::Hello;
    use crate::input::Input;
    use crate::key::PeerKey;
    use crate::limit::Limits;
    use crate::machine::lab::{Lab, PIECE_LEN};
    use crate::wire::Message;
    use std::time::Duration;

    fn info(lab: &Lab, peer: PeerKey) -> PeerInfo {
        lab.machine.peer_infos(lab.now, lab.torrent).find(|info| info.peer == peer).unwrap()
    }

    fn wait(lab: &Lab, peer: PeerKey) -> PeerWait {
        info(lab, peer).waits_for
    }

    #[test]
    fn what_a_peer_says_and_does_is_told() {
        let mut lab = Lab::new(Config::default(), "..x");
        let peer = lab.modern_peer(1);
        lab.hello(peer, &Hello { client: Some("some client".to_owned()), ..Hello::default() });
        assert_eq!((info(&lab, peer).flags().as_str(), wait(&lab, peer)), ("I", PeerWait::Nothing));
        let bits = lab.pieces("xx.").to_wire();
        lab.say(peer, Message::Bitfield { bits: &bits });
        assert_eq!((info(&lab, peer).flags().as_str(), wait(&lab, peer)), ("dI", PeerWait::Unchoke));
        lab.say(peer, Message::Unchoke);
        lab.say(peer, Message::Interested);
        let asked = lab.requests(peer);
        lab.pass(Duration::from_secs(1));
        lab.give(peer, asked[0]);
        let told = info(&lab, peer);
        assert_eq!((told.flags().as_str(), told.waits_for), ("DUI", PeerWait::Blocks));
        assert_eq!((told.client.as_deref(), told.have_count), (Some("some client"), 2));
        assert_eq!((told.downloaded_len, told.uploaded_len), (16_384, 0));
        assert!(told.down_rate > 0 && told.connected_time == Duration::from_secs(1));
        assert_eq!(told.outstanding_count, asked.len() - 1);
        assert!(told.outstanding_target >= told.outstanding_count);
        lab.pass(Duration::from_secs(25));
        assert!(info(&lab, peer).flags().contains('S'));
    }

    #[test]
    fn a_connection_waits_for_the_nearest_cause() {
        let mut lab = Lab::new(Config { upload_slots: 1, ..Config::default() }, "x.");
        let [first, second] = [1, 2].map(|number| lab.peer(number));
        lab.say(first, Message::Interested);
        lab.say(second, Message::Interested);
        assert_eq!((wait(&lab, first), wait(&lab, second)), (PeerWait::Requests, PeerWait::Slot));
        assert_eq!((info(&lab, second).flags().as_str(), info(&lab, second).asked_count), ("uI", 0));
        lab.say(first, Message::Request { index: 0, begin: 0, len: 16_384 });
        assert_eq!((wait(&lab, first), info(&lab, first).asked_count), (PeerWait::Reading, 1));
        let third = lab.giver(3, ".x");
        assert_eq!(wait(&lab, third), PeerWait::Blocks);
        let fourth = lab.modern_peer(4);
        let bits = lab.pieces(".x").to_wire();
        lab.say(fourth, Message::Bitfield { bits: &bits });
        lab.say(fourth, Message::Unchoke);
        for (index, begin, len) in lab.requests(fourth) {
            lab.say(fourth, Message::Reject { index, begin, len });
        }
        assert_eq!((wait(&lab, fourth), info(&lab, fourth).flags().as_str()), (PeerWait::Others, "DI"));
    }

    #[test]
    fn our_own_limit_and_disk_are_told_from_slow_peers() {
        let limits = Limits { down: Some(1000), up: None };
        let mut lab = Lab::new(Config { limits, ..Config::default() }, "..");
        let seed = lab.giver(1, "xx");
        let first = lab.requests(seed)[0];
        lab.pass(Duration::from_secs(1));
        lab.give(seed, first);
        assert_eq!(wait(&lab, seed), PeerWait::Limit);

        let buffer_len_max = usize::try_from(PIECE_LEN).unwrap();
        let mut lab = Lab::new(Config { buffer_len_max, ..Config::default() }, "..");
        let seed = lab.giver(1, "xx");
        lab.requests(seed).into_iter().for_each(|block| lab.give(seed, block));
        assert_eq!(wait(&lab, seed), PeerWait::Disk);
    }

    #[test]
    fn who_named_a_peer_is_told_and_before_the_metadata_that_it_is_waited_for() {
        let mut lab = Lab::of_magnet(Config::default(), "..");
        lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(1));
        lab.drain();
        let (peer, _) = lab.dialled.pop().unwrap();
        lab.input(Input::Connected { peer });
        lab.greet(peer, crate::id::PeerId::new([1; 20]));
        let told = info(&lab, peer);
        assert_eq!((told.origin, told.waits_for), (PeerOrigin::User, PeerWait::Metadata));
        assert_eq!((told.flags().as_str(), told.have_count), ("", 0));
    }
}
