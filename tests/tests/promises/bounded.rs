//! It stays bounded: connections, requests outstanding, blocks in memory, bytes to be sent, and what
//! one input sets off, whatever others do. What tables grow to is in docs/bounds.md, each with its test.

use std::time::Duration;

use peerless_tests::small::{Party, Small};
use proptest::prelude::*;

use super::config;
use super::scenarios::small;

/// How long each swarm is looked at: many are done by then, and who floods goes on.
const TIME: Duration = Duration::from_secs(15);

/// Outputs that one input sets off at most, for each address that the session knows: a call or what is
/// told to a peer, what is written or asked for, and events about it; and some that it sets off whoever
/// is there.
const OUTPUTS_PER_PEER_MAX: usize = 4;
const OUTPUTS_MAX: usize = 24;

/// Looks at a swarm after each thing that happens in it.
fn watch(small: &Small, party: &mut Party) {
    let config = small.config();
    let known = party.known.len() + small.others.len();
    let leeches = party.leeches.clone();
    let piece_len = u64::from(small.piece_len);
    // One piece may be open whatever there is room for.
    let open_len_max = config.buffer_len_max as u64 + piece_len;
    party.swarm.run_until(TIME, |swarm| {
        for leech in &leeches {
            let host = swarm.host(*leech);
            let count = host.conns.len();
            assert!(count <= config.peers_max, "{count} connections of {}", config.peers_max);
            let outputs = host.outputs_max;
            let most = OUTPUTS_MAX + OUTPUTS_PER_PEER_MAX * known;
            assert!(outputs <= most, "{outputs} outputs at once, of {most}");
            let witness = host.witness.as_ref().expect("it has one");
            let count = witness.outstanding_max;
            assert!(count <= config.requests_max, "{count} requests of {}", config.requests_max);
            let len = witness.open_len_max;
            assert!(len <= open_len_max, "{len} bytes of {open_len_max} are asked for or held");
        }
        false
    });
}

proptest! {
    #![proptest_config(config(6, "regressions/bounded.txt"))]

    #[test]
    fn nobody_makes_a_session_pass_its_bounds(
        small in small(),
        buffer in 1_usize..5,
        peers_max in 2_usize..8,
        requests_max in 4_usize..40,
    ) {
        let small = Small { buffer, peers_max, requests_max, ..small };
        watch(&small, &mut small.begin());
    }
}
