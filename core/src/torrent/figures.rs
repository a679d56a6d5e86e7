//! A torrent's figures, for trackers and for whoever looks.

use super::announcer::Stats;
use super::{Phase, Torrent};
use crate::output::{Progress, State};
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
    pub(crate) fn progress(&self, now: Instant, peers: &Peers) -> Progress {
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
            peer_count: self.peers.len(),
            web_seed_count: self.web.busy_count(),
            seed_count,
            unchoked_count,
            candidate_count: self.candidates.len(),
        }
    }
}
