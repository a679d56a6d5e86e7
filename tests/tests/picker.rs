//! Random operations on the picker agree with a slow, obvious one, and always end in a whole
//! torrent.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;

use peerless_core::PeerKey;
use peerless_core::bitfield::Bitfield;
use peerless_core::block::{Block, BlockPool};
use peerless_core::key::Key;
use peerless_core::picker::{Picker, Received};
use peerless_core::piece::{BLOCK_LEN, BlockRef, Geometry, PieceIndex};
use peerless_core::priority::Priority;
use peerless_core::rng::Rng;
use peerless_tests::model::Model;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// What may happen. Numbers are taken modulo what there is to choose among.
#[derive(Clone, Debug)]
enum Op {
    /// A peer with about so many of 8 of the pieces.
    Join {
        share: usize,
    },
    Leave {
        peer: usize,
    },
    Have {
        peer: usize,
        piece: u32,
    },
    Pick {
        peer: usize,
        count: usize,
        may_open: usize,
    },
    /// The peer's oldest outstanding block, or a later one, comes.
    Receive {
        peer: usize,
        nth: usize,
    },
    /// A block comes that may or may not be outstanding.
    Stray {
        peer: usize,
        piece: u32,
        number: u32,
    },
    GiveBack {
        peer: usize,
        nth: usize,
    },
    Choke {
        peer: usize,
    },
    /// The peer is snubbed: all its blocks are released.
    Snub {
        peer: usize,
    },
    Release {
        peer: usize,
        nth: usize,
    },
    /// What is to be stored is, or its hash is wrong and it's to be fetched from one peer.
    Verdict {
        nth: usize,
        is_right: bool,
        restrict: bool,
    },
    HandOver {
        nth: usize,
    },
    /// What the peer gave, and gives of a piece that is being stored, is not to be believed.
    Discard {
        peer: usize,
        nth: usize,
    },
    /// A run of pieces is wanted so much.
    Prioritise {
        piece: u32,
        count: usize,
        priority: u8,
    },
    InOrder {
        in_order: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let peer = || 0..8_usize;
    prop_oneof![
        3 => (0..=9_usize).prop_map(|share| Op::Join { share }),
        1 => peer().prop_map(|peer| Op::Leave { peer }),
        4 => (peer(), any::<u32>()).prop_map(|(peer, piece)| Op::Have { peer, piece }),
        12 => (peer(), 0..12_usize, 0..4_usize).prop_map(|(peer, count, may_open)| Op::Pick { peer, count, may_open }),
        16 => (peer(), 0..3_usize).prop_map(|(peer, nth)| Op::Receive { peer, nth }),
        1 => (peer(), any::<u32>(), 0..3_u32).prop_map(|(peer, piece, number)| Op::Stray { peer, piece, number }),
        1 => (peer(), 0..8_usize).prop_map(|(peer, nth)| Op::GiveBack { peer, nth }),
        1 => peer().prop_map(|peer| Op::Choke { peer }),
        1 => peer().prop_map(|peer| Op::Snub { peer }),
        1 => (peer(), 0..8_usize).prop_map(|(peer, nth)| Op::Release { peer, nth }),
        4 => (0..4_usize, prop::bool::weighted(0.6), any::<bool>())
            .prop_map(|(nth, is_right, restrict)| Op::Verdict { nth, is_right, restrict }),
        1 => (0..4_usize).prop_map(|nth| Op::HandOver { nth }),
        1 => (peer(), 0..4_usize).prop_map(|(peer, nth)| Op::Discard { peer, nth }),
        2 => (any::<u32>(), 1..20_usize, 0..=7_u8)
            .prop_map(|(piece, count, priority)| Op::Prioritise { piece, count, priority }),
        1 => any::<bool>().prop_map(|in_order| Op::InOrder { in_order }),
    ]
}

struct Peer {
    pieces: Bitfield,
    outstanding: Vec<BlockRef>,
}

/// Both pickers and what a torrent knows beside them.
struct Both {
    geometry: Geometry,
    rng: Rng,
    picker: Picker,
    model: Model,
    pool: BlockPool,
    peers: BTreeMap<PeerKey, Peer>,
    peer_count: u32,
    /// The pieces that are being stored.
    taken: BTreeMap<PieceIndex, (Vec<Block>, Vec<PeerKey>)>,
}

impl Both {
    fn new(geometry: Geometry, have_share: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let have = random_set(geometry, &mut rng, have_share);
        let picker = Picker::new(geometry, &have, &mut rng);
        let model = Model::new(geometry, &have);
        let (pool, peers, taken) = (BlockPool::default(), BTreeMap::new(), BTreeMap::new());
        Self { geometry, rng, picker, model, pool, peers, peer_count: 0, taken }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Join { share } if self.peers.len() < 8 => _ = self.join(share),
            Op::Join { .. } => {}
            Op::Leave { peer } => self.with(peer, Self::leave),
            Op::Have { peer, piece } => {
                let piece = self.piece(piece);
                self.with(peer, |both, peer| both.have(peer, piece));
            }
            Op::Pick { peer, count, may_open } => {
                self.with(peer, |both, peer| _ = both.pick(peer, count, may_open));
            }
            Op::Receive { peer, nth } => self.with_block(peer, nth, Self::receive),
            Op::Stray { peer, piece, number } => {
                let block = self.geometry.block(self.piece(piece), number);
                self.with(peer, |both, peer| block.into_iter().for_each(|block| both.receive(peer, block)));
            }
            Op::GiveBack { peer, nth } => self.with_block(peer, nth, Self::give_back),
            Op::Choke { peer } => self.with(peer, Self::choke),
            Op::Snub { peer } => self.with(peer, Self::snub),
            Op::Release { peer, nth } => self.with_block(peer, nth, Self::release),
            Op::Verdict { nth, is_right, restrict } => self.verdict(nth, is_right, restrict),
            Op::HandOver { nth } => {
                let open = self.model.open();
                open.get(nth).into_iter().for_each(|&piece| self.hand_over(piece));
            }
            Op::Discard { peer, nth } => self.with(peer, |both, peer| both.discard(peer, nth)),
            Op::Prioritise { piece, count, priority } => {
                let first = self.piece(piece).as_usize();
                let pieces: Vec<_> = self.geometry.pieces().skip(first).take(count).collect();
                let priority = Priority::new(priority).unwrap();
                pieces.into_iter().for_each(|piece| self.prioritise(piece, priority));
            }
            Op::InOrder { in_order } => {
                self.picker.set_in_order(in_order);
                self.model.set_in_order(in_order);
            }
        }
    }

