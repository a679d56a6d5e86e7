//! Private torrents (BEP 27): peers come from the torrent's own trackers and from the user, and from
//! nobody else. Who calls us has heard of us from one of those.
//!
//! A torrent that was added by a magnet link may turn out to be private when it has asked trackers and
//! heard of peers that a private one does not.

use super::Torrent;
use crate::cx::Cx;
use crate::metainfo::Metainfo;
use crate::output::CloseReason;
use crate::peer::{Peer, Peers};

/// Of these announce URLs those that the torrent may be announced at: all, unless it is private and
/// names trackers itself. As BEP 27 has it; a user who knows better edits the torrent.
pub(super) fn allowed_trackers(metainfo: &Metainfo, mut tiers: Vec<Vec<String>>) -> Vec<Vec<String>> {
    tiers.iter_mut().for_each(|tier| tier.retain(|url| metainfo.may_announce_at(url)));
    tiers
}

impl Torrent {
    /// Whether we have called this peer though it is not, or no longer, known where it may be.
    pub(crate) fn is_strange(&self, peer: &Peer) -> bool {
        self.storage.metainfo.is_private() && peer.outgoing && !self.candidates.knows(peer.addr)
    }

    /// It has turned out to be private: what others than its trackers have named is forgotten, and the
    /// connections to those end.
    pub(super) fn become_private(&mut self, cx: &mut Cx, peers: &Peers) {
        self.candidates.keep_private();
        for key in &self.peers {
            if peers.get(*key).is_some_and(|peer| self.is_strange(peer)) {
                cx.close(*key, CloseReason::Private);
            }
        }
        let metainfo = &self.storage.metainfo;
        self.announcer.leave(cx.now, |url| !metainfo.may_announce_at(url));
        self.set_announce_timer(cx);
    }
}
