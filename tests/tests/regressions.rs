//! Every input that once broke a property, and every seed of the fuzz corpora, once more. What goes where
//! is in `regressions/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use peerless_core::{ReplayError, sealed_recording};
use peerless_sim::run::{Ended, Run};
use peerless_sim::scenario::Scenario;
use peerless_tests::check;

fn replay(target: &str, check: fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("regressions"), here.join("../fuzz/corpus")];
    for folder in folders.map(|folder| folder.join(target)) {
        // A target without a crash has no folder yet.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            // libtest shows this when the check fails.
            eprintln!("{}", path.display());
            check(&fs::read(path).expect("a readable file"));
        }
    }
}

#[test]
fn wire() {
    replay("wire", check::wire);
}

#[test]
fn handshake() {
    replay("handshake", check::handshake);
}

#[test]
fn metainfo() {
    replay("metainfo", check::metainfo);
}

#[test]
fn tracker() {
    replay("tracker", check::tracker);
}

#[test]
fn udp_tracker() {
    replay("udp_tracker", check::udp_tracker);
}

#[test]
fn magnet() {
    replay("magnet", check::magnet);
}

#[test]
fn extension() {
    replay("extension", check::extension);
}

#[test]
fn session() {
    replay("session", check::session);
}

#[test]
fn recording() {
    replay("recording", |bytes| {
        check::recording(bytes);
        if bytes.starts_with(b"peerless recording ") {
            whole_recording(bytes);
        }
    });
}

#[test]
fn leaks() {
    replay("leaks", check::leaks);
}

#[test]
fn socks5() {
    replay("socks5", check::socks5);
}

#[test]
fn resume() {
    replay("resume", check::resume);
}

/// What today's session refuses at its birth leads the fuzzer nowhere. After a change of the format
/// `cargo run -p peerless-tests --example fuzz_seeds` makes them anew.
#[test]
fn seeds_of_recordings_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/recording");
    let paths = fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("a readable folder").path());
    // What the fuzzer has found is named by its hash, and need not mean anything.
    let is_seed = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() < 40);
    let seeds: Vec<PathBuf> = paths.filter(is_seed).collect();
    assert!(!seeds.is_empty());
    for path in seeds {
        eprintln!("{}", path.display());
        whole_recording(&sealed_recording(&fs::read(path).expect("a readable file")));
    }
}

/// It is gone through as far as the session does today what it did then.
fn whole_recording(bytes: &[u8]) {
    match peerless_core::replay(bytes) {
        Ok(_) | Err(ReplayError::Diverged(_)) => {}
        Err(error) => panic!("{error}: it says nothing any more"),
    }
}

/// A swarm that once broke a promise keeps them all, everybody gets everything, and every session's recording
/// gives what the session gave.
fn scenario(path: &Path) {
    eprintln!("{}", path.display());
    let text = fs::read_to_string(path).expect("a readable file");
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let seed = scenario.seed;
    let mut run = Run::recorded(scenario, seed);
    assert_eq!(run.finish(), Ended::Complete);
    let mut count = 0;
    for recording in run.recordings() {
        peerless_core::replay(recording).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count > 0, "nobody has recorded anything");
}

#[test]
fn scenarios() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    scenario(&here.join("../sim/scenarios/tiny.toml"));
    // Without a find there is no folder yet.
    let Ok(entries) = fs::read_dir(here.join("regressions/scenarios")) else { return };
    entries.for_each(|entry| scenario(&entry.expect("a readable folder").path()));
}
