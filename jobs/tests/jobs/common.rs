//! A torrent with data in a temporary folder, and each job as a call.

use std::path::PathBuf;
use std::sync::Arc;

use peerless_core::bitfield::Bitfield;
use peerless_core::block::{Block, ReadBuffer};
use peerless_core::key::Key as _;
use peerless_core::metainfo::Metainfo;
use peerless_core::piece::{BLOCK_LEN, BlockRef, PieceIndex};
use peerless_core::{
    BlockDigest, Check, DiskError, DiskErrorKind, FullPiece, Job, JobDone, Opened, PeerKey, Purpose, Storage,
    StoreError, TorrentKey, Work as _,
};
use peerless_jobs::{Jobs, Options};
use tempfile::TempDir;

/// A torrent named `t`, its data, and the folder that it goes to.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) storage: Arc<Storage>,
    /// All bytes, padding among them.
    pub(crate) bytes: Vec<u8>,
}

/// Files by path and length; a path that starts with `pad` is a padding file.
pub(crate) fn fixture(piece_len: usize, files: &[(&str, usize)]) -> Fixture {
    let mut bytes = Vec::new();
    for (path, len) in files {
        match path.starts_with("pad") || path.starts_with("zero") {
            true => bytes.resize(bytes.len() + len, 0),
            false => bytes.extend((1..=251_u8).cycle().skip(path.len()).take(*len)),
        }
    }
    fixture_of(piece_len, files, bytes)
}

fn fixture_of(piece_len: usize, files: &[(&str, usize)], bytes: Vec<u8>) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for (path, len) in files {
        let attr = if path.starts_with("pad") { "4:attr1:p" } else { "" };
        let parts: String = path.split('/').map(|part| format!("{}:{part}", part.len())).collect();
        list += &format!("d{attr}6:lengthi{len}e4:pathl{parts}ee");
    }
    let digests: Vec<u8> = bytes
        .chunks(piece_len)
        .flat_map(|piece| peerless_core::block_digest(&Block::new(piece.to_vec())))
        .collect();
    let head =
        format!("d4:infod5:filesl{list}e4:name1:t12:piece lengthi{piece_len}e6:pieces{}:", digests.len());
    let raw = [head.as_bytes(), &digests, b"ee"].concat();
    let metainfo = Metainfo::parse(raw).unwrap();
    let storage = Arc::new(Storage { metainfo, root: dir.path().join("out") });
    Fixture { dir, storage, bytes }
}

pub(crate) fn torrent() -> TorrentKey {
    TorrentKey::new(0, 0)
}

impl Fixture {
    pub(crate) fn piece(&self, index: u32) -> PieceIndex {
        self.storage.metainfo.geometry().piece(index).unwrap()
    }

    pub(crate) fn pieces(&self, indexes: &[u32]) -> Vec<PieceIndex> {
        indexes.iter().map(|&index| self.piece(index)).collect()
    }

    pub(crate) fn set(&self, indexes: &[u32]) -> Bitfield {
        let mut set = Bitfield::empty(self.storage.metainfo.geometry().piece_count());
        for piece in self.pieces(indexes) {
            set.insert(piece);
        }
        set
    }

    /// The piece's bytes as its blocks.
    pub(crate) fn blocks(&self, index: u32) -> Vec<Block> {
        let geometry = self.storage.metainfo.geometry();
        let (piece, len) = (self.piece(index), BLOCK_LEN as usize);
        let start = usize::try_from(geometry.offset_of(piece)).unwrap();
        let bytes = &self.bytes[start..start + geometry.len_of(piece) as usize];
        bytes.chunks(len).map(|block| Block::new(block.to_vec())).collect()
    }

    /// Where a file of the torrent lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.storage.root.join("t").join(path)
    }

    /// Puts a file there before the torrent starts.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), bytes).unwrap();
    }

    /// All files below the root, sorted, without our own.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        let mut folders = vec![self.storage.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&self.storage.root).unwrap().to_str().unwrap().to_owned();
                match path.is_dir() {
                    true => folders.push(path),
                    false if name.starts_with(".peerless-") => {}
                    false => files.push((name, path.metadata().unwrap().len())),
                }
            }
        }
        files.sort();
        files
    }

    /// By file, whether it is one of these.
    fn marked(&self, files: &[usize]) -> Vec<bool> {
        let count = self.storage.metainfo.layout().files().len();
        (0..count).map(|file| files.contains(&file)).collect()
    }

    pub(crate) fn part_file(&self) -> PathBuf {
        self.storage.root.join(format!(".peerless-{}.part", self.storage.metainfo.info_hash()))
    }

    pub(crate) fn resume_file(&self) -> PathBuf {
        self.storage.root.join(format!(".peerless-{}.resume", self.storage.metainfo.info_hash()))
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.storage.root.join(format!(".peerless-{}.lock", self.storage.metainfo.info_hash()))
    }
}

pub(crate) fn jobs() -> Jobs {
    Jobs::new(Options::default())
}

pub(crate) fn open(
    jobs: &Jobs,
    fixture: &Fixture,
    check: Check,
    purpose: Purpose,
) -> Result<Opened, DiskError> {
    open_but(jobs, fixture, check, purpose, &[])
}

