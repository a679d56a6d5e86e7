//! What to do next: what the session asks of a runtime, and what it has to tell.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::job::{DiskError, Job};
use crate::key::{PeerKey, TorrentKey};
use crate::peer::PeerError;
use crate::route::Hop;
use crate::tracker::SwarmCounts;
use crate::wire::Socks5Error;

/// Something to be done outside.
#[derive(Debug, Hash)]
pub enum Output {
    /// Connect to a peer; answer with `Connected` or `Closed`.
    Connect {
        /// The connection's key.
        peer: PeerKey,
        /// From where, and where to.
        hop: Hop,
    },
    /// [`Session::unsent`](crate::Session::unsent) of this peer is no longer empty.
    Send {
        /// Whose.
        peer: PeerKey,
    },
    /// [`Session::wants_read`](crate::Session::wants_read) of this peer is true again.
    Resume {
        /// Whose.
        peer: PeerKey,
    },
    /// Close the connection. Its key is already forgotten; no `Closed` need follow.
    Close {
        /// Which.
        peer: PeerKey,
        /// Why.
        reason: CloseReason,
    },
    /// Send a datagram from the session's port, or drop it: nobody waits for it to leave.
    Datagram {
        /// From which address, and where to. From no other: rather it is dropped.
        hop: Hop,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Do this on a worker and bring back the [`JobDone`](crate::JobDone).
    Job(Job),
    /// Something a user may want to see.
    Event(Event),
}

/// Why we closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer broke the protocol.
    Violation(PeerError),
    /// It was found to send bad data.
    Banned,
    /// It is ourselves.
    Ourselves,
    /// Another connection to the same peer is open.
    Duplicate,
    /// It asks for a torrent that is not here.
    UnknownTorrent,
    /// Neither side has anything the other wants.
    Redundant,
    /// It did not connect, shake hands or say anything in time.
    Timeout,
    /// Its place is needed for another.
    Crowded,
    /// The torrent is private, and neither its trackers nor the user have named it (BEP 27).
    Private,
    /// The torrent was removed, has failed, or the session is shutting down.
    TorrentGone,
    /// The proxy does not lead there.
    Proxy(Socks5Error),
}

/// Why a proxy is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyError {
    /// No connection to it can be made.
    NotThere,
    /// It does not answer.
    Silent,
    /// It refuses us.
    Refuses(Socks5Error),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => f.write_str("no connection to it can be made"),
            Self::Silent => f.write_str("it does not answer"),
            Self::Refuses(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProxyError {}

/// Why a torrent stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TorrentError {
    /// The disk failed it.
    Disk(DiskError),
    /// Its metadata is the one that its magnet link names, and no torrent that can be used.
    Metadata(String),
}

impl fmt::Display for TorrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::Metadata(why) => write!(f, "not a torrent that can be used: {why}"),
        }
    }
}

impl std::error::Error for TorrentError {}

