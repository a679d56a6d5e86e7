//! The wire protocol once more, small and on its own, so that the harness shares no mistake with
//! the core: what scripted peers say, and an ear that follows a stream without keeping it.

/// `choke`, and the further message ids of BEP 3 in their order.
pub const CHOKE: u8 = 0;
/// `unchoke`.
pub const UNCHOKE: u8 = 1;
/// `interested`.
pub const INTERESTED: u8 = 2;
/// `not interested`.
pub const NOT_INTERESTED: u8 = 3;
/// `have`.
pub const HAVE: u8 = 4;
/// `bitfield`.
pub const BITFIELD: u8 = 5;
/// `request`.
pub const REQUEST: u8 = 6;
/// `piece`.
pub const PIECE: u8 = 7;
/// `cancel`.
pub const CANCEL: u8 = 8;

/// `suggest piece` of BEP 6, and its further message ids in their order.
pub const SUGGEST: u8 = 13;
/// `have all`.
pub const HAVE_ALL: u8 = 14;
/// `have none`.
pub const HAVE_NONE: u8 = 15;
/// `reject request`.
pub const REJECT: u8 = 16;
/// `allowed fast`.
pub const ALLOWED_FAST: u8 = 17;
/// Any message of BEP 10.
pub const EXTENDED: u8 = 20;

/// The reserved bits of BEP 6 and BEP 10.
pub const FAST_AND_EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];

/// The length of a handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// A handshake without any extension.
#[must_use]
pub fn handshake(info_hash: &[u8; 20], peer_id: &[u8; 20]) -> Vec<u8> {
    handshake_with(&[0; 8], info_hash, peer_id)
}

/// A handshake with these reserved bits.
#[must_use]
pub fn handshake_with(reserved: &[u8; 8], info_hash: &[u8; 20], peer_id: &[u8; 20]) -> Vec<u8> {
    let mut bytes = b"\x13BitTorrent protocol".to_vec();
    bytes.extend_from_slice(reserved);
    bytes.extend_from_slice(info_hash);
    bytes.extend_from_slice(peer_id);
    bytes
}

/// Appends a message with these numbers behind its id and then these bytes.
pub fn message(out: &mut Vec<u8>, id: u8, numbers: &[u32], bytes: &[u8]) {
    let len = 1 + 4 * numbers.len() + bytes.len();
    out.extend_from_slice(&u32::try_from(len).expect("a short message").to_be_bytes());
    out.push(id);
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    out.extend_from_slice(bytes);
}

/// What an [`Ear`] heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The handshake is over.
    Handshake {
        /// The reserved bits in it.
        reserved: [u8; 8],
        /// The info-hash in it.
        info_hash: [u8; 20],
        /// The peer id in it.
        peer_id: [u8; 20],
    },
    /// A whole message has passed.
    Message {
        /// Its id; `None` for a keep-alive.
        id: Option<u8>,
        /// The first three numbers behind the id, 0 where there are fewer.
        numbers: [u32; 3],
        /// The first bytes behind the id, 0 where there are fewer.
        text: [u8; TEXT_LEN],
        /// The message's length without its prefix.
        len: u32,
    },
}

/// Bytes of a message's text that are looked at: a request for metadata has fewer.
pub const TEXT_LEN: usize = 40;

/// The most bytes of a message that are looked at: id and text, in which the numbers are.
const HEAD_LEN: usize = 1 + TEXT_LEN;

/// Follows one direction of a connection, cut anywhere, without allocating.
#[derive(Clone, Debug)]
pub struct Ear {
    stage: Stage,
    buffer: [u8; HANDSHAKE_LEN],
    filled: usize,
    /// The current message's length.
    len: u32,
    /// Bytes of the current message still to come that are not looked at.
    skip: u32,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Len,
    Head,
    Skip,
}

impl Default for Ear {
    fn default() -> Self {
        Self { stage: Stage::Handshake, buffer: [0; HANDSHAKE_LEN], filled: 0, len: 0, skip: 0 }
    }
}

impl Ear {
    /// An ear for a stream whose handshake has passed.
    #[must_use]
    pub fn behind_handshake() -> Self {
        Self { stage: Stage::Len, ..Self::default() }
    }

