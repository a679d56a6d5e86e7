//! Peers that send wrong bytes.

use peerless_core::Event;
use peerless_sim::puppet::{Plan, Serve};

use super::{banned, beside, time_to_complete};

#[test]
fn a_liar_is_found_within_a_few_bad_pieces_and_the_honest_are_never_banned() {
    for (seed, wrong) in (1..=20).zip([1000, 300, 50].into_iter().cycle()) {
        let honest = Plan::seed(b'h');
        let liar = Plan { serve: Serve::Wrong(wrong), ..Plan::seed(b'l') };
        let (mut swarm, leech, others) = beside(seed, &[honest, liar]);
        time_to_complete(&mut swarm, leech);
        let failed = swarm.host(leech).count(|event| matches!(event, Event::PieceFailed { .. }));
        let lied = swarm.puppet(others[1]).stats.lie_count;
        let banned = banned(&swarm, leech);
        let liar_addr = swarm.addr(others[1]);
        assert!(
            banned.iter().all(|addr| *addr == liar_addr),
            "seed {seed}: the honest are banned: {banned:?}"
        );
        if failed > 0 {
            assert!(!banned.is_empty(), "seed {seed}: {lied} lies spoilt {failed} pieces and it goes on");
        }
        assert!(failed <= 4, "seed {seed}: {failed} bad pieces before it was found");
    }
}
