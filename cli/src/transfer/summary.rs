//! What is told about a torrent.

use peerless_core::InfoHash;
use peerless_core::metainfo::Metainfo;
use peerless_core::text::escaped;

/// What is told about a torrent.
#[derive(Debug)]
pub struct Summary {
    pub(super) name: String,
    pub(super) info_hash: InfoHash,
    pub(super) total_len: u64,
    pub(super) piece_count: u32,
    pub(super) file_count: usize,
    /// By index in the layout: the file's path; padding files have none.
    pub(super) paths: Vec<Option<String>>,
}

impl Summary {
    /// What is told about `metainfo`; with `paths`, also which file is which.
    #[must_use]
    pub fn new(metainfo: &Metainfo, paths: bool) -> Self {
        let files = metainfo.layout().files();
        let paths: Box<dyn Iterator<Item = _>> =
            if paths { Box::new(files.iter()) } else { Box::new([].into_iter()) };
        Self {
            name: metainfo.name().to_owned(),
            info_hash: metainfo.info_hash(),
            total_len: metainfo.geometry().total_len(),
            piece_count: metainfo.geometry().piece_count(),
            file_count: files.iter().filter(|file| !file.padding).count(),
            paths: paths.map(|file| (!file.padding).then(|| file.path.clone())).collect(),
        }
    }

    /// The name, safe to show.
    #[must_use]
    pub fn shown_name(&self) -> String {
        escaped(&self.name).to_string()
    }

    /// The file's number, from 1 and without padding files, and its path.
    pub(super) fn file(&self, index: usize) -> Option<(usize, &str)> {
        let path = self.paths.get(index)?.as_deref()?;
        let before = self.paths.iter().take(index).flatten().count();
        Some((before + 1, path))
    }
}
