//! A download whose process is killed again and again.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use peerless_core::rng::Rng;
use serde_json::Value;

use crate::background::Background;
use crate::common::Folder;

/// Kills of a plain run; `PEERLESS_KILLS` makes it another number.
const KILL_COUNT: u32 = 10;

/// How long a process lives at most until it is killed; at least it has added its torrent then.
const LIFE: Duration = Duration::from_millis(400);

const PIECE_LEN: u64 = 64 * 1024;
const TOTAL_LEN: u64 = 64 * PIECE_LEN - 1000;

/// The pieces of which a killed process may have had a part in memory, fetched and not written: one
/// that comes, the next, whose first block may be on its way, and two that wait for others to be
/// hashed with. Measured: 0.4 to 0.9 for each kill.
const OPEN_COUNT_MAX: u64 = 4;

/// The last figure of this kind in lines of JSON, of which the very last may be cut.
fn last(lines: &str, figure: impl Fn(&Value) -> Option<u64>) -> Option<u64> {
    lines.lines().rev().filter_map(|line| figure(&serde_json::from_str(line).ok()?)).next()
}

#[test]
fn a_download_that_is_killed_again_and_again_loses_no_more_than_its_open_pieces() {
    let kill_count =
        std::env::var("PEERLESS_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILL_COUNT);
    let folder = Folder::new();
    let mut rng = Rng::new(9);
    let bytes: Vec<u8> = (0..TOTAL_LEN).map(|_| rng.next_u64().to_be_bytes()[0]).collect();
    folder.write("data/one", &bytes);
    folder.run(&["create", "data/one", "-o", "one.torrent", "--piece-length", "64K"]).done();
    // Slow enough that it takes all those lives.
    let rate = TOTAL_LEN * 1000 / (u64::from(kill_count) * 250);
    let rate = rate.to_string();
    let seed = ["seed", "one.torrent", "--data", "data", "-p", "0", "--max-up", &rate];
    let began_at = Instant::now();
    let mut seed = Background::start(&folder, &seed);
    let port = seed.line("start")["port"].as_u64().unwrap();
    while seed.line("progress")["state"] != "seeding" {}
    let addr = format!("127.0.0.1:{port}");
    let args = |runtime| ["one.torrent", "-o", "out", "-p", "0", "--peer", &addr, "-r", runtime];
    let (mut lives, mut had) = (0, 0);
    for life in 0..kill_count {
        let runtime = ["mio", "smol"][life as usize % 2];
        let mut leech = Background::start(&folder, &args(runtime));
        leech.line("added");
        // Any moment will do: what must hold is true of all.
        thread::sleep(LIFE.mul_f64(rng.below(1000) as f64 / 1000.0));
        leech.signal("-KILL");
        let ended = leech.end();
        let have = last(&ended.stdout, |line| {
            (line["state"] == "downloading").then(|| line["pieces"]["have"].as_u64())?
        });
        assert!(have.is_none_or(|have| have >= had), "{have:?} pieces are there, and {had} were");
        had = have.unwrap_or(had);
        lives += u32::from(ended.code.is_none());
    }
    let end = folder.run(&[&args("mio")[..], &["--json"]].concat());
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(fs::read(folder.path().join("out/one")).unwrap() == bytes, "the copy differs");
    // The first figures after the end.
    let ended_at = began_at.elapsed().as_secs_f64();
    let mut figures = seed.line("progress");
    while figures["t"].as_f64().unwrap() < ended_at {
        figures = seed.line("progress");
    }
    let uploaded = figures["uploaded"].as_u64().unwrap();
    let again = uploaded.checked_sub(TOTAL_LEN).expect("all of it was given");
    eprintln!("{lives} of {kill_count} were killed at work; {again} bytes came twice, {TOTAL_LEN} in all");
    assert!(lives * 2 >= kill_count, "only {lives} were killed before the end");
    assert!(again <= u64::from(lives) * OPEN_COUNT_MAX * PIECE_LEN, "{again} bytes came twice");
}
