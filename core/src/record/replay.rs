//! A recording, done again.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use super::call::{Call, Record};
use super::codec::{PAYLOAD_LEN_MAX, Reader, Take};
use super::digest::Digest;
use super::frame::{self, RecordingEnd};
use super::payload::Stream;
use super::{FORMAT, Tag, kind};
use crate::config::Config;
use crate::cx::Seeds;
use crate::input::Input;
use crate::job::{JobDone, StoreTime};
use crate::key::{PeerKey, TorrentKey};
use crate::output::Output;
use crate::peer::{PartKind, Peer};
use crate::session::Session;
use crate::text::escaped;
use crate::time::Instant;

/// The most characters of an output or a job that a divergence tells.
const SHOWN_COUNT: usize = 300;

/// A recording that was done again with the same outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Calls into the session.
    pub call_count: u64,
    /// Outputs compared.
    pub output_count: u64,
    /// The session's length.
    pub time: Duration,
    /// Bytes at the end that say nothing: the recording was cut off.
    pub cut_len: usize,
    /// How the recording ends.
    pub end: RecordingEnd,
    /// What it took to hash and write what had come, all jobs together.
    pub store_time: StoreTime,
}

/// Why a recording was not done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The file is no recording.
    NotARecording,
    /// It is one of another format.
    OtherFormat {
        /// The format's number.
        format: u32,
        /// The version of the program that made it, if it says so.
        program: Option<String>,
    },
    /// It ends before anything of it was whole.
    Nothing {
        /// How it ends.
        end: RecordingEnd,
    },
    /// It does not begin with the birth of a session.
    NoBeginning,
    /// Its bytes from this offset on are not those that were written.
    Damaged {
        /// The offset in the file.
        offset: usize,
    },
    /// It holds something that this version does not know.
    Unknown {
        /// The call before it, counted from 1.
        call: u64,
        /// The version of the program that made it.
        program: String,
    },
    /// The session did something else than it had done.
    Diverged(Box<Divergence>),
}

/// Where a replay went another way than the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The call, counted from 1, after which it showed.
    pub call: u64,
    /// Its time in the session.
    pub time: Duration,
    /// The call, in words.
    pub what: String,
    /// What had come of it.
    pub recorded: String,
    /// What comes of it now.
    pub replayed: String,
    /// The version of the program that made the recording.
    pub program: String,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PROGRAM: &str = env!("CARGO_PKG_VERSION");
        match self {
            Self::NotARecording => f.write_str("not a recording"),
            Self::OtherFormat { format, program } => {
                let by = program.as_deref().unwrap_or("an older version");
                write!(
                    f,
                    "a recording of format {format}, made by {by}; {PROGRAM} reads format {FORMAT} alone"
                )
            }
            Self::Nothing { end: RecordingEnd::Full } => {
                f.write_str("holds nothing: what it begins with is longer than all of it was to be")
            }
            Self::Nothing { end: RecordingEnd::CutOff | RecordingEnd::ShutDown } => {
                f.write_str("holds nothing: cut off before its first part was whole")
            }
            Self::NoBeginning => f.write_str("the recording does not begin with a session"),
            Self::Damaged { offset } => write!(f, "damaged at byte {offset} or soon behind it"),
            Self::Unknown { call, program } => {
                write!(
                    f,
                    "holds something behind call {call} that {PROGRAM} does not know; made by {program}"
                )
            }
            Self::Diverged(at) => {
                let seconds = at.time.as_secs_f64();
                write!(f, "diverged after call {} at {seconds:.6} s, {}: ", at.call, at.what)?;
                write!(f, "recorded by {}: {}; replayed: {}", at.program, at.recorded, at.replayed)
            }
        }
    }
}

impl std::error::Error for ReplayError {}

/// Does a recording again and compares every output.
///
/// # Errors
/// When it is no recording, or where the session now does something else.
pub fn replay(recording: &[u8]) -> Result<Replayed, ReplayError> {
    let mut replay = Replay::new(recording)?;
    while replay.step()?.is_some() {}
    Ok(replay.sum())
}

/// A recording that is done again step by step.
#[derive(Debug)]
pub struct Replay {
    content: Vec<u8>,
    /// Where in the content the next record begins, and the last call.
    at: usize,
    last_at: usize,
    session: Session,
    now: Instant,
    streams: BTreeMap<PeerKey, Stream>,
    /// What the last call had from a peer.
    received: Vec<u8>,
    /// Of all outputs, and of all that was sent.
    digest: Digest,
    sent_digest: Digest,
    sum: Replayed,
    program: String,
    torrents: Vec<TorrentKey>,
}

