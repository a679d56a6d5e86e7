//! A disk in memory: runs jobs, fails where the plan says, and catches broken promises.
//!
//! A piece that passed its hash is held as one bit: its bytes are the sample's. So a thousand
//! disks with the same torrent share one payload.

use std::collections::BTreeMap;
use std::path::PathBuf;

use peerless_core::bitfield::Bitfield;
use peerless_core::block::Block;
use peerless_core::metainfo::Metainfo;
use peerless_core::piece::{BlockRef, PieceIndex};
use peerless_core::rng::Rng;
use peerless_core::{
    BuiltMetadata, Check, DiskError, DiskErrorKind, FetchError, FetchFailure, FullPiece, InfoHash, Job,
    JobDone, MetadataError, MetadataWork, Opened, StoreError, StoreTime, block_digest, verify,
};

use crate::part::is_zeros;
use crate::sample::{Payload, Sample, offset};

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Writes from this one on (counted from 0) fail in this way.
    pub write_fails_from: Option<(u64, DiskErrorKind)>,
    /// How many of 1000 reads fail.
    pub read_fails_per_mille: usize,
    /// How many of 1000 saves of the resume file fail.
    pub save_fails_per_mille: usize,
    /// Opening fails in this way.
    pub open_fails: Option<DiskErrorKind>,
}

/// A disk in memory.
#[derive(Debug)]
pub struct Disk {
    rng: Rng,
    faults: Faults,
    write_count: u64,
    places: BTreeMap<InfoHash, Place>,
    /// Metadata that was got from peers.
    metadata: BTreeMap<InfoHash, Metainfo>,
    recording: Vec<u8>,
    /// The recordings of sessions that are over.
    ended: Vec<Vec<u8>>,
    /// What each job says that it took to hash and to write pieces. How long one takes here, the swarm decides.
    pub store_time: StoreTime,
}

/// One torrent's data on the disk.
#[derive(Debug)]
struct Place {
    metainfo: Metainfo,
    payload: Payload,
    /// Pieces that were written, as the running system sees them.
    written: Bitfield,
    /// Pieces that would survive a crash.
    synced: Bitfield,
    /// What the resume file says; `None`: there is none.
    claimed: Option<Bitfield>,
    /// Pieces were once believed without a look, as the user may wish: claims may be wrong then.
    trusted: bool,
    phase: Phase,
}

impl Place {
    /// Whether it may be claimed and served.
    fn vouches_for(&self, piece: PieceIndex) -> bool {
        self.trusted || self.written.has(piece)
    }
}

