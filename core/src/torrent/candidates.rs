//! Addresses where a peer of this torrent may be: which to dial next, and which never again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::id::PeerId;
use crate::rng::Rng;
use crate::time::Instant;

/// Addresses kept for one torrent. Trackers and peers can name any number; libtorrent keeps 3,000,
/// and a torrent never dials a tenth of that.
const CANDIDATES_MAX: usize = 1000;

/// The pause after the first failure: a peer that is just starting is there a moment later.
const BACKOFF_START: Duration = Duration::from_secs(1);

/// By how much each further failure in a row makes the pause longer.
const BACKOFF_FACTOR: u32 = 3;

/// Failures in a row after which an address is forgotten, or the pause of one that the user gave
/// grows no longer: after six minutes.
const FAILURES_MAX: u32 = 6;

/// The pause after a connection that had worked, and the first after one that came to nothing.
const RETRY_AFTER_OPEN: Duration = Duration::from_secs(30);

/// The pause after a connection in which neither side had anything for the other, and the longest
/// after those that came to nothing.
const RETRY_AFTER_REDUNDANT: Duration = Duration::from_secs(30 * 60);

/// How long a ban lasts: longer than a poisoner's patience, short enough for a reused address.
const BAN_TIME: Duration = Duration::from_secs(60 * 60);

/// Bans of single ports after which an address is refused whole. Many people share an address, so
/// one bad peer is no reason.
const PORTS_BANNED_MAX: usize = 3;

/// Bans remembered; the oldest go first.
const BANS_MAX: usize = 500;

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user: it is tried for ever.
    User,
    /// A tracker: it is forgotten when it fails too often, and a tracker may name it again.
    Tracker,
}

/// How a connection to a candidate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It never came to a handshake.
    Failed,
    /// It had shaken hands.
    WasOpen,
    /// It had shaken hands and come to nothing, though nobody said why.
    Idle,
    /// Neither side had anything for the other.
    Redundant,
    /// It broke the protocol.
    Broken,
    /// It must not be dialled again: it is ourselves, or sent bad data.
    Useless,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Source,
    failures: u32,
    /// When it may be dialled; `None` while it is, or when it must not be.
    ready: Option<(Instant, u32)>,
    useless: bool,
}

/// What is known of where peers are.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    by_addr: BTreeMap<SocketAddr, Candidate>,
    /// By time, then by chance: what the sources say first has no advantage.
    ready: BTreeSet<((Instant, u32), SocketAddr)>,
    /// Until when, who.
    bans: Vec<(Instant, SocketAddr, Option<PeerId>)>,
}

impl Candidates {
    /// Notes an address at which a peer may be. False if it is known, banned, no address of a peer,
    /// or there are too many.
    pub(crate) fn add(&mut self, now: Instant, rng: &mut Rng, addr: SocketAddr, source: Source) -> bool {
        let full = self.by_addr.len() >= CANDIDATES_MAX && source != Source::User;
        if let Some(known) = self.by_addr.get_mut(&addr) {
            if source == Source::User {
                known.source = source;
            }
            return false;
        }
        if full || !can_be_peer(addr) || self.is_banned(now, addr, None) {
            return false;
        }
        let ready = (now, rng.next_u32());
        self.by_addr.insert(addr, Candidate { source, failures: 0, ready: Some(ready), useless: false });
        self.ready.insert((ready, addr));
        true
    }

    /// Takes the next address to dial, if one is ready.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let &((at, tie), addr) = self.ready.first()?;
        if at > now {
            return None;
        }
        self.ready.remove(&((at, tie), addr));
        if let Some(candidate) = self.by_addr.get_mut(&addr) {
            candidate.ready = None;
        }
        Some(addr)
    }

    /// When the next address will be ready.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.ready.first().map(|&((at, _), _)| at)
    }

    /// How many addresses are known.
    pub(crate) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// A connection that we had made to `addr` is gone.
    pub(crate) fn on_ended(&mut self, now: Instant, rng: &mut Rng, addr: SocketAddr, ended: Ended) {
        let Some(candidate) = self.by_addr.get_mut(&addr) else { return };
        let pause = match ended {
            Ended::Failed | Ended::Idle => {
                let factor = BACKOFF_FACTOR.pow(candidate.failures.min(FAILURES_MAX - 1));
                candidate.failures += 1;
                let start = if ended == Ended::Failed { BACKOFF_START } else { RETRY_AFTER_OPEN };
                (start * factor).min(RETRY_AFTER_REDUNDANT)
            }
            Ended::WasOpen => {
                candidate.failures = 0;
                RETRY_AFTER_OPEN
            }
            Ended::Redundant => RETRY_AFTER_REDUNDANT,
            // The user knows better: it may be the only one that has the data.
            Ended::Broken if candidate.source == Source::User => RETRY_AFTER_REDUNDANT,
            Ended::Broken | Ended::Useless => {
                // It stays known, so that no source can make us dial it again.
                candidate.useless = true;
                return;
            }
        };
        if candidate.failures > FAILURES_MAX && candidate.source != Source::User {
            self.by_addr.remove(&addr);
        } else if !candidate.useless && candidate.ready.is_none() {
            let ready = (now + pause, rng.next_u32());
            candidate.ready = Some(ready);
            self.ready.insert((ready, addr));
        }
    }

    /// Refuses a peer for an hour: its id at its address, its port there, and with several of those
    /// its address. Not its id alone: anyone can take another's.
    pub(crate) fn ban(&mut self, now: Instant, addr: SocketAddr, id: PeerId) {
        if self.bans.len() >= BANS_MAX {
            self.bans.remove(0);
        }
        self.bans.push((now + BAN_TIME, addr, Some(id)));
        if let Some(candidate) = self.by_addr.remove(&addr)
            && let Some(ready) = candidate.ready
        {
            self.ready.remove(&(ready, addr));
        }
    }

    /// Whether a peer is refused.
    pub(crate) fn is_banned(&self, now: Instant, addr: SocketAddr, id: Option<PeerId>) -> bool {
        let bans = self.bans.iter().filter(|(until, ..)| *until > now);
        let mut ports: Vec<u16> = Vec::new();
        for (_, banned, banned_id) in bans {
            if banned.ip() != addr.ip() {
                continue;
            }
            if banned.port() == addr.port() || (id.is_some() && *banned_id == id) {
                return true;
            }
            if !ports.contains(&banned.port()) {
                ports.push(banned.port());
            }
        }
        ports.len() >= PORTS_BANNED_MAX
    }
}