    fn with(&mut self, nth: usize, act: impl FnOnce(&mut Self, PeerKey)) {
        if let Some(&peer) = self.peers.keys().nth(nth % self.peers.len().max(1)) {
            act(self, peer);
        }
    }

    fn with_block(&mut self, nth: usize, nth_block: usize, act: impl FnOnce(&mut Self, PeerKey, BlockRef)) {
        self.with(nth, |both, peer| {
            let outstanding = &both.peers[&peer].outstanding;
            if let Some(&block) = outstanding.get(nth_block % outstanding.len().max(1)) {
                act(both, peer, block);
            }
        });
    }

    fn piece(&self, index: u32) -> PieceIndex {
        self.geometry.piece(index % self.geometry.piece_count()).unwrap()
    }

    fn join(&mut self, share: usize) -> PeerKey {
        let peer = PeerKey::new(self.peer_count, 0);
        self.peer_count += 1;
        let pieces = random_set(self.geometry, &mut self.rng, share);
        self.picker.add_peer(&pieces);
        self.model.join(peer, &pieces);
        self.peers.insert(peer, Peer { pieces, outstanding: Vec::new() });
        peer
    }

    fn leave(&mut self, peer: PeerKey) {
        let Peer { pieces, outstanding } = self.peers.remove(&peer).unwrap();
        self.picker.remove_peer(peer, &pieces, outstanding);
        self.model.leave(peer);
    }

    fn have(&mut self, peer: PeerKey, piece: PieceIndex) {
        let is_new = self.picker.add_have(&mut self.peers.get_mut(&peer).unwrap().pieces, piece);
        assert_eq!(is_new, self.model.add_have(peer, piece));
    }

    fn pick(&mut self, peer: PeerKey, count: usize, may_open: usize) -> usize {
        let Peer { pieces, outstanding } = self.peers.get_mut(&peer).unwrap();
        let before = outstanding.len();
        self.picker.pick(&mut self.rng, peer, pieces, count, may_open, outstanding);
        let got = &outstanding[before..];
        self.model.pick(peer, count, may_open, got);
        got.len()
    }