/// Where a torrent's data stands between its first and its last job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open,
    /// The closing save was asked for: nothing may follow.
    Closing,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            faults: Faults::default(),
            write_count: 0,
            places: BTreeMap::new(),
            metadata: BTreeMap::new(),
            recording: Vec::new(),
            ended: Vec::new(),
            store_time: StoreTime::default(),
        }
    }

    /// Lets things go wrong from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Makes the torrent known, with nothing of it on the disk.
    pub fn insert(&mut self, sample: &Sample) {
        let nothing = Bitfield::empty(sample.metainfo.geometry().piece_count());
        self.insert_with(sample, nothing);
    }

    /// Makes the torrent known, with all of it on the disk and no resume file.
    pub fn insert_full(&mut self, sample: &Sample) {
        let everything = Bitfield::full(sample.metainfo.geometry().piece_count());
        self.insert_with(sample, everything);
    }

    /// Makes the torrent known, with these pieces of it on the disk and no resume file.
    pub fn insert_with(&mut self, sample: &Sample, there: Bitfield) {
        let place = Place {
            metainfo: sample.metainfo.clone(),
            payload: sample.payload.clone(),
            written: there.clone(),
            synced: there,
            claimed: None,
            trusted: false,
            phase: Phase::Closed,
        };
        self.places.insert(sample.metainfo.info_hash(), place);
    }

    /// The pieces that are on the disk with the right bytes.
    ///
    /// # Panics
    /// For a torrent the disk was not told of.
    #[must_use]
    pub fn pieces(&self, torrent: InfoHash) -> &Bitfield {
        &self.places.get(&torrent).expect("the disk knows the torrent").written
    }

    /// The pieces of the one torrent that it knows.
    ///
    /// # Panics
    /// When it knows none, or more.
    #[must_use]
    pub fn only(&self) -> &Bitfield {
        let mut places = self.places.values();
        match (places.next(), places.next()) {
            (Some(place), None) => &place.written,
            _ => panic!("a disk with one torrent"),
        }
    }

    /// What the resume file claims, if there is one.
    #[must_use]
    pub fn claimed(&self, torrent: InfoHash) -> Option<&Bitfield> {
        self.places.get(&torrent)?.claimed.as_ref()
    }

    /// The session's recording, as far as it was written.
    #[must_use]
    pub fn recording(&self) -> &[u8] {
        &self.recording
    }

    /// The recordings of all sessions that there were, each as far as it was written.
    pub fn recordings(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.ended.iter().chain([&self.recording]);
        all.map(Vec::as_slice).filter(|recording| !recording.is_empty())
    }

    /// The session is over: the next one has a recording of its own.
    pub fn end_recording(&mut self) {
        self.ended.push(std::mem::take(&mut self.recording));
    }

    /// A job that was to open or close the data has failed outside: the data is not open.
    pub fn give_up(&mut self, torrent: InfoHash) {
        self.place(torrent).phase = Phase::Closed;
    }

    /// The process that had the data open is gone; the machine runs on.
    pub fn close(&mut self) {
        self.places.values_mut().for_each(|place| place.phase = Phase::Closed);
    }

    /// The machine loses power: what was written and not synced is there or not, by chance.
    pub fn crash(&mut self) {
        for place in self.places.values_mut() {
            for piece in place.metainfo.geometry().pieces() {
                if !place.synced.has(piece) && self.rng.below(2) == 0 {
                    place.written.remove(piece);
                }
            }
            // What has survived lies on the disk: the next loss of power can't take it.
            place.synced = place.written.clone();
            place.phase = Phase::Closed;
        }
    }

    /// Checks what a job promises at the moment that it is asked for.
    ///
    /// # Panics
    /// When a promise is broken: a piece is claimed or read that was never stored, something is
    /// asked before `Open` or after the closing `Save`.
    pub fn ask(&mut self, job: &Job) {
        match job {
            Job::Open { storage, .. } => {
                let place = self.place(storage.metainfo.info_hash());
                assert_eq!(place.phase, Phase::Closed, "{job:?}: opened while open");
                place.phase = Phase::Open;
            }
            Job::Choose { storage, unwanted, .. } => {
                let place = self.open_place(storage.metainfo.info_hash(), job);
                let file_count = place.metainfo.layout().files().len();
                assert!(unwanted.is_empty() || unwanted.len() == file_count, "{job:?}: of other files");
            }
            Job::Check { storage, pieces, .. } => {
                self.open_place(storage.metainfo.info_hash(), job);
                assert!(!pieces.is_empty(), "{job:?}: no piece to check");
                assert!(pieces.is_sorted(), "{job:?}: pieces out of order");
            }
            Job::Store { storage, pieces, .. } => {
                let place = self.open_place(storage.metainfo.info_hash(), job);
                assert!(!pieces.is_empty(), "{job:?}: no piece to store");
                for FullPiece { piece, blocks, .. } in pieces {
                    let len: usize = blocks.iter().map(|block| block.as_slice().len()).sum();
                    let want = place.metainfo.geometry().len_of(*piece) as usize;
                    assert_eq!(len, want, "{job:?}: the blocks are not the piece");
                }
            }
            Job::Read { storage, range, .. } => {
                let place = self.open_place(storage.metainfo.info_hash(), job);
                assert!(place.vouches_for(range.piece()), "{job:?}: a piece is served that was never stored");
            }
            Job::Save { storage, have, close, .. } => {
                let place = self.open_place(storage.metainfo.info_hash(), job);
                for piece in have.iter(place.metainfo.geometry()) {
                    assert!(place.vouches_for(piece), "{job:?}: claims {piece:?}, which was never stored");
                }
                if *close {
                    place.phase = Phase::Closing;
                }
            }
            Job::Fetch { .. }
            | Job::Announce { .. }
            | Job::Scrape { .. }
            | Job::Resolve { .. }
            | Job::CheckBind { .. }
            | Job::Metadata { .. }
            | Job::Record { .. } => {}
        }
    }

    /// Finds metadata that was saved, or builds it.
    fn metadata(&mut self, work: MetadataWork) -> Result<BuiltMetadata, MetadataError> {
        let (metainfo, digests) = match work {
            MetadataWork::Find { info_hash, .. } => {
                (self.metadata.get(&info_hash).cloned().ok_or(MetadataError::NotSaved)?, Vec::new())
            }
            MetadataWork::Build { save_in, magnet, pieces, digest_pieces } => {
                let metainfo = Metainfo::assemble(&magnet, &pieces)?;
                if save_in.is_some() {
                    self.metadata.insert(metainfo.info_hash(), metainfo.clone());
                }
                let digest = |piece: &Vec<u8>| block_digest(&Block::new(piece.clone()));
                (metainfo, if digest_pieces { pieces.iter().map(digest).collect() } else { Vec::new() })
            }
        };
        Ok(BuiltMetadata { metainfo, digests })
    }

    /// Does a job. What needs the network fails.
    pub fn run(&mut self, job: Job) -> JobDone {
        match job {
            Job::Open { torrent, storage, check, .. } => {
                JobDone::Opened { torrent, result: self.open(storage.metainfo.info_hash(), check) }
            }
            // Where the bytes lie is not this disk's to know.
            Job::Choose { torrent, .. } => JobDone::Chosen { torrent, result: Ok(()) },
            Job::Check { torrent, storage, pieces } => {
                let place = self.place(storage.metainfo.info_hash());
                let right = pieces.iter().map(|&piece| place.written.has(piece)).collect();
                JobDone::Checked { torrent, pieces, result: Ok(right) }
            }
            Job::Store { torrent, storage, pieces } => {
                let info_hash = storage.metainfo.info_hash();
                let stored = pieces.into_iter().map(|piece| {
                    let result = self.store(info_hash, &piece);
                    piece.stored(result)
                });
                JobDone::Stored { torrent, pieces: stored.collect(), time: self.store_time }
            }
            Job::Read { torrent, peer, storage, range, buffer: _ } => {
                let result = self.read(storage.metainfo.info_hash(), range);
                JobDone::Read { torrent, peer, range, result }
            }
            Job::Save { torrent, storage, have, close } => {
                let result = self.save(storage.metainfo.info_hash(), have, close);
                JobDone::Saved { torrent, result }
            }
            Job::Announce { torrent, tier, family, .. } => {
                let result = Err(FetchError::Failed("a disk has no network".into()));
                JobDone::Announced { torrent, tier, family, result }
            }
            Job::Scrape { number, .. } => {
                let result = Err(FetchError::Failed("a disk has no network".into()));
                JobDone::Scraped { number, result }
            }
            Job::CheckBind { .. } => JobDone::BindChecked { result: Ok(()) },
            Job::Resolve { whom, host, port, .. } => {
                JobDone::Resolved { whom, host, port, result: Err("a disk has no network".into()) }
            }
            Job::Metadata { torrent, work } => {
                JobDone::Metadata { torrent, result: self.metadata(work).map(Box::new) }
            }
            Job::Fetch { torrent, seed, run, .. } => {
                let error = FetchError::Failed("a disk has no network".into());
                let result = Err(FetchFailure { error, retry_after: None });
                JobDone::Fetched { torrent, seed, run, blocks: Vec::new(), result }
            }
            Job::Record { offset, bytes } => {
                let at = usize::try_from(offset).expect("a recording fits into memory");
                // Workers may finish in another order than they were asked.
                self.recording.resize(self.recording.len().max(at + bytes.len()), 0);
                self.recording[at..at + bytes.len()].copy_from_slice(&bytes);
                JobDone::Recorded { result: Ok(()) }
            }
        }
    }

    fn open(&mut self, torrent: InfoHash, check: Check) -> Result<Opened, DiskError> {
        if let Some(kind) = self.faults.open_fails {
            self.place(torrent).phase = Phase::Closed;
            return Err(error(kind));
        }
        let place = self.place(torrent);
        let count = place.metainfo.geometry().piece_count();
        let nothing = Bitfield::empty(count);
        // Files are sparse: once one byte is there, the disk can't tell which pieces are.
        let any = if place.written.is_empty() { nothing.clone() } else { Bitfield::full(count) };
        let ours = place.claimed.is_some();
        place.trusted |= check == Check::Trust && !ours && !place.written.is_full();
        Ok(match (check, place.claimed.clone()) {
            (Check::Full, _) | (Check::Auto, None) => Opened { have: nothing, unsure: any, ours },
            (Check::Trust, None) => Opened { have: any, unsure: nothing, ours },
            (Check::Auto | Check::Trust, Some(have)) => {
                let mut unsure = any;
                have.iter(place.metainfo.geometry()).for_each(|piece| {
                    unsure.remove(piece);
                });
                Opened { have, unsure, ours }
            }
        })
    }

    fn store(
        &mut self,
        torrent: InfoHash,
        FullPiece { piece, blocks, digest_blocks }: &FullPiece,
    ) -> Result<Vec<[u8; 20]>, StoreError> {
        let piece = *piece;
        let digests = || blocks.iter().map(block_digest).collect();
        let place = self.place(torrent);
        let is_right = match place.payload {
            // Zeros need no hash to be known for what they are.
            Payload::Zeros => blocks.iter().all(|block| is_zeros(block.as_slice())),
            Payload::Bytes(_) => verify(blocks, place.metainfo.digest(piece)),
        };
        if !is_right {
            return Err(StoreError::Mismatch(digests()));
        }
        let count = self.write_count;
        self.write_count += 1;
        if let Some((_, kind)) = self.faults.write_fails_from.filter(|&(from, _)| count >= from) {
            return Err(StoreError::Disk(error(kind)));
        }
        let place = self.place(torrent);
        if let Payload::Bytes(_) = place.payload {
            let mut at = place.metainfo.geometry().offset_of(piece);
            for block in blocks {
                let right = place.payload.bytes(at, block.as_slice().len());
                assert!(*right == *block.as_slice(), "{piece:?} hashes well and is wrong");
                at += block.as_slice().len() as u64;
            }
        }
        place.written.insert(piece);
        Ok(if *digest_blocks { digests() } else { Vec::new() })
    }

    fn read(&mut self, torrent: InfoHash, range: BlockRef) -> Result<Block, DiskError> {
        if self.rng.below(1000) < self.faults.read_fails_per_mille {
            return Err(error(DiskErrorKind::Other));
        }
        let place = self.place(torrent);
        if !place.written.has(range.piece()) {
            // What a hole in a file reads as, where that is not what should be there.
            let wrong = if matches!(place.payload, Payload::Zeros) { 1 } else { 0 };
            return Ok(Block::new(vec![wrong; range.len() as usize]));
        }
        Ok(place.payload.block(offset(&place.metainfo, range), range.len() as usize))
    }

    fn save(&mut self, torrent: InfoHash, have: Bitfield, close: bool) -> Result<(), DiskError> {
        let failed = self.rng.below(1000) < self.faults.save_fails_per_mille;
        let place = self.place(torrent);
        if close {
            place.phase = Phase::Closed;
        }
        if failed {
            return Err(error(DiskErrorKind::Other));
        }
        place.synced = place.written.clone();
        place.claimed = Some(have);
        Ok(())
    }

    fn place(&mut self, torrent: InfoHash) -> &mut Place {
        self.places.get_mut(&torrent).expect("the disk knows the torrent")
    }

    fn open_place(&mut self, torrent: InfoHash, job: &Job) -> &mut Place {
        let place = self.place(torrent);
        assert_eq!(place.phase, Phase::Open, "{job:?}: asked while the data is not open");
        place
    }
}

fn error(kind: DiskErrorKind) -> DiskError {
    DiskError { kind, path: PathBuf::from("/sim"), why: format!("{kind:?}, as planned") }
}
