//! A recording, done again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::MAGIC;
use super::codec::Reader;
use super::digest::Digest;
use super::read::{Call, Record};
use crate::input::Input;
use crate::key::PeerKey;
use crate::machine::Machine;
use crate::peer::PartKind;
use crate::time::Instant;

/// A recording that was done again with the same outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Calls into the session.
    pub call_count: u64,
    /// Outputs compared.
    pub output_count: u64,
    /// The session's length.
    pub time: Duration,
    /// Bytes at the end that are no whole record: the recording was cut off.
    pub cut_len: usize,
}

/// Why a recording was not done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The file is no recording, or one of another version.
    NotARecording,
    /// It does not begin with the birth of a session.
    NoBeginning,
    /// What it holds at this offset is no record, nor the beginning of one that was cut off.
    Damaged {
        /// The offset of the record in the file.
        offset: usize,
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
    /// The call.
    pub what: String,
    /// What had come of it.
    pub recorded: String,
    /// What comes of it now.
    pub replayed: String,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("not a recording of this version"),
            Self::NoBeginning => f.write_str("the recording does not begin with a session"),
            Self::Damaged { offset } => write!(f, "damaged at byte {offset}"),
            Self::Diverged(at) => write!(
                f,
                "diverged after call {} at {:?}, {}: recorded {}, replayed {}",
                at.call, at.time, at.what, at.recorded, at.replayed
            ),
        }
    }
}

impl std::error::Error for ReplayError {}

/// Does a recording again and compares every output.
///
/// # Errors
/// When it is no recording, or where the session now does something else.
pub fn replay(recording: &[u8]) -> Result<Replayed, ReplayError> {
    let rest = recording.strip_prefix(MAGIC.as_slice()).ok_or(ReplayError::NotARecording)?;
    let mut reader = Reader::new(rest);
    let mut replay = match Record::read(&mut reader, |_| None) {
        Some(Record { passed, call: Call::New { seed, config } }) => {
            let now = Instant::from_start(passed);
            Replay::new(Machine::new(config, seed, now), now)
        }
        Some(_) | None => return Err(ReplayError::NoBeginning),
    };
    let mut cut_len = 0;
    while !reader.rest().is_empty() {
        let before = reader.rest();
        let machine = &replay.machine;
        let geometry = |key| machine.torrent(key).map(|torrent| *torrent.storage.metainfo.geometry());
        let Some(record) = Record::read(&mut reader, geometry) else {
            // A record that ran out of bytes was being written. Zeros are a part that a crash has
            // kept from being written, before one that was. Anything else is damage.
            let is_unwritten = reader.ran_out() || before.first() == Some(&0);
            if is_unwritten && before.len() < TAIL_LEN_MAX {
                cut_len = before.len();
                break;
            }
            return Err(ReplayError::Damaged { offset: recording.len() - before.len() });
        };
        replay.step(record)?;
    }
    let time = replay.now.since_start();
    Ok(Replayed { call_count: replay.call_count, output_count: replay.output_count, time, cut_len })
}

/// What a crash can leave of a record at the end of a recording: a part of the last write.
const TAIL_LEN_MAX: usize = 1024 * 1024;

struct Replay {
    machine: Machine,
    now: Instant,
    call_count: u64,
    output_count: u64,
    last: String,
}

impl Replay {
    const fn new(machine: Machine, now: Instant) -> Self {
        Self { machine, now, call_count: 1, output_count: 0, last: String::new() }
    }

    fn step(&mut self, record: Record) -> Result<(), ReplayError> {
        let now = self.now + record.passed;
        self.now = now;
        if let Call::Outputs { count, digest } = record.call {
            return self.compare_outputs(count, digest);
        }
        self.call_count += 1;
        self.last = describe(&record.call);
        match record.call {
            Call::New { .. } | Call::Outputs { .. } => {}
            Call::AddTorrent(add) => drop(self.machine.add_torrent(now, *add)),
            Call::AddMagnet(add) => drop(self.machine.add_magnet(now, *add)),
            Call::RemoveTorrent(torrent) => self.machine.remove_torrent(now, torrent),
            Call::SetChoice(torrent, choice) => self.machine.set_choice(now, torrent, choice),
            Call::AddPeer(torrent, addr) => self.machine.add_peer(now, torrent, addr),
            Call::ShutDown => self.machine.shut_down(now),
            Call::Accept(addr) => drop(self.machine.accept(now, addr)),
            Call::Connected(peer) => self.machine.handle_input(now, Input::Connected { peer }),
            Call::Received(peer, bytes) => {
                self.machine.handle_input(now, Input::Received { peer, bytes: &bytes });
            }
            Call::Closed(peer, cause) => self.machine.handle_input(now, Input::Closed { peer, cause }),
            Call::Done(Some(done)) => self.machine.handle_input(now, Input::Done(done)),
            Call::Done(None) => {}
            Call::Timeout => self.machine.handle_timeout(now),
            Call::Datagram(from, bytes) => {
                self.machine.handle_input(now, Input::Datagram { from, bytes: &bytes });
            }
            Call::Scrape(url, hashes) => self.machine.scrape(now, url, hashes),
            Call::Sent { peer, len, digest } => {
                self.compare_sent(peer, len, digest)?;
                self.machine.sent(now, peer, len);
            }
        }
        Ok(())
    }

