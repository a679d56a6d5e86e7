//! Peer exchange (BEP 11): who is told of whom, and what becomes of the addresses that peers name.
//!
//! A torrent keeps one account of where its peers can be called, in the order in which they came and
//! left; each peer knows it up to some point. A message is what has changed since, without a look at
//! all peers. Who has been told everything waits in a list until the account changes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Source, Torrent};
use crate::addr::{Reach, usable};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::extension::{Kind, PEX_COUNT_MAX, PexFlags, PexMessage};
use crate::key::PeerKey;
use crate::peer::{Peer, Peers};

/// Peers that have left and are kept for who has not been told: four messages of them. Who has missed
/// more thinks that some are there who are not, until it tries.
const GONE_MAX: usize = 4 * PEX_COUNT_MAX;

/// How long a change waits for others before those are told who knew everything.
const GATHER_TIME: Duration = Duration::from_secs(5);

/// Where the peers of a torrent can be called, and what of that has changed.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// How many changes there have been: the number of the next.
    count: u64,
    /// Who is here, by the number of the change.
    here: BTreeMap<u64, Known>,
    by_addr: BTreeMap<SocketAddr, u64>,
    /// Who has left, in order.
    gone: VecDeque<Gone>,
    /// Peers that may be told at once, and know everything.
    waiting: BTreeSet<PeerKey>,
}

/// A peer, and where it can be called.
#[derive(Clone, Copy, Debug)]
struct Known {
    addr: SocketAddr,
    peer: PeerKey,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    addr: SocketAddr,
    came: u64,
    left: u64,
}

impl Exchange {
    /// A peer that can be called has come; false if another one is known there. Whom we have called is
    /// there for certain, and takes the place of who has only said so.
    fn add(&mut self, addr: SocketAddr, peer: PeerKey, is_certain: bool) -> bool {
        if let Some(came) = self.by_addr.get(&addr) {
            if let Some(known) = self.here.get_mut(came).filter(|_| is_certain) {
                known.peer = peer;
            }
            return false;
        }
        self.by_addr.insert(addr, self.count);
        self.here.insert(self.count, Known { addr, peer });
        self.count += 1;
        true
    }

    /// It has left; false if it was not here.
    fn remove(&mut self, addr: SocketAddr, peer: PeerKey) -> bool {
        let Some(&came) = self.by_addr.get(&addr) else { return false };
        if self.here.get(&came).is_none_or(|known| known.peer != peer) {
            return false;
        }
        self.here.remove(&came);
        self.by_addr.remove(&addr);
        self.gone.push_back(Gone { addr, came, left: self.count });
        if self.gone.len() > GONE_MAX {
            self.gone.pop_front();
        }
        self.count += 1;
        true
    }

    /// Some of those who are here, from the `start`-th change on and around.
    fn sample(&self, start: u64, may_tell: impl Fn(&SocketAddr) -> bool) -> Vec<Known> {
        let around = self.here.range(start..).chain(self.here.range(..start)).map(|(_, known)| *known);
        around.filter(|known| may_tell(&known.addr)).take(PEX_COUNT_MAX).collect()
    }

    /// What has changed from the `known`-th change on, as far as it fits into a message, and up to
    /// which change that is. Who has come and left since is not told of.
    fn changes(
        &self,
        known: u64,
        may_tell: impl Fn(&SocketAddr) -> bool,
    ) -> (Vec<Known>, Vec<SocketAddr>, u64) {
        let came = self.here.range(known..).filter(|(_, known)| may_tell(&known.addr));
        let mut came: Vec<(u64, Known)> =
            came.map(|(at, known)| (*at, *known)).take(PEX_COUNT_MAX + 1).collect();
        let from = self.gone.partition_point(|gone| gone.left < known);
        let is_news = |gone: &&Gone| {
            // Who is back stays known.
            gone.came < known && !self.by_addr.contains_key(&gone.addr) && may_tell(&gone.addr)
        };
        let mut left: Vec<&Gone> = self.gone.range(from..).filter(is_news).take(PEX_COUNT_MAX + 1).collect();
        // The first that does not fit ends the message, and begins the next.
        let mut end = self.count;
        if came.len() > PEX_COUNT_MAX {
            end = came.pop().map_or(end, |(at, _)| at);
        }
        if left.len() > PEX_COUNT_MAX {
            end = left.pop().map_or(end, |gone| gone.left.min(end));
        }
        let came = came.into_iter().filter(|(at, _)| *at < end).map(|(_, known)| known).collect();
        let left = left.into_iter().filter(|gone| gone.left < end).map(|gone| gone.addr).collect();
        (came, left, end)
    }
}

