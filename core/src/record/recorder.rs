//! The recorder: wraps a session and writes down what it is told.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use super::Tag;
use super::codec::{Put, Writer};
use super::digest::Digest;
use super::frame::{RecordingEnd, Sealer};
use super::kind;
use super::payload::Stream;
use super::replay::digest_sent;
use crate::config::Config;
use crate::cx::Seeds;
use crate::input::Input;
use crate::job::Job;
use crate::key::PeerKey;
use crate::output::Output;
use crate::peer::Peer;
use crate::time::Instant;
use crate::wire::Socks5;

/// Bytes gathered before they are handed out to be written.
const PART_LEN: usize = 64 * 1024;

/// What stands around the content of two frames at most, a part's and that of the end.
const FRAME_LEN_MAX: usize = 200;

/// How long bytes are gathered at most: what a crash may cost.
const PART_TIME: Duration = Duration::from_secs(1);

/// Writes down a session's inputs.
#[derive(Debug)]
pub(crate) struct Recorder {
    out: Writer,
    sealer: Sealer,
    /// Where in the recording the next part belongs, and where it has to end.
    offset: u64,
    len_max: u64,
    last_at: Instant,
    flush_at: Option<Instant>,
    /// Whether what is gathered is to be handed out, however little it is.
    is_due: bool,
    is_full: bool,
    in_flight: usize,
    streams: BTreeMap<PeerKey, Stream>,
    /// Since the last drain: each output's kind, and the digest behind it.
    outputs: Vec<(u8, u16)>,
    /// Of all outputs, and of all that was sent: a runtime may send between two outputs.
    digest: Digest,
    sent_digest: Digest,
}

impl Recorder {
    pub(crate) fn new(config: &Config, seeds: Seeds, now: Instant) -> Self {
        let mut recorder = Self {
            out: Writer::default(),
            sealer: Sealer::new(),
            offset: 0,
            len_max: config.record_len_max,
            last_at: Instant::START,
            flush_at: None,
            is_due: false,
            is_full: false,
            in_flight: 0,
            streams: BTreeMap::new(),
            outputs: Vec::new(),
            digest: Digest::default(),
            sent_digest: Digest::default(),
        };
        recorder.call(now, Tag::New, &(seeds, config));
        recorder
    }

    /// The session is told this.
    pub(crate) fn call(&mut self, now: Instant, tag: Tag, what: &impl Put) {
        if let Some(out) = self.begin(now, tag) {
            what.put(out);
        }
    }

    /// `negotiation` is what is said to a proxy first, on a connection that leads through one.
    pub(crate) fn input(
        &mut self,
        now: Instant,
        input: &Input<'_>,
        negotiation: impl FnOnce(PeerKey) -> Option<Socks5>,
    ) {
        match input {
            Input::Connected { peer } => self.call(now, Tag::Connected, peer),
            Input::Received { peer, bytes } => {
                let stream = self.streams.entry(*peer).or_insert_with(|| Stream::new(negotiation(*peer)));
                let runs = stream.pack(bytes);
                self.call(now, Tag::Received, &(peer, runs));
            }
            Input::Closed { peer, cause } => {
                self.streams.remove(peer);
                self.call(now, Tag::Closed, &(peer, cause));
            }
            Input::Datagram { from, bytes } => self.call(now, Tag::Datagram, &(from, *bytes)),
            Input::Done(done) => self.call(now, Tag::Done, done),
        }
    }

    /// Bytes are about to be taken as sent: the protocol's among them are digested.
    pub(crate) fn sent(&mut self, now: Instant, key: PeerKey, peer: &Peer, len: usize) {
        digest_sent(&mut self.sent_digest, peer, len);
        let digest = self.sent_digest.short();
        if let Some(out) = self.begin(now, Tag::Sent) {
            (key, len).put(out);
            out.short(digest);
        }
    }

    /// An output has been taken.
    pub(crate) fn output(&mut self, output: &Output) {
        if let Output::Close { peer, .. } = output {
            self.streams.remove(peer);
        }
        output.hash(&mut self.digest);
        self.outputs.push((kind::kind(output), self.digest.short()));
    }

    /// All outputs have been taken: what they were is written down.
    pub(crate) fn drained(&mut self) {
        if self.outputs.is_empty() {
            return;
        }
        let outputs = std::mem::take(&mut self.outputs);
        if let Some(out) = self.begin(self.last_at, Tag::Outputs) {
            out.len(outputs.len());
            for (kind, digest) in &outputs {
                out.byte(*kind);
                out.short(*digest);
            }
        }
        // Its memory serves again.
        self.outputs = outputs;
        self.outputs.clear();
    }

    /// The next part to write, if there is enough of it, or time for it, or an end.
    pub(crate) fn take_part(&mut self, has_ended: bool) -> Option<Job> {
        let is_wanted = has_ended || self.is_due || self.out.0.len() >= PART_LEN;
        if self.out.0.is_empty() || self.is_full || !is_wanted {
            return None;
        }
        self.is_due = false;
        self.flush_at = None;
        self.in_flight += 1;
        let len = (self.out.0.len() + FRAME_LEN_MAX) as u64;
        self.is_full = self.offset.saturating_add(len) > self.len_max;
        // What does not fit is dropped: what was written before it is a recording all the same.
        let (content, end) = match (self.is_full, has_ended) {
            (true, _) => (&[][..], RecordingEnd::Full),
            (false, true) => (&self.out.0[..], RecordingEnd::ShutDown),
            (false, false) => (&self.out.0[..], RecordingEnd::CutOff),
        };
        let bytes = self.sealer.seal(content, end);
        self.out.0.clear();
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        Some(Job::Record { offset, bytes })
    }

    /// What is gathered and was not handed out, sealed with this end. Nothing comes behind it.
    pub(super) fn take_rest(&mut self, end: RecordingEnd) -> Vec<u8> {
        let content = std::mem::take(&mut self.out.0);
        self.is_full = true;
        self.sealer.seal(&content, end)
    }

    /// A part has been written. The recording's length, if that was its last because it is full.
    pub(crate) const fn on_written(&mut self) -> Option<u64> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.is_full && self.in_flight == 0 { Some(self.offset) } else { None }
    }

    /// When the next part is due.
    pub(crate) const fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Lets the recorder know the time without a record of it.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.is_due = true;
            self.flush_at = None;
        }
    }

    /// Whether everything has been written.
    pub(crate) const fn is_done(&self) -> bool {
        (self.out.0.is_empty() || self.is_full) && self.in_flight == 0
    }

    fn begin(&mut self, now: Instant, tag: Tag) -> Option<&mut Writer> {
        if self.is_full {
            return None;
        }
        let passed = now.since(self.last_at);
        self.last_at = self.last_at.max(now);
        self.tick(now);
        if self.flush_at.is_none() && !self.is_due {
            self.flush_at = Some(now + PART_TIME);
        }
        self.out.byte(tag as u8);
        passed.put(&mut self.out);
        Some(&mut self.out)
    }
}
