//! A recording without its names is done again as the other, and has none of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::{Config, InfoHash, IpFamily, Replay, renamed, replay, unsealed_recording};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::run::{Ended, Run};
use peerless_sim::sample::Sample;
use peerless_sim::scenario::Scenario;
use peerless_sim::swarm::{Role, Swarm};
use peerless_tests::ops;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const TIERS: &[&[&str]] = &[&["http://tracker.example/announce?user=passkey", "udp://other.example:6969"]];

/// A swarm with trackers, peer exchange, a liar and cuts, in which a node records all it does.
struct Lab {
    sample: Sample,
    swarm: Swarm,
    recorder: NodeId,
}

impl Lab {
    fn new(sample: Sample) -> Self {
        Self::with(sample, IpFamily::V4)
    }

    fn with(sample: Sample, family: IpFamily) -> Self {
        let net = Net { cut_after: Some(Duration::from_secs(2)..MINUTE), ..Net::default() };
        let mut swarm = Swarm::new(1, net);
        swarm.family = family;
        let config = Config { record: true, ..Config::default() };
        let recorder = swarm.add_host(config, Speed { down: 200_000, up: 100_000 });
        swarm.host_mut(recorder).disk.insert(&sample);
        Self { sample, swarm, recorder }
    }

    fn start_others(&mut self) -> Vec<SocketAddr> {
        let (sample, swarm) = (&self.sample, &mut self.swarm);
        let seed = swarm.add_seed(sample);
        let liar =
            swarm.add_puppet(sample, Plan { serve: Serve::Wrong(200), ..Plan::seed(b'l') }, Speed::default());
        let first = swarm.addr(self.recorder);
        for _ in 0..4 {
            swarm.add_leech(sample, &[first]);
        }
        vec![swarm.addr(seed), swarm.addr(liar)]
    }

    fn end(mut self) -> Vec<u8> {
        assert!(self.swarm.run_until(10 * MINUTE, |swarm| swarm.complete_count() == 5));
        self.swarm.shut_down(self.recorder);
        assert!(self.swarm.run_until(MINUTE, |swarm| swarm.host(self.recorder).session.is_shut_down()));
        self.swarm.host(self.recorder).disk.recording().to_vec()
    }
}

fn sample() -> Sample {
    let files: [(&[&str], usize); 3] =
        [(&["holiday", "beach.jpg"], 200_000), (&["secret"], 99_999), (&["ü"], 5)];
    Sample::with_files(1, &files, 16_384)
}

/// Both are done again alike, call by call and kind by kind.
fn is_the_same(recording: &[u8]) -> Vec<u8> {
    let renamed = renamed(recording, 99).unwrap_or_else(|error| panic!("{error}"));
    let (before, after) = (replay(recording).expect("it is whole"), replay(&renamed).expect("it is whole"));
    assert_eq!((after.output_count, after.time, after.end), (before.output_count, before.time, before.end));
    renamed
}

fn has_none_of(recording: &[u8], words: &[&[u8]]) {
    let records = unsealed_recording(recording).expect("it is a recording");
    for word in words {
        let at = records.windows(word.len()).position(|window| window == *word);
        assert_eq!(at, None, "{} is in it", word.escape_ascii());
    }
}

/// An address as a call has it, as a list of them has it, and as text.
fn forms(addr: SocketAddr) -> [Vec<u8>; 3] {
    let IpAddr::V4(ip) = addr.ip() else { panic!("{addr} is not of IPv4") };
    let (octets, port) = (ip.octets(), addr.port().to_be_bytes());
    [[&[4][..], &octets].concat(), [&octets[..], &port].concat(), ip.to_string().into_bytes()]
}

#[test]
fn no_name_and_no_address_is_left() {
    let mut lab = Lab::new(sample());
    let peers = lab.start_others();
    lab.swarm.start(lab.recorder, &lab.sample, Role::leech(&peers));
    let addrs: Vec<SocketAddr> = (0..7).map(|number| lab.swarm.addr(NodeId(number))).collect();
    let (info_hash, pieces) = (lab.sample.metainfo.info_hash(), lab.sample.metainfo.info().to_vec());
    let recording = lab.end();
    let renamed = is_the_same(&recording);
    let forms: Vec<Vec<u8>> = addrs.into_iter().flat_map(forms).collect();
    let mut words: Vec<&[u8]> = forms.iter().map(Vec::as_slice).collect();
    let digests = pieces.windows(8).position(|window| window == b"6:pieces").expect("it has pieces");
    words.extend([&b"holiday"[..], b"beach", b"secret", "ü".as_bytes(), b"sample", b"/sim", b"llllllllllll"]);
    words.extend([&info_hash.as_bytes()[..], &pieces[digests + 20..digests + 40]]);
    has_none_of(&renamed, &words);
    // The test would see them.
    let records = unsealed_recording(&recording).expect("it is a recording");
    let is_there = |word: &&&[u8]| records.windows(word.len()).any(|window| window == **word);
    assert!(words.iter().filter(is_there).count() > words.len() / 3);
    let own = |recording: &[u8]| Replay::new(recording).expect("it is a recording").session().peer_id();
    assert_ne!(own(&recording), own(&renamed));
}

