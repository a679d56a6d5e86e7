//! One torrent: its phases, its peers, its pieces.
//!
//! It decides what a peer's messages mean for pieces and for other peers. The way of a block down
//! is in `download`, up in `upload`; looking at what is on disk in `checking`; making and ending
//! connections is the session's.

mod announcer;
mod calling;
mod candidates;
mod checking;
mod choker;
mod choosing;
mod download;
mod endgame;
mod extended;
mod fast;
mod figures;
mod listing;
mod messages;
mod metadata;
mod news;
mod pex;
mod private;
mod refill;
mod rounds;
mod saving;
mod storing;
mod super_seed;
mod suspects;
mod turnover;
mod upload;
mod verdict;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use candidates::{Ended, Source};
pub(crate) use turnover::Idle;

use crate::bitfield::Bitfield;
use crate::choice::Choice;
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::id::{InfoHash, PeerId};
use crate::job::{DiskError, Job, Purpose};
use crate::key::{PeerKey, TorrentKey};
use crate::output::{CloseReason, Event, TorrentError};
use crate::peer::{Peer, PeerError, Peers};
use crate::rate::Rate;
use crate::session::AddTorrent;
use crate::storage::Storage;
use crate::webseed::WebSeeds;
use crate::wire::{Handshake, Message};
use announcer::Announcer;
use candidates::Candidates;
use checking::Checking;
use choker::Choker;
use choosing::Choosing;
use download::Download;
use metadata::{Fetching, Served};
use news::News;
use pex::Exchange;
use saving::Saving;
use super_seed::SuperSeed;

/// How long a leech without peers waits for the next address to be ready rather than ask trackers:
/// about as long as an announce takes at worst.
const CALL_SOON_TIME: Duration = Duration::from_secs(15);

/// A torrent of a session.
#[derive(Debug)]
pub(crate) struct Torrent {
    pub(crate) key: TorrentKey,
    pub(crate) storage: Arc<Storage>,
    purpose: Purpose,
    phase: Phase,
    /// Pieces verified and on disk.
    have: Bitfield,
    news: News,
    /// Connections that have shaken hands.
    peers: BTreeSet<PeerKey>,
    /// The same by who is at the other end: of two to one peer, the one that is kept.
    by_id: BTreeMap<PeerId, PeerKey>,
    pub(crate) announcer: Announcer,
    pub(crate) candidates: Candidates,
    /// Whether it is in the session's line of those with an address ready to dial.
    pub(crate) waits_to_dial: bool,
    exchange: Exchange,
    choker: Choker,
    choosing: Choosing,
    saving: Saving,
    web: WebSeeds,
    /// While a lone seed holds pieces back (BEP 16).
    super_seed: Option<Box<SuperSeed>>,
    /// Who gave us something in the last round in which anybody did.
    last_giver: Option<PeerKey>,
    /// Peers that may request.
    unchoked_count: usize,
    /// Whether a slot has become free.
    slots_changed: bool,
    /// Whether the peer whose message is handled may be asked for more than before it.
    may_ask: bool,
    /// Payload received, good or bad.
    down: Rate,
    /// Payload sent.
    up: Rate,
    /// Payload received that served nothing.
    wasted_len: u64,
    /// Metadata given to others of late.
    metadata_served: Served,
    /// Whether the torrent is to be forgotten as soon as its trackers and its disk have been told.
    closing: bool,
}

/// What a torrent is doing, with what only that needs.
#[derive(Debug)]
enum Phase {
    /// What it is is not known yet.
    Metadata(Box<Fetching>),
    /// What is on disk is looked at.
    Checking(Checking),
    /// Pieces are wanted.
    Leeching(Box<Download>),
    /// What is there is served, be it all of the torrent or all that is wanted of it.
    Seeding,
    /// The disk failed it.
    Stopped,
}

impl Torrent {
    pub(crate) fn new(cx: &mut Cx, key: TorrentKey, add: AddTorrent) -> Self {
        let storage = Arc::new(Storage { metainfo: add.metainfo, root: add.root });
        // What is only served is served whole.
        let choice = if add.purpose == Purpose::Serve { Choice::default() } else { add.choice };
        let choosing = Choosing::new(choice, &storage.metainfo);
        let phase = Phase::Checking(Checking::default());
        let whom = (add.tiers, add.web_seeds);
        let mut torrent = Self::with_phase(cx, key, Arc::clone(&storage), phase, choosing, whom);
        torrent.purpose = add.purpose;
        torrent.add_first_peers(cx, add.peers, add.hosts);
        let unwanted = torrent.choosing.unwanted_files().to_vec();
        cx.job(Job::Open { torrent: key, storage, check: add.check, purpose: add.purpose, unwanted });
        torrent
    }

