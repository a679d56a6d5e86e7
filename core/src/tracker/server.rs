//! A small tracker: what it remembers, and what it answers (BEP 3, 7, 23, 48).
//!
//! A peer is known by the address that it asks from and the port that it names. An `ip` in the query
//! is not believed: it would let anyone point a swarm at anyone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::answer::{failure, peers_answer, scrape_answer};
use super::query::{Query, scrape_hashes};
use super::request::AnnounceEvent;
use super::swarm::{Member, Swarm};
use crate::id::InfoHash;
use crate::rng::Rng;
use crate::time::Instant;

/// Peers in one answer at most.
const NUMWANT_MAX: usize = 200;

/// Peers in an answer to who does not say how many.
const NUMWANT_DEFAULT: usize = 50;

/// The longest path and query in bytes: room for a scrape of 70 swarms.
const TARGET_LEN_MAX: usize = 8192;

/// How a tracker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerOptions {
    /// How often peers are to announce themselves. Who is silent for twice as long is forgotten.
    pub interval: Duration,
    /// Swarms remembered at once; a new one is then refused.
    pub swarm_count_max: usize,
    /// Peers remembered at once in all swarms; a new one is then refused. Each takes about 200 bytes.
    pub peer_count_max: usize,
}

impl Default for TrackerOptions {
    /// Announces every 30 minutes; 20,000 swarms and 200,000 peers, which take 40 MiB.
    fn default() -> Self {
        Self { interval: Duration::from_secs(30 * 60), swarm_count_max: 20_000, peer_count_max: 200_000 }
    }
}

/// What to answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body: bencode with status 200, else a line of text.
    pub body: Vec<u8>,
}

/// A tracker without I/O.
#[derive(Debug)]
pub struct TrackerServer {
    options: TrackerOptions,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// Every peer, who was silent for longest first.
    by_age: BTreeSet<(Instant, InfoHash, SocketAddr)>,
}