/// Whether a peer can be at this address at all.
fn can_be_peer(addr: SocketAddr) -> bool {
    let ip_ok = match addr.ip() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    };
    ip_ok && addr.port() != 0
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
    fn an_address_that_fails_is_tried_ever_later_and_then_forgotten() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        assert!(
            candidates.add(at(0), &mut rng, addr(1), Source::Tracker)
                && !candidates.add(at(0), &mut rng, addr(1), Source::Tracker)
        );
        let (mut now, mut pauses) = (at(0), Vec::new());
        while let Some(next) = candidates.next_at() {
            pauses.push(next.since(now).as_secs());
            now = next;
            assert_eq!(candidates.next(now), Some(addr(1)));
            candidates.on_ended(now, &mut rng, addr(1), Ended::Failed);
        }
        assert_eq!(pauses, [0, 1, 3, 9, 27, 81, 243]);
        assert_eq!(candidates.len(), 0);
    }

    #[test]
    fn an_address_of_the_users_is_never_given_up() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        candidates.add(at(0), &mut rng, addr(1), Source::User);
        for _ in 0..100 {
            let now = candidates.next_at().unwrap();
            assert_eq!(candidates.next(now), Some(addr(1)));
            candidates.on_ended(now, &mut rng, addr(1), Ended::Failed);
            assert!(candidates.next_at().unwrap().since(now) <= Duration::from_secs(243));
        }
    }

    #[test]
    fn what_is_being_dialled_is_not_dialled_again() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        candidates.add(at(0), &mut rng, addr(1), Source::Tracker);
        assert_eq!((candidates.next(at(0)), candidates.next(at(0))), (Some(addr(1)), None));
        assert!(!candidates.add(at(5), &mut rng, addr(1), Source::Tracker));
        candidates.on_ended(at(9), &mut rng, addr(1), Ended::Useless);
        assert!(!candidates.add(at(9), &mut rng, addr(1), Source::Tracker) && candidates.next_at().is_none());
    }

    #[test]
    fn a_whole_address_is_banned_only_with_several_of_its_ports() {
        let (mut candidates, id) = (Candidates::default(), |n| PeerId::new([n; 20]));
        candidates.ban(at(0), addr(1), id(1));
        assert!(candidates.is_banned(at(1), addr(1), None) && !candidates.is_banned(at(1), addr(9), None));
        assert!(candidates.is_banned(at(1), addr(9), Some(id(1))), "the same peer behind another port");
        let elsewhere = SocketAddr::from(([192, 0, 2, 2], 1));
        assert!(!candidates.is_banned(at(1), elsewhere, Some(id(1))), "who took its id harms nobody");
        candidates.ban(at(0), addr(2), id(2));
        candidates.ban(at(0), addr(3), id(3));
        assert!(candidates.is_banned(at(1), addr(9), None));
        assert!(!candidates.is_banned(at(3601), addr(1), Some(id(1))), "a ban ends");
    }

    #[test]
    fn addresses_where_no_peer_can_be_are_refused() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        for bad in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[::]:1", "[ff02::1]:1"] {
            assert!(!candidates.add(at(0), &mut rng, bad.parse().unwrap(), Source::Tracker), "{bad}");
        }
    }

    #[test]
    fn no_source_can_fill_the_memory() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        let added =
            (1..5000).filter(|&port| candidates.add(at(0), &mut rng, addr(port), Source::Tracker)).count();
        assert_eq!(added, CANDIDATES_MAX);
        (1..5000).for_each(|n| candidates.ban(at(0), addr(n), PeerId::new([0; 20])));
        assert_eq!(candidates.bans.len(), BANS_MAX);
    }

    #[test]
    fn the_user_s_word_counts_more_than_a_tracker_s() {
        let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
        for port in 1..=1000 {
            assert!(candidates.add(at(0), &mut rng, addr(port), Source::Tracker));
        }
        assert!(!candidates.add(at(0), &mut rng, addr(2000), Source::Tracker));
        assert!(candidates.add(at(0), &mut rng, addr(2000), Source::User));
        assert!(!candidates.add(at(0), &mut rng, addr(7), Source::User), "it is known, and now the user's");
        while candidates.next(at(0)).is_some() {}
        for port in [7, 8, 2000] {
            candidates.on_ended(at(0), &mut rng, addr(port), Ended::Broken);
        }
        assert_eq!(candidates.next_at(), Some(at(30 * 60)));
        assert_eq!(candidates.ready.len(), 2);
    }
}
