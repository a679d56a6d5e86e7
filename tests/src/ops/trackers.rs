//! UDP trackers: what they answer, and what others send in their place.

use std::net::SocketAddr;

use peerless_core::Input;

use super::{Source, World};

/// Datagrams kept for an answer.
const DATAGRAM_COUNT_MAX: usize = 8;

/// What is sent to one host in a run is bounded: nobody can make us flood another.
const DATAGRAM_LEN_MAX: usize = 1400;

impl World {
    pub(super) fn keep_datagram(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        assert!(bytes.len() <= DATAGRAM_LEN_MAX, "{} bytes in a datagram", bytes.len());
        assert!(to.port() != 0 && !to.ip().is_unspecified() && !to.ip().is_multicast(), "{to} is nobody");
        if self.datagrams.len() >= DATAGRAM_COUNT_MAX {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back((to, bytes));
    }

    /// A datagram comes: mostly the answer to one that was sent.
    pub(super) fn datagram(&mut self, source: &mut Source<'_>) {
        self.drain();
        let choice = source.below(8);
        let asked = self.datagrams.get(source.below(self.datagrams.len())).cloned();
        let (mut from, mut bytes) = match asked {
            Some((to, asked)) if choice < 7 => (to, answer(&asked, source)),
            Some(_) | None => {
                let len = source.below(64);
                (self.addr(source.below(16)), source.take(len).to_vec())
            }
        };
        match choice {
            4 => from = self.addr(source.below(16)),
            5 => {
                let at = source.below(bytes.len());
                let flip = source.byte().unwrap_or_default();
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= flip);
            }
            6 => bytes.truncate(source.below(64)),
            _ => {}
        }
        self.seen.name_all(&bytes);
        self.host.session.handle_input(self.now, Input::Datagram { from, bytes: &bytes });
    }
}

/// What a tracker answers (BEP 15), or that it refuses.
fn answer(asked: &[u8], source: &mut Source<'_>) -> Vec<u8> {
    let (action, transaction) = (asked.get(8..12), asked.get(12..16).unwrap_or_default());
    let body: &[u8] = match action {
        _ if source.below(8) == 0 => b"no",
        Some([0, 0, 0, 0]) => &[7; 8],
        Some([0, 0, 0, 1]) => b"\0\0\0\x3c\0\0\0\x01\0\0\0\x01\x0a\0\0\x05\x1a\xe1\x0a\0\0\x06\x1a\xe1",
        _ => &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
    };
    let action = if body == b"no" { &[0, 0, 0, 3] } else { action.unwrap_or_default() };
    [action, transaction, body].concat()
}
