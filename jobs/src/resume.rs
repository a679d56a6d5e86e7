//! The resume file: which pieces are on disk, written so that a crash can't make it lie.
//!
//! The data is the truth and this file a hint. It is written under a temporary name, synced and
//! renamed, after the data that it claims was synced. It carries a checksum, and the length and
//! time of every file as they were when it was written. Whatever is wrong with it, it counts as
//! absent, and the data is hashed instead.
//!
//! Layout, integers big-endian: magic with version (16 bytes), info-hash (20), flags (1), number
//! of pieces (4), number of files (4), one bit a piece as in a `bitfield` message, 21 bytes a file
//! (1 if it is there else 0, length 8, mtime 8 + 4), SHA-1 of all before (20). The part file, if there
//! is one, is told of as a last file.

use std::io::{Read as _, Write as _};

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::Metainfo;
use peerless_core::{DiskError, InfoHash};
use peerless_hash::sha1;

use crate::disk::root::{Access, Root, Stat};
use crate::error::disk_error;

/// Names the format; its last byte is the version.
const MAGIC: &[u8; 16] = b"peerless resume\x01";

/// Everything before the pieces' bits: magic, info-hash, flags, two counts.
const HEAD_LEN: usize = 16 + 20 + 1 + 4 + 4;

/// One file's record.
const FILE_LEN: usize = 21;

/// The checksum.
const SUM_LEN: usize = 20;

/// The SHA-1 that a resume file ends with.
pub(crate) type Checksum = [u8; SUM_LEN];

/// The flag of a file written when nothing was to be written any more.
const CLEAN: u8 = 1;

/// What a resume file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    /// The pieces that are on disk.
    pub(crate) have: Bitfield,
    /// Each file as it was, and behind them all the part file; `None` for one that was not there, and
    /// for padding files.
    pub(crate) files: Vec<Option<Stat>>,
    /// Whether this is the last word: no unclaimed piece was written, none is left to be looked at.
    pub(crate) clean: bool,
}

/// The resume file's name in the root.
pub(crate) fn name(info_hash: InfoHash) -> String {
    format!(".peerless-{info_hash}.resume")
}

