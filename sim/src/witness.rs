//! Follows what a host says and hears on the wire, and compares it with what is on its disk: what the
//! promises are about, told without asking the session.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::piece::Geometry;
use peerless_core::{Instant, PeerKey};

use crate::speak::{self, Ear, Heard};

/// The number that a session gives `lt_donthave` (BEP 54).
const DONT_HAVE: u8 = 2;

/// Who owes blocks for so long without bringing one may be snubbed: it is not waited for, and what it was
/// asked for may have been given up.
const LATE_TIME: Duration = Duration::from_secs(20);

/// What a host of one torrent says and hears.
#[derive(Debug)]
pub struct Witness {
    geometry: Geometry,
    /// What was on the disk when it began: nothing of it is to be fetched.
    kept: Bitfield,
    talks: BTreeMap<PeerKey, Talk>,
    /// Blocks that came, of pieces that are not on the disk.
    held: BTreeMap<u32, BTreeSet<u32>>,
    /// When something was last asked for, or came.
    active_at: Instant,
    /// Whether it knows what it wants.
    has_started: bool,
    /// Whether a piece was bad.
    has_failed: bool,
    /// Since when somebody could be asked for something.
    could_since: Option<Instant>,
    /// The longest time for which somebody could have been asked, while nothing was asked and nothing came.
    pub longest_wait: Duration,
    /// The most requests that one peer had not answered.
    pub outstanding_max: usize,
    /// The most bytes that were asked for, or had come and were not on the disk, until a piece was bad.
    pub open_len_max: u64,
    /// Requests seen.
    pub request_count: usize,
    /// What must not be, in words.
    pub lies: Vec<String>,
}

#[derive(Debug)]
struct Talk {
    said: Ear,
    heard: Ear,
    chokes: bool,
    fast: bool,
    /// Whether what it was asked for was given up before all of that had left, as it choked, rejected it
    /// or took back that it has a piece: from then on it is not known what is waited for.
    is_unclear: bool,
    has: Bitfield,
    outstanding: BTreeSet<[u32; 3]>,
    /// Since when it owes blocks and has brought none.
    owes_since: Instant,
    /// Whether that was for too long, until it brings one.
    is_late: bool,
}

impl Witness {
    /// Follows a host that begins with these pieces on its disk.
    #[must_use]
    pub fn new(geometry: Geometry, kept: Bitfield, now: Instant) -> Self {
        Self {
            geometry,
            kept,
            talks: BTreeMap::new(),
            held: BTreeMap::new(),
            active_at: now,
            has_started: false,
            has_failed: false,
            could_since: None,
            longest_wait: Duration::ZERO,
            outstanding_max: 0,
            open_len_max: 0,
            request_count: 0,
            lies: Vec::new(),
        }
    }

    /// The host has sent these bytes, while `there` is on its disk.
    pub fn sent(&mut self, now: Instant, peer: PeerKey, bytes: &[u8], there: &Bitfield) {
        let mut all = Vec::new();
        self.talk(peer).said.hear(bytes, |one| all.push(one));
        for one in all {
            let Heard::Message { id: Some(id), numbers, text, len } = one else { continue };
            let lie = match id {
                speak::HAVE if !has(&self.geometry, there, numbers[0]) => "announced",
                speak::PIECE if !has(&self.geometry, there, numbers[0]) => "served",
                speak::HAVE_ALL if !there.is_full() => "announced",
                speak::BITFIELD if !within(&self.geometry, &text, len, there) => "announced",
                speak::REQUEST if has(&self.geometry, &self.kept, numbers[0]) => "asked for",
                _ => "",
            };
            if !lie.is_empty() {
                self.lies.push(format!("{now:?}: {lie} to {peer:?}: {one:?} while {there:?} is there"));
            }
            match id {
                speak::REQUEST => {
                    (self.active_at, self.request_count) = (now, self.request_count + 1);
                    let talk = self.talk(peer);
                    if talk.outstanding.is_empty() {
                        talk.owes_since = now;
                    }
                    if !talk.is_unclear {
                        talk.outstanding.insert(numbers);
                    }
                    let count = talk.outstanding.len();
                    self.outstanding_max = self.outstanding_max.max(count);
                }
                speak::CANCEL => _ = self.talk(peer).outstanding.remove(&numbers),
                _ => {}
            }
        }
    }

    /// The host is about to get these bytes; `has_unsent` if some of its own for the peer have not left.
    pub fn heard(&mut self, now: Instant, peer: PeerKey, bytes: &[u8], has_unsent: bool) {
        let mut all = Vec::new();
        self.talk(peer).heard.hear(bytes, |one| all.push(one));
        let (geometry, mut has_choked) = (self.geometry, false);
        let talk = self.talk(peer);
        if talk.heard.current() == Some(speak::PIECE) && !talk.outstanding.is_empty() {
            // A block that was asked for comes, however slowly.
            self.active_at = now;
        }
        for one in all {
            let talk = self.talk(peer);
            match one {
                Heard::Handshake { reserved, .. } => talk.fast = reserved[7] & 4 != 0,
                Heard::Message { id: Some(id), numbers, text, len } => match id {
                    speak::CHOKE => {
                        talk.chokes = true;
                        if !talk.fast {
                            talk.outstanding.clear();
                            // After the second one within these bytes too: it is asked in between.
                            talk.is_unclear |= has_unsent || has_choked;
                            has_choked = true;
                        }
                    }
                    speak::UNCHOKE => talk.chokes = false,
                    speak::HAVE => _ = geometry.piece(numbers[0]).map(|piece| talk.has.insert(piece)),
                    speak::HAVE_ALL => talk.has = Bitfield::full(geometry.piece_count()),
                    speak::BITFIELD => {
                        let told = geometry.pieces().filter(|piece| bit(&text, len, piece.get()));
                        told.for_each(|piece| _ = talk.has.insert(piece));
                    }
                    speak::PIECE => self.on_piece(now, peer, numbers, len),
                    speak::EXTENDED if text[0] == DONT_HAVE => {
                        let lost = u32::from_be_bytes([text[1], text[2], text[3], text[4]]);
                        _ = geometry.piece(lost).map(|piece| talk.has.remove(piece));
                        // What was asked of it will not come; some of that may not even have left.
                        talk.outstanding.clear();
                        talk.is_unclear = true;
                    }
                    speak::REJECT => {
                        // Else it had not even left, and would be counted when it does.
                        talk.is_unclear |= !talk.outstanding.remove(&numbers);
                    }
                    _ => {}
                },
                Heard::Message { id: None, .. } => {}
            }
        }
    }

