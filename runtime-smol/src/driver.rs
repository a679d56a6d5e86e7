//! Owns the session: tasks reach it for the length of one call, and what it asks for is done at
//! once. No borrow of it lives across an `.await`, since [`Driver::update`] takes a plain closure.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::rc::{Rc, Weak};

use async_io::{Async, Timer};
use peerless_core::{CloseCause, Event, Input, Instant, Lane, Output, PeerKey, Session};
use smol::channel::Receiver;
use smol::future::{FutureExt, or};
use smol::{LocalExecutor, Task};

use crate::conn::{self, Signals};
use crate::listener;
use crate::signal::Signal;
use crate::udp::Udp;
use crate::workers::{Outcome, Workers};

/// The length of the one buffer that all reads go through, and so of a turn.
///
/// 16 blocks: few calls, and half of a usual second-level cache stays free for hashing.
const SCRATCH_LEN: usize = 256 * 1024;

/// What the program does with an event.
pub(crate) type OnEvent<'a> = Box<dyn FnMut(&mut Session, Instant, Event) + 'a>;

/// What all tasks of a run share.
pub(crate) struct Driver<'a> {
    /// The buffer for reads: used within one call, never kept.
    pub(crate) scratch: RefCell<Vec<u8>>,
    state: RefCell<State<'a>>,
    executor: Weak<LocalExecutor<'a>>,
    /// Wakes the main task for an earlier deadline, a panic or the end.
    attention: Signal,
    panic: Cell<Option<Box<dyn Any + Send>>>,
    start: std::time::Instant,
}

struct State<'a> {
    session: Session,
    on_event: OnEvent<'a>,
    workers: Workers,
    udp: Vec<Rc<Udp>>,
    conns: BTreeMap<PeerKey, Conn>,
    /// The deadline that the main task sleeps until.
    armed: Option<Instant>,
}

/// A connection's task, which ends when this is dropped, and the way to it.
struct Conn {
    signals: Rc<Signals>,
    _task: Task<()>,
}

/// Runs until the session has shut down and every disk job has ended.
pub(crate) fn run(
    session: Session,
    workers: Workers,
    (listeners, udp): (Vec<Async<TcpListener>>, Vec<Udp>),
    stopped: Receiver<()>,
    on_event: OnEvent<'_>,
) {
    let lanes = workers.lanes();
    let udp: Vec<Rc<Udp>> = udp.into_iter().map(Rc::new).collect();
    // The tasks own the driver, so the driver must not own the executor that owns the tasks.
    let executor = Rc::new(LocalExecutor::new());
    let driver = Rc::new(Driver {
        scratch: RefCell::new(vec![0; SCRATCH_LEN]),
        state: RefCell::new(State {
            session,
            on_event,
            workers,
            udp: udp.clone(),
            conns: BTreeMap::new(),
            armed: None,
        }),
        executor: Rc::downgrade(&executor),
        attention: Signal::default(),
        panic: Cell::new(None),
        start: std::time::Instant::now(),
    });
    let mut tasks = vec![driver.spawn(stop(Rc::clone(&driver), stopped))];
    for listener in listeners {
        tasks.push(driver.spawn(listener::accept(Rc::clone(&driver), listener)));
    }
    for udp in udp {
        tasks.push(driver.spawn(Rc::clone(&udp).receive(Rc::clone(&driver))));
        tasks.push(driver.spawn(udp.send_waiting()));
    }
    for (lane, done) in lanes {
        tasks.push(driver.spawn(bring_back(Rc::clone(&driver), lane, done)));
    }
    smol::block_on(executor.run(keep_time(&driver)));
}

/// The main task: lets time pass until the end.
async fn keep_time(driver: &Rc<Driver<'_>>) {
    loop {
        if let Some(panic) = driver.panic.take() {
            resume_unwind(panic);
        }
        let (deadline, ended) = driver.let_time_pass();
        if ended {
            return;
        }
        // A deadline past the end of the system's time is none.
        let deadline = deadline.and_then(|at| driver.start.checked_add(at.since_start()));
        let timer = async {
            match deadline {
                Some(at) => drop(Timer::at(at).await),
                None => pending().await,
            }
        };
        or(driver.attention.wait(), timer).await;
    }
}

/// Stops the session when the handle is pulled.
async fn stop(driver: Rc<Driver<'_>>, stopped: Receiver<()>) {
    if stopped.recv().await.is_ok() {
        driver.update(Session::shut_down);
    }
}

