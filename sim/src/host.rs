//! A node that runs a real Session, and what every Session must keep to while it runs.

use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use peerless_core::key::Key;
use peerless_core::{Config, Event, Input, Instant, Output, PeerKey, Progress, Session};

use crate::conns::Conns;
use crate::digest::Digest;
use crate::disk::Disk;
use crate::link::{Conn, Net};
use crate::part::{Part, Whole};
use crate::tally::Tally;
use crate::watch::Watch;
use crate::witness::Witness;

/// The most bytes that may wait to be sent to one peer: a full queue of 500 requests served at
/// once would be 8 MiB; the core must stop far below that.
const UNSENT_LEN_MAX: usize = 2 * 1024 * 1024;

/// Timeouts handled within one millisecond before it counts as a busy loop.
const WAKE_COUNT_MAX: u32 = 200;

/// A Session with its disk.
#[derive(Debug)]
pub struct Host {
    /// The machine under test.
    pub session: Session,
    /// Its disk.
    pub disk: Disk,
    /// Its connections.
    pub conns: Conns,
    /// What it told its user, with the time. Without `Progress`.
    pub events: Vec<(Instant, Event)>,
    /// The figures of each torrent that was completed.
    pub completed: Vec<Progress>,
    /// When it is to be woken next.
    pub wake_at: Option<Instant>,
    /// How it was made, to make it again after a crash.
    pub config: Config,
    /// Looks at what it asks for, if that is wanted.
    pub watch: Option<Box<Watch>>,
    /// Counts what it hears, if that is wanted.
    pub tally: Option<Box<Tally>>,
    /// Compares what it says with what is on its disk, if that is wanted.
    pub witness: Option<Box<Witness>>,
    /// Outputs, parts of streams and jobs of the disk so far: whatever is to be seen outside.
    pub effect_count: u64,
    /// After how many of these nothing more comes of it, as if it were dead; `None`: it lives on.
    pub ends_after: Option<u64>,
    /// The most outputs that it had at once.
    pub outputs_max: usize,
    /// How often its timeout came.
    pub wake_count: usize,
    /// How often it has died.
    pub life: u32,
    digest: Digest,
    /// Outputs since it last had none.
    output_count: usize,
    /// By a key's place: the first generation that is not over.
    alive_from: Vec<u32>,
    /// When the current run of wakes began, and how many it has.
    wakes: (Instant, u32),
    /// What had been done when it was woken last, until that has been looked at.
    woken_at: Option<u64>,
    /// Wakes in a row that brought nothing about, not even a later time to be woken at.
    vain_count: u32,
}

