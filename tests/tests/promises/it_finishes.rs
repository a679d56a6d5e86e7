//! It finishes: whoever may be asked is asked, and one honest seed is enough, whatever others do.

use std::time::Duration;

use proptest::prelude::*;

use super::config;
use super::scenarios::small;

/// The longest time in which nobody is asked for anything and nothing comes, while somebody who unchokes
/// us has a piece that we have not. A peer that answers nothing is given up after 40 s, and who has a
/// piece that was bad to itself has to hand it over after 60 s; the rest is the way there and back.
const ASK_TIME: Duration = Duration::from_secs(75);

/// How long a download of at most 2.5 MiB may take from an honest seed that serves others too.
const FINISH_TIME: Duration = Duration::from_secs(20 * 60);

proptest! {
    #![proptest_config(config(9, "regressions/it_finishes.txt"))]

    #[test]
    fn one_honest_seed_is_enough_and_who_unchokes_is_asked(small in small()) {
        let mut party = small.begin();
        party.finish(FINISH_TIME, ASK_TIME);
        for &leech in &party.leeches {
            let witness = party.swarm.host(leech).witness.as_ref().expect("it has one");
            prop_assert!(witness.request_count > 0 || !party.swarm.web.is_empty(), "nothing was seen");
        }
    }
}