/// Feeds what a lane has finished to the session, as much at once as there is.
async fn bring_back(driver: Rc<Driver<'_>>, lane: Lane, done: Receiver<Outcome>) {
    while let Ok(first) = done.recv().await {
        driver.with(|state, now| {
            let rest = std::iter::from_fn(|| done.try_recv().ok());
            for outcome in std::iter::once(first).chain(rest) {
                let done = outcome.unwrap_or_else(|panic| resume_unwind(panic));
                state.workers.note_end(lane);
                state.session.handle_input(now, Input::Done(done));
            }
        });
    }
}

impl State<'_> {
    /// Whether nothing is left to wait for.
    fn has_ended(&self) -> bool {
        self.session.is_shut_down() && self.workers.is_disk_idle()
    }
}

impl<'a> Driver<'a> {
    /// Asks the session something.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&Session) -> R) -> R {
        question(&self.state.borrow().session)
    }

    /// Tells the session something and does what it asks for in turn.
    pub(crate) fn update<R>(self: &Rc<Self>, tell: impl FnOnce(&mut Session, Instant) -> R) -> R {
        self.with(|state, now| tell(&mut state.session, now))
    }

    /// Offers a connection to the session, and serves it if it is taken.
    pub(crate) fn accept(self: &Rc<Self>, stream: Async<TcpStream>, addr: SocketAddr) {
        self.with(|state, now| {
            if let Some(peer) = state.session.accept(now, addr) {
                let signals = Rc::default();
                let task = conn::serve_accepted(Rc::clone(self), peer, stream, Rc::clone(&signals));
                state.conns.insert(peer, Conn { signals, _task: self.spawn(task) });
            }
        });
    }

    /// Ends a connection that the peer or the system has ended.
    pub(crate) fn close(self: &Rc<Self>, peer: PeerKey, cause: CloseCause) {
        self.with(|state, now| {
            state.conns.remove(&peer);
            state.session.handle_input(now, Input::Closed { peer, cause });
        });
    }

    /// The next deadline, and whether the run has ended.
    fn let_time_pass(self: &Rc<Self>) -> (Option<Instant>, bool) {
        self.update(|session, now| {
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
        });
        let state = &mut *self.state.borrow_mut();
        state.armed = state.session.poll_timeout();
        (state.armed, state.has_ended())
    }

    fn with<R>(self: &Rc<Self>, act: impl FnOnce(&mut State<'a>, Instant) -> R) -> R {
        let state = &mut *self.state.borrow_mut();
        let result = act(state, self.now());
        self.drain(state);
        let earlier = match (state.session.poll_timeout(), state.armed) {
            (Some(at), Some(armed)) => at < armed,
            (at, None) => at.is_some(),
            (None, Some(_)) => false,
        };
        if earlier || state.has_ended() {
            self.attention.set();
        }
        result
    }

    /// Does what the session asks until it asks no more.
    fn drain(self: &Rc<Self>, state: &mut State<'a>) {
        while let Some(output) = state.session.poll_output() {
            match output {
                Output::Connect { peer, hop } => {
                    let signals = Rc::default();
                    let task = conn::connect(Rc::clone(self), peer, hop, Rc::clone(&signals));
                    state.conns.insert(peer, Conn { signals, _task: self.spawn(task) });
                }
                Output::Send { peer } => {
                    if let Some(conn) = state.conns.get(&peer) {
                        conn.signals.send.set();
                    }
                }
                Output::Resume { peer } => {
                    if let Some(conn) = state.conns.get(&peer) {
                        conn.signals.resume.set();
                    }
                }
                Output::Close { peer, reason: _ } => drop(state.conns.remove(&peer)),
                Output::Datagram { hop, bytes } => {
                    if let Some(udp) = state.udp.iter().find(|udp| udp.is_for(hop)) {
                        udp.send(hop, bytes);
                    }
                }
                Output::Job(job) => {
                    if let Some(done) = state.workers.add(job) {
                        state.session.handle_input(self.now(), Input::Done(done));
                    }
                }
                Output::Event(event) => (state.on_event)(&mut state.session, self.now(), event),
            }
        }
        state.workers.start();
    }

    /// A task on the executor. The executor would keep a panic for whoever awaits the task; here
    /// nobody does, so the main task is given it.
    fn spawn(self: &Rc<Self>, future: impl Future<Output = ()> + 'a) -> Task<()> {
        let driver = Rc::clone(self);
        let executor = self.executor.upgrade().expect("the executor outlives what runs on it");
        executor.spawn(async move {
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                driver.panic.set(Some(panic));
                driver.attention.set();
            }
        })
    }

    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}