    /// The host knows the torrent and what it has of it, and may ask from now on.
    pub const fn started(&mut self) {
        self.has_started = true;
    }

    /// A piece that had come was bad. What is held of others is thrown away in part, which is not to be
    /// seen from here: what is open counts no more.
    pub const fn failed(&mut self) {
        self.has_failed = true;
    }

    /// A connection of the host is gone.
    pub fn gone(&mut self, peer: PeerKey) {
        self.talks.remove(&peer);
    }

    /// Time has come to `now` with nothing new; `there` is on the disk.
    pub fn look(&mut self, now: Instant, there: &Bitfield) {
        if let Some(since) = self.could_since {
            self.longest_wait = self.longest_wait.max(now.since(since.max(self.active_at)));
        }
        let geometry = self.geometry;
        let could = self
            .talks
            .values()
            .any(|talk| !talk.chokes && talk.has.iter(&geometry).any(|piece| !there.has(piece)));
        self.could_since = (could && self.has_started).then(|| self.could_since.unwrap_or(now));
        if self.has_failed {
            return;
        }
        self.held.retain(|piece, _| !has(&geometry, there, *piece));
        for talk in self.talks.values_mut().filter(|talk| !talk.outstanding.is_empty()) {
            talk.is_late |= now.since(talk.owes_since) >= LATE_TIME;
        }
        let talks = self.talks.values().filter(|talk| !talk.is_late);
        let asked: BTreeSet<_> = talks.flat_map(|talk| talk.outstanding.iter()).collect();
        let asked_pieces: BTreeSet<u32> = asked.iter().map(|[piece, ..]| *piece).collect();
        let asked = asked.iter().filter(|[piece, begin, _]| !self.is_held(*piece, *begin));
        let asked: u64 = asked.map(|[_, _, len]| u64::from(*len)).sum();
        let block_len = |piece: u32, begin: u32| {
            let whole = geometry.piece(piece).map_or(0, |piece| geometry.len_of(piece));
            u64::from(whole.saturating_sub(begin).min(16 * 1024))
        };
        let is_whole = |piece: u32, begins: &BTreeSet<u32>| {
            geometry.piece(piece).is_some_and(|it| begins.len() == geometry.block_count(it) as usize)
        };
        // A piece in part for which nothing is asked may have been given up for another.
        let held = self
            .held
            .iter()
            .filter(|(piece, begins)| is_whole(**piece, begins) || asked_pieces.contains(*piece));
        let held = held.flat_map(|(piece, begins)| begins.iter().map(|begin| (*piece, *begin)));
        let held: u64 = held.map(|(piece, begin)| block_len(piece, begin)).sum();
        self.open_len_max = self.open_len_max.max(asked + held);
    }

    fn on_piece(&mut self, now: Instant, peer: PeerKey, [index, begin, _]: [u32; 3], len: u32) {
        let talk = self.talk(peer);
        if talk.outstanding.remove(&[index, begin, len.saturating_sub(9)]) {
            (talk.owes_since, talk.is_late) = (now, false);
            self.active_at = now;
            self.held.entry(index).or_default().insert(begin);
        }
    }

    fn is_held(&self, piece: u32, begin: u32) -> bool {
        self.held.get(&piece).is_some_and(|begins| begins.contains(&begin))
    }

    fn talk(&mut self, peer: PeerKey) -> &mut Talk {
        let fresh = || Talk {
            said: Ear::default(),
            heard: Ear::default(),
            chokes: true,
            fast: false,
            is_unclear: false,
            has: Bitfield::empty(self.geometry.piece_count()),
            outstanding: BTreeSet::new(),
            owes_since: Instant::START,
            is_late: false,
        };
        self.talks.entry(peer).or_insert_with(fresh)
    }
}

fn has(geometry: &Geometry, pieces: &Bitfield, index: u32) -> bool {
    geometry.piece(index).is_some_and(|piece| pieces.has(piece))
}

/// Whether a bitfield of this text names the piece; only as far as an ear listens.
fn bit(text: &[u8], len: u32, index: u32) -> bool {
    let byte = index / 8;
    byte + 1 < len && text.get(byte as usize).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
}

/// Whether a bitfield of this text names nothing but what is there.
fn within(geometry: &Geometry, text: &[u8], len: u32, there: &Bitfield) -> bool {
    geometry.pieces().all(|piece| there.has(piece) || !bit(text, len, piece.get()))
}
