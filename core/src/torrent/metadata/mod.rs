//! The time before a torrent's metadata is there: who is asked for it, what is kept until then, and
//! how the torrent goes on; and metadata for others (BEP 9).

mod fetch;
mod serve;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::checking::Checking;
use super::choosing::Choosing;
use super::{Phase, Torrent};
use crate::bitfield::Bitfield;
use crate::choice::Choice;
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::extension::{ExtensionError, Kind, MetadataMessage};
use crate::job::{BuiltMetadata, Check, Job, MetadataError, MetadataWork};
use crate::key::{PeerKey, TorrentKey};
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
use crate::output::{CloseReason, Event, TorrentError};
use crate::peer::{Peer, PeerError, Peers};
use crate::priority::Priority;
use crate::session::AddMagnet;
use crate::storage::Storage;
use crate::torrent::download::count_unasked;
use crate::torrent::verdict::Giver;
use crate::wire::Message;
use fetch::{Came, Fetch};
pub(super) use serve::Served;

/// How often it is looked whether someone is late.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes kept of what peers say to have, in all, before anyone knows what it means. With the most
/// pieces that there can be, 32 peers of which each has named some; with usual torrents thousands.
const EARLY_LEN_MAX: usize = 8 * 1024 * 1024;

/// Pieces told one by one to a peer that has been here before it was known what is on disk: 450 KB at
/// most. More are told by a bitfield, which BEP 3 has only as the first message. Most clients take it at
/// any time; the others leave, and call again.
const TOLD_MAX: u32 = 50_000;

/// What only a torrent has whose metadata is not there.
#[derive(Debug)]
pub(crate) struct Fetching {
    magnet: Arc<Magnet>,
    root: PathBuf,
    check: Check,
    /// What is wanted of the torrent; where it says nothing of files, what the link says counts.
    choice: Choice,
    /// Whether the metadata is all that is wanted.
    alone: bool,
    stage: Stage,
    fetch: Fetch,
    /// Whether someone may be asked for something new.
    refill: bool,
    /// Whether it was told that a peer's metadata is too long.
    told_too_long: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What an earlier run may have saved is looked for.
    Finding,
    /// Peers are asked.
    Fetching,
    /// It is there; before anything is made of it, the user may say what of it is wanted.
    Known,
    /// It is there, and nothing more is wanted.
    Done,
}

impl Fetching {
    fn new(magnet: Arc<Magnet>, root: PathBuf, check: Check, choice: Choice, alone: bool) -> Self {
        let (stage, fetch) = (Stage::Finding, Fetch::default());
        Self { magnet, root, check, choice, alone, stage, fetch, refill: false, told_too_long: false }
    }

    /// The job that looks for what an earlier run has saved.
    pub(super) fn find(&self) -> MetadataWork {
        MetadataWork::Find { root: self.root.clone(), info_hash: self.magnet.info_hash }
    }

    /// The user wants this of the torrent.
    pub(super) fn choose(&mut self, choice: Choice) {
        self.choice = choice;
    }

    /// What is wanted, now that the files are known. A link that names none that exist names all.
    fn final_choice(&self, files: usize) -> Choice {
        let mut choice = self.choice.clone();
        let selects = |file: usize| {
            let within = |(first, last): &(u32, u32)| (*first as usize..=*last as usize).contains(&file);
            self.magnet.select.iter().any(within)
        };
        if choice.priorities.is_empty() && (0..files).any(selects) {
            let priority = |file| if selects(file) { Priority::NORMAL } else { Priority::SKIP };
            choice.priorities = (0..files).map(priority).collect();
        }
        choice
    }

    /// Whether peers are of use.
    pub(super) fn takes_peers(&self) -> bool {
        self.stage == Stage::Fetching
    }

    /// Whether this peer says to have the metadata.
    pub(super) fn is_source(&self, key: PeerKey) -> bool {
        self.fetch.is_source(key)
    }

    /// Whether connections may stay.
    pub(super) fn keeps_peers(&self) -> bool {
        self.stage != Stage::Done
    }

