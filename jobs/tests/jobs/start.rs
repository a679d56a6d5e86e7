//! What is believed at the start of a torrent, after every kind of end.

use std::time::{Duration, SystemTime};

use crate::common::{check, fixture, jobs, jobs_after, numbers, open, opened, save, store};
use peerless_core::{Check, DiskErrorKind, Purpose};

const PIECE: usize = 16_384;
/// Two pieces in `a`, one in both, one in `b`.
const FILES: &[(&str, usize)] = &[("a", 2 * PIECE + 100), ("b", 2 * PIECE - 100)];

fn touch(path: &std::path::Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
}

#[test]
fn a_finished_download_is_believed_and_leaves_no_lock() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![], true));
    (0..4).for_each(|index| store(&jobs, &fixture, index));
    save(&jobs, &fixture, &[0, 1, 2, 3], true).unwrap();
    assert_eq!(fixture.lock_file().exists(), cfg!(not(unix)));
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![0, 1, 2, 3], vec![], true));
    save(&jobs, &fixture, &[0, 1, 2, 3], true).unwrap();
    assert_eq!(opened(&jobs, &fixture, Check::Full), (vec![], vec![0, 1, 2, 3], true));
}

#[test]
fn a_file_that_changed_makes_its_pieces_unsure() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    (0..4).for_each(|index| store(&jobs, &fixture, index));
    save(&jobs, &fixture, &[0, 1, 2, 3], true).unwrap();
    touch(&fixture.path("b"));
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![0, 1], vec![2, 3], true));
    save(&jobs, &fixture, &[0, 1], true).unwrap();
    // Closed before the unsure pieces were looked at: they are not forgotten.
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![0, 1], vec![2, 3], true));
    assert_eq!(opened(&jobs_after(jobs), &fixture, Check::Trust), (vec![0, 1], vec![2, 3], true));
}

#[test]
fn a_file_that_is_gone_or_shorter_is_not_believed_in() {
    for check in [Check::Auto, Check::Trust, Check::Full] {
        let fixture = fixture(PIECE, FILES);
        let jobs = jobs();
        opened(&jobs, &fixture, Check::Auto);
        (0..4).for_each(|index| store(&jobs, &fixture, index));
        save(&jobs, &fixture, &[0, 1, 2, 3], true).unwrap();
        std::fs::remove_file(fixture.path("b")).unwrap();
        let file = std::fs::File::options().write(true).open(fixture.path("a")).unwrap();
        file.set_len(PIECE as u64 + 5).unwrap();
        let want = if check == Check::Trust { (vec![0], vec![], true) } else { (vec![], vec![0], true) };
        assert_eq!(opened(&jobs, &fixture, check), want, "{check:?}");
    }
}

#[test]
fn after_a_kill_what_was_written_is_hashed_and_holes_are_not() {
    let fixture = fixture(PIECE, &[("a", 100 * PIECE)]);
    let killed = jobs();
    opened(&killed, &fixture, Check::Auto);
    store(&killed, &fixture, 60);
    save(&killed, &fixture, &[60], false).unwrap();
    store(&killed, &fixture, 90);
    let (have, unsure, ours) = opened(&jobs_after(killed), &fixture, Check::Auto);
    // Depending on the clock's steps, the file may not look changed.
    assert!(have.is_empty() || have == [60]);
    assert!(ours && unsure.contains(&90) && (have == [60] || unsure.contains(&60)));
    if cfg!(target_os = "linux") {
        assert!(unsure.len() <= 2, "{unsure:?}");
    }
}

#[test]
fn after_a_kill_before_any_save_the_data_is_still_ours() {
    let fixture = fixture(PIECE, FILES);
    let killed = jobs();
    opened(&killed, &fixture, Check::Auto);
    store(&killed, &fixture, 1);
    let (have, unsure, ours) = opened(&jobs_after(killed), &fixture, Check::Auto);
    assert!(have.is_empty() && unsure.contains(&1) && !unsure.contains(&3) && ours);
}

#[test]
fn a_stored_piece_that_was_never_claimed_is_not_forgotten_at_the_end() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    store(&jobs, &fixture, 0);
    store(&jobs, &fixture, 1);
    save(&jobs, &fixture, &[0], true).unwrap();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![0], vec![1], true));
    assert_eq!(check(&jobs, &fixture, &[1]), Ok(vec![true]));
    save(&jobs, &fixture, &[0, 1], true).unwrap();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![0, 1], vec![], true));
}

#[test]
fn a_piece_found_wrong_is_not_looked_at_again() {
    let fixture = fixture(PIECE, FILES);
    fixture.put("a", &vec![9; 2 * PIECE + 100]);
    fixture.put("b", &fixture.bytes[2 * PIECE + 100..]);
    let jobs = jobs();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![0, 1, 2, 3], false));
    assert_eq!(check(&jobs, &fixture, &[0, 1, 2, 3]), Ok(vec![false, false, false, true]));
    save(&jobs, &fixture, &[3], true).unwrap();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![3], vec![], true));
}

#[test]
fn a_users_own_file_stays_theirs() {
    let fixture = fixture(PIECE, FILES);
    // Shorter than a piece, so no piece can be right; it must be told of all the same.
    fixture.put("b", b"mine");
    for _ in 0..2 {
        let jobs = jobs();
        assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![2], false));
        assert_eq!(check(&jobs, &fixture, &[2]), Ok(vec![false]));
        save(&jobs, &fixture, &[], true).unwrap();
        assert!(!fixture.resume_file().exists());
    }
    assert_eq!(std::fs::read(fixture.path("b")).unwrap(), b"mine");
}

