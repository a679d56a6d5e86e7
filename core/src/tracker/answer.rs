//! What a tracker says to a client, in bencode.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};

use super::query::Query;
use super::scrape::SwarmCounts;
use super::swarm::Member;
use crate::addr::push_compact;
use crate::id::InfoHash;

#[derive(Serialize)]
struct Failure {
    #[serde(rename = "failure reason")]
    reason: &'static str,
}

#[derive(Serialize)]
struct Answer<'a> {
    complete: u32,
    #[serde(rename = "external ip")]
    external_ip: ByteBuf,
    incomplete: u32,
    interval: u64,
    peers: Peers<'a>,
    peers6: Option<ByteBuf>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Peers<'a> {
    Compact(ByteBuf),
    Dicts(Vec<PeerDict<'a>>),
}

#[derive(Serialize)]
struct PeerDict<'a> {
    ip: String,
    #[serde(rename = "peer id")]
    peer_id: Option<&'a Bytes>,
    port: u16,
}

#[derive(Serialize)]
struct Scrape<'a> {
    files: BTreeMap<&'a Bytes, ScrapeFile>,
    flags: ScrapeFlags,
}

#[derive(Serialize)]
struct ScrapeFile {
    complete: u32,
    downloaded: u32,
    incomplete: u32,
}

#[derive(Serialize)]
struct ScrapeFlags {
    min_request_interval: u64,
}

/// The answer to what was not understood.
pub(super) fn failure(reason: &'static str) -> Vec<u8> {
    encode(&Failure { reason })
}

/// The answer to an announce that came `from` there, in the form that was asked for.
pub(super) fn peers_answer(
    query: &Query,
    from: IpAddr,
    interval: Duration,
    counts: SwarmCounts,
    peers: &[Member],
) -> Vec<u8> {
    let (peers, peers6) = if query.compact {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for peer in peers {
            push_compact(if peer.addr.is_ipv4() { &mut four } else { &mut six }, peer.addr);
        }
        (Peers::Compact(ByteBuf::from(four)), (!six.is_empty()).then(|| ByteBuf::from(six)))
    } else {
        let dict = |peer| dict(peer, query.no_peer_id);
        (Peers::Dicts(peers.iter().map(dict).collect()), None)
    };
    let external_ip = ByteBuf::from(match from {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    let SwarmCounts { seeds: complete, leeches: incomplete, .. } = counts;
    encode(&Answer { complete, external_ip, incomplete, interval: interval.as_secs(), peers, peers6 })
}

/// The answer to a scrape (BEP 48): the swarms that are known.
pub(super) fn scrape_answer<'a>(
    swarms: impl Iterator<Item = (&'a InfoHash, SwarmCounts)>,
    interval: Duration,
) -> Vec<u8> {
    let file = |(info_hash, counts): (&'a InfoHash, SwarmCounts)| {
        let SwarmCounts { seeds: complete, leeches: incomplete, downloaded } = counts;
        (Bytes::new(info_hash.as_bytes()), ScrapeFile { complete, downloaded, incomplete })
    };
    let flags = ScrapeFlags { min_request_interval: interval.as_secs() };
    encode(&Scrape { files: swarms.map(file).collect(), flags })
}

fn dict(peer: &Member, no_peer_id: bool) -> PeerDict<'_> {
    let peer_id = (!no_peer_id).then(|| Bytes::new(peer.peer_id.as_bytes()));
    PeerDict { ip: peer.addr.ip().to_string(), peer_id, port: peer.addr.port() }
}

fn encode(answer: &impl Serialize) -> Vec<u8> {
    serde_bencode::to_bytes(answer).expect("strings, integers, lists and dictionaries are bencode")
}
