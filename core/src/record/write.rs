//! The recorder: wraps a session and writes down what it is told.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use super::codec::Writer;
use super::digest::Digest;
use super::payload::Finder;
use super::replay::sent_digest;
use super::{MAGIC, Tag};
use crate::bitfield::Bitfield;
use crate::choice::Choice;
use crate::config::Config;
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::input::{CloseCause, Input};
use crate::job::{
    BlockDigest, BuiltMetadata, DiskError, FetchError, FetchFailure, Job, JobDone, MetadataError, Opened,
    ResolveFor, StoreError, StoredPiece,
};
use crate::key::{Key, PeerKey, TorrentKey};
use crate::output::Output;
use crate::peer::Peer;
use crate::session::{AddMagnet, AddTorrent};
use crate::time::Instant;

/// Bytes gathered before they are handed out to be written.
const PART_LEN: usize = 64 * 1024;

/// How long bytes are gathered at most: what a crash may cost.
const PART_TIME: Duration = Duration::from_secs(1);

/// Writes down a session's inputs.
#[derive(Debug)]
pub(crate) struct Recorder {
    out: Writer,
    /// Where in the recording `out` belongs.
    offset: u64,
    last_at: Instant,
    flush_at: Option<Instant>,
    /// Whether what is gathered is to be handed out, however little it is.
    is_due: bool,
    in_flight: usize,
    streams: BTreeMap<PeerKey, Finder>,
    output_count: u64,
    digest: Digest,
}

impl Recorder {
    pub(crate) fn new(config: &Config, seed: u64, now: Instant) -> Self {
        let mut recorder = Self {
            out: Writer(MAGIC.to_vec()),
            offset: 0,
            last_at: Instant::START,
            flush_at: None,
            is_due: false,
            in_flight: 0,
            streams: BTreeMap::new(),
            output_count: 0,
            digest: Digest::default(),
        };
        let out = recorder.begin(now, Tag::New);
        out.number(seed);
        out.number(config.listen_port.map_or(0, |port| u64::from(port) + 1));
        for number in [config.peers_max, config.half_open_max, config.buffer_len_max, config.requests_max] {
            out.len(number);
        }
        out.len(config.metadata_len_max);
        out.len(config.hash_width);
        out.len(config.upload_slots);
        let interval = config.progress_interval.map_or(0, |interval| interval.as_nanos().saturating_add(1));
        out.number(u64::try_from(interval).unwrap_or(u64::MAX));
        recorder
    }

    pub(crate) fn add_torrent(&mut self, now: Instant, add: &AddTorrent) {
        let out = self.begin(now, Tag::AddTorrent);
        out.bytes(add.metainfo.raw());
        out.bytes(add.root.to_string_lossy().as_bytes());
        out.byte(add.purpose as u8);
        out.byte(add.check as u8);
        whom(out, &add.tiers, &add.web_seeds, &add.peers, &add.hosts);
        choice(out, &add.choice);
    }

    pub(crate) fn add_magnet(&mut self, now: Instant, add: &AddMagnet) {
        let out = self.begin(now, Tag::AddMagnet);
        out.bytes(add.magnet.to_string().as_bytes());
        out.bytes(add.root.to_string_lossy().as_bytes());
        out.byte(add.check as u8);
        out.byte(add.metadata_only.into());
        whom(out, &add.tiers, &add.web_seeds, &add.peers, &add.hosts);
        choice(out, &add.choice);
    }

    pub(crate) fn set_choice(&mut self, now: Instant, torrent: TorrentKey, choose: &Choice) {
        let out = self.begin(now, Tag::SetChoice);
        out.key(torrent);
        choice(out, choose);
    }

    pub(crate) fn remove_torrent(&mut self, now: Instant, torrent: TorrentKey) {
        self.begin(now, Tag::RemoveTorrent).key(torrent);
    }

    pub(crate) fn add_peer(&mut self, now: Instant, torrent: TorrentKey, addr: SocketAddr) {
        let out = self.begin(now, Tag::AddPeer);
        out.key(torrent);
        out.addr(addr);
    }

    pub(crate) fn scrape(&mut self, now: Instant, url: &str, hashes: &[InfoHash]) {
        let out = self.begin(now, Tag::Scrape);
        out.bytes(url.as_bytes());
        out.list(hashes, |out, hash| out.bytes(hash.as_bytes()));
    }

    pub(crate) fn shut_down(&mut self, now: Instant) {
        self.begin(now, Tag::ShutDown);
    }

    pub(crate) fn accept(&mut self, now: Instant, addr: SocketAddr) {
        self.begin(now, Tag::Accept).addr(addr);
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.begin(now, Tag::Timeout);
    }

