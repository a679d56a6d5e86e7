//! Every input that once broke a property, and every seed of the fuzz corpora, once more.

use std::fs;
use std::path::Path;

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
    replay("recording", check::recording);
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
