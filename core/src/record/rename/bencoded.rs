//! Bencoded values with other strings.

use super::words::Words;
use crate::bencode::{Limits, Value, check};
use crate::metainfo::Metainfo;

/// How much is looked at of what may be a torrent: as much as is of one that is read.
const LIMITS: Limits = Limits { depth: 32, tokens: 16_000_000 };

/// Where a string is: the keys that lead to it, a list's items without one.
type Place<'a> = [&'a [u8]];

/// The first value of `bytes` with other strings, and what follows it; `None` if there is none.
fn rewritten(bytes: &[u8], mut other: impl FnMut(&Place<'_>, &[u8]) -> Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    let (value, rest) = check(bytes, LIMITS).ok()?;
    let mut out = Vec::with_capacity(value.raw().len());
    rewrite(value, &mut Vec::new(), false, &mut other, &mut out);
    Some((out, rest))
}

/// Recursion is bounded by what [`check`] has let pass.
fn rewrite<'a>(
    value: Value<'a>,
    place: &mut Vec<&'a [u8]>,
    is_item: bool,
    other: &mut impl FnMut(&Place<'_>, &[u8]) -> Vec<u8>,
    out: &mut Vec<u8>,
) {
    if let Some(bytes) = value.bytes() {
        push(out, &other(place, bytes));
    } else if let Some(items) = value.items() {
        out.push(b'l');
        items.for_each(|item| rewrite(item, place, true, other, out));
        out.push(b'e');
    } else if let Some(mut parts) = value.pairs() {
        out.push(b'd');
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            let key = key.bytes().unwrap_or_default();
            push(out, &if is_name(place, is_item) { other(place, key) } else { key.to_vec() });
            place.push(key);
            rewrite(value, place, false, other, out);
            place.pop();
        }
        out.push(b'e');
    } else {
        out.extend_from_slice(value.raw());
    }
}

/// Whether the keys of a dictionary at this place, or of one in a list there, are no words of a protocol but
/// names or hashes.
fn is_name(place: &Place<'_>, is_item: bool) -> bool {
    let is_hash = matches!(place.last(), Some(&b"files" | &b"piece layers")) && !is_item;
    is_hash || place.get(1) == Some(&&b"file tree"[..]) && place.last() != Some(&&b""[..])
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

impl Words {
    /// A torrent with other names. The dictionary `info` is as long as it was.
    pub(super) fn metainfo(&mut self, metainfo: &Metainfo) -> Option<Metainfo> {
        let (raw, _) = rewritten(metainfo.raw(), |place, bytes| self.of_torrent(place, bytes))?;
        let new = Metainfo::parse(raw).ok()?;
        self.hashes.insert(metainfo.info_hash(), new.info_hash());
        Some(new)
    }

    fn of_torrent(&mut self, place: &Place<'_>, bytes: &[u8]) -> Vec<u8> {
        match place {
            [b"announce" | b"announce-list" | b"url-list"] => {
                self.url(&String::from_utf8_lossy(bytes)).into_bytes()
            }
            [b"info", b"pieces"] => self.digests(bytes),
            [b"info", b"file tree", ..] if !place.contains(&&b""[..]) => self.component(bytes),
            [b"info", b"name" | b"name.utf-8"] | [b"info", b"files", b"path" | b"path.utf-8"] => {
                self.component(bytes)
            }
            [b"encoding"] | [.., b"attr"] => bytes.to_vec(),
            _ => Self::blank(bytes),
        }
    }

    fn digests(&self, bytes: &[u8]) -> Vec<u8> {
        let digest = |digest: &[u8]| self.digest(digest).into_iter().take(digest.len()).collect::<Vec<_>>();
        bytes.chunks(20).flat_map(digest).collect()
    }

    /// A tracker's answer.
    pub(super) fn answer(&mut self, body: &[u8]) -> Vec<u8> {
        let new = rewritten(body, |place, bytes| match place {
            [b"peers"] => self.compact::<4>(bytes),
            [b"peers6"] => self.compact::<16>(bytes),
            [b"peers", b"ip"] => self.host(&String::from_utf8_lossy(bytes)).into_bytes(),
            [b"peers", b"peer id"] => <[u8; 20]>::try_from(bytes)
                .map_or_else(|_| Self::blank(bytes), |id| self.peer_id(id).to_vec()),
            [b"external ip"] => self.ip_bytes(bytes),
            [b"files"] => self.hash_bytes(bytes),
            // When it is to be asked again.
            [b"retry in"] => bytes.to_vec(),
            _ => Self::blank(bytes),
        });
        new.map_or_else(|| Self::blank(body), |(new, _)| new)
    }

    pub(super) fn hash_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let hash = <[u8; 20]>::try_from(bytes).map(crate::id::InfoHash::new);
        hash.map_or_else(|_| Self::blank(bytes), |hash| self.hash(hash).as_bytes().to_vec())
    }

    /// An extended handshake (BEP 10), as long as it was.
    pub(super) fn hello(&mut self, payload: &[u8]) -> Vec<u8> {
        as_long(
            payload,
            rewritten(payload, |place, bytes| match place {
                [b"v"] => bytes.to_vec(),
                [b"yourip" | b"ipv4" | b"ipv6"] => self.ip_bytes(bytes),
                _ => Self::blank(bytes),
            }),
        )
    }

    /// A message about other peers (BEP 11), as long as it was.
    pub(super) fn pex(&mut self, payload: &[u8]) -> Vec<u8> {
        as_long(
            payload,
            rewritten(payload, |place, bytes| match place {
                [b"added" | b"dropped"] => self.compact::<4>(bytes),
                [b"added6" | b"dropped6"] => self.compact::<16>(bytes),
                [b"added.f" | b"added6.f"] => bytes.to_vec(),
                _ => Self::blank(bytes),
            }),
        )
    }

    /// A message about metadata (BEP 9), as long as it was. What of metadata is in it is found by `piece`.
    pub(super) fn metadata(&mut self, payload: &[u8], piece: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let new = rewritten(payload, |_, bytes| Self::blank(bytes));
        as_long(
            payload,
            new.map(|(mut new, rest)| {
                new.extend(piece(rest));
                (new, &[][..])
            }),
        )
    }
}

/// What it is now if that is as long; else nothing that means anything, as it did before.
fn as_long(payload: &[u8], new: Option<(Vec<u8>, &[u8])>) -> Vec<u8> {
    let new = new.map(|(mut new, rest)| {
        new.extend(Words::blank(rest));
        new
    });
    new.filter(|new| new.len() == payload.len()).unwrap_or_else(|| Words::blank(payload))
}
