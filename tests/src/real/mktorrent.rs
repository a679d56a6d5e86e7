//! mktorrent, which only makes torrents.

use std::path::Path;
use std::process::Command;

use super::{check_output, libtorrent};

/// Makes a torrent with pieces of `piece_len` bytes, and gives the info-hash as libtorrent computes it.
pub fn create(path: &Path, torrent: &Path, piece_len: u32, more: &[&str]) -> String {
    let mut command = Command::new("mktorrent");
    command.args(["--piece-length", &piece_len.ilog2().to_string()]).arg("--output").arg(torrent);
    check_output(command.args(more).arg(path));
    libtorrent::info_hash(torrent)
}