/// What a step was.
#[derive(Debug)]
pub enum Step {
    /// The session was told something.
    Call,
    /// It gave these outputs.
    Outputs(Vec<Output>),
}

impl Replay {
    /// Begins with the birth of the session.
    ///
    /// # Errors
    /// When it is no recording of this format.
    pub fn new(recording: &[u8]) -> Result<Self, ReplayError> {
        Self::born(recording).map(|(replay, _)| replay)
    }

    /// The same, with what the session was born of.
    pub(super) fn born(recording: &[u8]) -> Result<(Self, (Seeds, Config)), ReplayError> {
        let frame::Opened { program, content, cut_len, end } = frame::open(recording)?;
        if content.is_empty() {
            return Err(ReplayError::Nothing { end });
        }
        let mut reader = Reader::new(&content, &|_| None);
        let Some(Record { passed, call: Call::New(seeds, config) }) = Record::read(&mut reader) else {
            return Err(ReplayError::NoBeginning);
        };
        let now = Instant::from_start(passed);
        let at = content.len() - reader.rest().len();
        let born_of = (seeds, config.clone());
        let replay = Self {
            at,
            last_at: 0,
            content,
            session: Session::with_seeds(config, seeds, now),
            now,
            streams: BTreeMap::new(),
            received: Vec::new(),
            digest: Digest::default(),
            sent_digest: Digest::default(),
            sum: Replayed {
                call_count: 1,
                output_count: 0,
                time: passed,
                cut_len,
                end,
                store_time: StoreTime::default(),
            },
            program: program.to_owned(),
            torrents: Vec::new(),
        };
        Ok((replay, born_of))
    }

    /// The session as it is now.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Every torrent that was added so far, also those that are gone.
    #[must_use]
    pub fn torrents(&self) -> &[TorrentKey] {
        &self.torrents
    }

