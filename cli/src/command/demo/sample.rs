//! The demo's folder and its sample payload.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::{env, process};

use peerless_core::rng::Rng;

use crate::exit::{Exit, Failure};
use crate::signal::Signals;

/// The folder that holds the sample's top name.
pub(super) const FOLDER: &str = "data";

/// The sample's top name below the demo's folder.
const TOP: &str = "data/sample";

/// Small files: a block and a byte, less than a block, none at all, and names that need care.
const SMALL: [(&str, u64); 5] = [
    ("notes/readme.txt", 1200),
    ("notes/empty", 0),
    ("ünïcode/日本", 16_385),
    ("one byte", 1),
    (".hidden", 70_000),
];

/// The large file's name.
const LARGE: &str = "large.bin";

/// Bytes that are made or compared at a time.
const BUFFER_LEN: usize = 1 << 20;

/// A folder for all that the demo writes. Goes away with it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new folder where temporary files go.
    pub(super) fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("peerless-demo-{}", process::id()));
        // `create_dir`: what somebody else has put there is neither used nor removed.
        fs::create_dir(&path).map_err(|error| Failure::unwritable(&path, &error))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now stays for the system to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The sample payload on disk.
#[derive(Debug)]
pub(super) struct Sample {
    root: PathBuf,
    files: Vec<(&'static str, u64)>,
}

impl Sample {
    /// Writes it, the same bytes each time.
    pub(super) fn make(folder: &Path, large_len: u64, signals: &Signals) -> Result<Self, Failure> {
        let sample =
            Self { root: folder.to_owned(), files: [(LARGE, large_len)].into_iter().chain(SMALL).collect() };
        let mut rng = Rng::new(1);
        for (name, len) in &sample.files {
            let path = folder.join(TOP).join(name);
            let written = write(&path, *len, &mut rng, signals);
            written.map_err(|error| interrupted_or(signals, Failure::unwritable(&path, &error)))?;
        }
        Ok(sample)
    }

    /// Its top folder, below the demo's folder.
    pub(super) const fn path(&self) -> &'static str {
        TOP
    }

    pub(super) const fn file_count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn total_len(&self) -> u64 {
        self.files.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len))
    }

    /// Compares what was downloaded below `output`, byte for byte.
    pub(super) fn compare(&self, output: &Path, signals: &Signals) -> Result<(), Failure> {
        for (name, _) in &self.files {
            let (ours, theirs) = (self.root.join(TOP).join(name), output.join("sample").join(name));
            let same = is_same(&ours, &theirs, signals)
                .map_err(|error| interrupted_or(signals, Failure::unreadable(&theirs, &error)))?;
            if !same {
                return Err(Failure::new(Exit::Mismatch, theirs.display(), "differs from the sample"));
            }
        }
        Ok(())
    }
}

fn interrupted_or(signals: &Signals, failure: Failure) -> Failure {
    if signals.is_stopping() { Failure::new(Exit::Interrupted, "demo", "interrupted") } else { failure }
}

fn write(path: &Path, len: u64, rng: &mut Rng, signals: &Signals) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file = File::create(path)?;
    let mut buffer = vec![0; BUFFER_LEN];
    let mut left = len;
    while left > 0 {
        go_on(signals)?;
        for word in buffer.chunks_exact_mut(8) {
            word.copy_from_slice(&rng.next_u64().to_le_bytes());
        }
        let take = usize::try_from(left).map_or(BUFFER_LEN, |left| left.min(BUFFER_LEN));
        file.write_all(buffer.get(..take).unwrap_or_default())?;
        left -= take as u64;
    }
    Ok(())
}

fn is_same(ours: &Path, theirs: &Path, signals: &Signals) -> io::Result<bool> {
    let (mut ours, mut theirs) = (File::open(ours)?, File::open(theirs)?);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        go_on(signals)?;
        a.clear();
        b.clear();
        Read::by_ref(&mut ours).take(BUFFER_LEN as u64).read_to_end(&mut a)?;
        Read::by_ref(&mut theirs).take(BUFFER_LEN as u64).read_to_end(&mut b)?;
        if a != b {
            return Ok(false);
        }
        if a.is_empty() {
            return Ok(true);
        }
    }
}

fn go_on(signals: &Signals) -> io::Result<()> {
    if signals.is_stopping() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}
