//! Scripted peers: each does by its plan what an honest client would not.

mod flood;
mod metadata;
mod pex;
mod plan;

pub use plan::{Flood, Meta, Plan, Serve, Shake};

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::rng::Rng;

use crate::link::Conn;
use crate::sample::Sample;
use crate::speak::{self, Ear, Heard};

/// What has happened to a scripted peer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that came up.
    pub connected_count: usize,
    /// Connections that the others ended.
    pub closed_count: usize,
    /// Times it was unchoked.
    pub unchoke_count: usize,
    /// Times it was choked.
    pub choke_count: usize,
    /// Requests heard.
    pub request_count: usize,
    /// Keep-alives heard.
    pub keep_alive_count: usize,
    /// Payload bytes heard.
    pub got_len: u64,
    /// Payload bytes said, right or wrong.
    pub served_len: u64,
    /// Requests answered wrongly.
    pub lie_count: usize,
}

/// What a scripted peer is woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The next part of its flood.
    Flood,
    /// The next byte.
    Trickle,
    /// A sign of life.
    KeepAlive,
}

/// What a scripted peer wants done.
#[derive(Debug)]
pub enum Act {
    /// Send this.
    Send(Conn, Vec<u8>),
    /// Call this address after this time.
    Dial(SocketAddr, Duration),
    /// Wake it for this after this time.
    Wake(Alarm, Duration),
}

/// A scripted peer.
#[derive(Debug)]
pub struct Puppet {
    /// What it does.
    pub plan: Plan,
    /// What has happened to it.
    pub stats: Stats,
    sample: Sample,
    rng: Rng,
    talks: BTreeMap<Conn, Talk>,
    /// How much of its flood it has sent.
    flooded: u32,
}

/// One conversation.
#[derive(Debug, Default)]
struct Talk {
    ear: Ear,
    dialled: Option<SocketAddr>,
    shaken: bool,
    /// The first 96 pieces that the other side has.
    theirs: u128,
    cursor: u32,
    outstanding: usize,
    may_ask: bool,
    trickle: VecDeque<u8>,
}

/// How often a flooder sends, and how much then.
const FLOOD_EVERY: Duration = Duration::from_millis(100);
const FLOOD_LEN: usize = 16 * 1024;

/// How long a byte of a trickle takes.
const TRICKLE_EVERY: Duration = Duration::from_secs(1);

/// Time between two signs of life.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(90);

/// Requests that a taker keeps outstanding.
const ASK_COUNT: usize = 8;

impl Puppet {
    /// A peer of this torrent's swarm with a plan.
    #[must_use]
    pub fn new(sample: Sample, plan: Plan, seed: u64) -> Self {
        let rng = Rng::new(seed);
        Self { plan, stats: Stats::default(), sample, rng, talks: BTreeMap::new(), flooded: 0 }
    }

    /// On how many of its connections it is unchoked now.
    #[must_use]
    pub fn unchoked_count(&self) -> usize {
        self.talks.values().filter(|talk| talk.may_ask).count()
    }

    /// How many connections it has.
    #[must_use]
    pub fn conn_count(&self) -> usize {
        self.talks.len()
    }

    /// The swarm begins.
    pub fn start(&mut self, acts: &mut Vec<Act>) {
        acts.extend(self.plan.dials.iter().map(|&addr| Act::Dial(addr, Duration::ZERO)));
        if self.plan.flood.is_some() {
            acts.push(Act::Wake(Alarm::Flood, FLOOD_EVERY));
        }
        if self.plan.serve == Serve::Trickle {
            acts.push(Act::Wake(Alarm::Trickle, TRICKLE_EVERY));
        } else {
            acts.push(Act::Wake(Alarm::KeepAlive, KEEP_ALIVE_EVERY));
        }
    }