    /// The time of the next step: until then nothing changes. `None` at the end.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let mut reader = Reader::new(self.content.get(self.at..)?, &|_| None);
        // The tag.
        reader.byte()?;
        Some(self.now + Duration::take(&mut reader)?)
    }

    /// Whether the next step ends a torrent or the session: after it their figures are gone.
    #[must_use]
    pub fn is_end_next(&self) -> bool {
        let tag = self.content.get(self.at).and_then(|byte| Tag::read(*byte));
        matches!(tag, Some(Tag::RemoveTorrent | Tag::ShutDown))
    }

    /// The time of the last step.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What was done so far.
    #[must_use]
    pub fn sum(&self) -> Replayed {
        Replayed { time: self.now.since_start(), ..self.sum.clone() }
    }

    /// Does the next step; `None` at the end.
    ///
    /// # Errors
    /// Where the session now does something else.
    pub fn step(&mut self) -> Result<Option<Step>, ReplayError> {
        let Some((record, next_at)) = self.read(self.at) else {
            if self.at == self.content.len() {
                return Ok(None);
            }
            let (call, program) = (self.sum.call_count, self.program.clone());
            return Err(ReplayError::Unknown { call, program });
        };
        let now = self.now + record.passed;
        self.now = now;
        let at = std::mem::replace(&mut self.at, next_at);
        if let Call::Outputs(recorded) = record.call {
            return self.compare_outputs(&recorded).map(|outputs| Some(Step::Outputs(outputs)));
        }
        self.sum.call_count += 1;
        self.last_at = at;
        self.perform(now, record.call)?;
        Ok(Some(Step::Call))
    }

    /// The next record and its time.
    pub(super) fn next_call(&self) -> Option<(Instant, Call)> {
        let (record, _) = self.read(self.at)?;
        Some((self.now + record.passed, record.call))
    }

    /// What the last call had from a peer, nothing if it was of another kind.
    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    /// Those who have said something and are still connected.
    pub(super) fn speakers(&self) -> impl Iterator<Item = PeerKey> {
        self.streams.keys().copied()
    }

    /// The record that begins here, and where the next one does.
    fn read(&self, at: usize) -> Option<(Record, usize)> {
        let geometries = |key| self.session.metainfo(key).map(|metainfo| *metainfo.geometry());
        let mut reader = Reader::new(self.content.get(at..).unwrap_or_default(), &geometries);
        let record = Record::read(&mut reader)?;
        Some((record, self.content.len() - reader.rest().len()))
    }

    fn perform(&mut self, now: Instant, call: Call) -> Result<(), ReplayError> {
        self.received.clear();
        if let Call::Received(peer, runs) = &call {
            let new = || Stream::new(self.session.negotiation(*peer));
            let stream = self.streams.entry(*peer).or_insert_with(new);
            let Some(unpacked) = stream.unpack(runs, PAYLOAD_LEN_MAX) else {
                let (call, program) = (self.sum.call_count, self.program.clone());
                return Err(ReplayError::Unknown { call, program });
            };
            self.received = unpacked;
        } else if let Call::Closed(peer, _) = &call {
            self.streams.remove(peer);
        } else if let Call::Sent(peer, len, digest) = &call {
            self.compare_sent(*peer, *len, *digest)?;
        } else if let Call::Done(JobDone::Stored { time, .. }) = &call {
            let StoreTime { hashing, writing } = &mut self.sum.store_time;
            *hashing = hashing.saturating_add(time.hashing);
            *writing = writing.saturating_add(time.writing);
        }
        self.torrents.extend(tell(&mut self.session, now, call, &self.received));
        Ok(())
    }

    fn compare_outputs(&mut self, recorded: &[(u8, u16)]) -> Result<Vec<Output>, ReplayError> {
        let mut outputs = Vec::new();
        loop {
            let (output, want) = (self.session.poll_output(), recorded.get(outputs.len()));
            if let Some(output) = &output {
                output.hash(&mut self.digest);
                if let Output::Close { peer, .. } = output {
                    self.streams.remove(peer);
                }
            }
            let got = output.as_ref().map(|output| (kind::kind(output), self.digest.short()));
            if got.as_ref() != want {
                return Err(self.other_output(outputs.len() + 1, want.copied(), output.as_ref()));
            }
            let Some(output) = output else { break };
            outputs.push(output);
        }
        self.sum.output_count += outputs.len() as u64;
        Ok(outputs)
    }

    fn other_output(&self, number: usize, want: Option<(u8, u16)>, got: Option<&Output>) -> ReplayError {
        let nothing = || format!("no output {number}");
        let recorded =
            want.map_or_else(nothing, |(kind, _)| format!("{} as output {number}", kind::name(kind)));
        let replayed = got.map_or_else(nothing, |output| {
            let other = if want.map(|(kind, _)| kind) == Some(kind::kind(output)) { "another, " } else { "" };
            format!("{other}{}", shown(output))
        });
        self.diverged(recorded, replayed)
    }

    fn compare_sent(&mut self, key: PeerKey, len: usize, digest: u16) -> Result<(), ReplayError> {
        let queue_len = self.session.peer(key).map_or(0, |peer| {
            digest_sent(&mut self.sent_digest, peer, len);
            peer.queue.len()
        });
        if queue_len >= len && self.sent_digest.short() == digest {
            return Ok(());
        }
        let replayed = if queue_len < len {
            format!("{queue_len} bytes to send")
        } else {
            "other bytes, here or since the last that were compared".to_owned()
        };
        Err(self.diverged(format!("{len} bytes sent to {key:?}"), replayed))
    }

    fn diverged(&self, recorded: String, replayed: String) -> ReplayError {
        let what = self.read(self.last_at).map_or_else(String::new, |(record, _)| describe(&record.call));
        let (call, time, program) = (self.sum.call_count, self.now.since_start(), self.program.clone());
        ReplayError::Diverged(Box::new(Divergence { call, time, what, recorded, replayed, program }))
    }
}

/// Tells a session what is called; `bytes` are what a peer has sent. Gives a torrent that was added.
pub(super) fn tell(session: &mut Session, now: Instant, call: Call, bytes: &[u8]) -> Option<TorrentKey> {
    match call {
        Call::New(..) | Call::Outputs(_) => {}
        Call::AddTorrent(add) => return session.add_torrent(now, *add).ok(),
        Call::AddMagnet(add) => return session.add_magnet(now, *add).ok(),
        Call::RemoveTorrent(torrent) => session.remove_torrent(now, torrent),
        Call::SetChoice(torrent, choice) => session.set_choice(now, torrent, choice),
        Call::SetLimits(torrent, limits) => session.set_limits(now, torrent, limits),
        Call::FastSet(ip, info_hash, pieces) => session.set_fast_set(now, ip, info_hash, pieces),
        Call::AddPeer(torrent, addr) => session.add_peer(now, torrent, addr),
        Call::ShutDown => session.shut_down(now),
        Call::Accept(addr) => drop(session.accept(now, addr)),
        Call::Connected(peer) => session.handle_input(now, Input::Connected { peer }),
        Call::Received(peer, _) => session.handle_input(now, Input::Received { peer, bytes }),
        Call::Closed(peer, cause) => session.handle_input(now, Input::Closed { peer, cause }),
        Call::Datagram(from, bytes) => session.handle_input(now, Input::Datagram { from, bytes: &bytes }),
        Call::Done(done) => session.handle_input(now, Input::Done(done)),
        Call::Scrape(url, hashes) => session.scrape(now, url, hashes),
        Call::Timeout => session.handle_timeout(now),
        Call::Sent(peer, len, _) => session.sent(now, peer, len),
    }
    None
}

