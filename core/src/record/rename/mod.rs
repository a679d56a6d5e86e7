//! Recordings without the names in them: of hosts, files, trackers and peers.
//!
//! A recording is gone through twice. The first time one sees what is named in it, so that the second time
//! all can be renamed in a way that a session makes the same of. Then the recorded session and one that is
//! told the same with other names run side by side; the second is recorded, and must give outputs of the
//! same kinds, one for one.

mod bencoded;
mod calls;
mod ids;
mod ips;
mod spread;
mod stream;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hasher;

use self::stream::{Infos, Listener, Patches};
use self::words::Words;
use super::call::Call;
use super::digest::Digest;
use super::replay::tell;
use super::{RecordingEnd, Replay, ReplayError, Step, kind, replay};
use crate::config::Config;
use crate::cx::Seeds;
use crate::input::Input;
use crate::job::{Job, JobDone};
use crate::key::PeerKey;
use crate::output::Output;
use crate::peer::{GRANTED_MAX, allowed_fast_set};
use crate::session::Session;
use crate::time::Instant;

/// Why a recording was not renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenameError {
    /// It is not done again as it is.
    Replay(ReplayError),
    /// With other names the session would do something else.
    Different {
        /// The call, counted from 1, after which it showed.
        call: u64,
    },
}

impl fmt::Display for RenameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay(error) => error.fmt(f),
            Self::Different { call } => {
                write!(
                    f,
                    "can't be anonymized: with other names the session does something else after call {call}"
                )
            }
        }
    }
}

impl std::error::Error for RenameError {}

impl From<ReplayError> for RenameError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

/// A recording of the same session with other names: of hosts, files, trackers, torrents and peers.
///
/// What is done again of it is the same, one for one. Lengths, times, ports, versions of clients and the
/// sizes of files are what they were. `salt` is drawn by chance and kept by nobody.
///
/// # Errors
/// When it is not done again as it is, or would be something else with other names.
pub fn renamed(recording: &[u8], salt: u64) -> Result<Vec<u8>, RenameError> {
    let (original, first) = Replay::born(recording)?;
    let mut digest = Digest::default();
    digest.write_u64(salt);
    let seeds = Seeds { identity: digest.finish(), ..first.0 };
    let peer_id = Session::with_seeds(Config::default(), seeds, Instant::START).peer_id();
    let mut words = Words::new(salt, (original.session().peer_id(), peer_id));
    let (listeners, infos) = heard(original, &mut words, &first.1)?;
    words.settle();
    let mut patches = BTreeMap::new();
    for (peer, listener) in &listeners {
        patches.insert(*peer, listener.renamed(&mut words, &infos));
    }

    let (original, first) = Replay::born(recording)?;
    let config = Config { record: true, record_len_max: u64::MAX, ..words.config(&first.1) };
    let session = Session::with_seeds(config, seeds, original.now());
    let mut side =
        Side { original, session, words, patches, granted: BTreeSet::new(), recording: Vec::new() };
    while side.step()? {}
    let before = side.original.sum();
    let renamed = side.end();
    let after = replay(&renamed)?;
    // Fast sets are calls that the other has not.
    if after.output_count == before.output_count && after.call_count >= before.call_count {
        Ok(renamed)
    } else {
        Err(RenameError::Different { call: after.call_count })
    }
}

/// Goes through the recording and sees all that is named in it.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other call has a torrent's metadata")]
fn heard(
    mut original: Replay,
    words: &mut Words,
    config: &Config,
) -> Result<(BTreeMap<PeerKey, Listener>, Infos), RenameError> {
    let (mut listeners, mut infos) = (BTreeMap::new(), Infos::new());
    words.config(config);
    while let Some((_, call)) = original.next_call() {
        let number = original.sum().call_count;
        let speaker = if let Call::Received(peer, _) = &call { Some(*peer) } else { None };
        if let Some(peer) = speaker {
            // Before the first bytes: whether they are a proxy's.
            let new = || Listener::new(original.session().negotiation(peer));
            listeners.entry(peer).or_insert_with(new);
        }
        let metainfo = match &call {
            Call::AddTorrent(add) => Some(&add.metainfo),
            Call::Done(JobDone::Metadata { result: Ok(built), .. }) => Some(&built.metainfo),
            _ => None,
        };
        infos.extend(metainfo.and_then(|metainfo| words.info(metainfo)));
        words.call(call).ok_or(RenameError::Different { call: number })?;
        original.step()?;
        if let Some(listener) = speaker.and_then(|peer| listeners.get_mut(&peer)) {
            listener.hear(original.received());
        }
    }
    // What is left is no call.
    original.step()?;
    for listener in listeners.values_mut() {
        listener.end();
        listener.renamed(words, &infos);
    }
    Ok((listeners, infos))
}

