//! What extensions (BEP 10) need of a connection: a way to be sent, and a deadline.

use super::Peer;
use crate::cx::{Cx, PeerTimer, TimerKey};
use crate::extension::Kind;
use crate::wire::Message;

impl Peer {
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