/// As [`open`], where these files, by number, are not wanted.
pub(crate) fn open_but(
    jobs: &Jobs,
    fixture: &Fixture,
    check: Check,
    purpose: Purpose,
    unwanted: &[usize],
) -> Result<Opened, DiskError> {
    let storage = Arc::clone(&fixture.storage);
    let unwanted = fixture.marked(unwanted);
    let job = Job::Open { torrent: torrent(), storage, check, purpose, unwanted };
    let JobDone::Opened { result, .. } = jobs.run(job) else { panic!("another answer") };
    result
}

/// From now on all but these files are wanted.
pub(crate) fn choose_but(jobs: &Jobs, fixture: &Fixture, unwanted: &[usize]) -> Result<(), DiskError> {
    let (storage, unwanted) = (Arc::clone(&fixture.storage), fixture.marked(unwanted));
    let JobDone::Chosen { result, .. } = jobs.run(Job::Choose { torrent: torrent(), storage, unwanted })
    else {
        panic!("another answer")
    };
    result
}

/// Opens for download and tells which pieces are had and unsure, by number, and whether it is ours.
pub(crate) fn opened(jobs: &Jobs, fixture: &Fixture, check: Check) -> (Vec<u32>, Vec<u32>, bool) {
    numbers(fixture, open(jobs, fixture, check, Purpose::Download).unwrap())
}

pub(crate) fn numbers(fixture: &Fixture, opened: Opened) -> (Vec<u32>, Vec<u32>, bool) {
    let list = |set: &Bitfield| set.iter(fixture.storage.metainfo.geometry()).map(PieceIndex::get).collect();
    (list(&opened.have), list(&opened.unsure), opened.ours)
}

pub(crate) fn store_blocks(
    jobs: &Jobs,
    fixture: &Fixture,
    index: u32,
    blocks: Vec<Block>,
    digest_blocks: bool,
) -> (Vec<Block>, Result<Vec<BlockDigest>, StoreError>) {
    let (storage, piece) = (Arc::clone(&fixture.storage), fixture.piece(index));
    let pieces = vec![FullPiece { piece, blocks, digest_blocks }];
    let JobDone::Stored { mut pieces, .. } = jobs.run(Job::Store { torrent: torrent(), storage, pieces })
    else {
        panic!("another answer")
    };
    let stored = pieces.pop().unwrap();
    assert!(stored.piece == piece && pieces.is_empty());
    (stored.blocks, stored.result)
}

pub(crate) fn store(jobs: &Jobs, fixture: &Fixture, index: u32) {
    let (_, result) = store_blocks(jobs, fixture, index, fixture.blocks(index), false);
    assert_eq!(result, Ok(vec![]));
}

pub(crate) fn check(jobs: &Jobs, fixture: &Fixture, indexes: &[u32]) -> Result<Vec<bool>, DiskError> {
    let (storage, pieces) = (Arc::clone(&fixture.storage), fixture.pieces(indexes));
    let JobDone::Checked { result, .. } = jobs.run(Job::Check { torrent: torrent(), storage, pieces }) else {
        panic!("another answer")
    };
    result
}

pub(crate) fn read(
    jobs: &Jobs,
    fixture: &Fixture,
    index: u32,
    begin: u32,
    len: u32,
) -> Result<Vec<u8>, DiskErrorKind> {
    let storage = Arc::clone(&fixture.storage);
    let range = storage.metainfo.geometry().range(index, begin, len).unwrap();
    let JobDone::Read { result, .. } = jobs.run(read_job(storage, range)) else { panic!("another answer") };
    result.map(Block::into_vec).map_err(|error| error.kind)
}

/// A piece, if it can be read without a worker. It is what a worker reads.
pub(crate) fn read_at_once(jobs: &Jobs, fixture: &Fixture, index: u32) -> Option<Vec<u8>> {
    let storage = Arc::clone(&fixture.storage);
    let range = storage.metainfo.geometry().range(index, 0, 16_384).unwrap();
    let Ok(JobDone::Read { result, .. }) = jobs.try_run(read_job(storage, range)) else { return None };
    let bytes = result.unwrap().into_vec();
    assert_eq!(Ok(&bytes), read(jobs, fixture, index, 0, 16_384).as_ref());
    Some(bytes)
}

fn read_job(storage: Arc<Storage>, range: BlockRef) -> Job {
    // What the buffer holds must not show.
    let mut buffer = ReadBuffer::new(range.len() as usize);
    buffer.as_mut_slice().fill(0xEE);
    Job::Read { torrent: torrent(), peer: PeerKey::new(0, 0), storage, range, buffer }
}

pub(crate) fn save(jobs: &Jobs, fixture: &Fixture, have: &[u32], close: bool) -> Result<(), DiskError> {
    let (storage, have) = (Arc::clone(&fixture.storage), fixture.set(have));
    let JobDone::Saved { result, .. } = jobs.run(Job::Save { torrent: torrent(), storage, have, close })
    else {
        panic!("another answer")
    };
    result
}

/// Fresh jobs for after the process of `killed` is gone without a word; the system has then let
/// its lock go.
pub(crate) fn jobs_after(killed: Jobs) -> Jobs {
    drop(killed);
    jobs()
}
