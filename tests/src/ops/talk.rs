//! What the far ends of the connections say and hear.

use peerless_core::Input;

use super::{HEAD_LEN_MAX, PAYLOAD_PART_LEN, Peer, Source, World};
use peerless_sim::sample::Sample;
use peerless_sim::speak::{self, Heard};

/// What is kept of the beginning of what a peer hears: the handshakes are in it.
const SAID_LEN_MAX: usize = 600;

/// The messages that peers send at random: all there are, and two that nobody knows.
const IDS: [u8; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 20];

/// What they say by extensions, metadata right and wrong and the addresses of others among it.
fn extended(sample: &Sample) -> [Vec<u8>; 14] {
    let info = sample.metainfo.info();
    let has = |len: usize| format!("\0d1:md11:ut_metadatai5ee13:metadata_sizei{len}ee").into_bytes();
    let data = |bytes: &[u8]| [b"\x03d8:msg_typei1e5:piecei0ee", bytes].concat();
    [
        b"\0d1:md11:lt_donthavei7e11:upload_onlyi3ee4:reqqi2e1:v1:ce".to_vec(),
        b"\0d1:mde11:upload_onlyi1ee".to_vec(),
        b"\x01\x01".to_vec(),
        b"\x01\0".to_vec(),
        b"\x02\0\0\0\x01".to_vec(),
        b"\x77what".to_vec(),
        has(info.len()),
        data(info),
        data(&vec![7; info.len()]),
        b"\x03d8:msg_typei0e5:piecei0ee".to_vec(),
        b"\x03d8:msg_typei2e5:piecei0ee".to_vec(),
        b"\0d1:md6:ut_pexi6ee1:pi6881ee".to_vec(),
        b"\x04d5:added12:\x0A\0\0\x03\x1A\xE1\x0A\0\0\x09\x1A\xE17:added.f2:\x02\x10e".to_vec(),
        b"\x04d7:dropped6:\x0A\0\0\x03\x1A\xE1e".to_vec(),
    ]
}

impl World {
    /// An honest peer says all at once: who it is, what it has, and that it will give and take.
    pub(super) fn greet(&mut self, index: usize, source: &mut Source<'_>) {
        let Some(peer) = self.peers.get_mut(index).filter(|peer| peer.up && peer.through && !peer.greeted)
        else {
            return;
        };
        peer.greeted = true;
        let mut peer_id = *b"-YY0000-000000000000";
        peer_id[18..].copy_from_slice(&self.met_count.to_be_bytes());
        self.met_count = self.met_count.wrapping_add(1);
        let manner = source.below(256);
        let reserved = if manner & 0x40 == 0 { speak::FAST_AND_EXTENDED } else { [0; 8] };
        let mut bytes =
            speak::handshake_with(&reserved, self.sample.metainfo.info_hash().as_bytes(), &peer_id);
        let has = [0xF0, 0xF0, 0x90, 0][manner & 3];
        speak::message(&mut bytes, speak::BITFIELD, &[], &[has]);
        if manner & 0x1C != 0 {
            speak::message(&mut bytes, speak::UNCHOKE, &[], &[]);
        }
        if manner & 0x20 != 0 {
            speak::message(&mut bytes, speak::INTERESTED, &[], &[]);
        }
        self.receive(index, &bytes);
    }

    pub(super) fn pick_peer(&self, source: &mut Source<'_>) -> usize {
        source.below(self.peers.len())
    }

    /// Bytes of a peer that is up; a runtime asks whether they are wanted before it reads.
    pub(super) fn receive(&mut self, index: usize, bytes: &[u8]) {
        let Some(peer) = self.peers.get(index).filter(|peer| peer.up && peer.through).map(|peer| peer.key)
        else {
            return;
        };
        if self.host.session.wants_read(peer) {
            // Single bytes where heads of messages are; payload in larger parts, for speed.
            let (head, payload) = bytes.split_at(bytes.len().min(HEAD_LEN_MAX));
            let parts = head.chunks(self.cut).chain(payload.chunks(self.cut.max(PAYLOAD_PART_LEN)));
            let parts = if self.cut < bytes.len() { parts.collect() } else { vec![bytes] };
            for bytes in parts {
                self.host.session.handle_input(self.now, Input::Received { peer, bytes });
            }
        }
    }

