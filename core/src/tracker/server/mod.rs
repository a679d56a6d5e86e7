//! A small tracker: what it remembers, and what it answers (BEP 3, 7, 15, 23, 24, 48).
//!
//! A peer is known by the address that it asks from and the port that it names. An address in a
//! request is not believed: it would let anyone point a swarm at anyone. Every request costs a
//! logarithm of what is remembered, and no more for a large swarm than for a small one.

mod http;
#[cfg(test)]
mod tests;
mod udp;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::request::AnnounceEvent;
use super::scrape::SwarmCounts;
use super::swarm::{Member, Swarm};
use super::ticket::Tickets;
use crate::family::IpFamily;
use crate::id::{InfoHash, PeerId};
use crate::rng::Rng;
use crate::time::Instant;

pub use http::HttpAnswer;

/// Peers in one answer at most.
const NUMWANT_MAX: usize = 200;

/// Peers in an answer to who does not say how many.
const NUMWANT_DEFAULT: usize = 50;

/// Silent peers forgotten at each request, at most. More than one comes with it, so all are at last, and
/// no request waits for thousands that fell silent together.
const FORGET_MAX: usize = 64;

/// How a tracker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerOptions {
    /// How often peers are to announce themselves. Who is silent for twice as long is forgotten.
    pub interval: Duration,
    /// Swarms remembered at once; a new one is then refused.
    pub swarm_count_max: usize,
    /// Peers remembered at once in all swarms; a new one is then refused. Each takes about 400 bytes.
    pub peer_count_max: usize,
    /// Peers remembered at once in one swarm; a new one is then told of others, but not remembered.
    pub swarm_len_max: usize,
    /// Peers remembered at once of one host: an IPv4 address, or 64 bits of an IPv6 address, which is
    /// what one customer has. A new one is then refused.
    pub host_len_max: usize,
}

impl Default for TrackerOptions {
    /// Announces every 30 minutes; 20,000 swarms, 50,000 peers in one, and 200,000 in all, which take
    /// 80 MiB. 20,000 of one host, as behind a large translator: nine others still find room beside
    /// one that wants to fill the tracker.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30 * 60),
            swarm_count_max: 20_000,
            peer_count_max: 200_000,
            swarm_len_max: 50_000,
            host_len_max: 20_000,
        }
    }
}

/// A tracker without I/O.
#[derive(Debug)]
pub struct TrackerServer {
    options: TrackerOptions,
    tickets: Tickets,
    swarms: BTreeMap<InfoHash, Swarm>,
    /// Every peer, who was silent for longest first.
    by_age: BTreeSet<(Instant, InfoHash, SocketAddr)>,
    /// How many peers each host has here.
    host_lens: BTreeMap<IpAddr, usize>,
}

/// An announce, however it came.
struct Announcing<'a> {
    info_hash: InfoHash,
    peer_id: PeerId,
    /// Where it came from, with the port that it names; port 0: it can't be reached.
    addr: SocketAddr,
    seed: bool,
    event: Option<AnnounceEvent>,
    /// How many peers to tell of.
    count: usize,
    /// In which families.
    families: &'a [IpFamily],
}

impl TrackerServer {
    /// A tracker that knows nobody yet. Who knows `key` can announce others than themselves over UDP:
    /// it must come from the system's source of secrets.
    #[must_use]
    pub const fn new(options: TrackerOptions, key: [u8; 32]) -> Self {
        Self {
            options,
            tickets: Tickets::new(key),
            swarms: BTreeMap::new(),
            by_age: BTreeSet::new(),
            host_lens: BTreeMap::new(),
        }
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

    /// Remembers who asks, or forgets who leaves; gives the swarm's counts and peers to tell of.
    fn announce(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        asked: &Announcing<'_>,
    ) -> Result<(SwarmCounts, Vec<Member>), &'static str> {
        let Announcing { info_hash, peer_id, addr, seed, event, .. } = *asked;
        let was_seed = self.remove(info_hash, addr);
        let stopped = event == Some(AnnounceEvent::Stopped);
        // Who can't be reached may ask, but is no use to others.
        if !stopped && addr.port() != 0 {
            self.insert(info_hash, Member { addr, peer_id, seen_at: now }, seed)?;
        }
        self.drop_if_empty(info_hash);
        let Some(swarm) = self.swarms.get_mut(&info_hash) else {
            return Ok((SwarmCounts::default(), Vec::new()));
        };
        if event == Some(AnnounceEvent::Completed) && seed && was_seed == Some(false) {
            swarm.downloaded_count = swarm.downloaded_count.saturating_add(1);
        }
        let count = if stopped { 0 } else { asked.count.min(NUMWANT_MAX) };
        // One more, since the asker itself may be among them.
        let mut peers = swarm.choose(if count == 0 { 0 } else { count + 1 }, seed, asked.families, rng);
        peers.retain(|peer| peer.addr != addr && peer.peer_id != peer_id);
        if peers.len() > count {
            peers.swap_remove(rng.below(peers.len()));
        }
        Ok((swarm.counts(), peers))
    }

    fn insert(&mut self, info_hash: InfoHash, member: Member, seed: bool) -> Result<(), &'static str> {
        if self.by_age.len() >= self.options.peer_count_max {
            return Err("the tracker knows too many peers, try later");
        }
        let host_len = self.host_lens.get(&host(member.addr)).copied().unwrap_or_default();
        if host_len >= self.options.host_len_max {
            return Err("the tracker knows too many peers of your address, try later");
        }
        match self.swarms.get(&info_hash) {
            Some(swarm) if swarm.len() >= self.options.swarm_len_max => return Ok(()),
            None if self.swarms.len() >= self.options.swarm_count_max => {
                return Err("the tracker knows too many torrents, try later");
            }
            Some(_) | None => {}
        }
        self.by_age.insert((member.seen_at, info_hash, member.addr));
        self.host_lens.insert(host(member.addr), host_len + 1);
        self.swarms.entry(info_hash).or_default().insert(member, seed);
        Ok(())
    }

    /// Forgets a peer; says whether it was a seed, if it was known.
    fn remove(&mut self, info_hash: InfoHash, addr: SocketAddr) -> Option<bool> {
        let swarm = self.swarms.get_mut(&info_hash)?;
        let seed = swarm.is_seed(addr)?;
        let member = swarm.remove(addr)?;
        self.by_age.remove(&(member.seen_at, info_hash, addr));
        if let Entry::Occupied(mut len) = self.host_lens.entry(host(addr)) {
            *len.get_mut() -= 1;
            if *len.get() == 0 {
                len.remove();
            }
        }
        Some(seed)
    }

    fn forget_silent(&mut self, now: Instant) {
        for _ in 0..FORGET_MAX {
            let Some(&(seen_at, info_hash, addr)) = self.by_age.first() else { break };
            if now.since(seen_at) <= self.options.interval * 2 {
                break;
            }
            self.remove(info_hash, addr);
            self.drop_if_empty(info_hash);
        }
    }

    fn drop_if_empty(&mut self, info_hash: InfoHash) {
        if self.swarms.get(&info_hash).is_some_and(|swarm| swarm.len() == 0) {
            self.swarms.remove(&info_hash);
        }
    }
}

/// What counts as one host.
fn host(addr: SocketAddr) -> IpAddr {
    match addr.ip() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}
