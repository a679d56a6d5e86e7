//! The session's recording, written part by part.

use std::fs::File;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Mutex;

use peerless_core::{DiskError, DiskErrorKind};

use crate::disk::positioned::write_all_at;
use crate::error::{disk_error, locked, refusal};

/// Where recordings go.
#[derive(Debug)]
pub(crate) struct Recording {
    path: Option<PathBuf>,
    file: Mutex<Option<File>>,
}

impl Recording {
    /// A recording at `path`, which is made, or emptied, when the first part comes.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: Mutex::default() }
    }

    /// Writes the part that belongs at `offset`.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let Some(path) = &self.path else {
            let why = "no file was named for the recording";
            return Err(refusal(DiskErrorKind::Other, &PathBuf::new(), why));
        };
        let mut open = locked(&self.file);
        let file = match open.take() {
            Some(file) => file,
            None => File::create(path).map_err(|error| disk_error(path, &error))?,
        };
        let file = open.insert(file);
        let mut slices = [IoSlice::new(bytes)];
        write_all_at(file, &mut slices, offset).map_err(|error| disk_error(path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_come_in_any_order_and_old_content_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording");
        std::fs::write(&path, b"an older and longer recording").unwrap();
        let recording = Recording::new(Some(path.clone()));
        recording.write(5, b"world").unwrap();
        recording.write(0, b"hello").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"helloworld");
    }

    #[test]
    fn trouble_is_told_each_time() {
        assert!(Recording::new(None).write(0, b"x").is_err());
        let dir = tempfile::tempdir().unwrap();
        let recording = Recording::new(Some(dir.path().to_owned()));
        assert!(recording.write(0, b"x").is_err());
        assert!(recording.write(0, b"x").is_err());
    }
}
