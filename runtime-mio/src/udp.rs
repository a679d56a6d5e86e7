//! The UDP sockets: one for each family, for all that the session says by datagrams.
//!
//! What can't be sent at once waits in a short queue, and beyond that is dropped, as any network
//! would do it. What comes is read in short turns, so that a flood leaves the peers theirs.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use peerless_core::Hop;

/// Datagrams that wait for room in a socket's buffer; more are dropped.
const QUEUE_MAX: usize = 256;

/// All UDP sockets, by token.
#[derive(Debug)]
pub(crate) struct UdpSockets {
    first: usize,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    socket: UdpSocket,
    /// What it is bound to.
    ip: IpAddr,
    /// There may be something to read: true from an edge until a look finds nothing.
    readable: bool,
    queue: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl UdpSockets {
    /// Takes over the sockets, whose tokens begin with `first`.
    pub(crate) fn new(
        sockets: Vec<std::net::UdpSocket>,
        registry: &Registry,
        first: usize,
    ) -> io::Result<Self> {
        let mut places = Vec::new();
        for (index, socket) in sockets.into_iter().enumerate() {
            socket.set_nonblocking(true)?;
            let ip = socket.local_addr()?.ip();
            let mut socket = UdpSocket::from_std(socket);
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut socket, Token(first + index), interest)?;
            places.push(Place { socket, ip, readable: false, queue: VecDeque::new() });
        }
        Ok(Self { first, places })
    }

    /// The first token that is not a socket's.
    pub(crate) fn token_end(&self) -> usize {
        self.first + self.places.len()
    }

    /// Notes an edge, if the token is a socket's.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let index = event.token().0.checked_sub(self.first);
        if let Some(place) = index.and_then(|index| self.places.get_mut(index)) {
            place.readable |= event.is_readable() || event.is_error();
            if event.is_writable() {
                place.flush();
            }
        }
    }

    /// Whether [`UdpSockets::receive`] may find a datagram now.
    pub(crate) fn is_ready(&self) -> bool {
        self.places.iter().any(|place| place.readable)
    }

    /// The next datagram, if one is there.
    pub(crate) fn receive<'a>(&mut self, scratch: &'a mut [u8]) -> Option<(SocketAddr, &'a [u8])> {
        for place in self.places.iter_mut().filter(|place| place.readable) {
            if let Some((from, len)) = place.receive(scratch) {
                return scratch.get(..len).map(|bytes| (from, bytes));
            }
        }
        None
    }

    /// Sends a datagram from the socket that is bound as it wants, if there is one.
    pub(crate) fn send(&mut self, hop: Hop, bytes: Vec<u8>) {
        let place = self.places.iter_mut().find(|place| hop.leaves_from(place.ip));
        if let Some(place) = place.filter(|place| place.queue.len() < QUEUE_MAX) {
            place.queue.push_back((hop.to(), bytes));
            // Behind others it waits for the edge that they wait for.
            if place.queue.len() == 1 {
                place.flush();
            }
        }
    }
}

impl Place {
    fn receive(&mut self, scratch: &mut [u8]) -> Option<(SocketAddr, usize)> {
        loop {
            match self.socket.recv_from(scratch) {
                Ok((len, from)) => return Some((from, len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What went wrong with a datagram sent before, as some systems tell it here.
                Err(error) if is_of_one(&error) => {}
                Err(_) => {
                    self.readable = false;
                    return None;
                }
            }
        }
    }

    fn flush(&mut self) {
        while let Some((to, bytes)) = self.queue.front() {
            match self.socket.send_to(bytes, *to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // No way to that host, say: then it is lost, as on any network.
                Ok(_) | Err(_) => drop(self.queue.pop_front()),
            }
        }
    }
}

/// Whether an error is about one earlier datagram, and not about the socket.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};
    use peerless_core::{Bind, Route};

    use super::*;

    /// Sockets on loopback with their address, and their poller.
    fn sockets() -> (Poll, UdpSockets, SocketAddr) {
        let poll = Poll::new().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let sockets = UdpSockets::new(vec![socket], poll.registry(), 5).unwrap();
        (poll, sockets, addr)
    }

    #[test]
    fn datagrams_arrive_one_by_one_and_then_none() {
        let (mut poll, mut ours, addr) = sockets();
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let other_addr = other.local_addr().unwrap();
        for bytes in [&b"one"[..], b"", b"three"] {
            other.send_to(bytes, addr).unwrap();
        }
        let (mut events, mut got) = (Events::with_capacity(8), Vec::new());
        let mut scratch = [0; 100];
        while got.len() < 3 {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nothing comes");
            events.iter().for_each(|event| ours.on_event(event));
            while let Some((from, bytes)) = ours.receive(&mut scratch) {
                assert_eq!(from, other_addr);
                got.push(bytes.to_vec());
            }
        }
        assert_eq!(got, [&b"one"[..], b"", b"three"]);
        assert!(!ours.is_ready());
    }

    fn hop(route: &Route, to: &str) -> Hop {
        route.datagram(to.parse().unwrap()).unwrap()
    }

    #[test]
    fn what_can_not_leave_is_dropped() {
        let (_poll, mut ours, addr) = sockets();
        let any = Route::default();
        let itself = hop(&any, &addr.to_string());
        ours.send(hop(&any, "[::1]:1"), vec![1]);
        ours.send(itself, vec![0; 70_000]);
        let elsewhere = Route::from(Bind::to([127, 0, 0, 2].into()));
        ours.send(hop(&elsewhere, &addr.to_string()), vec![1]);
        assert!(ours.places[0].queue.is_empty());
        let waits = (addr, vec![2]);
        ours.places[0].queue.extend(std::iter::repeat_n(waits, QUEUE_MAX));
        ours.send(itself, vec![3]);
        assert_eq!(ours.places[0].queue.len(), QUEUE_MAX);
    }
}
