//! It does not leak: nothing leaves by another way, or is got from another source, than is allowed.

use peerless_core::rng::Rng;
use peerless_tests::check;
use peerless_tests::ops::{self, Allowed};
use proptest::prelude::*;

use super::config;

proptest! {
    #![proptest_config(config(1000, "regressions/leaks.txt"))]

    #[test]
    fn nothing_leaves_by_a_way_or_for_a_source_that_is_not_allowed(
        ways in any::<u8>(),
        sources in any::<u8>(),
        ops in prop::collection::vec(any::<u8>(), 50..1500),
    ) {
        check::leaks(&[&[ways, sources], &ops[..]].concat());
    }
}

/// What random bytes bring about within these ways, as text.
fn outputs(allowed: &Allowed) -> String {
    let mut rng = Rng::new(1);
    let runs = (0..60).flat_map(|_| {
        let bytes: Vec<u8> =
            (0..1000).flat_map(|_| rng.next_u64().to_le_bytes().into_iter().take(1)).collect();
        ops::run_within(allowed, &bytes, usize::MAX, false).outputs
    });
    runs.collect()
}

#[test]
fn what_random_sessions_do_is_more_than_nothing() {
    let usual =
        ["Connect {", "Datagram {", "Announce {", "Fetch {", "Resolve {", "Scrape {", "PeerConnected"];
    for (ways, sources, sights) in [
        (0, 0, &usual[..]),
        (0, 1, &usual[..]),
        (2, 0, &usual[..]),
        (3, 0, &usual[..]),
        (8, 0, &["Connect {", "Announce {", "Fetch {", "Scrape {", "PeerConnected", "ProxyFailed"][..]),
        (24, 1, &["Connect {", "Announce {", "Fetch {", "Scrape {", "PeerConnected", "ProxyFailed"][..]),
        (12, 0, &["Connect {", "Announce {", "PeerConnected", "ProxyFailed"][..]),
    ] {
        let outputs = outputs(&Allowed::of(ways, sources));
        for sight in sights {
            assert!(outputs.contains(sight), "{ways} {sources}: no {sight} in {} bytes", outputs.len());
        }
    }
}
