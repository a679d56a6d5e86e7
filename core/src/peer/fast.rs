//! What the fast extension (BEP 6) adds to a connection: pieces that may be asked for while choked,
//! in either direction, and pieces that the peer would rather be asked for.

use std::net::IpAddr;

use super::Peer;
use crate::cx::Cx;
use crate::id::InfoHash;
use crate::piece::{BlockRef, Geometry, PieceIndex};
use crate::wire::Message;

/// Pieces that a peer is given while it is choked, and the pieces from which on it is given none: who
/// has so many has something to give in return (BEP 6 names 10).
pub(crate) const GRANTED_MAX: usize = 10;

/// Pieces kept that a peer lets us ask for while it chokes us. Real ones name 5 to 10.
const ALLOWED_MAX: usize = 100;

/// Pieces kept that a peer suggests, the last ones: what is in its cache changes.
const SUGGESTED_MAX: usize = 10;

/// How often each block of a granted piece may be asked for: once more than needed, for one that
/// failed its hash. Without a bound a choked peer could take the same piece for ever.
const GRANTED_TIMES: u32 = 2;

/// Rounds of hashing before a set stays smaller than it might be: one round gives five pieces.
const ROUNDS_MAX: usize = 100;

/// The fast extension's state on one connection.
#[derive(Debug, Default)]
pub(crate) struct Fast {
    /// Whether both ends speak it.
    pub(crate) is_on: bool,
    sets: Option<Box<Sets>>,
}

/// Made when there is something to put in.
#[derive(Debug, Default)]
struct Sets {
    /// As they came: which of them exist may not be known yet.
    allowed: Vec<u32>,
    suggested: Vec<u32>,
    granted: Vec<Grant>,
}

/// A piece that the peer may have while it is choked.
#[derive(Debug)]
struct Grant {
    piece: PieceIndex,
    requests_left: u32,
}

impl Fast {
    /// The state of a connection; `is_on` if both ends speak the extension.
    pub(crate) const fn new(is_on: bool) -> Self {
        Self { is_on, sets: None }
    }

    /// The peer answers for this piece also while it chokes us. False if that is nothing new, or too
    /// much.
    pub(crate) fn allow(&mut self, index: u32) -> bool {
        let allowed = &mut self.sets.get_or_insert_default().allowed;
        let is_new = allowed.len() < ALLOWED_MAX && !allowed.contains(&index);
        if is_new {
            allowed.push(index);
        }
        is_new
    }

    /// The peer does not answer for this piece while it chokes us, whatever it has said.
    pub(crate) fn disallow(&mut self, piece: PieceIndex) {
        if let Some(sets) = &mut self.sets {
            sets.allowed.retain(|index| *index != piece.get());
        }
    }

    /// What may be asked for while the peer chokes us.
    fn allowed(&self, geometry: &Geometry) -> Vec<PieceIndex> {
        let allowed = self.sets.iter().flat_map(|sets| &sets.allowed);
        allowed.filter_map(|index| geometry.piece(*index)).collect()
    }

    /// The peer would rather be asked for this piece than for others.
    pub(crate) fn suggest(&mut self, index: u32) {
        let suggested = &mut self.sets.get_or_insert_default().suggested;
        suggested.retain(|known| *known != index);
        if suggested.len() >= SUGGESTED_MAX {
            suggested.remove(0);
        }
        suggested.push(index);
    }

    /// The suggested pieces that are `wanted`; the others are forgotten.
    fn suggested(&mut self, geometry: &Geometry, wanted: impl Fn(PieceIndex) -> bool) -> Vec<PieceIndex> {
        let Some(sets) = &mut self.sets else { return Vec::new() };
        sets.suggested.retain(|index| geometry.piece(*index).is_some_and(&wanted));
        sets.suggested.iter().filter_map(|index| geometry.piece(*index)).collect()
    }

    /// What to ask for before anything else: all that may be asked for while the peer chokes us.
    pub(crate) fn first(
        &mut self,
        geometry: &Geometry,
        choking: bool,
        wanted: impl Fn(PieceIndex) -> bool,
    ) -> Vec<PieceIndex> {
        if choking { self.allowed(geometry) } else { self.suggested(geometry, wanted) }
    }

    /// Whether the peer has been granted pieces.
    pub(crate) fn has_granted(&self) -> bool {
        self.sets.as_ref().is_some_and(|sets| !sets.granted.is_empty())
    }

    /// Lets the peer have these pieces while it is choked.
    pub(crate) fn grant(&mut self, geometry: &Geometry, pieces: &[PieceIndex]) {
        if pieces.is_empty() {
            return;
        }
        let grant = |piece: &PieceIndex| Grant {
            piece: *piece,
            requests_left: GRANTED_TIMES * geometry.block_count(*piece),
        };
        self.sets.get_or_insert_default().granted = pieces.iter().map(grant).collect();
    }

