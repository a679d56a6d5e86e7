//! `peerless magnet TORRENT`: prints its magnet link.

use std::ffi::OsStr;

use peerless_core::magnet::Magnet;

use crate::args::MagnetArgs;
use crate::exit::{Exit, Failure};
use crate::{out, source};

/// Prints it.
///
/// # Errors
/// When the torrent can't be read.
pub fn run(args: &MagnetArgs) -> Result<Exit, Failure> {
    let metainfo = source::load(OsStr::new(&args.torrent))?;
    out::print(&format!("{}\n", Magnet::of(&metainfo)))?;
    Ok(Exit::Done)
}
