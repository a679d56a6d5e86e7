//! Peer exchange (BEP 11): the message, how often it may come and go, and where a peer listens.
//!
//! Whom to tell of whom, and what becomes of the addresses that are named, is the torrent's to decide.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Extension, ExtensionError, Hello, Kind, Told};
use crate::addr::{compact_all, push_compact};
use crate::bencode::{Dict, Limits, check};
use crate::cx::Cx;
use crate::time::Instant;

/// Peers that one message adds at most, in both families, and as many that it drops (BEP 11: 50).
/// What a longer one has beyond is not read.
pub const PEX_COUNT_MAX: usize = 50;

/// The least time between two messages to one peer (BEP 11: a minute).
const INTERVAL: Duration = Duration::from_secs(60);

/// How long after its handshake a peer is told first: several that come at once are told of each
/// other.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// The least time between two messages of one peer that are read. Less than a minute, as clocks and
/// networks are not exact.
const HEARD_INTERVAL: Duration = Duration::from_secs(45);

/// How many more messages than that are read: a slow line may bring several at once. libtorrent
/// takes six a minute.
const EARLY_MAX: u32 = 5;

/// A message has six strings. Some clients may say more.
const LIMITS: Limits = Limits { depth: 4, tokens: 100 };

/// What is told of an added peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// It prefers encryption.
    pub const ENCRYPTION: u8 = 0x01;
    /// It wants nothing (BEP 21).
    pub const SEED: u8 = 0x02;
    /// It takes uTP.
    pub const UTP: u8 = 0x04;
    /// It helps two peers behind routers to each other (BEP 55).
    pub const HOLEPUNCH: u8 = 0x08;
    /// The sender has called it, so that it can be called.
    pub const REACHABLE: u8 = 0x10;

    /// Whether all bits of `flags` are set.
    #[must_use]
    pub const fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }
}

/// A message: at most [`PEX_COUNT_MAX`] peers added and as many dropped. Addresses at which no peer
/// can be are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// Peers to which the sender is connected now.
    pub added: Vec<(SocketAddr, PexFlags)>,
    /// Peers to which it no longer is.
    pub dropped: Vec<SocketAddr>,
}

impl PexMessage {
    /// Reads a message. Neither family can crowd out the other.
    ///
    /// # Errors
    /// When it is no dictionary, or one with too much in it.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let (value, _) = check(payload, LIMITS)?;
        let dict = Dict::of(value)?;
        let bytes = |key| dict.get(key).and_then(|value| value.bytes()).unwrap_or_default();
        let four = flagged(compact_all::<4, 6>(bytes("added")), bytes("added.f"));
        let six = flagged(compact_all::<16, 18>(bytes("added6")), bytes("added6.f"));
        let dropped4 = compact_all::<4, 6>(bytes("dropped")).flatten();
        let dropped6 = compact_all::<16, 18>(bytes("dropped6")).flatten();
        Ok(Self { added: bounded(four, six), dropped: bounded(dropped4, dropped6) })
    }

    /// Its bytes. All keys are there: some clients take no flags for granted.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut parts: [(&str, Vec<u8>); 6] =
            ["added", "added.f", "added6", "added6.f", "dropped", "dropped6"].map(|key| (key, Vec::new()));
        let [added, flags, added6, flags6, dropped, dropped6] = &mut parts;
        for (addr, flag) in &self.added {
            let (list, flags) =
                if addr.is_ipv4() { (&mut *added, &mut *flags) } else { (&mut *added6, &mut *flags6) };
            push_compact(&mut list.1, *addr);
            flags.1.push(flag.0);
        }
        for addr in &self.dropped {
            push_compact(if addr.is_ipv4() { &mut dropped.1 } else { &mut dropped6.1 }, *addr);
        }
        let mut out = b"d".to_vec();
        for (key, bytes) in &parts {
            out.extend_from_slice(format!("{}:{key}{}:", key.len(), bytes.len()).as_bytes());
            out.extend_from_slice(bytes);
        }
        out.push(b'e');
        out
    }

    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.dropped.is_empty()
    }
}

