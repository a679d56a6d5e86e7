//! Verifying a whole torrent's data offline, with all cores.

use peerless_core::bitfield::Bitfield;
use peerless_core::key::Key as _;
use peerless_core::metainfo::Span;
use peerless_core::{DiskError, Storage, TorrentKey};

use crate::disk::open::stats;
use crate::disk::part::Part;
use crate::disk::root::{Access, Root, Stat};
use crate::disk::stored::Stored;
use crate::files::OpenFiles;
use crate::hash::OPEN_FILES_MAX;
use crate::pieces::digest_all;

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pieces looked at.
    pub done: u32,
    /// All pieces.
    pub total: u32,
    /// Pieces looked at that are not right.
    pub bad: u32,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The pieces that are right.
    pub good: Bitfield,
    /// The files that are not, in the torrent's order.
    pub bad_files: Vec<BadFile>,
}

/// A file that is not what the torrent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFile {
    /// Which file, counted in [`Layout::files`](peerless_core::metainfo::Layout::files).
    pub file: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has this length instead.
    Length(u64),
    /// So many of the pieces in it are not right.
    Data(u32),
}

impl Report {
    /// Whether the data is exactly the torrent's.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.good.is_full() && self.bad_files.is_empty()
    }
}

/// Hashes every piece on `threads` threads; `on_progress` is called on the calling thread.
///
/// A piece that lies in two files makes both bad when it is not right: which of them it is can't
/// be told.
///
/// # Errors
/// When the folder is not there, a file leads through a symbolic link, or reading fails. What is
/// missing or too short is no error, but bad.
pub fn run(
    storage: &Storage,
    threads: usize,
    mut on_progress: impl FnMut(Progress),
) -> Result<Report, DiskError> {
    let (metainfo, root) = (&storage.metainfo, Root::open(&storage.root)?);
    let stats = stats(&root, metainfo.layout().files())?;
    let geometry = metainfo.geometry();
    let total = geometry.piece_count();
    let mut good = Bitfield::empty(total);
    let mut progress = Progress { done: 0, total, bad: 0 };
    let open_files = OpenFiles::new(OPEN_FILES_MAX);
    let open = |span: Span, path: &str| {
        open_files.with((TorrentKey::new(0, 0), span.file), Access::Read, || root.file(path, Access::Read))
    };
    // What a download keeps there for files that it was not to get.
    let part = Part::load(&root, metainfo, |file, any| any && stats.get(file).is_some_and(Option::is_none));
    let files = Stored { storage, part: Some(&part), open };
    let judge = |index, digest| files.is_right(index, digest);
    digest_all(&files, total, threads, judge, |index, right| {
        progress.done += 1;
        if right && let Some(piece) = geometry.piece(index) {
            good.insert(piece);
        } else {
            progress.bad += 1;
        }
        on_progress(progress);
    })?;
    let bad_files = bad_files(storage, &stats, &good);
    Ok(Report { good, bad_files })
}

fn bad_files(storage: &Storage, stats: &[Option<Stat>], good: &Bitfield) -> Vec<BadFile> {
    let (layout, geometry) = (storage.metainfo.layout(), storage.metainfo.geometry());
    let mut bad_counts = vec![0_u32; layout.files().len()];
    for piece in geometry.pieces().filter(|piece| !good.has(*piece)) {
        for span in layout.spans(geometry, geometry.whole(piece)) {
            if let Some(count) = bad_counts.get_mut(span.file) {
                *count += 1;
            }
        }
    }
    let files = layout.files().iter().zip(stats).zip(bad_counts).enumerate();
    let files = files.filter(|(_, ((file, _), _))| !file.padding);
    let faults = files.filter_map(|(index, ((file, stat), bad_count))| {
        let fault = match stat {
            None => Some(Fault::Missing),
            Some(stat) if stat.len != file.len => Some(Fault::Length(stat.len)),
            Some(_) => (bad_count > 0).then_some(Fault::Data(bad_count)),
        };
        fault.map(|fault| BadFile { file: index, fault })
    });
    faults.collect()
}
