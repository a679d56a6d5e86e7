//! Connections for HTTP, made as a route says: bound, and through its proxy.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peerless_core::wire::{NAME_LEN_MAX, Socks5Target};
use peerless_core::{FetchError, Hop, Proxy, Route};
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};

use super::url;
use crate::error::{locked, words};
use crate::proxy;

/// How long one of several addresses may take at least, however little time there is.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// What went wrong with a proxy, which ureq's errors have no word for.
pub(super) type Blame = Arc<Mutex<Option<FetchError>>>;

/// What makes a connection, and TLS over it where that is wanted.
pub(super) fn connector(route: Route, blame: Blame) -> impl Connector {
    RouteConnector { route, blame }.chain(RustlsConnector::default())
}

/// Connects as its route says.
#[derive(Debug)]
struct RouteConnector {
    route: Route,
    blame: Blame,
}

impl Connector for RouteConnector {
    type Out = Stream;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Stream>, Error> {
        let stream = match &self.route.proxy {
            Some(proxy) => self.through(proxy, details.uri, details.timeout)?,
            None => self.direct(&details.addrs, details.timeout)?,
        };
        stream.set_nodelay(true)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Stream { stream, buffers }))
    }
}

impl RouteConnector {
    /// To the first of the addresses that answers. Each but the last has half of the time that is left.
    fn direct(&self, addrs: &[SocketAddr], timeout: NextTimeout) -> Result<TcpStream, Error> {
        let hops: Vec<Hop> = addrs.iter().filter_map(|addr| self.route.stream(*addr)).collect();
        let deadline = deadline(timeout);
        let mut last = Error::HostNotFound;
        for (index, hop) in hops.iter().enumerate() {
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let most = if index + 1 < hops.len() { left / 2 } else { left };
            match peerless_net::connect(*hop, most.max(TIMEOUT_MIN)) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = in_time(error, timeout),
            }
        }
        Err(last)
    }

    fn through(&self, proxy: &Proxy, uri: &Uri, timeout: NextTimeout) -> Result<TcpStream, Error> {
        let target = target(uri).ok_or(Error::HostNotFound)?;
        proxy::connect(&self.route, proxy, target, deadline(timeout)).map_err(|error| {
            *locked(&self.blame) = Some(FetchError::Proxy(words(&error)));
            in_time(error, timeout)
        })
    }
}

/// Where a proxy is to connect to.
fn target(uri: &Uri) -> Option<Socks5Target> {
    let (host, port) = url::host_and_port(uri)?;
    match host.parse() {
        Ok(ip) => Some(Socks5Target::Addr(SocketAddr::new(ip, port))),
        Err(_) => (host.len() <= NAME_LEN_MAX).then(|| Socks5Target::Name(host.to_owned(), port)),
    }
}

/// A connection as ureq wants it: its waits end with the time that a request has.
#[derive(Debug)]
struct Stream {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(time_left(deadline(timeout), timeout)?)?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let deadline = deadline(timeout);
        loop {
            self.stream.set_read_timeout(time_left(deadline, timeout)?)?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(len) => {
                    self.buffers.input_appended(len);
                    return Ok(len > 0);
                }
                // A signal; the system does not go on by itself where a wait has an end.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(in_time(error, timeout)),
            }
        }
    }

    /// Whether it can serve again: nobody has ended it or sent what was not asked for.
    fn is_open(&mut self) -> bool {
        let is_quiet = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            Ok::<_, io::Error>(peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
        };
        is_quiet(&self.stream).unwrap_or(false)
    }
}

/// When a wait has to end, if it has to.
fn deadline(timeout: NextTimeout) -> Option<Instant> {
    timeout.not_zero().and_then(|after| Instant::now().checked_add(*after))
}

/// How long a wait may be.
fn time_left(deadline: Option<Instant>, timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    let Some(deadline) = deadline else { return Ok(None) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Error::Timeout(timeout.reason)) } else { Ok(Some(left)) }
}

/// An error of a socket; that its time is over has two names.
fn in_time(error: io::Error, timeout: NextTimeout) -> Error {
    let is_late = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
    if is_late { Error::Timeout(timeout.reason) } else { error.into() }
}