/// Each address with its flags, as far as there are any.
fn flagged(
    addrs: impl Iterator<Item = Option<SocketAddr>>,
    flags: &[u8],
) -> impl Iterator<Item = (SocketAddr, PexFlags)> {
    let flags = flags.iter().copied().chain(std::iter::repeat(0)).map(PexFlags);
    addrs.zip(flags).filter_map(|(addr, flags)| addr.map(|addr| (addr, flags)))
}

/// As many as a message may have, at least half of them for each of the two if it has so many.
fn bounded<T>(first: impl Iterator<Item = T>, second: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = first.take(PEX_COUNT_MAX).collect();
    let mut second: Vec<T> = second.take(PEX_COUNT_MAX).collect();
    all.truncate((PEX_COUNT_MAX / 2).max(PEX_COUNT_MAX - second.len()));
    second.truncate(PEX_COUNT_MAX - all.len());
    all.extend(second);
    all
}

/// Peer exchange with one peer.
#[derive(Debug, Default)]
pub(crate) struct Pex {
    /// The port that the peer says to listen on. What it says first counts.
    pub(crate) listen_port: Option<u16>,
    /// Where it sees us.
    pub(crate) your_ip: Option<IpAddr>,
    /// Up to where it knows the torrent's changes; `None`: it has been told nothing.
    pub(crate) known: Option<u64>,
    /// When it is to be told next; `None`: it takes no such messages, or waits for a change.
    due_at: Option<Instant>,
    /// When a message of it was read last.
    heard_at: Option<Instant>,
    /// Messages read that came too soon, less those that did not.
    early_count: u32,
}

impl Pex {
    /// It knows the changes up to `known`, and was told some of them at `told_at`, if there were any
    /// for it.
    pub(crate) fn on_told(&mut self, told_at: Option<Instant>, known: u64) {
        // Who has been told nothing so far is still to be told of all, and not of changes.
        if told_at.is_some() || self.known.is_some() {
            self.known = Some(known);
        }
        self.due_at = told_at.map(|at| at + INTERVAL);
    }

    /// Whether a message that comes now is read.
    fn may_speak(&mut self, now: Instant) -> bool {
        let in_time = self.heard_at.is_none_or(|at| now.since(at) >= HEARD_INTERVAL);
        if in_time {
            self.early_count = self.early_count.saturating_sub(1);
        } else if self.early_count < EARLY_MAX {
            self.early_count += 1;
        } else {
            return false;
        }
        self.heard_at = Some(now);
        true
    }
}

impl Extension for Pex {
    const NAME: &'static str = "ut_pex";

