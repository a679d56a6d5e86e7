//! Records, taken apart again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Tag;
use super::codec::Reader;
use crate::bitfield::Bitfield;
use crate::block::Block;
use crate::choice::Choice;
use crate::config::Config;
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::input::CloseCause;
use crate::job::{
    BlockDigest, BuiltMetadata, Check, DiskError, DiskErrorKind, FetchError, FetchFailure, JobDone,
    MetadataError, Opened, Purpose, ResolveFor, StoreError, StoredPiece,
};
use crate::key::{PeerKey, TorrentKey};
use crate::metainfo::Metainfo;
use crate::piece::Geometry;
use crate::priority::Priority;
use crate::session::{AddMagnet, AddTorrent};

/// One record: how long after the one before, and what.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) passed: Duration,
    pub(super) call: Call,
}

/// What was called.
#[derive(Debug)]
pub(super) enum Call {
    New {
        seed: u64,
        config: Config,
    },
    AddTorrent(Box<AddTorrent>),
    RemoveTorrent(TorrentKey),
    SetChoice(TorrentKey, Choice),
    AddPeer(TorrentKey, SocketAddr),
    ShutDown,
    Accept(SocketAddr),
    Connected(PeerKey),
    Received(PeerKey, Vec<u8>),
    Closed(PeerKey, CloseCause),
    /// `None`: of a torrent that was gone, which changes nothing.
    Done(Option<JobDone>),
    Timeout,
    Sent {
        peer: PeerKey,
        len: usize,
        digest: u64,
    },
    Outputs {
        count: u64,
        digest: u64,
    },
    Datagram(SocketAddr, Vec<u8>),
    Scrape(String, Vec<InfoHash>),
    AddMagnet(Box<AddMagnet>),
}

/// The longest run of payload in one read: far over any runtime's scratch buffer.
const PAYLOAD_RUN_MAX: usize = 64 * 1024 * 1024;

impl Record {
    /// The next record. `geometry` tells how a torrent's bytes divide, if it is there.
    pub(super) fn read(
        from: &mut Reader<'_>,
        geometry: impl Fn(TorrentKey) -> Option<Geometry>,
    ) -> Option<Self> {
        let tag = Tag::read(from.byte()?)?;
        let passed = Duration::from_nanos(from.number()?);
        let call = match tag {
            Tag::New => new(from)?,
            Tag::AddTorrent => Call::AddTorrent(Box::new(add_torrent(from)?)),
            Tag::AddMagnet => Call::AddMagnet(Box::new(add_magnet(from)?)),
            Tag::RemoveTorrent => Call::RemoveTorrent(from.key()?),
            Tag::SetChoice => Call::SetChoice(from.key()?, choice(from)?),
            Tag::AddPeer => Call::AddPeer(from.key()?, from.addr()?),
            Tag::ShutDown => Call::ShutDown,
            Tag::Accept => Call::Accept(from.addr()?),
            Tag::Connected => Call::Connected(from.key()?),
            Tag::Received => Call::Received(from.key()?, received(from)?),
            Tag::Closed => Call::Closed(from.key()?, close_cause(from)?),
            Tag::Done => Call::Done(job_done(from, geometry)?),
            Tag::Timeout => Call::Timeout,
            Tag::Sent => Call::Sent { peer: from.key()?, len: from.small()?, digest: from.number()? },
            Tag::Outputs => Call::Outputs { count: from.number()?, digest: from.number()? },
            Tag::Datagram => Call::Datagram(from.addr()?, from.bytes()?.to_vec()),
            Tag::Scrape => {
                let hash = |from: &mut Reader<'_>| from.bytes()?.try_into().ok().map(InfoHash::new);
                Call::Scrape(from.text()?, from.list(hash)?)
            }
        };
        Some(Self { passed, call })
    }
}

fn new(from: &mut Reader<'_>) -> Option<Call> {
    let seed = from.number()?;
    let listen_port = from.number()?.checked_sub(1).map(u16::try_from).transpose().ok()?;
    let (peers_max, half_open_max) = (from.small()?, from.small()?);
    let (buffer_len_max, requests_max) = (from.small()?, from.small()?);
    let metadata_len_max = from.small()?;
    let (hash_width, upload_slots) = (from.small()?, from.small()?);
    let progress_interval = from.number()?.checked_sub(1).map(Duration::from_nanos);
    let config = Config {
        listen_port,
        peers_max,
        half_open_max,
        buffer_len_max,
        requests_max,
        metadata_len_max,
        hash_width,
        upload_slots,
        progress_interval,
        record: false,
    };
    Some(Call::New { seed, config })
}

