//! `peerless tracker --listen ADDR:PORT`: a small HTTP and UDP tracker on one port number.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time;

use peerless_core::Instant;
use peerless_core::rng::Rng;
use peerless_core::tracker::{HttpAnswer, TrackerOptions, TrackerServer};
use smol::channel::Receiver;
use smol::future;

use crate::args::TrackerArgs;
use crate::exit::{Exit, Failure, words};
use crate::signal::Signals;
use crate::{http_server, out, random, udp_server};

/// How often a port of the system's choice is tried: it may be free for one protocol only.
const ANY_PORT_TRIES: usize = 16;

/// What a tracker listens on.
#[derive(Debug)]
pub struct Sockets {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Sockets {
    /// Listens on `addr` for both protocols; on port 0, on any that is free for both.
    ///
    /// # Errors
    /// When the address can't be had.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let bind = || {
            let tcp = TcpListener::bind(addr)?;
            let udp = UdpSocket::bind(tcp.local_addr()?)?;
            Ok(Self { tcp, udp })
        };
        let tries = if addr.port() == 0 { ANY_PORT_TRIES } else { 1 };
        (1..tries).find_map(|_| bind().ok()).map_or_else(bind, Ok)
    }

    /// Where they listen.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves until a signal comes.
///
/// # Errors
/// When it can't listen.
pub fn run(args: &TrackerArgs, signals: &Signals) -> Result<Exit, Failure> {
    let failure = |error: io::Error| {
        Failure::new(Exit::Network, args.listen, format_args!("can't listen: {}", words(&error)))
    };
    let sockets = Sockets::bind(args.listen).map_err(failure)?;
    let addr = sockets.addr().map_err(failure)?;
    let (stop, stopped) = smol::channel::bounded(1);
    // There is room for the one message that is ever sent.
    signals.on_stop(Exit::Done, move || {
        let _ = stop.try_send(());
    });
    if !args.quiet {
        out::print(&format!("http://{addr}/announce\nudp://{addr}/announce\n"))?;
    }
    serve(sockets, &stopped).map_err(failure)?;
    Ok(Exit::Done)
}

/// Serves until a message comes, or nobody is left to send one.
///
/// # Errors
/// When the sockets can't be waited for.
pub fn serve(sockets: Sockets, stopped: &Receiver<()>) -> io::Result<()> {
    let began_at = time::Instant::now();
    let server = TrackerServer::new(TrackerOptions::default(), random::key());
    let state = RefCell::new((server, Rng::new(random::seed())));
    let now = || Instant::from_start(began_at.elapsed());
    let http = |from: IpAddr, target: &str| -> HttpAnswer {
        let (server, rng) = &mut *state.borrow_mut();
        server.handle_http(now(), rng, from, target)
    };
    let udp = |from: SocketAddr, packet: &[u8]| {
        let (server, rng) = &mut *state.borrow_mut();
        server.handle_udp(now(), rng, from, packet)
    };
    let serve = future::race(http_server::serve(sockets.tcp, &http), udp_server::serve(sockets.udp, &udp));
    let stop = async {
        let _ = stopped.recv().await;
        Ok(())
    };
    smol::block_on(future::or(stop, serve))
}
