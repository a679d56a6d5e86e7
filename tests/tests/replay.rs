//! A recording is done again bit for bit, and what is no recording any more is told apart.

use std::sync::LazyLock;
use std::time::Duration;

use peerless_core::{
    Config, RecordingEnd, Replay, ReplayError, Step, replay, sealed_recording, unsealed_recording,
};
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
    recording_of(u64::MAX)
}

/// The same, of this length at most.
fn recording_of(record_len_max: u64) -> Vec<u8> {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["http://t/announce"]]);
    let net = Net { cut_after: Some(Duration::from_millis(500)..MINUTE), ..Net::default() };
    let mut swarm = Swarm::new(1, net);
    let seed = swarm.add_seed(&sample);
    let liar =
        swarm.add_puppet(&sample, Plan { serve: Serve::Wrong(200), ..Plan::seed(b'l') }, Speed::default());
    let config = Config { record: true, record_len_max, ..Config::default() };
    // Slow enough for several parts, each of a second.
    let leech = swarm.add_host(config, Speed { down: 100_000, ..Speed::default() });
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
    // The birth of the session and its torrent are in the first part.
    for len in (4000..recording.len()).step_by(97) {
        let replayed = replay(&recording[..len]).unwrap_or_else(|error| panic!("{len}: {error}"));
        assert!(replayed.call_count <= whole.call_count && replayed.cut_len < len, "{len}: {replayed:?}");
        assert_eq!(replayed.end, RecordingEnd::CutOff);
    }
}

/// The recording of a session with another seed that was told the same.
fn with_another_seed() -> Vec<u8> {
    let mut records = unsealed_recording(&recording()).expect("it is a recording");
    // Behind the first record's tag and time, a byte each.
    records[2] ^= 1;
    sealed_recording(&records)
}

#[test]
fn another_seed_is_seen_to_diverge() {
    let Err(ReplayError::Diverged(divergence)) = replay(&with_another_seed()) else {
        panic!("it is the same")
    };
    assert!(divergence.call > 1 && divergence.recorded.contains("output"), "{divergence:?}");
}

#[test]
fn a_full_recording_ends_early_and_is_done_again_up_to_there() {
    let whole = recording();
    let half = recording_of(whole.len() as u64 / 2);
    assert!(half.len() <= whole.len() / 2, "{} of {}", half.len(), whole.len());
    let replayed = replay(&half).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((replayed.end, replayed.cut_len), (RecordingEnd::Full, 0));
    assert!(replayed.output_count > 10, "{replayed:?}");
}

#[test]
fn a_kill_costs_a_second_at_most() {
    let sample = Sample::new(1, TOTAL, 32_768);
    let net = Net::default();
    // And what the disk takes to write the part.
    let lost_max = Duration::from_secs(1) + net.job_delay.end;
    let mut swarm = Swarm::new(1, net);
    let seed = swarm.add_seed(&sample);
    let config = Config { record: true, ..Config::default() };
    let leech = swarm.add_host(config, Speed { down: 50_000, ..Speed::default() });
    swarm.host_mut(leech).disk.insert(&sample);
    let peers = [swarm.addr(seed)];
    swarm.start(leech, &sample, Role::leech(&peers));
    let mut killed = Vec::new();
    for _ in 0..40 {
        swarm.run_for(Duration::from_millis(170));
        killed.push((swarm.now().since_start(), swarm.host(leech).disk.recording().to_vec()));
    }
    let mut whole = Replay::new(&killed.last().expect("there is one").1).expect("it is a recording");
    let mut called_at = vec![Duration::ZERO];
    while let Some(step) = whole.step().unwrap_or_else(|error| panic!("{error}")) {
        if matches!(step, Step::Call) {
            called_at.push(whole.now().since_start());
        }
    }
    for (at, recording) in killed.iter().filter(|(at, _)| *at > lost_max) {
        let replayed = replay(recording).unwrap_or_else(|error| panic!("{at:?}: {error}"));
        let owed = called_at.iter().filter(|call| **call + lost_max <= *at).count() as u64;
        assert!(replayed.call_count >= owed, "{at:?}: {} of {owed} calls", replayed.call_count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_is_noticed(at: prop::sample::Index) {
        let mut bytes = RECORDING.clone();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let noticed = replay(&bytes).map_or(true, |replayed| replayed.cut_len > 0);
        prop_assert!(noticed);
    }

    #[test]
    fn damaged_records_are_no_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..10),
    ) {
        let mut records = unsealed_recording(&RECORDING).expect("it is a recording");
        for (index, flip) in flips {
            let at = index.index(records.len());
            records[at] ^= flip;
        }
        check::recording(&records);
    }

    #[test]
    fn arbitrary_bytes_are_no_recording(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check::recording(&bytes);
    }
}

static RECORDING: LazyLock<Vec<u8>> = LazyLock::new(recording);
