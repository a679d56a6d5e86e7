//! The folder that holds a torrent's top name, and the paths below it.
//!
//! No symbolic link below the root is ever followed, so a torrent can't reach a file outside it,
//! whatever was put into the folder before or is put there meanwhile. The root itself may be, or
//! be reached through, links: the user named it.

use std::path::{Path, PathBuf};

use peerless_core::{DiskError, DiskErrorKind};

use crate::error::refusal;

#[cfg(unix)]
#[path = "root_unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "root_other.rs"]
mod system;

pub(crate) use system::{Root, look_at};

/// Tells files apart, whatever their names: their device and their number there.
pub(crate) type FileId = (u64, u64);

/// What a file looks like from outside: enough to notice that it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its length in bytes.
    pub(crate) len: u64,
    /// When it was last written: seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It must be there.
    Read,
    /// For reading and writing; made with its folders if it is not there. Never truncated.
    Write,
}

/// The folders of `path` and its last component.
///
/// The core makes paths safe; this is the last line behind it, where a mistake would write
/// outside the root.
fn split<'a>(root: &Path, path: &'a str) -> Result<(Vec<&'a str>, &'a str), DiskError> {
    let mut folders: Vec<&str> = path.split('/').collect();
    let bad = |part: &&str| {
        let odd = part.contains('\0') || (cfg!(windows) && part.contains(['\\', ':']));
        part.is_empty() || *part == "." || *part == ".." || odd
    };
    match (folders.iter().any(bad), folders.pop()) {
        (false, Some(name)) => Ok((folders, name)),
        (true | false, Some(_) | None) => {
            Err(refusal(DiskErrorKind::Unsafe, root, "a path of the torrent is not safe"))
        }
    }
}

/// Where `path` lies, for messages.
fn full(root: &Path, path: &str) -> PathBuf {
    root.join(path)
}

/// The error for something at `path` that is no file where a file must be.
fn not_a_file(root: &Path, path: &str) -> DiskError {
    refusal(DiskErrorKind::Unsafe, &full(root, path), "is not a regular file, or is a symbolic link")
}

/// The error for a part of `path` that is no folder.
fn not_a_folder(root: &Path, path: &str) -> DiskError {
    let why = "leads through a symbolic link, or a file is where a folder must be";
    refusal(DiskErrorKind::Unsafe, &full(root, path), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn temp() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    fn kind<T>(result: Result<T, DiskError>) -> Option<DiskErrorKind> {
        result.err().map(|error| error.kind)
    }

    #[test]
    fn files_are_made_with_their_folders_and_never_truncated() {
        let (dir, root) = temp();
        assert_eq!(kind(root.file("a/b/c", Access::Read)), Some(DiskErrorKind::NotFound));
        assert_eq!(root.stat("a/b/c"), Ok(None));
        root.file("a/b/c", Access::Write).unwrap().write_all(b"text").unwrap();
        root.file("a/b/c", Access::Write).unwrap();
        let mut text = String::new();
        root.file("a/b/c", Access::Read).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert_eq!(root.stat("a/b/c").unwrap().map(|stat| stat.len), Some(4));
        assert!(dir.path().join("a/b/c").is_file());
    }

    #[test]
    fn parts_that_lead_elsewhere_are_refused() {
        let (_dir, root) = temp();
        for path in ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/.", "a\0b"] {
            assert_eq!(kind(root.file(path, Access::Write)), Some(DiskErrorKind::Unsafe), "{path:?}");
        }
        assert!(root.file("a/..b", Access::Write).is_ok());
    }

    #[test]
    fn a_folder_in_a_files_place_and_the_other_way_round_are_refused() {
        let (dir, root) = temp();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        for access in [Access::Read, Access::Write] {
            for path in ["folder", "file/a"] {
                assert_eq!(kind(root.file(path, access)), Some(DiskErrorKind::Unsafe), "{path}");
            }
        }
        assert_eq!(kind(root.stat("folder")), Some(DiskErrorKind::Unsafe));
        assert_eq!(kind(root.stat("file/a")), Some(DiskErrorKind::Unsafe));
    }

    #[cfg(unix)]
    #[test]
    fn no_link_below_the_root_is_followed_and_the_root_may_be_one() {
        use std::os::unix::fs::symlink;
        let (dir, root) = temp();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"secret").unwrap();
        symlink(outside.path(), dir.path().join("folder")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
        symlink(outside.path().join("new"), dir.path().join("dangling")).unwrap();
        for path in ["folder/secret", "folder/new", "file", "dangling"] {
            for access in [Access::Read, Access::Write] {
                assert_eq!(kind(root.file(path, access)), Some(DiskErrorKind::Unsafe), "{path}");
            }
            assert_eq!(kind(root.stat(path)), Some(DiskErrorKind::Unsafe), "{path}");
        }
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
        assert!(!outside.path().join("new").exists());
        let through_link = Root::open(&dir.path().join("folder")).unwrap();
        assert!(through_link.file("secret", Access::Read).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_a_files_place_is_refused_at_once() {
        let (dir, root) = temp();
        let path = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for access in [Access::Read, Access::Write] {
            assert_eq!(kind(root.file("pipe", access)), Some(DiskErrorKind::Unsafe));
        }
    }
}