    fn on_handshake(&mut self, cx: &mut Cx, hello: &Hello) -> Option<Told<'static>> {
        match hello.ids[Kind::Pex as usize] {
            Some(0) => (self.due_at, self.known) = (None, None),
            Some(_) if self.known.is_none() => self.due_at = Some(cx.now + FIRST_AFTER),
            Some(_) | None => {}
        }
        self.your_ip = hello.your_ip.or(self.your_ip);
        let is_new = self.listen_port.is_none() && hello.listen_port.is_some();
        self.listen_port = self.listen_port.or(hello.listen_port);
        is_new.then_some(Told::Listens)
    }

    fn on_message<'a>(&mut self, cx: &mut Cx, payload: &'a [u8]) -> Result<Option<Told<'a>>, ExtensionError> {
        // Not even looked at: a flood costs us nothing but the reading.
        if !self.may_speak(cx.now) {
            return Ok(None);
        }
        PexMessage::parse(payload).map(|message| Some(Told::Pex(message)))
    }

    fn timeout_at(&self) -> Option<Instant> {
        self.due_at
    }

    fn on_timeout(&mut self, cx: &mut Cx) -> Option<Told<'static>> {
        self.due_at.take_if(|at| *at <= cx.now).map(|_| Told::PexDue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn many(count: u8, six: bool) -> impl Iterator<Item = (SocketAddr, PexFlags)> {
        let ip = move |number: u8| {
            if six {
                IpAddr::from([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
            } else {
                [192, 0, 2, number].into()
            }
        };
        (1..=count).map(move |number| (SocketAddr::new(ip(number), 6881), PexFlags::default()))
    }

    #[test]
    fn it_looks_as_bep_11_has_it() {
        let message = PexMessage {
            added: vec![
                (addr("192.0.2.1:6881"), PexFlags(0x12)),
                (addr("[2001:db8::1]:256"), PexFlags(PexFlags::REACHABLE)),
            ],
            dropped: vec![addr("192.0.2.2:1")],
        };
        let bytes = b"d5:added6:\xC0\0\x02\x01\x1A\xE17:added.f1:\x126:added618:\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0\
            8:added6.f1:\x107:dropped6:\xC0\0\x02\x02\0\x018:dropped60:e";
        assert_eq!(message.encode(), bytes);
        assert_eq!(PexMessage::parse(bytes), Ok(message));
    }

    #[test]
    fn flags_belong_to_their_address_and_may_be_missing() {
        let parse = |text: &[u8]| PexMessage::parse(text).unwrap().added;
        let good = (addr("10.0.0.1:1"), PexFlags(PexFlags::SEED));
        // Port 0 is no one's, and its flags are not the next one's.
        assert_eq!(parse(b"d5:added12:\x0A\0\0\x09\0\0\x0A\0\0\x01\0\x017:added.f2:\x10\x02e"), [good]);
        assert_eq!(parse(b"d5:added7:\x0A\0\0\x01\0\x01x7:added.f0:e"), [(good.0, PexFlags(0))]);
    }

    #[test]
    fn a_message_is_read_so_far_and_no_family_crowds_out_the_other() {
        let counts = |four: u8, six: u8| {
            let message =
                PexMessage { added: many(four, false).chain(many(six, true)).collect(), dropped: vec![] };
            let read = PexMessage::parse(&message.encode()).unwrap();
            let fours = read.added.iter().filter(|(addr, _)| addr.is_ipv4()).count();
            (fours, read.added.len() - fours)
        };
        assert_eq!([counts(200, 0), counts(0, 200)], [(50, 0), (0, 50)]);
        assert_eq!([counts(200, 200), counts(200, 10), counts(10, 200)], [(25, 25), (40, 10), (10, 40)]);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        let deep = [&b"d1:a"[..], &b"l".repeat(1000)].concat();
        for bad in [&b""[..], b"le", b"d5:added", &deep] {
            assert_eq!(PexMessage::parse(bad), Err(ExtensionError::Message));
        }
        assert_eq!(PexMessage::parse(b"d5:addedi1e7:droppedlee"), Ok(PexMessage::default()));
    }

    #[test]
    fn who_floods_is_heard_now_and_then() {
        let (mut cx, mut pex) = (Cx::new(Config::default(), 1, Instant::START), Pex::default());
        let mut heard = 0;
        for tenth in 0..6000_u64 {
            cx.now = Instant::from_start(Duration::from_millis(tenth * 100));
            heard += usize::from(pex.on_message(&mut cx, b"de").unwrap().is_some());
        }
        assert!(heard <= 6 + 2 * 600 / 45, "{heard} in ten minutes");
        // Garbage that is not looked at ends no connection.
        assert_eq!(pex.on_message(&mut cx, b"x"), Ok(None));
    }

    #[test]
    fn a_peer_is_told_a_moment_after_its_handshake_and_then_once_a_minute() {
        let (mut cx, mut pex) = (Cx::new(Config::default(), 1, Instant::START), Pex::default());
        let mut hello = Hello { listen_port: Some(7), ..Hello::default() };
        assert_eq!((pex.on_handshake(&mut cx, &hello), pex.timeout_at()), (Some(Told::Listens), None));
        hello.ids[Kind::Pex as usize] = Some(1);
        assert_eq!(pex.on_handshake(&mut cx, &hello), None);
        cx.now = pex.timeout_at().unwrap();
        assert_eq!(pex.on_timeout(&mut cx), Some(Told::PexDue));
        assert_eq!((pex.on_timeout(&mut cx), pex.timeout_at()), (None, None));
        pex.on_told(Some(cx.now), 5);
        assert_eq!(pex.timeout_at(), Some(cx.now + Duration::from_secs(60)));
        hello.ids[Kind::Pex as usize] = Some(0);
        pex.on_handshake(&mut cx, &hello);
        assert_eq!(pex.timeout_at(), None);
    }
}
