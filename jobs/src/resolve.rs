//! Name resolution by the system.

use std::net::{SocketAddr, ToSocketAddrs as _};

use peerless_core::Bind;

use crate::error::words;

/// The most addresses taken of one host: more are of no use for one peer.
const ADDR_COUNT_MAX: usize = 16;

/// The addresses of `host` that are reached from there, each with `port`; or the system's words why
/// not. The system's look-up itself can't be bound.
pub(crate) fn resolve(bind: Bind, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    // In a URL, and so in what users type, an IPv6 address stands in brackets.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let found = (bare, port).to_socket_addrs().map_err(|error| words(&error))?;
    let mut addrs: Vec<_> = Vec::new();
    for addr in found.filter(|addr| bind.reaches(addr.ip())) {
        if addrs.len() < ADDR_COUNT_MAX && !addrs.contains(&addr) {
            addrs.push(addr);
        }
    }
    match bind.ip() {
        _ if !addrs.is_empty() => Ok(addrs),
        Some(_) => Err("the host has no address in the family that is bound".to_owned()),
        None => Err("the host has no address".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_for_themselves() {
        assert_eq!(resolve(Bind::ANY, "127.0.0.1", 80), Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(resolve(Bind::ANY, "::1", 80), Ok(vec!["[::1]:80".parse().unwrap()]));
        assert_eq!(resolve(Bind::ANY, "[::1]", 80), Ok(vec!["[::1]:80".parse().unwrap()]));
    }

    #[test]
    fn what_is_not_reached_from_there_is_left_out() {
        let bind = Bind::to([127, 0, 0, 1].into());
        assert_eq!(resolve(bind, "127.0.0.1", 80), Ok(vec!["127.0.0.1:80".parse().unwrap()]));
        assert_eq!(
            resolve(bind, "::1", 80),
            Err("the host has no address in the family that is bound".to_owned())
        );
    }

    #[test]
    fn what_can_be_no_host_is_an_error() {
        for host in ["", "a b", "a\0b", "[127.0.0.1", "256.256.256.256.256"] {
            assert!(resolve(Bind::ANY, host, 80).is_err(), "{host:?}");
        }
    }
}
