//! The peers of one swarm, as a tracker keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::id::PeerId;
use crate::rng::Rng;
use crate::time::Instant;

/// A peer that has announced itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Where it listens; what it is known by.
    pub(super) addr: SocketAddr,
    /// Its peer id.
    pub(super) peer_id: PeerId,
    /// When it last announced itself.
    pub(super) seen_at: Instant,
}

/// The peers of one swarm: each change and each choice costs a logarithm of their number.
#[derive(Debug, Default)]
pub(super) struct Swarm {
    leeches: Vec<Member>,
    seeds: Vec<Member>,
    /// Whether a peer is a seed, and its place among those.
    places: BTreeMap<SocketAddr, (bool, usize)>,
    /// How many have told that they completed their download here.
    pub(super) downloaded_count: u32,
}

impl Swarm {
    /// How many peers have everything.
    pub(super) const fn seed_count(&self) -> usize {
        self.seeds.len()
    }

    /// How many peers have not.
    pub(super) const fn leech_count(&self) -> usize {
        self.leeches.len()
    }

    /// Whether the peer at `addr` has everything; `None` if it is not here.
    pub(super) fn is_seed(&self, addr: SocketAddr) -> Option<bool> {
        self.places.get(&addr).map(|(seed, _)| *seed)
    }

    /// Adds a peer that is not here.
    pub(super) fn insert(&mut self, member: Member, seed: bool) {
        let list = self.list(seed);
        let at = list.len();
        list.push(member);
        self.places.insert(member.addr, (seed, at));
        self.check_invariants();
    }

    /// Takes out the peer at `addr`, if it is here.
    pub(super) fn remove(&mut self, addr: SocketAddr) -> Option<Member> {
        let (seed, at) = self.places.remove(&addr)?;
        let list = self.list(seed);
        let member = list.swap_remove(at);
        if let Some(moved) = list.get(at).map(|moved| moved.addr) {
            self.places.insert(moved, (seed, at));
        }
        self.check_invariants();
        Some(member)
    }

    /// At most `count` peers by chance, each at most once; for a seed only leeches.
    pub(super) fn choose(&self, count: usize, for_seed: bool, rng: &mut Rng) -> Vec<Member> {
        let all_count = self.leeches.len() + if for_seed { 0 } else { self.seeds.len() };
        let count = count.min(all_count);
        // Floyd: as many draws as are wanted, whatever the size of the swarm.
        let mut chosen = BTreeSet::new();
        for last in all_count - count..all_count {
            let at = rng.below(last + 1);
            if !chosen.insert(at) {
                chosen.insert(last);
            }
        }
        let member = |&at: &usize| match at.checked_sub(self.leeches.len()) {
            None => self.leeches.get(at).copied(),
            Some(at) => self.seeds.get(at).copied(),
        };
        chosen.iter().filter_map(member).collect()
    }

    const fn list(&mut self, seed: bool) -> &mut Vec<Member> {
        if seed { &mut self.seeds } else { &mut self.leeches }
    }

    fn check_invariants(&self) {
        debug_assert_eq!(self.places.len(), self.leeches.len() + self.seeds.len(), "one place for each peer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], u16::try_from(n).unwrap()))
    }

    fn swarm(leeches: usize, seeds: usize) -> Swarm {
        let mut swarm = Swarm::default();
        for n in 0..leeches + seeds {
            let member = Member { addr: addr(n), peer_id: PeerId::new([0; 20]), seen_at: Instant::START };
            swarm.insert(member, n >= leeches);
        }
        swarm
    }

    fn chosen(swarm: &Swarm, count: usize, for_seed: bool, rng: &mut Rng) -> BTreeSet<SocketAddr> {
        let members = swarm.choose(count, for_seed, rng);
        let addrs: BTreeSet<_> = members.iter().map(|member| member.addr).collect();
        assert_eq!(addrs.len(), members.len(), "nobody twice");
        addrs
    }

    #[test]
    fn everyone_has_the_same_chance() {
        let (swarm, mut rng, mut times) = (swarm(6, 4), Rng::new(1), [0; 10]);
        for _ in 0..3000 {
            let members = chosen(&swarm, 3, false, &mut rng);
            assert_eq!(members.len(), 3);
            members.iter().for_each(|addr| times[usize::from(addr.port())] += 1);
        }
        assert!(times.iter().all(|&n| (800..1000).contains(&n)), "{times:?}");
    }

    #[test]
    fn a_seed_gets_leeches_alone() {
        let swarm = swarm(2, 5);
        assert_eq!(chosen(&swarm, 9, true, &mut Rng::new(1)), BTreeSet::from([addr(0), addr(1)]));
        assert_eq!(chosen(&swarm, 9, false, &mut Rng::new(1)).len(), 7);
        assert_eq!(chosen(&swarm, 0, false, &mut Rng::new(1)).len(), 0);
    }

    #[test]
    fn who_left_is_not_chosen_and_who_stays_is_found() {
        let mut swarm = swarm(3, 0);
        assert_eq!(swarm.remove(addr(0)).map(|member| member.addr), Some(addr(0)));
        assert_eq!(swarm.remove(addr(0)), None);
        assert_eq!(chosen(&swarm, 9, false, &mut Rng::new(1)), BTreeSet::from([addr(1), addr(2)]));
        assert_eq!((swarm.is_seed(addr(2)), swarm.is_seed(addr(0))), (Some(false), None));
        assert!(swarm.remove(addr(2)).is_some() && swarm.remove(addr(1)).is_some());
        assert_eq!(swarm.leech_count(), 0);
    }
}
