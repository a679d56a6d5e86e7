//! A slow, obvious piece picker: vectors and scans, no caches. It doesn't choose, it says what may
//! be chosen, so that the real one can be checked against it step by step.

mod allowed;

use std::collections::{BTreeMap, BTreeSet};

use peerless_core::PeerKey;
use peerless_core::bitfield::Bitfield;
use peerless_core::picker::{ASKERS_MAX, TAKEOVERS_MAX};
use peerless_core::piece::{BlockRef, Geometry, PieceIndex};
use peerless_core::priority::Priority;

/// What we have of a piece.
#[derive(Debug)]
enum Piece {
    Missing,
    Open { age: usize, worker: PeerKey, blocks: Vec<Block> },
    Storing,
    Have,
}

/// What we have of a block of an open piece.
#[derive(Clone, Debug)]
enum Block {
    /// Asked of these, the first asked first; of nobody: it's free. True: not waited for any more.
    Asked(Vec<(PeerKey, bool)>),
    Held(PeerKey),
}

/// A piece for one peer alone.
#[derive(Debug, Default)]
struct Exclusive {
    owner: Option<PeerKey>,
    takeovers: u8,
}

/// The slow picker.
#[derive(Debug)]
pub struct Model {
    geometry: Geometry,
    pieces: Vec<Piece>,
    priorities: Vec<Priority>,
    in_order: bool,
    exclusives: BTreeMap<PieceIndex, Exclusive>,
    peers: BTreeMap<PeerKey, BTreeSet<PieceIndex>>,
    opened_count: usize,
}

impl Model {
    /// A model of a picker for all pieces but those in `have`.
    #[must_use]
    pub fn new(geometry: Geometry, have: &Bitfield) -> Self {
        let state = |piece| if have.has(piece) { Piece::Have } else { Piece::Missing };
        Self {
            geometry,
            pieces: geometry.pieces().map(state).collect(),
            priorities: vec![Priority::NORMAL; geometry.piece_count() as usize],
            in_order: false,
            exclusives: BTreeMap::new(),
            peers: BTreeMap::new(),
            opened_count: 0,
        }
    }

    /// A peer with these pieces has come.
    pub fn join(&mut self, peer: PeerKey, pieces: &Bitfield) {
        self.peers.insert(peer, pieces.iter(&self.geometry).collect());
    }

    /// A peer has one piece more.
    pub fn add_have(&mut self, peer: PeerKey, piece: PieceIndex) -> bool {
        self.peers.get_mut(&peer).is_some_and(|pieces| pieces.insert(piece))
    }

    /// A peer has left; what it was asked for is free.
    pub fn leave(&mut self, peer: PeerKey) {
        self.choked(peer);
        self.peers.remove(&peer);
    }

    /// How many peers have the piece.
    #[must_use]
    pub fn availability(&self, piece: PieceIndex) -> usize {
        self.peers.values().filter(|pieces| pieces.contains(&piece)).count()
    }

    /// Whether the piece is to be fetched.
    #[must_use]
    pub fn wants(&self, piece: PieceIndex) -> bool {
        let is_there = !matches!(self.pieces[piece.as_usize()], Piece::Missing | Piece::Open { .. });
        self.priorities[piece.as_usize()].is_wanted() && !is_there
    }

