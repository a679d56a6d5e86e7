//! `peerless replay FILE`: does a recording again, says where it diverges, and where the time went.

mod explain;
mod picture;
mod tell;

use std::fs;
use std::path::Path;

use peerless_core::text::escaped;
use peerless_core::{RecordingEnd, ReplayError, Replayed, renamed, replay};

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure};
use crate::{format, out, random, recording};
use explain::{Explanation, explain};

/// Replays it.
///
/// # Errors
/// When it can't be read, is no recording, or diverges; when a picture or a copy can't be made.
pub fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    for path in args.picture.iter().chain(&args.anonymize) {
        Failure::unless_free(path, args.force)?;
    }
    let recording = recording::read(&args.file).map_err(|error| Failure::unreadable(&args.file, &error))?;
    let is_looked_at = args.explain || args.picture.is_some();
    let replayed = if is_looked_at { explain(&recording) } else { replay(&recording).map(unlooked) };
    let explanation = replayed.map_err(|error| failure(&args.file, error))?;
    let file = args.file.to_string_lossy();
    if args.json {
        out::print_json(&tell::Told::of(&explanation, args.explain))?;
    } else {
        out::print(&sum_words(&file, &explanation.replayed))?;
    }
    if args.explain && !args.json {
        out::print(&tell::words(&explanation))?;
    }
    if let Some(path) = &args.picture {
        let name = args.file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let svg = picture::svg(&name, &explanation.moments)
            .map_err(|error| Failure::new(Exit::Other, path.display(), error))?;
        fs::write(path, svg).map_err(|error| Failure::unwritable(path, &error))?;
    }
    if let Some(path) = &args.anonymize {
        let copy = renamed(&recording, random::seed())
            .map_err(|error| Failure::new(Exit::Other, args.file.display(), error))?;
        fs::write(path, copy).map_err(|error| Failure::unwritable(path, &error))?;
    }
    tell_end(&file, &explanation.replayed);
    Ok(Exit::Done)
}

/// Nobody has looked where the time went.
const fn unlooked(replayed: Replayed) -> Explanation {
    Explanation { replayed, torrents: Vec::new(), moments: Vec::new() }
}

fn failure(file: &Path, error: ReplayError) -> Failure {
    let exit = match error {
        ReplayError::Diverged(_) => Exit::Diverged,
        ReplayError::NotARecording
        | ReplayError::OtherFormat { .. }
        | ReplayError::Nothing { .. }
        | ReplayError::NoBeginning
        | ReplayError::Damaged { .. }
        | ReplayError::Unknown { .. } => Exit::Other,
    };
    Failure::new(exit, file.display(), error)
}

fn sum_words(file: &str, replayed: &Replayed) -> String {
    let (calls, outputs) = (replayed.call_count, replayed.output_count);
    let time = format::elapsed(replayed.time);
    format!("{}: the same again: {calls} calls, {outputs} outputs, {time}\n", escaped(file))
}

/// Says so where the recording ends before the session did.
fn tell_end(file: &str, replayed: &Replayed) {
    match (replayed.end, replayed.cut_len) {
        (RecordingEnd::ShutDown, _) => {}
        (RecordingEnd::Full, _) => out::tell(&format!("{}: ends where it was full", escaped(file))),
        (RecordingEnd::CutOff, 0) => {
            out::tell(&format!("{}: ends before the session did", escaped(file)));
        }
        (RecordingEnd::CutOff, len) => {
            out::tell(&format!("{}: cut off: its last {len} bytes say nothing", escaped(file)));
        }
    }
}
