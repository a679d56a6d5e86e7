//! Torrents of which only the magnet link was known.

use std::io::Write;

use peerless_core::TorrentKey;

use super::{Action, Summary, Transfer};
use crate::exit::Failure;
use crate::json::Line;

impl<W: Write> Transfer<W> {
    /// Takes what a torrent is that was added by a magnet link.
    pub fn on_known(&mut self, key: TorrentKey, summary: Summary) {
        let Some((at, _)) = self.find(key) else { return };
        self.screen.rename(at, &summary.name, summary.total_len);
        self.tell_added(&summary);
        self.screen.note(&format!("{}: metadata is there", summary.shown_name()));
        if let Some(torrent) = self.torrents.get_mut(at) {
            torrent.summary = summary;
        }
    }

    /// Takes that the metadata, all that was wanted of a torrent, has been written, or could not be.
    pub fn on_written(&mut self, key: TorrentKey, written: Result<(), Failure>) -> Option<Action> {
        let (at, _) = self.find(key)?;
        match written {
            Ok(()) => self.end(at),
            Err(failure) => self.end_by(at, &failure),
        }
    }

    pub(super) fn tell_added(&mut self, summary: &Summary) {
        self.json.write(&Line::Added {
            info_hash: summary.info_hash,
            name: &summary.name,
            size: summary.total_len,
            files: summary.file_count,
            pieces: summary.piece_count,
        });
    }
}
