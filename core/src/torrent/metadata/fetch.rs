//! Getting metadata from several peers at once (BEP 9): what to ask of whom, and whom to believe.
//!
//! Everybody who says the same length takes part in one copy. When such a copy fails its hash nobody
//! knows whose fault it was, so from then on whole copies are got from single peers, a few at a time:
//! one that fails has one author, and a good one tells who lied in the first.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::extension::METADATA_PIECE_LEN;
use crate::id::PeerId;
use crate::job::BlockDigest;
use crate::key::PeerKey;
use crate::time::Instant;
use crate::torrent::verdict::{Giver, Verdicts};

/// Pieces asked of one peer at once: 64 KiB on their way keep a peer busy, and many clients answer
/// no more at a time.
const ASKED_MAX: usize = 4;

/// How the peer ids of rtorrent's library begin. While it answers one request it takes no other: who
/// asks meanwhile is not heard again (seen with 0.13.8).
const ASKED_ONE_BY_ONE: &[u8] = b"-lt";

/// How long a peer may take for one piece before it is let be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// After so long another peer is asked for the same piece, if there is nothing else to ask it for.
const LATE_TIME: Duration = Duration::from_secs(3);

/// How long a peer that rejects or does not answer is let be.
const REST_TIME: Duration = Duration::from_secs(10);

/// Copies got from single peers at once.
const ALONE_MAX: usize = 3;

/// Bytes that these may come to take together, 32 MiB: what one alone takes at most. Real metadata is
/// far shorter, so that this hinders only those who say great lengths.
const COPIES_LEN_MAX: u64 = 32 << 20;

/// How long such a copy may take while other peers wait for a try.
const ALONE_TIME: Duration = Duration::from_secs(60);

/// The search for a torrent's metadata.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    sources: BTreeMap<PeerKey, Source>,
    source_count: u64,
    /// One of everybody or, once there was a lie, some of one peer each.
    copies: Vec<Copy>,
    mistrust: bool,
    /// The copy that is being hashed: its length, and who gave each piece.
    verifying: Option<(u32, Vec<Giver>)>,
    verdicts: Verdicts<u32>,
}

/// A peer that says to have the metadata.
#[derive(Debug)]
struct Source {
    giver: Giver,
    len: u32,
    /// Which peer it was to say so, in their order.
    number: u64,
    asked: Vec<(u32, Instant)>,
    rest_until: Option<Instant>,
    /// Whether a copy of it alone was begun in this round.
    tried: bool,
}

/// A copy that is being put together.
#[derive(Debug)]
struct Copy {
    len: u32,
    alone: Option<PeerKey>,
    began_at: Instant,
    pieces: Vec<Piece>,
    missing_count: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    Missing,
    Asked(Instant),
    Held(Giver, Vec<u8>),
}

/// What became of a piece that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It was not asked of this peer.
    Unasked,
    /// It can't be that piece.
    Malformed,
    /// It was taken, or is of no use any more.
    Taken,
}

impl Source {
    fn rests(&self, now: Instant) -> bool {
        self.rest_until.is_some_and(|until| until > now)
    }
}

impl Copy {
    fn new(now: Instant, len: u32, alone: Option<PeerKey>) -> Self {
        let missing_count = len.div_ceil(METADATA_PIECE_LEN) as usize;
        Self { len, alone, began_at: now, pieces: vec![Piece::Missing; missing_count], missing_count }
    }

    fn is_of(&self, key: PeerKey, source: &Source) -> bool {
        source.len == self.len && self.alone.is_none_or(|alone| alone == key)
    }

    /// The next piece to ask a peer for that has been asked for those.
    fn next(&self, now: Instant, asked: &[(u32, Instant)]) -> Option<u32> {
        let find = |is: &dyn Fn(u32, &Piece) -> bool| {
            (0..).zip(&self.pieces).find(|(number, piece)| is(*number, piece)).map(|(number, _)| number)
        };
        let is_new = |number: u32| asked.iter().all(|(known, _)| *known != number);
        let is_late = |piece: &Piece| matches!(piece, Piece::Asked(at) if now.since(*at) >= LATE_TIME);
        let missing = find(&|number, piece| matches!(piece, Piece::Missing) && is_new(number));
        missing.or_else(|| find(&|number, piece| is_late(piece) && is_new(number)))
    }

    fn len_of(&self, number: u32) -> u32 {
        let start = number.saturating_mul(METADATA_PIECE_LEN);
        self.len.saturating_sub(start).min(METADATA_PIECE_LEN)
    }

