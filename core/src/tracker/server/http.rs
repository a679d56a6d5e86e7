//! The tracker over HTTP.

use std::net::{IpAddr, SocketAddr};

use super::{Announcing, NUMWANT_DEFAULT, TrackerServer};
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::answer::{failure, peers_answer, scrape_answer};
use crate::tracker::query::{Query, scrape_hashes};

/// The longest path and query in bytes: room for a scrape of 70 swarms.
const TARGET_LEN_MAX: usize = 8192;

/// What to answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body: bencode with status 200, else a line of text.
    pub body: Vec<u8>,
}

impl TrackerServer {
    /// Answers a GET of `target` (path and query) by a client at `from`.
    ///
    /// A request that can't be understood gets a `failure reason`, another path status 404.
    pub fn handle_http(&mut self, now: Instant, rng: &mut Rng, from: IpAddr, target: &str) -> HttpAnswer {
        if target.len() > TARGET_LEN_MAX {
            return HttpAnswer { status: 414, body: b"too long\n".to_vec() };
        }
        self.forget_silent(now);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = match path {
            "/announce" => self.http_announce(now, rng, from.to_canonical(), query),
            "/scrape" => scrape_hashes(query).map(|hashes| self.http_scrape(&hashes)),
            _ => return HttpAnswer { status: 404, body: b"not found: try /announce or /scrape\n".to_vec() },
        };
        HttpAnswer { status: 200, body: body.unwrap_or_else(failure) }
    }

    fn http_announce(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        from: IpAddr,
        query: &str,
    ) -> Result<Vec<u8>, &'static str> {
        let query = Query::parse(query)?;
        let asked = Announcing {
            info_hash: query.info_hash,
            peer_id: query.peer_id,
            addr: SocketAddr::new(from, query.port),
            seed: query.left == 0,
            event: query.event,
            count: query.numwant.unwrap_or(NUMWANT_DEFAULT),
            families: &IpFamily::ALL,
        };
        let (counts, peers) = self.announce(now, rng, &asked)?;
        Ok(peers_answer(&query, from, self.options.interval, counts, &peers))
    }

    fn http_scrape(&self, hashes: &[InfoHash]) -> Vec<u8> {
        let known = hashes.iter().filter_map(|hash| Some((hash, self.swarms.get(hash)?.counts())));
        scrape_answer(known, self.options.interval)
    }
}
