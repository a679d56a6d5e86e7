//! Addresses to call, as what happens to a torrent changes what is known of them.

use std::net::SocketAddr;

use super::{Ended, Source, Torrent};
use crate::cx::Cx;
use crate::job::{Job, ResolveFor};
use crate::output::Event;
use crate::peer::Peer;

impl Torrent {
    /// Notes the peers that the user names with the torrent.
    pub(super) fn add_first_peers(&mut self, cx: &mut Cx, peers: Vec<SocketAddr>, hosts: Vec<(String, u16)>) {
        for addr in peers {
            self.add_candidate(cx, addr, Source::User);
        }
        for (host, port) in hosts {
            match cx.config.route.unproxied() {
                Some(bind) => cx.job(Job::Resolve { whom: ResolveFor::Peer(self.key), bind, host, port }),
                None => self.add_named(cx, host, port),
            }
        }
    }

    /// Notes a peer whose host the proxy looks up.
    fn add_named(&mut self, cx: &mut Cx, host: String, port: u16) {
        let torrent = self.key;
        let Some(ip) = cx.names.stand_in(&host) else {
            let why = "the name is too long for a proxy, or one too many".to_owned();
            return cx.event(Event::ResolveFailed { torrent, host, why });
        };
        let addr = SocketAddr::new(ip, port);
        self.add_candidate(cx, addr, Source::User);
        cx.event(Event::StandsFor { torrent, addr, host });
    }

    /// Notes an address at which a peer may be.
    pub(crate) fn add_candidate(&mut self, cx: &mut Cx, addr: SocketAddr, source: Source) -> bool {
        let is_private = self.storage.metainfo.is_private();
        if (is_private && !source.is_private()) || cx.config.route.stream(addr).is_none() {
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
