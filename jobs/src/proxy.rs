//! A SOCKS5 proxy as blocking work has it: the core's negotiation on a socket that waits.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use peerless_core::wire::{Socks5, Socks5Step, Socks5Target};
use peerless_core::{Proxy, Route};

use crate::error::words;

/// A connection to `target` through the proxy, which is to be made by then.
pub(crate) fn connect(
    route: &Route,
    proxy: &Proxy,
    target: Socks5Target,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let stream = call(route, proxy, deadline)?;
    negotiate(&stream, Socks5::new(target, proxy.login.clone()), deadline, false)?;
    Ok(stream)
}

/// Whether the route's proxy, if it has one, is there and takes us: it is asked all but to connect.
///
/// # Errors
/// In words, when it is of no use.
pub fn check_proxy(route: &Route, timeout: Duration) -> Result<(), String> {
    let Some(proxy) = &route.proxy else { return Ok(()) };
    let deadline = Instant::now().checked_add(timeout);
    let nowhere = Socks5Target::Addr(SocketAddr::from(([0, 0, 0, 0], 0)));
    let check = || {
        let stream = call(route, proxy, deadline)?;
        negotiate(&stream, Socks5::new(nowhere, proxy.login.clone()), deadline, true)
    };
    check().map_err(|error| words(&error))
}

fn call(route: &Route, proxy: &Proxy, deadline: Option<Instant>) -> io::Result<TcpStream> {
    let hop = route.stream(proxy.addr);
    let hop = hop.ok_or_else(|| io::Error::other("it is not reached from the address that is bound"))?;
    peerless_net::connect(hop, left(deadline)?)
}

/// Has the proxy connect, or goes as far as that. Not a byte is read beyond its last: it comes one by
/// one, a few dozen in all.
fn negotiate(
    stream: &TcpStream,
    mut socks: Socks5,
    deadline: Option<Instant>,
    is_check: bool,
) -> io::Result<()> {
    send(stream, &socks.greeting(), deadline)?;
    loop {
        match socks.step(&[next_byte(stream, deadline)?]).map_err(io::Error::other)? {
            Socks5Step::NeedMore => {}
            Socks5Step::Send { .. } if is_check && socks.has_asked() => return Ok(()),
            Socks5Step::Send { bytes, .. } => send(stream, &bytes, deadline)?,
            Socks5Step::Done { .. } => return Ok(()),
        }
    }
}

fn send(mut stream: &TcpStream, bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(bytes)
}

fn next_byte(mut stream: &TcpStream, deadline: Option<Instant>) -> io::Result<u8> {
    let mut byte = [0];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::Error::other("it ends the connection")),
            Ok(_) => return Ok(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
}

/// The time that is left, at most an hour: sockets don't wait without end.
fn left(deadline: Option<Instant>) -> io::Result<Duration> {
    const MOST: Duration = Duration::from_secs(3600);
    let left = deadline.map_or(MOST, |at| at.saturating_duration_since(Instant::now()));
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left.min(MOST)) }
}
