//! The loop: wait, tell the session what happened, do what it asks, in fair turns.
//!
//! Sockets are edge-triggered: an edge sets a flag and puts the connection on the ready list. A
//! turn is one read and one write; who has more goes to the list's end, so that a fast peer waits
//! for the slow ones. What a session has to say to a peer leaves at the end of that peer's turn,
//! many messages in one write.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::{Events, Poll, Token};
use peerless_core::key::Key;
use peerless_core::{CloseCause, Event, Input, Instant, Output, PeerKey, Session};

use crate::conn::{Conn, Conns};
use crate::listener::Listeners;
use crate::stop::StopHandle;
use crate::udp::UdpSockets;
use crate::workers::Workers;

/// The waker's token. The listeners' and the UDP sockets' follow, then the connections' by the index of their key.
pub(crate) const WAKER: Token = Token(0);

/// The length of the one buffer that all reads go through, and so of a turn.
///
/// 16 blocks: few calls, and half of a usual second-level cache stays free for hashing.
const SCRATCH_LEN: usize = 256 * 1024;

/// Readiness taken from the system at once.
const EVENTS_MAX: usize = 256;

/// Connections accepted in one round, so that a flood of them leaves time for the peers.
const ACCEPTS_MAX: usize = 64;

/// Datagrams read in one round, for the same reason.
const DATAGRAMS_MAX: usize = 64;

/// Turns in one round, before deadlines and jobs are seen to: 4 MiB at most, a millisecond or two.
const TURNS_MAX: usize = 16;

/// Everything that runs on the loop's thread.
pub(crate) struct EventLoop<'a> {
    poll: Poll,
    listeners: Listeners,
    udp: UdpSockets,
    stop: StopHandle,
    /// Whether the session has been told to stop.
    stopped: bool,
    workers: Workers,
    session: Session,
    on_event: &'a mut dyn FnMut(&mut Session, Instant, Event),
    conns: Conns,
    /// Connections that wait for a turn, each once.
    ready: VecDeque<PeerKey>,
    scratch: Vec<u8>,
    start: std::time::Instant,
}

impl<'a> EventLoop<'a> {
    pub(crate) fn new(
        poll: Poll,
        listeners: Listeners,
        udp: UdpSockets,
        stop: StopHandle,
        workers: Workers,
        session: Session,
        on_event: &'a mut dyn FnMut(&mut Session, Instant, Event),
    ) -> Self {
        Self {
            poll,
            listeners,
            udp,
            stop,
            stopped: false,
            workers,
            session,
            on_event,
            conns: Conns::default(),
            ready: VecDeque::new(),
            scratch: vec![0; SCRATCH_LEN],
            start: std::time::Instant::now(),
        }
    }