    /// Bytes held, and bytes in all as far as that is known.
    pub(super) fn progress(&self) -> (u64, u64) {
        let (have, total) = self.fetch.progress();
        (have.into(), total.into())
    }

    pub(super) fn on_gone(&mut self, key: PeerKey) {
        self.fetch.on_gone(key);
        self.refill = true;
    }
}

impl Torrent {
    /// A torrent of which the magnet link is all that is known.
    pub(crate) fn of_magnet(cx: &mut Cx, key: TorrentKey, add: AddMagnet) -> Self {
        let metainfo = Metainfo::unknown(&add.magnet);
        let storage = Arc::new(Storage { metainfo, root: add.root.clone() });
        let fetching =
            Fetching::new(Arc::new(add.magnet), add.root, add.check, add.choice, add.metadata_only);
        let work = fetching.find();
        let phase = Phase::Metadata(Box::new(fetching));
        let choosing = Choosing::new(Choice::default(), &storage.metainfo);
        let whom = (add.tiers, add.web_seeds);
        let mut torrent = Self::with_phase(cx, key, storage, phase, choosing, whom);
        torrent.add_first_peers(cx, add.peers, add.hosts);
        cx.job(Job::Metadata { torrent: key, work });
        torrent
    }

    /// Whether what it is is known.
    pub(crate) const fn has_metadata(&self) -> bool {
        !matches!(self.phase, Phase::Metadata(_))
    }

    /// How many pieces there are, if that is known.
    pub(crate) fn piece_count(&self) -> Option<u32> {
        self.has_metadata().then(|| self.have.piece_count())
    }

    /// Takes in a message of a peer while nobody knows how many pieces there are.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others ask for, or are about, pieces")]
    pub(super) fn on_early_message(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
        message: Message<'_>,
    ) -> Result<(), CloseReason> {
        let Some(peer) = peers.get_mut(key) else { return Ok(()) };
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let fast = open.fast.is_on;
        let early = &mut open.early;
        match message {
            Message::Extended { id, payload } => return self.on_extended(cx, peer, id, payload),
            Message::Choke => open.flow.on_choke(cx.now).map_err(CloseReason::Violation)?,
            Message::Unchoke => _ = open.flow.on_unchoke(cx.now),
            Message::Interested => open.flow.peer_interested = true,
            Message::NotInterested => open.flow.peer_interested = false,
            Message::HaveAll if fast => early.get_or_insert_default().on_all(),
            Message::Bitfield { bits } => early.get_or_insert_default().on_bitfield(bits),
            Message::Have { index } => {
                early.get_or_insert_default().on_have(index).map_err(CloseReason::Violation)?;
            }
            Message::AllowedFast { index } if fast => _ = open.fast.allow(index),
            Message::Suggest { index } if fast => open.fast.suggest(index),
            Message::Request { index, begin, len } if fast => {
                peer.send(cx, Message::Reject { index, begin, len });
            }
            Message::Piece { .. } => {
                count_unasked(&mut open.unasked_count).map_err(CloseReason::Violation)?
            }
            _ => {}
        }
        self.check_early_len(peers, key)
    }

    /// Keeps the bound of what is kept of all peers.
    fn check_early_len(&self, peers: &Peers, key: PeerKey) -> Result<(), CloseReason> {
        let len = |key: &PeerKey| peers.get(*key)?.open()?.early.as_ref().map(|early| early.heap_len());
        // Small sets are not even counted together: as many peers as there can be stay within the bound.
        if len(&key).is_none_or(|len| len <= EARLY_LEN_MAX / 1024) {
            return Ok(());
        }
        let sum: usize = self.peers.iter().filter_map(len).sum();
        if sum > EARLY_LEN_MAX { Err(CloseReason::Crowded) } else { Ok(()) }
    }

