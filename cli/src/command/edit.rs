//! `peerless edit FILE`: changes what a torrent says beside its data.

use std::ffi::OsStr;

use peerless_core::Route;
use peerless_core::metainfo::{Edit, Metainfo};
use peerless_core::text::escaped;

use crate::args::EditArgs;
use crate::command::create::write;
use crate::exit::{Exit, Failure};
use crate::source::Source;
use crate::{format, out};

/// Reads, changes, and writes the file whole or not at all.
///
/// # Errors
/// When it can't be read or written, or is no torrent.
pub fn run(args: &EditArgs) -> Result<Exit, Failure> {
    let metainfo = Source::File(args.file.clone()).load(&Route::default())?;
    let tiers: Vec<_> = args.tiers.iter().map(|tier| tier.0.clone()).collect();
    let edit = Edit {
        tiers: (args.no_trackers || !tiers.is_empty()).then_some(tiers),
        web_seeds: (args.no_web_seeds || !args.web_seeds.is_empty()).then(|| args.web_seeds.clone()),
        comment: args.comment.clone(),
    };
    let output = args.output.as_ref().unwrap_or(&args.file);
    let raw = metainfo.edited(&edit);
    let edited =
        Metainfo::parse(raw).map_err(|error| Failure::new(Exit::Other, args.file.display(), error))?;
    if edited.info() != metainfo.info() {
        return Err(Failure::new(Exit::Other, args.file.display(), "can't be changed without its info-hash"));
    }
    write(output, edited.raw(), true).map_err(|error| Failure::unwritable(output, &error))?;
    let (size, hash) = (format::size(edited.geometry().total_len()), edited.info_hash());
    let name = OsStr::new(output).to_string_lossy();
    out::print(&format!("{}: {size}, info-hash {hash}\n", escaped(&name)))?;
    Ok(Exit::Done)
}