    /// Runs until the session has shut down.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        self.drain()?;
        while !self.session.is_shut_down() {
            self.wait(&mut events)?;
            events.iter().for_each(|event| self.on_readiness(event));
            self.note_stop();
            self.take_done();
            self.let_time_pass();
            self.drain()?;
            self.accept()?;
            self.receive_datagrams()?;
            // Who comes on the list from now on waits until the system has been asked for others.
            for _ in 0..self.ready.len().min(TURNS_MAX) {
                let Some(peer) = self.ready.pop_front() else { break };
                self.take_turn(peer)?;
            }
        }
        self.workers.finish_disk();
        self.take_done();
        self.drain()?;
        // What the last results led to, if anything.
        self.workers.finish_disk();
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }

    /// Waits for readiness, a finished job, a stop or the next deadline.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let busy = !self.ready.is_empty()
            || self.listeners.is_ready()
            || self.udp.is_ready()
            || !self.workers.may_sleep();
        let deadline =
            [self.session.poll_timeout(), self.listeners.paused_until()].into_iter().flatten().min();
        let timeout = if busy { Some(Duration::ZERO) } else { deadline.map(|at| at.since(self.now())) };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            polled => polled,
        }
    }

    fn on_readiness(&mut self, event: &Readiness) {
        let token = event.token();
        if token == WAKER {
            return;
        }
        let Some(index) = token.0.checked_sub(self.udp.token_end()) else {
            self.listeners.mark_ready(token);
            self.udp.on_event(event);
            return;
        };
        if let Some(conn) = self.conns.at_mut(index) {
            conn.on_event(event);
            enqueue(&mut self.ready, conn);
        }
    }

    fn note_stop(&mut self) {
        if !self.stopped && self.stop.is_asked() {
            self.stopped = true;
            self.session.shut_down(self.now());
        }
    }

    fn take_done(&mut self) {
        let now = self.now();
        for done in self.workers.take_done() {
            match done {
                Ok(done) => self.session.handle_input(now, Input::Done(done)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }

    fn let_time_pass(&mut self) {
        let now = self.now();
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        let now = self.now();
        for _ in 0..ACCEPTS_MAX {
            let Some((stream, addr)) = self.listeners.accept(now) else { break };
            let Some(peer) = self.session.accept(now, addr) else { continue };
            self.open(peer, Conn::accepted(peer, stream));
        }
        self.drain()
    }

    fn receive_datagrams(&mut self) -> io::Result<()> {
        let now = self.now();
        for _ in 0..DATAGRAMS_MAX {
            let Some((from, bytes)) = self.udp.receive(&mut self.scratch) else { break };
            self.session.handle_input(now, Input::Datagram { from, bytes });
        }
        self.drain()
    }

    /// Puts a new connection to work, or tells the session that there is none.
    fn open(&mut self, peer: PeerKey, conn: io::Result<Conn>) {
        let token = Token(self.udp.token_end() + peer.index() as usize);
        let registered = conn.and_then(|mut conn| {
            conn.register(self.poll.registry(), token)?;
            Ok(conn)
        });
        match registered {
            Ok(conn) => self.conns.insert(conn),
            Err(error) => self.close(peer, self.now(), error.kind().into()),
        }
    }

    /// One peer's turn: one read, what follows from it, one write.
    fn take_turn(&mut self, peer: PeerKey) -> io::Result<()> {
        let now = self.now();
        self.finish_connect(peer, now);
        self.read(peer, now);
        self.drain()?;
        self.write(peer, now);
        self.drain()?;
        if let Some(conn) = self.conns.get_mut(peer) {
            // Until here it counts as queued, so that what it causes itself does not queue it again.
            conn.queued = false;
            if conn.can_read(&self.session) || conn.can_write(&self.session) {
                enqueue(&mut self.ready, conn);
            }
        }
        Ok(())
    }

    fn finish_connect(&mut self, peer: PeerKey, now: Instant) {
        let Some(conn) = self.conns.get_mut(peer) else { return };
        match conn.is_now_connected() {
            Ok(false) => {}
            Ok(true) => self.session.handle_input(now, Input::Connected { peer }),
            Err(error) => self.close(peer, now, error.kind().into()),
        }
    }

    fn read(&mut self, peer: PeerKey, now: Instant) {
        let Some(conn) = self.conns.get_mut(peer) else { return };
        if !conn.can_read(&self.session) {
            return;
        }
        let len = self.scratch.len().min(self.session.read_len_max(peer));
        match conn.read(self.scratch.get_mut(..len).unwrap_or_default()) {
            Ok(0) => {}
            Ok(len) => {
                let bytes = self.scratch.get(..len).unwrap_or_default();
                self.session.handle_input(now, Input::Received { peer, bytes });
            }
            Err(cause) => self.close(peer, now, cause),
        }
    }

    fn write(&mut self, peer: PeerKey, now: Instant) {
        let Some(conn) = self.conns.get_mut(peer) else { return };
        if conn.can_write(&self.session) {
            conn.write(&mut self.session, now);
        }
    }

    fn close(&mut self, peer: PeerKey, now: Instant, cause: CloseCause) {
        self.conns.remove(peer);
        self.session.handle_input(now, Input::Closed { peer, cause });
    }

    /// Does what the session asks until it asks no more.
    fn drain(&mut self) -> io::Result<()> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect { peer, hop } => self.open(peer, Conn::connect(peer, hop)),
                Output::Send { peer } | Output::Resume { peer } => {
                    if let Some(conn) = self.conns.get_mut(peer) {
                        enqueue(&mut self.ready, conn);
                    }
                }
                Output::Close { peer, reason: _ } => self.conns.remove(peer),
                Output::Datagram { hop, bytes } => self.udp.send(hop, bytes),
                Output::Job(job) => {
                    if let Some(done) = self.workers.add(job) {
                        let now = self.now();
                        self.session.handle_input(now, Input::Done(done));
                    }
                }
                Output::Event(event) => {
                    let now = self.now();
                    (self.on_event)(&mut self.session, now, event);
                }
            }
        }
        self.workers.start()
    }
}

/// Puts a connection on the ready list, unless it is there.
fn enqueue(ready: &mut VecDeque<PeerKey>, conn: &mut Conn) {
    if !conn.queued {
        conn.queued = true;
        ready.push_back(conn.peer);
    }
}