impl Host {
    /// A host without a torrent.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        Self {
            session: Session::new(config.clone(), seed, now),
            disk: Disk::new(seed),
            conns: Conns::default(),
            events: Vec::new(),
            completed: Vec::new(),
            wake_at: None,
            config,
            watch: None,
            tally: None,
            witness: None,
            effect_count: 0,
            ends_after: None,
            outputs_max: 0,
            output_count: 0,
            wake_count: 0,
            life: 0,
            digest: Digest::default(),
            alive_from: Vec::new(),
            wakes: (now, 0),
            woken_at: None,
            vain_count: 0,
        }
    }

    /// Dies and is born again, with what the disk kept: all that was written, or if the power failed
    /// what was synced and by chance more.
    pub fn crash(&mut self, seed: u64, now: Instant, power: bool) {
        let mut fresh = Self::new(self.config.clone(), seed, now);
        std::mem::swap(&mut fresh.disk, &mut self.disk);
        if power {
            fresh.disk.crash();
        } else {
            fresh.disk.close();
        }
        fresh.disk.end_recording();
        fresh.life = self.life + 1;
        *self = fresh;
    }

    /// A number that differs when the session's outputs or their times differ.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// How many events told so far satisfy `is`.
    pub fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is(event)).count()
    }

    /// Whether nothing more comes of it: see `ends_after`.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ends_after.is_some_and(|count| self.effect_count >= count)
    }

    /// The next output, checked and counted.
    ///
    /// # Panics
    /// When it is about a connection that is gone.
    pub fn next_output(&mut self, now: Instant) -> Option<Output> {
        if self.has_ended() {
            return None;
        }
        let Some(output) = self.session.poll_output() else {
            self.output_count = 0;
            return None;
        };
        self.effect_count += 1;
        self.output_count += 1;
        self.outputs_max = self.outputs_max.max(self.output_count);
        (now, &output).hash(&mut self.digest);
        if let Output::Connect { peer, .. }
        | Output::Send { peer }
        | Output::Resume { peer }
        | Output::Close { peer, .. } = &output
        {
            assert!(!self.is_gone(*peer), "{output:?}: this connection is gone");
        }
        Some(output)
    }

    /// Forgets a connection, for good: nothing may name it again.
    pub fn forget(&mut self, peer: PeerKey) -> Option<Conn> {
        let place = peer.index() as usize;
        if self.alive_from.len() <= place {
            self.alive_from.resize(place + 1, 0);
        }
        self.alive_from[place] = self.alive_from[place].max(peer.generation() + 1);
        if let Some(watch) = &mut self.watch {
            watch.gone(peer);
        }
        if let Some(tally) = &mut self.tally {
            tally.gone(peer);
        }
        if let Some(witness) = &mut self.witness {
            witness.gone(peer);
        }
        self.conns.remove(peer)
    }

    /// Keeps an event.
    pub fn note(&mut self, now: Instant, event: Event) {
        if let Event::Complete { progress, .. } = &event {
            self.completed.push((**progress).clone());
        }
        if let (Event::PieceFailed { piece, .. }, Some(watch)) = (&event, &mut self.watch) {
            watch.failed(*piece);
        }
        if let (Event::Started { .. }, Some(witness)) = (&event, &mut self.witness) {
            witness.started();
        }
        if let (Event::PieceFailed { .. }, Some(witness)) = (&event, &mut self.witness) {
            witness.failed();
        }
        if let (Event::PeerBanned { addr: banned, .. }, Some(watch)) = (&event, &mut self.watch) {
            for (_, earlier) in &self.events {
                if let Event::PeerConnected { peer, addr, .. } = earlier
                    && addr == banned
                {
                    watch.lied(*peer);
                }
            }
        }
        if !matches!(event, Event::Progress { .. } | Event::Checking { .. }) {
            self.events.push((now, event));
        }
    }

    /// Lets the session's time pass.
    ///
    /// # Panics
    /// When it asks again and again to be woken at once.
    pub fn wake(&mut self, now: Instant) {
        self.wake_count += 1;
        let (since, count) = self.wakes;
        self.wakes = if now.since(since) < Duration::from_millis(1) { (since, count + 1) } else { (now, 1) };
        assert!(count < WAKE_COUNT_MAX, "{now:?}: time stands still, the session spins");
        self.woken_at = Some(self.effect_count);
        self.session.handle_timeout(now);
    }

    /// Gives the session bytes of a peer; message by message if a watch is to see what each does.
    pub fn receive(&mut self, now: Instant, peer: PeerKey, mut bytes: &[u8]) {
        if let Some(tally) = &mut self.tally {
            tally.heard(peer, bytes);
        }
        if let Some(witness) = &mut self.witness {
            let has_unsent = self.session.unsent(peer).next().is_some();
            witness.heard(now, peer, bytes, has_unsent);
        }
        while !bytes.is_empty() {
            let len = self.watch.as_mut().map_or(bytes.len(), |watch| watch.heard(peer, bytes));
            let (first, rest) = bytes.split_at(len);
            self.session.handle_input(now, Input::Received { peer, bytes: first });
            self.look(now);
            bytes = rest;
        }
    }

    /// Puts what the session sends next into a part, as far as there is room; whether there is more.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        peer: PeerKey,
        part: &mut Part,
        len_max: usize,
        net: &Net,
        whole: &mut Whole,
    ) -> bool {
        if self.has_ended() {
            return false;
        }
        for run in self.session.unsent(peer) {
            if !part.push(run, len_max, !net.rechunk) {
                break;
            }
        }
        if part.is_empty() {
            return false;
        }
        if let Some(watch) = &mut self.watch {
            watch.sent(peer, whole.of(part));
        }
        self.effect_count += 1;
        if let Some(witness) = &mut self.witness {
            witness.sent(now, peer, whole.of(part), self.disk.only());
        }
        self.session.sent(now, peer, part.len());
        self.look(now);
        self.session.unsent(peer).next().is_some()
    }

    /// Lets the watch see what is to be sent. To be called after whatever changes the session.
    pub fn look(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            for (peer, _) in self.conns.iter() {
                watch.queued(now, peer, self.session.unsent(peer));
            }
        }
        if let Some(witness) = &mut self.witness {
            witness.look(now, self.disk.only());
        }
    }

    /// Lets the watch judge what it has seen, once all outputs are drained.
    pub fn judge(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.judge(now);
        }
    }

    /// Checks the bound of what waits to be sent to one peer.
    ///
    /// # Panics
    /// When it is passed.
    pub fn check_unsent(&self, peer: PeerKey) {
        let len: usize = self.session.unsent(peer).map(<[u8]>::len).sum();
        assert!(len <= UNSENT_LEN_MAX, "{len} bytes wait for {peer:?}");
    }

    /// When to wake the session, if sooner than planned. Never in the past, and a moment later
    /// where it asks for a time that has come: a runtime takes that long too.
    ///
    /// # Panics
    /// When it was woken twice in a row for nothing, and wants to be woken at once again.
    pub fn next_wake(&mut self, now: Instant) -> Option<Instant> {
        let at = self.session.poll_timeout();
        if let Some(before) = self.woken_at.take() {
            let vain = self.effect_count == before && at.is_some_and(|at| at <= now) && !self.has_ended();
            self.vain_count = if vain { self.vain_count + 1 } else { 0 };
            assert!(self.vain_count < 2, "{now:?}: woken twice for nothing");
        }
        let at = at?.max(now + Duration::from_micros(1));
        if self.wake_at.is_some_and(|planned| planned <= at) {
            return None;
        }
        self.wake_at = Some(at);
        Some(at)
    }

    fn is_gone(&self, peer: PeerKey) -> bool {
        self.alive_from.get(peer.index() as usize).is_some_and(|&from| peer.generation() < from)
    }
}
