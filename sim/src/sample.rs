//! Torrents made for a test: payload decided by a seed, metainfo bencoded by hand.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use peerless_core::metainfo::Metainfo;
use peerless_core::piece::BlockRef;
use peerless_core::rng::Rng;

/// A torrent with its right bytes.
#[derive(Clone)]
pub struct Sample {
    /// What the .torrent file says.
    pub metainfo: Metainfo,
    /// The bytes of all files, one after the other.
    pub payload: Arc<[u8]>,
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

    fn of_one_file(seed: u64, total_len: usize, piece_len: u32, tiers: &[&[&str]], private: bool) -> Self {
        let payload = payload(seed, total_len);
        let content = format!("6:lengthi{total_len}e");
        let mut info = info(&format!("sample-{seed}"), &content, piece_len, &payload);
        if private {
            info.pop();
            info.extend_from_slice(b"7:privatei1ee");
        }
        Self::build(&info, payload, tiers)
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
        Self::build(&info(&format!("folder-{seed}"), &list, piece_len, &payload), payload, &[])
    }

    /// The right bytes of a range.
    #[must_use]
    pub fn bytes(&self, range: BlockRef) -> &[u8] {
        slice(&self.metainfo, &self.payload, range)
    }

    fn build(info: &[u8], payload: Vec<u8>, tiers: &[&[&str]]) -> Self {
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
        Self { metainfo, payload: payload.into() }
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metainfo.fmt(f)
    }
}

/// The bytes of `range` in the payload of its torrent.
pub(crate) fn slice<'a>(metainfo: &Metainfo, payload: &'a [u8], range: BlockRef) -> &'a [u8] {
    let start = metainfo.geometry().offset_of(range.piece()) + u64::from(range.begin());
    let start = usize::try_from(start).expect("a sample fits into memory");
    &payload[start..start + range.len() as usize]
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

/// An `info` dictionary; `content` is its `length` or `files` entry, which both sort first.
fn info(name: &str, content: &str, piece_len: u32, payload: &[u8]) -> Vec<u8> {
    let pieces = payload.chunks(piece_len as usize);
    let digests: Vec<u8> = pieces.flat_map(|piece| sha1_smol::Sha1::from(piece).digest().bytes()).collect();
    let mut info = format!(
        "d{content}4:name{}:{name}12:piece lengthi{piece_len}e6:pieces{}:",
        name.len(),
        digests.len()
    )
    .into_bytes();
    info.extend_from_slice(&digests);
    info.push(b'e');
    info
}
