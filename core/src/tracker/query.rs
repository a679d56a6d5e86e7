//! What a client says to a tracker.

use crate::id::{InfoHash, PeerId};
use crate::percent;

use super::request::AnnounceEvent;

/// Swarms in one scrape at most; more are not looked at.
const SCRAPE_COUNT_MAX: usize = 70;

/// An announce as a tracker reads it. What is not here (`uploaded`, `key`, ..) is not looked at.
pub(super) struct Query {
    pub(super) info_hash: InfoHash,
    pub(super) peer_id: PeerId,
    /// 0: it can't be reached.
    pub(super) port: u16,
    /// Bytes still missing; who does not say is a leech.
    pub(super) left: u64,
    pub(super) event: Option<AnnounceEvent>,
    pub(super) numwant: Option<usize>,
    /// BEP 23; only who asks for dictionaries gets them.
    pub(super) compact: bool,
    pub(super) no_peer_id: bool,
}

impl Query {
    /// Reads the query of an announce URL; the error is a `failure reason`.
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        let (mut info_hash, mut peer_id, mut port) = (None, None, None);
        let (mut left, mut event, mut numwant) = (u64::MAX, None, None);
        let (mut compact, mut no_peer_id) = (true, false);
        for (key, value) in pairs(query) {
            match key {
                "info_hash" => info_hash = <[u8; 20]>::try_from(percent::decode(value)).ok(),
                "peer_id" => peer_id = <[u8; 20]>::try_from(percent::decode(value)).ok(),
                "port" => port = value.parse().ok(),
                "left" => left = value.parse().unwrap_or(u64::MAX),
                "numwant" => numwant = value.parse().ok(),
                "compact" => compact = value != "0",
                "no_peer_id" => no_peer_id = value == "1",
                "event" => {
                    event = match value {
                        "completed" => Some(AnnounceEvent::Completed),
                        "stopped" => Some(AnnounceEvent::Stopped),
                        // A start asks for nothing that others do not.
                        _ => None,
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            info_hash: InfoHash::new(info_hash.ok_or("info_hash is missing or not 20 bytes")?),
            peer_id: PeerId::new(peer_id.ok_or("peer_id is missing or not 20 bytes")?),
            port: port.ok_or("port is missing or not a number from 0 to 65535")?,
            left,
            event,
            numwant,
            compact,
            no_peer_id,
        })
    }
}

/// The swarms that a scrape asks for (BEP 48); the error is a `failure reason`.
pub(super) fn scrape_hashes(query: &str) -> Result<Vec<InfoHash>, &'static str> {
    let hashes = pairs(query).filter(|(key, _)| *key == "info_hash").take(SCRAPE_COUNT_MAX);
    let hashes: Option<Vec<_>> =
        hashes.map(|(_, value)| percent::decode(value).try_into().ok().map(InfoHash::new)).collect();
    hashes.filter(|hashes| !hashes.is_empty()).ok_or("info_hash is missing or not 20 bytes")
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
