//! The two streams: results on stdout, words on stderr. A reader that left is no reason to panic.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;

use crate::exit::Failure;

/// Writes a result, as it is, to stdout. That its reader has left is not an error: it has enough.
///
/// # Errors
/// When stdout can't be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::unwritable(Path::new("stdout"), &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes a result as one line of JSON to stdout.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).unwrap_or_default();
    print(&format!("{text}\n"))
}

/// Writes a line of words to stderr. The caller has escaped what is foreign in it.
pub fn tell(line: &str) {
    // There is nobody left to tell that stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes the line about an error to stderr.
pub fn tell_failure(failure: &Failure) {
    tell(&format!("peerless: {failure}"));
}