    fn compare_outputs(&mut self, count: u64, digest: u64) -> Result<(), ReplayError> {
        let (mut replayed, mut shown) = (Digest::default(), Vec::new());
        for _ in 0..count {
            let Some(output) = self.machine.poll_output() else { break };
            output.hash(&mut replayed);
            shown.push(output);
        }
        self.output_count += shown.len() as u64;
        if shown.len() as u64 == count && replayed.finish() == digest {
            return Ok(());
        }
        Err(self.diverged(format!("{count} outputs"), format!("{shown:?}")))
    }

    fn compare_sent(&self, peer: PeerKey, len: usize, digest: u64) -> Result<(), ReplayError> {
        let (queue_len, replayed) = sent_digest(self.machine.peer(peer), len);
        if queue_len >= len && replayed == digest {
            return Ok(());
        }
        let replayed = format!("{queue_len} to send, {replayed:08x}");
        Err(self.diverged(format!("{len} bytes to {peer:?}, {digest:08x}"), replayed))
    }

    fn diverged(&self, recorded: String, replayed: String) -> ReplayError {
        let (call, time, what) = (self.call_count, self.now.since_start(), self.last.clone());
        ReplayError::Diverged(Box::new(Divergence { call, time, what, recorded, replayed }))
    }
}

fn describe(call: &Call) -> String {
    if let Call::Received(peer, bytes) = call {
        format!("{} bytes from {peer:?}", bytes.len())
    } else {
        format!("{call:?}")
    }
}

/// How much waits for a peer, and the digest of what of the protocol is in its first `len` bytes.
pub(super) fn sent_digest(peer: Option<&crate::peer::Peer>, len: usize) -> (usize, u64) {
    let (mut digest, mut left) = (Digest::default(), len);
    for (kind, part) in peer.into_iter().flat_map(|peer| peer.queue.parts()) {
        let part = part.get(..left.min(part.len())).unwrap_or_default();
        if kind == PartKind::Protocol {
            digest.write(part);
        }
        left -= part.len();
        if left == 0 {
            break;
        }
    }
    (peer.map_or(0, |peer| peer.queue.len()), digest.finish() >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::Job;
    use crate::record::Recorder;

    /// A session that is told to connect to nobody, twice.
    fn recording() -> Vec<u8> {
        let mut recorder = Recorder::new(&Config::default(), 1, Instant::START);
        recorder.accept(Instant::START, "192.0.2.1:6881".parse().unwrap());
        recorder.accept(Instant::START, "[2001:db8::1]:6881".parse().unwrap());
        let Some(Job::Record { bytes, .. }) = recorder.take_part(true) else { panic!("nothing to write") };
        bytes
    }

    /// Where the second of the two calls begins: tag, time, 1 + 16 bytes of address, 2 of port.
    fn last_at() -> usize {
        recording().len() - (1 + 1 + 1 + 16 + 2)
    }

    #[test]
    fn a_recording_cut_off_within_a_call_is_done_again_up_to_it() {
        let whole = recording();
        assert_eq!(replay(&whole).map(|replayed| (replayed.call_count, replayed.cut_len)), Ok((3, 0)));
        for len in last_at()..whole.len() {
            let replayed = replay(&whole[..len]).map(|replayed| (replayed.call_count, replayed.cut_len));
            assert_eq!(replayed, Ok((2, len - last_at())));
        }
        let hole = [&whole[..], &[0; 9]].concat();
        assert_eq!(replay(&hole).map(|replayed| replayed.cut_len), Ok(9));
    }

    #[test]
    fn what_is_no_call_and_not_cut_off_is_damage() {
        for (at, byte) in [(0, 0xFF), (2, 17)] {
            let mut damaged = recording();
            damaged[last_at() + at] = byte;
            damaged.extend([0; 32]);
            assert_eq!(replay(&damaged), Err(ReplayError::Damaged { offset: last_at() }), "byte {at}");
        }
    }
}
