//! Files that others cut, remove or replace while we write to them.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{Fixture, check, fixture, jobs, opened, save, store, store_blocks};
use peerless_core::{Check, DiskError, DiskErrorKind, StoreError};
use peerless_jobs::{Jobs, Options};

const PIECE: usize = 16_384;
/// Four pieces in `a`, one in both, one in `b`.
const FILES: &[(&str, usize)] = &[("a", 4 * PIECE + 100), ("b", 2 * PIECE - 100)];

fn try_store(jobs: &Jobs, fixture: &Fixture, index: u32) -> Result<(), DiskError> {
    match store_blocks(jobs, fixture, index, fixture.blocks(index), false).1 {
        Ok(_) => Ok(()),
        Err(StoreError::Disk(error)) => Err(error),
        Err(StoreError::Mismatch(_)) => panic!("the blocks are right"),
    }
}

fn assert_noticed(fixture: &Fixture, result: Result<(), DiskError>, why: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.path), (DiskErrorKind::NotFound, fixture.path("a")));
    assert_eq!(error.why, why);
}

fn cut(fixture: &Fixture, len: usize) {
    let file = std::fs::File::options().write(true).open(fixture.path("a")).unwrap();
    file.set_len(len as u64).unwrap();
}

#[test]
fn a_file_cut_by_one_byte_takes_no_further_piece_and_none_is_claimed() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    store(&jobs, &fixture, 1);
    cut(&fixture, 2 * PIECE - 1);
    assert_noticed(&fixture, try_store(&jobs, &fixture, 3), "was cut short meanwhile");
    store(&jobs, &fixture, 5);
    assert_noticed(&fixture, save(&jobs, &fixture, &[1, 5], true), "was cut short meanwhile");
    let (have, unsure, ours) = opened(&jobs, &fixture, Check::Auto);
    assert_eq!((have, unsure, ours), (vec![], vec![5], true), "the cut piece is not even looked at");
}

#[test]
fn a_file_cut_after_the_last_write_is_not_claimed() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    (0..6).for_each(|index| store(&jobs, &fixture, index));
    cut(&fixture, 0);
    assert_noticed(&fixture, save(&jobs, &fixture, &[0, 1, 2, 3, 4, 5], false), "was cut short meanwhile");
}

#[test]
fn what_was_there_at_the_start_may_not_be_cut_either() {
    let fixture = fixture(PIECE, FILES);
    fixture.put("a", &fixture.bytes[..2 * PIECE]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    assert_eq!(check(&jobs, &fixture, &[0, 1]), Ok(vec![true, true]));
    cut(&fixture, PIECE);
    assert_noticed(&fixture, try_store(&jobs, &fixture, 2), "was cut short meanwhile");
}

#[cfg(unix)]
#[test]
fn a_file_taken_away_is_not_made_anew_in_silence() {
    let fixture = fixture(PIECE, FILES);
    let jobs = Jobs::new(Options { open_files_max: 1, ..Options::default() });
    opened(&jobs, &fixture, Check::Auto);
    store(&jobs, &fixture, 1);
    // It is closed for the other one, and so would be made anew.
    store(&jobs, &fixture, 5);
    let other = std::fs::File::create(fixture.path("kept")).unwrap();
    std::fs::rename(fixture.path("a"), fixture.path("kept")).unwrap();
    assert_noticed(&fixture, try_store(&jobs, &fixture, 3), "was removed or replaced meanwhile");
    drop(other);
}

#[test]
fn a_file_that_others_make_longer_is_no_trouble() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    store(&jobs, &fixture, 0);
    cut(&fixture, 4 * PIECE + 100);
    (1..6).for_each(|index| store(&jobs, &fixture, index));
    cut(&fixture, 4 * PIECE + 100);
    assert_eq!(save(&jobs, &fixture, &[0, 1, 2, 3, 4, 5], true), Ok(()));
    assert_eq!(opened(&jobs, &fixture, Check::Auto).0, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn workers_that_write_side_by_side_do_not_accuse_each_other() {
    // Short ones, so that most of the time goes to looks and writes.
    const PIECE: usize = 64;
    const COUNT: u32 = 20_000;
    let fixture = fixture(PIECE, &[("a", COUNT as usize * PIECE)]);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let indexes = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for index in indexes.take_while(|&index| index < COUNT) {
                    assert_eq!(try_store(&jobs, &fixture, index), Ok(()), "piece {index}");
                }
            });
        }
    });
}
