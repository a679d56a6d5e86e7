//! `peerless verify TORRENT DIR`: names the bad files and pieces.

use std::fmt::Write;
use std::thread;

use peerless_core::metainfo::Metainfo;
use peerless_core::text::escaped;
use peerless_core::{DiskError, DiskErrorKind, Storage};
use peerless_jobs::verify::{self, BadFile, Fault, Report};
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::exit::{Exit, Failure};
use crate::progress::Task;
use crate::{format, out, source};

/// Hashes the data and reports.
///
/// # Errors
/// When the torrent or the data can't be read, and when the data is not right.
pub fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    let storage = Storage { metainfo: source::load(&args.torrent, &args.way)?, root: args.dir.clone() };
    let mut task = Task::new("hashing", u64::from(storage.metainfo.geometry().piece_count()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let report = verify::run(&storage, threads, |progress| task.update(progress.done.into()));
    task.finish();
    let report = report.map_err(|error| unreadable(&error))?;
    let found = Found::new(&storage.metainfo, &report);
    if args.json {
        out::print_json(&found)?;
    } else {
        out::print(&found.words())?;
    }
    match found.trouble() {
        None => Ok(Exit::Done),
        Some(why) => Err(Failure::new(Exit::Mismatch, args.dir.join(storage.metainfo.name()).display(), why)),
    }
}

/// The data is an input here, so that it is missing or closed to us is code 3.
fn unreadable(error: &DiskError) -> Failure {
    let failure = Failure::from(error);
    match error.kind {
        DiskErrorKind::NotFound | DiskErrorKind::Denied => failure.with_exit(Exit::Input),
        DiskErrorKind::Full
        | DiskErrorKind::Locked
        | DiskErrorKind::WouldOverwrite
        | DiskErrorKind::Unsafe
        | DiskErrorKind::Other => failure,
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Found<'a> {
    name: &'a str,
    info_hash: String,
    ok: bool,
    total_size: u64,
    piece_count: u32,
    good_count: usize,
    bad_pieces: Vec<u32>,
    bad_files: Vec<BadFileJson<'a>>,
}

#[derive(Debug, Serialize)]
struct BadFileJson<'a> {
    /// From 1, padding files not counted, as `info` shows.
    index: usize,
    path: &'a str,
    length: u64,
    /// `missing`, `length` or `data`.
    fault: &'static str,
    /// The length that it has instead.
    actual_length: Option<u64>,
    bad_pieces: Option<u32>,
}

impl<'a> Found<'a> {
    fn new(metainfo: &'a Metainfo, report: &Report) -> Self {
        let geometry = metainfo.geometry();
        let bad_pieces: Vec<u32> =
            geometry.pieces().filter(|&piece| !report.good.has(piece)).map(|piece| piece.get()).collect();
        Self {
            name: metainfo.name(),
            info_hash: metainfo.info_hash().to_string(),
            ok: report.is_good(),
            total_size: geometry.total_len(),
            piece_count: geometry.piece_count(),
            good_count: geometry.piece_count() as usize - bad_pieces.len(),
            bad_pieces,
            bad_files: report.bad_files.iter().filter_map(|bad| BadFileJson::new(metainfo, *bad)).collect(),
        }
    }

    fn words(&self) -> String {
        let mut text = String::new();
        for file in &self.bad_files {
            let what = match (file.actual_length, file.bad_pieces) {
                (Some(len), _) => format!("{len} bytes long instead of {}", file.length),
                (None, Some(count)) => format!("bad, {}", format::count(count as usize, "piece")),
                (None, None) => "missing".to_owned(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}: {what}", escaped(file.path));
        }
        if !self.bad_pieces.is_empty() {
            let _ = writeln!(text, "bad pieces: {}", runs(&self.bad_pieces));
        }
        if self.ok {
            let (name, pieces) = (escaped(self.name), format::count(self.good_count, "piece"));
            let _ = writeln!(text, "{name}: all right, {} in {pieces}", format::size(self.total_size));
        }
        text
    }

    fn trouble(&self) -> Option<String> {
        let (pieces, files) = (self.bad_pieces.len(), format::count(self.bad_files.len(), "file"));
        let why = format!("{pieces} of {} pieces and {files} not right", self.piece_count);
        (!self.ok).then_some(why)
    }
}

impl<'a> BadFileJson<'a> {
    fn new(metainfo: &'a Metainfo, bad: BadFile) -> Option<Self> {
        let files = metainfo.layout().files();
        let file = files.get(bad.file)?;
        let (fault, actual_length, bad_pieces) = match bad.fault {
            Fault::Missing => ("missing", None, None),
            Fault::Length(len) => ("length", Some(len), None),
            Fault::Data(count) => ("data", None, Some(count)),
        };
        let index = files.iter().take(bad.file).filter(|file| !file.padding).count() + 1;
        Some(Self { index, path: &file.path, length: file.len, fault, actual_length, bad_pieces })
    }
}

/// Rising numbers with neighbours drawn together: `0-3, 7`.
fn runs(numbers: &[u32]) -> String {
    let runs = numbers.chunk_by(|a, b| a + 1 == *b).filter_map(|run| match run {
        [] => None,
        [one] => Some(one.to_string()),
        [first, .., last] => Some(format!("{first}-{last}")),
    });
    runs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_drawn_together() {
        assert_eq!(runs(&[0, 1, 2, 3, 7, 9, 10]), "0-3, 7, 9-10");
        assert_eq!(runs(&[]), "");
    }
}
