//! A torrent's figures, for trackers and for whoever looks.

use super::announcer::Stats;
use super::{Phase, Torrent};
use crate::cx::Cx;
use crate::output::{Progress, StallReason, State};
use crate::peer::{Peer, Peers};
use crate::time::Instant;

/// What trackers are told is left while nobody knows: as libtorrent has it. With 0 they would take
/// us for a seed, and name no seeds.
const LEFT_UNKNOWN: u64 = 16 * 1024;

impl Torrent {
    /// What announces tell.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            torrent: self.key,
            info_hash: self.info_hash(),
            uploaded: self.up.total(),
            downloaded: self.down.total(),
            left: if self.has_metadata() { self.left_len() } else { LEFT_UNKNOWN },
            wants_peers: self.takes_peers(),
        }
    }

    /// The figures at this moment.
    pub(crate) fn progress(&self, cx: &Cx, now: Instant, peers: &Peers) -> Progress {
        let open = self.peers.iter().filter_map(|key| peers.get(*key).and_then(Peer::open));
        let (mut seed_count, mut unchoked_count) = (0, 0);
        for open in open {
            seed_count += usize::from(self.has_metadata() && open.pieces.is_full());
            unchoked_count += usize::from(!open.flow.peer_choking);
        }
        let (done_len, wanted_len) = match &self.phase {
            Phase::Metadata(fetching) => fetching.progress(),
            Phase::Checking(_) | Phase::Leeching(_) | Phase::Seeding | Phase::Stopped => {
                (self.done_len(), self.wanted_len())
            }
        };
        Progress {
            state: match &self.phase {
                Phase::Metadata(_) => State::Metadata,
                Phase::Checking(_) => State::Checking,
                Phase::Leeching(_) => State::Leeching,
                Phase::Seeding => State::Seeding,
                Phase::Stopped => State::Stopped,
            },
            done_len,
            wanted_len,
            have_count: self.have.count(),
            piece_count: self.have.piece_count(),
            downloaded_len: self.down.total(),
            uploaded_len: self.up.total(),
            wasted_len: self.wasted_len,
            down_rate: self.down.per_second_at(now),
            up_rate: self.up.per_second_at(now),
            stall: self.stall(cx, peers),
            peer_count: self.peers.len(),
            web_seed_count: self.web.busy_count(),
            seed_count,
            unchoked_count,
            candidate_count: self.candidates.len(),
        }
    }

    /// What holds things up at this moment, if payload is wanted: the nearest cause first.
    fn stall(&self, cx: &Cx, peers: &Peers) -> Option<StallReason> {
        let download = match &self.phase {
            Phase::Metadata(_) => return Some(StallReason::MetadataNone),
            Phase::Leeching(download) => download,
            Phase::Checking(_) | Phase::Seeding | Phase::Stopped => return None,
        };
        let open =
            || self.peers.iter().filter_map(|key| peers.get(*key)).filter(|peer| peer.open().is_some());
        let web_count = self.web.busy_count();
        Some(if cx.limits.down.holds_any(self.key) {
            StallReason::RateLimited
        } else if cx.budget.is_disk_busy() || download.waits_for_disk(cx) {
            StallReason::DiskBehind
        } else if web_count > 0 || open().any(Peer::owes) {
            StallReason::PeersSlow
        } else if self.peers.is_empty() {
            StallReason::NoPeers
        } else if open().any(|peer| peer.open().is_some_and(|open| open.flow.am_interested)) {
            let unchoked = |peer: &Peer| {
                peer.open().is_some_and(|open| open.flow.am_interested && !open.flow.peer_choking)
            };
            if open().any(unchoked) { StallReason::PeersSlow } else { StallReason::AllChoked }
        } else {
            StallReason::NoWantedPieces
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::Job;
    use crate::key::PeerKey;
    use crate::limit::Limits;
    use crate::machine::lab::Lab;
    use crate::wire::Message;
    use std::time::Duration;

    fn stall(lab: &Lab) -> Option<StallReason> {
        lab.machine.progress(lab.now, lab.torrent).unwrap().stall
    }

    fn says(lab: &mut Lab, peer: PeerKey, has: &str) {
        let bits = lab.pieces(has).to_wire();
        lab.say(peer, Message::Bitfield { bits: &bits });
    }

    #[test]
    fn what_holds_things_up_is_the_nearest_cause() {
        let mut lab = Lab::new(Config::default(), "..");
        assert_eq!(stall(&lab), Some(StallReason::NoPeers));
        let idle = lab.peer(1);
        assert_eq!(stall(&lab), Some(StallReason::NoWantedPieces));
        says(&mut lab, idle, "x.");
        assert_eq!(stall(&lab), Some(StallReason::AllChoked));
        lab.say(idle, Message::Unchoke);
        assert_eq!(stall(&lab), Some(StallReason::PeersSlow));
    }

    #[test]
    fn a_limit_and_a_disk_that_is_behind_are_told_from_slow_peers() {
        let limits = Limits { down: Some(1000), up: None };
        let mut lab = Lab::new(Config { limits, ..Config::default() }, "..");
        let seed = lab.giver(1, "xx");
        let first = lab.requests(seed)[0];
        lab.pass(Duration::from_secs(1));
        assert_eq!(stall(&lab), Some(StallReason::PeersSlow), "it may send, and does not");
        lab.give(seed, first);
        assert_eq!(stall(&lab), Some(StallReason::RateLimited));

        let buffer_len_max = usize::try_from(crate::machine::lab::PIECE_LEN).unwrap();
        let mut lab = Lab::new(Config { buffer_len_max, ..Config::default() }, "..");
        let seed = lab.giver(1, "xx");
        lab.requests(seed).into_iter().for_each(|block| lab.give(seed, block));
        assert!(lab.jobs.iter().any(|job| matches!(job, Job::Store { .. })));
        assert_eq!(stall(&lab), Some(StallReason::DiskBehind));
    }

    #[test]
    fn nothing_holds_up_who_wants_nothing() {
        assert_eq!(stall(&Lab::new(Config::default(), "xx")), None);
        let lab = Lab::of_magnet(Config::default(), "..");
        assert_eq!(stall(&lab), Some(StallReason::MetadataNone));
    }
}
