//! The UDP sockets: one for each family, for all that the session says by datagrams.
//!
//! What can't be sent at once waits in a short queue, and beyond that is dropped, as any network
//! would do it. What comes is read in short turns, so that a flood leaves the peers theirs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use peerless_core::{Hop, Input};
use smol::future::yield_now;

use crate::driver::Driver;
use crate::signal::Signal;

/// Datagrams that wait for room in a socket's buffer; more are dropped.
const QUEUE_MAX: usize = 256;

/// Datagrams read before the peers have their turns.
const BATCH_MAX: usize = 32;

/// How long nothing is read after an error of the socket, which may be there again at once.
const PAUSE: Duration = Duration::from_secs(1);

/// A socket and what waits to leave it.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: Async<UdpSocket>,
    /// What it is bound to.
    ip: IpAddr,
    queue: RefCell<VecDeque<(SocketAddr, Vec<u8>)>>,
    /// Something waits.
    waits: Signal,
}

impl Udp {
    pub(crate) fn new(socket: Async<UdpSocket>) -> io::Result<Self> {
        let ip = socket.get_ref().local_addr()?.ip();
        Ok(Self { socket, ip, queue: RefCell::default(), waits: Signal::default() })
    }

    /// Whether it is bound as this hop wants.
    pub(crate) fn is_for(&self, hop: Hop) -> bool {
        hop.leaves_from(self.ip)
    }

    /// Sends a datagram, now if there is room and nothing waits.
    pub(crate) fn send(&self, hop: Hop, bytes: Vec<u8>) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= QUEUE_MAX {
            return;
        }
        queue.push_back((hop.to(), bytes));
        if queue.len() == 1 && !self.flush(&mut queue) {
            self.waits.set();
        }
    }

    /// Sends what waits, as far as there is room; says whether nothing is left.
    fn flush(&self, queue: &mut VecDeque<(SocketAddr, Vec<u8>)>) -> bool {
        while let Some((to, bytes)) = queue.front() {
            match self.socket.get_ref().send_to(bytes, *to) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No way to that host, say: then it is lost, as on any network.
                Ok(_) | Err(_) => drop(queue.pop_front()),
            }
        }
        true
    }

    /// Sends what had to wait, for ever.
    pub(crate) async fn send_waiting(self: Rc<Self>) {
        loop {
            self.waits.wait().await;
            while !self.flush(&mut self.queue.borrow_mut()) {
                if self.socket.writable().await.is_err() {
                    Timer::after(PAUSE).await;
                }
            }
        }
    }

    /// Receives for ever.
    pub(crate) async fn receive(self: Rc<Self>, driver: Rc<Driver<'_>>) {
        loop {
            if self.socket.readable().await.is_err() {
                Timer::after(PAUSE).await;
            }
            for _ in 0..BATCH_MAX {
                match self.receive_one(&driver) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_of_one(&error) => {}
                    Err(_) => {
                        Timer::after(PAUSE).await;
                    }
                }
            }
            yield_now().await;
        }
    }

    fn receive_one(&self, driver: &Rc<Driver<'_>>) -> io::Result<()> {
        let scratch = &mut *driver.scratch.borrow_mut();
        let (len, from) = self.socket.get_ref().recv_from(scratch)?;
        let bytes = scratch.get(..len).unwrap_or_default();
        driver.update(|session, now| session.handle_input(now, Input::Datagram { from, bytes }));
        Ok(())
    }
}

/// Whether an error is about one datagram, and not about the socket: a call that was interrupted, or
/// what went wrong with one sent before, as some systems tell it when the next is received.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
