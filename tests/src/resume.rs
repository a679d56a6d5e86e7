//! Resume and part files that anybody may have written, and no data: nothing is claimed.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use peerless_core::key::Key as _;
use peerless_core::piece::PieceIndex;
use peerless_core::{Check, Job, JobDone, Opened, Purpose, Storage, TorrentKey};
use peerless_jobs::{Jobs, Options};
use peerless_sim::sample::Sample;

/// When the part file was last written, so that a resume file can say so.
const PART_MTIME: Duration = Duration::from_secs(1_000_000_000);

/// Files of the torrent, whose edges lie within pieces.
const FILES: &[(&[&str], usize)] = &[(&["a"], 25), (&["b"], 10), (&["empty"], 0), (&["c"], 25)];

/// Bytes of a piece.
const PIECE_LEN: u32 = 16;

/// Where the part file's slots begin: behind its head, and four bytes for each piece.
const SLOTS_AT: usize = 16 + 20 + 4 + 4 * 4;

/// The torrent whose files they are: four pieces.
#[must_use]
pub fn sample() -> &'static Sample {
    static SAMPLE: LazyLock<Sample> = LazyLock::new(|| Sample::with_files(1, FILES, PIECE_LEN));
    &SAMPLE
}

/// A resume file without its checksum, as the last word: it claims these pieces, no file is there, and the
/// part file has this length, or is not there.
#[must_use]
pub fn resume_file(claims: &[u32], part_len: Option<u64>) -> Vec<u8> {
    let bits = claims.iter().fold(0_u8, |bits, piece| bits | 0x80 >> piece);
    let (there, len) = (u8::from(part_len.is_some()), part_len.unwrap_or_default());
    let part = [&[there][..], &len.to_be_bytes(), &PART_MTIME.as_secs().to_be_bytes(), &[0; 4]].concat();
    [b"peerless resume\x01", &head()[..], &[1, 0, 0, 0, 4, 0, 0, 0, 5, bits], &[0; 4 * 21], &part].concat()
}

/// The beginning of a part file whose slots are of these pieces, counted from 1; 0 is none.
#[must_use]
pub fn part_file(slots: [u32; 4]) -> Vec<u8> {
    let table = slots.map(u32::to_be_bytes).concat();
    [b"peerless part\0\0\x01", &head()[..], &[0, 0, 0, 4], &table].concat()
}

fn head() -> [u8; 20] {
    *sample().metainfo.info_hash().as_bytes()
}

/// Whatever a resume file and a part file say, nothing is claimed where no data is, and what is looked
/// at is found missing.
///
/// The first byte says what is believed, what for, whether the checksum is put right, and which files
/// are wanted; the next two give the length of the resume file's bytes, which follow; the rest is the
/// part file's. That ends before its first slot does: whole slots would be data.
pub fn resume(bytes: &[u8]) {
    let Some((&[mode, high, low], rest)) = bytes.split_first_chunk() else {
        return;
    };
    let resume_len = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (resume, part) = rest.split_at(resume_len);
    let part = part.get(..SLOTS_AT).unwrap_or(part);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let storage = Arc::new(Storage { metainfo: sample().metainfo.clone(), root: dir.path().to_owned() });
    put(&storage, mode & 8 != 0, resume, part);
    let check = [Check::Auto, Check::Full, Check::Trust][usize::from(mode & 3) % 3];
    let purpose = if mode & 4 == 0 { Purpose::Download } else { Purpose::Serve };
    let unwanted = (4..8).map(|bit| mode & 1 << bit != 0).collect();
    let (jobs, torrent) =
        (Jobs::new(Options { open_files_max: 4, ..Options::default() }), TorrentKey::new(0, 0));
    let job = Job::Open { torrent, storage: Arc::clone(&storage), check, purpose, unwanted };
    let JobDone::Opened { result, .. } = jobs.run(job) else { panic!("another answer") };
    // Files that are in each other's way are refused.
    let Ok(Opened { have, unsure, .. }) = result else { return };
    let geometry = storage.metainfo.geometry();
    let claimed: Vec<PieceIndex> = have.iter(geometry).collect();
    assert_eq!(claimed, [], "pieces are claimed of which nothing is there");
    let pieces: Vec<PieceIndex> = unsure.iter(geometry).collect();
    if !pieces.is_empty() {
        let JobDone::Checked { result, .. } = jobs.run(Job::Check { torrent, storage, pieces }) else {
            panic!("another answer")
        };
        assert!(
            !result.is_ok_and(|right| right.contains(&true)),
            "a piece is right of which nothing is there"
        );
    }
}

fn put(storage: &Storage, sum_it: bool, resume: &[u8], part: &[u8]) {
    let hash = storage.metainfo.info_hash();
    let path = |kind: &str| storage.root.join(format!(".peerless-{hash}.{kind}"));
    let mut resume = resume.to_vec();
    if sum_it {
        resume.extend(sha1_smol::Sha1::from(&resume).digest().bytes());
    }
    write(&path("resume"), &resume);
    write(&path("part"), part);
}

/// Writes a file, or none if it would be empty.
fn write(path: &Path, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    std::fs::write(path, bytes).expect("a file is written");
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH + PART_MTIME).expect("its time is set");
}
