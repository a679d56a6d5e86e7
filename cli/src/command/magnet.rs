//! `peerless magnet TORRENT` prints its magnet link; `peerless magnet LINK --output FILE` gets the
//! metadata from peers and writes the torrent.

use std::path::PathBuf;

use peerless_core::Purpose;
use peerless_core::magnet::Magnet;

use crate::args::MagnetArgs;
use crate::engine::{self, Plan, TorrentFile};
use crate::exit::{Exit, Failure};
use crate::goals::{Goals, Then};
use crate::out;
use crate::signal::Signals;
use crate::source::Source;

/// Does the one or the other.
///
/// # Errors
/// When the torrent can't be read, or the output is there already.
pub fn run(args: MagnetArgs, signals: &Signals) -> Result<Exit, Failure> {
    match (Source::parse(&args.torrent)?, &args.output) {
        (Source::Magnet(_), Some(output)) => {
            Failure::unless_free(output, args.force)?;
            let output = TorrentFile { path: output.clone(), force: args.force };
            Ok(get(args, output, signals))
        }
        (Source::Magnet(magnet), None) => {
            let why = "is a magnet link already; --output FILE gets its torrent";
            Err(Failure::new(Exit::Usage, magnet.info_hash, why))
        }
        (Source::File(_) | Source::Url(_), Some(output)) => {
            let why = "--output is for what a magnet link names; this is a torrent already";
            Err(Failure::new(Exit::Usage, output.display(), why))
        }
        (source @ (Source::File(_) | Source::Url(_)), None) => {
            out::print(&format!("{}\n", Magnet::of(&source.load_alone(&args.network.way)?)))?;
            Ok(Exit::Done)
        }
    }
}

fn get(args: MagnetArgs, output: TorrentFile, signals: &Signals) -> Exit {
    let plan = Plan {
        sources: vec![args.torrent],
        root: PathBuf::new(),
        purpose: Purpose::Download,
        metadata_to: Some(output),
        files: Vec::new(),
        sequential: false,
        first_and_last: false,
        goals: Goals { then: Then::Exit, stop_timeout: args.stop_timeout },
        network: args.network,
        voice: args.voice,
    };
    engine::run(plan, signals)
}
