//! What is told about a torrent.

use peerless_core::InfoHash;
use peerless_core::magnet::Magnet;
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
    /// By index in the layout: the file's number, from 1, and its path; padding files have none.
    pub(super) files: Vec<Option<(usize, String)>>,
}

impl Summary {
    /// What is told about `metainfo`; with `paths`, also which file is which.
    #[must_use]
    pub fn new(metainfo: &Metainfo, paths: bool) -> Self {
        let files = metainfo.layout().files();
        let mut file_count = 0;
        let mut numbered = Vec::new();
        for file in files {
            file_count += usize::from(!file.padding);
            if paths {
                numbered.push((!file.padding).then(|| (file_count, file.path.clone())));
            }
        }
        Self {
            name: metainfo.name().to_owned(),
            info_hash: metainfo.info_hash(),
            total_len: metainfo.geometry().total_len(),
            piece_count: metainfo.geometry().piece_count(),
            file_count,
            files: numbered,
        }
    }

    /// What is known of a torrent before its metadata is there.
    #[must_use]
    pub fn of_magnet(magnet: &Magnet) -> Self {
        Self {
            name: magnet.name.clone().unwrap_or_else(|| magnet.info_hash.to_string()),
            info_hash: magnet.info_hash,
            total_len: 0,
            piece_count: 0,
            file_count: 0,
            files: Vec::new(),
        }
    }

    /// Whether it is known what the torrent is.
    pub(super) const fn is_known(&self) -> bool {
        self.piece_count > 0
    }

    /// The name, safe to show.
    #[must_use]
    pub fn shown_name(&self) -> String {
        escaped(&self.name).to_string()
    }

    /// The file's number, from 1 and without padding files, and its path.
    pub(super) fn file(&self, index: usize) -> Option<(usize, &str)> {
        let (number, path) = self.files.get(index)?.as_ref()?;
        Some((*number, path))
    }
}
