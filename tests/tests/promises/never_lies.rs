//! It never lies: a piece is announced, served, recorded and left alone because it is on the disk.
//!
//! The witness of each host looks at what it says, and the disk of the simulation at what it claims.

use std::time::Duration;

use peerless_tests::small::{Party, Small};
use proptest::prelude::*;

use super::config;
use super::scenarios::small;

/// Long enough for any of these downloads, and for what is recorded after it.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// One leech that gets six pieces from a seed while another gets them from both.
fn pair() -> Party {
    let small = Small {
        seed: 1,
        piece_count: 6,
        piece_len: 32_768,
        missing_len: 20_000,
        by_magnet: 0,
        leeches: 2,
        others: Vec::new(),
        latency: 50,
        cut_after: 0,
        stalls: 0,
        buffer: 0,
        peers_max: 0,
        requests_max: 0,
        seed_up: 200_000,
        seed_late: 0,
    };
    small.begin()
}

#[test]
fn a_download_that_is_cut_after_any_effect_goes_on_from_what_is_there() {
    let mut whole = pair();
    whole.finish(LIMIT, LIMIT);
    // What it has got is recorded within half a minute, and the other may still ask for it.
    whole.swarm.run_for(Duration::from_secs(40));
    let effect_count = whole.swarm.host(whole.leeches[0]).effect_count;
    assert!(effect_count > 60, "only {effect_count} things were done");
    for effects in 1..=effect_count {
        let mut party = pair();
        party.cut(0, effects, LIMIT, effects % 2 == 0);
        party.finish(LIMIT, LIMIT);
    }
}

proptest! {
    #![proptest_config(config(4, "regressions/never_lies.txt"))]

    #[test]
    fn whoever_is_cut_again_and_again_claims_what_is_there_and_fetches_nothing_of_it(
        small in small(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 1_u64..400, any::<bool>()), 1..6),
    ) {
        let mut party = small.begin();
        for (who, effects, power) in cuts {
            let number = who.index(party.leeches.len());
            party.cut(number, effects, Duration::from_secs(45), power);
        }
        party.finish(LIMIT, LIMIT);
    }
}
