//! The peers of one swarm, as a tracker keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::scrape::SwarmCounts;
use crate::family::IpFamily;
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
    /// By [`list_of`].
    lists: [Vec<Member>; 4],
    /// The list that each peer is in, and its place there.
    places: BTreeMap<SocketAddr, (usize, usize)>,
    /// How many have told that they completed their download here.
    pub(super) downloaded_count: u32,
}

/// Leeches and seeds, over IPv4 and IPv6, each have a list.
fn list_of(family: IpFamily, seed: bool) -> usize {
    match family {
        IpFamily::V4 => usize::from(seed),
        IpFamily::V6 => 2 + usize::from(seed),
    }
}

impl Swarm {
    /// How many peers there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many of which kind, in both families.
    pub(super) fn counts(&self) -> SwarmCounts {
        let count = |seed| {
            let lens = IpFamily::ALL.map(|family| self.lists.get(list_of(family, seed)).map_or(0, Vec::len));
            u32::try_from(lens.iter().sum::<usize>()).unwrap_or(u32::MAX)
        };
        SwarmCounts { seeds: count(true), leeches: count(false), downloaded: self.downloaded_count }
    }

    /// Whether the peer at `addr` has everything; `None` if it is not here.
    pub(super) fn is_seed(&self, addr: SocketAddr) -> Option<bool> {
        self.places.get(&addr).map(|(list, _)| list % 2 == 1)
    }

    /// Adds a peer that is not here.
    pub(super) fn insert(&mut self, member: Member, seed: bool) {
        let index = list_of(IpFamily::of(member.addr.ip()), seed);
        if let Some(list) = self.lists.get_mut(index) {
            self.places.insert(member.addr, (index, list.len()));
            list.push(member);
        }
        self.check_invariants();
    }

    /// Takes out the peer at `addr`, if it is here.
    pub(super) fn remove(&mut self, addr: SocketAddr) -> Option<Member> {
        let (index, at) = self.places.remove(&addr)?;
        let list = self.lists.get_mut(index)?;
        let member = list.swap_remove(at);
        if let Some(moved) = list.get(at) {
            self.places.insert(moved.addr, (index, at));
        }
        self.check_invariants();
        Some(member)
    }

    /// At most `count` peers of these families by chance, each at most once; for a seed only leeches.
    pub(super) fn choose(
        &self,
        count: usize,
        for_seed: bool,
        families: &[IpFamily],
        rng: &mut Rng,
    ) -> Vec<Member> {
        let kinds: &[bool] = if for_seed { &[false] } else { &[false, true] };
        let lists = families.iter().flat_map(|family| kinds.iter().map(|seed| list_of(*family, *seed)));
        let lists: Vec<&Vec<Member>> = lists.filter_map(|index| self.lists.get(index)).collect();
        let all_count: usize = lists.iter().map(|list| list.len()).sum();
        let count = count.min(all_count);
        // Floyd: as many draws as are wanted, whatever the size of the swarm.
        let mut chosen = BTreeSet::new();
        for last in all_count - count..all_count {
            let at = rng.below(last + 1);
            if !chosen.insert(at) {
                chosen.insert(last);
            }
        }
        let member = |mut at: usize| {
            for list in &lists {
                match at.checked_sub(list.len()) {
                    Some(rest) => at = rest,
                    None => return list.get(at).copied(),
                }
            }
            None
        };
        chosen.into_iter().filter_map(member).collect()
    }

    fn check_invariants(&self) {
        debug_assert_eq!(self.places.len(), self.lists.iter().map(Vec::len).sum(), "one place for each peer");
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
        let members = swarm.choose(count, for_seed, &IpFamily::ALL, rng);
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
    fn one_family_alone_is_chosen_where_that_is_wanted() {
        let mut swarm = swarm(2, 1);
        let six: SocketAddr = "[fd00::1]:7".parse().unwrap();
        swarm.insert(Member { addr: six, peer_id: PeerId::new([0; 20]), seen_at: Instant::START }, true);
        let of = |family| {
            let chosen = swarm.choose(9, false, &[family], &mut Rng::new(1));
            chosen.iter().map(|member| member.addr).collect::<Vec<_>>()
        };
        assert_eq!(of(IpFamily::V6), [six]);
        assert_eq!(of(IpFamily::V4), [addr(0), addr(1), addr(2)]);
        let counts = swarm.counts();
        assert_eq!((counts.seeds, counts.leeches, swarm.is_seed(six)), (2, 2, Some(true)));
    }

    #[test]
    fn who_left_is_not_chosen_and_who_stays_is_found() {
        let mut swarm = swarm(3, 0);
        assert_eq!(swarm.remove(addr(0)).map(|member| member.addr), Some(addr(0)));
        assert_eq!(swarm.remove(addr(0)), None);
        assert_eq!(chosen(&swarm, 9, false, &mut Rng::new(1)), BTreeSet::from([addr(1), addr(2)]));
        assert_eq!((swarm.is_seed(addr(2)), swarm.is_seed(addr(0))), (Some(false), None));
        assert!(swarm.remove(addr(2)).is_some() && swarm.remove(addr(1)).is_some());
        assert_eq!(swarm.len(), 0);
    }
}