/// The torrent's resume file and its checksum, if a valid one is there.
pub(crate) fn read(root: &Root, metainfo: &Metainfo) -> Option<(Resume, Checksum)> {
    let (pieces, files) = (metainfo.geometry().piece_count(), metainfo.layout().files().len());
    let file = root.file(&name(metainfo.info_hash()), Access::Read).ok()?;
    let most = encoded_len(pieces, files + 1);
    let mut bytes = Vec::new();
    // One byte more than there may be, so that a longer file is seen as such.
    file.take(u64::try_from(most).ok()?.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    // The length is known, so nothing in the file decides how much is read or stored.
    let count = if bytes.len() == most { files + 1 } else { files };
    let mut resume = decode(&bytes, metainfo.info_hash(), pieces, count)?;
    resume.files.resize(files + 1, None);
    Some(resume).zip(bytes.last_chunk().copied())
}

/// Puts `resume` in the place of the torrent's resume file, whole or not at all.
///
/// `temporary` tells writers apart that may be at it at once; `on_disk` is the checksum of the file
/// that is there. One that says the same is left alone: of a thousand torrents that are stopped, few
/// have anything new to say, and each would wait for the disk. Returns the checksum.
pub(crate) fn write(
    root: &Root,
    info_hash: InfoHash,
    resume: &Resume,
    temporary: &str,
    on_disk: Option<Checksum>,
) -> Result<Checksum, DiskError> {
    let name = name(info_hash);
    let (bytes, checksum) = encode(resume, info_hash);
    if on_disk == Some(checksum) && root.stat(&name)?.is_some() {
        return Ok(checksum);
    }
    let temporary = format!("{name}.{temporary}");
    let written = root.file(&temporary, Access::Write).and_then(|mut file| {
        let done = file.set_len(0).and_then(|()| file.write_all(&bytes));
        let done = done.and_then(|()| file.sync_all());
        done.map_err(|error| disk_error(&root.path().join(&temporary), &error))
    });
    let renamed = written.and_then(|()| root.rename(&temporary, &name));
    if renamed.is_err() {
        let _ = root.remove(&temporary);
    }
    renamed.map(|()| checksum)
}

const fn encoded_len(piece_count: u32, file_count: usize) -> usize {
    HEAD_LEN + piece_count.div_ceil(8) as usize + file_count * FILE_LEN + SUM_LEN
}

fn encode(resume: &Resume, info_hash: InfoHash) -> (Vec<u8>, Checksum) {
    let pieces = resume.have.piece_count();
    let files = match resume.files.split_last() {
        Some((None, files)) => files,
        Some(_) | None => &resume.files,
    };
    let mut bytes = Vec::with_capacity(encoded_len(pieces, files.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(info_hash.as_bytes());
    bytes.push(if resume.clean { CLEAN } else { 0 });
    bytes.extend_from_slice(&pieces.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(files.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&resume.have.to_wire());
    for file in files {
        let stat = file.unwrap_or(Stat { len: 0, mtime: (0, 0) });
        bytes.push(u8::from(file.is_some()));
        bytes.extend_from_slice(&stat.len.to_be_bytes());
        bytes.extend_from_slice(&stat.mtime.0.to_be_bytes());
        bytes.extend_from_slice(&stat.mtime.1.to_be_bytes());
    }
    let sum = sha1(&bytes);
    bytes.extend_from_slice(&sum);
    (bytes, sum)
}

fn decode(bytes: &[u8], info_hash: InfoHash, piece_count: u32, file_count: usize) -> Option<Resume> {
    if bytes.len() != encoded_len(piece_count, file_count) {
        return None;
    }
    let (body, sum) = bytes.split_last_chunk::<SUM_LEN>()?;
    if sha1(body) != *sum {
        return None;
    }
    let body = body.strip_prefix(MAGIC)?.strip_prefix(info_hash.as_bytes())?;
    let (&[flags], body) = body.split_first_chunk::<1>()?;
    let body = body.strip_prefix(&piece_count.to_be_bytes())?;
    let body = body.strip_prefix(&u32::try_from(file_count).ok()?.to_be_bytes())?;
    let (bits, files) = body.split_at_checked(piece_count.div_ceil(8) as usize)?;
    let have = Bitfield::from_wire(bits, piece_count).ok()?;
    let (files, rest) = files.as_chunks::<FILE_LEN>();
    let files = files.iter().map(file).collect::<Option<Vec<_>>>()?;
    (rest.is_empty() && flags <= CLEAN).then_some(Resume { have, files, clean: flags == CLEAN })
}

/// One file's record; `None` if it is not one.
fn file(bytes: &[u8; FILE_LEN]) -> Option<Option<Stat>> {
    let (&[there], rest) = bytes.split_first_chunk::<1>()?;
    let (&len, rest) = rest.split_first_chunk::<8>()?;
    let (&seconds, rest) = rest.split_first_chunk::<8>()?;
    let (&nanoseconds, _) = rest.split_first_chunk::<4>()?;
    let mtime = (i64::from_be_bytes(seconds), u32::from_be_bytes(nanoseconds));
    let stat = Stat { len: u64::from_be_bytes(len), mtime };
    (there <= 1).then_some((there == 1).then_some(stat))
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::piece::Geometry;

    const HASH: InfoHash = InfoHash::new([9; 20]);

    fn resume() -> Resume {
        let geometry = Geometry::new(11, 1).unwrap();
        let mut have = Bitfield::empty(11);
        for index in [0, 3, 10] {
            have.insert(geometry.piece(index).unwrap());
        }
        let files = vec![
            Some(Stat { len: 1 << 40, mtime: (-5, 999_999_999) }),
            None,
            Some(Stat { len: 3, mtime: (0, 0) }),
        ];
        Resume { have, files, clean: true }
    }

    fn decoded(bytes: &[u8]) -> Option<Resume> {
        decode(bytes, HASH, 11, 3)
    }

    #[test]
    fn what_is_written_is_read() {
        for clean in [false, true] {
            let resume = Resume { clean, ..resume() };
            assert_eq!(decoded(&encode(&resume, HASH).0), Some(resume));
        }
    }

    #[test]
    fn without_a_part_file_nothing_is_said_of_it() {
        let mut without = resume();
        without.files[2] = None;
        let bytes = encode(&without, HASH).0;
        without.files.pop();
        assert_eq!(decode(&bytes, HASH, 11, 2), Some(without));
    }

    #[test]
    fn a_file_cut_anywhere_counts_as_absent() {
        let bytes = encode(&resume(), HASH).0;
        for len in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(decoded(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn a_file_with_any_bit_flipped_counts_as_absent() {
        let bytes = encode(&resume(), HASH).0;
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decoded(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_file_with_a_right_checksum_over_nonsense_never_panics() {
        let bytes = encode(&resume(), HASH).0;
        let body = bytes.len() - SUM_LEN;
        for at in 0..body {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut odd = bytes.clone();
                odd[at] = value;
                let sum = sha1(&odd[..body]);
                odd[body..].copy_from_slice(&sum);
                if let Some(resume) = decoded(&odd) {
                    assert!(encode(&resume, HASH).0.len() <= odd.len());
                }
            }
        }
    }

    #[test]
    fn another_torrents_file_counts_as_absent() {
        let bytes = encode(&resume(), HASH).0;
        assert_eq!(decode(&bytes, InfoHash::new([8; 20]), 11, 3), None);
        // As many bytes, but other counts.
        assert_eq!(decode(&bytes, HASH, 12, 3), None);
        assert_eq!(decode(&bytes, HASH, 11, 2), None);
    }

    #[test]
    fn writing_leaves_one_file_and_a_failure_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        write(&root, HASH, &resume(), "tmp", None).unwrap();
        let path = dir.path().join(name(HASH));
        assert_eq!(decoded(&std::fs::read(&path).unwrap()), Some(resume()));
        // A folder under the temporary name stands for any failure before the rename.
        std::fs::create_dir(dir.path().join(format!("{}.tmp", name(HASH)))).unwrap();
        let other = Resume { clean: false, ..resume() };
        assert!(write(&root, HASH, &other, "tmp", None).is_err());
        assert_eq!(decoded(&std::fs::read(&path).unwrap()), Some(resume()));
    }

    #[test]
    fn a_longer_leftover_under_the_temporary_name_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        std::fs::write(dir.path().join(format!("{}.tmp", name(HASH))), vec![1; 9999]).unwrap();
        write(&root, HASH, &resume(), "tmp", None).unwrap();
        assert_eq!(decoded(&std::fs::read(dir.path().join(name(HASH))).unwrap()), Some(resume()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_on_disk_already_is_left_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let path = dir.path().join(name(HASH));
        let file_id = || std::fs::metadata(&path).unwrap().ino();
        let first = write(&root, HASH, &resume(), "tmp", None).unwrap();
        let written = file_id();
        assert_eq!(write(&root, HASH, &resume(), "tmp", Some(first)), Ok(first));
        assert_eq!(file_id(), written);
        let other = Resume { clean: false, ..resume() };
        let second = write(&root, HASH, &other, "tmp", Some(first)).unwrap();
        assert_eq!(decoded(&std::fs::read(&path).unwrap()), Some(other.clone()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(write(&root, HASH, &other, "tmp", Some(second)), Ok(second));
        assert!(path.exists());
    }
}
