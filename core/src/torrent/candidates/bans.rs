//! Peers that are refused.

use std::net::SocketAddr;
use std::time::Duration;

use crate::id::PeerId;
use crate::time::Instant;

/// How long a ban lasts: longer than a poisoner's patience, short enough for a reused address.
const BAN_TIME: Duration = Duration::from_secs(60 * 60);

/// Bans of single ports after which an address is refused whole. Many people share an address, so
/// one bad peer is no reason.
const PORTS_BANNED_MAX: usize = 3;

/// Bans remembered; the oldest go first.
const BANS_MAX: usize = 500;

/// Who is refused, and until when.
#[derive(Debug, Default)]
pub(super) struct Bans(Vec<(Instant, SocketAddr, PeerId)>);

impl Bans {
    /// Refuses a peer for an hour: its id at its address, its port there, and with several of those
    /// its address. Not its id alone: anyone can take another's.
    pub(super) fn add(&mut self, now: Instant, addr: SocketAddr, id: PeerId) {
        if self.0.len() >= BANS_MAX {
            self.0.remove(0);
        }
        self.0.push((now + BAN_TIME, addr, id));
    }

    /// Whether a peer is refused.
    pub(super) fn has(&self, now: Instant, addr: SocketAddr, id: Option<PeerId>) -> bool {
        let mut ports: Vec<u16> = Vec::new();
        for (_, banned, banned_id) in self.0.iter().filter(|(until, ..)| *until > now) {
            if banned.ip() != addr.ip() {
                continue;
            }
            if banned.port() == addr.port() || id == Some(*banned_id) {
                return true;
            }
            if !ports.contains(&banned.port()) {
                ports.push(banned.port());
            }
        }
        ports.len() >= PORTS_BANNED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_whole_address_is_banned_only_with_several_of_its_ports() {
        let (mut bans, id) = (Bans::default(), |n| PeerId::new([n; 20]));
        bans.add(at(0), addr(1), id(1));
        assert!(bans.has(at(1), addr(1), None) && !bans.has(at(1), addr(9), None));
        assert!(bans.has(at(1), addr(9), Some(id(1))), "the same peer behind another port");
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 1));
        assert!(!bans.has(at(1), elsewhere, Some(id(1))), "who took its id harms nobody");
        bans.add(at(0), addr(2), id(2));
        bans.add(at(0), addr(3), id(3));
        assert!(bans.has(at(1), addr(9), None));
        assert!(!bans.has(at(3601), addr(1), Some(id(1))), "a ban ends");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut bans = Bans::default();
        (1..5000).for_each(|n| bans.add(at(0), addr(n), PeerId::new([0; 20])));
        assert_eq!(bans.0.len(), BANS_MAX);
    }
}