    fn with_phase(
        cx: &mut Cx,
        key: TorrentKey,
        storage: Arc<Storage>,
        phase: Phase,
        choosing: Choosing,
        (tiers, web_seeds): (Vec<Vec<String>>, Vec<String>),
    ) -> Self {
        if let Some(interval) = cx.config.progress_interval {
            cx.timers.set(TimerKey::Torrent(key, TorrentTimer::Progress), cx.now + interval);
        }
        let tiers = private::allowed_trackers(&storage.metainfo, tiers);
        let announcer = Announcer::new(cx.now, &mut cx.rng, tiers);
        Self {
            key,
            have: Bitfield::empty(storage.metainfo.geometry().piece_count()),
            news: News::default(),
            storage,
            purpose: Purpose::Download,
            phase,
            peers: BTreeSet::new(),
            by_id: BTreeMap::new(),
            waits_to_dial: false,
            announcer,
            candidates: Candidates::default(),
            exchange: Exchange::default(),
            choker: Choker::new(cx.config.upload_slots),
            choosing,
            saving: Saving::default(),
            web: WebSeeds::new(web_seeds),
            super_seed: None,
            last_giver: None,
            unchoked_count: 0,
            slots_changed: false,
            may_ask: false,
            down: Rate::new(cx.now),
            up: Rate::new(cx.now),
            wasted_len: 0,
            metadata_served: Served::default(),
            closing: false,
        }
    }

    pub(crate) fn info_hash(&self) -> InfoHash {
        self.storage.metainfo.info_hash()
    }

    /// Whether peers are of use: it is at work and not about to end.
    pub(crate) fn takes_peers(&self) -> bool {
        !self.closing
            && match &self.phase {
                Phase::Metadata(fetching) => fetching.takes_peers(),
                Phase::Leeching(_) | Phase::Seeding => true,
                Phase::Checking(_) | Phase::Stopped => false,
            }
    }

    /// Whether a connection may stay: also before it is known what is on disk. Who calls meanwhile is
    /// told later what there is, and need not call again.
    pub(crate) fn keeps_peers(&self) -> bool {
        !self.closing
            && match &self.phase {
                Phase::Metadata(fetching) => fetching.keeps_peers(),
                Phase::Checking(_) | Phase::Leeching(_) | Phase::Seeding => true,
                Phase::Stopped => false,
            }
    }

    /// The connection to this peer, if there is one.
    pub(crate) fn find_peer(&self, id: PeerId) -> Option<PeerKey> {
        self.by_id.get(&id).copied()
    }

    /// A peer has shaken hands: it is told what we have and can.
    pub(crate) fn on_peer_open(&mut self, cx: &mut Cx, peer: &mut Peer, handshake: &Handshake) {
        if self.peers.is_empty() {
            self.start_rounds(cx);
        }
        self.peers.insert(peer.key);
        peer.open().into_iter().for_each(|open| _ = self.by_id.insert(open.id, peer.key));
        // BEP 6: one of the three, first of all. Without it there is no word for "nothing".
        let fast = handshake.has_fast();
        peer.open_mut().into_iter().for_each(|open| self.news.on_peer_open(&mut open.knows));
        // What a check has found so far is told with the rest.
        self.begin_super_seed(cx);
        let is_known = !self.have.is_empty() && !matches!(self.phase, Phase::Checking(_));
        let is_known = is_known && !self.is_super_seeding();
        if fast && self.have.is_full() && is_known {
            peer.send(cx, Message::HaveAll);
        } else if is_known {
            peer.send(cx, Message::Bitfield { bits: &self.have.to_wire() });
        } else if fast {
            peer.send(cx, Message::HaveNone);
        }
        if handshake.has_extensions() {
            self.send_hello(cx, peer, false);
        }
        self.tell_next(cx, peer);
        self.on_listens(cx, peer);
        cx.event(Event::PeerConnected { torrent: self.key, peer: peer.key, addr: peer.addr });
    }

    /// A connection that had shaken hands is gone, and with it what it owed.
    pub(crate) fn on_peer_gone(&mut self, cx: &mut Cx, peers: &mut Peers, peer: &Peer, ended: Ended) {
        self.free_candidate(cx, peer, ended);
        self.peers.remove(&peer.key);
        self.forget_told(peer.key);
        if let Some(open) = peer.open()
            && self.by_id.get(&open.id) == Some(&peer.key)
        {
            self.by_id.remove(&open.id);
        }
        match &mut self.phase {
            Phase::Metadata(fetching) => {
                fetching.on_gone(peer.key);
                self.pump_metadata(cx, peers);
            }
            Phase::Leeching(download) => download.on_peer_gone(cx, peer),
            Phase::Checking(_) | Phase::Seeding | Phase::Stopped => {}
        }
        if peer.open().is_some_and(|open| !open.flow.am_choking) {
            self.unchoked_count -= 1;
            self.fill_slots(cx, peers);
        }
    }

