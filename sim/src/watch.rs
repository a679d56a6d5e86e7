//! Watches what one leech asks for on the wire: no block may be asked of two peers at once before
//! the endgame, that is while there is a block that nobody was asked for.
//!
//! Three exceptions are part of the design: a block that was not answered for so long that its peer
//! may count as snubbed, a block of a piece that has failed its hash before, which is taken
//! from one peer and given to another, and a block that came from a liar.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerless_core::piece::Geometry;
use peerless_core::{Instant, PeerKey};

use crate::speak::{self, Ear, Heard};

/// A peer that owes a block for this long may be snubbed.
const PATIENCE: Duration = Duration::from_secs(19);

/// What a leech has asked for and got.
#[derive(Debug)]
pub struct Watch {
    blocks: Vec<Asked>,
    per_piece: u32,
    /// Blocks that nobody was asked for and that did not come, without those of failed pieces.
    free_count: usize,
    endgame: bool,
    failed: BTreeSet<u32>,
    liars: BTreeSet<PeerKey>,
    talks: BTreeMap<PeerKey, Talk>,
    again: Vec<(PeerKey, [u32; 3])>,
    /// Pieces in the order in which they were first asked for.
    pub order: Vec<u32>,
    /// Requests seen.
    pub request_count: usize,
    /// Requests that must not be, in words.
    pub doubles: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Asked {
    of: Vec<(PeerKey, Instant)>,
    came: bool,
    from: Option<PeerKey>,
}

impl Asked {
    const fn is_free(&self) -> bool {
        self.of.is_empty() && !self.came
    }
}

#[derive(Debug, Default)]
struct Talk {
    said: Ear,
    /// Requests and cancels that were seen and have not left.
    queued_count: usize,
    heard: Ear,
    choked: bool,
    /// Whether the other side speaks the fast extension, as the session does: each request is then
    /// answered, whether it chokes or not.
    fast: bool,
    /// The pieces that may be asked for while choked.
    allowed: BTreeSet<u32>,
}

impl Watch {
    /// Watches a leech that has nothing yet.
    #[must_use]
    pub fn new(geometry: Geometry) -> Self {
        let per_piece = geometry.piece(0).map_or(1, |piece| geometry.block_count(piece));
        let count = geometry.pieces().map(|piece| geometry.block_count(piece) as usize).sum();
        Self {
            blocks: vec![Asked::default(); geometry.piece_count() as usize * per_piece as usize],
            per_piece,
            free_count: count,
            endgame: false,
            failed: BTreeSet::new(),
            liars: BTreeSet::new(),
            talks: BTreeMap::new(),
            again: Vec::new(),
            order: Vec::new(),
            request_count: 0,
            doubles: Vec::new(),
        }
    }

    /// The leech wants to send all these bytes to the peer; some may have been here before.
    ///
    /// What counts is when a request was decided, not when the line had room for it. Blocks may
    /// vanish from a queue again, requests and cancels do not, so those are what is counted.
    pub fn queued<'a>(&mut self, now: Instant, peer: PeerKey, bytes: impl Iterator<Item = &'a [u8]>) {
        let talk = self.talk(peer);
        let (mut ear, mut all) = (talk.said.clone(), Vec::new());
        bytes.for_each(|run| ear.hear(run, |one| all.extend(asking(one))));
        let known = std::mem::replace(&mut talk.queued_count, all.len());
        let (choked, allowed) = (talk.choked, talk.allowed.clone());
        for (id, numbers) in all.into_iter().skip(known) {
            let index = self.index(numbers);
            if id == speak::CANCEL {
                self.release(peer, numbers);
            } else if choked && !allowed.contains(&numbers[0]) {
                self.doubles.push(format!("{now:?}: {numbers:?} of {peer:?}, which chokes"));
            } else if self.blocks[index].is_free() {
                self.on_request(now, peer, numbers);
            } else {
                self.again.push((peer, numbers));
            }
        }
    }

    /// Everyone's queue has been seen: judges what was asked a second time. What several peers are
    /// asked at one moment has no order, so what was asked a first time counts before.
    pub fn judge(&mut self, now: Instant) {
        for (peer, numbers) in std::mem::take(&mut self.again) {
            // What was choked or closed since is not waited for any more.
            let may = |talk: &Talk| !talk.choked || talk.allowed.contains(&numbers[0]);
            if self.talks.get(&peer).is_some_and(may) {
                self.on_request(now, peer, numbers);
            }
        }
    }

    /// The leech has sent these bytes.
    pub fn sent(&mut self, peer: PeerKey, bytes: &[u8]) {
        let talk = self.talk(peer);
        let mut count = 0;
        talk.said.hear(bytes, |one| count += usize::from(asking(one).is_some()));
        talk.queued_count -= count;
    }

