//! Where a UDP tracker's URL leads, and where it may not.

use std::net::SocketAddr;

use crate::addr::{Reach, usable};

/// Ports below this are the system's services.
const PORT_OF_USERS_MIN: u16 = 1024;

/// What a `udp:` URL names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Target {
    /// Reads `udp://HOST:PORT/PATH?QUERY`; gives path and query too, nothing if that is a bare `/`.
    pub(crate) fn parse(url: &str) -> Result<(Self, &str), &'static str> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, data) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = authority.rsplit_once(':').ok_or("a udp tracker's URL needs a port")?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or("not a port")?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let known = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '@', '[', ']']),
        };
        if !known {
            return Err("not a host");
        }
        let host = bare.unwrap_or(host).to_owned();
        Ok((Self { host, port }, if data == "/" { "" } else { data }))
    }

    /// The address, if it is written out.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.host.parse().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

/// Why nothing is sent to `addr` because a torrent says so: it is nobody's, or it is a service of
/// this machine or network that is no tracker.
pub(super) fn refusal(addr: SocketAddr) -> Option<&'static str> {
    if usable(addr.ip(), addr.port()).is_none() {
        return Some("the host's address is no one's");
    }
    (Reach::of(addr.ip()) != Reach::Public && addr.port() < PORT_OF_USERS_MIN)
        .then_some("the port is that of a service on this machine or network, not of a tracker")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_and_the_rest() {
        for (url, host, port, data) in [
            ("udp://t.example:80", "t.example", 80, ""),
            ("UDP://t:1/", "t", 1, ""),
            ("udp://t:1/announce?a=b#c", "t", 1, "/announce?a=b"),
            ("udp://t:1?a", "t", 1, "?a"),
            ("udp://[2001:db8::1]:6969/x", "2001:db8::1", 6969, "/x"),
        ] {
            assert_eq!(Target::parse(url), Ok((Target { host: host.to_owned(), port }, data)), "{url}");
        }
        for url in
            ["udp://t", "udp://t:0", "udp://t:65536", "udp://:1", "udp://a@b:1", "udp://::1:1", "udp://[x]:1"]
        {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn addresses_where_no_tracker_is_are_refused() {
        for (addr, refused) in [
            ("192.0.2.1:53", false),
            ("127.0.0.1:6969", false),
            ("192.168.1.1:6969", false),
            ("127.0.0.1:53", true),
            ("192.168.1.1:161", true),
            ("[fe80::1]:53", true),
            ("[::ffff:10.0.0.1]:53", true),
            ("[2001:db8::1]:80", false),
            ("255.255.255.255:6969", true),
            ("224.0.0.1:6969", true),
            ("[ff02::1]:6969", true),
            ("0.0.0.0:6969", true),
            ("[::]:6969", true),
        ] {
            assert_eq!(refusal(addr.parse().unwrap()).is_some(), refused, "{addr}");
        }
    }
}