/// The call in words: what of it a reader can take in.
fn describe(call: &Call) -> String {
    match call {
        Call::New(..) => "the session's birth".to_owned(),
        Call::AddTorrent(_) => "a torrent is added".to_owned(),
        Call::AddMagnet(_) => "a magnet link is added".to_owned(),
        Call::RemoveTorrent(torrent) => format!("{torrent:?} is removed"),
        Call::SetChoice(torrent, _) => format!("other files of {torrent:?} are wanted"),
        Call::SetLimits(torrent, limits) => format!("{limits:?} for {torrent:?}"),
        Call::FastSet(ip, ..) => format!("the pieces that {ip} may have while choked"),
        Call::AddPeer(torrent, addr) => format!("{addr} is named as a peer of {torrent:?}"),
        Call::ShutDown => "the shutdown".to_owned(),
        Call::Accept(addr) => format!("{addr} calls"),
        Call::Connected(peer) => format!("{peer:?} is connected"),
        Call::Received(peer, _) => format!("bytes from {peer:?}"),
        Call::Closed(peer, cause) => format!("{peer:?} is closed: {cause:?}"),
        Call::Datagram(from, bytes) => format!("{} bytes in a datagram from {from}", bytes.len()),
        Call::Done(done) => format!("a job is done: {}", shown(done)),
        Call::Scrape(url, _) => format!("a scrape of {}", escaped(url)),
        Call::Timeout => "time has passed".to_owned(),
        Call::Sent(peer, len, _) => format!("{len} bytes are sent to {peer:?}"),
        Call::Outputs(_) => "outputs".to_owned(),
    }
}

/// The beginning of what may be very long.
fn shown(value: &impl fmt::Debug) -> String {
    let mut text = format!("{value:?}");
    if let Some((end, _)) = text.char_indices().nth(SHOWN_COUNT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Adds what of the protocol is in the first `len` bytes that wait for a peer.
pub(super) fn digest_sent(digest: &mut Digest, peer: &Peer, len: usize) {
    let (mut left, mut secret) = (len, peer.queue.secret_len());
    left.hash(digest);
    for (kind, part) in peer.queue.parts() {
        let part = part.get(..left.min(part.len())).unwrap_or_default();
        // A login is nothing to be guessed from a digest.
        let shown = part.get(secret.min(part.len())..).unwrap_or_default();
        secret -= part.len() - shown.len();
        if kind == PartKind::Protocol {
            shown.hash(digest);
        }
        left -= part.len();
        if left == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::super::codec::Put;
    use super::*;
    use crate::job::Job;
    use std::net::SocketAddr;

    /// A session that is told to connect to nobody, twice, and what is appended.
    fn recording(config: &Config, more: &impl Put) -> Vec<u8> {
        let mut recorder = Recorder::new(config, 1.into(), Instant::START);
        for addr in ["192.0.2.1:6881", "[2001:db8::1]:6881"] {
            recorder.call(Instant::START, Tag::Accept, &addr.parse::<SocketAddr>().unwrap());
        }
        recorder.call(Instant::START, Tag::Accept, more);
        let Some(Job::Record { bytes, .. }) = recorder.take_part(true) else { panic!("nothing to write") };
        bytes
    }

    #[test]
    fn what_is_no_call_is_told() {
        let unknown = replay(&recording(&Config::default(), &3_u64)).unwrap_err();
        let program = env!("CARGO_PKG_VERSION").to_owned();
        assert_eq!(unknown, ReplayError::Unknown { call: 3, program });
        let addr: SocketAddr = "192.0.2.1:6881".parse().unwrap();
        let replayed = replay(&recording(&Config::default(), &addr)).unwrap();
        assert_eq!((replayed.call_count, replayed.end), (4, RecordingEnd::ShutDown));
    }

    #[test]
    fn a_recording_is_never_longer_than_it_may_be() {
        for record_len_max in (0..2000).step_by(100) {
            let config = Config { record_len_max, ..Config::default() };
            let addr: SocketAddr = "192.0.2.1:6881".parse().unwrap();
            let bytes = recording(&config, &addr);
            match replay(&bytes) {
                Ok(replayed) => assert_eq!(replayed.end, RecordingEnd::ShutDown),
                Err(error) => {
                    assert_eq!(error, ReplayError::Nothing { end: RecordingEnd::Full }, "{record_len_max}");
                }
            }
            assert!(bytes.len() as u64 <= record_len_max.max(100), "{record_len_max}: {}", bytes.len());
        }
    }
}