    /// A peer has said how long the metadata is that it has, or that it takes messages about it.
    pub(super) fn on_metadata_len(&mut self, cx: &mut Cx, peer: &Peer) {
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        let Some(giver) = Giver::of(peer) else { return };
        let extended = peer.open().and_then(|open| open.extended.as_ref());
        let takes = extended.filter(|extended| extended.id(Kind::Metadata).is_some());
        let Some(len) = takes.and_then(|extended| extended.metadata.len) else { return };
        let max = cx.config.metadata_len_max;
        if len as usize > max {
            fetching.fetch.on_gone(giver.peer);
            if !std::mem::replace(&mut fetching.told_too_long, true) {
                cx.event(Event::MetadataTooLong { torrent: self.key, addr: giver.addr, len: len.into() });
            }
            return;
        }
        fetching.fetch.on_len(giver, len);
        fetching.refill = true;
        self.set_metadata_timer(cx);
    }

    /// A peer asks for metadata, or answers.
    pub(super) fn on_metadata_message(
        &mut self,
        cx: &mut Cx,
        peer: &mut Peer,
        message: MetadataMessage<'_>,
    ) -> Result<(), CloseReason> {
        let Phase::Metadata(fetching) = &mut self.phase else {
            if let MetadataMessage::Request { piece } = message {
                self.serve_metadata(cx, peer, piece);
            }
            return Ok(());
        };
        fetching.refill = true;
        match message {
            MetadataMessage::Request { piece } => {
                peer.send_extended(cx, Kind::Metadata, &MetadataMessage::Reject { piece }.encode());
            }
            MetadataMessage::Reject { piece } => fetching.fetch.on_reject(cx.now, peer.key, piece),
            MetadataMessage::Data { piece, total_len, bytes } => {
                let key = peer.key;
                let Some(open) = peer.open_mut() else { return Ok(()) };
                let came = fetching.fetch.on_data(key, piece, total_len, bytes);
                let result = match came {
                    Came::Taken => Ok(()),
                    Came::Unasked => count_unasked(&mut open.unasked_count),
                    Came::Malformed => Err(PeerError::Extension(ExtensionError::Message)),
                };
                result.map_err(CloseReason::Violation)?;
                let (have, total) = fetching.fetch.progress();
                cx.event(Event::Metadata { torrent: self.key, have, total });
            }
        }
        Ok(())
    }

    /// Asks whoever can be asked, and has a copy that is whole looked at.
    pub(super) fn pump_metadata(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        if !std::mem::take(&mut fetching.refill) || fetching.stage != Stage::Fetching {
            return;
        }
        if let Some(pieces) = fetching.fetch.take_copy() {
            let work = MetadataWork::Build {
                save_in: (!fetching.alone).then(|| fetching.root.clone()),
                magnet: Arc::clone(&fetching.magnet),
                pieces,
                digest_pieces: fetching.fetch.wants_digests(),
            };
            cx.job(Job::Metadata { torrent: self.key, work });
        }
        for (key, piece) in fetching.fetch.pick(cx.now) {
            if let Some(peer) = peers.get_mut(key) {
                peer.send_extended(cx, Kind::Metadata, &MetadataMessage::Request { piece }.encode());
            }
        }
    }

    /// Time has passed: someone may be late.
    pub(crate) fn on_metadata_timer(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        if fetching.stage == Stage::Known {
            return self.begin(cx, peers);
        }
        fetching.fetch.on_tick(cx.now);
        fetching.refill = true;
        self.pump_metadata(cx, peers);
        self.set_metadata_timer(cx);
    }

    fn set_metadata_timer(&self, cx: &mut Cx) {
        let key = TimerKey::Torrent(self.key, TorrentTimer::Metadata);
        if matches!(&self.phase, Phase::Metadata(fetching) if fetching.fetch.has_sources())
            && cx.timers.get(key).is_none()
        {
            cx.timers.set(key, cx.now + TICK_INTERVAL);
        }
    }

