//! Sockets that leave the way a [`Hop`] says, and no other: the one place where what connects is made.
//!
//! A hop that names an address is bound to it before anything is sent. Where that can't be done there
//! is an error, and no connection another way.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use peerless_core::Hop;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Begins to connect, without waiting: the socket is non-blocking, and writable once that has ended.
///
/// # Errors
/// When the address can't be bound, or the system knows at once that no way leads there.
pub fn start_connect(hop: Hop) -> io::Result<TcpStream> {
    let socket = bound(hop)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(hop.to())) {
        Err(error) if is_under_way(&error) => {}
        done => done?,
    }
    Ok(socket.into())
}

/// Connects, for no longer than `timeout`.
///
/// # Errors
/// When the address can't be bound, or no connection is made in time.
pub fn connect(hop: Hop, timeout: Duration) -> io::Result<TcpStream> {
    let socket = bound(hop)?;
    socket.connect_timeout(&SockAddr::from(hop.to()), timeout)?;
    Ok(socket.into())
}

/// Whether sockets can be bound to this address: whether it is one of this machine's.
///
/// # Errors
/// When they can't.
pub fn check_bind(ip: IpAddr) -> io::Result<()> {
    let addr = SocketAddr::new(ip, 0);
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SockAddr::from(addr))
}

/// A socket for a connection, bound as the hop says. The port is the system's choice: without
/// `SO_REUSEADDR` it gives none that another socket has at this address.
fn bound(hop: Hop) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(hop.to()), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(ip) = hop.bind().ip() {
        socket.bind(&SockAddr::from(SocketAddr::new(ip, 0)))?;
    }
    Ok(socket)
}

fn is_under_way(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::{Bind, Route};
    use std::net::TcpListener;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn route(ip: &str) -> Route {
        Bind::to(ip.parse().unwrap()).into()
    }

    /// From where the listener sees a connection come.
    fn came_from(listener: &TcpListener) -> IpAddr {
        listener.accept().unwrap().1.ip()
    }

    #[test]
    fn a_connection_comes_from_the_address_that_is_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        for ip in ["127.0.0.1", "127.0.0.77"] {
            let hop = route(ip).stream(to).unwrap();
            let _stream = start_connect(hop).unwrap();
            assert_eq!(came_from(&listener), ip.parse::<IpAddr>().unwrap());
            let _stream = connect(hop, TIMEOUT).unwrap();
            assert_eq!(came_from(&listener), ip.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_and_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        // Of the block for documentation: nobody has it.
        let away = "192.0.2.1";
        let hop = route(away).stream(listener.local_addr().unwrap()).unwrap();
        for error in [start_connect(hop).unwrap_err(), connect(hop, TIMEOUT).unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(check_bind(away.parse().unwrap()).is_err() && check_bind([127, 0, 0, 1].into()).is_ok());
    }
}