    pub(crate) fn input(&mut self, now: Instant, input: &Input<'_>) {
        match input {
            Input::Connected { peer } => self.begin(now, Tag::Connected).key(*peer),
            Input::Received { peer, bytes } => {
                let runs = self.streams.entry(*peer).or_default().runs(bytes);
                let out = self.begin(now, Tag::Received);
                out.key(*peer);
                out.list(&runs, |out, (is_payload, run)| {
                    out.byte(u8::from(*is_payload));
                    if *is_payload { out.len(run.len()) } else { out.bytes(run) }
                });
            }
            Input::Closed { peer, cause } => {
                self.streams.remove(peer);
                let out = self.begin(now, Tag::Closed);
                out.key(*peer);
                out.byte(match cause {
                    CloseCause::End => 0,
                    CloseCause::Refused => 1,
                    CloseCause::Failed => 2,
                });
            }
            Input::Datagram { from, bytes } => {
                let out = self.begin(now, Tag::Datagram);
                out.addr(*from);
                out.bytes(bytes);
            }
            Input::Done(done) => job_done(self.begin(now, Tag::Done), done),
        }
    }

    /// Bytes are about to be taken as sent: the protocol's among them are digested.
    pub(crate) fn sent(&mut self, now: Instant, key: PeerKey, peer: &Peer, len: usize) {
        let (_, digest) = sent_digest(Some(peer), len);
        let out = self.begin(now, Tag::Sent);
        out.key(key);
        out.len(len);
        out.number(digest);
    }

    /// An output has been taken.
    pub(crate) fn output(&mut self, output: &Output) {
        if let Output::Close { peer, .. } = output {
            self.streams.remove(peer);
        }
        output.hash(&mut self.digest);
        self.output_count += 1;
    }

    /// All outputs have been taken: what they were is written down.
    pub(crate) fn drained(&mut self) {
        if self.output_count > 0 {
            let (count, digest) = (std::mem::take(&mut self.output_count), std::mem::take(&mut self.digest));
            let out = self.begin(self.last_at, Tag::Outputs);
            out.number(count);
            out.number(digest.finish());
        }
    }

    /// The next part to write, if there is enough of it, or time for it, or an end.
    pub(crate) fn take_part(&mut self, end: bool) -> Option<Job> {
        if self.out.0.is_empty() || !(end || self.is_due || self.out.0.len() >= PART_LEN) {
            return None;
        }
        self.is_due = false;
        self.flush_at = None;
        self.in_flight += 1;
        let bytes = std::mem::take(&mut self.out.0);
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        Some(Job::Record { offset, bytes })
    }

    /// A part has been written.
    pub(crate) const fn on_written(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
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
        self.out.0.is_empty() && self.in_flight == 0
    }