    /// Lets a piece be asked of others.
    fn free(&mut self, number: u32) {
        if let Some(piece @ Piece::Asked(_)) = self.pieces.get_mut(number as usize) {
            *piece = Piece::Missing;
        }
    }
}

/// Pieces to ask of a peer at once.
fn asked_max(id: &PeerId) -> usize {
    if id.as_bytes().starts_with(ASKED_ONE_BY_ONE) { 1 } else { ASKED_MAX }
}

impl Fetch {
    /// A peer says to have metadata of this length.
    pub(super) fn on_len(&mut self, giver: Giver, len: u32) {
        if self.sources.get(&giver.peer).is_some_and(|source| source.len == len) {
            return;
        }
        self.on_gone(giver.peer);
        self.source_count += 1;
        let number = self.source_count;
        let source = Source { giver, len, number, asked: Vec::new(), rest_until: None, tried: false };
        self.sources.insert(giver.peer, source);
    }

    /// A peer is gone; what it gave stays.
    pub(super) fn on_gone(&mut self, key: PeerKey) {
        let Some(source) = self.sources.remove(&key) else { return };
        for copy in self.copies.iter_mut().filter(|copy| copy.is_of(key, &source)) {
            source.asked.iter().for_each(|(number, _)| copy.free(*number));
        }
        self.copies.retain(|copy| copy.alone != Some(key));
    }

    /// A peer will not give a piece.
    pub(super) fn on_reject(&mut self, now: Instant, key: PeerKey, number: u32) {
        let Some(source) = self.sources.get_mut(&key) else { return };
        let before = source.asked.len();
        source.asked.retain(|(asked, _)| *asked != number);
        if source.asked.len() == before {
            return;
        }
        source.rest_until = Some(now + REST_TIME);
        for copy in self.copies.iter_mut().filter(|copy| copy.is_of(key, source)) {
            copy.free(number);
        }
    }

    /// A piece has come.
    pub(super) fn on_data(
        &mut self,
        key: PeerKey,
        number: u32,
        total_len: Option<u32>,
        bytes: &[u8],
    ) -> Came {
        let Some(source) = self.sources.get_mut(&key) else { return Came::Unasked };
        let Some(at) = source.asked.iter().position(|(asked, _)| *asked == number) else {
            return Came::Unasked;
        };
        source.asked.remove(at);
        let Some(copy) = self.copies.iter_mut().find(|copy| copy.is_of(key, source)) else {
            return Came::Taken;
        };
        let len = u32::try_from(bytes.len()).ok();
        if len != Some(copy.len_of(number)) || total_len.is_some_and(|len| len != copy.len) {
            copy.free(number);
            return Came::Malformed;
        }
        match copy.pieces.get_mut(number as usize) {
            None | Some(Piece::Held(..)) => {}
            Some(piece) => {
                *piece = Piece::Held(source.giver, bytes.to_vec());
                copy.missing_count -= 1;
            }
        }
        Came::Taken
    }

    /// Lets be who does not answer.
    pub(super) fn on_tick(&mut self, now: Instant) {
        for (key, source) in &mut self.sources {
            if source.asked.iter().all(|(_, at)| now.since(*at) < ANSWER_TIMEOUT) {
                continue;
            }
            source.rest_until = Some(now + REST_TIME);
            let asked = std::mem::take(&mut source.asked);
            for copy in self.copies.iter_mut().filter(|copy| copy.is_of(*key, source)) {
                asked.iter().for_each(|(number, _)| copy.free(*number));
            }
        }
    }

    /// What to ask for now, and of whom.
    pub(super) fn pick(&mut self, now: Instant) -> Vec<(PeerKey, u32)> {
        let mut picked = Vec::new();
        if self.verifying.is_some() {
            return picked;
        }
        if self.mistrust {
            self.begin_alone(now);
        } else {
            self.begin_shared(now);
        }
        for (key, source) in &mut self.sources {
            let copy = self.copies.iter_mut().find(|copy| copy.is_of(*key, source));
            let Some(copy) = copy.filter(|_| !source.rests(now)) else { continue };
            while source.asked.len() < asked_max(&source.giver.id)
                && let Some(number) = copy.next(now, &source.asked)
            {
                if let Some(piece) = copy.pieces.get_mut(number as usize) {
                    *piece = Piece::Asked(now);
                }
                source.asked.push((number, now));
                picked.push((*key, number));
            }
        }
        picked
    }