    fn forget(&mut self, peer: PeerKey, block: BlockRef) {
        let outstanding = &mut self.peers.get_mut(&peer).unwrap().outstanding;
        outstanding.retain(|&other| other != block);
    }

    fn receive(&mut self, peer: PeerKey, block: BlockRef) {
        self.forget(peer, block);
        let data = vec![0; block.len() as usize];
        let received = self.picker.received(&mut self.pool, peer, block, &data);
        let expected = self.model.received(peer, block);
        let Received::Taken { cancel, complete } = received else {
            return assert_eq!(expected, None, "{block:?} is to be taken");
        };
        assert_eq!(expected, Some((cancel.clone(), complete)));
        cancel.into_iter().for_each(|other| self.forget(other, block));
        let taken = self.picker.take_piece(block.piece());
        assert_eq!(taken.is_some(), complete);
        assert_eq!(taken.as_ref().map(|(_, givers)| givers), self.model.take_piece(block.piece()).as_ref());
        taken.into_iter().for_each(|taken| _ = self.taken.insert(block.piece(), taken));
    }

    fn give_back(&mut self, peer: PeerKey, block: BlockRef) {
        self.forget(peer, block);
        self.picker.give_back(peer, block);
        self.model.give_back(peer, block);
    }

    fn choke(&mut self, peer: PeerKey) {
        let outstanding = std::mem::take(&mut self.peers.get_mut(&peer).unwrap().outstanding);
        self.picker.give_back_all(peer, outstanding);
        self.model.choked(peer);
    }

    fn snub(&mut self, peer: PeerKey) {
        for block in self.peers[&peer].outstanding.clone() {
            self.release(peer, block);
        }
    }

    fn release(&mut self, peer: PeerKey, block: BlockRef) {
        let stays = self.picker.release(peer, block);
        assert_eq!(stays, self.model.release(peer, block));
        if !stays {
            self.forget(peer, block);
        }
    }

    fn verdict(&mut self, nth: usize, is_right: bool, restrict: bool) {
        let storing = self.model.storing();
        let Some(&piece) = storing.get(nth % storing.len().max(1)) else { return };
        self.model.verdict(piece, is_right);
        if is_right {
            return self.picker.stored(piece);
        }
        self.picker.failed(piece);
        if restrict {
            self.picker.restrict(piece);
            self.model.restrict(piece);
        }
    }

    fn discard(&mut self, peer: PeerKey, nth: usize) {
        let before = self.picker.held_len();
        let len = self.picker.discard(|key| key == peer);
        self.model.discard(peer);
        assert_eq!(self.picker.held_len() + len, before);
        let storing = self.model.storing();
        let Some(&piece) = storing.get(nth % storing.len().max(1)) else { return };
        let (blocks, givers) = self.taken.remove(&piece).unwrap();
        let givers: Vec<_> = givers.into_iter().map(|giver| Some(giver).filter(|key| *key != peer)).collect();
        if givers.iter().all(Option::is_some) {
            // Else there is nothing to be asked for anew.
            self.taken.insert(piece, (blocks, givers.into_iter().flatten().collect()));
            return;
        }
        self.model.reopen(piece, &givers);
        let blocks = blocks.into_iter().zip(givers).map(|(block, giver)| Some((giver?, block)));
        self.picker.reopen(piece, blocks.collect());
    }

    fn hand_over(&mut self, piece: PieceIndex) {
        let cancel = self.picker.hand_over(piece);
        assert_eq!(cancel, self.model.hand_over(piece));
        cancel.into_iter().for_each(|(peer, block)| self.forget(peer, block));
    }

    fn prioritise(&mut self, piece: PieceIndex, priority: Priority) {
        let cancel = self.picker.set_priority(piece, priority);
        assert_eq!(cancel, self.model.set_priority(piece, priority));
        cancel.into_iter().for_each(|(peer, block)| self.forget(peer, block));
    }

