//! Claims on disk: sync what was written, then say so in the resume file.

use std::collections::BTreeSet;

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::Span;
use peerless_core::{DiskError, DiskErrorKind, Purpose, Storage, TorrentKey};

use super::open::TEMPORARY;
use super::root::{Access, Stat};
use super::{Disk, Held};
use crate::error::{disk_error, locked, refusal};
use crate::resume::{self, Resume};

/// What a sync needs. Where reading will do, a file that is gone is not made anew.
const SYNC_ACCESS: Access = if cfg!(windows) { Access::Write } else { Access::Read };

impl Disk {
    /// [`Job::Save`](peerless_core::Job::Save).
    ///
    /// No resume file is written while it would only say that someone's data is ours: see
    /// [`Disk::open`].
    pub(crate) fn save(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        have: Bitfield,
        close: bool,
    ) -> Result<(), DiskError> {
        let Some(held) = self.held(torrent) else {
            // Its opening failed, so there is nothing to close.
            let why = "is saved without having been opened";
            return if close { Ok(()) } else { Err(refusal(DiskErrorKind::Other, &storage.root, why)) };
        };
        let saved = self.save_held(torrent, storage, &held, have, close);
        if close {
            // In this order, so that no late job puts an open file back.
            locked(&self.held).remove(&torrent);
            self.files.close(torrent);
            // With the last job on the torrent, most often this one, the lock goes too.
        }
        saved
    }

    fn save_held(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        held: &Held,
        have: Bitfield,
        close: bool,
    ) -> Result<(), DiskError> {
        let _in_order = locked(&held.saving);
        let dirty = std::mem::take(&mut locked(&held.state).dirty);
        let synced = self.sync(torrent, storage, held, dirty);
        let (resume, on_disk) = {
            let mut state = locked(&held.state);
            match synced {
                Ok(synced) => {
                    for (index, stat) in synced {
                        if let Some(place) = state.stats.get_mut(index) {
                            *place = Some(stat);
                        }
                    }
                }
                Err(error) => {
                    state.sync_error.get_or_insert(error);
                }
            }
            if let Some(error) = &state.sync_error {
                return Err(error.clone());
            }
            if !state.ours && have.is_empty() {
                return Ok(());
            }
            state.ours = true;
            let all_claimed = state.maybe.iter(storage.metainfo.geometry()).all(|piece| have.has(piece));
            (Resume { have, files: state.stats.clone(), clean: close && all_claimed }, state.on_disk)
        };
        let info_hash = storage.metainfo.info_hash();
        let written = match held.purpose {
            Purpose::Download => resume::write(&held.root, info_hash, &resume, TEMPORARY, on_disk),
            Purpose::Serve => {
                // Several servers may be at it, each with a lock that the others share.
                let temporary = format!("{}.{TEMPORARY}", std::process::id());
                match resume::write(&held.root, info_hash, &resume, &temporary, on_disk) {
                    Err(error) if error.kind == DiskErrorKind::Denied => return Ok(()),
                    written => written,
                }
            }
        };
        locked(&held.state).on_disk = Some(written?);
        Ok(())
    }

    /// Syncs files; what each looks like afterwards.
    fn sync(
        &self,
        torrent: TorrentKey,
        storage: &Storage,
        held: &Held,
        dirty: BTreeSet<usize>,
    ) -> Result<Vec<(usize, Stat)>, DiskError> {
        let mut synced = Vec::with_capacity(dirty.len());
        for index in dirty {
            let below = super::path(storage, index)?;
            let path = storage.root.join(&*below);
            let span = Span { file: index, offset: 0, len: 0 };
            let file = self.file(torrent, storage, span, SYNC_ACCESS)?;
            file.sync_data().map_err(|error| disk_error(&path, &error))?;
            held.look_again(storage, span, &file)?;
            // By name, not by handle: a file that was removed or replaced holds nothing of ours.
            let is_there = held.root.is_at(&file, &below)?;
            let stat = held.root.stat(&below)?.filter(|_| is_there);
            let gone = || refusal(DiskErrorKind::NotFound, &path, "was removed or replaced meanwhile");
            synced.push((index, stat.ok_or_else(gone)?));
        }
        Ok(synced)
    }
}
