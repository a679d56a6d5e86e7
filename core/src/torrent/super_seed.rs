//! Super-seeding (BEP 16): a lone seed that looks like a peer with next to nothing, and tells each peer
//! of a piece or two at a time, the rarest. A peer hears of the next when somebody else has what it was
//! told of: so each piece leaves us about once before peers give it to each other.
//!
//! It ends where somebody else has everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Phase, Torrent};
use crate::bitfield::Bitfield;
use crate::cx::Cx;
use crate::key::PeerKey;
use crate::peer::{Open, Peer, Peers};
use crate::piece::{Geometry, PieceIndex};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::Message;

/// Pieces that a peer is told of before any of them has been seen elsewhere, at least: with two, it has
/// one to fetch while the other finds its way.
const TOLD_MIN: u32 = 2;

/// So many where pieces are small that they make up these bytes: small ones take as long to find their
/// way.
const TOLD_LEN: u32 = 1024 * 1024;

/// But never more than so many.
const TOLD_MAX: u32 = 16;

/// How long a peer that has what it was told of waits for others to have it too: they may have no way to
/// it, or not want it.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Pieces looked at for one that a peer lacks: who lacks none of the rarest needs us least.
const LOOK_MAX: usize = 1000;

/// Pieces told to a peer at a time once it is over: not so many that a peer's queue fills with them.
const REST_MAX: usize = 10_000;

/// Which pieces peers have been told of.
#[derive(Debug)]
pub(super) struct SuperSeed {
    geometry: Geometry,
    /// Every piece by how often it was told and seen, then by chance.
    order: BTreeSet<(u32, u32, PieceIndex)>,
    places: Vec<(u32, u32)>,
    told: BTreeMap<PeerKey, Vec<Told>>,
    /// How many pieces a peer is told of at once.
    told_max: usize,
    /// Peers that are still to be told of pieces from this number on, once it is over.
    rest: Option<BTreeMap<PeerKey, u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    piece: PieceIndex,
    /// Since when the peer has it.
    got_at: Option<Instant>,
}

impl SuperSeed {
    pub(super) fn new(rng: &mut Rng, geometry: Geometry) -> Self {
        let places: Vec<(u32, u32)> = geometry.pieces().map(|_| (0, rng.next_u32())).collect();
        let order =
            geometry.pieces().zip(&places).map(|(piece, &(count, tie))| (count, tie, piece)).collect();
        let told_max = (TOLD_LEN / geometry.piece_len().max(1)).clamp(TOLD_MIN, TOLD_MAX) as usize;
        Self { geometry, order, places, told: BTreeMap::new(), told_max, rest: None }
    }

    fn is_over(&self) -> bool {
        self.rest.is_some()
    }

    /// Counts that a piece is known to one more peer.
    fn count(&mut self, piece: PieceIndex) {
        let Some((count, tie)) = self.places.get_mut(piece.as_usize()) else { return };
        self.order.remove(&(*count, *tie, piece));
        *count = count.saturating_add(1);
        self.order.insert((*count, *tie, piece));
    }

    /// The pieces to tell a peer of now, which has these.
    fn next(&mut self, peer: PeerKey, pieces: &Bitfield) -> Vec<PieceIndex> {
        let told = self.told.entry(peer).or_default();
        let lacks = |piece: &PieceIndex| !pieces.has(*piece) && told.iter().all(|told| told.piece != *piece);
        let rarest = self.order.iter().take(LOOK_MAX).map(|(_, _, piece)| *piece);
        let next: Vec<PieceIndex> =
            rarest.filter(lacks).take(self.told_max.saturating_sub(told.len())).collect();
        told.extend(next.iter().map(|piece| Told { piece: *piece, got_at: None }));
        next.iter().for_each(|piece| self.count(*piece));
        next
    }