/// The recorded session and the one with other names, side by side.
struct Side {
    original: Replay,
    session: Session,
    words: Words,
    patches: BTreeMap<PeerKey, Patches>,
    /// Peers whose allowed fast set has been told.
    granted: BTreeSet<PeerKey>,
    recording: Vec<u8>,
}

impl Side {
    /// Both take a step; false at the end.
    fn step(&mut self) -> Result<bool, RenameError> {
        let Some((now, call)) = self.original.next_call() else { return Ok(false) };
        if let Some(Step::Outputs(outputs)) = self.original.step()? {
            self.compare(&outputs)?;
            return Ok(true);
        }
        let mut bytes = self.original.received().to_vec();
        if let Call::Received(peer, _) = &call {
            self.patches.entry(*peer).or_default().apply(&mut bytes);
        }
        self.grant(now, &call);
        let different = RenameError::Different { call: self.original.sum().call_count };
        let call = self.words.call(call).ok_or(different)?;
        let _ = tell(&mut self.session, now, call, &bytes);
        Ok(true)
    }

    /// Takes the other session's outputs and the parts of its recording.
    fn compare(&mut self, outputs: &[Output]) -> Result<(), RenameError> {
        let mut kinds = outputs.iter().map(kind::kind);
        while let Some(output) = self.session.poll_output() {
            if let Output::Job(Job::Record { bytes, .. }) = output {
                self.recording.extend(bytes);
                let done = JobDone::Recorded { result: Ok(()) };
                self.session.handle_input(self.original.now(), Input::Done(done));
            } else if kinds.next() != Some(kind::kind(&output)) {
                return Err(RenameError::Different { call: self.original.sum().call_count });
            }
        }
        match kinds.next() {
            None => Ok(()),
            Some(_) => Err(RenameError::Different { call: self.original.sum().call_count }),
        }
    }

    /// Tells the allowed fast set of each who may be granted one, before that can happen. Where the
    /// recorded session grants nothing, since it has none of the set, another set could be granted.
    fn grant(&mut self, now: Instant, call: &Call) {
        let mut peers = Vec::new();
        if let Call::Received(peer, _) = call {
            peers.extend(Some(*peer).filter(|key| !self.granted.contains(key)));
        } else if let Call::Done(JobDone::Metadata { .. }) = call {
            peers.extend(self.original.speakers().filter(|key| !self.granted.contains(key)));
        }
        for key in peers {
            let session = self.original.session();
            let Some(peer) = session.peer(key) else { continue };
            let is_fast = peer.open().is_some_and(|open| open.fast.is_on);
            let Some(torrent) = peer.torrent.filter(|_| is_fast) else { continue };
            let (Some(metainfo), Some(hash)) = (session.metainfo(torrent), session.info_hash(torrent)) else {
                continue;
            };
            let (ip, piece_count) = (peer.addr.ip(), metainfo.geometry().piece_count());
            if self.granted.insert(key) {
                let set = allowed_fast_set(ip, hash, piece_count, GRANTED_MAX);
                let (ip, hash) = (self.words.ips.rename(ip), self.words.hash(hash));
                self.session.set_fast_set(now, ip, hash, set);
            }
        }
    }

    /// The other session's recording, which ends as that of the first.
    fn end(mut self) -> Vec<u8> {
        let end = self.original.sum().end;
        if let Some(recorder) = self.session.recorder_mut()
            && (end != RecordingEnd::ShutDown || !recorder.is_done())
        {
            self.recording.extend(recorder.take_rest(end));
        }
        self.recording
    }
}
