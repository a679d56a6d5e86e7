//! The start of a torrent: lock it, see what is there, make folders and empty files.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, Weak};

use peerless_core::metainfo::File as FileEntry;
use peerless_core::{Check, DiskError, DiskErrorKind, Opened, Purpose, Storage, TorrentKey};

use super::believe::{Evidence, believe};
use super::holes::has_data;
use super::part::{self, Part};
use super::root::{Access, Root, Stat};
use super::{Disk, Held, State, choose};
use crate::error::{disk_error, locked, refusal};
use crate::lock::{Lock, Sharing};
use crate::resume::{self, Resume};

/// What our own files in the root begin with. No torrent may have such a name: it could claim, in
/// another torrent's resume file, pieces that are not there.
const OWN_PREFIX: &str = ".peerless-";

/// The temporary name of a downloader's resume file; its lock makes it the only writer.
pub(super) const TEMPORARY: &str = "tmp";

impl Disk {
    /// [`Job::Open`](peerless_core::Job::Open).
    ///
    /// A download without a resume file gets one at once, claiming nothing, if there was no data
    /// at all: whatever a killed process leaves is then known to be ours. If there was data, the
    /// resume file waits for the first piece that is found right or written. Until then the data
    /// may be a user's other files, and the next start must be as careful as this one.
    pub(crate) fn open(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        check: Check,
        purpose: Purpose,
        unwanted: &[bool],
    ) -> Result<Opened, DiskError> {
        let metainfo = &storage.metainfo;
        let files = metainfo.layout().files();
        refuse_own_names(storage)?;
        let (root, lock) = self.take(storage, purpose)?;
        let mut stats = stats(&root, files)?;
        if purpose == Purpose::Download {
            refuse_longer(&storage.root, files, &stats)?;
        }
        let is_unwanted = |file: usize| unwanted.get(file).copied().unwrap_or_default();
        let mut part = Part::load(&root, metainfo, |file, any| {
            // Nothing is moved where nothing is written: what is here is served from here.
            let is_kept = any || is_unwanted(file) || purpose == Purpose::Serve;
            is_kept && stats.get(file).is_some_and(Option::is_none)
        });
        if purpose == Purpose::Download {
            for moved in choose::level(&root, metainfo, &mut part, unwanted)? {
                restat(&root, files, &mut stats, moved)?;
            }
            make(&root, files, &mut stats, is_unwanted)?;
        }
        stats.push(part::stat(&root, metainfo)?);
        let (resume, mut on_disk) = resume::read(&root, metainfo).unzip();
        let evidence =
            Evidence { storage, check, purpose, stats: &stats, part: &part, resume: resume.as_ref() };
        let mut probe = Probe { root: &root, files, open: None };
        let (have, unsure) = believe(&evidence, |span| probe.has_data(span.file, span.offset, span.len));
        let mut ours = resume.is_some();
        let is_new = stats.iter().take(files.len()).flatten().all(|stat| stat.len == 0);
        if purpose == Purpose::Download && !ours && is_new {
            let nothing = Resume { have: have.clone(), files: stats.clone(), clean: false };
            on_disk = Some(resume::write(&root, metainfo.info_hash(), &nothing, TEMPORARY, on_disk)?);
            ours = true;
        }
        let mut maybe = have.clone();
        for piece in unsure.iter(metainfo.geometry()) {
            maybe.insert(piece);
        }
        let (dirty, seen) = Default::default();
        let state = State { dirty, stats, seen, maybe, ours, on_disk, sync_error: None };
        let (state, part, saving) = (Mutex::new(state), RwLock::new(part), Mutex::default());
        let held = Held { root, purpose, state, part, saving, _lock: lock };
        locked(&self.held).insert(torrent, Arc::new(held));
        Ok(Opened { have, unsure, ours })
    }

    /// Opens the root, makes it for a download, and takes the lock.
    fn take(&self, storage: &Storage, purpose: Purpose) -> Result<(Arc<Root>, Option<Lock>), DiskError> {
        let path = &storage.root;
        if purpose == Purpose::Download {
            std::fs::create_dir_all(path).map_err(|error| {
                match error.kind() == ErrorKind::AlreadyExists {
                    true => refusal(DiskErrorKind::Unsafe, path, "is not a folder"),
                    false => disk_error(path, &error),
                }
            })?;
        }
        let root = self.root(path)?;
        let sharing = match purpose {
            Purpose::Download => Sharing::Alone,
            Purpose::Serve => Sharing::Shared,
        };
        match Lock::take(Arc::clone(&root), storage.metainfo.info_hash(), sharing) {
            Ok(lock) => Ok((root, Some(lock))),
            // A folder that nobody may write to needs no lock.
            Err(error) if error.kind == DiskErrorKind::Denied && purpose == Purpose::Serve => {
                Ok((root, None))
            }
            // It is the folder that the user has to do something about.
            Err(error) if error.kind == DiskErrorKind::Denied => {
                Err(DiskError { path: path.clone(), ..error })
            }
            Err(error) => Err(error),
        }
    }

