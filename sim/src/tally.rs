//! Counts the messages that a host hears, by kind.

use std::collections::BTreeMap;

use peerless_core::PeerKey;

use crate::speak::{self, Ear, Heard};

/// Messages heard, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `piece`.
    pub pieces: u64,
    /// `request`.
    pub requests: u64,
    /// `have`.
    pub haves: u64,
    /// `choke`, `unchoke`, `interested` and `not interested`.
    pub states: u64,
    /// `cancel` and `reject`.
    pub cancels: u64,
    /// All others, keep-alives and extensions among them.
    pub others: u64,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.pieces + self.requests + self.haves + self.states + self.cancels + self.others
    }

    /// Adds those of another.
    pub const fn add(&mut self, other: &Self) {
        self.pieces += other.pieces;
        self.requests += other.requests;
        self.haves += other.haves;
        self.states += other.states;
        self.cancels += other.cancels;
        self.others += other.others;
    }

    const fn note(&mut self, id: Option<u8>) {
        match id {
            Some(speak::PIECE) => self.pieces += 1,
            Some(speak::REQUEST) => self.requests += 1,
            Some(speak::HAVE) => self.haves += 1,
            Some(speak::CHOKE | speak::UNCHOKE | speak::INTERESTED | speak::NOT_INTERESTED) => {
                self.states += 1
            }
            Some(speak::CANCEL | speak::REJECT) => self.cancels += 1,
            Some(_) | None => self.others += 1,
        }
    }
}

/// What a host has heard so far, over all its connections.
#[derive(Debug, Default)]
pub struct Tally {
    /// The messages that have ended.
    pub counts: Counts,
    ears: BTreeMap<PeerKey, Ear>,
}

impl Tally {
    /// Bytes of a peer have come.
    pub fn heard(&mut self, peer: PeerKey, bytes: &[u8]) {
        let counts = &mut self.counts;
        self.ears.entry(peer).or_default().hear(bytes, |one| {
            if let Heard::Message { id, .. } = one {
                counts.note(id);
            }
        });
    }

    /// A connection is gone.
    pub fn gone(&mut self, peer: PeerKey) {
        self.ears.remove(&peer);
    }
}
