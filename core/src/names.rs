//! Hosts that a proxy looks up: in our books each has an address that stands for it.
//!
//! Everything about peers goes by address, and of a host named to a proxy we never learn one. So it
//! gets one of the block that is kept for what leads nowhere (RFC 6666): nothing from outside is taken
//! in that block, and to others nothing of it is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::wire::{NAME_LEN_MAX, Socks5Target};

/// The first half of every such address: 100::/64.
const PREFIX: [u16; 4] = [0x100, 0, 0, 0];

/// Names kept in a session. The user gives them, or a magnet link does.
const NAME_COUNT_MAX: usize = 1000;

/// What stands for what.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: BTreeMap<String, IpAddr>,
    by_ip: BTreeMap<IpAddr, String>,
}

impl Names {
    /// What stands for `name`; `None` if it is too long for a proxy, or one too many.
    pub(crate) fn stand_in(&mut self, name: &str) -> Option<IpAddr> {
        if let Some(ip) = self.by_name.get(name) {
            return Some(*ip);
        }
        let count = self.by_ip.len();
        if !(1..=NAME_LEN_MAX).contains(&name.len()) || count >= NAME_COUNT_MAX {
            return None;
        }
        let [a, b, c, d] = PREFIX;
        let ip = Ipv6Addr::new(a, b, c, d, 0, 0, 0, u16::try_from(count).ok()?.checked_add(1)?).into();
        self.by_name.insert(name.to_owned(), ip);
        self.by_ip.insert(ip, name.to_owned());
        Some(ip)
    }

    /// Where a proxy is to connect to for the peer at `addr`.
    pub(crate) fn target(&self, addr: SocketAddr) -> Socks5Target {
        match self.by_ip.get(&addr.ip()) {
            Some(name) => Socks5Target::Name(name.clone(), addr.port()),
            None => Socks5Target::Addr(addr),
        }
    }
}

/// Whether the address may stand for a name, and so is nobody's.
pub(crate) fn is_stand_in(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments().starts_with(&PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_address_that_is_nobody_s() {
        let mut names = Names::default();
        let ips = ["a", "b", "a"].map(|name| names.stand_in(name).unwrap());
        assert!(ips[0] == ips[2] && ips[0] != ips[1] && ips.into_iter().all(is_stand_in));
        let target = names.target(SocketAddr::new(ips[1], 7));
        assert_eq!(target, Socks5Target::Name("b".to_owned(), 7));
        let other: SocketAddr = "192.0.2.1:7".parse().unwrap();
        assert_eq!(names.target(other), Socks5Target::Addr(other));
        assert!(!is_stand_in(other.ip()) && !is_stand_in("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn there_is_an_end_to_names() {
        let mut names = Names::default();
        assert_eq!([names.stand_in(""), names.stand_in(&"x".repeat(256))], [None, None]);
        let count = (0..5000).filter(|number| names.stand_in(&number.to_string()).is_some()).count();
        assert_eq!(count, NAME_COUNT_MAX);
    }
}
