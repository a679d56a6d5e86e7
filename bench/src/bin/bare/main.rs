//! The least that a program can do for the same work, to compare clients with: one thread, one
//! connection, blocking calls, no checks on what the other side says.
//!
//! ```text
//! bare get TORRENT ADDR FILE     receive all, hash each piece, write; `--discard`: receive only
//! bare give TORRENT FILE ADDR    listen, and send what is asked for from memory
//! bare check TORRENT FILE        hash each piece of a file
//! ```
//!
//! Its own code throughout but for the metainfo, so that it does not get faster or slower with
//! peerless.

mod check;
mod get;
mod give;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use peerless_core::metainfo::Metainfo;

fn main() -> ExitCode {
    let mut words: Vec<String> = env::args().skip(1).collect();
    let discard = words.iter().any(|word| word == "--discard");
    words.retain(|word| word != "--discard");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match *words {
        ["get", torrent, addr, file] => {
            read(torrent).and_then(|torrent| get::get(&torrent, addr, (!discard).then_some(Path::new(file))))
        }
        ["give", torrent, file, addr] => {
            read(torrent).and_then(|torrent| give::give(&torrent, Path::new(file), addr))
        }
        ["check", torrent, file] => read(torrent).and_then(|torrent| check::check(&torrent, Path::new(file))),
        _ => {
            eprintln!(
                "usage: bare get [--discard] TORRENT ADDR FILE | give TORRENT FILE ADDR | check TORRENT FILE"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &str) -> io::Result<Metainfo> {
    Metainfo::parse(fs::read(path)?).map_err(io::Error::other)
}

/// The piece's digest by the torrent.
fn digest(torrent: &Metainfo, index: u32) -> io::Result<[u8; 20]> {
    let piece = torrent.geometry().piece(index).ok_or_else(|| io::Error::other("no such piece"))?;
    let peerless_core::metainfo::Digest::Sha1(digest) = torrent.digest(piece);
    Ok(digest)
}
