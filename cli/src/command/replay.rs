//! `peerless replay FILE`: does a recording again and says where it diverges.

use std::fs;

use peerless_core::text::escaped;
use peerless_core::{RecordingEnd, ReplayError, replay};

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure};
use crate::{format, out};

/// Replays it.
///
/// # Errors
/// When it can't be read, is no recording, or diverges.
pub fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    let recording = fs::read(&args.file).map_err(|error| Failure::unreadable(&args.file, &error))?;
    let replayed = replay(&recording).map_err(|error| {
        let exit = match error {
            ReplayError::Diverged(_) => Exit::Diverged,
            ReplayError::NotARecording
            | ReplayError::OtherFormat { .. }
            | ReplayError::NoBeginning
            | ReplayError::Damaged { .. }
            | ReplayError::Unknown { .. } => Exit::Other,
        };
        Failure::new(exit, args.file.display(), error)
    })?;
    let file = args.file.to_string_lossy();
    let (calls, outputs) = (replayed.call_count, replayed.output_count);
    let time = format::elapsed(replayed.time);
    out::print(&format!("{}: the same again: {calls} calls, {outputs} outputs, {time}\n", escaped(&file)))?;
    match (replayed.end, replayed.cut_len) {
        (RecordingEnd::ShutDown, _) => {}
        (RecordingEnd::Full, _) => out::tell(&format!("{}: ends where it was full", escaped(&file))),
        (RecordingEnd::CutOff, 0) => {
            out::tell(&format!("{}: ends before the session did", escaped(&file)));
        }
        (RecordingEnd::CutOff, len) => {
            out::tell(&format!("{}: cut off: its last {len} bytes say nothing", escaped(&file)));
        }
    }
    Ok(Exit::Done)
}
