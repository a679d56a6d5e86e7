//! Name resolution by the system.

use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::error::words;

/// The most addresses taken of one host: more are of no use for one peer.
const ADDR_COUNT_MAX: usize = 16;

/// The addresses of `host`, each with `port`; or the system's words why not.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    // In a URL, and so in what users type, an IPv6 address stands in brackets.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found = (bare, port).to_socket_addrs().map_err(|error| words(&error))?;
    let mut addrs: Vec<_> = Vec::new();
    for addr in found {
        if addrs.len() < ADDR_COUNT_MAX && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    if addrs.is_empty() { Err("the host has no address".to_owned()) } else { Ok(addrs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_for_themselves() {
        assert_eq!(resolve("127.0.0.1", 80), Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(resolve("::1", 80), Ok(vec!["[::1]:80".parse().unwrap()]));
        assert_eq!(resolve("[::1]", 80), Ok(vec!["[::1]:80".parse().unwrap()]));
    }

    #[test]
    fn what_can_be_no_host_is_an_error() {
        for host in ["", "a b", "a\0b", "[127.0.0.1", "256.256.256.256.256"] {
            assert!(resolve(host, 80).is_err(), "{host:?}");
        }
    }
}
