//! What a job needs to know about a torrent's data.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

use crate::metainfo::Metainfo;

/// A torrent's data: what it is, and the folder it lies in. Shared with the jobs, never changed.
pub struct Storage {
    /// Lengths, digests and files.
    pub metainfo: Metainfo,
    /// The folder that holds the torrent's top name. The core only hands it on.
    pub root: PathBuf,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.metainfo.info_hash())
    }
}

impl Hash for Storage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.metainfo.info_hash().hash(state);
    }
}