    /// Hears the next bytes of the stream.
    pub fn hear(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Heard)) {
        while !bytes.is_empty() {
            let (used, heard) = self.hear_one(bytes);
            bytes = &bytes[used..];
            heard.into_iter().for_each(&mut tell);
        }
    }

    /// Hears the next bytes up to the end of the first message; returns how many that are.
    pub fn hear_one(&mut self, bytes: &[u8]) -> (usize, Option<Heard>) {
        let mut used = 0;
        while used < bytes.len() {
            let goal = self.goal();
            let take = (goal - self.filled).min(bytes.len() - used);
            if self.stage != Stage::Skip {
                self.buffer[self.filled..self.filled + take].copy_from_slice(&bytes[used..used + take]);
            }
            self.filled += take;
            used += take;
            if self.filled == goal
                && let Some(heard) = self.advance()
            {
                return (used, Some(heard));
            }
        }
        (used, None)
    }

    /// The id of the message that has begun and not ended, if it is known.
    #[must_use]
    pub const fn current(&self) -> Option<u8> {
        match self.stage {
            Stage::Head if self.filled > 0 => Some(self.buffer[0]),
            Stage::Skip => Some(self.buffer[0]),
            Stage::Handshake | Stage::Len | Stage::Head => None,
        }
    }

    /// How many bytes the current stage takes, at least 1.
    fn goal(&self) -> usize {
        match self.stage {
            Stage::Handshake => HANDSHAKE_LEN,
            Stage::Len => 4,
            Stage::Head => HEAD_LEN.min(self.len as usize),
            Stage::Skip => self.skip as usize,
        }
    }

    /// A stage is full: on to the next; what was heard if that ends a message.
    fn advance(&mut self) -> Option<Heard> {
        let filled = std::mem::take(&mut self.filled);
        match self.stage {
            Stage::Handshake => {
                self.stage = Stage::Len;
                let mut reserved = [0; 8];
                reserved.copy_from_slice(&self.buffer[20..28]);
                let (info_hash, peer_id) = (self.id_at(28), self.id_at(48));
                return Some(Heard::Handshake { reserved, info_hash, peer_id });
            }
            Stage::Len => {
                self.len = self.number_at(0);
                // What a shorter message leaves unfilled reads as zero.
                self.buffer = [0; HANDSHAKE_LEN];
                self.stage = Stage::Head;
                self.skip = self.len;
            }
            Stage::Head => {
                self.skip = self.len - u32::try_from(filled).expect("at most 41");
                self.stage = Stage::Skip;
            }
            Stage::Skip => self.skip = 0,
        }
        (self.skip == 0).then(|| self.end())
    }

    fn end(&mut self) -> Heard {
        self.stage = Stage::Len;
        let id = (self.len > 0).then_some(self.buffer[0]);
        let numbers = [self.number_at(1), self.number_at(5), self.number_at(9)];
        let mut text = [0; TEXT_LEN];
        text.copy_from_slice(&self.buffer[1..HEAD_LEN]);
        Heard::Message { id, numbers, text, len: self.len }
    }

    fn number_at(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.buffer[at..at + 4]);
        u32::from_be_bytes(bytes)
    }

    fn id_at(&self, at: usize) -> [u8; 20] {
        let mut id = [0; 20];
        id.copy_from_slice(&self.buffer[at..at + 20]);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_heard_the_same_however_it_is_cut() {
        let mut stream = handshake(&[1; 20], &[2; 20]);
        message(&mut stream, REQUEST, &[1, 2, 3], &[]);
        stream.extend_from_slice(&[0; 4]);
        message(&mut stream, PIECE, &[4, 5], &[9; 30]);
        message(&mut stream, HAVE, &[6], &[]);
        let heard = |cut: usize| {
            let (mut ear, mut all) = (Ear::default(), Vec::new());
            stream.chunks(cut).for_each(|part| ear.hear(part, |heard| all.push(heard)));
            all
        };
        let message = |id: Option<u8>, numbers: [u32; 3], len: u32| {
            let mut text = [0; TEXT_LEN];
            let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
            text.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            if id == Some(PIECE) {
                text[8..len as usize - 1].fill(9);
            }
            Heard::Message { id, numbers, text, len }
        };
        let nines = u32::from_be_bytes([9; 4]);
        let want = vec![
            Heard::Handshake { reserved: [0; 8], info_hash: [1; 20], peer_id: [2; 20] },
            message(Some(REQUEST), [1, 2, 3], 13),
            message(None, [0; 3], 0),
            message(Some(PIECE), [4, 5, nines], 39),
            message(Some(HAVE), [6, 0, 0], 5),
        ];
        (1..=stream.len()).for_each(|cut| assert_eq!(heard(cut), want, "cut at {cut}"));
    }
}