    /// A peer has come to have a piece. Returns who is to be told of another for that.
    fn on_have(&mut self, now: Instant, peer: PeerKey, piece: PieceIndex, alone: bool) -> Vec<PeerKey> {
        self.count(piece);
        let mut freed = Vec::new();
        for (key, told) in &mut self.told {
            let before = told.len();
            if *key != peer || alone {
                told.retain(|told| told.piece != piece);
            } else if let Some(told) = told.iter_mut().find(|told| told.piece == piece) {
                told.got_at = Some(now);
            }
            if told.len() < before {
                freed.push(*key);
            }
        }
        freed
    }

    /// Whoever has waited long enough for others to have what it was told of.
    fn on_round(&mut self, now: Instant) -> Vec<PeerKey> {
        let mut freed = Vec::new();
        for (key, told) in &mut self.told {
            let before = told.len();
            told.retain(|told| told.got_at.is_none_or(|at| at + SPREAD_TIMEOUT > now));
            if told.len() < before {
                freed.push(*key);
            }
        }
        freed
    }
}

impl Torrent {
    /// Whether a peer that comes now is told of pieces one at a time.
    pub(super) fn is_super_seeding(&self) -> bool {
        self.super_seed.as_ref().is_some_and(|state| !state.is_over())
    }

    /// Begins to super-seed, if that is wanted and all is there.
    pub(super) fn begin_super_seed(&mut self, cx: &mut Cx) {
        if cx.config.super_seed && self.have.is_full() && !self.have.is_empty() && self.super_seed.is_none() {
            let geometry = *self.storage.metainfo.geometry();
            self.super_seed = Some(Box::new(SuperSeed::new(&mut cx.rng, geometry)));
        }
    }

    /// Tells a peer of the pieces whose turn it is.
    pub(super) fn tell_next(&mut self, cx: &mut Cx, peer: &mut Peer) {
        let Some(state) = self.super_seed.as_deref_mut().filter(|state| !state.is_over()) else { return };
        let Some(open) = peer.open() else { return };
        let next = state.next(peer.key, &open.pieces);
        next.into_iter().for_each(|piece| peer.send(cx, Message::Have { index: piece.get() }));
    }

    /// A peer has come to have a piece: whoever was told of it is told of another.
    pub(super) fn on_spread(&mut self, cx: &mut Cx, peers: &mut Peers, from: PeerKey, piece: PieceIndex) {
        let alone = self.peers.len() < 2;
        let Some(state) = self.super_seed.as_deref_mut().filter(|state| !state.is_over()) else { return };
        let freed = state.on_have(cx.now, from, piece, alone);
        self.tell_all_next(cx, peers, freed);
        self.end_super_seed(peers, from);
    }

    /// Somebody else may have everything: then there is no need to hold anything back.
    pub(super) fn end_super_seed(&mut self, peers: &Peers, by: PeerKey) {
        let is_full = |open: &Open| open.pieces.is_full();
        if self.is_super_seeding() && peers.get(by).and_then(Peer::open).is_some_and(is_full) {
            let Some(state) = self.super_seed.as_deref_mut() else { return };
            state.rest = Some(state.told.keys().map(|peer| (*peer, 0)).collect());
        }
    }

    /// Time has passed: nobody waits for ever, and once it is over everyone hears of the rest.
    pub(super) fn super_seed_round(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Some(state) = self.super_seed.as_deref_mut() else { return };
        let freed = state.on_round(cx.now);
        if !state.is_over() {
            return self.tell_all_next(cx, peers, freed);
        }
        let (geometry, rest) = (state.geometry, state.rest.get_or_insert_default());
        for (key, from) in std::mem::take(rest) {
            let Some(peer) = peers.get_mut(key) else { continue };
            let numbers = from..geometry.piece_count();
            let told: Vec<PieceIndex> =
                numbers.filter_map(|number| geometry.piece(number)).take(REST_MAX).collect();
            let lacks = |piece: &PieceIndex| peer.open().is_some_and(|open| !open.pieces.has(*piece));
            let news: Vec<PieceIndex> = told.iter().copied().filter(lacks).collect();
            news.into_iter().for_each(|piece| peer.send(cx, Message::Have { index: piece.get() }));
            if let Some(last) = told.last() {
                rest.insert(key, last.get().saturating_add(1));
            }
        }
    }