    /// A connection is up; `dialled` is the address it called.
    pub fn connected(&mut self, conn: Conn, dialled: Option<SocketAddr>, acts: &mut Vec<Act>) {
        self.stats.connected_count += 1;
        self.talks.insert(conn, Talk { dialled, ..Talk::default() });
        if dialled.is_some() {
            self.shake(conn, self.plan.peer_id, acts);
        }
    }

    /// A connection is gone, or could not be made.
    pub fn closed(&mut self, conn: Conn, dialled: Option<SocketAddr>, acts: &mut Vec<Act>) {
        let talk = self.talks.remove(&conn);
        self.stats.closed_count += usize::from(talk.is_some());
        let dialled = dialled.or_else(|| talk.and_then(|talk| talk.dialled));
        if let (Some(pause), Some(addr)) = (self.plan.redial, dialled) {
            acts.push(Act::Dial(addr, pause));
        }
    }

    /// Bytes came.
    pub fn received(&mut self, conn: Conn, bytes: &[u8], acts: &mut Vec<Act>) {
        let Some(talk) = self.talks.get_mut(&conn) else {
            return;
        };
        let mut heard = Vec::new();
        talk.ear.hear(bytes, |one| heard.push(one));
        for one in heard {
            match one {
                Heard::Handshake { peer_id, .. } => {
                    let ours = if self.plan.shake == Shake::Mirror { peer_id } else { self.plan.peer_id };
                    self.shake(conn, ours, acts);
                }
                Heard::Message { id: Some(speak::EXTENDED), text, .. } => self.on_extended(conn, &text, acts),
                Heard::Message { id: Some(id), numbers, len, .. } => {
                    self.on_message(conn, id, numbers, len, acts)
                }
                Heard::Message { id: None, .. } => self.stats.keep_alive_count += 1,
            }
        }
    }

    /// Time has passed. `room` tells how many bytes a connection would take.
    pub fn woken(&mut self, alarm: Alarm, room: impl Fn(Conn) -> usize, acts: &mut Vec<Act>) {
        let shaken: Vec<Conn> =
            self.talks.iter().filter(|(_, talk)| talk.shaken).map(|(&conn, _)| conn).collect();
        for conn in shaken {
            let bytes = match (alarm, self.plan.flood) {
                (Alarm::Flood, Some(flood)) if room(conn) >= FLOOD_LEN => self.flood(flood),
                (Alarm::Flood, _) => continue,
                (Alarm::KeepAlive, _) => vec![0; 4],
                (Alarm::Trickle, _) => {
                    let talk = self.talks.get_mut(&conn).expect("it talks");
                    talk.trickle.pop_front().into_iter().collect()
                }
            };
            acts.push(Act::Send(conn, bytes));
        }
        let pause = match alarm {
            Alarm::Flood => FLOOD_EVERY,
            Alarm::Trickle => TRICKLE_EVERY,
            Alarm::KeepAlive => KEEP_ALIVE_EVERY,
        };
        acts.push(Act::Wake(alarm, pause));
    }

    fn shake(&mut self, conn: Conn, peer_id: [u8; 20], acts: &mut Vec<Act>) {
        let Some(talk) = self.talks.get_mut(&conn).filter(|talk| !talk.shaken) else {
            return;
        };
        talk.shaken = true;
        let info_hash = *self.sample.metainfo.info_hash().as_bytes();
        let mut out = match self.plan.shake {
            Shake::Right | Shake::Mirror => {
                speak::handshake_with(&self.plan.reserved(), &info_hash, &peer_id)
            }
            Shake::WrongHash => speak::handshake(&info_hash.map(|byte| !byte), &peer_id),
            Shake::Never => return,
            Shake::Garbage => self.noise(200),
        };
        if self.plan.has {
            speak::message(&mut out, speak::BITFIELD, &[], &self.all_bits());
        }
        if self.plan.asks {
            speak::message(&mut out, speak::INTERESTED, &[], &[]);
        }
        if self.plan.flood == Some(Flood::Pex) {
            pex::greet(&mut out);
        }
        metadata::greet(self.plan.metadata, self.sample.metainfo.info(), &mut out);
        acts.push(Act::Send(conn, out));
    }

