//! Addresses where a peer of this torrent may be: which to dial next, and which never again.

mod bans;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::addr::{Reach, usable};
use crate::id::PeerId;
use crate::names::is_stand_in;
use crate::rng::Rng;
use crate::time::Instant;
use bans::Bans;

/// Addresses kept for one torrent. Trackers and peers can name any number; libtorrent keeps 3,000,
/// and a torrent never dials a tenth of that.
const CANDIDATES_MAX: usize = 1000;

/// Addresses kept of those that one host has named by peer exchange: a quarter of all, so that no
/// peer decides whom we dial.
const OF_ONE_GIVER_MAX: usize = CANDIDATES_MAX / 4;

/// Ports at one public address that peers may name. More are hardly behind one router, and each is a
/// call that somebody who has no part in the swarm would get.
const PORTS_NAMED_MAX: usize = 4;

/// The pause after the first failure: a peer that is just starting is there a moment later.
const BACKOFF_START: Duration = Duration::from_secs(1);

/// By how much each further failure in a row makes the pause longer.
const BACKOFF_FACTOR: u32 = 3;

/// Failures in a row after which an address is forgotten, or the pause of one that the user gave
/// grows no longer: after six minutes.
const FAILURES_MAX: u32 = 6;

/// Failures in a row after which an address that a peer has named rests. Many such peers can't be
/// called at all.
const NAMED_FAILURES_MAX: u32 = 3;

/// How long it rests. It stays known meanwhile: or a peer that names it again and again would have
/// us call somebody's address without end.
const REST_TIME: Duration = Duration::from_secs(30 * 60);

/// The pause after a connection that had worked, and the first after one that came to nothing.
const RETRY_AFTER_OPEN: Duration = Duration::from_secs(30);

/// The pause after a connection in which neither side had anything for the other, and the longest
/// after those that came to nothing.
const RETRY_AFTER_REDUNDANT: Duration = Duration::from_secs(30 * 60);

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user: it is tried for ever.
    User,
    /// A tracker: it is forgotten when it fails too often, and a tracker may name it again.
    Tracker,
    /// A peer (BEP 11).
    Pex {
        /// The host that named it.
        giver: IpAddr,
    },
}

/// How a connection to a candidate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The proxy is to blame that it was not even called.
    Untried,
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

/// In which order addresses are dialled that are ready: one set each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    User,
    Tracker,
    Pex,
    /// It has failed, whoever but the user named it.
    Failed,
}

const RANK_COUNT: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Source,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// It may be dialled from this time on.
    Ready { rank: Rank, at: Instant, tie: u32 },
    /// It is dialled, or connected.
    Busy,
    /// It is not dialled; from `until` on its sources may bring it back, if there is such a time.
    Resting { since: Instant, until: Option<Instant> },
}

/// What is known of where peers are.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    by_addr: BTreeMap<SocketAddr, Candidate>,
    /// Those that are ready, by rank: by time, then by chance: what the sources say first has no
    /// advantage.
    ready: [BTreeSet<(Instant, u32, SocketAddr)>; RANK_COUNT],
    /// Those that rest. When there is no room the oldest are forgotten first.
    resting: BTreeSet<(Instant, SocketAddr)>,
    /// How many addresses are known by the word of this host alone.
    by_giver: BTreeMap<IpAddr, usize>,
    bans: Bans,
}

impl Source {
    const fn rank(self) -> Rank {
        match self {
            Self::User => Rank::User,
            Self::Tracker => Rank::Tracker,
            Self::Pex { .. } => Rank::Pex,
        }
    }

    /// Whether it may name peers of a private torrent (BEP 27).
    pub(crate) const fn is_private(self) -> bool {
        match self {
            Self::User | Self::Tracker => true,
            Self::Pex { .. } => false,
        }
    }
}

impl Candidate {
    const fn rank(&self) -> Rank {
        match (self.source, self.failures) {
            (Source::User, _) | (_, 0) => self.source.rank(),
            (Source::Tracker | Source::Pex { .. }, _) => Rank::Failed,
        }
    }
}

impl Candidates {
    /// Notes an address at which a peer may be. False if it is known, banned, no address of a peer,
    /// or there are too many.
    pub(crate) fn add(&mut self, now: Instant, rng: &mut Rng, addr: SocketAddr, source: Source) -> bool {
        if let Some(known) = self.by_addr.get(&addr).copied() {
            self.hear_again(now, rng, addr, known, source);
            return false;
        }
        let is_named = source == Source::User && is_stand_in(addr.ip());
        let is_usable = is_named || usable(addr.ip(), addr.port()).is_some();
        if !is_usable || self.is_banned(now, addr, None) {
            return false;
        }
        if let Source::Pex { giver } = source
            && (self.by_giver.get(&giver).is_some_and(|count| *count >= OF_ONE_GIVER_MAX)
                || (Reach::of(addr.ip()) == Reach::Public && self.port_count(addr.ip()) >= PORTS_NAMED_MAX))
        {
            return false;
        }
        if !self.make_room(source) {
            return false;
        }
        self.insert(addr, Candidate { source, failures: 0, state: State::Busy });
        self.set_ready(addr, now, rng);
        true
    }

    /// A known address is named once more.
    fn hear_again(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        addr: SocketAddr,
        mut known: Candidate,
        source: Source,
    ) {
        let is_better = source.rank() < known.source.rank();
        let is_over =
            matches!(known.state, State::Resting { until: Some(until), .. } if is_better || until <= now);
        if !is_better && !is_over {
            return;
        }
        self.remove(addr);
        if is_better {
            known.source = source;
        }
        if is_over {
            known.failures = 0;
        }
        self.insert(addr, known);
        if is_over {
            self.set_ready(addr, now, rng);
        }
    }