    /// A peer is gone.
    pub(super) fn forget_told(&mut self, key: PeerKey) {
        if let Some(state) = self.super_seed.as_deref_mut() {
            state.told.remove(&key);
            state.rest.iter_mut().for_each(|rest| _ = rest.remove(&key));
        }
    }

    fn tell_all_next(&mut self, cx: &mut Cx, peers: &mut Peers, whom: Vec<PeerKey>) {
        debug_assert!(matches!(self.phase, Phase::Seeding), "who super-seeds has everything");
        for key in whom {
            if let Some(peer) = peers.get_mut(key) {
                self.tell_next(cx, peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::key::PeerKey;
    use crate::machine::lab::Lab;
    use crate::wire::Message;
    use std::time::Duration;

    /// Pieces; they are so short that a peer is told of sixteen at once.
    const COUNT: u32 = 48;

    fn lab() -> Lab {
        Lab::new(Config { super_seed: true, ..Config::default() }, &"x".repeat(COUNT as usize))
    }

    fn told(lab: &mut Lab, peer: PeerKey) -> Vec<u32> {
        let heard = lab.heard(peer);
        assert!(!heard.iter().any(|message| message == "bitfield" || message == "haveall"), "{heard:?}");
        let number = |message: &String| {
            message.strip_prefix("have { index: ").map(|rest| rest.trim_end_matches(" }").parse().unwrap())
        };
        heard.iter().filter_map(number).collect()
    }

    #[test]
    fn each_peer_hears_of_other_pieces_and_of_the_next_when_one_has_spread() {
        let mut lab = lab();
        let (a, b) = (lab.peer(1), lab.peer(2));
        let (of_a, of_b) = (told(&mut lab, a), told(&mut lab, b));
        assert_eq!((of_a.len(), of_b.len()), (16, 16));
        assert!(of_a.iter().all(|piece| !of_b.contains(piece)), "{of_a:?} {of_b:?}");
        lab.say(a, Message::Have { index: of_a[0] });
        assert!(told(&mut lab, a).is_empty(), "nobody else has it yet");
        lab.say(b, Message::Have { index: of_a[0] });
        let next = told(&mut lab, a);
        assert_eq!((next.len(), told(&mut lab, b).len()), (1, 0));
        assert!(!of_a.contains(&next[0]) && !of_b.contains(&next[0]));
    }

    #[test]
    fn a_lone_peer_gets_everything() {
        let mut lab = lab();
        let peer = lab.peer(1);
        let mut all = Vec::new();
        let mut next = told(&mut lab, peer);
        while let Some(piece) = next.pop() {
            all.push(piece);
            lab.say(peer, Message::Have { index: piece });
            if !lab.is_there(peer) {
                break;
            }
            next.extend(told(&mut lab, peer));
        }
        all.sort_unstable();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn who_has_what_others_do_not_take_is_not_kept_waiting() {
        let mut lab = lab();
        let (a, _idle) = (lab.peer(1), lab.peer(2));
        for piece in told(&mut lab, a) {
            lab.say(a, Message::Have { index: piece });
        }
        lab.pass(Duration::from_secs(45));
        assert_eq!(told(&mut lab, a).len(), 16);
    }

    #[test]
    fn with_another_seed_it_is_over() {
        let mut lab = lab();
        let (a, b) = (lab.peer(1), lab.peer(2));
        let first = told(&mut lab, a);
        let bits = lab.pieces(&"x".repeat(COUNT as usize)).to_wire();
        lab.say(b, Message::Bitfield { bits: &bits });
        lab.pass(Duration::from_secs(11));
        let mut all = [first, told(&mut lab, a)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
        let late = lab.peer(3);
        assert_eq!(lab.heard(late).first().map(String::as_str), Some("bitfield"));
    }
}
