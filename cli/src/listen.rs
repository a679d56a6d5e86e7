//! The sockets that peers reach us at: for TCP and for UDP, over IPv4 and IPv6 or at the one address
//! that is bound, all with one port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use peerless_core::{Bind, Route};
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
    /// Their port; `None`: no connections are taken.
    pub port: Option<u16>,
}

impl Listeners {
    /// Takes no connections, and has a port of the system's choice for datagrams at each address that the
    /// route allows and the system has. None with a proxy: no datagram goes past it.
    #[must_use]
    pub fn for_datagrams(route: &Route) -> Self {
        let ips = route.unproxied().map(ips).unwrap_or_default();
        let udp = ips.into_iter().filter_map(|ip| bind_udp((ip, 0).into()).ok()).collect();
        Self { tcp: Vec::new(), udp, port: None }
    }

    /// Listens on `port` (0: on any), or without one on the first free port from 6881 to 6889, at the
    /// address that the route has; with a proxy on nothing, since who calls would come past it.
    ///
    /// Where any address will do, a family that the system does not have is left out.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn bind(route: &Route, port: Option<u16>) -> Result<Self, Failure> {
        let Some(bind) = route.unproxied() else { return Ok(Self::for_datagrams(route)) };
        let (what, found) = match port {
            Some(0) => ("any port".to_owned(), first(bind, (0..ANY_PORT_TRIES).map(|_| 0))),
            Some(port) => (format!("port {port}"), bind_all(bind, port)),
            None => (format!("ports {} to {}", PORTS.start(), PORTS.end()), first(bind, PORTS)),
        };
        let what = bind.ip().map_or_else(|| what.clone(), |ip| format!("{ip}, {what}"));
        found.map_err(|error| {
            Failure::new(Exit::Network, what, format_args!("can't listen: {}", words(&error)))
        })
    }
}

/// The addresses to listen at.
fn ips(bind: Bind) -> Vec<IpAddr> {
    match bind.ip() {
        Some(ip) => vec![ip],
        None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
    }
}

/// The first of `ports` that is free, or the last one's error.
fn first(bind: Bind, ports: impl Iterator<Item = u16>) -> io::Result<Listeners> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports {
        match bind_all(bind, port) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Of several addresses those that the system has; all with the port of the first.
fn bind_all(bind: Bind, mut port: u16) -> io::Result<Listeners> {
    let (mut tcp, mut udp) = (Vec::new(), Vec::new());
    let mut missing = None;
    for ip in ips(bind) {
        match bind_one((ip, port).into()) {
            Ok((listener, socket)) => {
                port = listener.local_addr()?.port();
                tcp.push(listener);
                udp.push(socket);
            }
            Err(error) if is_family_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if tcp.is_empty() => Err(error),
        Some(_) | None => Ok(Listeners { tcp, udp, port: Some(port) }),
    }
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
    use peerless_core::Proxy;
    use std::sync::Arc;

    #[test]
    fn any_port_is_one_port_in_all_families() {
        let listeners = Listeners::bind(&Route::default(), Some(0)).unwrap();
        assert_ne!(listeners.port, Some(0));
        let addrs = listeners.tcp.iter().map(TcpListener::local_addr);
        let addrs = addrs.chain(listeners.udp.iter().map(UdpSocket::local_addr));
        assert!(addrs.map(|addr| Some(addr.unwrap().port())).all(|port| port == listeners.port));
        assert_eq!(listeners.tcp.len(), listeners.udp.len());
    }

    #[test]
    fn a_port_that_others_have_for_datagrams_is_in_use() {
        let other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        assert_eq!(Listeners::bind(&Route::default(), Some(port)).unwrap_err().exit(), Exit::Network);
    }

    #[test]
    fn a_port_in_use_is_a_network_failure() {
        let any = Route::default();
        let port = Listeners::bind(&any, Some(0)).unwrap();
        let number = port.port.unwrap();
        let failure = Listeners::bind(&any, Some(number)).unwrap_err();
        assert_eq!(failure.exit(), Exit::Network);
        assert!(failure.message().starts_with(&format!("port {number}: can't listen")), "{failure}");
    }

    #[test]
    fn at_an_address_that_is_bound_it_alone_listens() {
        let ip: IpAddr = [127, 0, 0, 77].into();
        let listeners = Listeners::bind(&Bind::to(ip).into(), Some(0)).unwrap();
        let at: Vec<_> = listeners.tcp.iter().map(|tcp| tcp.local_addr().unwrap()).collect();
        assert_eq!(at, [SocketAddr::new(ip, listeners.port.unwrap())]);
        assert_eq!(listeners.udp[0].local_addr().unwrap(), at[0]);
        let away: IpAddr = [192, 0, 2, 1].into();
        let failure = Listeners::bind(&Bind::to(away).into(), None).unwrap_err();
        assert_eq!(failure.exit(), Exit::Network);
    }

    #[test]
    fn with_a_proxy_nothing_listens() {
        let proxy = Proxy { addr: ([127, 0, 0, 1], 1).into(), login: None };
        let route = Route { bind: Bind::ANY, proxy: Some(Arc::new(proxy)) };
        let listeners = Listeners::bind(&route, Some(0)).unwrap();
        assert!(listeners.tcp.is_empty() && listeners.udp.is_empty() && listeners.port.is_none());
    }
}