    /// Whether a choked peer's request for a block of this piece is answered; it counts as one.
    pub(crate) fn take_granted(&mut self, piece: PieceIndex) -> bool {
        let granted = self.sets.iter_mut().flat_map(|sets| &mut sets.granted);
        let mut left = granted.filter(|grant| grant.piece == piece && grant.requests_left > 0);
        left.next().map(|grant| grant.requests_left -= 1).is_some()
    }
}

impl Peer {
    /// Says that a request will not be answered, if the peer speaks the fast extension (BEP 6).
    pub(crate) fn reject(&mut self, cx: &mut Cx, block: BlockRef) {
        if self.open().is_some_and(|open| open.fast.is_on) {
            let (index, begin, len) = (block.piece().get(), block.begin(), block.len());
            self.send(cx, Message::Reject { index, begin, len });
        }
    }
}

/// The pieces that a peer at this address may have while it is choked (BEP 6, "allowed fast set
/// generation").
///
/// The last byte of an IPv4 address counts as zero, so that neighbours get the same set. For IPv6,
/// which the BEP does not know, libtorrent takes the whole address; but whoever has one has 2^64 of
/// them, and could have every piece, so the last eight bytes count as zero here.
pub(crate) fn allowed_fast_set(ip: IpAddr, info_hash: InfoHash, piece_count: u32, count: usize) -> Vec<u32> {
    let count = count.min(piece_count as usize);
    if count == piece_count as usize {
        return (0..piece_count).collect();
    }
    let mut sha1 = sha1_smol::Sha1::new();
    match ip {
        IpAddr::V4(ip) => sha1.update(&(ip.to_bits() & !0xFF).to_be_bytes()),
        IpAddr::V6(ip) => sha1.update(&(ip.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
    }
    sha1.update(info_hash.as_bytes());
    let (mut digest, mut set) = (sha1.digest().bytes(), Vec::with_capacity(count));
    for _ in 0..ROUNDS_MAX {
        let (words, _) = digest.as_chunks::<4>();
        for word in words {
            let index = u32::from_be_bytes(*word) % piece_count;
            if set.len() < count && !set.contains(&index) {
                set.push(index);
            }
        }
        if set.len() >= count {
            break;
        }
        digest = sha1_smol::Sha1::from(digest).digest().bytes();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The BEP's own torrent: 1313 pieces, an info-hash of 0xAA bytes.
    fn set(ip: &str, count: usize) -> Vec<u32> {
        allowed_fast_set(ip.parse().unwrap(), InfoHash::new([0xAA; 20]), 1313, count)
    }

    #[test]
    fn sets_are_as_bep_6_has_them() {
        assert_eq!(set("80.4.4.200", 7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(set("80.4.4.200", 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn neighbours_have_the_same_set() {
        assert_eq!(set("80.4.4.1", 9), set("80.4.4.200", 9));
        assert_ne!(set("80.4.5.200", 9), set("80.4.4.200", 9));
        assert_eq!(set("2001:db8::1", 9), set("2001:db8::ffff:1", 9));
        assert_ne!(set("2001:db8:0:1::1", 9), set("2001:db8::1", 9));
    }

    #[test]
    fn a_small_torrent_is_allowed_whole() {
        let ip = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(allowed_fast_set(ip, InfoHash::new([1; 20]), 3, 10), [0, 1, 2]);
        for piece_count in 11..40 {
            let mut set = allowed_fast_set(ip, InfoHash::new([1; 20]), piece_count, 10);
            set.sort_unstable();
            set.dedup();
            assert!(set.len() == 10 && set.iter().all(|index| *index < piece_count), "{set:?}");
        }
    }

    #[test]
    fn what_is_granted_is_answered_so_often() {
        let geometry = Geometry::new(4 * 49_152, 49_152).unwrap();
        let [a, b] = [0, 1].map(|index| geometry.piece(index).unwrap());
        let mut fast = Fast::new(true);
        assert!(!fast.take_granted(a) && !fast.has_granted());
        fast.grant(&geometry, &[a]);
        assert!(fast.has_granted() && !fast.take_granted(b));
        assert_eq!((0..10).filter(|_| fast.take_granted(a)).count(), 6);
    }

    #[test]
    fn what_a_peer_names_is_bounded_and_the_last_suggestions_count() {
        let geometry = Geometry::new(1000, 1).unwrap();
        let mut fast = Fast::new(true);
        for index in (0..2000).chain([5]) {
            fast.allow(index);
            fast.suggest(index);
        }
        assert_eq!(fast.allowed(&geometry).len(), ALLOWED_MAX);
        fast.disallow(geometry.piece(5).unwrap());
        assert_eq!(fast.allowed(&geometry).len(), ALLOWED_MAX - 1);
        fast.suggest(7);
        fast.suggest(5);
        let sets = fast.sets.as_ref().unwrap();
        assert_eq!((sets.suggested.len(), &sets.suggested[8..]), (SUGGESTED_MAX, &[7, 5][..]));
        let suggested = fast.suggested(&geometry, |piece| piece.get() != 7);
        assert_eq!(suggested.iter().map(|piece| piece.get()).collect::<Vec<_>>(), [5]);
    }
}
