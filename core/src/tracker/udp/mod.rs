//! UDP trackers (BEP 15, BEP 41): the packets of both sides, and the client's conversations.
//!
//! A client first asks for a connection id, which shows the tracker that packets from this address
//! are not forged, and then announces or scrapes with it.

mod answer;
mod client;
mod hosts;
mod links;
mod request;
mod target;

pub use answer::Answer;
pub use request::{Announce, Call, Request, SCRAPE_COUNT_MAX, connect};

pub(super) use client::{UdpClient, UdpQuestion};
pub(crate) use target::Target;

/// What a request has where others have a connection id, in a packet that asks for one.
const PROTOCOL_ID: u64 = 0x0417_2710_1980;

/// What a packet is about; the numbers are BEP 15's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Action {
    Connect = 0,
    Announce = 1,
    Scrape = 2,
    Error = 3,
}

impl Action {
    fn read(number: u32) -> Option<Self> {
        [Self::Connect, Self::Announce, Self::Scrape, Self::Error]
            .into_iter()
            .find(|action| *action as u32 == number)
    }
}

/// Takes numbers off the front of a packet; `None` where it is too short.
#[derive(Clone, Copy, Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// What is left.
    const fn rest(self) -> &'a [u8] {
        self.0
    }
}
