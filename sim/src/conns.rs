//! A host's connections by the session's names for them.

use peerless_core::PeerKey;
use peerless_core::key::Key as _;

use crate::link::Conn;

/// Connections by key: looked up for each thing that a session asks for.
#[derive(Debug, Default)]
pub struct Conns {
    by_index: Vec<Option<(PeerKey, Conn)>>,
    count: usize,
}

impl Conns {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The connection of this name.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<Conn> {
        let (key, conn) = self.by_index.get(peer.index() as usize).copied().flatten()?;
        (key == peer).then_some(conn)
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (PeerKey, Conn)> {
        self.by_index.iter().copied().flatten()
    }

    pub(crate) fn insert(&mut self, peer: PeerKey, conn: Conn) {
        let at = peer.index() as usize;
        if self.by_index.len() <= at {
            self.by_index.resize(at + 1, None);
        }
        self.count += usize::from(self.by_index[at].replace((peer, conn)).is_none());
    }

    pub(crate) fn remove(&mut self, peer: PeerKey) -> Option<Conn> {
        let place = self.by_index.get_mut(peer.index() as usize)?;
        let (_, conn) = place.take_if(|(key, _)| *key == peer)?;
        self.count -= 1;
        Some(conn)
    }
}