    /// Whether there is room for one more of this source. What rests makes room for all, what has
    /// failed and what peers named also for what better sources name.
    fn make_room(&mut self, source: Source) -> bool {
        if self.by_addr.len() < CANDIDATES_MAX || source == Source::User {
            return true;
        }
        let rests = self.resting.first().map(|(_, addr)| *addr);
        let last = |rank: Rank| self.ready.get(rank as usize)?.last().map(|(_, _, addr)| *addr);
        let worse =
            || [Rank::Failed, Rank::Pex].into_iter().filter(|rank| *rank > source.rank()).find_map(last);
        let victim = rests.or_else(|| if source.rank() < Rank::Pex { worse() } else { None });
        victim.into_iter().for_each(|addr| self.remove(addr));
        victim.is_some()
    }

    /// How many ports are known at this address.
    fn port_count(&self, ip: IpAddr) -> usize {
        self.by_addr.range(SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX)).count()
    }

    fn insert(&mut self, addr: SocketAddr, candidate: Candidate) {
        if let Source::Pex { giver } = candidate.source {
            *self.by_giver.entry(giver).or_default() += 1;
        }
        match candidate.state {
            State::Ready { at, tie, .. } => {
                // The source may be another one than when this was set.
                let rank = candidate.rank();
                self.ready[rank as usize].insert((at, tie, addr));
                let state = State::Ready { rank, at, tie };
                self.by_addr.insert(addr, Candidate { state, ..candidate });
                return;
            }
            State::Resting { since, .. } => _ = self.resting.insert((since, addr)),
            State::Busy => {}
        }
        self.by_addr.insert(addr, candidate);
    }

    /// Forgets an address.
    fn remove(&mut self, addr: SocketAddr) {
        let Some(candidate) = self.by_addr.remove(&addr) else { return };
        match candidate.state {
            State::Ready { rank, at, tie } => _ = self.ready[rank as usize].remove(&(at, tie, addr)),
            State::Resting { since, .. } => _ = self.resting.remove(&(since, addr)),
            State::Busy => {}
        }
        if let Source::Pex { giver } = candidate.source
            && let Some(count) = self.by_giver.get_mut(&giver)
        {
            *count -= 1;
            if *count == 0 {
                self.by_giver.remove(&giver);
            }
        }
    }

    fn set_ready(&mut self, addr: SocketAddr, at: Instant, rng: &mut Rng) {
        let tie = rng.next_u32();
        self.set_state(addr, |candidate| State::Ready { rank: candidate.rank(), at, tie });
    }

    fn set_state(&mut self, addr: SocketAddr, state: impl FnOnce(&Candidate) -> State) {
        let Some(candidate) = self.by_addr.get(&addr).copied() else { return };
        self.remove(addr);
        self.insert(addr, Candidate { state: state(&candidate), ..candidate });
    }

    /// Takes the next address to dial, if one is ready: the user's first, then the trackers', then
    /// those that peers have named, and what has failed last of all.
    pub(crate) fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let firsts = self.ready.iter().filter_map(BTreeSet::first);
        let addr = firsts.filter(|(at, ..)| *at <= now).map(|(_, _, addr)| *addr).next()?;
        self.set_state(addr, |_| State::Busy);
        Some(addr)
    }

    /// When the next address will be ready.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.ready.iter().filter_map(BTreeSet::first).map(|&(at, ..)| at).min()
    }

    /// How many addresses are known.
    pub(crate) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// Who named the address, if it is known.
    pub(crate) fn source(&self, addr: SocketAddr) -> Option<Source> {
        self.by_addr.get(&addr).map(|candidate| candidate.source)
    }

    /// Whether the address is known.
    pub(crate) fn knows(&self, addr: SocketAddr) -> bool {
        self.by_addr.contains_key(&addr)
    }

    /// Forgets what those sources have named that a private torrent has not (BEP 27).
    pub(crate) fn keep_private(&mut self) {
        let is_strange = |(addr, it): (&SocketAddr, &Candidate)| (!it.source.is_private()).then_some(*addr);
        let strange: Vec<SocketAddr> = self.by_addr.iter().filter_map(is_strange).collect();
        strange.into_iter().for_each(|addr| self.remove(addr));
    }

    /// A connection to `addr` is gone. Before, an address that was [taken](Self::next) is not ready.
    pub(crate) fn on_ended(&mut self, now: Instant, rng: &mut Rng, addr: SocketAddr, ended: Ended) {
        let Some(candidate) = self.by_addr.get_mut(&addr) else { return };
        if !matches!(candidate.state, State::Busy) {
            return;
        }
        let pause = match ended {
            Ended::Untried => Duration::ZERO,
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
            // It stays known, so that no source can make us dial it again.
            Ended::Broken | Ended::Useless => {
                return self.set_state(addr, |_| State::Resting { since: now, until: None });
            }
        };
        let failures = candidate.failures;
        match candidate.source {
            Source::Tracker if failures > FAILURES_MAX => self.remove(addr),
            Source::Pex { .. } if failures >= NAMED_FAILURES_MAX => {
                self.set_state(addr, |_| State::Resting { since: now, until: Some(now + REST_TIME) });
            }
            Source::User | Source::Tracker | Source::Pex { .. } => self.set_ready(addr, now + pause, rng),
        }
    }

    /// Refuses a peer for an hour, and forgets where it is.
    pub(crate) fn ban(&mut self, now: Instant, addr: SocketAddr, id: PeerId) {
        self.bans.add(now, addr, id);
        self.remove(addr);
    }

    /// Whether a peer is refused.
    pub(crate) fn is_banned(&self, now: Instant, addr: SocketAddr, id: Option<PeerId>) -> bool {
        self.bans.has(now, addr, id)
    }
}

#[cfg(test)]
mod tests;
