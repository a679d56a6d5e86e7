//! Paths below the root by name, on systems without `openat`: each component is looked at before
//! it is used. A link put in between the two would be followed; such systems offer no more.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use peerless_core::DiskError;

use super::{Access, FileId, Stat, full, not_a_file, not_a_folder, split};
use crate::error::disk_error;

/// A torrent's root folder.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
}

impl Root {
    /// The folder at `path`, which must be there.
    pub(crate) fn open(path: &Path) -> Result<Self, DiskError> {
        std::fs::read_dir(path).map_err(|error| disk_error(path, &error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// The folder's path, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the regular file at `path`.
    pub(crate) fn file(&self, path: &str, access: Access) -> Result<File, DiskError> {
        if access == Access::Write {
            self.make_folders(path)?;
        }
        self.stat(path)?;
        let mut options = OpenOptions::new();
        let write = access == Access::Write;
        let opened =
            options.read(true).write(write).create(write).truncate(false).open(full(&self.path, path));
        opened.map_err(|error| disk_error(&full(&self.path, path), &error))
    }

    /// What the file at `path` looks like; `None` if it is not there.
    pub(crate) fn stat(&self, path: &str) -> Result<Option<Stat>, DiskError> {
        let (folders, _) = split(&self.path, path)?;
        if !self.walk(path, &folders, false)? {
            return Ok(None);
        }
        let error_at = |error: &io::Error| disk_error(&full(&self.path, path), error);
        let metadata = match std::fs::symlink_metadata(full(&self.path, path)) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error_at(&error)),
        };
        if !metadata.is_file() {
            return Err(not_a_file(&self.path, path));
        }
        let modified = metadata.modified().map_err(|error| error_at(&error))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mtime = (i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_nanos());
        Ok(Some(Stat { len: metadata.len(), mtime }))
    }

    /// For looking at many files.
    pub(crate) const fn look(&self) -> Look<'_> {
        Look(self)
    }

    /// Whether this and `other` are one folder.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// Whether `file` is what `path` leads to now. Files are not removed while open here, so it is.
    pub(crate) fn is_at(&self, _file: &File, path: &str) -> Result<bool, DiskError> {
        Ok(self.stat(path)?.is_some())
    }

    /// Makes the folders that the file at `path` lies in.
    pub(crate) fn make_folders(&self, path: &str) -> Result<(), DiskError> {
        let (folders, _) = split(&self.path, path)?;
        self.walk(path, &folders, true).map(drop)
    }

    /// Removes the file `name` that lies directly in the root.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DiskError> {
        let path = full(&self.path, name);
        std::fs::remove_file(&path).map_err(|error| disk_error(&path, &error))
    }

    /// Renames a file that lies directly in the root.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let to = full(&self.path, to);
        std::fs::rename(full(&self.path, from), &to).map_err(|error| disk_error(&to, &error))
    }

    /// Whether all `folders`, each in the one before, are there.
    fn walk(&self, path: &str, folders: &[&str], make: bool) -> Result<bool, DiskError> {
        let mut inner = self.path.clone();
        for name in folders {
            inner.push(name);
            match std::fs::symlink_metadata(&inner) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(not_a_folder(&self.path, path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if !make {
                        return Ok(false);
                    }
                    match std::fs::create_dir(&inner) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(disk_error(&inner, &error));
                        }
                        Ok(()) | Err(_) => {}
                    }
                }
                Err(error) => return Err(disk_error(&inner, &error)),
            }
        }
        Ok(true)
    }
}

/// Looks at files one by one.
pub(crate) struct Look<'a>(&'a Root);

impl Look<'_> {
    /// What the file at `path` looks like; `None` if it is not there.
    pub(crate) fn stat(&mut self, path: &str) -> Result<Option<Stat>, DiskError> {
        self.0.stat(path)
    }
}

/// How long a file is. Which it is does not matter: files are not removed while open here.
pub(crate) fn look_at(file: &File) -> std::io::Result<(Option<FileId>, u64)> {
    Ok((None, file.metadata()?.len()))
}