    pub(super) fn shake(&mut self, source: &mut Source<'_>) {
        let (index, who) = (self.pick_peer(source), source.below(16));
        let mut peer_id = *b"-XX0000-000000000000";
        peer_id[19] = b'a' + u8::try_from(who).expect("below 16");
        if who == 15 {
            peer_id = *self.host.session.peer_id().as_bytes();
        }
        let mut info_hash = *self.sample.metainfo.info_hash().as_bytes();
        info_hash[0] ^= u8::from(who == 14);
        self.receive(index, &speak::handshake(&info_hash, &peer_id));
    }

    /// A message of a peer, with numbers that are near to what is right.
    pub(super) fn say(&mut self, source: &mut Source<'_>) {
        let (index, id, slip) = (self.pick_peer(source), source.below(IDS.len()), source.below(16) == 0);
        let (id, extended) = (IDS[id], extended(self.sample));
        if id == speak::BITFIELD && !slip {
            return;
        }
        // Rarely out of range or off the grid, which ends the connection.
        let (count, odd) = if slip { (5, source.below(0x80) << 7) } else { (4, 0) };
        let numbers = [source.below(count), source.below(2) * 0x4000 + odd, 0x4000 - odd / 2];
        let numbers = numbers.map(|number| u32::try_from(number).expect("a small number"));
        let (count, tail): (usize, &[u8]) = match id {
            speak::HAVE | speak::SUGGEST | speak::ALLOWED_FAST => (1, &[]),
            speak::BITFIELD => (0, source.take(1)),
            speak::REQUEST | speak::CANCEL | speak::REJECT => (3, &[]),
            speak::PIECE => (2, source.take(numbers[0] as usize)),
            speak::EXTENDED if !slip => (0, &extended[source.below(extended.len())]),
            speak::EXTENDED | 9 | 10 => (1, source.take(3)),
            _ => (0, &[]),
        };
        let mut bytes = Vec::new();
        speak::message(&mut bytes, id, &numbers[..count], tail);
        self.receive(index, &bytes);
    }

    /// A peer answers one of its requests: rightly, or with one byte wrong.
    pub(super) fn serve(&mut self, source: &mut Source<'_>) {
        let (index, which, wrong) = (self.pick_peer(source), source.below(16), source.below(16) == 0);
        self.hear(index, usize::MAX);
        let Some(peer) = self.peers.get_mut(index).filter(|peer| !peer.requests.is_empty()) else {
            return;
        };
        let request = peer.requests.remove(which % peer.requests.len());
        let [piece, begin, len] = request;
        let range = self.sample.metainfo.geometry().range(piece, begin, len);
        let mut data = self.sample.bytes(range.expect("the session asks for what exists")).to_vec();
        data[0] ^= u8::from(wrong);
        let mut bytes = Vec::new();
        speak::message(&mut bytes, speak::PIECE, &[piece, begin], &data);
        self.receive(index, &bytes);
    }

    /// The system takes some of what waits to be sent.
    pub(super) fn take_sent(&mut self, source: &mut Source<'_>) {
        let (index, len) = (self.pick_peer(source), [1, 17, 5000, usize::MAX][source.below(4)]);
        self.hear(index, len);
    }

    /// The far end of a connection hears up to `len` bytes.
    pub(super) fn hear(&mut self, index: usize, len: usize) {
        let Some(peer) = self.peers.get_mut(index).filter(|peer| peer.up && peer.through) else {
            return;
        };
        let mut left = len;
        let Peer { key, ear, requests, said, .. } = peer;
        let (mut heard, mut messages) = (0, Vec::new());
        for run in self.host.session.unsent(*key) {
            let part = &run[..run.len().min(left)];
            left -= part.len();
            heard += part.len();
            said.extend(part.iter().take(SAID_LEN_MAX.saturating_sub(said.len())));
            ear.hear(part, |one| messages.push(one));
        }
        messages.iter().for_each(|one| note(requests, *one));
        assert!(requests.len() <= self.host.config.requests_max, "{key:?}: too many requests");
        self.host.session.sent(self.now, *key, heard);
        self.check_said(&self.peers[index].said);
        for one in messages {
            if let Heard::Message { id: Some(id), text, .. } = one {
                self.check_message(id, &text);
            }
        }
    }
}

fn note(requests: &mut Vec<[u32; 3]>, heard: Heard) {
    if let Heard::Message { id: Some(id), numbers, .. } = heard {
        let known = requests.iter().position(|&request| request == numbers);
        match (id, known) {
            (speak::REQUEST, None) => requests.push(numbers),
            (speak::CANCEL, Some(index)) => drop(requests.remove(index)),
            _ => {}
        }
    }
}
