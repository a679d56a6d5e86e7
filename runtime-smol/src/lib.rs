//! Runs a [`Session`] on smol: an executor of this thread for sockets and time, `unblock` for what
//! blocks.
//!
//! It moves bytes between sockets and the session, keeps the session's time and hands its jobs to
//! workers. It knows nothing of the protocol.
//!
//! ```no_run
//! use peerless_core::{Config, Event, Instant, Session};
//! use peerless_smol::{Options, Runtime};
//!
//! # fn work(job: peerless_core::Job) -> peerless_core::JobDone { unimplemented!("{job:?}") }
//! # fn main() -> std::io::Result<()> {
//! let session = Session::new(Config::default(), 1, Instant::START);
//! // … add torrents …
//! let runtime = Runtime::new(Options::default())?;
//! let stop = runtime.stop_handle(); // for another thread
//! runtime.run(session, work, |session, now, event| {
//!     if matches!(event, Event::Complete { .. }) {
//!         session.shut_down(now);
//!     }
//! })
//! # }
//! ```

mod conn;
mod driver;
mod listener;
mod signal;
mod stop;
mod udp;
mod workers;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread;

use async_io::Async;
use peerless_core::{Event, Instant, Session, Work};
use smol::channel::{self, Receiver};

use crate::udp::Udp;
use crate::workers::Workers;

pub use crate::stop::StopHandle;

/// What a [`Runtime`] runs with.
#[derive(Debug)]
pub struct Options {
    /// Where peers can reach us; bound by the caller, who thus knows the port. May be empty.
    pub listeners: Vec<TcpListener>,
    /// What datagrams leave from and come to: at most one socket for each family, usually of the
    /// listeners' port. Without one for its family a datagram is dropped.
    pub udp_sockets: Vec<UdpSocket>,
    /// Disk jobs at work at once.
    ///
    /// By default one a core, since a job hashes too; but at least 2, so that a sync to disk does
    /// not hold up every write, and at most 4, since one loop feeds no more.
    pub disk_jobs_max: usize,
    /// Tracker requests and name look-ups at work at once.
    ///
    /// By default 8: they mostly wait, and a few dead servers must not hold up the live ones.
    pub net_jobs_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            listeners: Vec::new(),
            udp_sockets: Vec::new(),
            disk_jobs_max: cores.clamp(2, 4),
            net_jobs_max: 8,
        }
    }
}

/// A driver that is ready to run one session.
#[derive(Debug)]
pub struct Runtime {
    stop: StopHandle,
    stopped: Receiver<()>,
    listeners: Vec<Async<TcpListener>>,
    udp: Vec<Udp>,
    disk_jobs_max: usize,
    net_jobs_max: usize,
}

impl Runtime {
    /// Takes over the sockets.
    ///
    /// # Errors
    /// When the system has no poller or refuses a socket.
    pub fn new(options: Options) -> io::Result<Self> {
        let (sender, stopped) = channel::bounded(1);
        let listeners = options.listeners.into_iter().map(Async::new).collect::<io::Result<_>>()?;
        let udp = options.udp_sockets.into_iter().map(|socket| Udp::new(Async::new(socket)?));
        let udp = udp.collect::<io::Result<_>>()?;
        Ok(Self {
            stop: StopHandle::new(sender),
            stopped,
            listeners,
            udp,
            disk_jobs_max: options.disk_jobs_max,
            net_jobs_max: options.net_jobs_max,
        })
    }

    /// What stops [`Runtime::run`] from elsewhere.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Runs `session`, made with [`Instant::START`], until it has shut down and every disk job has
    /// ended. A tracker request that hangs is left behind.
    ///
    /// `work` does the jobs, on several threads at once. `on_event` is called on this thread and
    /// may tell the session what to do.
    ///
    /// # Errors
    /// None today; a poller that fails is not reported by `async-io`.
    ///
    /// # Panics
    /// When `work` panicked, with its payload.
    pub fn run(
        self,
        session: Session,
        work: impl Work,
        on_event: impl FnMut(&mut Session, Instant, Event),
    ) -> io::Result<()> {
        let workers = Workers::new(self.disk_jobs_max, self.net_jobs_max, Arc::new(work));
        driver::run(session, workers, (self.listeners, self.udp), self.stopped, Box::new(on_event));
        Ok(())
    }
}
