//! Recordings as files: read to be replayed, made to be written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use peerless_core::{Replay, ReplayError};

use crate::exit::{Exit, Failure};

/// What is read of a file to tell whether it is a recording: more than its first line, less than counts.
const HEAD_LEN: u64 = 4096;

/// Reads a recording; of a file that is none no more than tells so.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = head(&mut file)?;
    if is_recording(&bytes) {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Makes the file for a new recording. That of an earlier run makes room; no other file does, since a name
/// that was meant for something else is quickly written behind `--record`.
///
/// # Errors
/// When it can't be made, or something else is there.
pub fn make(path: &Path) -> Result<(), Failure> {
    let unwritable = |error: io::Error| Failure::unwritable(path, &error);
    let is_other = |file: &mut File| head(file).map(|head| !head.is_empty() && !is_recording(&head));
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    if is_file && File::open(path).and_then(|mut file| is_other(&mut file)).map_err(unwritable)? {
        return Err(Failure::new(Exit::Refused, path.display(), "is there already, and no recording"));
    }
    File::create(path).map(drop).map_err(unwritable)
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(HEAD_LEN).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether it begins like one, of whatever version.
fn is_recording(head: &[u8]) -> bool {
    !matches!(Replay::new(head), Err(ReplayError::NotARecording))
}
