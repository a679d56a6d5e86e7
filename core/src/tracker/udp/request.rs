//! What clients send to UDP trackers.

use super::{Action, Fields, PROTOCOL_ID};
use crate::id::{InfoHash, PeerId};
use crate::tracker::request::AnnounceEvent;

/// Swarms in one scrape: as many as fit into one packet (BEP 15).
pub const SCRAPE_COUNT_MAX: usize = 74;

/// Bytes of a URL's path and query that are sent along: what keeps the packet below any MTU.
const URL_DATA_LEN_MAX: usize = 1000;

/// An option's length is one byte.
const OPTION_LEN_MAX: usize = 255;

/// Options behind an announce (BEP 41).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const URL_DATA: u8 = 2;

/// What a client asks with a connection id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// An announce.
    Announce(Box<Announce>),
    /// A scrape of these swarms, at most [`SCRAPE_COUNT_MAX`].
    Scrape(Vec<InfoHash>),
}

/// An announce as UDP trackers take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// The client's peer id.
    pub peer_id: PeerId,
    /// Payload bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still missing.
    pub left: u64,
    /// Payload bytes sent since `started`.
    pub uploaded: u64,
    /// Why now.
    pub event: Option<AnnounceEvent>,
    /// What the client is known by when its address changes.
    pub key: u32,
    /// How many peers are wanted; `None`: as the tracker likes.
    pub numwant: Option<u32>,
    /// Where the client listens; 0: nowhere.
    pub port: u16,
    /// Path and query of the tracker's URL (BEP 41).
    pub url_data: Vec<u8>,
}

/// A packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id.
    Connect {
        /// Comes back with the answer.
        transaction: u32,
    },
    /// Asks something with one.
    Call {
        /// The connection id.
        connection: u64,
        /// Comes back with the answer.
        transaction: u32,
        /// What is asked.
        call: Call,
    },
}

/// The packet that asks for a connection id.
#[must_use]
pub fn connect(transaction: u32) -> Vec<u8> {
    head(PROTOCOL_ID, Action::Connect, transaction)
}

impl Call {
    /// The packet that asks this.
    #[must_use]
    pub fn encode(&self, connection: u64, transaction: u32) -> Vec<u8> {
        match self {
            Self::Announce(announce) => {
                let mut packet = head(connection, Action::Announce, transaction);
                announce.encode(&mut packet);
                packet
            }
            Self::Scrape(hashes) => {
                let mut packet = head(connection, Action::Scrape, transaction);
                hashes.iter().take(SCRAPE_COUNT_MAX).for_each(|hash| packet.extend(hash.as_bytes()));
                packet
            }
        }
    }
}

