//! What peers said, message by message, and what they say now.

use super::words::Words;
use crate::bencode::{Dict, Limits, check};
use crate::extension::{Kind, METADATA_PIECE_LEN};
use crate::wire::{Socks5, Socks5Step};

/// The extended message (BEP 10).
const EXTENDED: u8 = 20;

/// Messages without a name or an address in them: BEP 3, and the fast extension's.
const PLAIN: [u8; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17];

const HANDSHAKE_LEN: usize = 68;
const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// The metadata of torrents, as it was and as it is.
pub(super) type Infos = Vec<(Vec<u8>, Vec<u8>)>;

/// Some bytes of a stream, from this offset on.
#[derive(Debug)]
struct Said {
    at: u64,
    what: What,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A proxy's words.
    Proxy,
    Handshake,
    /// An extended message's number and payload.
    Extended,
    /// A message that we do not know.
    Unknown,
}

/// One peer's stream.
#[derive(Debug)]
pub(super) struct Listener {
    proxy: Option<Socks5>,
    said: Vec<Said>,
    state: State,
    /// The offset of the next byte.
    at: u64,
}

#[derive(Debug)]
enum State {
    /// These bytes are gathered, up to this length.
    Gather(What, Vec<u8>, usize),
    /// A message's length and number.
    Head(Vec<u8>),
    /// So many bytes mean nothing to us.
    Skip(usize),
}

impl Listener {
    pub(super) fn new(proxy: Option<Socks5>) -> Self {
        let what = if proxy.is_some() { What::Proxy } else { What::Handshake };
        let len = if proxy.is_some() { usize::MAX } else { HANDSHAKE_LEN };
        Self { proxy, said: Vec::new(), state: State::Gather(what, Vec::new(), len), at: 0 }
    }

    /// The next bytes of the stream.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = self.step(bytes);
            bytes = bytes.get(used..).unwrap_or_default();
            self.at += used as u64;
        }
    }

    /// The stream has ended: what is there of a message counts.
    pub(super) fn end(&mut self) {
        if let State::Gather(what, bytes, _) = std::mem::replace(&mut self.state, State::Skip(0)) {
            let at = self.at - bytes.len() as u64;
            self.said.push(Said { at, what, bytes });
        }
    }

    fn step(&mut self, bytes: &[u8]) -> usize {
        let (used, next) = match &mut self.state {
            State::Skip(left) => {
                let used = bytes.len().min(*left);
                *left -= used;
                (used, (*left == 0).then(|| State::Head(Vec::new())))
            }
            State::Head(head) => {
                head.extend(bytes.first());
                (1, after_head(head))
            }
            State::Gather(What::Proxy, said, _) => {
                said.extend(bytes.first());
                let step = self.proxy.as_mut().map(|proxy| proxy.step(bytes.get(..1).unwrap_or_default()));
                let is_done = matches!(step, Some(Ok(Socks5Step::Done { .. })));
                (1, is_done.then(|| State::Gather(What::Handshake, Vec::new(), HANDSHAKE_LEN)))
            }
            State::Gather(_, said, len) => {
                let used = bytes.len().min(*len - said.len());
                said.extend_from_slice(bytes.get(..used).unwrap_or_default());
                (used, (said.len() == *len).then(|| State::Head(Vec::new())))
            }
        };
        if let Some(next) = next
            && let State::Gather(what, bytes, _) = std::mem::replace(&mut self.state, next)
        {
            let at = self.at + used as u64 - bytes.len() as u64;
            self.said.push(Said { at, what, bytes });
        }
        used
    }

    /// What is said now in the place of what was said.
    pub(super) fn renamed(&self, words: &mut Words, infos: &Infos) -> Patches {
        let said = self.said.iter();
        Patches { at: 0, patches: said.map(|said| (said.at, said.renamed(words, infos))).collect() }
    }
}

fn after_head(head: &[u8]) -> Option<State> {
    let (length, rest) = head.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    match rest.first() {
        None if length == 0 => Some(State::Head(Vec::new())),
        None => None,
        Some(&EXTENDED) if length > 1 => Some(State::Gather(What::Extended, Vec::new(), length - 1)),
        Some(id) if length > 1 && !PLAIN.contains(id) => {
            Some(State::Gather(What::Unknown, Vec::new(), length - 1))
        }
        Some(_) if length > 1 => Some(State::Skip(length - 1)),
        Some(_) => Some(State::Head(Vec::new())),
    }
}

