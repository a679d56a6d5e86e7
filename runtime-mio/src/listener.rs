//! The listening sockets, and when not to accept.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use peerless_core::Instant;

/// How long to accept nothing after the system refused to: usually for want of descriptors, which
/// trying again at once would not free.
const PAUSE: Duration = Duration::from_secs(1);

/// All listeners, by token. The tokens from `1` on are theirs.
#[derive(Debug)]
pub(crate) struct Listeners {
    places: Vec<Place>,
    paused_until: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    listener: TcpListener,
    /// Whether connections may be waiting: true from an edge until a look finds none.
    ready: bool,
}

impl Listeners {
    pub(crate) fn new(listeners: Vec<std::net::TcpListener>, registry: &Registry) -> io::Result<Self> {
        let mut places = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            listener.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(listener);
            registry.register(&mut listener, Token(1 + index), Interest::READABLE)?;
            places.push(Place { listener, ready: false });
        }
        Ok(Self { places, paused_until: None })
    }

    /// The first token that is not a listener's.
    pub(crate) fn token_end(&self) -> usize {
        1 + self.places.len()
    }

    /// Notes an edge.
    pub(crate) fn mark_ready(&mut self, token: Token) {
        if let Some(place) = token.0.checked_sub(1).and_then(|index| self.places.get_mut(index)) {
            place.ready = true;
        }
    }

    /// Whether [`Listeners::accept`] may find a connection now.
    pub(crate) fn is_ready(&self) -> bool {
        self.paused_until.is_none() && self.places.iter().any(|place| place.ready)
    }

    /// When accepting goes on after a pause.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// The next connection, if one is waiting.
    pub(crate) fn accept(&mut self, now: Instant) -> Option<(TcpStream, SocketAddr)> {
        if self.paused_until.is_some_and(|until| until > now) {
            return None;
        }
        self.paused_until = None;
        for place in self.places.iter_mut().filter(|place| place.ready) {
            loop {
                match place.listener.accept() {
                    Ok(accepted) => return Some(accepted),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        place.ready = false;
                        break;
                    }
                    // The peer gave up while it was waiting: look at the next.
                    Err(error) if is_of_peer(&error) => {}
                    Err(_) => {
                        self.paused_until = Some(now + PAUSE);
                        return None;
                    }
                }
            }
        }
        None
    }
}

/// Whether an accept failed for that one connection alone.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
