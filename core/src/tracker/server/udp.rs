//! The tracker over UDP (BEP 15).
//!
//! Who does not show a connection id that was sent to its address gets no more bytes than it sends:
//! nobody can have us flood someone else, nor put someone else into a swarm.

use std::net::SocketAddr;

use super::{Announcing, NUMWANT_DEFAULT, TrackerServer};
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::udp::{Announce, Answer, Call, Request};

/// Peers in one packet over IPv6: 1352 bytes, which pass through any tunnel whole.
const NUMWANT_MAX_V6: usize = 74;

impl TrackerServer {
    /// Answers a datagram of a client at `from`; what is none, or has no good connection id, gets no
    /// answer.
    pub fn handle_udp(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        from: SocketAddr,
        packet: &[u8],
    ) -> Option<Vec<u8>> {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match Request::parse(packet)? {
            Request::Connect { transaction } => {
                Some(Answer::connected(transaction, self.tickets.issue(now, from.ip())))
            }
            Request::Call { connection, transaction, call } => {
                if !self.tickets.is_good(now, from.ip(), connection) {
                    return None;
                }
                self.forget_silent(now);
                Some(match call {
                    Call::Announce(announce) => self
                        .udp_announce(now, rng, from, transaction, &announce)
                        .unwrap_or_else(|why| Answer::failed(transaction, why)),
                    Call::Scrape(hashes) => self.udp_scrape(transaction, &hashes),
                })
            }
        }
    }

    fn udp_announce(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        from: SocketAddr,
        transaction: u32,
        announce: &Announce,
    ) -> Result<Vec<u8>, &'static str> {
        let numwant = announce.numwant.and_then(|count| usize::try_from(count).ok());
        let count = numwant.unwrap_or(NUMWANT_DEFAULT);
        let family = IpFamily::of(from.ip());
        let asked = Announcing {
            info_hash: announce.info_hash,
            peer_id: announce.peer_id,
            addr: SocketAddr::new(from.ip(), announce.port),
            seed: announce.left == 0,
            event: announce.event,
            count: if family == IpFamily::V6 { count.min(NUMWANT_MAX_V6) } else { count },
            families: &[family],
        };
        let (counts, peers) = self.announce(now, rng, &asked)?;
        let peers = peers.iter().map(|peer| peer.addr);
        Ok(Answer::announced(transaction, self.options.interval, counts, peers))
    }

    fn udp_scrape(&self, transaction: u32, hashes: &[InfoHash]) -> Vec<u8> {
        let counts = |hash| self.swarms.get(hash).map(|swarm| swarm.counts()).unwrap_or_default();
        Answer::scraped(transaction, hashes.iter().map(counts))
    }
}