    /// The leech is about to get the first of these bytes, up to the end of a message: how many.
    pub fn heard(&mut self, peer: PeerKey, bytes: &[u8]) -> usize {
        let (used, one) = self.talk(peer).heard.hear_one(bytes);
        match one {
            Some(Heard::Handshake { reserved, .. }) => self.talk(peer).fast = reserved[7] & 4 != 0,
            Some(Heard::Message { id: Some(speak::ALLOWED_FAST), numbers, .. }) => {
                self.talk(peer).allowed.insert(numbers[0]);
            }
            Some(Heard::Message { id: Some(speak::REJECT), numbers, .. }) => {
                self.release(peer, numbers);
                self.again.retain(|again| *again != (peer, numbers));
            }
            Some(Heard::Message { id: Some(speak::CHOKE), .. }) => {
                let talk = self.talk(peer);
                talk.choked = true;
                if talk.fast {
                    return used;
                }
                self.release_all(peer);
                // What it was asked for a moment ago is dropped with the rest.
                self.again.retain(|(other, _)| *other != peer);
            }
            Some(Heard::Message { id: Some(speak::UNCHOKE), .. }) => self.talk(peer).choked = false,
            Some(Heard::Message { id: Some(speak::PIECE), numbers, .. }) => self.on_piece(peer, numbers),
            Some(Heard::Message { .. }) | None => {}
        }
        used
    }

    /// A connection of the leech is gone.
    pub fn gone(&mut self, peer: PeerKey) {
        self.release_all(peer);
        self.talks.remove(&peer);
    }

    /// A piece that had come was bad: it is fetched anew by its own rules, and counts no more.
    pub fn failed(&mut self, piece: u32) {
        self.failed.insert(piece);
    }

    /// A peer has sent bad blocks: all that came from it may be asked for again.
    pub fn lied(&mut self, peer: PeerKey) {
        self.liars.insert(peer);
    }

    fn on_request(&mut self, now: Instant, peer: PeerKey, numbers: [u32; 3]) {
        if !self.order.contains(&numbers[0]) {
            self.order.push(numbers[0]);
        }
        self.request_count += 1;
        let (index, piece) = (self.index(numbers), numbers[0]);
        self.endgame |= self.free_count == 0;
        let asked = &mut self.blocks[index];
        if asked.came && asked.from.is_some_and(|from| self.liars.contains(&from)) {
            asked.came = false;
            self.free_count += usize::from(asked.is_free() && !self.failed.contains(&piece));
        }
        let waits = asked.of.iter().find(|(_, at)| now.since(*at) < PATIENCE);
        let may = self.endgame || self.failed.contains(&piece) || (waits.is_none() && !asked.came);
        if !may {
            let why = if asked.came { "came".to_owned() } else { format!("is waited for from {waits:?}") };
            let free = self.blocks.iter().position(|asked| asked.is_free());
            let free = free.map(|index| (index / self.per_piece as usize, index % self.per_piece as usize));
            self.doubles.push(format!(
                "{now:?}: {numbers:?} of {peer:?} while it {why} and {} blocks are free, as (piece, block) {free:?}",
                self.free_count,
            ));
        }
        let asked = &mut self.blocks[index];
        self.free_count -= usize::from(asked.is_free() && !self.failed.contains(&piece));
        asked.of.push((peer, now));
    }

    fn on_piece(&mut self, peer: PeerKey, numbers: [u32; 3]) {
        let index = self.index(numbers);
        let Some(asked) = self.blocks.get_mut(index) else {
            return;
        };
        let before = asked.of.len();
        asked.of.retain(|(other, _)| *other != peer);
        if asked.of.len() < before {
            (asked.came, asked.from) = (true, Some(peer));
        }
    }

    fn release(&mut self, peer: PeerKey, numbers: [u32; 3]) {
        let index = self.index(numbers);
        self.release_at(peer, index);
    }

    fn release_all(&mut self, peer: PeerKey) {
        (0..self.blocks.len()).for_each(|index| self.release_at(peer, index));
    }

    fn release_at(&mut self, peer: PeerKey, index: usize) {
        let Some(asked) = self.blocks.get_mut(index) else {
            return;
        };
        let before = asked.of.len();
        asked.of.retain(|(other, _)| *other != peer);
        let piece = u32::try_from(index).map_or(0, |index| index / self.per_piece);
        let freed = before > 0 && asked.is_free();
        self.free_count += usize::from(freed && !self.failed.contains(&piece));
    }

    fn index(&self, [piece, begin, _]: [u32; 3]) -> usize {
        (u64::from(piece) * u64::from(self.per_piece) + u64::from(begin / (16 * 1024)))
            .try_into()
            .unwrap_or(usize::MAX)
    }

    fn talk(&mut self, peer: PeerKey) -> &mut Talk {
        let fresh = || Talk { choked: true, ..Talk::default() };
        self.talks.entry(peer).or_insert_with(fresh)
    }
}

/// A request or a cancel.
fn asking(heard: Heard) -> Option<(u8, [u32; 3])> {
    match heard {
        Heard::Message { id: Some(id @ (speak::REQUEST | speak::CANCEL)), numbers, .. } => {
            Some((id, numbers))
        }
        Heard::Message { .. } | Heard::Handshake { .. } => None,
    }
}