    /// Does what a message gave reason to: fills this peer's pipeline, and the others', gives free
    /// slots, reads what was asked for. An error if the peer does not read what it makes us send.
    pub(crate) fn after_message(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
    ) -> Result<(), CloseReason> {
        // Not for each message: most cost a peer a few bytes, and a look for blocks costs us more.
        if std::mem::take(&mut self.may_ask)
            && let (Phase::Leeching(download), Some(peer)) = (&mut self.phase, peers.get_mut(key))
        {
            let was_endgame = download.picker.in_endgame();
            download.fill(cx, peer);
            download.note_endgame(cx, &self.down, was_endgame);
        }
        match &self.phase {
            Phase::Leeching(download) if download.refill => self.refill(cx, peers),
            Phase::Metadata(_) => self.pump_metadata(cx, peers),
            Phase::Leeching(_) | Phase::Checking(_) | Phase::Seeding | Phase::Stopped => {}
        }
        if self.slots_changed {
            self.fill_slots(cx, peers);
        }
        self.pump_uploads(cx, peers, key);
        match peers.get(key) {
            Some(peer) if peer.does_not_read() => Err(CloseReason::Violation(PeerError::DoesNotRead)),
            Some(_) | None => Ok(()),
        }
    }

    /// The disk failed the torrent: it stops, and the others go on.
    fn fail(&mut self, cx: &mut Cx, error: DiskError) {
        self.stop(cx, TorrentError::Disk(error));
    }

    fn stop(&mut self, cx: &mut Cx, error: TorrentError) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        if !self.has_metadata() {
            self.saving.on_not_opened();
        }
        self.leave_phase(cx);
        self.phase = Phase::Stopped;
        self.announcer.stop(cx.now);
        self.set_announce_timer(cx);
        for peer in &self.peers {
            cx.close(*peer, CloseReason::TorrentGone);
        }
        cx.event(Event::Stopped { torrent: self.key, error });
        self.save(cx);
    }

    /// Begins to end: trackers are told, what is being written is waited for, state is saved.
    pub(crate) fn close(&mut self, cx: &mut Cx) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        for peer in &self.peers {
            cx.close(*peer, CloseReason::TorrentGone);
        }
        if let Phase::Leeching(download) = &mut self.phase {
            download.storing.release(cx);
        }
        for timer in TorrentTimer::ALL {
            cx.timers.clear(TimerKey::Torrent(self.key, timer));
        }
        self.announcer.stop(cx.now);
        self.set_announce_timer(cx);
        if !self.has_metadata() {
            self.saving.on_not_opened();
        }
        self.save(cx);
    }

    /// Whether nothing is left to do for a torrent that is closing.
    pub(crate) fn is_closed(&self, announces_too: bool) -> bool {
        self.closing && self.saving.is_closed() && (self.announcer.is_done() || !announces_too)
    }

    /// Ends what the current phase has in the session's books.
    pub(crate) fn leave_phase(&mut self, cx: &mut Cx) {
        if let Phase::Leeching(download) = &mut self.phase {
            download.let_go(cx);
        }
    }

    /// Asks trackers early if nobody is left to get anything from, nor anyone to be called soon.
    pub(crate) fn hurry_if_alone(&mut self, cx: &mut Cx) {
        let soon = cx.now + CALL_SOON_TIME;
        let alone = self.peers.is_empty() && self.candidates.next_at().is_none_or(|at| at > soon);
        if alone && self.is_leeching() && self.takes_peers() {
            self.announcer.hurry(cx.now);
            self.set_announce_timer(cx);
        }
    }

    /// Announces what is due, and sets the timer for the next.
    pub(crate) fn announce_due(&mut self, cx: &mut Cx) {
        if matches!(self.phase, Phase::Checking(_)) && !self.closing {
            return;
        }
        let stats = self.stats();
        self.announcer.announce_due(cx, &stats);
        self.set_announce_timer(cx);
    }

    pub(crate) fn set_announce_timer(&self, cx: &mut Cx) {
        let key = TimerKey::Torrent(self.key, TorrentTimer::Announce);
        match self.announcer.next_at() {
            Some(at) => cx.timers.set(key, at),
            None => cx.timers.clear(key),
        }
    }
}