    /// A look for saved metadata, or at what peers have sent, has come to something.
    pub(crate) fn on_metadata(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        result: Result<Box<BuiltMetadata>, MetadataError>,
    ) {
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        if self.closing {
            return;
        }
        fetching.refill = true;
        match result {
            Ok(built) if built.metainfo.info_hash() == fetching.magnet.info_hash => {
                let liars = fetching.fetch.on_good(&built.digests);
                liars.into_iter().for_each(|giver| self.ban(cx, peers, giver));
                self.on_metainfo(cx, peers, *built);
            }
            Ok(_) | Err(MetadataError::NotSaved) => {
                fetching.stage = Stage::Fetching;
                self.announce_due(cx);
                cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Dial), cx.now);
            }
            Err(MetadataError::Mismatch(digests)) => {
                cx.event(Event::MetadataFailed { torrent: self.key });
                if let Some(giver) = fetching.fetch.on_bad(&digests) {
                    self.ban(cx, peers, giver);
                }
            }
            Err(MetadataError::Unusable(why)) => return self.stop(cx, TorrentError::Metadata(why)),
        }
        self.pump_metadata(cx, peers);
    }

    /// The metadata is there.
    fn on_metainfo(&mut self, cx: &mut Cx, peers: &Peers, built: BuiltMetadata) {
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        let storage = Storage { metainfo: built.metainfo, root: std::mem::take(&mut fetching.root) };
        self.storage = Arc::new(storage);
        cx.event(Event::MetadataDone { torrent: self.key });
        let alone = fetching.alone;
        if self.storage.metainfo.is_private() {
            self.become_private(cx, peers);
        }
        let Phase::Metadata(fetching) = &mut self.phase else { return };
        if alone {
            fetching.stage = Stage::Done;
            self.peers.iter().for_each(|key| cx.close(*key, CloseReason::TorrentGone));
        } else {
            fetching.stage = Stage::Known;
            cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Metadata), cx.now);
        }
    }

    /// The torrent becomes one like others, with the peers that it has.
    fn begin(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Phase::Metadata(fetching) = &self.phase else { return };
        let metainfo = &self.storage.metainfo;
        let (torrent, storage, check) = (self.key, Arc::clone(&self.storage), fetching.check);
        self.choosing = Choosing::new(fetching.final_choice(metainfo.layout().files().len()), metainfo);
        self.have = Bitfield::empty(metainfo.geometry().piece_count());
        self.phase = Phase::Checking(Checking::default());
        let unwanted = self.choosing.unwanted_files().to_vec();
        cx.job(Job::Open { torrent, storage, check, purpose: self.purpose, unwanted });
        let is_private = self.storage.metainfo.is_private();
        for key in &self.peers {
            let Some(peer) = peers.get_mut(*key) else { continue };
            if let Err(error) = peer.on_metainfo(self.storage.metainfo.geometry()) {
                cx.close(*key, CloseReason::Violation(error));
            } else if peer.open().is_some_and(|open| open.lacks_metadata() || (is_private && open.greeted()))
            {
                self.send_hello(cx, peer, true);
            }
        }
    }

    /// The peers that have been here before the check are told what is there, and asked.
    pub(super) fn adopt_peers(&mut self, cx: &mut Cx, peers: &mut Peers) {
        if self.peers.is_empty() {
            return;
        }
        let geometry = *self.storage.metainfo.geometry();
        for key in &self.peers {
            let Some(peer) = peers.get_mut(*key) else { continue };
            if self.have.count() > TOLD_MAX {
                peer.send(cx, Message::Bitfield { bits: &self.have.to_wire() });
            } else {
                self.have.iter(&geometry).for_each(|it| peer.send(cx, Message::Have { index: it.get() }));
            }
            if let (Phase::Leeching(download), Some(open)) = (&mut self.phase, peer.open()) {
                download.picker.add_peer(&open.pieces);
                download.refill = true;
            }
            if self.is_redundant(peer) {
                cx.close(*key, CloseReason::Redundant);
            }
        }
        if self.is_upload_only() {
            self.tell_upload_only(cx, peers);
        }
        self.recount(cx, peers);
        self.start_rounds(cx);
        self.fill_slots(cx, peers);
        self.refill(cx, peers);
    }
}
