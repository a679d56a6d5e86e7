//! The sockets that peers reach us at: for TCP and for UDP, over IPv4 and IPv6, all with one port.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::exit::{Exit, Failure, words};

/// The ports that are tried when none is given: those that BEP 3 names.
const PORTS: std::ops::RangeInclusive<u16> = 6881..=6889;

/// Connections that the system keeps for us until we take them.
const BACKLOG: i32 = 128;

/// How often a port of the system's choice is tried: it may be free in one family only.
const ANY_PORT_TRIES: usize = 16;

/// Listening sockets of at least one family.
#[derive(Debug)]
pub struct Listeners {
    /// For connections.
    pub tcp: Vec<TcpListener>,
    /// For datagrams, of the same families.
    pub udp: Vec<UdpSocket>,
    /// Their port.
    pub port: u16,
}

impl Listeners {
    /// Takes no connections, and has a port of the system's choice for datagrams in each family that
    /// the system has.
    #[must_use]
    pub fn for_datagrams() -> Self {
        let any: [SocketAddr; 2] = [(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::UNSPECIFIED, 0).into()];
        Self {
            tcp: Vec::new(),
            udp: any.into_iter().filter_map(|addr| bind_udp(addr).ok()).collect(),
            port: 0,
        }
    }

    /// Listens on `port` (0: on any), or without one on the first free port from 6881 to 6889.
    ///
    /// A family that the system does not have is left out.
    ///
    /// # Errors
    /// When no port can be had in any family.
    pub fn bind(port: Option<u16>) -> Result<Self, Failure> {
        let (what, found) = match port {
            Some(0) => ("any port".to_owned(), first((0..ANY_PORT_TRIES).map(|_| 0))),
            Some(port) => (format!("port {port}"), bind_both(port)),
            None => (format!("ports {} to {}", PORTS.start(), PORTS.end()), first(PORTS)),
        };
        found.map_err(|error| {
            Failure::new(Exit::Network, what, format_args!("can't listen: {}", words(&error)))
        })
    }
}

/// The first of `ports` that is free, or the last one's error.
fn first(ports: impl Iterator<Item = u16>) -> io::Result<Listeners> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports {
        match bind_both(port) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_both(port: u16) -> io::Result<Listeners> {
    let v4 = match bind_one((Ipv4Addr::UNSPECIFIED, port).into()) {
        Ok(pair) => Some(pair),
        Err(error) if is_family_missing(&error) => None,
        Err(error) => return Err(error),
    };
    let port = v4.as_ref().map_or(Ok(port), |(tcp, _)| tcp.local_addr().map(|addr| addr.port()))?;
    let v6 = match bind_one((Ipv6Addr::UNSPECIFIED, port).into()) {
        Ok(pair) => Some(pair),
        Err(error) if v4.is_some() && is_family_missing(&error) => None,
        Err(error) => return Err(error),
    };
    let (tcp, udp): (Vec<_>, Vec<_>) = v4.into_iter().chain(v6).unzip();
    let port = tcp.first().map_or(Ok(port), |socket| socket.local_addr().map(|addr| addr.port()))?;
    Ok(Listeners { tcp, udp, port })
}

/// The sockets of one family, on one port.
fn bind_one(addr: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let tcp = bind_tcp(addr)?;
    let udp = bind_udp(SocketAddr::new(addr.ip(), tcp.local_addr()?.port()))?;
    Ok((tcp, udp))
}

/// An IPv6 socket takes IPv6 alone: addresses of the other family then never come in disguise, and
/// both families can have the port.
fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(addr, Type::STREAM, Protocol::TCP)?;
    // Elsewhere than on Unix this would let another process take the port from us.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(addr, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&SockAddr::from(addr))?;
    Ok(socket.into())
}

fn socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Whether the system lacks the address family, wholly or without an address in it.
fn is_family_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable)
        || error.to_string().contains("family not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_is_one_port_in_all_families() {
        let listeners = Listeners::bind(Some(0)).unwrap();
        assert_ne!(listeners.port, 0);
        let addrs = listeners.tcp.iter().map(TcpListener::local_addr);
        let addrs = addrs.chain(listeners.udp.iter().map(UdpSocket::local_addr));
        assert!(addrs.map(|addr| addr.unwrap().port()).all(|port| port == listeners.port));
        assert_eq!(listeners.tcp.len(), listeners.udp.len());
    }

    #[test]
    fn a_port_that_others_have_for_datagrams_is_in_use() {
        let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        assert_eq!(Listeners::bind(Some(port)).unwrap_err().exit(), Exit::Network);
    }

    #[test]
    fn a_port_in_use_is_a_network_failure() {
        let first = Listeners::bind(Some(0)).unwrap();
        let failure = Listeners::bind(Some(first.port)).unwrap_err();
        assert_eq!(failure.exit(), Exit::Network);
        assert!(failure.message().starts_with(&format!("port {}: can't listen", first.port)), "{failure}");
    }
}
