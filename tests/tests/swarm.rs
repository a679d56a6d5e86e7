//! Whole swarms in memory, under virtual time.

use std::time::Duration;

use peerless_tests::link::Net;
use peerless_tests::sample::Sample;
use peerless_tests::sim::Swarm;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn one_leech_gets_everything_from_one_seed() {
    let sample = Sample::new(1, 1_000_000, 65_536);
    let mut swarm = Swarm::new(1, Net::default());
    let seed = swarm.add_seed(&sample);
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    let done = swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
    assert!(swarm.host(leech).disk.pieces(sample.metainfo.info_hash()).is_full());
}