    /// The folder at `path`: one descriptor for all torrents in it.
    fn root(&self, path: &Path) -> Result<Arc<Root>, DiskError> {
        let opened = Root::open(path)?;
        let mut roots = locked(&self.roots);
        // Another folder may have taken its place.
        if let Some(known) = roots.get(path).and_then(Weak::upgrade).filter(|known| known.is_same(&opened)) {
            return Ok(known);
        }
        let opened = Arc::new(opened);
        roots.insert(path.to_owned(), Arc::downgrade(&opened));
        Ok(opened)
    }
}

fn refuse_own_names(storage: &Storage) -> Result<(), DiskError> {
    let is_own = |file: &&FileEntry| {
        let start = file.path.as_bytes().get(..OWN_PREFIX.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX.as_bytes()))
    };
    match storage.metainfo.layout().files().iter().find(is_own) {
        Some(file) => {
            let why = "is a name kept for our own files";
            Err(refusal(DiskErrorKind::Unsafe, &storage.root.join(&file.path), why))
        }
        None => Ok(()),
    }
}

/// What each file looks like. Padding files are never there.
pub(crate) fn stats(root: &Root, files: &[FileEntry]) -> Result<Vec<Option<Stat>>, DiskError> {
    let mut look = root.look();
    files.iter().map(|file| if file.padding { Ok(None) } else { look.stat(&file.path) }).collect()
}

/// A longer file is not the torrent's; it is never cut.
fn refuse_longer(root: &Path, files: &[FileEntry], stats: &[Option<Stat>]) -> Result<(), DiskError> {
    for (file, stat) in files.iter().zip(stats) {
        if let Some(stat) = stat.filter(|stat| stat.len > file.len) {
            let why =
                format!("has {} bytes where the torrent has {}: it is another file", stat.len, file.len);
            return Err(refusal(DiskErrorKind::WouldOverwrite, &root.join(&file.path), &why));
        }
    }
    Ok(())
}

/// Makes every wanted file's folders, and the wanted files without bytes, which no piece would ever
/// make.
fn make(
    root: &Root,
    files: &[FileEntry],
    stats: &mut [Option<Stat>],
    is_unwanted: impl Fn(usize) -> bool,
) -> Result<(), DiskError> {
    // Those of a folder are together.
    let mut made = None;
    for (index, file) in files.iter().enumerate().filter(|(_, file)| !file.padding) {
        if is_unwanted(index) || stats.get(index).is_none_or(Option::is_some) {
            continue;
        }
        if file.len == 0 {
            root.file(&file.path, Access::Write)?;
            restat(root, files, stats, index)?;
        } else {
            let folder = file.path.rsplit_once('/').map(|(folder, _)| folder);
            if made != folder {
                root.make_folders(&file.path)?;
                made = folder;
            }
        }
    }
    Ok(())
}

fn restat(
    root: &Root,
    files: &[FileEntry],
    stats: &mut [Option<Stat>],
    index: usize,
) -> Result<(), DiskError> {
    if let (Some(file), Some(stat)) = (files.get(index), stats.get_mut(index)) {
        *stat = root.stat(&file.path)?;
    }
    Ok(())
}

/// Looks for holes, with one file open at a time: pieces are asked about in order.
struct Probe<'a> {
    root: &'a Root,
    files: &'a [FileEntry],
    open: Option<(usize, Option<File>)>,
}

impl Probe<'_> {
    fn has_data(&mut self, index: usize, offset: u64, len: u64) -> bool {
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            let file = self.files.get(index).and_then(|file| self.root.file(&file.path, Access::Read).ok());
            self.open = Some((index, file));
        }
        let file = self.open.as_ref().and_then(|(_, file)| file.as_ref());
        // What can't be opened may hold data: the check will tell what is wrong with it.
        file.is_none_or(|file| has_data(file, offset, len))
    }
}