    /// The pieces of a copy that is whole. No other is given until it has been judged.
    pub(super) fn take_copy(&mut self) -> Option<Vec<Vec<u8>>> {
        let at = self.copies.iter().position(|copy| copy.missing_count == 0)?;
        let copy = self.copies.swap_remove(at);
        let held = copy.pieces.into_iter().filter_map(|piece| match piece {
            Piece::Held(giver, bytes) => Some((giver, bytes)),
            Piece::Missing | Piece::Asked(_) => None,
        });
        let (givers, pieces) = held.unzip();
        self.verifying = Some((copy.len, givers));
        Some(pieces)
    }

    /// Whether the digests of a good copy's pieces will tell who lied.
    pub(super) const fn wants_digests(&self) -> bool {
        self.mistrust
    }

    /// The copy was bad. Returns who is certainly to blame.
    pub(super) fn on_bad(&mut self, digests: &[BlockDigest]) -> Option<Giver> {
        let (len, givers) = self.verifying.take()?;
        let givers: Vec<_> = givers.into_iter().map(Some).collect();
        let guilty = self.verdicts.on_bad(len, &givers, digests);
        self.mistrust |= guilty.is_none();
        guilty
    }

    /// The copy was good. Returns who lied in others of the same length.
    pub(super) fn on_good(&mut self, digests: &[BlockDigest]) -> Vec<Giver> {
        let verifying = self.verifying.take();
        verifying.map_or_else(Vec::new, |(len, _)| self.verdicts.on_good(len, digests))
    }

    /// Bytes held of the copy that is furthest, and its length.
    pub(super) fn progress(&self) -> (u32, u32) {
        if let Some((len, _)) = &self.verifying {
            return (*len, *len);
        }
        let held = |copy: &Copy| {
            let numbers = (0..).zip(&copy.pieces).filter(|(_, piece)| matches!(piece, Piece::Held(..)));
            numbers.map(|(number, _)| copy.len_of(number)).sum::<u32>()
        };
        self.copies.iter().map(|copy| (held(copy), copy.len)).max().unwrap_or_default()
    }

    /// Whether this peer says to have it.
    pub(super) fn is_source(&self, key: PeerKey) -> bool {
        self.sources.contains_key(&key)
    }

    /// Whether anybody says to have it.
    pub(super) fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// The copy of those who say the same length: the length of most, at first of who was first.
    fn begin_shared(&mut self, now: Instant) {
        let mut votes: BTreeMap<u32, (usize, Reverse<u64>)> = BTreeMap::new();
        for source in self.sources.values().filter(|source| !source.rests(now)) {
            let (count, first) = votes.entry(source.len).or_insert((0, Reverse(source.number)));
            *count += 1;
            *first = (*first).max(Reverse(source.number));
        }
        let count = |len| votes.get(&len).map_or(0, |(count, _)| *count);
        let Some((len, (most, _))) = votes.iter().max_by_key(|(_, vote)| **vote) else { return };
        if self.copies.first().is_none_or(|copy| copy.len != *len && count(copy.len) < *most) {
            self.copies = vec![Copy::new(now, *len, None)];
        }
    }

    /// Copies of single peers, each peer once before any is tried again.
    fn begin_alone(&mut self, now: Instant) {
        let waiting = |source: &Source| !source.tried && !source.rests(now);
        let others_wait = self.sources.values().any(waiting);
        let sources = &self.sources;
        self.copies.retain(|copy| {
            let source = copy.alone.and_then(|key| sources.get(&key));
            let slow = others_wait && now.since(copy.began_at) >= ALONE_TIME;
            source.is_some_and(|source| !source.rests(now)) && !slow
        });
        if !others_wait && self.copies.is_empty() {
            self.sources.values_mut().for_each(|source| source.tried = false);
        }
        let mut len: u64 = self.copies.iter().map(|copy| u64::from(copy.len)).sum();
        while self.copies.len() < ALONE_MAX
            && let Some((key, source)) =
                self.sources.iter_mut().filter(|(_, source)| waiting(source)).min_by_key(|(_, s)| s.number)
        {
            len += u64::from(source.len);
            if len > COPIES_LEN_MAX && !self.copies.is_empty() {
                break;
            }
            source.tried = true;
            source.asked.clear();
            self.copies.push(Copy::new(now, source.len, Some(*key)));
        }
    }
}
