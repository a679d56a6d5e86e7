//! One peer's socket: a task that reads and writes in turns until the connection ends.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;

use async_io::Async;
use peerless_core::{CloseCause, Hop, Input, PeerKey};
use smol::future::{or, yield_now};

use crate::driver::Driver;
use crate::signal::Signal;

/// The most runs of bytes in one write: what a turn of 1 MiB needs for blocks with their headers.
const SLICES_MAX: usize = 64;

/// How the driver reaches a connection's task.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// There is something to send.
    pub(crate) send: Signal,
    /// Reading may go on.
    pub(crate) resume: Signal,
}

/// Connects and serves the connection to its end.
pub(crate) async fn connect(driver: Rc<Driver<'_>>, peer: PeerKey, hop: Hop, signals: Rc<Signals>) {
    let cause = match connected(hop).await.and_then(tuned) {
        Ok(stream) => {
            driver.update(|session, now| session.handle_input(now, Input::Connected { peer }));
            Conn { driver: &driver, peer, stream, signals: &signals }.serve().await
        }
        Err(error) => error.kind().into(),
    };
    driver.close(peer, cause);
}

/// A connection as the hop says.
async fn connected(hop: Hop) -> io::Result<Async<TcpStream>> {
    let stream = Async::new_nonblocking(peerless_net::start_connect(hop)?)?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => stream.get_ref().peer_addr().map(|_| stream),
    }
}

/// Serves a connection that is up to its end.
pub(crate) async fn serve_accepted(
    driver: Rc<Driver<'_>>,
    peer: PeerKey,
    stream: Async<TcpStream>,
    signals: Rc<Signals>,
) {
    let cause = match tuned(stream) {
        Ok(stream) => Conn { driver: &driver, peer, stream, signals: &signals }.serve().await,
        Err(error) => error.kind().into(),
    };
    driver.close(peer, cause);
}

/// Sends small messages at once: they are gathered before they come here.
fn tuned(stream: Async<TcpStream>) -> io::Result<Async<TcpStream>> {
    stream.get_ref().set_nodelay(true)?;
    Ok(stream)
}

/// What a read came to.
enum ReadTurn {
    /// The buffer was filled: there may be more.
    Full,
    /// There is no more now.
    Drained,
    /// The session wants no more now.
    Paused,
    /// The stream has ended.
    Closed(CloseCause),
}

/// What a write came to.
enum WriteTurn {
    /// Everything that fitted in one write went out, and there is more.
    More,
    /// There is no room now.
    Blocked,
    /// There is nothing to send.
    Empty,
    /// Nothing can be sent any more.
    Broken,
}

/// A connection that is up.
struct Conn<'c, 'a> {
    driver: &'c Rc<Driver<'a>>,
    peer: PeerKey,
    stream: Async<TcpStream>,
    signals: &'c Signals,
}

impl Conn<'_, '_> {
    /// Reads and writes until the stream ends. The task is dropped where the session closes it.
    async fn serve(&self) -> CloseCause {
        let ended = or(async { Some(self.read_all().await) }, self.write_all()).await;
        match ended {
            Some(cause) => cause,
            // The peer may have sent its last blocks before it went.
            None => self.read_rest().await,
        }
    }

    async fn read_all(&self) -> CloseCause {
        loop {
            match self.read() {
                // Also where more is there: the reactor asks for the others first.
                ReadTurn::Full | ReadTurn::Drained => {
                    if let Err(error) = self.stream.readable().await {
                        return error.kind().into();
                    }
                }
                ReadTurn::Paused => self.signals.resume.wait().await,
                ReadTurn::Closed(cause) => return cause,
            }
        }
    }

    /// Reads what is there already.
    async fn read_rest(&self) -> CloseCause {
        loop {
            match self.read() {
                ReadTurn::Full => yield_now().await,
                ReadTurn::Paused => self.signals.resume.wait().await,
                ReadTurn::Drained => return CloseCause::Failed,
                ReadTurn::Closed(cause) => return cause,
            }
        }
    }

    /// Writes until that fails; the reads tell why.
    async fn write_all(&self) -> Option<CloseCause> {
        loop {
            match self.write() {
                WriteTurn::More => yield_now().await,
                WriteTurn::Blocked => self.stream.writable().await.ok()?,
                WriteTurn::Empty => self.signals.send.wait().await,
                WriteTurn::Broken => return None,
            }
        }
    }

    /// One read through the driver's buffer.
    fn read(&self) -> ReadTurn {
        let peer = self.peer;
        let len_max = self.driver.ask(|session| session.wants_read(peer).then(|| session.read_len_max(peer)));
        let Some(len_max) = len_max else { return ReadTurn::Paused };
        let mut scratch = self.driver.scratch.borrow_mut();
        let len_max = scratch.len().min(len_max);
        let scratch = scratch.get_mut(..len_max).unwrap_or_default();
        loop {
            match self.stream.get_ref().read(scratch) {
                Ok(0) => return ReadTurn::Closed(CloseCause::End),
                Ok(len) => {
                    let bytes = scratch.get(..len).unwrap_or_default();
                    self.driver.update(|session, now| {
                        session.handle_input(now, Input::Received { peer, bytes });
                    });
                    return if len == scratch.len() { ReadTurn::Full } else { ReadTurn::Drained };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return ReadTurn::Drained,
                Err(error) => return ReadTurn::Closed(error.kind().into()),
            }
        }
    }

    /// One write of what the session has for this peer.
    fn write(&self) -> WriteTurn {
        let peer = self.peer;
        let (written, total_len) = self.driver.ask(|session| {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            let mut total_len = 0;
            for (slice, bytes) in slices.iter_mut().zip(session.unsent(peer)) {
                *slice = IoSlice::new(bytes);
                count += 1;
                total_len += bytes.len();
            }
            let slices = slices.get(..count).unwrap_or_default();
            (if count > 0 { self.stream.get_ref().write_vectored(slices) } else { Ok(0) }, total_len)
        });
        match written {
            Ok(_) if total_len == 0 => WriteTurn::Empty,
            Ok(len) => {
                self.driver.update(|session, now| session.sent(now, peer, len));
                if len < total_len {
                    WriteTurn::Blocked
                } else if self.driver.ask(|session| session.unsent(peer).next().is_some()) {
                    WriteTurn::More
                } else {
                    WriteTurn::Empty
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => WriteTurn::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => WriteTurn::Blocked,
            Err(_) => WriteTurn::Broken,
        }
    }
}
