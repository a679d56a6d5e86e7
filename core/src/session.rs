//! The one machine that a runtime sees: looks up keys, routes inputs, owns the outbox.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Config;
use crate::id::{InfoHash, PeerId};
use crate::input::Input;
use crate::job::{Check, Purpose};
use crate::key::{PeerKey, TorrentKey};
use crate::metainfo::Metainfo;
use crate::output::{Output, Progress};
use crate::time::Instant;

/// A BitTorrent client without I/O.
#[derive(Debug)]
pub struct Session {}

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
    /// Announce URLs, by tier: usually the torrent's own and the user's further ones.
    pub tiers: Vec<Vec<String>>,
    /// Addresses of peers to try.
    pub peers: Vec<SocketAddr>,
    /// Peers to try whose address must be looked up, with their ports.
    pub hosts: Vec<(String, u16)>,
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

/// The runs of bytes to send to one peer, in order; see [`Session::unsent`].
#[derive(Debug)]
pub struct Unsent<'a>(std::slice::Iter<'a, Vec<u8>>);

impl<'a> Iterator for Unsent<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next().map(Vec::as_slice)
    }
}

impl Session {
    /// A session whose behaviour is decided by `config`, `seed` and what it will be told.
    #[must_use]
    pub fn new(_config: Config, _seed: u64, _now: Instant) -> Self {
        unimplemented!()
    }

    /// Our peer id in every torrent.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        unimplemented!()
    }

    /// Adds a torrent and starts it with a look at what is on disk.
    ///
    /// # Errors
    /// When it is there already or the session is shutting down.
    pub fn add_torrent(&mut self, _now: Instant, _add: AddTorrent) -> Result<TorrentKey, AddTorrentError> {
        unimplemented!()
    }

    /// Closes a torrent's connections, tells its trackers, saves its state and forgets it.
    pub fn remove_torrent(&mut self, _now: Instant, _torrent: TorrentKey) {
        unimplemented!()
    }

    /// Gives a torrent a further address to try.
    pub fn add_peer(&mut self, _now: Instant, _torrent: TorrentKey, _addr: SocketAddr) {
        unimplemented!()
    }

    /// Ends everything in order: trackers are told, state is saved. See [`Session::is_shut_down`].
    pub fn shut_down(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Whether a shutdown has ended: nothing is left to wait for.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        unimplemented!()
    }

    /// Whether to take a connection from `addr`; `None`: refuse it.
    pub fn accept(&mut self, _now: Instant, _addr: SocketAddr) -> Option<PeerKey> {
        unimplemented!()
    }

    /// Tells what happened outside. Inputs for keys that are gone are ignored.
    pub fn handle_input(&mut self, _now: Instant, _input: Input<'_>) {
        unimplemented!()
    }

    /// Lets time pass. Too early or too often is harmless.
    pub fn handle_timeout(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }

    /// When to call [`Session::handle_timeout`] next, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// Whether to read from this peer now. False while blocks wait for a slow disk.
    #[must_use]
    pub fn wants_read(&self, _peer: PeerKey) -> bool {
        unimplemented!()
    }

    /// The bytes to send to this peer, in order; nothing for a key that is gone.
    #[must_use]
    pub fn unsent(&self, _peer: PeerKey) -> Unsent<'_> {
        unimplemented!()
    }

    /// Tells that the first `len` bytes of [`Session::unsent`] have been handed to the system.
    pub fn sent(&mut self, _now: Instant, _peer: PeerKey, _len: usize) {
        unimplemented!()
    }

    /// A torrent's figures; `None` for a key that is gone.
    #[must_use]
    pub fn progress(&mut self, _now: Instant, _torrent: TorrentKey) -> Option<Progress> {
        unimplemented!()
    }

    /// The torrent's info-hash; `None` for a key that is gone.
    #[must_use]
    pub fn info_hash(&self, _torrent: TorrentKey) -> Option<InfoHash> {
        unimplemented!()
    }
}