    /// Whether everything that is wanted is had.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.storing().is_empty() && !self.geometry.pieces().any(|piece| self.wants(piece))
    }

    /// A piece is wanted more or less than before; the requests to be cancelled.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) -> Vec<(PeerKey, BlockRef)> {
        self.priorities[piece.as_usize()] = priority;
        if priority.is_wanted() || !self.open().contains(&piece) {
            return Vec::new();
        }
        self.exclusives.remove(&piece);
        self.give_up(piece)
    }

    /// New pieces are to be begun by their number, or not.
    pub const fn set_in_order(&mut self, in_order: bool) {
        self.in_order = in_order;
    }

    /// The pieces that are being stored.
    #[must_use]
    pub fn storing(&self) -> Vec<PieceIndex> {
        self.all(|piece| matches!(piece, Piece::Storing))
    }

    /// The open pieces.
    #[must_use]
    pub fn open(&self) -> Vec<PieceIndex> {
        self.all(|piece| matches!(piece, Piece::Open { .. }))
    }

    /// Every block that is held, with its giver.
    #[must_use]
    pub fn held(&self) -> Vec<(BlockRef, PeerKey)> {
        let blocks = self.blocks().into_iter();
        let held = blocks.filter_map(|(block, state)| match state {
            Block::Held(from) => Some((block, *from)),
            Block::Asked(_) => None,
        });
        held.collect()
    }

    /// Every block in flight, with whom it was asked of.
    #[must_use]
    pub fn asked(&self) -> Vec<(BlockRef, Vec<(PeerKey, bool)>)> {
        let blocks = self.blocks().into_iter();
        let asked = blocks.filter_map(|(block, state)| match state {
            Block::Asked(askers) if !askers.is_empty() => Some((block, askers.clone())),
            Block::Asked(_) | Block::Held(_) => None,
        });
        asked.collect()
    }

    /// Whether nothing is left that nobody was asked for.
    #[must_use]
    pub fn in_endgame(&self) -> bool {
        let owned = |block: &BlockRef| {
            self.exclusives.get(&block.piece()).is_some_and(|exclusive| exclusive.owner.is_some())
        };
        !self.asked().is_empty() && self.missing().is_empty() && self.free().iter().all(owned)
    }

    /// A block came; who else was asked and whether the piece is complete, if it's to be taken.
    pub fn received(&mut self, peer: PeerKey, block: BlockRef) -> Option<(Vec<PeerKey>, bool)> {
        let state = self.block(block)?;
        let others = match state {
            Block::Asked(askers) if askers.iter().any(|&(asker, _)| asker == peer) => {
                askers.iter().map(|&(asker, _)| asker).filter(|&asker| asker != peer).collect()
            }
            Block::Asked(_) | Block::Held(_) => return None,
        };
        *state = Block::Held(peer);
        Some((others, self.is_held(block.piece())))
    }

    /// Whether all of an open piece is held.
    #[must_use]
    pub fn is_held(&self, piece: PieceIndex) -> bool {
        let held = |block: &Block| matches!(block, Block::Held(_));
        matches!(&self.pieces[piece.as_usize()], Piece::Open { blocks, .. } if blocks.iter().all(held))
    }

    /// The givers of a complete piece, which is being stored from now on.
    pub fn take_piece(&mut self, piece: PieceIndex) -> Option<Vec<PeerKey>> {
        let held = self.held();
        self.is_held(piece).then(|| {
            self.pieces[piece.as_usize()] = Piece::Storing;
            held.iter().filter(|(block, _)| block.piece() == piece).map(|(_, from)| *from).collect()
        })
    }

    /// The verdict about a piece that is being stored.
    pub fn verdict(&mut self, piece: PieceIndex, is_right: bool) {
        self.pieces[piece.as_usize()] = if is_right { Piece::Have } else { Piece::Missing };
        self.exclusives.remove(&piece);
    }

    /// What is held from this peer is free. How many blocks that is.
    pub fn discard(&mut self, peer: PeerKey) -> usize {
        let given: Vec<_> = self.held().into_iter().filter(|(_, from)| *from == peer).collect();
        for &(block, _) in &given {
            self.block(block).into_iter().for_each(|state| *state = Block::Asked(Vec::new()));
        }
        given.iter().for_each(|(block, _)| self.end_if_untouched(block.piece()));
        given.len()
    }

    /// A piece that was being stored is open again with these of its blocks.
    pub fn reopen(&mut self, piece: PieceIndex, givers: &[Option<PeerKey>]) {
        let state = |giver: &Option<PeerKey>| giver.map_or(Block::Asked(Vec::new()), Block::Held);
        let worker = givers.iter().flatten().next().copied();
        self.exclusives.get_mut(&piece).into_iter().for_each(|exclusive| exclusive.owner = None);
        self.pieces[piece.as_usize()] = match worker.filter(|_| self.priorities[piece.as_usize()].is_wanted())
        {
            Some(worker) => {
                self.opened_count += 1;
                let blocks = givers.iter().map(state).collect();
                Piece::Open { age: self.opened_count, worker, blocks }
            }
            None => Piece::Missing,
        };
    }

    /// One peer alone may fetch this piece.
    pub fn restrict(&mut self, piece: PieceIndex) {
        if self.missing().contains(&piece) {
            self.exclusives.entry(piece).or_default();
        }
    }

    /// That peer has had time enough; the requests to be cancelled.
    pub fn hand_over(&mut self, piece: PieceIndex) -> Vec<(PeerKey, BlockRef)> {
        if !self.open().contains(&piece) || !self.take_over(piece, None) {
            return Vec::new();
        }
        self.give_up(piece)
    }

    /// An open piece is missing; the requests to be cancelled.
    fn give_up(&mut self, piece: PieceIndex) -> Vec<(PeerKey, BlockRef)> {
        let asked = self.asked().into_iter().filter(|(block, _)| block.piece() == piece);
        let cancel = asked.flat_map(|(block, askers)| askers.into_iter().map(move |(peer, _)| (peer, block)));
        let cancel = cancel.collect();
        self.pieces[piece.as_usize()] = Piece::Missing;
        cancel
    }

    /// A block will not come from this peer.
    pub fn give_back(&mut self, peer: PeerKey, block: BlockRef) {
        let Some(Block::Asked(askers)) = self.block(block) else { return };
        let before = askers.len();
        askers.retain(|&(asker, _)| asker != peer);
        if askers.len() == before {
            return;
        }
        self.disown(peer, |piece| piece == block.piece());
        self.end_if_untouched(block.piece());
    }

    /// An open piece of which nothing is held or asked for is missing.
    fn end_if_untouched(&mut self, piece: PieceIndex) {
        let free = self.free();
        if self.open().contains(&piece) && self.geometry.blocks(piece).all(|block| free.contains(&block)) {
            self.pieces[piece.as_usize()] = Piece::Missing;
            self.exclusives.get_mut(&piece).into_iter().for_each(|exclusive| exclusive.owner = None);
        }
    }

    /// No block will come from this peer.
    pub fn choked(&mut self, peer: PeerKey) {
        for (block, _) in self.asked() {
            self.give_back(peer, block);
        }
        self.disown(peer, |_| true);
    }

    /// A block is not waited for from this peer any more; whether it stays in flight.
    pub fn release(&mut self, peer: PeerKey, block: BlockRef) -> bool {
        if self.exclusives.contains_key(&block.piece()) {
            self.give_back(peer, block);
            return false;
        }
        let Some(Block::Asked(askers)) = self.block(block) else { return false };
        let asker = askers.iter_mut().find(|(asker, _)| *asker == peer);
        asker.map(|(_, lapsed)| *lapsed = true).is_some()
    }

    fn take_over(&mut self, piece: PieceIndex, owner: Option<PeerKey>) -> bool {
        match self.exclusives.get_mut(&piece) {
            Some(exclusive) if exclusive.takeovers < TAKEOVERS_MAX => {
                *exclusive = Exclusive { owner, takeovers: exclusive.takeovers + 1 };
                true
            }
            Some(_) | None => {
                self.exclusives.remove(&piece);
                false
            }
        }
    }

    fn disown(&mut self, peer: PeerKey, which: impl Fn(PieceIndex) -> bool) {
        for (_, exclusive) in self.exclusives.iter_mut().filter(|(piece, _)| which(**piece)) {
            exclusive.owner = exclusive.owner.filter(|&owner| owner != peer);
        }
    }

    /// Notes that a block was asked of a peer.
    fn ask(&mut self, peer: PeerKey, block: BlockRef) {
        let piece = block.piece();
        let fresh = vec![Block::Asked(Vec::new()); self.geometry.blocks(piece).count()];
        let is_new = self.missing().contains(&piece);
        if is_new {
            self.opened_count += 1;
            let (age, worker) = (self.opened_count, peer);
            self.pieces[piece.as_usize()] = Piece::Open { age, worker, blocks: fresh.clone() };
        }
        let all_mine = self.is_all_of(piece, peer);
        let unowned = self.exclusives.get(&piece).is_some_and(|exclusive| exclusive.owner.is_none());
        let restarts = unowned && !all_mine && self.take_over(piece, Some(peer));
        if let Some(exclusive) = self.exclusives.get_mut(&piece) {
            exclusive.owner = Some(peer);
        }
        let Piece::Open { worker, blocks, .. } = &mut self.pieces[piece.as_usize()] else {
            unreachable!("only blocks of open pieces are asked for")
        };
        if restarts {
            *blocks = fresh;
        }
        let Block::Asked(askers) = &mut blocks[block.number() as usize] else {
            unreachable!("a held block is never allowed")
        };
        if askers.is_empty() {
            *worker = peer;
        }
        if askers.len() == ASKERS_MAX {
            let lapsed = askers.iter().position(|(_, lapsed)| *lapsed).expect("else it's not allowed");
            askers.remove(lapsed);
        }
        askers.push((peer, false));
    }

    fn all(&self, which: impl Fn(&Piece) -> bool) -> Vec<PieceIndex> {
        self.geometry.pieces().filter(|piece| which(&self.pieces[piece.as_usize()])).collect()
    }

    /// Those that are wanted.
    fn missing(&self) -> Vec<PieceIndex> {
        let missing = self.all(|piece| matches!(piece, Piece::Missing)).into_iter();
        missing.filter(|piece| self.priorities[piece.as_usize()].is_wanted()).collect()
    }

    fn free(&self) -> Vec<BlockRef> {
        let blocks = self.blocks().into_iter();
        let free = |block: &Block| matches!(block, Block::Asked(askers) if askers.is_empty());
        blocks.filter(|(_, state)| free(state)).map(|(block, _)| block).collect()
    }

    /// Every block of the open pieces.
    fn blocks(&self) -> Vec<(BlockRef, &Block)> {
        let blocks = self.geometry.pieces().flat_map(|piece| {
            let states = match &self.pieces[piece.as_usize()] {
                Piece::Open { blocks, .. } => &blocks[..],
                Piece::Missing | Piece::Storing | Piece::Have => &[],
            };
            self.geometry.blocks(piece).zip(states)
        });
        blocks.collect()
    }

    fn block(&mut self, block: BlockRef) -> Option<&mut Block> {
        match &mut self.pieces[block.piece().as_usize()] {
            Piece::Open { blocks, .. } => blocks.get_mut(block.number() as usize),
            Piece::Missing | Piece::Storing | Piece::Have => None,
        }
    }
}