#[test]
fn a_magnet_link_and_its_metadata_are_renamed_alike() {
    // Metadata of several pieces.
    let mut lab = Lab::new(Sample::new(1, 2_000_000, 1024));
    let peers = lab.start_others();
    lab.swarm.start_magnet(lab.recorder, &lab.sample, &peers);
    let hash: InfoHash = lab.sample.metainfo.info_hash();
    let recording = lab.end();
    let renamed = is_the_same(&recording);
    has_none_of(&renamed, &[hash.as_bytes(), b"sample"]);
}

#[test]
fn trackers_are_renamed_with_what_they_say() {
    let sample = Sample::with_trackers(1, 400_000, 32_768, TIERS);
    let mut lab = Lab::new(sample);
    lab.start_others();
    let web_seeds = vec!["http://files.example/hidden/".to_owned()];
    lab.swarm.start(lab.recorder, &lab.sample, Role { web_seeds, ..Role::leech(&[]) });
    let renamed = is_the_same(&lab.end());
    has_none_of(&renamed, &[b"tracker", b"example", b"passkey", b"other", b"hidden"]);
}

#[test]
fn who_may_have_pieces_while_choked_still_may() {
    let sample = Sample::new(1, 800_000, 16_384);
    let mut swarm = Swarm::new(1, Net::default());
    let config = Config { record: true, upload_slots: 1, upload_slots_max: 1, ..Config::default() };
    let giver = swarm.add_host(config, Speed { up: 50_000, down: 50_000 });
    // All but a piece: seeds grant nothing.
    let geometry = sample.metainfo.geometry();
    let mut there = Bitfield::full(geometry.piece_count());
    geometry.piece(0).map(|piece| there.remove(piece));
    swarm.host_mut(giver).disk.insert_with(&sample, there);
    swarm.start(giver, &sample, Role::leech(&[]));
    let addr = swarm.addr(giver);
    for _ in 0..8 {
        swarm.add_leech(&sample, &[addr]);
    }
    swarm.run_for(MINUTE);
    let recording = swarm.host(giver).disk.recording().to_vec();
    let renamed = is_the_same(&recording);
    let calls = |recording: &[u8]| replay(recording).expect("it is whole").call_count;
    assert_eq!(calls(&renamed) - calls(&recording), 8, "each leech's set is told");
}

#[test]
fn a_session_that_could_grant_nothing_still_grants_nothing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../sim/scenarios/tiny.toml");
    let text = std::fs::read_to_string(path).expect("the scenario is there");
    // Leeches that have a few pieces when others ask, and seldom one of the set.
    let mut run = Run::recorded(Scenario::parse(&text).expect("it is one"), 1);
    assert_eq!(run.finish(), Ended::Complete);
    let count = run.recordings().map(is_the_same).count();
    assert_eq!(count, 5);
}

#[test]
fn what_was_cut_off_is_renamed_as_far_as_it_goes() {
    let mut lab = Lab::with(sample(), IpFamily::V6);
    let peers = lab.start_others();
    lab.swarm.start(lab.recorder, &lab.sample, Role::leech(&peers));
    lab.swarm.run_for(Duration::from_millis(3456));
    let recording = lab.swarm.host(lab.recorder).disk.recording().to_vec();
    let IpAddr::V6(ip) = lab.swarm.addr(NodeId(1)).ip() else { panic!("another family") };
    has_none_of(&is_the_same(&recording), &[&ip.octets(), ip.to_string().as_bytes()]);
}

#[test]
fn what_fuzzing_has_found_to_say_can_be_renamed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/session");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("a readable folder").path();
        let recording = ops::run(&std::fs::read(&path).expect("a readable file"), 7, true).recording;
        if !recording.is_empty() {
            // libtest shows this when it fails.
            eprintln!("{}", path.display());
            is_the_same(&recording);
            count += 1;
        }
    }
    assert!(count > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_a_session_is_told_can_be_renamed(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let recording = ops::run(&bytes, 7, true).recording;
        if !recording.is_empty() {
            is_the_same(&recording);
        }
    }
}
