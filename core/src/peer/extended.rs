//! What extensions (BEP 10) need of a connection: a way to be sent, and a deadline.

use std::net::SocketAddr;

use super::{Open, Peer, PeerError};
use crate::addr::usable;
use crate::bitfield::Bitfield;
use crate::cx::{Cx, PeerTimer, TimerKey};
use crate::extension::{Kind, Pex};
use crate::piece::Geometry;
use crate::wire::Message;

impl Open {
    /// Whether it has everything, or says that it wants nothing more.
    pub(crate) fn wants_nothing(&self) -> bool {
        let has_all = self.pieces.is_full() && self.pieces.piece_count() > 0;
        has_all || self.extended.as_ref().is_some_and(|said| said.upload_only.is_set)
    }

    /// Whether its extended handshake has come.
    pub(crate) fn greeted(&self) -> bool {
        self.extended.as_ref().is_some_and(|extended| extended.greeted)
    }

    /// Whether it takes messages about metadata and has not said to have it.
    pub(crate) fn lacks_metadata(&self) -> bool {
        self.extended
            .as_ref()
            .is_some_and(|extended| extended.id(Kind::Metadata).is_some() && extended.metadata.len.is_none())
    }
}

impl Peer {
    /// What it has said that matters to peer exchange, if it speaks extensions.
    pub(crate) fn pex(&self) -> Option<&Pex> {
        self.open()?.extended.as_ref().map(|extended| &extended.pex)
    }

    /// Where others can call it: where we have, or at the port that it says.
    pub(crate) fn listen_addr(&self) -> Option<SocketAddr> {
        let port = if self.outgoing { self.addr.port() } else { self.pex()?.listen_port? };
        usable(self.addr.ip(), port)
    }

    /// The torrent's metadata has come: what the peer has told of its pieces means something now.
    pub(crate) fn on_metainfo(&mut self, geometry: &Geometry) -> Result<(), PeerError> {
        let Some(open) = self.open_mut() else { return Ok(()) };
        if let Some(decoder) = &mut open.decoder {
            decoder.set_piece_count(geometry.piece_count());
        }
        open.pieces = open
            .early
            .take()
            .map_or_else(|| Ok(Bitfield::empty(geometry.piece_count())), |early| early.pieces(geometry))?;
        Ok(())
    }

    /// Sends a message of an extension; false if the peer takes none of this kind.
    pub(crate) fn send_extended(&mut self, cx: &mut Cx, kind: Kind, payload: &[u8]) -> bool {
        let id = self.open().and_then(|open| open.extended.as_ref()?.id(kind));
        let Some(id) = id else { return false };
        self.send(cx, Message::Extended { id, payload });
        true
    }

    /// Sets the deadline of its extensions anew.
    pub(crate) fn set_extension_timer(&self, cx: &mut Cx) {
        let key = TimerKey::Peer(self.key, PeerTimer::Extension);
        match self.open().and_then(|open| open.extended.as_ref()?.timeout_at()) {
            Some(at) => cx.timers.set(key, at),
            None => cx.timers.clear(key),
        }
    }
}
