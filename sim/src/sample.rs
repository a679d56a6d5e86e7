//! Torrents made for a test: payload decided by a seed, metainfo bencoded by hand.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use peerless_core::block::Block;
use peerless_core::metainfo::Metainfo;
use peerless_core::piece::BlockRef;
use peerless_core::rng::Rng;

use crate::part::{ZEROS, ZEROS_LEN};

/// A torrent with its right bytes.
#[derive(Clone)]
pub struct Sample {
    /// What the .torrent file says.
    pub metainfo: Metainfo,
    /// The bytes of all files, one after the other.
    pub(crate) payload: Payload,
}

/// The right bytes of a torrent.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// These.
    Bytes(Arc<[u8]>),
    /// As many zeros as there are bytes, which nobody holds.
    Zeros,
}

impl Payload {
    /// The bytes of a range.
    pub(crate) fn bytes(&self, start: u64, len: usize) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(start).expect("a sample fits into memory");
                Cow::Borrowed(&bytes[start..start + len])
            }
            Self::Zeros => ZEROS.get(..len).map_or_else(|| Cow::Owned(vec![0; len]), Cow::Borrowed),
        }
    }

    /// What a disk reads of a range.
    pub(crate) fn block(&self, start: u64, len: usize) -> Block {
        match self {
            Self::Zeros if len <= ZEROS_LEN => Block::of_static(&ZEROS[..len]),
            Self::Zeros | Self::Bytes(_) => Block::new(self.bytes(start, len).into_owned()),
        }
    }
}

impl Sample {
    /// A torrent of one file.
    #[must_use]
    pub fn new(seed: u64, total_len: usize, piece_len: u32) -> Self {
        Self::with_trackers(seed, total_len, piece_len, &[])
    }

    /// A torrent of one file whose tiers name these announce URLs.
    #[must_use]
    pub fn with_trackers(seed: u64, total_len: usize, piece_len: u32, tiers: &[&[&str]]) -> Self {
        Self::of_one_file(seed, total_len, piece_len, tiers, false)
    }

    /// A private torrent (BEP 27) of one file whose tiers name these announce URLs.
    #[must_use]
    pub fn private(seed: u64, total_len: usize, piece_len: u32, tiers: &[&[&str]]) -> Self {
        Self::of_one_file(seed, total_len, piece_len, tiers, true)
    }

    /// A torrent of one file whose payload stands in for any other: all of it is zero, and no bytes
    /// are carried or hashed for it. Its tiers name these announce URLs.
    ///
    /// What decides anything sees the same as with other payload, and who sends other bytes than zeros
    /// lies. So a swarm of many peers moves much in little time and memory.
    #[must_use]
    pub fn stand_in(seed: u64, total_len: u64, piece_len: u32, tiers: &[&[&str]]) -> Self {
        let digest = |len: u64| {
            let mut sha1 = sha1_smol::Sha1::new();
            let len = usize::try_from(len).expect("a piece fits into memory");
            sha1.update(&vec![0; len]);
            sha1.digest().bytes()
        };
        let whole_count = usize::try_from(total_len / u64::from(piece_len)).expect("a list fits into memory");
        let mut digests = digest(piece_len.into()).repeat(whole_count);
        let last_len = total_len % u64::from(piece_len);
        if last_len > 0 {
            digests.extend(digest(last_len));
        }
        let info = info(&format!("stand-in-{seed}"), &format!("6:lengthi{total_len}e"), piece_len, &digests);
        Self::build(&info, Payload::Zeros, tiers)
    }

    fn of_one_file(seed: u64, total_len: usize, piece_len: u32, tiers: &[&[&str]], private: bool) -> Self {
        let payload = payload(seed, total_len);
        let content = format!("6:lengthi{total_len}e");
        let digests = digests(&payload, piece_len);
        let mut info = info(&format!("sample-{seed}"), &content, piece_len, &digests);
        if private {
            info.pop();
            info.extend_from_slice(b"7:privatei1ee");
        }
        Self::build(&info, Payload::Bytes(payload.into()), tiers)
    }

    /// A torrent of several files below one folder, each with its path and length.
    #[must_use]
    pub fn with_files(seed: u64, files: &[(&[&str], usize)], piece_len: u32) -> Self {
        let payload = payload(seed, files.iter().map(|&(_, len)| len).sum());
        let mut list = String::from("5:filesl");
        for (path, len) in files {
            let path: String = path.iter().map(|part| format!("{}:{part}", part.len())).collect();
            let _ = write!(list, "d6:lengthi{len}e4:pathl{path}ee");
        }
        list.push('e');
        let info = info(&format!("folder-{seed}"), &list, piece_len, &digests(&payload, piece_len));
        Self::build(&info, Payload::Bytes(payload.into()), &[])
    }

    /// The right bytes of all files, one after the other.
    #[must_use]
    pub fn payload(&self) -> Cow<'_, [u8]> {
        let len = usize::try_from(self.metainfo.geometry().total_len()).expect("a sample fits into memory");
        self.payload.bytes(0, len)
    }

    /// The right bytes of a range.
    #[must_use]
    pub fn bytes(&self, range: BlockRef) -> Cow<'_, [u8]> {
        self.payload.bytes(offset(&self.metainfo, range), range.len() as usize)
    }

    fn build(info: &[u8], payload: Payload, tiers: &[&[&str]]) -> Self {
        let mut raw = b"d".to_vec();
        if !tiers.is_empty() {
            raw.extend_from_slice(b"13:announce-listl");
            for tier in tiers {
                let urls: String = tier.iter().map(|url| format!("{}:{url}", url.len())).collect();
                raw.extend_from_slice(format!("l{urls}e").as_bytes());
            }
            raw.push(b'e');
        }
        raw.extend_from_slice(b"4:info");
        raw.extend_from_slice(info);
        raw.push(b'e');
        let metainfo = Metainfo::parse(raw).expect("the harness makes good torrents");
        Self { metainfo, payload }
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metainfo.fmt(f)
    }
}

/// Where `range` begins in the payload of its torrent.
pub(crate) fn offset(metainfo: &Metainfo, range: BlockRef) -> u64 {
    metainfo.geometry().offset_of(range.piece()) + u64::from(range.begin())
}

/// Bytes that differ from block to block, decided by the seed.
fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&rng.next_u64().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The digests of a payload's pieces, one after the other.
fn digests(payload: &[u8], piece_len: u32) -> Vec<u8> {
    let pieces = payload.chunks(piece_len as usize);
    pieces.flat_map(|piece| sha1_smol::Sha1::from(piece).digest().bytes()).collect()
}

/// An `info` dictionary; `content` is its `length` or `files` entry, which both sort first.
fn info(name: &str, content: &str, piece_len: u32, digests: &[u8]) -> Vec<u8> {
    let mut info = format!(
        "d{content}4:name{}:{name}12:piece lengthi{piece_len}e6:pieces{}:",
        name.len(),
        digests.len()
    )
    .into_bytes();
    info.extend_from_slice(digests);
    info.push(b'e');
    info
}