/// Whether a peer at `far` may tell us of `addr`, and we it: not of what is nearer than itself. The
/// one would have us call our own network's services, the other would tell strangers of it.
fn may_be_told(addr: SocketAddr, far: IpAddr) -> bool {
    // Without its zone a link-local address means nothing.
    let is_link_local = matches!(addr.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    Reach::of(addr.ip()) >= Reach::of(far) && !is_link_local
}

impl Torrent {
    /// Whether peers are exchanged: not in a private torrent (BEP 27).
    pub(super) fn exchanges(&self, cx: &Cx) -> bool {
        cx.config.pex && !self.storage.metainfo.is_private()
    }

    /// Whether we are connected to a peer that can be called at `addr`.
    pub(crate) fn is_connected_to(&self, addr: SocketAddr) -> bool {
        self.exchange.by_addr.contains_key(&addr)
    }

    /// A peer is here that can be called.
    pub(super) fn on_listens(&mut self, cx: &mut Cx, peer: &Peer) {
        if let Some(addr) = peer.listen_addr()
            && self.exchange.add(addr, peer.key, peer.outgoing)
        {
            self.on_exchange_changed(cx);
        }
    }

    /// A peer has left. Gives where it could be called, if it is that address's peer.
    pub(super) fn on_unlistens(&mut self, cx: &mut Cx, peer: &Peer) -> Option<SocketAddr> {
        self.exchange.waiting.remove(&peer.key);
        let addr = peer.listen_addr().filter(|addr| self.exchange.remove(*addr, peer.key))?;
        self.on_exchange_changed(cx);
        Some(addr)
    }

    fn on_exchange_changed(&self, cx: &mut Cx) {
        let key = TimerKey::Torrent(self.key, TorrentTimer::Pex);
        if !self.exchange.waiting.is_empty() && cx.timers.get(key).is_none() {
            cx.timers.set(key, cx.now + GATHER_TIME);
        }
    }

    /// Those who knew everything are told what has changed since.
    pub(crate) fn on_pex_timer(&mut self, cx: &mut Cx, peers: &mut Peers) {
        for key in std::mem::take(&mut self.exchange.waiting) {
            self.tell_of_peers(cx, peers, key);
            if let Some(peer) = peers.get(key) {
                peer.set_extension_timer(cx);
            }
        }
    }

    /// A peer may be told of others: some of all the first time, and then what has changed.
    pub(super) fn tell_of_peers(&mut self, cx: &mut Cx, peers: &mut Peers, key: PeerKey) {
        if !self.exchanges(cx) {
            return;
        }
        let Some((peer, known)) = peers.get(key).and_then(|peer| Some((peer, peer.pex()?.known))) else {
            return;
        };
        let (own, far) = (peer.listen_addr(), peer.addr.ip());
        let may_tell = |addr: &SocketAddr| Some(*addr) != own && may_be_told(*addr, far);
        let (came, dropped, known) = if let Some(known) = known {
            self.exchange.changes(known, may_tell)
        } else {
            let start = cx.rng.next_u64().checked_rem(self.exchange.count).unwrap_or_default();
            (self.exchange.sample(start, may_tell), Vec::new(), self.exchange.count)
        };
        let flagged = |known: Known| peers.get(known.peer).map(|peer| (known.addr, flags(peer)));
        let message = PexMessage { added: came.into_iter().filter_map(flagged).collect(), dropped };
        if message.is_empty() {
            self.exchange.waiting.insert(key);
        }
        let Some(peer) = peers.get_mut(key) else { return };
        let said = !message.is_empty() && peer.send_extended(cx, Kind::Pex, &message.encode());
        if let Some(extended) = peer.open_mut().and_then(|open| open.extended.as_mut()) {
            extended.pex.on_told(said.then_some(cx.now), known);
        }
    }

    /// A peer has told of others: they may be called.
    pub(super) fn on_pex(&mut self, cx: &mut Cx, peer: &Peer, message: &PexMessage) {
        let giver = peer.addr.ip();
        let sees_us_at = peer.pex().and_then(|pex| pex.your_ip).zip(cx.config.listen_port);
        let ours = sees_us_at.and_then(|(ip, port)| usable(ip, port));
        let mut any = false;
        for (addr, flags) in message.added.iter().copied() {
            // A seed has nothing for a seed.
            let is_of_use = !(flags.has(PexFlags::SEED) && self.is_upload_only());
            if is_of_use && Some(addr) != ours && may_be_told(addr, giver) {
                any |= self.add_candidate(cx, addr, Source::Pex { giver });
            }
        }
        if any {
            cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Dial), cx.now);
        }
    }
}

/// What is told of a peer.
fn flags(peer: &Peer) -> PexFlags {
    let wants_nothing = peer.open().is_some_and(|open| open.wants_nothing());
    let seed = if wants_nothing { PexFlags::SEED } else { 0 };
    PexFlags(seed | if peer.outgoing { PexFlags::REACHABLE } else { 0 })
}

#[cfg(test)]
mod tests;