fn add_torrent(from: &mut Reader<'_>) -> Option<AddTorrent> {
    let metainfo = Metainfo::parse(from.bytes()?.to_vec()).ok()?;
    let root = PathBuf::from(from.text()?);
    let purpose = pick(from.byte()?, &[Purpose::Download, Purpose::Serve])?;
    let check = pick(from.byte()?, &[Check::Auto, Check::Full, Check::Trust])?;
    let Whom { tiers, web_seeds, peers, hosts, choice } = whom(from)?;
    Some(AddTorrent { metainfo, root, purpose, check, choice, tiers, web_seeds, peers, hosts })
}

fn add_magnet(from: &mut Reader<'_>) -> Option<AddMagnet> {
    let magnet = from.text()?.parse().ok()?;
    let root = PathBuf::from(from.text()?);
    let check = pick(from.byte()?, &[Check::Auto, Check::Full, Check::Trust])?;
    let metadata_only = from.flag()?;
    let Whom { tiers, web_seeds, peers, hosts, choice } = whom(from)?;
    Some(AddMagnet { magnet, root, check, choice, tiers, web_seeds, peers, hosts, metadata_only })
}

/// Whom to ask for a torrent, and for what of it.
struct Whom {
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    peers: Vec<SocketAddr>,
    hosts: Vec<(String, u16)>,
    choice: Choice,
}

fn whom(from: &mut Reader<'_>) -> Option<Whom> {
    let tiers = from.list(|from| from.list(Reader::text))?;
    let web_seeds = from.list(Reader::text)?;
    let peers = from.list(Reader::addr)?;
    let hosts = from.list(|from| Some((from.text()?, from.small()?)))?;
    Some(Whom { tiers, web_seeds, peers, hosts, choice: choice(from)? })
}

fn choice(from: &mut Reader<'_>) -> Option<Choice> {
    let priorities = from.list(|from| Priority::new(from.byte()?))?;
    Some(Choice { priorities, sequential: from.flag()?, first_last: from.flag()? })
}

fn built_metadata(from: &mut Reader<'_>) -> Option<Box<BuiltMetadata>> {
    let metainfo = Metainfo::parse(from.bytes()?.to_vec()).ok()?;
    Some(Box::new(BuiltMetadata { metainfo, digests: digests(from)? }))
}

fn metadata_error(from: &mut Reader<'_>) -> Option<MetadataError> {
    Some(match from.byte()? {
        0 => MetadataError::NotSaved,
        1 => MetadataError::Mismatch(digests(from)?),
        2 => MetadataError::Unusable(from.text()?),
        _ => return None,
    })
}

fn received(from: &mut Reader<'_>) -> Option<Vec<u8>> {
    let runs = from.list(|from| {
        if from.flag()? {
            let len: usize = from.small()?;
            (len <= PAYLOAD_RUN_MAX).then(|| vec![0; len])
        } else {
            from.bytes().map(<[u8]>::to_vec)
        }
    })?;
    Some(runs.concat())
}

fn close_cause(from: &mut Reader<'_>) -> Option<CloseCause> {
    pick(from.byte()?, &[CloseCause::End, CloseCause::Refused, CloseCause::Failed])
}

fn job_done(
    from: &mut Reader<'_>,
    geometry: impl Fn(TorrentKey) -> Option<Geometry>,
) -> Option<Option<JobDone>> {
    let kind = from.byte()?;
    match kind {
        7 => {
            let number = from.small()?;
            return Some(Some(JobDone::Scraped { number, result: outcome(from, body, fetch_error)? }));
        }
        8 => return Some(Some(resolved(from, ResolveFor::Tracker)?)),
        _ => {}
    }
    let torrent = from.key()?;
    let piece = |index| geometry(torrent).and_then(|geometry| geometry.piece(index));
    Some(Some(match kind {
        0 => JobDone::Opened { torrent, result: outcome(from, opened, disk_error)? },
        1 => {
            let indices = from.list(Reader::small::<u32>)?;
            let result = outcome(from, |from| from.list(Reader::flag), disk_error)?;
            let Some(pieces) = indices.into_iter().map(piece).collect() else { return Some(None) };
            JobDone::Checked { torrent, pieces, result }
        }
        2 => {
            let stored = from.list(|from| Some((from.small()?, outcome(from, digests, store_error)?)))?;
            let stored = stored.into_iter().map(|(index, result)| {
                piece(index).map(|piece| StoredPiece { piece, blocks: Vec::new(), result })
            });
            let Some(pieces) = stored.collect() else { return Some(None) };
            JobDone::Stored { torrent, pieces }
        }
        3 => {
            let peer = from.key()?;
            let (index, begin, len) = (from.small()?, from.small()?, from.small()?);
            let block = |from: &mut Reader<'_>| {
                let len: usize = from.small()?;
                (len <= PAYLOAD_RUN_MAX).then(|| Block::new(vec![0; len]))
            };
            let result = outcome(from, block, disk_error)?;
            let range = geometry(torrent).and_then(|geometry| geometry.range(index, begin, len));
            let Some(range) = range else { return Some(None) };
            JobDone::Read { torrent, peer, range, result }
        }
        4 => JobDone::Saved { torrent, result: outcome(from, |_| Some(()), disk_error)? },
        5 => {
            let tier = from.small()?;
            let family = pick(from.byte()?, &IpFamily::ALL)?;
            JobDone::Announced { torrent, tier, family, result: outcome(from, body, fetch_error)? }
        }
        6 => resolved(from, ResolveFor::Peer(torrent))?,
        11 => JobDone::Metadata { torrent, result: outcome(from, built_metadata, metadata_error)? },
        10 => fetched(from, torrent)?,
        9 => JobDone::Chosen { torrent, result: outcome(from, |_| Some(()), disk_error)? },
        _ => return None,
    }))
}

