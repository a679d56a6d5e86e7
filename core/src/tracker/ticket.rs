//! Connection ids of the tracker: a keyed hash of the client's address and the time, so that nothing
//! is remembered for them and nobody can make one for an address that is not theirs.

use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;

/// How long the same id is given out. It is taken for as long again: BEP 15 wants two minutes after a
/// client got it.
const EPOCH: Duration = Duration::from_secs(120);

/// Makes and checks connection ids.
#[derive(Clone, Debug)]
pub(super) struct Tickets {
    key: [u8; 32],
}

impl Tickets {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The id for a client at `ip`. Its port does not count: it may change behind a translator.
    pub(super) fn issue(&self, now: Instant, ip: IpAddr) -> u64 {
        self.of(epoch(now), ip)
    }

    /// Whether `id` was given to a client at `ip`, not too long ago.
    pub(super) fn is_good(&self, now: Instant, ip: IpAddr, id: u64) -> bool {
        let epoch = epoch(now);
        self.of(epoch, ip) == id || epoch.checked_sub(1).is_some_and(|before| self.of(before, ip) == id)
    }

    /// SHA-1 over key and message. All messages have one length and most of the hash is kept back, so
    /// that nothing can be appended to it, which HMAC would guard against.
    fn of(&self, epoch: u64, ip: IpAddr) -> u64 {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut sha1 = sha1_smol::Sha1::new();
        sha1.update(&self.key);
        sha1.update(&epoch.to_be_bytes());
        sha1.update(&ip.octets());
        let digest = sha1.digest().bytes();
        digest.first_chunk().copied().map(u64::from_be_bytes).unwrap_or_default()
    }
}

fn epoch(now: Instant) -> u64 {
    now.since_start().as_secs() / EPOCH.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn an_id_is_good_for_its_address_and_its_time() {
        let tickets = Tickets::new([1; 32]);
        let ip = |text: &str| text.parse().unwrap();
        for issued in [0, 119, 120, 500] {
            let id = tickets.issue(at(issued), ip("10.0.0.1"));
            assert!((0..=120).all(|later| tickets.is_good(at(issued + later), ip("10.0.0.1"), id)));
            assert!(!tickets.is_good(at(issued + 240), ip("10.0.0.1"), id));
            assert!(!tickets.is_good(at(issued), ip("10.0.0.2"), id));
            assert!(!tickets.is_good(at(issued), ip("fd00::1"), id));
            assert!(!tickets.is_good(at(issued), ip("10.0.0.1"), id ^ 1));
            assert!(!Tickets::new([2; 32]).is_good(at(issued), ip("10.0.0.1"), id));
        }
        assert!(!tickets.is_good(at(0), ip("10.0.0.1"), 0));
    }
}