    fn on_message(&mut self, conn: Conn, id: u8, numbers: [u32; 3], len: u32, acts: &mut Vec<Act>) {
        let Some(talk) = self.talks.get_mut(&conn) else {
            return;
        };
        let mut out = Vec::new();
        match id {
            speak::CHOKE => {
                self.stats.choke_count += 1;
                (talk.may_ask, talk.outstanding) = (false, 0);
            }
            speak::UNCHOKE => {
                self.stats.unchoke_count += 1;
                talk.may_ask = true;
            }
            speak::INTERESTED if self.plan.unchokes => speak::message(&mut out, speak::UNCHOKE, &[], &[]),
            speak::HAVE => talk.theirs |= 1_u128.checked_shl(numbers[0]).unwrap_or(0),
            speak::BITFIELD => {
                let bits = numbers.iter().fold(0_u128, |bits, &word| bits << 32 | u128::from(word));
                talk.theirs |= (bits << 32).reverse_bits();
            }
            speak::PIECE => {
                self.stats.got_len += u64::from(len.saturating_sub(9));
                talk.outstanding = talk.outstanding.saturating_sub(1);
            }
            speak::REQUEST => {
                self.stats.request_count += 1;
                out = self.answer(numbers);
                if self.plan.serve == Serve::Trickle {
                    let talk = self.talks.get_mut(&conn).expect("it talks");
                    talk.trickle.extend(out.drain(..));
                }
            }
            _ => {}
        }
        if self.plan.asks {
            self.ask(conn, &mut out);
        }
        if !out.is_empty() {
            acts.push(Act::Send(conn, out));
        }
    }

    fn answer(&mut self, [index, begin, len]: [u32; 3]) -> Vec<u8> {
        let Some(range) = self.sample.metainfo.geometry().range(index, begin, len) else {
            return Vec::new();
        };
        let mut bytes = self.sample.bytes(range).to_vec();
        match self.plan.serve {
            Serve::Never => return Vec::new(),
            Serve::Rejects => {
                let mut out = Vec::new();
                speak::message(&mut out, speak::REJECT, &[index, begin, len], &[]);
                speak::message(&mut out, speak::UNCHOKE, &[], &[]);
                return out;
            }
            Serve::Wrong(per_mille) if self.rng.below(1000) < per_mille => {
                self.stats.lie_count += 1;
                let at = self.rng.below(bytes.len());
                bytes[at] = !bytes[at];
            }
            Serve::Right | Serve::Wrong(_) | Serve::Trickle => {}
        }
        self.stats.served_len += u64::from(len);
        let mut out = Vec::new();
        speak::message(&mut out, speak::PIECE, &[index, begin], &bytes);
        out
    }

    /// Asks for the next blocks of what the other side has, round and round.
    fn ask(&mut self, conn: Conn, out: &mut Vec<u8>) {
        let geometry = self.sample.metainfo.geometry();
        let Some(talk) = self.talks.get_mut(&conn).filter(|talk| talk.may_ask && talk.theirs != 0) else {
            return;
        };
        let per_piece = geometry.piece(0).map_or(1, |piece| geometry.block_count(piece));
        let all = geometry.piece_count() * per_piece;
        let mut tries = 0;
        while talk.outstanding < ASK_COUNT && tries < all {
            tries += 1;
            talk.cursor = (talk.cursor + 1) % all;
            let (index, number) = (talk.cursor / per_piece, talk.cursor % per_piece);
            let has = 1_u128.checked_shl(index).is_some_and(|bit| talk.theirs & bit != 0);
            let block = geometry.piece(index).and_then(|piece| geometry.block(piece, number));
            if let Some(block) = block.filter(|_| has) {
                speak::message(out, speak::REQUEST, &[index, block.begin(), block.len()], &[]);
                talk.outstanding += 1;
            }
        }
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.rng.next_u64().to_le_bytes());
        }
        bytes
    }
}