fn fetched(from: &mut Reader<'_>, torrent: TorrentKey) -> Option<JobDone> {
    let (seed, run) = (from.small()?, from.number()?);
    let mut left = PAYLOAD_RUN_MAX;
    let blocks = from.list(|from| {
        let len: usize = from.small()?;
        left = left.checked_sub(len)?;
        Some(Block::new(vec![0; len]))
    })?;
    let failure = |from: &mut Reader<'_>| {
        let error = fetch_error(from)?;
        Some(FetchFailure { error, retry_after: from.number()?.checked_sub(1).map(Duration::from_secs) })
    };
    Some(JobDone::Fetched { torrent, seed, run, blocks, result: outcome(from, |_| Some(()), failure)? })
}

fn body(from: &mut Reader<'_>) -> Option<Vec<u8>> {
    from.bytes().map(<[u8]>::to_vec)
}

fn resolved(from: &mut Reader<'_>, whom: ResolveFor) -> Option<JobDone> {
    let (host, port) = (from.text()?, from.small()?);
    let result = outcome(from, |from| from.list(Reader::addr), Reader::text)?;
    Some(JobDone::Resolved { whom, host, port, result })
}

fn outcome<'a, T, E>(
    from: &mut Reader<'a>,
    ok: impl FnOnce(&mut Reader<'a>) -> Option<T>,
    err: impl FnOnce(&mut Reader<'a>) -> Option<E>,
) -> Option<Result<T, E>> {
    if from.flag()? { ok(from).map(Ok) } else { err(from).map(Err) }
}

fn opened(from: &mut Reader<'_>) -> Option<Opened> {
    Some(Opened { have: bitfield(from)?, unsure: bitfield(from)?, ours: from.flag()? })
}

fn bitfield(from: &mut Reader<'_>) -> Option<Bitfield> {
    let piece_count = from.small()?;
    Bitfield::from_wire(from.bytes()?, piece_count).ok()
}

fn digests(from: &mut Reader<'_>) -> Option<Vec<BlockDigest>> {
    from.list(|from| from.bytes()?.try_into().ok())
}

fn disk_error(from: &mut Reader<'_>) -> Option<DiskError> {
    const KINDS: [DiskErrorKind; 7] = [
        DiskErrorKind::Full,
        DiskErrorKind::Denied,
        DiskErrorKind::NotFound,
        DiskErrorKind::Locked,
        DiskErrorKind::WouldOverwrite,
        DiskErrorKind::Unsafe,
        DiskErrorKind::Other,
    ];
    let kind = pick(from.byte()?, &KINDS)?;
    Some(DiskError { kind, path: PathBuf::from(from.text()?), why: from.text()? })
}

fn store_error(from: &mut Reader<'_>) -> Option<StoreError> {
    if from.flag()? {
        digests(from).map(StoreError::Mismatch)
    } else {
        disk_error(from).map(StoreError::Disk)
    }
}

fn fetch_error(from: &mut Reader<'_>) -> Option<FetchError> {
    let (kind, number, text) = (from.byte()?, from.number()?, from.text()?);
    Some(match kind {
        0 => FetchError::Status(u16::try_from(number).ok()?),
        1 => FetchError::TooLong(number),
        2 => FetchError::Timeout,
        3 => FetchError::Redirect(text),
        4 => FetchError::Url(text),
        5 => FetchError::Failed(text),
        6 => FetchError::NoAddress,
        7 => FetchError::Unfit(text),
        _ => return None,
    })
}

/// The item with this number.
fn pick<T: Copy>(number: u8, items: &[T]) -> Option<T> {
    items.get(usize::from(number)).copied()
}