/// Something a user may want to see. Decisions of the core never depend on whether anyone looks.
#[derive(Debug, Hash)]
pub enum Event {
    /// Data that was there is being hashed.
    Checking {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces hashed so far.
        done: u32,
        /// Pieces to hash.
        total: u32,
        /// Pieces hashed so far that are not right.
        bad: u32,
    },
    /// Metadata has come from a peer.
    Metadata {
        /// Which torrent.
        torrent: TorrentKey,
        /// Bytes that are there.
        have: u32,
        /// Bytes in all, as most peers say.
        total: u32,
    },
    /// Metadata from peers was not the one that the magnet link names; it is got anew.
    MetadataFailed {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// A peer says that the metadata is longer than [`Config`](crate::Config) allows. Told once.
    MetadataTooLong {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its address.
        addr: SocketAddr,
        /// Bytes, as it says.
        len: u64,
    },
    /// The metadata of a torrent that was added by a magnet link is there:
    /// [`Session::metainfo`](crate::Session::metainfo) has it from now on.
    MetadataDone {
        /// Which torrent.
        torrent: TorrentKey,
    },
    /// The check is over and the torrent is at work.
    Started {
        /// Which torrent.
        torrent: TorrentKey,
        /// Pieces that are there.
        have: u32,
    },
    /// How a torrent is doing, every [`Config::progress_interval`](crate::Config::progress_interval).
    Progress {
        /// Which torrent.
        torrent: TorrentKey,
        /// The figures.
        progress: Box<Progress>,
    },
    /// A file is complete and verified: its last piece has come, or it was there, or has no bytes, when
    /// the rest began to be fetched.
    FileDone {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which file, counted in [`Layout::files`](crate::metainfo::Layout::files).
        file: usize,
    },
    /// Every piece is verified, written and claimed in the resume file.
    Complete {
        /// Which torrent.
        torrent: TorrentKey,
        /// The figures at the end.
        progress: Box<Progress>,
    },
    /// A tracker answered or failed.
    Tracker {
        /// Which torrent.
        torrent: TorrentKey,
        /// The tracker's announce URL as the torrent has it.
        url: String,
        /// How it went.
        result: Result<TrackerReport, String>,
        /// When it is asked again.
        next: Option<Duration>,
    },
    /// Of [`Session::scrape`](crate::Session::scrape).
    Scraped {
        /// The tracker's announce URL as it was given.
        url: String,
        /// Its counts for each swarm asked for, in order; or why there are none.
        result: Result<Vec<SwarmCounts>, String>,
    },
    /// A peer shook hands.
    PeerConnected {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which connection.
        peer: PeerKey,
        /// Its address.
        addr: SocketAddr,
    },
    /// A peer has told the name of its client.
    PeerNamed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its address.
        addr: SocketAddr,
        /// The client, by its own words: foreign text of a few dozen characters.
        client: String,
    },
    /// A connection has ended.
    PeerClosed {
        /// Its torrent, if that was known.
        torrent: Option<TorrentKey>,
        /// Which connection.
        peer: PeerKey,
        /// Its address.
        addr: SocketAddr,
        /// Why we closed it; `None` if the peer or the network did.
        reason: Option<CloseReason>,
        /// Payload bytes that it gave.
        downloaded_len: u64,
        /// Payload bytes that it got.
        uploaded_len: u64,
    },
    /// A piece failed its hash and will be fetched again.
    PieceFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Which piece, by number.
        piece: u32,
    },
    /// A peer was found to send bad data and will not be talked to again.
    PeerBanned {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its address.
        addr: SocketAddr,
    },
    /// A web seed did not give what it was asked for, or gave bad data for the last time.
    WebSeedFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Its URL as the torrent has it.
        url: String,
        /// Why.
        why: String,
        /// When it is asked again; `None`: never.
        next: Option<Duration>,
    },
    /// A host named as a peer could not be resolved.
    ResolveFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The torrent can't go on. Others do.
    Stopped {
        /// Which torrent.
        torrent: TorrentKey,
        /// Why.
        error: TorrentError,
    },
    /// The resume file could not be written; the download goes on and would be hashed again.
    SaveFailed {
        /// Which torrent.
        torrent: TorrentKey,
        /// Why.
        error: DiskError,
    },
    /// The address that everything is bound to is not there any more. Nothing goes another way.
    BindLost {
        /// The address.
        ip: IpAddr,
        /// The system's words.
        why: String,
    },
    /// The proxy is of no use. It is called again from time to time, and nothing goes another way. Told
    /// once, until it works.
    ProxyFailed {
        /// Why.
        error: ProxyError,
    },
    /// The proxy works again.
    ProxyWorks,
    /// A host that the user named as a peer is looked up by the proxy: its address is never known, and
    /// in what is told of it this one stands for it.
    StandsFor {
        /// Which torrent.
        torrent: TorrentKey,
        /// What stands for the host.
        addr: SocketAddr,
        /// The host.
        host: String,
    },
    /// The recording could not be written and ends here.
    RecordFailed {
        /// Why.
        error: DiskError,
    },
    /// The recording has as many bytes as it may ([`Config`](crate::Config)) and ends here. What is
    /// written can be done again up to here.
    RecordFull {
        /// Bytes.
        len: u64,
    },
}

/// What a tracker said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrackerReport {
    /// How many peers it named.
    pub peer_count: usize,
    /// Its `warning message`, as it came.
    pub warning: Option<String>,
    /// Where it sees us (BEP 24), if it said so.
    pub external_ip: Option<IpAddr>,
}

/// What a torrent is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// What it is is not known yet: peers are asked. Lengths are those of the metadata.
    Metadata,
    /// Data that was there is being hashed.
    Checking,
    /// Pieces are missing and wanted.
    Leeching,
    /// What is there is served.
    Seeding,
    /// It failed.
    Stopped,
}

/// Why no payload comes, where none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StallReason {
    /// Nobody has sent the metadata of a magnet link yet.
    MetadataNone,
    /// Nobody is connected, and no web seed is being asked.
    NoPeers,
    /// Peers have what we want, and none of them lets us request.
    AllChoked,
    /// Nobody has anything that we want.
    NoWantedPieces,
    /// Blocks are asked for, and do not come.
    PeersSlow,
    /// What has come is not on the disk yet, and there is no room for more or no more to come.
    DiskBehind,
    /// A limit on payload per second has been used up.
    RateLimited,
}

/// A torrent's figures at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// What it is doing.
    pub state: State,
    /// Verified bytes.
    pub done_len: u64,
    /// Bytes wanted in all.
    pub wanted_len: u64,
    /// Pieces verified and written.
    pub have_count: u32,
    /// Pieces in all.
    pub piece_count: u32,
    /// Payload bytes received, good or bad, since the session began.
    pub downloaded_len: u64,
    /// Payload bytes sent since the session began.
    pub uploaded_len: u64,
    /// Payload bytes that served nothing: twice, unasked for, or of a bad piece.
    pub wasted_len: u64,
    /// Payload bytes per second received.
    pub down_rate: u64,
    /// Payload bytes per second sent.
    pub up_rate: u64,
    /// Why no payload comes, if none does: what holds things up at this moment. `None` where none is
    /// wanted.
    pub stall: Option<StallReason>,
    /// Peers that have shaken hands.
    pub peer_count: usize,
    /// Those of them that have everything.
    pub seed_count: usize,
    /// Those of them that let us request.
    pub unchoked_count: usize,
    /// Web seeds that are being asked for something.
    pub web_seed_count: usize,
    /// Addresses known.
    pub candidate_count: usize,
}
