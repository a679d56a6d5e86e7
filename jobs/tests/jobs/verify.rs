//! Verifying a whole torrent.

use peerless_core::DiskErrorKind;
use peerless_jobs::verify::{BadFile, Fault, Progress, run};

use crate::common::{Fixture, fixture};

const PIECE: usize = 16_384;

fn complete(files: &[(&str, usize)]) -> Fixture {
    let fixture = fixture(PIECE, files);
    let mut rest = &fixture.bytes[..];
    for (path, len) in files {
        let (own, others) = rest.split_at(*len);
        if !path.starts_with("pad") {
            fixture.put(path, own);
        }
        rest = others;
    }
    fixture
}

const FILES: &[(&str, usize)] =
    &[("a", 20 * PIECE - 5), ("pad", 5), ("b/c", PIECE + 10), ("empty", 0), ("d", 30 * PIECE), ("e", 7)];

#[test]
fn right_data_is_good_and_every_piece_is_counted() {
    let fixture = complete(FILES);
    let mut last = None;
    let report = run(&fixture.storage, 3, |progress| last = Some(progress)).unwrap();
    assert!(report.is_good());
    assert_eq!(last, Some(Progress { done: 52, total: 52, bad: 0 }));
}

#[test]
fn bad_files_and_pieces_are_named() {
    let fixture = complete(FILES);
    let mut bytes = std::fs::read(fixture.path("a")).unwrap();
    bytes[3 * PIECE] ^= 1;
    bytes[5 * PIECE - 1] ^= 1;
    fixture.put("a", &bytes);
    std::fs::remove_file(fixture.path("empty")).unwrap();
    fixture.put("e", b"longer than seven");
    let report = run(&fixture.storage, 2, |_| ()).unwrap();
    let bad = |file, fault| BadFile { file, fault };
    let want = [bad(0, Fault::Data(2)), bad(3, Fault::Missing), bad(5, Fault::Length(17))];
    assert_eq!(report.bad_files[..], [&want[..2], &[bad(4, Fault::Data(1))], &want[2..]].concat());
    assert_eq!(report.good.count(), 49);
    assert!(!report.good.has(fixture.piece(3)) && !report.good.has(fixture.piece(4)));
}

#[test]
fn a_longer_file_is_bad_even_if_its_pieces_are_right() {
    let fixture = complete(&[("a", PIECE)]);
    fixture.put("a", &[&fixture.bytes[..], b"more"].concat());
    let report = run(&fixture.storage, 1, |_| ()).unwrap();
    assert!(report.good.is_full() && !report.is_good());
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let fixture = fixture(PIECE, FILES);
    assert_eq!(run(&fixture.storage, 2, |_| ()).unwrap_err().kind, DiskErrorKind::NotFound);
}
