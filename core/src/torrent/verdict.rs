//! Who sent bad data.
//!
//! A peer that alone gave a bad piece is guilty at once. When several gave it, the digest of each
//! block is kept with its giver, the piece is fetched again from one peer, and once a copy is good
//! the givers of blocks that differ from it are guilty. Nobody is judged by company.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::id::PeerId;
use crate::job::BlockDigest;
use crate::key::PeerKey;
use crate::peer::Peer;
use crate::piece::PieceIndex;

/// Bad pieces remembered until a good copy comes. A session has few pieces open at once.
pub(super) const SUSPECTS_MAX: usize = 64;

/// Blocks remembered of all of these, which take some 9 MiB: four bad copies of the longest piece that
/// there is, of usual ones as many as may be.
const BLOCKS_MAX: usize = 128 * 1024;

/// A peer as it is remembered beyond its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Giver {
    pub(crate) peer: PeerKey,
    pub(crate) addr: SocketAddr,
    pub(crate) id: PeerId,
}

impl Giver {
    /// A peer that has shaken hands.
    pub(crate) fn of(peer: &Peer) -> Option<Self> {
        peer.open().map(|open| Self { peer: peer.key, addr: peer.addr, id: open.id })
    }

    /// Whether it is the same peer, maybe on another connection: the same port or the same id at its
    /// address, as with bans.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.addr.ip() == other.addr.ip() && (self.addr.port() == other.addr.port() || self.id == other.id)
    }
}

/// The blocks of bad copies, by piece, or by whatever else has one right content.
#[derive(Debug)]
pub(crate) struct Verdicts<K = PieceIndex> {
    suspects: BTreeMap<K, BTreeMap<(Giver, usize), BlockDigest>>,
}

impl<K> Default for Verdicts<K> {
    fn default() -> Self {
        Self { suspects: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Verdicts<K> {
    /// Whether a bad copy of this piece is remembered: a good one must then come with its digests.
    pub(crate) fn is_suspect(&self, piece: K) -> bool {
        self.suspects.contains_key(&piece)
    }

    /// Whether one of these gave a bad copy of the piece.
    pub(super) fn has_giver_of(&self, piece: K, givers: &[Option<Giver>]) -> bool {
        let blocks = self.suspects.get(&piece);
        blocks.is_some_and(|blocks| blocks.keys().any(|(giver, _)| givers.contains(&Some(*giver))))
    }

    /// A copy was bad. `givers`, as far as they are known, and `digests` go by block. Returns who is certainly guilty.
    pub(crate) fn on_bad(
        &mut self,
        piece: K,
        givers: &[Option<Giver>],
        digests: &[BlockDigest],
    ) -> Option<Giver> {
        let first = *givers.first()?;
        if first.is_some() && givers.iter().all(|giver| *giver == first) {
            return first;
        }
        if self.suspects.len() >= SUSPECTS_MAX && !self.is_suspect(piece) {
            self.suspects.pop_first();
        }
        while self.suspects.values().map(BTreeMap::len).sum::<usize>() + givers.len() > BLOCKS_MAX {
            self.suspects.pop_first();
        }
        let blocks = self.suspects.entry(piece).or_default();
        for (number, (giver, digest)) in givers.iter().zip(digests).enumerate() {
            if let Some(giver) = giver {
                blocks.insert((*giver, number), *digest);
            }
        }
        None
    }

    /// A copy was good. Returns everyone whose block in a bad copy was another.
    pub(crate) fn on_good(&mut self, piece: K, digests: &[BlockDigest]) -> Vec<Giver> {
        let Some(blocks) = self.suspects.remove(&piece) else { return Vec::new() };
        let differs =
            |number: usize, digest: &BlockDigest| digests.get(number).is_some_and(|good| good != digest);
        let guilty = blocks.into_iter().filter(|((_, number), digest)| differs(*number, digest));
        let mut guilty: Vec<Giver> = guilty.map(|((giver, _), _)| giver).collect();
        guilty.dedup();
        guilty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::piece::Geometry;

    fn giver(n: u8) -> Giver {
        let addr = SocketAddr::from(([192, 0, 2, n], 6881));
        Giver { peer: PeerKey::new(n.into(), 0), addr, id: PeerId::new([n; 20]) }
    }

    fn piece(index: u32) -> PieceIndex {
        Geometry::new(1000, 1).unwrap().piece(index).unwrap()
    }

    #[test]
    fn who_alone_gave_a_bad_piece_is_guilty() {
        let mut verdicts = Verdicts::default();
        assert_eq!(verdicts.on_bad(piece(0), &[Some(giver(1)); 2], &[[0; 20]; 2]), Some(giver(1)));
        assert!(!verdicts.is_suspect(piece(0)));
    }

    #[test]
    fn among_several_only_the_givers_of_other_blocks_are_guilty() {
        let mut verdicts = Verdicts::default();
        let givers = [giver(1), giver(2), giver(1), giver(3)].map(Some);
        assert_eq!(verdicts.on_bad(piece(0), &givers, &[[0; 20], [9; 20], [2; 20], [3; 20]]), None);
        assert!(verdicts.is_suspect(piece(0)) && !verdicts.is_suspect(piece(1)));
        assert_eq!(verdicts.on_good(piece(1), &[[0; 20]; 4]), []);
        assert_eq!(verdicts.on_good(piece(0), &[[0; 20], [1; 20], [2; 20], [3; 20]]), [giver(2)]);
        assert!(!verdicts.is_suspect(piece(0)));
    }

    #[test]
    fn two_bad_copies_are_judged_together() {
        let mut verdicts = Verdicts::default();
        verdicts.on_bad(piece(0), &[giver(1), giver(2)].map(Some), &[[9; 20], [1; 20]]);
        verdicts.on_bad(piece(0), &[Some(giver(3)), None], &[[0; 20], [8; 20]]);
        assert_eq!(verdicts.on_good(piece(0), &[[5; 20], [1; 20]]), [giver(1), giver(3)]);
    }

    #[test]
    fn memory_of_bad_pieces_is_bounded() {
        let mut verdicts = Verdicts::default();
        for index in 0..1000 {
            verdicts.on_bad(piece(index), &[giver(1), giver(2)].map(Some), &[[0; 20]; 2]);
        }
        assert_eq!(verdicts.suspects.len(), SUSPECTS_MAX);
        assert!(verdicts.is_suspect(piece(999)));
        // And so is that of many copies of one long piece, by peers that come again and again.
        for n in 0..10 {
            let givers = [giver(10 + 2 * n), giver(11 + 2 * n)].map(Some).repeat(16_384);
            verdicts.on_bad(piece(0), &givers, &vec![[0; 20]; givers.len()]);
        }
        let count: usize = verdicts.suspects.values().map(BTreeMap::len).sum();
        assert!(count <= BLOCKS_MAX && verdicts.is_suspect(piece(0)));
    }
}
