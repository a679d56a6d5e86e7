//! Pieces that one peer alone is to deliver, after a copy from several was bad.
//!
//! If the next copy is bad too, its one giver is at fault; if it's good, comparing the two tells
//! who was. When the peer stops, another begins from scratch, or again two would share the guilt.
//! But not for ever: peers choke each other as a matter of course, and one that means harm could
//! stop each time. So after a few such starts the piece is fetched like any other.

use std::collections::BTreeMap;

use crate::key::PeerKey;
use crate::piece::PieceIndex;

/// How often an exclusive piece is begun from scratch because its peer stopped. What may be lost
/// is so many times a piece.
pub const TAKEOVERS_MAX: u8 = 2;

/// Who may fetch which piece alone.
#[derive(Debug, Default)]
pub(super) struct Exclusives(BTreeMap<PieceIndex, Exclusive>);

#[derive(Debug, Default)]
struct Exclusive {
    /// The one peer. `None`: whoever begins.
    owner: Option<PeerKey>,
    takeovers: u8,
}

impl Exclusives {
    pub(super) fn insert(&mut self, piece: PieceIndex) {
        self.0.entry(piece).or_default();
    }

    pub(super) fn remove(&mut self, piece: PieceIndex) {
        self.0.remove(&piece);
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.0.contains_key(&piece)
    }

    pub(super) fn owner(&self, piece: PieceIndex) -> Option<PeerKey> {
        self.0.get(&piece)?.owner
    }

    /// `peer` fetches the piece from now on, if it's exclusive.
    pub(super) fn own(&mut self, piece: PieceIndex, peer: PeerKey) {
        self.0.entry(piece).and_modify(|exclusive| exclusive.owner = Some(peer));
    }

    /// `owner` (or whoever will) takes an exclusive piece over from another. True: from scratch.
    /// False: it's exclusive no longer.
    pub(super) fn take_over(&mut self, piece: PieceIndex, owner: Option<PeerKey>) -> bool {
        let Some(exclusive) = self.0.get_mut(&piece) else { return false };
        if exclusive.takeovers == TAKEOVERS_MAX {
            self.remove(piece);
            return false;
        }
        exclusive.takeovers += 1;
        exclusive.owner = owner;
        true
    }

    /// The piece has no owner any more, if it was `peer`.
    pub(super) fn disown(&mut self, piece: PieceIndex, peer: PeerKey) {
        if self.owner(piece) == Some(peer) {
            self.0.entry(piece).and_modify(|exclusive| exclusive.owner = None);
        }
    }

    /// The piece has no owner any more: nothing of it is held or asked for.
    pub(super) fn end_ownership(&mut self, piece: PieceIndex) {
        self.0.entry(piece).and_modify(|exclusive| exclusive.owner = None);
    }

    /// No piece is owned by `peer` any more.
    pub(super) fn disown_all(&mut self, peer: PeerKey) {
        let owned = self.0.values_mut().filter(|exclusive| exclusive.owner == Some(peer));
        owned.for_each(|exclusive| exclusive.owner = None);
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = PieceIndex> {
        self.0.keys().copied()
    }
}