    /// Everything that can be asked of both has the same answer.
    fn compare(&self) {
        self.picker.check_invariants();
        for piece in self.geometry.pieces() {
            assert_eq!(self.picker.availability(piece) as usize, self.model.availability(piece), "{piece:?}");
            assert_eq!(self.picker.wants(piece), self.model.wants(piece), "{piece:?}");
        }
        let wanted = self.geometry.pieces().filter(|&piece| self.model.wants(piece));
        assert_eq!(self.picker.wanted_count() as usize, wanted.count());
        let open = self.model.open();
        assert_eq!(self.picker.open_count(), open.len());
        let open_len: u64 = open.into_iter().map(|piece| u64::from(self.geometry.len_of(piece))).sum();
        assert_eq!(self.picker.open_len(), open_len);
        let held_len: u32 = self.model.held().iter().map(|(block, _)| block.len()).sum();
        assert_eq!(self.picker.held_len(), held_len as usize);
        assert_eq!(self.picker.in_endgame(), self.model.in_endgame());
        let asked = self.model.asked();
        assert_eq!(self.picker.asked_count(), asked.len());
        for (block, askers) in asked {
            for (peer, _) in askers {
                assert!(self.peers[&peer].outstanding.contains(&block), "{block:?} is in flight at {peer:?}");
            }
        }
        for peer in self.peers.values() {
            let wanted =
                self.geometry.pieces().filter(|&piece| peer.pieces.has(piece) && self.model.wants(piece));
            assert_eq!(self.picker.count_wanted(&peer.pieces) as usize, wanted.count());
        }
    }

    /// A peer that has everything comes, there is room for one piece at a time, and all hashes are
    /// right: then nothing can keep the torrent from getting whole.
    fn finish(&mut self, others_are_silent: bool) {
        let good = self.join(8);
        let mut working: Vec<_> = self.peers.keys().copied().collect();
        if others_are_silent {
            working.retain(|&peer| peer != good);
            working.into_iter().for_each(|peer| self.snub(peer));
            // As often as it takes until nothing is restricted.
            let pieces: Vec<_> = self.geometry.pieces().collect();
            pieces.repeat(4).into_iter().for_each(|piece| self.hand_over(piece));
            working = vec![good];
        }
        let pieces = self.geometry.pieces();
        let block_count: usize = pieces.map(|piece| self.geometry.blocks(piece).count()).sum();
        for _ in 0..=block_count {
            while !self.model.storing().is_empty() {
                self.verdict(0, true, false);
            }
            if self.model.is_complete() {
                return;
            }
            for &peer in &working {
                let may_open = usize::from(self.picker.open_count() == 0);
                self.pick(peer, 3, may_open);
            }
            let outstanding = working.iter().map(|peer| self.peers[peer].outstanding.len());
            assert!(outstanding.sum::<usize>() > 0, "nothing in flight, but not complete");
            for &peer in &working {
                self.peers[&peer].outstanding.clone().into_iter().for_each(|block| self.receive(peer, block));
            }
        }
        panic!("too many rounds");
    }
}

/// About `share` of 8 of the pieces; none for 0, all from 8 on.
fn random_set(geometry: Geometry, rng: &mut Rng, share: usize) -> Bitfield {
    let mut set = Bitfield::empty(geometry.piece_count());
    for piece in geometry.pieces() {
        if rng.below(8) < share {
            set.insert(piece);
        }
    }
    set
}

fn run(geometry: Geometry, have_share: usize, seed: u64, ops: &[Op], compare_every: usize, silent: bool) {
    let mut both = Both::new(geometry, have_share, seed);
    for (nth, op) in ops.iter().enumerate() {
        both.apply(op);
        if nth % compare_every == 0 {
            both.compare();
        }
    }
    both.compare();
    both.finish(silent);
    both.compare();
}

/// Failing cases are kept and tried again each time.
fn config(cases: u32) -> ProptestConfig {
    let file = FileFailurePersistence::Direct("regressions/picker.txt");
    ProptestConfig { cases, failure_persistence: Some(Box::new(file)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn agrees_with_the_model(
        blocks in 1..60_u64,
        last in 0..2_u64,
        piece_blocks in 1..4_u32,
        have_share in 0..4_usize,
        seed in any::<u64>(),
        silent in any::<bool>(),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let total_len = blocks * u64::from(BLOCK_LEN) + last;
        run(Geometry::new(total_len, piece_blocks * BLOCK_LEN).unwrap(), have_share, seed, &ops, 1, silent);
    }
}

proptest! {
    #![proptest_config(config(12))]

    /// More pieces than one pick looks at, so the choice is only nearly the rarest.
    #[test]
    fn agrees_with_the_model_on_many_pieces(
        pieces in 200..400_u64,
        have_share in 0..8_usize,
        seed in any::<u64>(),
        silent in any::<bool>(),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        run(Geometry::new(pieces, 1).unwrap(), have_share, seed, &ops, 25, silent);
    }
}
