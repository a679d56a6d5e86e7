//! The files of a folder in the order in which a torrent has them.

use std::fs;
use std::path::{Path, PathBuf};

use peerless_core::metainfo::{Content, FILE_COUNT_MAX};

use crate::exit::{Exit, Failure};

/// What is to be shared.
#[derive(Debug)]
pub(super) struct Listing {
    root: PathBuf,
    is_folder: bool,
    entries: Vec<Entry>,
    /// Symbolic links and special files, which are left out.
    pub(super) skipped_count: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Below the root, joined by `/`; empty if the root is the file.
    path: String,
    len: u64,
}

impl Listing {
    /// Looks at the file or folder `root`. Nothing is followed but `root` itself.
    pub(super) fn of(root: &Path) -> Result<Self, Failure> {
        let unreadable = |error| Failure::unreadable(root, &error);
        let metadata = fs::metadata(root).map_err(unreadable)?;
        let mut listing = Self {
            root: root.to_owned(),
            is_folder: metadata.is_dir(),
            entries: Vec::new(),
            skipped_count: 0,
        };
        if metadata.is_file() {
            listing.entries.push(Entry { path: String::new(), len: metadata.len() });
        } else if metadata.is_dir() {
            listing.walk()?;
            // As strings, not part by part: so mktorrent has it, and the info-hash agrees.
            listing.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        } else {
            return Err(Failure::new(Exit::Input, root.display(), "is neither a file nor a folder"));
        }
        if listing.total_len() == 0 {
            return Err(Failure::new(Exit::Input, root.display(), "has no bytes to share"));
        }
        Ok(listing)
    }

    /// The sum of all lengths.
    pub(super) fn total_len(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.len))
    }

    /// The content of the torrent.
    pub(super) fn content(&self) -> Content {
        if !self.is_folder {
            return Content::File(self.total_len());
        }
        let parts = |path: &str| path.split('/').map(str::to_owned).collect();
        Content::Folder(self.entries.iter().map(|entry| (parts(&entry.path), entry.len)).collect())
    }

    /// Each file's place on disk and its length.
    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let place = |path: &str| if self.is_folder { self.root.join(path) } else { self.root.clone() };
        self.entries.iter().map(|entry| (place(&entry.path), entry.len)).collect()
    }

    /// Each file's path below the folder; an empty one for a lone file.
    pub(super) fn names(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.path.as_str()).collect()
    }

    fn walk(&mut self) -> Result<(), Failure> {
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            let unreadable = |error| Failure::unreadable(&path, &error);
            for entry in fs::read_dir(&path).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name();
                let name = name.to_str().ok_or_else(|| {
                    Failure::new(Exit::Other, entry.path().display(), "has a name that is not UTF-8")
                })?;
                if name.starts_with(".peerless-") {
                    // Ours, beside a download: no part of what is shared.
                    continue;
                }
                let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                let metadata =
                    entry.metadata().map_err(|error| Failure::unreadable(&entry.path(), &error))?;
                if metadata.is_dir() {
                    folders.push(path);
                } else if metadata.is_file() {
                    self.push(path, metadata.len())?;
                } else {
                    self.skipped_count += 1;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, path: String, len: u64) -> Result<(), Failure> {
        if self.entries.len() >= FILE_COUNT_MAX {
            let why = format!("has over {FILE_COUNT_MAX} files, more than a torrent may");
            return Err(Failure::new(Exit::Other, self.root.display(), why));
        }
        self.entries.push(Entry { path, len });
        Ok(())
    }
}
