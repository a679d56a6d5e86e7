//! One connection to a peer: what has been said on it, and what waits to be said.
//!
//! A peer keeps its own books. What its messages mean for pieces and other peers is decided by
//! its torrent.

mod early;
mod error;
mod extended;
mod fast;
mod flow;
mod knows;
mod requests;
mod send_queue;
mod uploads;
mod worth;

pub use error::PeerError;
pub(crate) use fast::{GRANTED_MAX, allowed_fast_set};
pub(crate) use knows::Knows;
pub(crate) use send_queue::PartKind;
pub use send_queue::Unsent;
pub(crate) use uploads::QUEUE_MAX;

use std::net::SocketAddr;
use std::time::Duration;

use crate::bitfield::Bitfield;
use crate::cx::{Cx, PeerTimer, TimerKey};
use crate::extension::Extended;
use crate::id::{InfoHash, PeerId};
use crate::key::{PeerKey, Slab, TorrentKey};
use crate::limit::Mover;
use crate::output::Output;
use crate::piece::BlockRef;
use crate::rate::Rate;
use crate::time::Instant;
use crate::wire::{Decoder, Handshake, HandshakeDecoder, Message, RESERVED, Socks5};
use early::Early;
use fast::Fast;
use flow::Flow;
use requests::Requests;
use send_queue::SendQueue;
use uploads::Uploads;
use worth::Worth;

/// Every connection of a session.
pub(crate) type Peers = Slab<PeerKey, Peer>;

/// How long a connection may take to come up and show a handshake, as libtorrent has it.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a proxy may take to connect to a peer: it waits as long as we would, and there is a way to
/// it and back. As libtorrent has it.
const PROXY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a peer may say nothing. BEP 3 lets two minutes pass between keep-alives; networks are
/// allowed another one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);

/// How long we may say nothing: under BEP 3's two minutes with room for delay.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(100);

/// How long nothing may come of a block that has come in part before it is asked for anew. One packet
/// in this time is 25 bytes a second: who is slower brings no block within ten minutes.
const BRINGING_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that may wait for a peer that does not read. More than the announcement of every piece
/// of a large torrent or a full pipeline of requests and payload ever is; who lets it fill is cut.
const UNSENT_LEN_MAX: usize = 4 * 1024 * 1024;

/// Bytes that may wait for a peer while we still read what it says: its requests grow the queue.
const UNSENT_LEN_READ_MAX: usize = 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) key: PeerKey,
    pub(crate) addr: SocketAddr,
    /// Whether we made the connection; only then `addr` can be dialled again.
    pub(crate) outgoing: bool,
    /// Known from the start if we made the connection, else from the handshake on.
    pub(crate) torrent: Option<TorrentKey>,
    pub(crate) phase: Phase,
    pub(crate) queue: SendQueue,
    received_at: Instant,
    sent_at: Instant,
}

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The runtime is making the connection.
    Connecting,
    /// The proxy is being told where to connect to.
    Proxying(Box<Socks5>),
    /// Bytes flow, and the peer's handshake is not whole yet.
    Handshaking(HandshakeDecoder),
    /// The other end is ours too: it has been answered, and is to close once it has seen that.
    Ourselves,
    /// Both sides have shaken hands.
    Open(Box<Open>),
}

/// What only a connection has that has shaken hands.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) id: PeerId,
    /// Taken out while its messages are handled, because they borrow from it.
    pub(crate) decoder: Option<Decoder>,
    pub(crate) pieces: Bitfield,
    /// What it has told of its pieces before the torrent's metadata was there.
    pub(crate) early: Option<Box<Early>>,
    /// How many of its pieces we want.
    pub(crate) wanted_count: u32,
    pub(crate) knows: Knows,
    pub(crate) flow: Flow,
    pub(crate) fast: Fast,
    pub(crate) requests: Requests,
    /// Whether the snub timer is set.
    pub(crate) is_timed: bool,
    pub(crate) uploads: Uploads,
    /// Payload received.
    pub(crate) down: Rate,
    /// Payload sent.
    pub(crate) up: Rate,
    /// Payload received and sent until the last round of the choker.
    pub(crate) round_start: (u64, u64),
    pub(crate) worth: Worth,
    /// Blocks that came without being outstanding, less those that were.
    pub(crate) unasked_count: u32,
    /// When we last unchoked it.
    pub(crate) unchoked_at: Option<Instant>,
    pub(crate) connected_at: Instant,
    /// What it has said of extensions (BEP 10), if anything.
    pub(crate) extended: Option<Box<Extended>>,
}

