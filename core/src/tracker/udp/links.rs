//! Connection ids, by the tracker's address: shared by all who ask there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Instant;

/// How long a connection id may be used after it came (BEP 15).
const ID_LIFETIME: Duration = Duration::from_secs(60);

/// Nobody asks for a further connection id for so long after the last request: one is for all.
const CONNECT_PAUSE: Duration = Duration::from_secs(15);

/// How often links that nobody uses are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of each tracker's address.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<SocketAddr, Link>,
    swept_at: Instant,
}

#[derive(Debug, Default)]
struct Link {
    /// The connection id, and when it came.
    id: Option<(u64, Instant)>,
    /// The connect that may be answered, and when it was sent.
    connecting: Option<(u32, Instant)>,
    /// The exchanges with this address.
    users: BTreeSet<u32>,
}

impl Link {
    fn good_id(&self, now: Instant) -> Option<u64> {
        self.id.filter(|(_, got_at)| now.since(*got_at) < ID_LIFETIME).map(|(id, _)| id)
    }
}

impl Links {
    /// An exchange turns to this address.
    pub(super) fn enter(&mut self, addr: SocketAddr, exchange: u32) {
        self.links.entry(addr).or_default().users.insert(exchange);
    }

    /// It leaves. From time to time what is of no use to anyone is forgotten.
    pub(super) fn leave(&mut self, now: Instant, addr: SocketAddr, exchange: u32) {
        if let Some(link) = self.links.get_mut(&addr) {
            link.users.remove(&exchange);
        }
        if now.since(self.swept_at) >= SWEEP_INTERVAL {
            self.swept_at = now;
            self.links.retain(|_, link| !link.users.is_empty() || link.good_id(now).is_some());
        }
    }

    /// The connection id to use now.
    pub(super) fn id(&self, now: Instant, addr: SocketAddr) -> Option<u64> {
        self.links.get(&addr)?.good_id(now)
    }

    /// Whether to ask for one now, with this transaction.
    pub(super) fn connect(&mut self, now: Instant, addr: SocketAddr, transaction: u32) -> bool {
        let Some(link) = self.links.get_mut(&addr) else { return false };
        if link.connecting.is_some_and(|(_, sent_at)| now.since(sent_at) < CONNECT_PAUSE) {
            return false;
        }
        link.connecting = Some((transaction, now));
        true
    }

    /// Whether this transaction is the connect that is waited for there. Only one answer is.
    pub(super) fn take_connect(&mut self, addr: SocketAddr, transaction: u32) -> bool {
        let link = self.links.get_mut(&addr);
        link.is_some_and(|link| link.connecting.take_if(|(sent, _)| *sent == transaction).is_some())
    }

    /// A connection id has come.
    pub(super) fn connected(&mut self, now: Instant, addr: SocketAddr, id: u64) {
        if let Some(link) = self.links.get_mut(&addr) {
            link.id = Some((id, now));
        }
    }

    /// Forgets a connection id that had come before `before`; says whether there was one.
    pub(super) fn drop_id(&mut self, addr: SocketAddr, before: Instant) -> bool {
        let link = self.links.get_mut(&addr);
        link.is_some_and(|link| link.id.take_if(|(_, got_at)| *got_at < before).is_some())
    }

    /// The exchanges with this address.
    pub(super) fn users(&self, addr: SocketAddr) -> Vec<u32> {
        self.links.get(&addr).map(|link| link.users.iter().copied().collect()).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }
}
