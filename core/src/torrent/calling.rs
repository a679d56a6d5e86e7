//! Addresses to call, as what happens to a torrent changes what is known of them.

use std::net::SocketAddr;

use super::{Ended, Source, Torrent};
use crate::cx::Cx;
use crate::job::{Job, ResolveFor};
use crate::peer::Peer;

impl Torrent {
    /// Notes the peers that the user names with the torrent.
    pub(super) fn add_first_peers(&mut self, cx: &mut Cx, peers: Vec<SocketAddr>, hosts: Vec<(String, u16)>) {
        for addr in peers {
            self.add_candidate(cx, addr, Source::User);
        }
        for (host, port) in hosts {
            cx.job(Job::Resolve { whom: ResolveFor::Peer(self.key), host, port });
        }
    }

    /// Notes an address at which a peer may be.
    pub(crate) fn add_candidate(&mut self, cx: &mut Cx, addr: SocketAddr, source: Source) -> bool {
        let is_private = self.storage.metainfo.is_private();
        if is_private && !source.is_private() {
            return false;
        }
        self.candidates.add(cx.now, &mut cx.rng, addr, source)
    }

    /// A connection has ended: the address that it was to may be dialled again at some time.
    pub(super) fn free_candidate(&mut self, cx: &mut Cx, peer: &Peer, ended: Ended) {
        let met = self.on_unlistens(cx, peer);
        let (addr, ended) = match (peer.outgoing, met, ended) {
            (true, ..) => (peer.addr, ended),
            // Where it says to listen somebody else may be, who is not to blame.
            (false, Some(addr), Ended::Broken | Ended::Useless) => (addr, Ended::Idle),
            (false, Some(addr), ended) => (addr, ended),
            (false, None, _) => return,
        };
        self.candidates.on_ended(cx.now, &mut cx.rng, addr, ended);
    }
}
