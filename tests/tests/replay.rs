//! A recording is done again bit for bit, and what is no recording any more is told apart.

use std::time::Duration;

use peerless_core::{Config, ReplayError, replay};
use peerless_sim::link::{Net, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_tests::check;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const TOTAL: usize = 400_000;

/// What a leech recorded that met a liar, was cut off at times, and was ended in order.
fn recording() -> Vec<u8> {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["http://t/announce"]]);
    let net = Net { cut_after: Some(Duration::from_millis(500)..MINUTE), ..Net::default() };
    let mut swarm = Swarm::new(1, net);
    let seed = swarm.add_seed(&sample);
    let liar =
        swarm.add_puppet(&sample, Plan { serve: Serve::Wrong(200), ..Plan::seed(b'l') }, Speed::default());
    let leech = swarm.add_host(Config { record: true, ..Config::default() }, Speed::default());
    swarm.host_mut(leech).disk.insert(&sample);
    let peers = [swarm.addr(seed), swarm.addr(liar)];
    swarm.start(leech, &sample, Role::leech(&peers));
    assert!(swarm.run_until(10 * MINUTE, |swarm| swarm.complete_count() == 1));
    swarm.shut_down(leech);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.host(leech).session.is_shut_down()));
    swarm.host(leech).disk.recording().to_vec()
}

#[test]
fn a_session_that_was_ended_is_replayed_to_its_end() {
    let recording = recording();
    let replayed = replay(&recording).unwrap_or_else(|error| panic!("{error}"));
    assert!(replayed.call_count > 100 && replayed.output_count > 30, "{replayed:?}");
    assert_eq!(replayed.cut_len, 0);
    assert!(recording.len() < TOTAL / 4, "payload is not recorded: {} bytes", recording.len());
}

#[test]
fn a_recording_that_was_cut_off_is_replayed_as_far_as_it_goes() {
    let recording = recording();
    let whole = replay(&recording).unwrap_or_else(|error| panic!("{error}"));
    for len in (1000..recording.len()).step_by(997) {
        let replayed = replay(&recording[..len]).unwrap_or_else(|error| panic!("{len}: {error}"));
        assert!(replayed.call_count <= whole.call_count && replayed.cut_len < len, "{len}: {replayed:?}");
    }
}

#[test]
fn another_seed_is_seen_to_diverge() {
    let mut recording = recording();
    // Behind the name and the first record's tag and time stands the seed.
    let at = (8..40).find(|&at| {
        recording[at] ^= 1;
        let diverges = matches!(replay(&recording), Err(ReplayError::Diverged(_)));
        recording[at] ^= 1;
        diverges
    });
    assert!(at.is_some(), "no change at the beginning makes it diverge");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_recording_is_no_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..10),
    ) {
        static RECORDING: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(recording);
        let mut bytes = RECORDING.clone();
        for (index, flip) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= flip;
        }
        check::recording(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_no_recording(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check::recording(&bytes);
        check::recording(&[&RECORDING_START[..], &bytes].concat());
    }
}

/// What a recording begins with.
const RECORDING_START: [u8; 8] = *b"peerle\x00\x01";
