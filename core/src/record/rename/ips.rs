//! Other addresses for those in a recording: as near as those, and in the same order.
//!
//! How far away an address is reached from, who is whose neighbour and which address comes first are all
//! that a session makes of addresses, so it does the same with these. (What else it does, a hash of address
//! and torrent, is written down: see [`Tag::FastSet`](super::super::Tag).)

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::spread::spread;
use crate::names::is_stand_in;
use crate::rng::Rng;

/// The first addresses of runs that are as near as each other: an address stays within its run. `false`:
/// nobody is there, or everybody's own machine, and the address stays what it is.
const RUNS_V4: [([u8; 4], bool); 18] = [
    ([0, 0, 0, 0], false),
    ([1, 0, 0, 0], true),
    ([10, 0, 0, 0], true),
    ([11, 0, 0, 0], true),
    ([100, 64, 0, 0], true),
    ([100, 128, 0, 0], true),
    ([127, 0, 0, 0], false),
    ([128, 0, 0, 0], true),
    ([169, 254, 0, 0], true),
    ([169, 255, 0, 0], true),
    ([172, 16, 0, 0], true),
    ([172, 32, 0, 0], true),
    ([192, 168, 0, 0], true),
    ([192, 169, 0, 0], true),
    ([198, 18, 0, 0], true),
    ([198, 20, 0, 0], true),
    ([224, 0, 0, 0], false),
    ([255, 255, 255, 255], false),
];

/// The same by the first 64 bits of IPv6.
const RUNS_V6: [(u128, bool); 9] = [
    (0, false),
    (0x0100_0000_0000_0001, true),
    (0x2000_0000_0000_0000, true),
    (0x4000_0000_0000_0000, true),
    (0xFC00_0000_0000_0000, true),
    (0xFE00_0000_0000_0000, true),
    (0xFE80_0000_0000_0000, true),
    (0xFEC0_0000_0000_0000, true),
    (0xFF00_0000_0000_0000, false),
];

/// What begins an IPv4 address behind a translator.
const TRANSLATED: [u16; 6] = [0x64, 0xFF9B, 0, 0, 0, 0];

/// What is put in the place of what.
#[derive(Debug, Default)]
pub(super) struct Ips {
    seen: BTreeSet<IpAddr>,
    /// Once all have been seen.
    renamed: Option<BTreeMap<IpAddr, IpAddr>>,
}

impl Ips {
    /// What stands for `ip`. Itself, as long as others may be seen.
    pub(super) fn rename(&mut self, ip: IpAddr) -> IpAddr {
        // IPv4 in the clothes of IPv6 keeps them.
        if let IpAddr::V6(v6) = ip
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return match self.rename(v4.into()) {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
                IpAddr::V6(_) => ip,
            };
        }
        // And so does one behind a translator (RFC 6052).
        if let IpAddr::V6(v6) = ip
            && v6.segments().starts_with(&TRANSLATED)
        {
            let [.., a, b, c, d] = v6.octets();
            let inner = self.rename([a, b, c, d].into());
            return bits_v4(inner).map_or(ip, |bits| ip_v6(halves(ip).unwrap_or_default().0, bits));
        }
        match &self.renamed {
            Some(renamed) => renamed.get(&ip).copied().unwrap_or(ip),
            None => {
                self.seen.insert(ip);
                ip
            }
        }
    }

    /// All have been seen.
    pub(super) fn settle(&mut self, rng: &mut Rng) {
        let v4: BTreeSet<u128> = self.seen.iter().filter_map(|ip| bits_v4(*ip)).collect();
        let v4 = spread_runs(&v4, 8, 32, &RUNS_V4.map(|(ip, moves)| (bits(ip), moves)), rng);
        let seen_v6 = || self.seen.iter().filter_map(|ip| halves(*ip));
        let networks = seen_v6().map(|(network, _)| network).collect();
        let networks = spread_runs(&networks, 0, 64, &RUNS_V6, rng);
        let mut hosts: BTreeMap<u128, BTreeSet<u128>> = BTreeMap::new();
        for (network, host) in seen_v6() {
            hosts.entry(network).or_default().insert(host);
        }
        let mut renamed = BTreeMap::new();
        for (network, hosts) in hosts {
            let to = networks.get(&network).copied().unwrap_or(network);
            for (host, to_host) in spread(&hosts, 1..1 << 62, rng) {
                let host = ip_v6(network, host);
                let is_fixed = network_is_fixed(network) || is_stand_in(host);
                renamed.insert(host, if is_fixed { host } else { ip_v6(to, to_host) });
            }
        }
        renamed.extend(v4.into_iter().map(|(from, to)| (ip_v4(from), ip_v4(to))));
        self.renamed = Some(renamed);
    }
}

