//! What becomes of files that are not wanted, and of those that come to be.

use crate::common::{
    check, choose_but, fixture, jobs, jobs_after, numbers, open, open_but, opened, read, save, store,
};
use peerless_core::{Check, DiskErrorKind, Purpose};

const PIECE: usize = 16_384;

/// Pieces 0 and 1 in `a`, 2 in all three, 3 and 4 in `c`; `d` has no bytes.
const FILES: &[(&str, usize)] = &[("a", 2 * PIECE + 100), ("b/small", 200), ("c", 3 * PIECE - 300), ("d", 0)];

fn only(unwanted: &[usize]) -> crate::common::Fixture {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    open_but(&jobs, &fixture, Check::Auto, Purpose::Download, unwanted).unwrap();
    (0..3).for_each(|index| store(&jobs, &fixture, index));
    save(&jobs, &fixture, &[0, 1, 2], true).unwrap();
    fixture
}

#[test]
fn no_unwanted_file_is_made_and_its_edges_are_read_back() {
    let fixture = only(&[1, 2, 3]);
    assert_eq!(fixture.files(), [("t/a".to_owned(), 2 * PIECE as u64 + 100)]);
    assert!(fixture.part_file().metadata().unwrap().len() < 3 * PIECE as u64);
    assert!(!fixture.path("b").exists());
    let jobs = jobs();
    let again = open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[1, 2, 3]).unwrap();
    assert_eq!(numbers(&fixture, again), (vec![0, 1, 2], vec![], true));
    assert_eq!(check(&jobs, &fixture, &[0, 2, 3]), Ok(vec![true, true, false]));
    let edge = &fixture.bytes[2 * PIECE..3 * PIECE];
    assert_eq!(read(&jobs, &fixture, 2, 50, 1000).as_deref(), Ok(&edge[50..1050]));
}

#[test]
fn what_is_there_is_served_from_the_part_file() {
    let fixture = only(&[1, 2]);
    let jobs = jobs();
    let served = open(&jobs, &fixture, Check::Auto, Purpose::Serve).unwrap();
    assert_eq!(numbers(&fixture, served), (vec![0, 1, 2], vec![], true));
    assert_eq!(read(&jobs, &fixture, 2, 0, 500).as_deref(), Ok(&fixture.bytes[2 * PIECE..][..500]));
    save(&jobs, &fixture, &[0, 1, 2], true).unwrap();
    assert!(fixture.part_file().exists() && !fixture.path("c").exists());
}

#[test]
fn a_file_that_is_wanted_later_gets_its_part_at_the_next_start() {
    let fixture = only(&[1, 2]);
    let jobs = jobs();
    let wider = open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[2]).unwrap();
    // Its file is new, so the claim on it is looked at.
    assert_eq!(numbers(&fixture, wider), (vec![0, 1], vec![2], true));
    assert_eq!(check(&jobs, &fixture, &[2]), Ok(vec![true]));
    assert_eq!(std::fs::read(fixture.path("b/small")).unwrap(), fixture.bytes[2 * PIECE + 100..][..200]);
    assert!(fixture.part_file().exists() && !fixture.path("c").exists(), "the edge of c is kept");
    save(&jobs, &fixture, &[0, 1, 2], true).unwrap();
    let (have, unsure, _) = opened(&jobs_after(jobs), &fixture, Check::Auto);
    assert_eq!((have, unsure), (vec![0, 1], vec![2]));
    assert!(!fixture.part_file().exists(), "nothing is left in it");
    let c = std::fs::read(fixture.path("c")).unwrap();
    assert_eq!(c, fixture.bytes[2 * PIECE + 300..3 * PIECE]);
}

#[test]
fn a_choice_that_changes_moves_what_is_there_and_back_again_moves_nothing() {
    let fixture = only(&[1, 2, 3]);
    let jobs = jobs();
    open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[1, 2, 3]).unwrap();
    choose_but(&jobs, &fixture, &[]).unwrap();
    assert!(!fixture.part_file().exists());
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2]), Ok(vec![true; 3]));
    assert!(fixture.path("d").exists());
    // What is there is used as it is.
    choose_but(&jobs, &fixture, &[0, 1, 2, 3]).unwrap();
    (3..5).for_each(|index| store(&jobs, &fixture, index));
    assert!(!fixture.part_file().exists());
    assert_eq!(read(&jobs, &fixture, 4, 0, 10).as_deref(), Ok(&fixture.bytes[4 * PIECE..][..10]));
    save(&jobs, &fixture, &[0, 1, 2, 3, 4], true).unwrap();
    let again = open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[2]).unwrap();
    assert_eq!(numbers(&fixture, again), (vec![0, 1, 2, 3, 4], vec![], true));
}

#[test]
fn a_claim_on_a_part_file_that_changed_or_is_gone_is_not_believed() {
    let fixture = only(&[1, 2]);
    let bytes = std::fs::read(fixture.part_file()).unwrap();
    std::fs::write(fixture.part_file(), &bytes[..bytes.len() - 100]).unwrap();
    for how in [Check::Trust, Check::Auto] {
        let cut = open_but(&jobs(), &fixture, how, Purpose::Download, &[1, 2]).unwrap();
        assert_eq!(numbers(&fixture, cut), (vec![0, 1], vec![], true), "{how:?}");
    }
    let jobs = jobs();
    open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[1, 2]).unwrap();
    store(&jobs, &fixture, 2);
    save(&jobs, &fixture, &[0, 1, 2], true).unwrap();
    std::fs::remove_file(fixture.part_file()).unwrap();
    let gone = open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[1, 2]).unwrap();
    assert_eq!(numbers(&fixture, gone), (vec![0, 1], vec![], true));
    assert_eq!(read(&jobs, &fixture, 2, 0, 500), Err(DiskErrorKind::NotFound));
}

#[test]
fn after_a_kill_the_part_file_is_looked_at_too() {
    let fixture = fixture(PIECE, FILES);
    let killed = jobs();
    open_but(&killed, &fixture, Check::Auto, Purpose::Download, &[1, 2]).unwrap();
    (0..3).for_each(|index| store(&killed, &fixture, index));
    let jobs = jobs_after(killed);
    let found = open_but(&jobs, &fixture, Check::Auto, Purpose::Download, &[1, 2]).unwrap();
    assert_eq!(numbers(&fixture, found), (vec![], vec![0, 1, 2], true));
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2]), Ok(vec![true; 3]));
}

#[test]
fn a_verify_finds_the_edges_in_the_part_file() {
    let fixture = only(&[1, 2, 3]);
    let report = peerless_jobs::verify::run(&fixture.storage, 1, |_| {}).unwrap();
    assert_eq!(report.good, fixture.set(&[0, 1, 2]));
    assert!(report.bad_files.iter().all(|bad| bad.file != 0), "{:?}", report.bad_files);
}
