//! Pieces on their way to and from files.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{check, fixture, jobs, opened, read, read_at_once, save, store, store_blocks, torrent};
use peerless_core::block::Block;
use peerless_core::{Check, DiskErrorKind, FullPiece, Job, JobDone, StoreError, block_digest};
use peerless_jobs::{Jobs, Options};

const FILES: &[(&str, usize)] =
    &[("a", 50_000), ("pad/1", 15_536), ("b/c/d", 1), ("b/empty", 0), ("b/é", 70_000), ("e", 3)];

#[test]
fn what_is_stored_lies_in_its_files_and_is_read_back() {
    let fixture = fixture(32_768, FILES);
    let jobs = jobs();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![], true));
    for index in (0..5).rev() {
        store(&jobs, &fixture, index);
    }
    let want = [("t/a", 50_000), ("t/b/c/d", 1), ("t/b/empty", 0), ("t/b/é", 70_000), ("t/e", 3)];
    assert_eq!(fixture.files(), want.map(|(path, len)| (path.to_owned(), len)));
    assert_eq!(std::fs::read(fixture.path("a")).unwrap(), &fixture.bytes[..50_000]);
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2, 3, 4]), Ok(vec![true; 5]));
    for (index, begin, len) in [(0, 0, 32_768), (1, 17_000, 10_000), (1, 32_767, 1), (2, 0, 5), (4, 4464, 4)]
    {
        let start = index as usize * 32_768 + begin as usize;
        let want = &fixture.bytes[start..start + len as usize];
        assert_eq!(read(&jobs, &fixture, index, begin, len).as_deref(), Ok(want), "{index} {begin} {len}");
    }
}

#[test]
fn only_what_needs_no_disk_is_read_at_once() {
    let fixture = fixture(16_384, &[("a", 16_384), ("b", 16_384)]);
    fixture.put("a", &fixture.bytes[..16_384]);
    fixture.put("b", &fixture.bytes[16_384..]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Trust);
    assert!(read_at_once(&jobs, &fixture, 0).is_none(), "the file is not open");
    assert!(read(&jobs, &fixture, 0, 0, 16_384).is_ok() && read(&jobs, &fixture, 1, 0, 16_384).is_ok());
    // Where the system can tell that it has them; `read` compares the bytes.
    if read_at_once(&jobs, &fixture, 0).is_some() {
        fixture.put("b", b"short");
        assert!(read_at_once(&jobs, &fixture, 1).is_none(), "the worker tells of the error");
    }
}

#[test]
fn a_wrong_piece_is_not_written_and_each_block_is_told_by_its_digest() {
    let fixture = fixture(32_768, &[("a", 40_000)]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    let mut blocks = fixture.blocks(0);
    blocks[1] = Block::new(vec![0; 16_384]);
    let digests: Vec<_> = blocks.iter().map(block_digest).collect();
    let (blocks, result) = store_blocks(&jobs, &fixture, 0, blocks, false);
    assert_eq!(result, Err(StoreError::Mismatch(digests)));
    assert_eq!(blocks.len(), 2, "the blocks come back");
    assert_eq!(fixture.files(), []);
    let blocks = fixture.blocks(0);
    let digests: Vec<_> = blocks.iter().map(block_digest).collect();
    let (_, result) = store_blocks(&jobs, &fixture, 0, blocks, true);
    assert_eq!(result, Ok(digests));
}

#[test]
fn of_several_pieces_each_is_judged_for_itself() {
    let fixture = fixture(32_768, &[("a", 80_000)]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    let full = |index, blocks| FullPiece { piece: fixture.piece(index), blocks, digest_blocks: false };
    let bad = vec![Block::new(vec![0; 16_384]), Block::new(vec![0; 16_384])];
    let digests = bad.iter().map(block_digest).collect();
    let pieces = vec![full(2, fixture.blocks(2)), full(1, bad), full(0, fixture.blocks(0))];
    let (torrent, storage) = (torrent(), Arc::clone(&fixture.storage));
    let JobDone::Stored { pieces, time, .. } = jobs.run(Job::Store { torrent, storage, pieces }) else {
        panic!("another answer")
    };
    assert!(time.hashing > Duration::ZERO && time.writing > Duration::ZERO, "{time:?}");
    let results: Vec<_> = pieces.into_iter().map(|stored| (stored.piece.get(), stored.result)).collect();
    let mismatch = Err(StoreError::Mismatch(digests));
    assert_eq!(results, [(2, Ok(vec![])), (1, mismatch), (0, Ok(vec![]))]);
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2]), Ok(vec![true, false, true]));
}

#[test]
fn a_changed_short_or_missing_file_makes_its_pieces_wrong() {
    let fixture = fixture(16_384, &[("a", 16_384), ("b", 16_384), ("c", 16_384), ("d", 16_384)]);
    fixture.put("a", &fixture.bytes[..16_384]);
    fixture.put("b", &[0; 16_384]);
    fixture.put("c", &fixture.bytes[..16_383]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2, 3]), Ok(vec![true, false, false, false]));
    assert_eq!(read(&jobs, &fixture, 2, 0, 16_384), Err(DiskErrorKind::NotFound));
    assert_eq!(read(&jobs, &fixture, 3, 0, 16_384), Err(DiskErrorKind::NotFound));
    assert_eq!(read(&jobs, &fixture, 2, 0, 16_383).as_deref(), Ok(&fixture.bytes[..16_383]));
}

#[test]
fn one_open_file_is_enough_and_workers_do_not_disturb_each_other() {
    let names: Vec<String> = (0..40).map(|n| format!("folder {}/file {n}", n % 7)).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 9_000)).collect();
    let fixture = fixture(20_000, &files);
    let jobs = Jobs::new(Options { open_files_max: 1, ..Options::default() });
    opened(&jobs, &fixture, Check::Auto);
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (jobs, fixture) = (&jobs, &fixture);
            scope.spawn(move || {
                for index in (worker..18).step_by(3) {
                    store(jobs, fixture, index);
                    assert_eq!(check(jobs, fixture, &[index]), Ok(vec![true]));
                    assert_eq!(save(jobs, fixture, &[], false), Ok(()));
                }
            });
        }
    });
    let all: Vec<u32> = (0..18).collect();
    assert_eq!(check(&jobs, &fixture, &all), Ok(vec![true; 18]));
    assert_eq!(save(&jobs, &fixture, &all, true), Ok(()));
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (all, vec![], true));
}

#[cfg(unix)]
#[test]
fn a_file_put_in_place_of_a_folder_or_a_link_stops_a_write() {
    let fixture = fixture(16_384, &[("a/b", 20_000), ("c", 10)]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    let outside = fixture.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::remove_dir(fixture.path("a")).unwrap();
    std::os::unix::fs::symlink(&outside, fixture.path("a")).unwrap();
    let (_, result) = store_blocks(&jobs, &fixture, 0, fixture.blocks(0), false);
    assert!(matches!(result, Err(StoreError::Disk(error)) if error.kind == DiskErrorKind::Unsafe));
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
}
