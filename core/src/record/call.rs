//! Records, taken apart again.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Tag;
use super::codec::{Put, Reader, Take, Writer};
use super::payload::Run;
use crate::choice::Choice;
use crate::config::Config;
use crate::cx::Seeds;
use crate::id::InfoHash;
use crate::input::CloseCause;
use crate::job::JobDone;
use crate::key::{PeerKey, TorrentKey};
use crate::limit::Limits;
use crate::session::{AddMagnet, AddTorrent};

/// One record: how long after the one before, and what.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) passed: Duration,
    pub(super) call: Call,
}

/// What was called.
#[derive(Debug)]
pub(super) enum Call {
    New(Seeds, Config),
    AddTorrent(Box<AddTorrent>),
    AddMagnet(Box<AddMagnet>),
    RemoveTorrent(TorrentKey),
    SetChoice(TorrentKey, Choice),
    SetLimits(Option<TorrentKey>, Limits),
    AddPeer(TorrentKey, SocketAddr),
    ShutDown,
    Accept(SocketAddr),
    Connected(PeerKey),
    Received(PeerKey, Vec<Run<Vec<u8>>>),
    Closed(PeerKey, CloseCause),
    Datagram(SocketAddr, Vec<u8>),
    Done(JobDone),
    Scrape(String, Vec<InfoHash>),
    /// The allowed fast set of an address, and the numbers of its pieces: in a renamed recording they can't
    /// be told from the address.
    FastSet(IpAddr, InfoHash, Vec<u32>),
    Timeout,
    /// How much went to a peer, and the digest behind it.
    Sent(PeerKey, usize, u16),
    /// Each output's kind, and the digest behind it.
    Outputs(Vec<(u8, u16)>),
}

impl Record {
    /// The next record.
    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let tag = Tag::read(from.byte()?)?;
        let passed = Take::take(from)?;
        let call = match tag {
            Tag::New => Call::New(Take::take(from)?, Take::take(from)?),
            Tag::AddTorrent => Call::AddTorrent(Take::take(from)?),
            Tag::AddMagnet => Call::AddMagnet(Take::take(from)?),
            Tag::RemoveTorrent => Call::RemoveTorrent(Take::take(from)?),
            Tag::SetChoice => Call::SetChoice(Take::take(from)?, Take::take(from)?),
            Tag::SetLimits => Call::SetLimits(Take::take(from)?, Take::take(from)?),
            Tag::AddPeer => Call::AddPeer(Take::take(from)?, Take::take(from)?),
            Tag::ShutDown => Call::ShutDown,
            Tag::Accept => Call::Accept(Take::take(from)?),
            Tag::Connected => Call::Connected(Take::take(from)?),
            Tag::Received => Call::Received(Take::take(from)?, Take::take(from)?),
            Tag::Closed => Call::Closed(Take::take(from)?, Take::take(from)?),
            Tag::Datagram => Call::Datagram(Take::take(from)?, Take::take(from)?),
            Tag::Done => Call::Done(Take::take(from)?),
            Tag::Scrape => Call::Scrape(Take::take(from)?, Take::take(from)?),
            Tag::FastSet => Call::FastSet(Take::take(from)?, Take::take(from)?, Take::take(from)?),
            Tag::Timeout => Call::Timeout,
            Tag::Sent => Call::Sent(Take::take(from)?, Take::take(from)?, from.short()?),
            Tag::Outputs => Call::Outputs(outputs(from)?),
        };
        Some(Self { passed, call })
    }
}

fn outputs(from: &mut Reader<'_>) -> Option<Vec<(u8, u16)>> {
    let count = from.number()?;
    // As with any list, nothing is reserved by a number from outside.
    let mut outputs = Vec::new();
    for _ in 0..count {
        outputs.push((from.byte()?, from.short()?));
    }
    Some(outputs)
}

impl Put for Seeds {
    fn put(&self, out: &mut Writer) {
        self.chance.to_le_bytes().put(out);
        self.identity.to_le_bytes().put(out);
    }
}

impl Take for Seeds {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let mut seed = || Take::take(from).map(u64::from_le_bytes);
        Some(Self { chance: seed()?, identity: seed()? })
    }
}