fn bits(octets: [u8; 4]) -> u128 {
    Ipv4Addr::from(octets).to_bits().into()
}

fn bits_v4(ip: IpAddr) -> Option<u128> {
    if let IpAddr::V4(ip) = ip { Some(ip.to_bits().into()) } else { None }
}

fn ip_v4(bits: u128) -> IpAddr {
    Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()).into()
}

/// Network and host.
fn halves(ip: IpAddr) -> Option<(u128, u128)> {
    let IpAddr::V6(ip) = ip else { return None };
    Some((ip.to_bits() >> 64, ip.to_bits() & u128::from(u64::MAX)))
}

fn ip_v6(network: u128, host: u128) -> IpAddr {
    Ipv6Addr::from_bits(network << 64 | host).into()
}

fn network_is_fixed(network: u128) -> bool {
    let run = RUNS_V6.iter().rev().find(|(start, _)| *start <= network);
    run.is_none_or(|(_, moves)| !moves)
}

/// Others for these numbers of `len` bits: within their run, those that differ in the last `host_len` bits
/// alone still do, and all in the same order.
fn spread_runs(
    numbers: &BTreeSet<u128>,
    host_len: u32,
    len: u32,
    runs: &[(u128, bool)],
    rng: &mut Rng,
) -> BTreeMap<u128, u128> {
    let mut renamed = BTreeMap::new();
    for (index, (start, moves)) in runs.iter().enumerate() {
        let end = runs.get(index + 1).map_or(1 << len, |(start, _)| *start);
        let within = || numbers.range(*start..end).copied();
        if !moves {
            renamed.extend(within().map(|number| (number, number)));
            continue;
        }
        let networks: BTreeSet<u128> = within().map(|number| number >> host_len).collect();
        for (network, to) in spread(&networks, start >> host_len..end >> host_len, rng) {
            let hosts = within().filter(|number| number >> host_len == network);
            let hosts: BTreeSet<u128> = hosts.map(|number| number & ((1 << host_len) - 1)).collect();
            let others = spread(&hosts, 0..1 << host_len, rng).into_iter();
            renamed
                .extend(others.map(|(host, to_host)| (network << host_len | host, to << host_len | to_host)));
        }
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Reach, usable};
    use crate::rng::Rng;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn renamed(ips: &[IpAddr]) -> Vec<IpAddr> {
        let mut map = Ips::default();
        ips.iter().for_each(|ip| assert_eq!(map.rename(*ip), *ip));
        map.settle(&mut Rng::new(1));
        ips.iter().map(|ip| map.rename(*ip)).collect()
    }

    fn near(a: IpAddr, b: IpAddr) -> bool {
        match (a, b) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() >> 8 == b.to_bits() >> 8,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 64 == b.to_bits() >> 64,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    proptest! {
        #[test]
        fn a_session_makes_the_same_of_them(
            v4 in prop::collection::vec(any::<Ipv4Addr>(), 0..30),
            near_v4 in prop::collection::vec((any::<u8>(), any::<u8>()), 0..30),
            v6 in prop::collection::vec(any::<Ipv6Addr>(), 0..30),
        ) {
            let mut ips: Vec<IpAddr> = v4.into_iter().map(IpAddr::from).collect();
            ips.extend(near_v4.into_iter().map(|(network, host)| IpAddr::from([192, 168, network % 4, host])));
            ips.extend(v6.into_iter().map(IpAddr::from));
            let renamed = renamed(&ips);
            for (a, to_a) in ips.iter().zip(&renamed) {
                prop_assert_eq!(Reach::of(*a), Reach::of(*to_a), "{} {}", a, to_a);
                prop_assert_eq!(usable(*a, 1).is_some(), usable(*to_a, 1).is_some(), "{} {}", a, to_a);
                for (b, to_b) in ips.iter().zip(&renamed) {
                    prop_assert_eq!(a.cmp(b), to_a.cmp(to_b), "{} {} {} {}", a, b, to_a, to_b);
                    prop_assert_eq!(near(*a, *b), near(*to_a, *to_b), "{} {} {} {}", a, b, to_a, to_b);
                }
            }
        }
    }

    #[test]
    fn others_stand_for_them_but_for_those_that_are_nobodys() {
        let ips = ["127.0.0.1", "::1", "0.0.0.0", "255.255.255.255", "100::1"].map(|ip| ip.parse().unwrap());
        assert_eq!(renamed(&ips), ips);
        let ips = ["8.8.8.8", "10.0.0.1", "2606:4700::1111", "fe80::1", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9"];
        let ips = ips.map(|ip| ip.parse::<IpAddr>().unwrap());
        let renamed = renamed(&ips);
        assert!(ips.iter().zip(&renamed).all(|(from, to)| from != to), "{renamed:?}");
        assert_ne!(renamed[4].to_canonical(), renamed[4]);
    }
}
