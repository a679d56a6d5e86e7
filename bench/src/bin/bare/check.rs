//! Hashes a file piece by piece, with one stream of SHA-1.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use peerless_core::metainfo::Metainfo;
use sha1::{Digest, Sha1};

/// Bytes read at once: they stay in the CPU's cache until they are hashed.
const READ_LEN: usize = 256 * 1024;

pub(crate) fn check(torrent: &Metainfo, path: &Path) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; READ_LEN]);
    let geometry = torrent.geometry();
    for piece in geometry.pieces() {
        let (mut left, mut sha1) = (geometry.len_of(piece) as usize, Sha1::new());
        while left > 0 {
            let part = left.min(READ_LEN);
            file.read_exact(&mut buffer[..part])?;
            sha1.update(&buffer[..part]);
            left -= part;
        }
        if sha1.finalize()[..] != crate::digest(torrent, piece.get())? {
            return Err(io::Error::other(format!("piece {} is wrong", piece.get())));
        }
    }
    Ok(())
}
