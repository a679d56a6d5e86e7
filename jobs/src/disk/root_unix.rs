//! Paths below the root by file descriptors, one component at a time: there is no moment between
//! a check and a use at which a link could be put in between.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use peerless_core::DiskError;

use super::{Access, FileId, Stat, full, not_a_file, not_a_folder, split};
use crate::error::disk_error;

/// What a made file or folder may be used for; the user's umask narrows it.
const FILE_MODE: u32 = 0o666;
const FOLDER_MODE: u32 = 0o777;

/// A torrent's root folder, held open.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    folder: OwnedFd,
}

impl Root {
    /// Opens the folder, which must be there.
    pub(crate) fn open(path: &Path) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty());
        let folder = folder.map_err(|errno| disk_error(path, &errno.into()))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The folder's path, as it was named.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the regular file at `path`.
    pub(crate) fn file(&self, path: &str, access: Access) -> Result<File, DiskError> {
        let (folders, name) = split(&self.path, path)?;
        let make = access == Access::Write;
        let parent = self.walk(path, &folders, make)?;
        let parent = parent.as_ref().map_or_else(|| self.folder.as_fd(), AsFd::as_fd);
        // Without NONBLOCK, a pipe in the file's place would hold the worker for ever.
        let guard = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let flags = match access {
            Access::Read => OFlags::RDONLY | guard,
            Access::Write => OFlags::RDWR | OFlags::CREATE | guard,
        };
        let opened = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(FILE_MODE as _));
        let file: File = opened.map_err(|errno| self.refused(path, errno, not_a_file))?.into();
        let metadata = file.metadata().map_err(|error| disk_error(&full(&self.path, path), &error))?;
        if metadata.is_file() { Ok(file) } else { Err(not_a_file(&self.path, path)) }
    }

    /// What the file at `path` looks like; `None` if it is not there.
    pub(crate) fn stat(&self, path: &str) -> Result<Option<Stat>, DiskError> {
        self.look().stat(path)
    }

    fn checked(&self, path: &str, stat: Option<rustix::fs::Stat>) -> Result<Option<Stat>, DiskError> {
        match stat {
            None => Ok(None),
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(Stat {
                len: u64::try_from(stat.st_size).unwrap_or_default(),
                mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
            })),
            Some(_) => Err(not_a_file(&self.path, path)),
        }
    }

    /// For looking at many files, those of one folder together.
    pub(crate) const fn look(&self) -> Look<'_> {
        Look { root: self, folder: None }
    }

    /// Whether this and `other` are one folder.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match [&self.folder, &other.folder].map(rustix::fs::fstat) {
            [Ok(ours), Ok(theirs)] => (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino),
            [Err(_), _] | [_, Err(_)] => false,
        }
    }

    /// Whether `file` is what `path` leads to now.
    pub(crate) fn is_at(&self, file: &File, path: &str) -> Result<bool, DiskError> {
        let opened = rustix::fs::fstat(file);
        let opened = opened.map_err(|errno| disk_error(&full(&self.path, path), &errno.into()))?;
        let there = self.look().raw_stat(path)?;
        Ok(there.is_some_and(|there| (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)))
    }

    /// Makes the folders that the file at `path` lies in.
    pub(crate) fn make_folders(&self, path: &str) -> Result<(), DiskError> {
        let (folders, _) = split(&self.path, path)?;
        self.walk(path, &folders, true).map(drop)
    }

    /// Removes the file `name` that lies directly in the root.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DiskError> {
        let removed = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        removed.map_err(|errno| disk_error(&full(&self.path, name), &errno.into()))
    }

    /// Renames a file that lies directly in the root, so that it lasts over a loss of power.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let renamed = rustix::fs::renameat(&self.folder, from, &self.folder, to)
            .and_then(|()| rustix::fs::fsync(&self.folder));
        renamed.map_err(|errno| disk_error(&full(&self.path, to), &errno.into()))
    }

    fn walk(&self, path: &str, folders: &[&str], make: bool) -> Result<Option<OwnedFd>, DiskError> {
        self.try_walk(folders, make).map_err(|errno| self.refused(path, errno, not_a_folder))
    }

    /// The innermost of `folders`, each in the one before; `None` for the root itself.
    fn try_walk(&self, folders: &[&str], make: bool) -> Result<Option<OwnedFd>, Errno> {
        let mut inner: Option<OwnedFd> = None;
        for name in folders {
            let outer = inner.as_ref().map_or_else(|| self.folder.as_fd(), AsFd::as_fd);
            inner = Some(step(outer, name, make)?);
        }
        Ok(inner)
    }

    fn refused(&self, path: &str, errno: Errno, odd: fn(&Path, &str) -> DiskError) -> DiskError {
        match errno {
            // MLINK is what FreeBSD says of a link. NXIO is a socket, or a pipe without a reader.
            Errno::LOOP | Errno::MLINK | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => odd(&self.path, path),
            errno => disk_error(&full(&self.path, path), &errno.into()),
        }
    }
}

/// Which file it is, and how long.
pub(crate) fn look_at(file: &File) -> std::io::Result<(Option<FileId>, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    Ok((Some((metadata.dev(), metadata.ino())), metadata.len()))
}

/// Looks at files. The folder of the last one stays open: torrents list those of a folder together,
/// and the way there takes longer than the look.
pub(crate) struct Look<'a> {
    root: &'a Root,
    folder: Option<(String, Folder)>,
}

/// A folder on the way to a file.
enum Folder {
    Absent,
    Root,
    Below(OwnedFd),
}

impl Look<'_> {
    /// What the file at `path` looks like; `None` if it is not there.
    pub(crate) fn stat(&mut self, path: &str) -> Result<Option<Stat>, DiskError> {
        let stat = self.raw_stat(path)?;
        self.root.checked(path, stat)
    }

    fn raw_stat(&mut self, path: &str) -> Result<Option<rustix::fs::Stat>, DiskError> {
        let root = self.root;
        let (folders, name) = split(&root.path, path)?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if self.folder.as_ref().is_none_or(|(known, _)| known != folder) {
            let walked = absent(root.try_walk(&folders, false));
            let walked = walked.map_err(|errno| root.refused(path, errno, not_a_folder))?;
            let walked = walked.map_or(Folder::Absent, |below| below.map_or(Folder::Root, Folder::Below));
            self.folder = Some((folder.to_owned(), walked));
        }
        let parent = match &self.folder {
            Some((_, Folder::Below(below))) => below.as_fd(),
            Some((_, Folder::Root)) => root.folder.as_fd(),
            Some((_, Folder::Absent)) | None => return Ok(None),
        };
        let stat = absent(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW));
        stat.map_err(|errno| disk_error(&full(&root.path, path), &errno.into()))
    }
}

fn step(outer: BorrowedFd<'_>, name: &str, make: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(outer, name, flags, Mode::empty());
    match open() {
        Err(Errno::NOENT) if make => {
            match rustix::fs::mkdirat(outer, name, Mode::from_raw_mode(FOLDER_MODE as _)) {
                // Another worker may have made it just now.
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(errno) => Err(errno),
            }
        }
        opened => opened,
    }
}

/// Takes "not there" for an answer.
fn absent<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
