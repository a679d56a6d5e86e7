//! The one machine that a runtime sees, and the recorder between the two.

mod add;
#[cfg(test)]
mod tests;

pub use add::{AddMagnet, AddTorrent, AddTorrentError};

use std::net::{IpAddr, SocketAddr};

use crate::choice::Choice;
use crate::config::Config;
use crate::cx::Seeds;
use crate::id::{InfoHash, PeerId};
use crate::input::Input;
use crate::job::{DiskError, JobDone};
use crate::key::{PeerKey, TorrentKey};
use crate::limit::Limits;
use crate::machine::Machine;
use crate::metainfo::Metainfo;
use crate::output::{Event, Output, Progress};
use crate::peer::{Peer, Unsent};
use crate::peer_info::PeerInfo;
use crate::record::{Recorder, Tag};
use crate::time::Instant;
use crate::torrent::Torrent;
use crate::wire::Socks5;

/// A BitTorrent client without I/O.
///
/// Inputs may come in any order, and many before the outputs are drained. The work for one input
/// is bounded.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    recorder: Option<Recorder>,
}

impl Session {
    /// A session whose behaviour is decided by `config`, `seed` and what it will be told.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self::with_seeds(config, seed.into(), now)
    }

    pub(crate) fn with_seeds(config: Config, seeds: Seeds, now: Instant) -> Self {
        let recorder = config.record.then(|| Recorder::new(&config, seeds, now));
        Self { machine: Machine::new(config, seeds, now), recorder }
    }

    /// Our peer id in every torrent.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.machine.peer_id()
    }

    /// Adds a torrent and starts it with a look at what is on disk.
    ///
    /// # Errors
    /// When it is there already or the session is shutting down.
    pub fn add_torrent(&mut self, now: Instant, add: AddTorrent) -> Result<TorrentKey, AddTorrentError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddTorrent, &add);
        }
        self.machine.add_torrent(now, add)
    }

    /// Adds a torrent whose metadata is got from peers, unless an earlier run has saved it. From
    /// [`Event::MetadataDone`] on it is a torrent like any other: who calls [`Session::set_choice`]
    /// when he hears of that does so before anything is made on the disk.
    ///
    /// # Errors
    /// When it is there already or the session is shutting down.
    pub fn add_magnet(&mut self, now: Instant, add: AddMagnet) -> Result<TorrentKey, AddTorrentError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddMagnet, &add);
        }
        self.machine.add_magnet(now, add)
    }

    /// What a torrent is; `None` for a key that is gone, and as long as the metadata is not there.
    #[must_use]
    pub fn metainfo(&self, torrent: TorrentKey) -> Option<&Metainfo> {
        let storage = self.machine.torrent(torrent).map(|torrent| &torrent.storage);
        storage.map(|storage| &storage.metainfo).filter(|metainfo| !metainfo.raw().is_empty())
    }

    /// Closes a torrent's connections, tells its trackers, saves its state and forgets it.
    pub fn remove_torrent(&mut self, now: Instant, torrent: TorrentKey) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::RemoveTorrent, &torrent);
        }
        self.machine.remove_torrent(now, torrent);
    }

    /// Changes what of a torrent is wanted, how much, and in which order. A torrent that is complete
    /// by the old choice goes on downloading where the new one wants more.
    pub fn set_choice(&mut self, now: Instant, torrent: TorrentKey, choice: Choice) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::SetChoice, &(torrent, &choice));
        }
        self.machine.set_choice(now, torrent, choice);
    }

    /// Limits payload per second from now on: of one torrent, or of all together. Both hold at once.
    pub fn set_limits(&mut self, now: Instant, torrent: Option<TorrentKey>, limits: Limits) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::SetLimits, &(torrent, limits));
        }
        self.machine.set_limits(now, torrent, limits);
    }

    /// Gives a torrent a further address to try.
    pub fn add_peer(&mut self, now: Instant, torrent: TorrentKey, addr: SocketAddr) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::AddPeer, &(torrent, addr));
        }
        self.machine.add_peer(now, torrent, addr);
    }

    /// Asks the tracker whose announce URL is `url` how many peers these swarms have (BEP 48), at most
    /// 70 of them. [`Event::Scraped`] tells.
    pub fn scrape(&mut self, now: Instant, url: String, hashes: Vec<InfoHash>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::Scrape, &(&url, &hashes));
        }
        self.machine.scrape(now, url, hashes);
    }

    /// Ends everything in order: trackers are told, state is saved. See [`Session::is_shut_down`].
    pub fn shut_down(&mut self, now: Instant) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::ShutDown, &());
        }
        self.machine.shut_down(now);
    }

    /// Whether a shutdown has ended: nothing is left to wait for once the outputs are drained.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.machine.is_shut_down() && self.recorder.as_ref().is_none_or(Recorder::is_done)
    }

    /// Whether to take a connection from `addr`; `None`: refuse it.
    pub fn accept(&mut self, now: Instant, addr: SocketAddr) -> Option<PeerKey> {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::Accept, &addr);
        }
        self.machine.accept(now, addr)
    }

    /// Tells what happened outside. Inputs for keys that are gone are ignored.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if let Input::Done(JobDone::Recorded { result }) = input {
            return self.on_recorded(result);
        }
        let of_peer = match &input {
            Input::Connected { peer } | Input::Received { peer, .. } | Input::Closed { peer, .. } => {
                Some(*peer)
            }
            Input::Datagram { .. } | Input::Done(_) => None,
        };
        if of_peer.is_some_and(|peer| self.machine.peer(peer).is_none()) {
            return;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input, |peer| self.machine.negotiation(peer));
        }
        self.machine.handle_input(now, input);
    }

    /// Lets time pass. Too early or too often is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = self.machine.poll_timeout().is_some_and(|at| at <= now);
        if let Some(recorder) = &mut self.recorder {
            recorder.tick(now);
            if is_due {
                recorder.call(now, Tag::Timeout, &());
            }
        }
        if is_due {
            self.machine.handle_timeout(now);
        }
    }

    /// The next thing to do, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        let Some(recorder) = &mut self.recorder else { return output };
        match output {
            Some(output) => {
                recorder.output(&output);
                Some(output)
            }
            None => {
                recorder.drained();
                recorder.take_part(self.machine.is_shut_down()).map(Output::Job)
            }
        }
    }

    /// When to call [`Session::handle_timeout`] next, if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flush_at = self.recorder.as_ref().and_then(Recorder::flush_at);
        self.machine.poll_timeout().into_iter().chain(flush_at).min()
    }

    /// Whether to read from this peer now. False while it does not read what we send it, and while
    /// it owes blocks and too many wait to get to disk.
    #[must_use]
    pub fn wants_read(&self, peer: PeerKey) -> bool {
        self.machine.wants_read(peer)
    }

    /// How many bytes to read from this peer at once at most, so that a limit is not passed by a large
    /// read. It need not be kept to: what is read is always taken, and counts.
    #[must_use]
    pub fn read_len_max(&self, peer: PeerKey) -> usize {
        self.machine.read_len_max(peer)
    }

    /// The bytes to send to this peer, in order; nothing for a key that is gone.
    #[must_use]
    pub fn unsent(&self, peer: PeerKey) -> Unsent<'_> {
        self.machine.peer(peer).map_or_else(Unsent::default, |peer| peer.queue.unsent())
    }

    /// Tells that the first `len` bytes of [`Session::unsent`] have been handed to the system.
    pub fn sent(&mut self, now: Instant, peer: PeerKey, len: usize) {
        // A runtime may tell this of a peer that it has lost meanwhile.
        let Some(receiver) = self.machine.peer(peer) else { return };
        let len = len.min(receiver.queue.len());
        if let Some(recorder) = &mut self.recorder {
            recorder.sent(now, peer, receiver, len);
        }
        self.machine.sent(now, peer, len);
    }

    /// A torrent's figures; `None` for a key that is gone.
    #[must_use]
    pub fn progress(&self, now: Instant, torrent: TorrentKey) -> Option<Progress> {
        self.machine.progress(now, torrent)
    }

    /// The torrent's peers, one by one, in the order in which they have come; none for a key that is gone.
    ///
    /// The work is done as they are asked for, so a look at the first few is cheap.
    ///
    /// ```
    /// use peerless_core::magnet::Magnet;
    /// use peerless_core::wire::{Handshake, RESERVED};
    /// use peerless_core::{AddMagnet, Config, Input, Instant, PeerId, PeerWait, Session};
    ///
    /// let now = Instant::START;
    /// let mut session = Session::new(Config::default(), 1, now);
    /// let magnet: Magnet = "magnet:?xt=urn:btih:1234567890123456789012345678901234567890".parse()?;
    /// let info_hash = magnet.info_hash;
    /// let torrent = session.add_magnet(now, AddMagnet::new(magnet, "downloads".into()))?;
    ///
    /// // A peer calls and shakes hands.
    /// let caller = session.accept(now, "192.0.2.1:6881".parse()?).ok_or("no room")?;
    /// let peer_id = PeerId::new(*b"-TR3000-abcdefghijkl");
    /// let handshake = Handshake { reserved: RESERVED, info_hash, peer_id };
    /// session.handle_input(now, Input::Received { peer: caller, bytes: &handshake.encode() });
    ///
    /// let peers: Vec<_> = session.peers(now, torrent).collect();
    /// assert_eq!((peers[0].peer, peers[0].flags().as_str()), (caller, "I"));
    /// assert_eq!(peers[0].peer_id.client().as_deref(), Some("Transmission 3.0"));
    /// assert_eq!(peers[0].waits_for, PeerWait::Metadata);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peers(&self, now: Instant, torrent: TorrentKey) -> impl Iterator<Item = PeerInfo> {
        self.machine.peer_infos(now, torrent)
    }

    /// The torrent's info-hash; `None` for a key that is gone.
    #[must_use]
    pub fn info_hash(&self, torrent: TorrentKey) -> Option<InfoHash> {
        self.machine.torrent(torrent).map(Torrent::info_hash)
    }

    /// Says which pieces a peer at this address may have while it is choked: in a renamed recording that
    /// can't be told from the address.
    pub(crate) fn set_fast_set(&mut self, now: Instant, ip: IpAddr, info_hash: InfoHash, pieces: Vec<u32>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.call(now, Tag::FastSet, &(ip, info_hash, &pieces));
        }
        self.machine.set_fast_set(ip, info_hash, pieces);
    }

    pub(crate) const fn recorder_mut(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_mut()
    }

    pub(crate) fn negotiation(&self, peer: PeerKey) -> Option<Socks5> {
        self.machine.negotiation(peer)
    }

    pub(crate) fn peer(&self, peer: PeerKey) -> Option<&Peer> {
        self.machine.peer(peer)
    }

    /// A part of the recording is written, or recording ends here.
    fn on_recorded(&mut self, result: Result<(), DiskError>) {
        let Some(recorder) = &mut self.recorder else { return };
        match result {
            Ok(()) => {
                if let Some(len) = recorder.on_written() {
                    self.recorder = None;
                    self.machine.tell(Event::RecordFull { len });
                }
            }
            Err(error) => {
                self.recorder = None;
                self.machine.tell(Event::RecordFailed { error });
            }
        }
    }
}
