//! What a session is told of a torrent that is to be added.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::choice::Choice;
use crate::job::{Check, Purpose};
use crate::key::TorrentKey;
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;

/// A torrent to be added.
#[derive(Debug)]
pub struct AddTorrent {
    /// What it is.
    pub metainfo: Metainfo,
    /// The folder that holds, or is to hold, the torrent's top name.
    pub root: PathBuf,
    /// Whether to get the data or only to serve what is there.
    pub purpose: Purpose,
    /// What to believe of data that is there.
    pub check: Check,
    /// What of it to get, and in which order; means nothing where it is only to be served.
    pub choice: Choice,
    /// Announce URLs, by tier: usually the torrent's own and the user's further ones.
    pub tiers: Vec<Vec<String>>,
    /// URLs of web seeds (BEP 19), usually the torrent's own.
    pub web_seeds: Vec<String>,
    /// Addresses of peers to try.
    pub peers: Vec<SocketAddr>,
    /// Peers to try whose address must be looked up, with their ports.
    pub hosts: Vec<(String, u16)>,
}

impl AddTorrent {
    /// All of a torrent, with the usual check, from nobody yet.
    #[must_use]
    pub fn new(metainfo: Metainfo, root: PathBuf, purpose: Purpose) -> Self {
        Self {
            metainfo,
            root,
            purpose,
            check: Check::default(),
            choice: Choice::default(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

/// A torrent to be added of which a magnet link is all that is known (BEP 9).
#[derive(Debug)]
pub struct AddMagnet {
    /// The link: the swarm's name, and what goes with the metadata when it has come.
    pub magnet: Magnet,
    /// The folder that is to hold the torrent's top name.
    pub root: PathBuf,
    /// What to believe of data that is there.
    pub check: Check,
    /// What of it is wanted, and in which order. Where it says nothing of files, the link's own `so`
    /// counts (BEP 53).
    pub choice: Choice,
    /// Announce URLs, by tier: usually the link's own and the user's further ones.
    pub tiers: Vec<Vec<String>>,
    /// URLs of web seeds, usually the link's own.
    pub web_seeds: Vec<String>,
    /// Addresses of peers to try.
    pub peers: Vec<SocketAddr>,
    /// Peers to try whose address must be looked up, with their ports.
    pub hosts: Vec<(String, u16)>,
    /// Whether the metadata is all that is wanted: nothing is written, and no data is got.
    pub metadata_only: bool,
}

impl AddMagnet {
    /// All of the link's torrent, with the usual check, from nobody yet.
    #[must_use]
    pub fn new(magnet: Magnet, root: PathBuf) -> Self {
        Self {
            magnet,
            root,
            check: Check::default(),
            choice: Choice::default(),
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
            metadata_only: false,
        }
    }
}

/// Why a torrent was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddTorrentError {
    /// It is there already, under this key.
    Duplicate(TorrentKey),
    /// The session is shutting down.
    ShuttingDown,
}

impl fmt::Display for AddTorrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate(_) => "the same torrent is there already",
            Self::ShuttingDown => "the session is shutting down",
        })
    }
}

impl std::error::Error for AddTorrentError {}
