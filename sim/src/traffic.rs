//! What a node has sent, counted on its way out.

use crate::speak;

/// What a node has handed to its line since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// All bytes.
    pub sent_len: u64,
    /// Payload among them: the content of piece messages.
    pub payload_len: u64,
    /// Messages, handshakes not among them.
    pub message_count: u64,
    /// `have` among them.
    pub have_count: u64,
    /// `request` among them.
    pub request_count: u64,
    /// `piece` among them.
    pub piece_count: u64,
}

/// Where in a stream a node is, to tell its messages apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    /// Length prefix and id of the message that has begun, as far as they are known.
    head: [u8; 5],
    head_len: usize,
    /// Bytes to come of the message, or of the handshake.
    left: usize,
}

/// Index and begin of a block, before its payload.
const BLOCK_HEAD_LEN: u32 = 8;

impl Default for Counter {
    fn default() -> Self {
        Self { head: [0; 5], head_len: 0, left: 68 }
    }
}

impl Counter {
    /// Goes along with the next bytes, and zeros behind them.
    pub(crate) fn count(&mut self, traffic: &mut Traffic, bytes: &[u8], zeros: usize) {
        traffic.sent_len += (bytes.len() + zeros) as u64;
        let mut rest = bytes;
        loop {
            let passed = self.left.min(rest.len());
            self.left -= passed;
            rest = &rest[passed..];
            if rest.is_empty() {
                break;
            }
            let used = self.take(traffic, rest);
            rest = &rest[used..];
        }
        // Zeros are payload: the message that they are of has begun.
        self.left -= zeros.min(self.left);
    }

    /// Takes the length of a message or its id, as far as it has come. Returns its bytes.
    fn take(&mut self, traffic: &mut Traffic, bytes: &[u8]) -> usize {
        let end = if self.head_len < 4 { 4 } else { 5 };
        let used = bytes.len().min(end - self.head_len);
        self.head[self.head_len..self.head_len + used].copy_from_slice(&bytes[..used]);
        self.head_len += used;
        let [a, b, c, d, id] = self.head;
        let len = u32::from_be_bytes([a, b, c, d]);
        let is_keep_alive = self.head_len == 4 && len == 0;
        if self.head_len < 5 && !is_keep_alive {
            return used;
        }
        self.head_len = 0;
        traffic.message_count += 1;
        if is_keep_alive {
            return used;
        }
        self.left = len as usize - 1;
        match id {
            speak::HAVE => traffic.have_count += 1,
            speak::REQUEST => traffic.request_count += 1,
            speak::PIECE => {
                traffic.piece_count += 1;
                traffic.payload_len += u64::from((len - 1).saturating_sub(BLOCK_HEAD_LEN));
            }
            _ => {}
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::wire::Message;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut stream = vec![0xFF; 68];
        for message in [
            Message::KeepAlive,
            Message::Have { index: 7 },
            Message::Request { index: 0, begin: 0, len: 16_384 },
            Message::Piece { index: 0, begin: 0, data: &[5; 100] },
            Message::Unchoke,
        ] {
            message.encode(&mut stream);
        }
        let want = Traffic {
            sent_len: stream.len() as u64,
            payload_len: 100,
            message_count: 5,
            have_count: 1,
            request_count: 1,
            piece_count: 1,
        };
        for cut in [1, 2, 3, 50, 1000] {
            let (mut counter, mut traffic) = (Counter::default(), Traffic::default());
            stream.chunks(cut).for_each(|bytes| counter.count(&mut traffic, bytes, 0));
            assert_eq!(traffic, want, "{cut}");
        }
        let (mut counter, mut traffic) = (Counter::default(), Traffic::default());
        let mut head = vec![0xFF; 68];
        head.extend([0, 0, 0x40, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        counter.count(&mut traffic, &head, 16_384);
        counter.count(&mut traffic, &[0, 0, 0, 1, 0], 0);
        assert_eq!((traffic.message_count, traffic.payload_len), (2, 16_384));
    }
}
