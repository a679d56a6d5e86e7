//! One peer's socket: what is known of its readiness, and one read or write at a time.

use std::io::{self, IoSlice, Read, Write};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use peerless_core::key::Key;
use peerless_core::{CloseCause, Hop, Instant, PeerKey, Session};

/// The most runs of bytes in one write: what a turn of 1 MiB needs for blocks with their headers.
const SLICES_MAX: usize = 64;

/// Whether a read or write that moved less than it could shows that the socket has no more: true
/// where the system tells of what comes later by a new edge. Elsewhere only `WouldBlock` shows it.
const SHORT_MEANS_ALL: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

/// A connection, or one that is being made.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Whose.
    pub(crate) peer: PeerKey,
    /// Whether it is on the ready list.
    pub(crate) queued: bool,
    stream: TcpStream,
    connecting: bool,
    /// There may be something to read: true from an edge until a read finds the end of it.
    readable: bool,
    /// There may be room to write: true from an edge until a write finds the end of it.
    writable: bool,
    /// The peer has ended its stream, so a short read is not the last.
    ending: bool,
    /// A write failed. What the peer had sent before is still read.
    broken: bool,
}

impl Conn {
    /// Starts to connect.
    pub(crate) fn connect(peer: PeerKey, hop: Hop) -> io::Result<Self> {
        let stream = TcpStream::from_std(peerless_net::start_connect(hop)?);
        Ok(Self { connecting: true, ..Self::new(peer, stream) })
    }

    /// A connection that is up.
    pub(crate) fn accepted(peer: PeerKey, stream: TcpStream) -> io::Result<Self> {
        let conn = Self::new(peer, stream);
        conn.tune()?;
        Ok(conn)
    }

    fn new(peer: PeerKey, stream: TcpStream) -> Self {
        Self {
            peer,
            queued: false,
            stream,
            connecting: false,
            readable: false,
            writable: false,
            ending: false,
            broken: false,
        }
    }

    /// Asks for edges in both directions, once and for all.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Notes an edge.
    pub(crate) fn on_event(&mut self, event: &Event) {
        // An error is told by the next read.
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() && !self.broken;
        self.ending |= event.is_read_closed() || event.is_error();
    }

    /// Looks whether a connection that was being made is up: true once.
    pub(crate) fn is_now_connected(&mut self) -> io::Result<bool> {
        if !self.connecting {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.connecting = false;
                self.tune()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends small messages at once: they are gathered before they come here.
    fn tune(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)
    }

    /// Whether a read may bring something and the session wants it.
    pub(crate) fn can_read(&self, session: &Session) -> bool {
        self.readable && !self.connecting && session.wants_read(self.peer)
    }

    /// Whether a write may move something and the session has it.
    pub(crate) fn can_write(&self, session: &Session) -> bool {
        self.writable && !self.connecting && session.unsent(self.peer).next().is_some()
    }

    /// One read into `scratch`: how many bytes came, 0 if none are there now.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<usize, CloseCause> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(CloseCause::End),
                Ok(len) => {
                    self.readable = len == scratch.len() || self.ending || !SHORT_MEANS_ALL;
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.broken => {
                    self.readable = false;
                    self.ending = false;
                    return Ok(0);
                }
                Err(error) => return Err(error.kind().into()),
            }
        }
    }

    /// One write of what the session has for this peer.
    pub(crate) fn write(&mut self, session: &mut Session, now: Instant) {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut total_len = 0;
        for (slice, bytes) in slices.iter_mut().zip(session.unsent(self.peer)) {
            *slice = IoSlice::new(bytes);
            count += 1;
            total_len += bytes.len();
        }
        match self.stream.write_vectored(slices.get(..count).unwrap_or_default()) {
            Ok(len) => {
                self.writable = len == total_len || (len > 0 && !SHORT_MEANS_ALL);
                session.sent(now, self.peer, len);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
            // The peer may have sent its last blocks before it went: the reads come to the end.
            Err(_) => {
                self.broken = true;
                self.writable = false;
                self.readable = true;
                self.ending = true;
            }
        }
    }
}

/// The connections, found by key. A key that is gone finds nothing.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    places: Vec<Option<Conn>>,
}

impl Conns {
    /// Puts a connection in its place. A former tenant's socket is closed: its key is gone.
    pub(crate) fn insert(&mut self, conn: Conn) {
        let index = conn.peer.index() as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(conn);
        }
    }

    /// The connection of `peer`.
    pub(crate) fn get_mut(&mut self, peer: PeerKey) -> Option<&mut Conn> {
        self.at_mut(peer.index() as usize).filter(|conn| conn.peer == peer)
    }

    /// The connection in the place `index`, whichever it is now.
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<&mut Conn> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Closes the connection of `peer`.
    pub(crate) fn remove(&mut self, peer: PeerKey) {
        if let Some(place) = self.places.get_mut(peer.index() as usize) {
            place.take_if(|conn| conn.peer == peer);
        }
    }
}
