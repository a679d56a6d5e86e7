//! Payload per second stays within its limit, in any five seconds.

use peerless_tests::limits::{Direction, Scenario, hold};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn scenario() -> impl Strategy<Value = Scenario> {
    let direction = prop_oneof![Just(Direction::Down), Just(Direction::Up)];
    (any::<u64>(), direction, 300_000_u64..2_000_000, 1_usize..12, any::<bool>(), any::<bool>()).prop_map(
        |(seed, direction, rate, others, web, of_torrent)| Scenario {
            seed,
            direction,
            rate,
            others,
            web,
            of_torrent,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("regressions/limits.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_limit_holds_over_any_five_seconds(scenario in scenario()) {
        hold(&scenario);
    }
}