impl Said {
    fn renamed(&self, words: &mut Words, infos: &Infos) -> Vec<u8> {
        match (self.what, self.bytes.split_first()) {
            (What::Proxy, _) => proxy_words(&self.bytes),
            (What::Handshake, _) => handshake(words, &self.bytes),
            (What::Unknown, _) | (What::Extended, None) => Words::blank(&self.bytes),
            (What::Extended, Some((&number, payload))) => {
                let mut out = vec![number];
                let is = |kind: Kind| usize::from(number) == kind as usize + 1;
                out.extend(if number == 0 {
                    words.hello(payload)
                } else if is(Kind::Pex) {
                    words.pex(payload)
                } else if is(Kind::Metadata) {
                    words.metadata(payload, |piece| metadata_piece(payload, piece, infos))
                } else if is(Kind::UploadOnly) || is(Kind::DontHave) {
                    payload.to_vec()
                } else {
                    Words::blank(payload)
                });
                out
            }
        }
    }
}

/// A proxy's answers: two bytes each, and the last with the address that it calls from.
fn proxy_words(bytes: &[u8]) -> Vec<u8> {
    let last = if bytes.get(2) == Some(&1) { 4 } else { 2 };
    let addr_at = last + if bytes.get(last + 3) == Some(&3) { 5 } else { 4 };
    bytes.iter().enumerate().map(|(at, byte)| if at < addr_at { *byte } else { 0 }).collect()
}

/// A handshake with other names; of garbage only where it turns out to be garbage.
fn handshake(words: &mut Words, bytes: &[u8]) -> Vec<u8> {
    let same = bytes.iter().zip(PROTOCOL).take_while(|(a, b)| a == b).count();
    if same < PROTOCOL.len() {
        let kept = bytes.iter().take(same + 1).copied();
        return kept.chain(std::iter::repeat_n(0, bytes.len().saturating_sub(same + 1))).collect();
    }
    let mut new = bytes.get(..28).unwrap_or(bytes).to_vec();
    let mut rest = bytes.get(28..).unwrap_or_default();
    if let Some((hash, after)) = rest.split_first_chunk::<20>() {
        new.extend(words.hash_bytes(hash));
        rest = after;
        if let Ok(id) = <[u8; 20]>::try_from(rest) {
            new.extend(words.peer_id(id));
            return new;
        }
    }
    new.extend(rest.iter().map(|_| 0));
    new
}

/// A piece of metadata as it is now. What is none that is known means nothing, as before.
fn metadata_piece(payload: &[u8], bytes: &[u8], infos: &Infos) -> Vec<u8> {
    let number = check(payload, Limits { depth: 4, tokens: 100 })
        .ok()
        .and_then(|(value, _)| Dict::of(value).ok()?.get("piece")?.read::<usize>());
    let begin = number.and_then(|number| number.checked_mul(METADATA_PIECE_LEN as usize));
    let range = begin.and_then(|begin| Some(begin..begin.checked_add(bytes.len())?));
    let new = range.and_then(|range| {
        let mut known = infos.iter().filter(|(old, _)| old.get(range.clone()) == Some(bytes));
        known.find_map(|(_, new)| new.get(range.clone()))
    });
    new.map_or_else(|| Words::blank(bytes), <[u8]>::to_vec)
}

/// What is put over a stream.
#[derive(Debug, Default)]
pub(super) struct Patches {
    /// The offset of the next byte.
    at: u64,
    /// By offset.
    patches: Vec<(u64, Vec<u8>)>,
}

impl Patches {
    /// The next bytes of the stream as they are now.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let (start, end) = (self.at, self.at + bytes.len() as u64);
        self.at = end;
        let first = self.patches.partition_point(|(at, patch)| at + patch.len() as u64 <= start);
        for (at, patch) in self.patches.iter().skip(first).take_while(|(at, _)| *at < end) {
            let (skipped, offset) = (start.saturating_sub(*at), at.saturating_sub(start));
            let from = patch.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
            let to = bytes.iter_mut().skip(usize::try_from(offset).unwrap_or(usize::MAX));
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}