impl Announce {
    fn encode(&self, packet: &mut Vec<u8>) {
        packet.extend(self.info_hash.as_bytes());
        packet.extend(self.peer_id.as_bytes());
        for number in [self.downloaded, self.left, self.uploaded] {
            packet.extend(number.to_be_bytes());
        }
        let event: u32 = match self.event {
            None => 0,
            Some(AnnounceEvent::Completed) => 1,
            Some(AnnounceEvent::Started) => 2,
            Some(AnnounceEvent::Stopped) => 3,
        };
        // The address is the packet's own.
        let ip = 0;
        for number in [event, ip, self.key, self.numwant.unwrap_or(u32::MAX)] {
            packet.extend(number.to_be_bytes());
        }
        packet.extend(self.port.to_be_bytes());
        // A part of a path or query means nothing.
        if !self.url_data.is_empty() && self.url_data.len() <= URL_DATA_LEN_MAX {
            for part in self.url_data.chunks(OPTION_LEN_MAX) {
                packet.extend([URL_DATA, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
                packet.extend(part);
            }
            packet.push(END_OF_OPTIONS);
        }
    }

    fn parse(mut from: Fields<'_>) -> Option<Self> {
        let (info_hash, peer_id) = (InfoHash::new(from.array()?), PeerId::new(from.array()?));
        let (downloaded, left, uploaded) = (from.u64()?, from.u64()?, from.u64()?);
        let event = match from.u32()? {
            1 => Some(AnnounceEvent::Completed),
            2 => Some(AnnounceEvent::Started),
            3 => Some(AnnounceEvent::Stopped),
            _ => None,
        };
        let _ip = from.u32()?;
        let (key, numwant, port) = (from.u32()?, from.u32()?, from.u16()?);
        let numwant = i32::try_from(numwant).ok().and_then(|count| u32::try_from(count).ok());
        let url_data = url_data(from);
        Some(Self { info_hash, peer_id, downloaded, left, uploaded, event, key, numwant, port, url_data })
    }
}

impl Request {
    /// Reads a client's packet; `None` if it is none. Bytes behind what is known are ignored.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let mut from = Fields(packet);
        let (connection, action, transaction) = (from.u64()?, Action::read(from.u32()?)?, from.u32()?);
        let call = match action {
            Action::Connect => return (connection == PROTOCOL_ID).then_some(Self::Connect { transaction }),
            Action::Announce => Call::Announce(Box::new(Announce::parse(from)?)),
            Action::Scrape => {
                let hashes = from.rest().as_chunks().0.iter().take(SCRAPE_COUNT_MAX);
                Call::Scrape(hashes.copied().map(InfoHash::new).collect())
            }
            Action::Error => return None,
        };
        Some(Self::Call { connection, transaction, call })
    }
}

fn head(connection: u64, action: Action, transaction: u32) -> Vec<u8> {
    let mut packet = Vec::with_capacity(128);
    packet.extend(connection.to_be_bytes());
    packet.extend((action as u32).to_be_bytes());
    packet.extend(transaction.to_be_bytes());
    packet
}

/// The URL data among the options; what is no option, or cut off, ends them.
fn url_data(mut from: Fields<'_>) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some([kind]) = from.array() {
        match kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => continue,
            _ => {}
        }
        let Some([len]) = from.array() else { break };
        let Some((option, rest)) = from.rest().split_at_checked(len.into()) else { break };
        from = Fields(rest);
        if kind == URL_DATA && data.len() + option.len() <= URL_DATA_LEN_MAX {
            data.extend(option);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announce() -> Announce {
        Announce {
            info_hash: InfoHash::new([1; 20]),
            peer_id: PeerId::new([2; 20]),
            downloaded: 3,
            left: 4,
            uploaded: 5,
            event: Some(AnnounceEvent::Started),
            key: 6,
            numwant: Some(7),
            port: 0x0809,
            url_data: Vec::new(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_bep_15() {
        assert_eq!(connect(0x0102_0304), b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04");
        let packet = Call::Announce(Box::new(announce())).encode(0x0A, 0x0B);
        let want = [
            &b"\0\0\0\0\0\0\0\x0a\0\0\0\x01\0\0\0\x0b"[..],
            &[1; 20],
            &[2; 20],
            b"\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05",
            b"\0\0\0\x02\0\0\0\0\0\0\0\x06\0\0\0\x07\x08\x09",
        ]
        .concat();
        assert_eq!((packet.len(), packet), (98, want));
        let scrape = Call::Scrape(vec![InfoHash::new([1; 20]); 80]).encode(1, 2);
        assert_eq!(scrape.len(), 16 + 74 * 20);
    }

    #[test]
    fn what_was_sent_is_what_is_read() {
        for (event, numwant, url_len) in [
            (None, None, 0),
            (Some(AnnounceEvent::Completed), Some(0), 1),
            (Some(AnnounceEvent::Stopped), Some(1), 255),
            (None, Some(200), 256),
            (None, None, 1000),
        ] {
            let call = Call::Announce(Box::new(Announce {
                event,
                numwant,
                url_data: vec![b'/'; url_len],
                ..announce()
            }));
            let request = Request::parse(&call.encode(9, 8));
            assert_eq!(request, Some(Request::Call { connection: 9, transaction: 8, call }));
        }
        assert_eq!(Request::parse(&connect(5)), Some(Request::Connect { transaction: 5 }));
    }

    #[test]
    fn what_is_short_or_unknown_is_no_request() {
        let whole = Call::Announce(Box::new(announce())).encode(1, 2);
        assert!((0..whole.len()).all(|len| Request::parse(&whole[..len]).is_none()));
        let mut other = connect(1);
        other[11] = 4;
        assert_eq!(Request::parse(&other), None);
        other[11] = 0;
        other[0] = 1;
        assert_eq!(Request::parse(&other), None, "a connect without the protocol's number");
    }

    #[test]
    fn options_that_are_cut_or_unknown_do_no_harm() {
        let whole = Call::Announce(Box::new(announce())).encode(1, 2);
        for (options, want) in [
            (&b"\x01\x01\x02\x02/a\x07\x01x\x02\x01b\0\x02\x01c"[..], &b"/ab"[..]),
            (b"\x02", b""),
            (b"\x02\x05abc", b""),
            (b"\xff", b""),
        ] {
            let Some(Request::Call { call: Call::Announce(read), .. }) =
                Request::parse(&[&whole[..], options].concat())
            else {
                panic!("no announce")
            };
            assert_eq!(read.url_data, want);
        }
    }
}
