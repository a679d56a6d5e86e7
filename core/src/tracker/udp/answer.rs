//! What UDP trackers answer.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Action, Fields};
use crate::addr::{compact, push_compact};
use crate::family::IpFamily;
use crate::tracker::response::{self, AnnounceResponse, PEER_COUNT_MAX};
use crate::tracker::scrape::SwarmCounts;

/// A packet of a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a connect.
    Connected {
        /// The connection id, good for a minute.
        connection: u64,
    },
    /// To an announce.
    Announced(AnnounceResponse),
    /// To a scrape: for each swarm that was asked for, in order.
    Scraped(Vec<SwarmCounts>),
    /// A refusal: foreign text, cut to a few hundred bytes.
    Failed(String),
}

impl Answer {
    /// Reads a tracker's packet that came over `family`, which decides how long addresses are; gives
    /// the transaction too. `None` if it is none.
    #[must_use]
    pub fn parse(packet: &[u8], family: IpFamily) -> Option<(u32, Self)> {
        let mut from = Fields(packet);
        let (action, transaction) = (Action::read(from.u32()?)?, from.u32()?);
        let answer = match action {
            Action::Connect => Self::Connected { connection: from.u64()? },
            Action::Announce => {
                let (interval, leeches, seeds) = (from.u32()?, from.u32()?, from.u32()?);
                let peers: Vec<SocketAddr> = match family {
                    IpFamily::V4 => compact::<4, 6>(from.rest()).take(PEER_COUNT_MAX).collect(),
                    IpFamily::V6 => compact::<16, 18>(from.rest()).take(PEER_COUNT_MAX).collect(),
                };
                Self::Announced(AnnounceResponse {
                    interval: response::clamped(interval.into()),
                    min_interval: None,
                    peers,
                    tracker_id: None,
                    warning: None,
                    complete: Some(seeds),
                    incomplete: Some(leeches),
                    external_ip: None,
                })
            }
            Action::Scrape => Self::Scraped(from.rest().as_chunks().0.iter().map(counts).collect()),
            Action::Error => Self::Failed(response::text(from.rest())),
        };
        Some((transaction, answer))
    }

    /// The packet with a connection id.
    pub(crate) fn connected(transaction: u32, connection: u64) -> Vec<u8> {
        let mut packet = head(Action::Connect, transaction);
        packet.extend(connection.to_be_bytes());
        packet
    }

    /// The packet with peers, which are all of one family.
    pub(crate) fn announced(
        transaction: u32,
        interval: Duration,
        counts: SwarmCounts,
        peers: impl Iterator<Item = SocketAddr>,
    ) -> Vec<u8> {
        let mut packet = head(Action::Announce, transaction);
        let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
        for number in [interval, counts.leeches, counts.seeds] {
            packet.extend(number.to_be_bytes());
        }
        for peer in peers {
            push_compact(&mut packet, peer);
        }
        packet
    }

    /// The packet with the figures of swarms.
    pub(crate) fn scraped(transaction: u32, swarms: impl Iterator<Item = SwarmCounts>) -> Vec<u8> {
        let mut packet = head(Action::Scrape, transaction);
        for SwarmCounts { seeds, leeches, downloaded } in swarms {
            for number in [seeds, downloaded, leeches] {
                packet.extend(number.to_be_bytes());
            }
        }
        packet
    }

    /// The packet that refuses.
    pub(crate) fn failed(transaction: u32, why: &str) -> Vec<u8> {
        let mut packet = head(Action::Error, transaction);
        packet.extend(why.as_bytes());
        packet
    }
}

fn head(action: Action, transaction: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(32);
    packet.extend((action as u32).to_be_bytes());
    packet.extend(transaction.to_be_bytes());
    packet
}

fn counts(bytes: &[u8; 12]) -> SwarmCounts {
    let mut from = Fields(bytes);
    let mut number = || from.u32().unwrap_or_default();
    let (seeds, downloaded, leeches) = (number(), number(), number());
    SwarmCounts { seeds, leeches, downloaded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::INTERVAL_MIN;

    fn read(packet: &[u8], family: IpFamily) -> Answer {
        let (transaction, answer) = Answer::parse(packet, family).unwrap();
        assert_eq!(transaction, 7);
        answer
    }

    #[test]
    fn the_bytes_are_those_of_bep_15() {
        assert_eq!(
            read(b"\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x01\x02", IpFamily::V4),
            Answer::Connected { connection: 0x0102 }
        );
        let packet =
            b"\0\0\0\x01\0\0\0\x07\0\0\x07\x08\0\0\0\x02\0\0\0\x01\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\0\0x";
        let Answer::Announced(response) = read(packet, IpFamily::V4) else { panic!() };
        assert_eq!(response.interval, Duration::from_secs(1800));
        assert_eq!((response.complete, response.incomplete), (Some(1), Some(2)));
        assert_eq!(response.peers, ["10.0.0.1:6881".parse().unwrap()], "port 0 and what is cut are no peers");
        assert_eq!(
            read(b"\0\0\0\x02\0\0\0\x07\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0", IpFamily::V4),
            Answer::Scraped(vec![SwarmCounts { seeds: 1, downloaded: 2, leeches: 3 }])
        );
        assert_eq!(
            read(b"\0\0\0\x03\0\0\0\x07no\xff", IpFamily::V4),
            Answer::Failed("no\u{fffd}".to_owned())
        );
    }

    #[test]
    fn what_was_sent_is_what_is_read() {
        for (family, addr) in [(IpFamily::V4, "192.0.2.1:5"), (IpFamily::V6, "[2001:db8::1]:5")] {
            let addr: SocketAddr = addr.parse().unwrap();
            let swarm = SwarmCounts { seeds: 8, leeches: 9, downloaded: 0 };
            let packet = Answer::announced(7, Duration::from_secs(5), swarm, [addr].into_iter());
            let Answer::Announced(response) = read(&packet, family) else { panic!() };
            assert_eq!((response.interval, response.peers), (INTERVAL_MIN, vec![addr]));
            assert_eq!((response.complete, response.incomplete), (Some(8), Some(9)));
        }
        let counts = SwarmCounts { seeds: 1, downloaded: 2, leeches: 3 };
        assert_eq!(
            read(&Answer::scraped(7, [counts].into_iter()), IpFamily::V6),
            Answer::Scraped(vec![counts])
        );
        assert_eq!(
            read(&Answer::connected(7, u64::MAX), IpFamily::V4),
            Answer::Connected { connection: u64::MAX }
        );
        assert_eq!(read(&Answer::failed(7, "why"), IpFamily::V4), Answer::Failed("why".to_owned()));
    }

    #[test]
    fn what_is_short_or_unknown_is_no_answer() {
        for packet in [&b""[..], &[0; 15], b"\0\0\0\x01\0\0\0\x07\0\0\0\x01\0\0\0\x01\0\0\0", &[9; 40]] {
            assert_eq!(Answer::parse(packet, IpFamily::V4), None, "{packet:?}");
        }
    }

    #[test]
    fn peers_and_words_are_bounded() {
        let mut packet = Answer::announced(7, Duration::ZERO, SwarmCounts::default(), std::iter::empty());
        packet.resize(60_000, 1);
        let Answer::Announced(response) = read(&packet, IpFamily::V4) else { panic!() };
        assert_eq!(response.peers.len(), PEER_COUNT_MAX);
        let Answer::Failed(why) = read(&Answer::failed(7, &"x".repeat(9000)), IpFamily::V4) else { panic!() };
        assert_eq!(why.len(), 500);
    }
}
