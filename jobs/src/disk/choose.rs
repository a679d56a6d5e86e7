//! Which files are wanted: what the part file has of those goes to them.

use std::sync::PoisonError;

use peerless_core::metainfo::Metainfo;
use peerless_core::{DiskError, Storage, TorrentKey};

use super::Disk;
use super::part::{self, Part};
use super::root::Root;
use crate::error::locked;

impl Disk {
    /// [`Job::Choose`](peerless_core::Job::Choose).
    pub(crate) fn choose(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        unwanted: &[bool],
    ) -> Result<(), DiskError> {
        // Closed meanwhile: the next start does it.
        let Some(held) = self.held(torrent) else { return Ok(()) };
        let (metainfo, root) = (&storage.metainfo, &held.root);
        let files = metainfo.layout().files();
        // Not while what is about to be moved is synced.
        let _in_order = locked(&held.saving);
        let mut part = held.part.write().unwrap_or_else(PoisonError::into_inner);
        // It may be removed, and another be made under the same name.
        self.files.close_file((torrent, files.len()));
        let mut stats = Vec::new();
        for index in level(root, metainfo, &mut part, unwanted)? {
            if let Some(file) = files.get(index) {
                stats.push((index, root.stat(&file.path)?));
            }
        }
        stats.push((files.len(), part::stat(root, metainfo)?));
        let mut state = locked(&held.state);
        for (index, stat) in stats {
            // What the part file lost is synced with what it still has.
            if index == files.len() && stat.is_some() {
                state.dirty.insert(index);
            } else {
                state.dirty.remove(&index);
            }
            if let Some(place) = state.stats.get_mut(index) {
                *place = stat;
            }
        }
        Ok(())
    }
}

/// Moves wanted files out of the part file, which from now on keeps what comes of unwanted ones that
/// are not there. Returns the files moved; what they have is synced.
pub(super) fn level(
    root: &Root,
    metainfo: &Metainfo,
    part: &mut Part,
    unwanted: &[bool],
) -> Result<Vec<usize>, DiskError> {
    let mut moved = Vec::new();
    for (index, file) in metainfo.layout().files().iter().enumerate().filter(|(_, file)| !file.padding) {
        let is_unwanted = unwanted.get(index).copied().unwrap_or_default();
        if is_unwanted && !part.has_file(index) && root.stat(&file.path)?.is_none() {
            part.take_file(metainfo, index);
        } else if !is_unwanted && part.has_file(index) {
            part.move_out(root, metainfo, index)?;
            moved.push(index);
        }
    }
    part.tidy(root, metainfo)?;
    Ok(moved)
}