#[test]
fn a_longer_file_is_refused_and_not_cut() {
    let fixture = fixture(PIECE, &[("a", PIECE), ("empty", 0)]);
    fixture.put("empty", b"x");
    for check in [Check::Auto, Check::Full, Check::Trust] {
        let error = open(&jobs(), &fixture, check, Purpose::Download).unwrap_err();
        assert_eq!((error.kind, error.path), (DiskErrorKind::WouldOverwrite, fixture.path("empty")));
    }
    assert_eq!(fixture.files(), [("t/empty".to_owned(), 1)]);
    assert!(!fixture.lock_file().exists() || cfg!(not(unix)));
}

#[test]
fn trust_without_a_resume_file_goes_by_lengths() {
    let fixture = fixture(PIECE, FILES);
    fixture.put("a", &vec![9; 2 * PIECE + 100]);
    fixture.put("b", b"short");
    assert_eq!(opened(&jobs(), &fixture, Check::Trust), (vec![0, 1], vec![2], false));
}

#[test]
fn a_broken_resume_file_counts_as_none() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    (0..4).for_each(|index| store(&jobs, &fixture, index));
    save(&jobs, &fixture, &[0, 1, 2, 3], true).unwrap();
    std::fs::write(fixture.resume_file(), b"nonsense").unwrap();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![0, 1, 2, 3], false));
}

#[test]
fn zeros_in_a_hole_are_looked_at() {
    let fixture = fixture(PIECE, &[("zero", 2 * PIECE), ("a", PIECE)]);
    fixture.put("zero", b"");
    let file = std::fs::File::options().write(true).open(fixture.path("zero")).unwrap();
    file.set_len(2 * PIECE as u64).unwrap();
    let jobs = jobs();
    assert_eq!(opened(&jobs, &fixture, Check::Auto), (vec![], vec![0, 1], false));
    assert_eq!(check(&jobs, &fixture, &[0, 1]), Ok(vec![true, true]));
}

#[test]
fn a_second_process_is_refused_until_the_first_is_done() {
    let fixture = fixture(PIECE, FILES);
    let (first, second) = (jobs(), jobs());
    opened(&first, &fixture, Check::Auto);
    for purpose in [Purpose::Download, Purpose::Serve] {
        let error = open(&second, &fixture, Check::Auto, purpose).unwrap_err();
        assert_eq!(error.kind, DiskErrorKind::Locked);
    }
    save(&first, &fixture, &[], true).unwrap();
    opened(&second, &fixture, Check::Auto);
}

#[test]
fn servers_share_remember_what_they_hashed_and_make_nothing() {
    let fixture = fixture(PIECE, &[("a", PIECE), ("b", PIECE), ("empty", 0)]);
    fixture.put("a", &fixture.bytes[..PIECE]);
    let (first, second) = (jobs(), jobs());
    for jobs in [&first, &second] {
        let opened = open(jobs, &fixture, Check::Auto, Purpose::Serve).unwrap();
        assert_eq!(numbers(&fixture, opened), (vec![], vec![0], false));
        assert_eq!(check(jobs, &fixture, &[0]), Ok(vec![true]));
    }
    for jobs in [&first, &second] {
        save(jobs, &fixture, &[0], true).unwrap();
    }
    assert_eq!(fixture.files(), [("t/a".to_owned(), PIECE as u64)]);
    assert_eq!(fixture.lock_file().exists(), cfg!(not(unix)));
    let opened = open(&first, &fixture, Check::Auto, Purpose::Serve).unwrap();
    assert_eq!(numbers(&fixture, opened), (vec![0], vec![], true));
}

#[test]
fn a_server_looks_at_a_longer_file_too() {
    let fixture = fixture(PIECE, &[("a", PIECE)]);
    fixture.put("a", &[&fixture.bytes[..], b"more"].concat());
    let opened = open(&jobs(), &fixture, Check::Auto, Purpose::Serve).unwrap();
    assert_eq!(numbers(&fixture, opened), (vec![], vec![0], false));
}

#[test]
fn a_server_without_its_folder_says_so() {
    let fixture = fixture(PIECE, FILES);
    let error = open(&jobs(), &fixture, Check::Auto, Purpose::Serve).unwrap_err();
    assert_eq!((error.kind, error.path), (DiskErrorKind::NotFound, fixture.storage.root.clone()));
}

#[test]
fn a_file_removed_while_downloading_is_not_claimed() {
    let fixture = fixture(PIECE, FILES);
    let jobs = jobs();
    opened(&jobs, &fixture, Check::Auto);
    store(&jobs, &fixture, 0);
    std::fs::remove_file(fixture.path("a")).unwrap();
    let error = save(&jobs, &fixture, &[0], false).unwrap_err();
    assert_eq!((error.kind, error.path), (DiskErrorKind::NotFound, fixture.path("a")));
}

#[cfg(unix)]
#[test]
fn links_in_the_data_are_refused_for_both_purposes() {
    let fixture = fixture(PIECE, FILES);
    let outside = fixture.dir.path().join("outside");
    std::fs::write(&outside, &fixture.bytes[..2 * PIECE + 100]).unwrap();
    std::fs::create_dir_all(fixture.path("")).unwrap();
    std::os::unix::fs::symlink(&outside, fixture.path("a")).unwrap();
    for purpose in [Purpose::Download, Purpose::Serve] {
        let error = open(&jobs(), &fixture, Check::Auto, purpose).unwrap_err();
        assert_eq!((error.kind, error.path), (DiskErrorKind::Unsafe, fixture.path("a")));
    }
}