impl TrackerServer {
    /// A tracker that knows nobody yet.
    #[must_use]
    pub const fn new(options: TrackerOptions) -> Self {
        Self { options, swarms: BTreeMap::new(), by_age: BTreeSet::new() }
    }

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
            "/announce" => self.announce(now, rng, from.to_canonical(), query),
            "/scrape" => scrape_hashes(query).map(|hashes| self.scrape(&hashes)),
            _ => return HttpAnswer { status: 404, body: b"not found: try /announce or /scrape\n".to_vec() },
        };
        HttpAnswer { status: 200, body: body.unwrap_or_else(failure) }
    }

    /// How many peers are remembered, in all swarms.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.by_age.len()
    }

    /// How many swarms are remembered.
    #[must_use]
    pub fn swarm_count(&self) -> usize {
        self.swarms.len()
    }

    fn announce(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        from: IpAddr,
        query: &str,
    ) -> Result<Vec<u8>, &'static str> {
        let query = Query::parse(query)?;
        let addr = SocketAddr::new(from, query.port);
        let was_seed = self.remove(query.info_hash, addr);
        let stopped = query.event == Some(AnnounceEvent::Stopped);
        let seed = query.left == 0;
        // Who can't be reached may ask, but is no use to others.
        if !stopped && query.port != 0 {
            let member = Member { addr, peer_id: query.peer_id, seen_at: now };
            self.insert(query.info_hash, member, seed)?;
        }
        self.drop_if_empty(query.info_hash);
        let Some(swarm) = self.swarms.get_mut(&query.info_hash) else {
            return Ok(peers_answer(&query, self.options.interval, &Swarm::default(), &[]));
        };
        if query.event == Some(AnnounceEvent::Completed) && seed && was_seed == Some(false) {
            swarm.downloaded_count = swarm.downloaded_count.saturating_add(1);
        }
        let count = if stopped { 0 } else { query.numwant.unwrap_or(NUMWANT_DEFAULT).min(NUMWANT_MAX) };
        // One more, since the asker itself may be among them.
        let mut peers = swarm.choose(if count == 0 { 0 } else { count + 1 }, seed, rng);
        peers.retain(|peer| peer.addr != addr && peer.peer_id != query.peer_id);
        if peers.len() > count {
            peers.swap_remove(rng.below(peers.len()));
        }
        Ok(peers_answer(&query, self.options.interval, swarm, &peers))
    }

    fn scrape(&self, hashes: &[InfoHash]) -> Vec<u8> {
        let known = hashes.iter().filter_map(|hash| Some((hash, self.swarms.get(hash)?)));
        scrape_answer(known, self.options.interval)
    }

    fn insert(&mut self, info_hash: InfoHash, member: Member, seed: bool) -> Result<(), &'static str> {
        if self.by_age.len() >= self.options.peer_count_max {
            return Err("the tracker knows too many peers, try later");
        }
        if self.swarms.len() >= self.options.swarm_count_max && !self.swarms.contains_key(&info_hash) {
            return Err("the tracker knows too many torrents, try later");
        }
        self.by_age.insert((member.seen_at, info_hash, member.addr));
        self.swarms.entry(info_hash).or_default().insert(member, seed);
        Ok(())
    }

    /// Forgets a peer; says whether it was a seed, if it was known.
    fn remove(&mut self, info_hash: InfoHash, addr: SocketAddr) -> Option<bool> {
        let swarm = self.swarms.get_mut(&info_hash)?;
        let seed = swarm.is_seed(addr)?;
        let member = swarm.remove(addr)?;
        self.by_age.remove(&(member.seen_at, info_hash, addr));
        Some(seed)
    }

    fn forget_silent(&mut self, now: Instant) {
        while let Some(&(seen_at, info_hash, addr)) = self.by_age.first() {
            if now.since(seen_at) <= self.options.interval * 2 {
                break;
            }
            self.by_age.pop_first();
            self.remove(info_hash, addr);
            self.drop_if_empty(info_hash);
        }
    }

    fn drop_if_empty(&mut self, info_hash: InfoHash) {
        if self.swarms.get(&info_hash).is_some_and(|swarm| swarm.seed_count() + swarm.leech_count() == 0) {
            self.swarms.remove(&info_hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use crate::tracker::{AnnounceError, AnnounceRequest, AnnounceResponse, announce_url, parse_announce};

    const HASH: InfoHash = InfoHash::new([b'&'; 20]);

    /// A tracker with a clock.
    struct Bench {
        server: TrackerServer,
        rng: Rng,
        now: Instant,
    }

    fn bench(swarm_count_max: usize, peer_count_max: usize) -> Bench {
        let options = TrackerOptions { interval: Duration::from_secs(60), swarm_count_max, peer_count_max };
        Bench { server: TrackerServer::new(options), rng: Rng::new(1), now: Instant::START }
    }

    impl Bench {
        fn get(&mut self, from: &str, target: &str) -> String {
            let from = from.parse().unwrap();
            let answer = self.server.handle_http(self.now, &mut self.rng, from, target);
            assert_eq!(answer.status, 200);
            answer.body.escape_ascii().to_string()
        }

        fn announce(
            &mut self,
            from: &str,
            request: &AnnounceRequest<'_>,
        ) -> Result<AnnounceResponse, AnnounceError> {
            let url = announce_url("/announce", request);
            let answer = self.server.handle_http(self.now, &mut self.rng, from.parse().unwrap(), &url);
            parse_announce(&answer.body)
        }

        /// The peers that one at this address and port is told of, sorted.
        fn peers(&mut self, from: &str, port: u16, left: u64) -> Vec<String> {
            let response = self.announce(from, &request(port, left, None)).unwrap();
            let mut peers: Vec<_> = response.peers.iter().map(ToString::to_string).collect();
            peers.sort();
            peers
        }
    }

    fn request(port: u16, left: u64, event: Option<AnnounceEvent>) -> AnnounceRequest<'static> {
        let mut peer_id = [0; 20];
        peer_id[..2].copy_from_slice(&port.to_be_bytes());
        AnnounceRequest {
            info_hash: HASH,
            peer_id: PeerId::new(peer_id),
            port: Some(port),
            uploaded: 0,
            downloaded: 0,
            left,
            event,
            numwant: 200,
            key: 0,
            tracker_id: None,
        }
    }

    #[test]
    fn peers_are_told_of_each_other_and_never_of_themselves() {
        let mut bench = bench(9, 9);
        assert_eq!(bench.peers("10.0.0.1", 1, 5), [""; 0]);
        assert_eq!(bench.peers("::ffff:10.0.0.2", 2, 0), ["10.0.0.1:1"]);
        assert_eq!(bench.peers("fd00::1", 3, 5), ["10.0.0.1:1", "10.0.0.2:2"]);
        assert_eq!(bench.peers("10.0.0.1", 1, 5), ["10.0.0.2:2", "[fd00::1]:3"]);
        assert_eq!(bench.peers("10.0.0.2", 2, 0), ["10.0.0.1:1", "[fd00::1]:3"]);
        assert_eq!(bench.peers("10.0.0.3", 4, 0), ["10.0.0.1:1", "[fd00::1]:3"], "a seed gets no seed");
        assert_eq!(bench.peers("10.0.0.4", 1, 0), ["[fd00::1]:3"], "its own peer id, on its other address");
    }

    #[test]
    fn stopped_and_silent_peers_are_forgotten() {
        let mut bench = bench(9, 9);
        bench.peers("10.0.0.1", 1, 5);
        bench.peers("10.0.0.2", 2, 5);
        let stopped = bench.announce("10.0.0.1", &request(1, 5, Some(AnnounceEvent::Stopped))).unwrap();
        assert_eq!(stopped.peers, []);
        assert_eq!(bench.peers("10.0.0.3", 3, 5), ["10.0.0.2:2"]);
        bench.now = Instant::from_start(Duration::from_secs(100));
        bench.peers("10.0.0.3", 3, 5);
        bench.now = Instant::from_start(Duration::from_secs(121));
        assert_eq!(bench.peers("10.0.0.4", 4, 5), ["10.0.0.3:3"]);
        bench.now = Instant::from_start(Duration::from_secs(999));
        bench.get("10.0.0.1", "/scrape");
        assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (0, 0));
    }

    #[test]
    fn a_swarm_is_forgotten_with_its_last_peer() {
        let mut bench = bench(1, 9);
        bench.peers("10.0.0.1", 1, 5);
        bench.announce("10.0.0.1", &request(1, 5, Some(AnnounceEvent::Stopped))).unwrap();
        assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (0, 0));
    }

    #[test]
    fn a_scrape_counts() {
        let mut bench = bench(9, 9);
        bench.peers("10.0.0.1", 1, 5);
        bench.peers("10.0.0.2", 2, 0);
        for _ in 0..2 {
            bench.announce("10.0.0.1", &request(1, 0, Some(AnnounceEvent::Completed))).unwrap();
        }
        bench.peers("10.0.0.3", 3, 5);
        let hash = "&".repeat(20);
        let query = format!("info_hash={}", "%26".repeat(20));
        assert_eq!(
            bench.get("10.0.0.9", &format!("/scrape?{query}&info_hash={}", "x".repeat(20))),
            format!(
                "d5:filesd20:{hash}d8:completei2e10:downloadedi1e10:incompletei1eee\
                 5:flagsd20:min_request_intervali60eee"
            )
        );
    }

    #[test]
    fn dictionaries_are_for_who_asks() {
        let mut bench = bench(9, 9);
        let hash = format!("info_hash={}", "%26".repeat(20));
        bench.get("10.0.0.1", &format!("/announce?{hash}&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1"));
        bench.get("fd00::1", &format!("/announce?{hash}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=2&left=0"));
        let asker = format!("{hash}&peer_id=cccccccccccccccccccc&port=0&left=1&compact=");
        let front = "d8:completei1e10:incompletei1e8:intervali60e5:peers";
        assert_eq!(
            bench.get("10.0.0.3", &format!("/announce?{asker}0")),
            format!(
                "{front}ld2:ip8:10.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti1ee\
                 d2:ip7:fd00::17:peer id20:bbbbbbbbbbbbbbbbbbbb4:porti2eeee"
            )
        );
        assert_eq!(
            bench.get("10.0.0.3", &format!("/announce?{asker}0&no_peer_id=1")),
            format!("{front}ld2:ip8:10.0.0.14:porti1eed2:ip7:fd00::14:porti2eeee")
        );
        assert_eq!(
            bench.get("10.0.0.3", &format!("/announce?{asker}1&ip=9.9.9.9")),
            format!(
                "{front}6:\\n\\x00\\x00\\x01\\x00\\x016:peers618:\\xfd\\x00{}\\x01\\x00\\x02e",
                "\\x00".repeat(13)
            )
        );
    }

    #[test]
    fn what_is_no_announce_gets_a_reason() {
        let mut bench = bench(9, 9);
        let hash = "info_hash=aaaaaaaaaaaaaaaaaaaa";
        for (target, reason) in [
            ("/announce".to_owned(), "info_hash is missing or not 20 bytes"),
            ("/announce?info_hash=short".to_owned(), "info_hash is missing or not 20 bytes"),
            (format!("/announce?{hash}"), "peer_id is missing or not 20 bytes"),
            (
                format!("/announce?{hash}&peer_id={}&port=65536", "x".repeat(20)),
                "port is missing or not a number from 0 to 65535",
            ),
            ("/scrape".to_owned(), "info_hash is missing or not 20 bytes"),
            ("/scrape?info_hash=%".to_owned(), "info_hash is missing or not 20 bytes"),
        ] {
            let body = format!("d14:failure reason{}:{reason}e", reason.len());
            assert_eq!(bench.get("10.0.0.1", &target), body, "{target}");
        }
        for (target, status) in [("/".to_owned(), 404), (format!("/announce?{}", "x".repeat(9000)), 414)] {
            let from = "10.0.0.1".parse().unwrap();
            assert_eq!(bench.server.handle_http(bench.now, &mut bench.rng, from, &target).status, status);
        }
    }

    #[test]
    fn swarms_and_peers_are_bounded() {
        let mut bench = bench(1, 2);
        let other = AnnounceRequest { info_hash: InfoHash::new([1; 20]), ..request(7, 5, None) };
        bench.peers("10.0.0.1", 1, 5);
        assert!(matches!(bench.announce("10.0.0.1", &other), Err(AnnounceError::Failure { .. })));
        bench.peers("10.0.0.2", 2, 5);
        let third = bench.announce("10.0.0.3", &request(3, 5, None));
        assert!(matches!(third, Err(AnnounceError::Failure { .. })));
        assert_eq!(bench.peers("10.0.0.1", 1, 5), ["10.0.0.2:2"], "who is known may go on");
        assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (2, 1));
    }

    #[test]
    fn numwant_is_kept_to() {
        let mut bench = bench(9, 999);
        for port in 1..=300 {
            bench.peers("10.0.0.1", port, 5);
        }
        for (numwant, count) in [(0, 0), (7, 7), (u32::MAX, 200)] {
            let request = AnnounceRequest { numwant, ..request(1, 5, None) };
            assert_eq!(bench.announce("10.0.0.1", &request).unwrap().peers.len(), count);
        }
    }
}
