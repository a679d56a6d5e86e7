//! One peer as it is told about: what [`Session::peers`](crate::Session::peers) gives.

use std::net::SocketAddr;
use std::time::Duration;

use crate::id::PeerId;
use crate::key::PeerKey;

/// A connection that has shaken hands, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The connection.
    pub peer: PeerKey,
    /// Its address.
    pub addr: SocketAddr,
    /// Its name on the wire; foreign bytes.
    pub peer_id: PeerId,
    /// The client, by its own words (BEP 10): foreign text of a few dozen characters. `None` as long as
    /// it has said nothing; [`PeerId::client`] then often knows.
    pub client: Option<String>,
    /// How we came to be connected.
    pub origin: PeerOrigin,
    /// How long it has been connected.
    pub connected_time: Duration,
    /// We want something that it has.
    pub am_interested: bool,
    /// We answer no requests of it.
    pub am_choking: bool,
    /// It wants something that we have.
    pub peer_interested: bool,
    /// It answers no requests of ours.
    pub peer_choking: bool,
    /// It may request by chance, not by merit.
    pub is_optimistic: bool,
    /// It has owed us blocks for too long.
    pub is_snubbed: bool,
    /// Payload bytes per second received from it.
    pub down_rate: u64,
    /// Payload bytes per second sent to it.
    pub up_rate: u64,
    /// Payload bytes received from it.
    pub downloaded_len: u64,
    /// Payload bytes sent to it.
    pub uploaded_len: u64,
    /// Pieces that it has; 0 while it is not known what the torrent is.
    pub have_count: u32,
    /// Requests that it has not answered.
    pub outstanding_count: usize,
    /// Requests that are kept outstanding at it, if there is so much to ask for.
    pub outstanding_target: usize,
    /// Whether it gives no more because no more may be asked of it at once, by what it says that it keeps
    /// or by [`Config::requests_max`](crate::Config::requests_max).
    pub is_window_full: bool,
    /// Requests of it that we have not answered.
    pub asked_count: usize,
    /// What the connection waits for.
    pub waits_for: PeerWait,
}

/// How a connection came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerOrigin {
    /// The peer has called us.
    Incoming,
    /// The user, or a magnet link, named its address.
    User,
    /// A tracker did.
    Tracker,
    /// Another peer did (BEP 11).
    Pex,
    /// It was dialled, and whoever named its address has been forgotten.
    Unknown,
}

/// What has to happen before more payload moves on a connection: first down, then up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerWait {
    /// It owes us blocks.
    Blocks,
    /// It is to let us request.
    Unchoke,
    /// The limit of our own on payload per second is used up, either way.
    Limit,
    /// The disk is to take what has come.
    Disk,
    /// All that it has of what is missing is asked of others, or it has refused us.
    Others,
    /// It is to take what we have for it.
    Reading,
    /// It may ask us for blocks, and does not.
    Requests,
    /// It wants something of us, and others have the slots.
    Slot,
    /// The torrent's metadata is to come first.
    Metadata,
    /// What is on disk is to be known first.
    Check,
    /// Neither side wants anything that the other has.
    Nothing,
}

impl PeerInfo {
    /// Its state in the letters that qBittorrent and libtorrent's users know:
    ///
    /// - `D` we want something and may request, `d` we want something and may not;
    /// - `U` it wants something and may request, `u` it wants something and may not;
    /// - `K` we may request and want nothing, `?` it may request and wants nothing;
    /// - `O` it may request by chance (optimistic unchoke), `S` it is snubbed;
    /// - `I` it has called us, `X` another peer named it.
    #[must_use]
    pub fn flags(&self) -> String {
        let down = match (self.am_interested, self.peer_choking) {
            (true, false) => Some('D'),
            (true, true) => Some('d'),
            (false, false) => Some('K'),
            (false, true) => None,
        };
        let up = match (self.peer_interested, self.am_choking) {
            (true, false) => Some('U'),
            (true, true) => Some('u'),
            (false, false) => Some('?'),
            (false, true) => None,
        };
        let origin = match self.origin {
            PeerOrigin::Incoming => Some('I'),
            PeerOrigin::Pex => Some('X'),
            PeerOrigin::User | PeerOrigin::Tracker | PeerOrigin::Unknown => None,
        };
        let optimistic = self.is_optimistic.then_some('O');
        let snubbed = self.is_snubbed.then_some('S');
        [down, up, optimistic, snubbed, origin].into_iter().flatten().collect()
    }
}
