//! The core does no I/O: neither its code nor its tests may name what would.
//!
//! `core/clippy.toml` lists paths one by one; this also finds what it does not list.

use std::fs;
use std::path::{Path, PathBuf};

/// What must not stand in `core/src`, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::fs", "files are the jobs' work"),
    ("std::thread", "threads are the runtimes'"),
    ("std::sync::Mutex", "nothing is shared but immutable data"),
    ("std::sync::RwLock", "nothing is shared but immutable data"),
    ("std::sync::mpsc", "inputs and outputs are plain values"),
    ("std::env", "what decides comes in by `Config`"),
    ("std::process", "the core starts and ends nothing"),
    ("std::io", "the core does no I/O"),
    ("std::net::Tcp", "sockets are the runtimes'"),
    ("std::net::Udp", "sockets are the runtimes'"),
    ("TcpStream", "sockets are the runtimes'"),
    ("UdpSocket", "sockets are the runtimes'"),
    ("TcpListener", "sockets are the runtimes'"),
    ("ToSocketAddrs", "names are looked up by a job"),
    ("std::time::Instant", "the time is an argument"),
    ("SystemTime", "the time is an argument"),
    ("Instant::now", "the time is an argument"),
    ("HashMap", "its order differs from run to run"),
    ("HashSet", "its order differs from run to run"),
    ("RandomState", "its order differs from run to run"),
    ("RefCell", "state has one owner"),
    ("thread_local", "state has one owner"),
    ("static mut", "state has one owner"),
    ("unsafe ", "the core is safe code"),
    ("println!", "the core has events"),
    ("dbg!", "the core has events"),
    ("async fn", "the core is no runtime's"),
    (".await", "the core is no runtime's"),
];

/// Plain data types that stand among what does I/O.
const ALLOWED: &[&str] = &["std::io::ErrorKind"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the core's source is there") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Grouped imports hide a path's beginning: `use std::{fs, thread}` is read as its single paths.
fn ungrouped(text: &str) -> String {
    let mut all = String::from(text);
    for group in text.split("std::{").skip(1) {
        let names = group.split('}').next().unwrap_or_default();
        names.split(',').for_each(|name| all.push_str(&format!("\nuse std::{};", name.trim())));
    }
    all
}

#[test]
fn the_core_names_nothing_that_does_io() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src"), &mut files);
    assert!(files.len() > 20, "the core's source was not found");
    let mut findings = Vec::new();
    for path in files {
        let text = ungrouped(&fs::read_to_string(&path).unwrap());
        for (number, line) in text.lines().enumerate() {
            // Comments may say what is not done.
            let code = line.split("//").next().unwrap_or_default();
            let code = ALLOWED.iter().fold(code.to_owned(), |code, name| code.replace(name, ""));
            for (word, why) in FORBIDDEN.iter().filter(|(word, _)| code.contains(word)) {
                findings.push(format!("{}:{}: {word}: {why}", path.display(), number + 1));
            }
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn grouped_imports_are_seen_through() {
    assert!(ungrouped("use std::{fmt, fs};").contains("std::fs"));
}
