//! Which connections a torrent can do without when others wait for their places.

use std::time::Duration;

use super::{Phase, Torrent};
use crate::key::PeerKey;
use crate::peer::{Open, Peer};
use crate::time::Instant;

/// How long nothing may move on a connection of no use: many come to something within a minute or two,
/// when pieces spread and slots change.
const IDLE_TIME: Duration = Duration::from_secs(2 * 60);

/// How long a leech waits to be let request, or to have a reason to let the peer: several turns of
/// optimistic unchokes among as many peers as there usually are.
const WAIT_TIME: Duration = Duration::from_secs(5 * 60);

/// Rounds in which a peer could have been served or have served us, and nothing came of it: a minute.
const MISSED_MAX: u32 = 6;

/// Why a connection is dispensable, the least loss first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Idle {
    /// Neither side wants anything of the other.
    Unwanted,
    /// It owes us blocks, or may ask for some, and does nothing.
    Mute,
    /// Each waits for the other.
    Waiting,
}

impl Torrent {
    /// Whether this peer's place would be better used by another one, why, and since when.
    ///
    /// Never where something moves, and never the peer that gave us something last. A seed keeps whoever
    /// waits for a slot: another one would wait no less.
    pub(crate) fn is_dispensable(&self, now: Instant, peer: &Peer) -> Option<(Idle, Instant)> {
        let open = peer.open()?;
        let idle = match &self.phase {
            Phase::Metadata(fetching) if fetching.is_source(peer.key) => Idle::Waiting,
            Phase::Metadata(_) => Idle::Unwanted,
            Phase::Checking(_) => Idle::Waiting,
            Phase::Leeching(_) => self.idle(peer.key, open).unwrap_or(Idle::Waiting),
            Phase::Seeding => self.idle(peer.key, open)?,
            Phase::Stopped => return None,
        };
        let patience = match idle {
            Idle::Unwanted | Idle::Mute => IDLE_TIME,
            Idle::Waiting => WAIT_TIME,
        };
        let since = open.worth.moved_at;
        let is_idle = now.since(since) >= patience && self.last_giver != Some(peer.key);
        is_idle.then_some((idle, since))
    }

    /// Whether a peer does nothing though it could, or has nothing to do.
    fn idle(&self, key: PeerKey, open: &Open) -> Option<Idle> {
        debug_assert!(self.peers.contains(&key), "a peer of this torrent");
        let flow = open.flow;
        if !flow.am_interested && !flow.peer_interested {
            return Some(Idle::Unwanted);
        }
        (open.worth.missed_count >= MISSED_MAX).then_some(Idle::Mute)
    }

    /// Whether a wanted piece would be lost with this peer. Looks at every piece.
    pub(crate) fn depends_on(&self, peer: &Peer) -> bool {
        match (&self.phase, peer.open()) {
            (Phase::Leeching(download), Some(open)) if open.flow.am_interested => {
                download.picker.is_only_source(&open.pieces)
            }
            _ => false,
        }
    }
}