impl Peer {
    /// A connection that the runtime is about to make.
    pub(crate) fn connecting(cx: &mut Cx, key: PeerKey, addr: SocketAddr, torrent: TorrentKey) -> Self {
        cx.timers.set(TimerKey::Peer(key, PeerTimer::Handshake), cx.now + HANDSHAKE_TIMEOUT);
        Self::new(cx.now, key, addr, Some(torrent), Phase::Connecting)
    }

    /// A connection that somebody else has made.
    pub(crate) fn accepted(cx: &mut Cx, key: PeerKey, addr: SocketAddr) -> Self {
        cx.timers.set(TimerKey::Peer(key, PeerTimer::Handshake), cx.now + HANDSHAKE_TIMEOUT);
        Self::new(cx.now, key, addr, None, Phase::Handshaking(HandshakeDecoder::default()))
    }

    fn new(now: Instant, key: PeerKey, addr: SocketAddr, torrent: Option<TorrentKey>, phase: Phase) -> Self {
        let outgoing = torrent.is_some();
        let queue = SendQueue::default();
        Self { key, addr, outgoing, torrent, phase, queue, received_at: now, sent_at: now }
    }

    pub(crate) fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Connecting | Phase::Proxying(_) | Phase::Handshaking(_) | Phase::Ourselves => None,
        }
    }

    pub(crate) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.phase {
            Phase::Open(open) => Some(open),
            Phase::Connecting | Phase::Proxying(_) | Phase::Handshaking(_) | Phase::Ourselves => None,
        }
    }

    /// The connection to the proxy is up.
    pub(crate) fn on_proxy(&mut self, cx: &mut Cx, socks: Socks5) {
        cx.timers.set(TimerKey::Peer(self.key, PeerTimer::Handshake), cx.now + PROXY_TIMEOUT);
        let greeting = socks.greeting();
        self.phase = Phase::Proxying(Box::new(socks));
        self.send_to_proxy(cx, &greeting, false);
    }

    pub(crate) fn send_to_proxy(&mut self, cx: &mut Cx, bytes: &[u8], is_secret: bool) {
        self.send_with(
            cx,
            |queue| if is_secret { queue.push_secret(bytes) } else { queue.push_bytes(bytes) },
        );
    }

    /// The connection is up: the side that made it speaks first.
    pub(crate) fn on_connected(&mut self, cx: &mut Cx, info_hash: InfoHash) {
        cx.timers.set(TimerKey::Peer(self.key, PeerTimer::Handshake), cx.now + HANDSHAKE_TIMEOUT);
        self.phase = Phase::Handshaking(HandshakeDecoder::default());
        self.send_handshake(cx, info_hash);
    }

    pub(crate) fn send_handshake(&mut self, cx: &mut Cx, info_hash: InfoHash) {
        let handshake = Handshake { reserved: RESERVED, info_hash, peer_id: cx.peer_id };
        self.send_with(cx, |queue| queue.push_bytes(&handshake.encode()));
    }

    /// The handshakes are done.
    ///
    /// `piece_count` is `None` as long as the torrent's metadata is not there.
    pub(crate) fn on_open(&mut self, cx: &mut Cx, handshake: &Handshake, piece_count: Option<u32>) {
        let now = cx.now;
        cx.timers.clear(TimerKey::Peer(self.key, PeerTimer::Handshake));
        cx.timers.set(TimerKey::Peer(self.key, PeerTimer::Idle), now + IDLE_TIMEOUT);
        cx.timers.set(TimerKey::Peer(self.key, PeerTimer::KeepAlive), now + KEEP_ALIVE_INTERVAL);
        self.phase = Phase::Open(Box::new(Open {
            id: handshake.peer_id,
            decoder: Some(piece_count.map_or_else(Decoder::of_unknown, Decoder::new)),
            pieces: Bitfield::empty(piece_count.unwrap_or_default()),
            early: None,
            wanted_count: 0,
            knows: Knows::default(),
            flow: Flow::default(),
            fast: Fast::new(handshake.has_fast()),
            requests: Requests::new(now, cx.config.requests_max),
            is_timed: false,
            uploads: Uploads::default(),
            down: Rate::new(now),
            up: Rate::new(now),
            round_start: (0, 0),
            worth: Worth::new(now),
            unasked_count: 0,
            unchoked_at: None,
            connected_at: now,
            extended: None,
        }));
    }

    pub(crate) fn send(&mut self, cx: &mut Cx, message: Message<'_>) {
        self.send_with(cx, |queue| queue.push(message));
    }

    /// Lets `push` fill the send queue, and tells the runtime if it was empty.
    pub(crate) fn send_with<T>(&mut self, cx: &mut Cx, push: impl FnOnce(&mut SendQueue) -> T) -> T {
        let was_empty = self.queue.is_empty();
        let result = push(&mut self.queue);
        self.tell_unsent(cx, was_empty);
        result
    }

    /// As [`Peer::send_with`], for what needs the open connection's state; `None` if it is not open.
    pub(crate) fn send_with_open<T>(
        &mut self,
        cx: &mut Cx,
        push: impl FnOnce(&mut SendQueue, &mut Open) -> T,
    ) -> Option<T> {
        let was_empty = self.queue.is_empty();
        let Phase::Open(open) = &mut self.phase else { return None };
        let result = push(&mut self.queue, open);
        self.tell_unsent(cx, was_empty);
        Some(result)
    }

    fn tell_unsent(&mut self, cx: &mut Cx, was_empty: bool) {
        if was_empty && !self.queue.is_empty() {
            self.sent_at = cx.now;
            cx.outbox.push_back(Output::Send { peer: self.key });
        }
    }

    /// Whether so much waits for it that it can't be reading.
    pub(crate) fn does_not_read(&self) -> bool {
        self.queue.len() > UNSENT_LEN_MAX
    }

    /// Whether to read what it says: not while it does not read what we send it, nor while it sends
    /// blocks faster than they get to disk or than a limit allows.
    pub(crate) fn wants_read(&self, cx: &Cx) -> bool {
        let may_get = || !cx.budget.is_disk_busy() && !self.is_held(cx);
        self.queue.len() <= UNSENT_LEN_READ_MAX && (!self.owes() || may_get())
    }

    /// Whether it owes us blocks.
    pub(crate) fn owes(&self) -> bool {
        self.open().is_some_and(|open| !open.requests.is_empty())
    }

    /// Whether it waits for what a limit lets come next.
    pub(crate) fn is_held(&self, cx: &Cx) -> bool {
        self.mover().is_some_and(|mover| cx.limits.down.holds(mover))
    }

    /// As whom limits know it.
    pub(crate) fn mover(&self) -> Option<Mover> {
        self.torrent.map(|torrent| (torrent, self.key))
    }

    /// The first `len` bytes of the send queue have left. Returns the payload among them.
    pub(crate) fn on_sent(&mut self, cx: &mut Cx, len: usize) -> u64 {
        let payload_len = self.shrink(cx, |queue, cx| queue.sent(len, &mut cx.runs));
        self.sent_at = cx.now;
        if let Some(open) = self.open_mut() {
            open.up.add(cx.now, payload_len);
        }
        payload_len
    }

    /// Lets `take` make the send queue shorter, and tells the runtime if we can read again.
    fn shrink<T>(&mut self, cx: &mut Cx, take: impl FnOnce(&mut SendQueue, &mut Cx) -> T) -> T {
        let wanted_read = self.wants_read(cx);
        let taken = take(&mut self.queue, cx);
        if !wanted_read && self.wants_read(cx) {
            cx.outbox.push_back(Output::Resume { peer: self.key });
        }
        taken
    }

    pub(crate) const fn on_received(&mut self, now: Instant) {
        self.received_at = now;
    }

    /// Whether a block of it has come in part, and something of late.
    pub(crate) fn is_bringing(&self, now: Instant) -> bool {
        let decoder = self.open().and_then(|open| open.decoder.as_ref());
        decoder.is_some_and(Decoder::is_within_block) && now.since(self.received_at) < BRINGING_TIMEOUT
    }

    /// Whether the peer has been silent, or has taken nothing of what waits for it, for too long; if
    /// not, the deadline is set anew.
    pub(crate) fn is_idle(&self, cx: &mut Cx) -> bool {
        let mut deadline = self.received_at + IDLE_TIMEOUT;
        if !self.queue.is_empty() {
            // However much it says: what waits for it takes memory that others need.
            deadline = deadline.min(self.sent_at + IDLE_TIMEOUT);
        }
        if deadline > cx.now {
            cx.timers.set(TimerKey::Peer(self.key, PeerTimer::Idle), deadline);
        }
        deadline <= cx.now
    }

    /// Sends a keep-alive if nothing else went out for long enough.
    pub(crate) fn keep_alive(&mut self, cx: &mut Cx) {
        if self.sent_at + KEEP_ALIVE_INTERVAL <= cx.now && self.queue.is_empty() {
            self.send(cx, Message::KeepAlive);
        }
        let next = self.sent_at + KEEP_ALIVE_INTERVAL;
        // What waits for a peer that does not read is a sign of life once it does.
        let next = if next > cx.now { next } else { cx.now + KEEP_ALIVE_INTERVAL };
        cx.timers.set(TimerKey::Peer(self.key, PeerTimer::KeepAlive), next);
    }

    /// Tells the peer whether we want something of it, if that has changed.
    pub(crate) fn update_interest(&mut self, cx: &mut Cx) {
        let Some(open) = self.open_mut() else { return };
        let interested = open.wanted_count > 0;
        if interested != open.flow.am_interested {
            open.flow.set_interest(interested);
            self.send(cx, if interested { Message::Interested } else { Message::NotInterested });
        }
    }

    /// Lets the peer request; false if it could already.
    pub(crate) fn unchoke(&mut self, cx: &mut Cx) -> bool {
        let Some(open) = self.open_mut().filter(|open| open.flow.am_choking) else { return false };
        open.flow.am_choking = false;
        open.unchoked_at = Some(cx.now);
        self.send(cx, Message::Unchoke);
        true
    }

    /// Stops answering the peer: what it has asked for and has not begun to leave is dropped, and
    /// rejected if it knows what that means. False if it was choked already.
    pub(crate) fn choke(&mut self, cx: &mut Cx) -> bool {
        let Some(open) = self.open_mut().filter(|open| !open.flow.am_choking) else { return false };
        open.flow.am_choking = true;
        let waiting = open.uploads.clear();
        let before = self.queue.payload_len();
        let queued = self.shrink(cx, |queue, _| queue.remove_unstarted_blocks());
        cx.budget.end_upload((before - self.queue.payload_len()) as u64);
        self.send(cx, Message::Choke);
        queued.into_iter().chain(waiting).for_each(|block| self.reject(cx, block));
        true
    }

    /// The peer takes a request back.
    pub(crate) fn cancel_upload(&mut self, cx: &mut Cx, block: BlockRef) {
        let Some(open) = self.open_mut() else { return };
        if !open.uploads.cancel(block) {
            if !self.shrink(cx, |queue, _| queue.remove_block(block)) {
                return;
            }
            cx.budget.end_upload(u64::from(block.len()));
        }
        // BEP 6: one answer to each request, also to one that is taken back.
        self.reject(cx, block);
    }

    /// Whether payload could move now, either way, if the peer did something: it owes blocks, or may
    /// ask for some and does not.
    pub(crate) fn could_move(&self) -> bool {
        self.open().is_some_and(|open| {
            let is_served = open.flow.peer_interested && !open.flow.am_choking;
            let asks = open.uploads.len() > 0 || self.queue.payload_len() > 0;
            !open.requests.is_empty() || (is_served && !asks)
        })
    }

    /// Sets the deadline by which the peer must deliver, if it has none yet and owes something.
    pub(crate) fn set_snub_timer(&mut self, cx: &mut Cx) {
        let key = self.key;
        let Some(open) = self.open_mut().filter(|open| !open.is_timed) else { return };
        if let Some(at) = open.requests.due_at() {
            open.is_timed = true;
            cx.timers.set(TimerKey::Peer(key, PeerTimer::Snub), at);
        }
    }

    /// The payload counted for this peer's sake that ends with it.
    pub(crate) fn upload_len(&self) -> u64 {
        let reading = self.open().map_or(0, |open| open.uploads.reading_len());
        self.queue.payload_len() as u64 + reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Block;
    use crate::config::Config;
    use crate::key::Key;
    use crate::piece::Geometry;
    use std::sync::Arc;

    fn peer() -> (Cx, Peer) {
        let mut cx = Cx::new(Config::default(), 1, Instant::START);
        let mut peer = Peer::accepted(&mut cx, PeerKey::new(0, 0), SocketAddr::from(([192, 0, 2, 1], 1)));
        let handshake = Handshake {
            reserved: RESERVED,
            info_hash: InfoHash::new([0; 20]),
            peer_id: PeerId::new([1; 20]),
        };
        peer.on_open(&mut cx, &handshake, Some(10));
        (cx, peer)
    }

    #[test]
    fn what_a_choke_or_a_cancel_takes_back_lets_us_read_again() {
        let block = Geometry::new(16_384, 16_384).unwrap().range(0, 0, 16_384).unwrap();
        let take_back: [fn(&mut Peer, &mut Cx, BlockRef); 2] =
            [|peer, cx, _| _ = peer.choke(cx), |peer, cx, block| peer.cancel_upload(cx, block)];
        for take_back in take_back {
            let (mut cx, mut peer) = peer();
            peer.unchoke(&mut cx);
            peer.queue.push_bytes(&vec![0; UNSENT_LEN_READ_MAX - 1000]);
            peer.queue.push_block(block, Arc::new(Block::new(vec![0; 16_384])), 0);
            assert!(!peer.wants_read(&cx));
            cx.outbox.clear();
            take_back(&mut peer, &mut cx, block);
            assert!(peer.wants_read(&cx));
            assert!(matches!(cx.outbox.pop_front(), Some(Output::Resume { .. })));
        }
    }

    #[test]
    fn who_does_not_read_is_not_read_and_at_last_cut() {
        let (cx, mut peer) = peer();
        peer.queue.push_bytes(&vec![0; 1 << 20]);
        assert!(peer.wants_read(&cx));
        peer.queue.push_bytes(&[0]);
        assert!(!peer.wants_read(&cx));
        peer.queue.push_bytes(&vec![0; (3 << 20) - 1]);
        assert!(!peer.does_not_read());
        peer.queue.push_bytes(&[0]);
        assert!(peer.does_not_read());
    }

    #[test]
    fn the_runtime_is_told_once_that_bytes_wait() {
        let (mut cx, mut peer) = peer();
        cx.outbox.clear();
        peer.send_with(&mut cx, |_| ());
        assert!(cx.outbox.is_empty());
        peer.send(&mut cx, Message::Unchoke);
        peer.send(&mut cx, Message::Choke);
        assert!(matches!(cx.outbox.make_contiguous(), [Output::Send { .. }]));
    }

    #[test]
    fn who_is_silent_or_takes_nothing_for_long_is_idle() {
        let (mut cx, mut peer) = peer();
        let minute = Duration::from_secs(60);
        let key = TimerKey::Peer(peer.key, PeerTimer::Idle);
        cx.now = Instant::START + minute;
        assert!(!peer.is_idle(&mut cx));
        peer.send(&mut cx, Message::Unchoke);
        peer.on_received(cx.now);
        assert!(!peer.is_idle(&mut cx) && cx.timers.get(key) == Some(cx.now + 3 * minute));
        cx.now = Instant::START + 2 * minute;
        peer.on_received(cx.now);
        assert!(!peer.is_idle(&mut cx) && cx.timers.get(key) == Some(cx.now + 2 * minute));
        cx.now = Instant::START + 4 * minute;
        peer.on_received(cx.now);
        assert!(peer.is_idle(&mut cx), "it has taken nothing for three");
        peer.on_sent(&mut cx, 5);
        assert!(!peer.is_idle(&mut cx));
        cx.now = Instant::START + 7 * minute;
        assert!(peer.is_idle(&mut cx), "it has said nothing for three");
    }

    #[test]
    fn what_is_sent_counts_as_payload_sent() {
        let block = Geometry::new(16_384, 16_384).unwrap().range(0, 0, 16_384).unwrap();
        let (mut cx, mut peer) = peer();
        peer.queue.push_block(block, Arc::new(Block::new(vec![0; 16_384])), 0);
        assert_eq!((peer.on_sent(&mut cx, 13), peer.on_sent(&mut cx, 1000)), (0, 1000));
        assert_eq!(peer.open().unwrap().up.total(), 1000);
    }

    #[test]
    fn who_has_all_of_a_torrent_wants_nothing() {
        let (_, mut peer) = peer();
        let open = peer.open_mut().unwrap();
        assert!(!open.wants_nothing() && !open.greeted() && !open.lacks_metadata());
        open.pieces = Bitfield::full(10);
        assert!(open.wants_nothing());
        open.pieces = Bitfield::full(0);
        assert!(!open.wants_nothing(), "nobody knows how many there are");
    }

    #[test]
    fn a_block_is_brought_as_long_as_something_comes_of_it() {
        let (cx, mut peer) = peer();
        peer.on_received(cx.now);
        assert!(!peer.is_bringing(cx.now), "nothing of a block has come");
        let decoder = peer.open_mut().unwrap().decoder.as_mut().unwrap();
        decoder.step(&[0, 0, 0x40, 9, 7, 0, 0]).unwrap();
        assert!(peer.is_bringing(cx.now + (BRINGING_TIMEOUT - Duration::from_millis(1))));
        assert!(!peer.is_bringing(cx.now + BRINGING_TIMEOUT));
    }

    #[test]
    fn payload_could_move_if_a_peer_owes_blocks_or_may_ask_and_does_not() {
        let block = Geometry::new(16_384, 16_384).unwrap().range(0, 0, 16_384).unwrap();
        let (mut cx, mut peer) = peer();
        peer.open_mut().unwrap().flow.peer_interested = true;
        assert!(!peer.could_move(), "it is choked");
        peer.unchoke(&mut cx);
        assert!(peer.could_move());
        peer.open_mut().unwrap().uploads.request(block, 1);
        assert!(!peer.could_move(), "it has asked");
        peer.open_mut().unwrap().uploads.clear();
        peer.queue.push_block(block, Arc::new(Block::new(vec![0; 16_384])), 0);
        assert!(!peer.could_move(), "its block waits to leave");
        peer.open_mut().unwrap().requests.add(cx.now, block);
        assert!(peer.could_move(), "it owes one");
        peer.open_mut().unwrap().requests.forget(block);
        peer.queue.sent(usize::MAX, &mut cx.runs);
        peer.open_mut().unwrap().flow.peer_interested = false;
        assert!(!peer.could_move(), "it wants nothing");
    }

    #[test]
    fn a_peer_that_does_not_read_costs_no_more_time_than_others() {
        let (mut cx, mut peer) = peer();
        peer.send(&mut cx, Message::Unchoke);
        let key = TimerKey::Peer(peer.key, PeerTimer::KeepAlive);
        for _ in 0..10 {
            cx.now = cx.timers.get(key).unwrap();
            cx.timers.clear(key);
            peer.keep_alive(&mut cx);
        }
        assert_eq!(cx.now, Instant::START + KEEP_ALIVE_INTERVAL * 10);
        assert_eq!(peer.queue.len(), 5, "no keep-alive behind what waits already");
    }
}