    fn begin(&mut self, now: Instant, tag: Tag) -> &mut Writer {
        let passed = now.since(self.last_at);
        self.last_at = self.last_at.max(now);
        self.tick(now);
        if self.flush_at.is_none() && !self.is_due {
            self.flush_at = Some(now + PART_TIME);
        }
        self.out.byte(tag as u8);
        self.out.number(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
        &mut self.out
    }
}

fn job_done(out: &mut Writer, done: &JobDone) {
    match done {
        JobDone::Opened { torrent, result } => {
            head(out, 0, *torrent);
            outcome(out, result, opened, disk_error);
        }
        JobDone::Checked { torrent, pieces, result } => {
            head(out, 1, *torrent);
            out.list(pieces, |out, piece| out.number(piece.get().into()));
            let verdicts =
                |out: &mut Writer, good: &Vec<bool>| out.list(good, |out, good| out.byte((*good).into()));
            outcome(out, result, verdicts, disk_error);
        }
        JobDone::Stored { torrent, pieces } => {
            head(out, 2, *torrent);
            out.list(pieces, |out, StoredPiece { piece, blocks: _, result }| {
                out.number(piece.get().into());
                let digests = |out: &mut Writer, list: &Vec<BlockDigest>| {
                    out.list(list, |out, digest| out.bytes(digest))
                };
                outcome(out, result, digests, store_error);
            });
        }
        JobDone::Read { torrent, peer, range, result } => {
            head(out, 3, *torrent);
            out.key(*peer);
            for number in [range.piece().get(), range.begin(), range.len()] {
                out.number(number.into());
            }
            outcome(out, result, |out, block| out.len(block.as_slice().len()), disk_error);
        }
        JobDone::Saved { torrent, result } => {
            head(out, 4, *torrent);
            outcome(out, result, |_, ()| {}, disk_error);
        }
        JobDone::Announced { torrent, tier, family, result } => {
            head(out, 5, *torrent);
            out.len(*tier);
            out.byte((*family == IpFamily::V6).into());
            outcome(out, result, |out, body| out.bytes(body), fetch_error);
        }
        JobDone::Resolved { whom, host, port, result } => {
            match whom {
                ResolveFor::Peer(torrent) => head(out, 6, *torrent),
                ResolveFor::Tracker => out.byte(8),
            }
            out.bytes(host.as_bytes());
            out.number((*port).into());
            outcome(out, result, |out, addrs| list_addrs(out, addrs), |out, why| out.bytes(why.as_bytes()));
        }
        JobDone::Fetched { torrent, seed, run, blocks, result } => {
            head(out, 10, *torrent);
            out.len(*seed);
            out.number(*run);
            out.list(blocks, |out, block| out.len(block.as_slice().len()));
            outcome(out, result, |_, ()| {}, fetch_failure);
        }
        JobDone::Chosen { torrent, result } => {
            head(out, 9, *torrent);
            outcome(out, result, |_, ()| {}, disk_error);
        }
        JobDone::Scraped { number, result } => {
            out.byte(7);
            out.number((*number).into());
            outcome(out, result, |out, body| out.bytes(body), fetch_error);
        }
        JobDone::Metadata { torrent, result } => metadata(out, *torrent, result),
        // Of the recording itself; it never reaches the machine that is recorded.
        JobDone::Recorded { .. } => {}
    }
}

fn whom(
    out: &mut Writer,
    tiers: &[Vec<String>],
    web_seeds: &[String],
    peers: &[SocketAddr],
    hosts: &[(String, u16)],
) {
    out.list(tiers, |out, tier| out.list(tier, |out, url| out.bytes(url.as_bytes())));
    out.list(web_seeds, |out, url| out.bytes(url.as_bytes()));
    out.list(peers, |out, addr| out.addr(*addr));
    out.list(hosts, |out, (host, port)| {
        out.bytes(host.as_bytes());
        out.number((*port).into());
    });
}

fn metadata(out: &mut Writer, torrent: TorrentKey, result: &Result<Box<BuiltMetadata>, MetadataError>) {
    head(out, 11, torrent);
    out.byte(result.is_ok().into());
    match result {
        Ok(built) => {
            out.bytes(built.metainfo.raw());
            out.list(&built.digests, |out, digest| out.bytes(digest));
        }
        Err(error) => metadata_error(out, error),
    }
}

fn metadata_error(out: &mut Writer, error: &MetadataError) {
    match error {
        MetadataError::NotSaved => out.byte(0),
        MetadataError::Mismatch(digests) => {
            out.byte(1);
            out.list(digests, |out, digest| out.bytes(digest));
        }
        MetadataError::Unusable(why) => {
            out.byte(2);
            out.bytes(why.as_bytes());
        }
    }
}

fn choice(out: &mut Writer, choice: &Choice) {
    out.list(&choice.priorities, |out, priority| out.byte(priority.get()));
    out.byte(choice.sequential.into());
    out.byte(choice.first_last.into());
}

fn head(out: &mut Writer, kind: u8, torrent: impl Key) {
    out.byte(kind);
    out.key(torrent);
}

fn outcome<T, E>(
    out: &mut Writer,
    result: &Result<T, E>,
    ok: impl FnOnce(&mut Writer, &T),
    err: impl FnOnce(&mut Writer, &E),
) {
    out.byte(result.is_ok().into());
    match result {
        Ok(value) => ok(out, value),
        Err(error) => err(out, error),
    }
}

fn opened(out: &mut Writer, opened: &Opened) {
    for set in [&opened.have, &opened.unsure] {
        bitfield(out, set);
    }
    out.byte(opened.ours.into());
}

fn bitfield(out: &mut Writer, set: &Bitfield) {
    out.number(set.piece_count().into());
    out.bytes(&set.to_wire());
}

fn disk_error(out: &mut Writer, error: &DiskError) {
    out.byte(error.kind as u8);
    out.bytes(error.path.to_string_lossy().as_bytes());
    out.bytes(error.why.as_bytes());
}

fn store_error(out: &mut Writer, error: &StoreError) {
    out.byte(matches!(error, StoreError::Mismatch(_)).into());
    match error {
        StoreError::Mismatch(digests) => out.list(digests, |out, digest| out.bytes(digest)),
        StoreError::Disk(error) => disk_error(out, error),
    }
}

fn list_addrs(out: &mut Writer, addrs: &[SocketAddr]) {
    out.list(addrs, |out, addr| out.addr(*addr));
}

fn fetch_failure(out: &mut Writer, failure: &FetchFailure) {
    fetch_error(out, &failure.error);
    out.number(failure.retry_after.map_or(0, |after| after.as_secs().saturating_add(1)));
}

fn fetch_error(out: &mut Writer, error: &FetchError) {
    let (kind, number, text) = match error {
        FetchError::Status(status) => (0, u64::from(*status), ""),
        FetchError::TooLong(max) => (1, *max, ""),
        FetchError::Timeout => (2, 0, ""),
        FetchError::Redirect(why) => (3, 0, why.as_str()),
        FetchError::Url(why) => (4, 0, why.as_str()),
        FetchError::Failed(why) => (5, 0, why.as_str()),
        FetchError::NoAddress => (6, 0, ""),
        FetchError::Unfit(why) => (7, 0, why.as_str()),
    };
    out.byte(kind);
    out.number(number);
    out.bytes(text.as_bytes());
}
