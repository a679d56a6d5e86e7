//! Addresses of hosts: the compact form (BEP 23, BEP 7), which of them a peer can be at, and how far
//! away they are reached from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::names::is_stand_in;

/// Addresses of `IP` bytes, each with a port: `ALL` bytes together. Those where no peer can be are
/// left out, and so is a rest that is too short.
pub(crate) fn compact<const IP: usize, const ALL: usize>(bytes: &[u8]) -> impl Iterator<Item = SocketAddr>
where
    IpAddr: From<[u8; IP]>,
{
    compact_all::<IP, ALL>(bytes).flatten()
}

/// The same, and nothing for each at which no peer can be.
pub(crate) fn compact_all<const IP: usize, const ALL: usize>(
    bytes: &[u8],
) -> impl Iterator<Item = Option<SocketAddr>>
where
    IpAddr: From<[u8; IP]>,
{
    bytes.as_chunks::<ALL>().0.iter().map(|peer| {
        let (ip, port) = peer.split_first_chunk::<IP>()?;
        usable(IpAddr::from(*ip), u16::from_be_bytes(port.try_into().ok()?))
    })
}

/// Appends the compact form of an address.
pub(crate) fn push_compact(out: &mut Vec<u8>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => out.extend(ip.octets()),
        IpAddr::V6(ip) => out.extend(ip.octets()),
    }
    out.extend(addr.port().to_be_bytes());
}

/// The address, if a peer can be there.
pub(crate) fn usable(ip: IpAddr, port: u16) -> Option<SocketAddr> {
    let ip = ip.to_canonical();
    let is_host = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast() && ip.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_unspecified() && !is_stand_in(ip),
    };
    (is_host && !ip.is_multicast() && port != 0).then(|| SocketAddr::new(ip, port))
}

/// From how far away an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// From this machine.
    Local,
    /// From a network that is not reached from everywhere.
    Private,
    /// From anywhere in the world.
    Public,
}

impl Reach {
    /// From how far away `ip` is reached, however it is written.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() || ip.is_unspecified() => Self::Local,
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                // RFC 6598, addresses behind a provider's translator; and "this network", RFC 791.
                let shared = (a == 100 && b & 0xC0 == 64) || a == 0;
                let near = ip.is_private() || ip.is_link_local() || ip.is_broadcast() || ip.is_multicast();
                if near || shared { Self::Private } else { Self::Public }
            }
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        let [first, .., high, low] = ip.segments();
        // An IPv4 address behind a translator (RFC 6052) is as near as that address.
        if ip.segments().starts_with(&[0x64, 0xFF9B, 0, 0, 0, 0]) {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            return Self::of(IpAddr::from([a, b, c, d]));
        }
        // Unique local, link-local and the old site-local addresses, and multicast.
        let near = ip.is_unique_local() || ip.is_unicast_link_local() || first & 0xFFC0 == 0xFEC0;
        if near || ip.is_multicast() { Self::Private } else { Self::Public }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_near_as_they_are_however_they_are_written() {
        let of = |ip: &str| Reach::of(ip.parse().unwrap());
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"]
        {
            assert_eq!(of(ip), Reach::Local, "{ip}");
        }
        for ip in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::192.168.0.1",
        ] {
            assert_eq!(of(ip), Reach::Private, "{ip}");
        }
        for ip in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::8.8.8.8"] {
            assert_eq!(of(ip), Reach::Public, "{ip}");
        }
    }

    #[test]
    fn what_is_written_compactly_is_read() {
        for addr in ["192.0.2.1:6881", "[2001:db8::1]:1"].map(|addr| addr.parse::<SocketAddr>().unwrap()) {
            let mut bytes = Vec::new();
            push_compact(&mut bytes, addr);
            let read: Vec<SocketAddr> = match addr {
                SocketAddr::V4(_) => compact::<4, 6>(&bytes).collect(),
                SocketAddr::V6(_) => compact::<16, 18>(&bytes).collect(),
            };
            assert_eq!(read, [addr]);
        }
    }

    #[test]
    fn addresses_where_no_peer_can_be_are_refused() {
        for bad in ["0.0.0.0:1", "0.9.9.9:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[::]:1"] {
            let addr: SocketAddr = bad.parse().unwrap();
            assert_eq!(usable(addr.ip(), addr.port()), None, "{bad}");
        }
        assert_eq!(usable("ff02::1".parse().unwrap(), 1), None);
    }
}
