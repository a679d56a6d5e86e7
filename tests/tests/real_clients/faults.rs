//! Bad input and bad surroundings: a clear line, the right exit code, nothing lost.

use std::fs;

use peerless_tests::real::{
    Client, Lab, PEER_PORT, Payloads, Peerless, Program, Runtime, SIGNAL_TIMEOUT, STEP_TIMEOUT, TRACKER_PORT,
    hostile, libtorrent, peerless,
};

use super::under_both_runtimes;

/// A disk that holds a part of the payload.
const DISK_LEN: u64 = 8 << 20;

under_both_runtimes! {
    tracker_down => a_peer_by_hand_serves_when_the_tracker_is_down,
    tracker_garbage => a_tracker_that_answers_garbage_is_survived,
    tracker_mute => a_tracker_that_never_answers_delays_no_interrupt,
    no_peers => says_what_is_wrong_and_gives_up_after_the_stop_timeout,
    peer_garbage => a_peer_that_speaks_garbage_is_survived,
    read_only => a_read_only_output_is_exit_10,
    full_disk => a_full_disk_is_exit_9_and_keeps_what_is_verified,
    second_process => a_second_process_is_refused,
}

/// The one line on standard error that every failure gives.
pub(super) fn assert_one_error(program: &Program) {
    let errors = program.errors();
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("peerless: ")).collect();
    assert_eq!(lines.len(), 1, "one line says what is wrong");
}

fn tracker_down(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("tracker-down");
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    let mut leech = Peerless::download(&lab, &host, runtime, &[tree]).peer(seed_host.address).spawn(&lab);
    leech.expect_exit(0, STEP_TIMEOUT);
    tree.assert_copy_in(&host.dir, true);
    assert!(tracker_failed(&leech), "it says that the tracker is down");
}

fn tracker_garbage(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("tracker-garbage");
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    let _tracker = hostile(&lab, &lab.hub(), "tracker", TRACKER_PORT);
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    let mut leech = Peerless::download(&lab, &host, runtime, &[tree]).peer(seed_host.address).spawn(&lab);
    leech.expect_exit(0, STEP_TIMEOUT);
    tree.assert_copy_in(&host.dir, true);
    assert!(tracker_failed(&leech), "it says that the tracker's answer is no good");
}

fn tracker_mute(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, _, tiny] = payloads.by_libtorrent();
    let lab = Lab::new("tracker-mute");
    let mut tracker = hostile(&lab, &lab.hub(), "mute", TRACKER_PORT);
    let mut leech = Peerless::download(&lab, &lab.host("leech"), runtime, &[tiny]).spawn(&lab);
    tracker.wait_output("request from", STEP_TIMEOUT);
    leech.signal("INT");
    leech.expect_exit(7, SIGNAL_TIMEOUT);
}

fn tracker_failed(leech: &Program) -> bool {
    peerless::events(leech.output_path(), "tracker").iter().any(|event| event["ok"] == false)
}

fn no_peers(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, _, tiny] = payloads.by_libtorrent();
    let lab = Lab::new("no-peers");
    let host = lab.host("leech");
    let mut leech =
        Peerless::download(&lab, &host, runtime, &[tiny]).args(["--stop-timeout", "3"]).spawn(&lab);
    leech.expect_exit(5, STEP_TIMEOUT);
    assert_one_error(&leech);
    assert!(tracker_failed(&leech), "it says that the tracker is down");
}

fn peer_garbage(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("peer-garbage");
    let (bad_host, seed_host, host) = (lab.host("bad"), lab.host("seed"), lab.host("leech"));
    let bad = hostile(&lab, &bad_host, "peer", PEER_PORT);
    let mut leech = Peerless::download(&lab, &host, runtime, &[tree])
        .arg("--no-trackers")
        .peer(bad_host.address)
        .peer(seed_host.address)
        .spawn(&lab);
    // The good one comes only after the bad one had its say.
    leech.wait_for("meeting the bad peer", STEP_TIMEOUT, || bad.output().contains("peer from"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    leech.expect_exit(0, STEP_TIMEOUT);
    tree.assert_copy_in(&host.dir, true);
}

fn read_only(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("read-only");
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    // Root may write anywhere but to a file system that takes no writes.
    lab.shell(&format!("mount -t tmpfs -o ro none '{}'", host.dir.display()));
    let mut leech = Peerless::download(&lab, &host, runtime, &[tree]).peer(seed_host.address).spawn(&lab);
    leech.expect_exit(10, STEP_TIMEOUT);
    assert_one_error(&leech);
}

fn full_disk(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("full-disk");
    let host = lab.host("leech");
    let dir = host.dir.display();
    lab.shell(&format!("mount -t tmpfs -o size={DISK_LEN} none '{dir}'"));
    let download = || {
        let seed_host = lab.host("seed");
        let seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
        let leech = Peerless::download(&lab, &host, runtime, &[tree]).arg("--no-trackers");
        (leech.peer(seed_host.address).spawn(&lab), seed)
    };
    let (mut leech, seed) = download();
    leech.expect_exit(9, STEP_TIMEOUT);
    assert_one_error(&leech);
    drop(seed);

    lab.shell(&format!("mount -o remount,size=100m '{dir}'"));
    let (mut leech, seed) = download();
    leech.expect_exit(0, STEP_TIMEOUT);
    tree.assert_copy_in(&lab.view(&host.dir), true);
    let (sent, total) = (libtorrent::payload_sent(seed), tree.total_len());
    assert!(sent < total - DISK_LEN / 2, "{sent} of {total} bytes came again: what was verified is lost");
}

fn second_process(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, _, tiny] = payloads.by_libtorrent();
    let lab = Lab::new("second");
    let (host, mut other) = (lab.host("first"), lab.host("second"));
    other.dir.clone_from(&host.dir);
    let mut first = Peerless::download(&lab, &host, runtime, &[tiny]).spawn(&lab);
    first.wait_output("\"type\":\"progress\"", STEP_TIMEOUT);
    let mut second = Peerless::download(&lab, &other, runtime, &[tiny]).spawn(&lab);
    second.expect_exit(11, STEP_TIMEOUT);
    assert_one_error(&second);
    assert!(first.try_wait().is_none(), "the first goes on");
}

#[test]
fn input_that_is_no_torrent_is_exit_4_and_missing_input_is_exit_3() {
    let payloads = Payloads::shared();
    let [big, ..] = payloads.by_libtorrent();
    let lab = Lab::new("no-torrent");
    let host = lab.host("leech");
    let torrent = fs::read(&big.torrent).expect("the torrent is there");
    let cut = torrent.get(..torrent.len() / 2).expect("half of it");
    let cases: [(&str, Option<&[u8]>, i32); 5] = [
        ("text", Some(b"this is no torrent\n"), 4),
        ("cut", Some(cut), 4),
        ("empty", Some(b""), 4),
        ("nested", Some(&[b'l'; 1_000_000]), 4),
        ("missing", None, 3),
    ];
    for (name, content, code) in cases {
        let file = host.dir.join(name);
        if let Some(content) = content {
            fs::write(&file, content).expect("a file");
        }
        let out = host.dir.join("out");
        let download = Peerless::new(&lab, &host, "download").arg(&file).arg("--output").arg(&out);
        let mut ended = download.spawn(&lab);
        ended.expect_exit(code, STEP_TIMEOUT);
        assert_one_error(&ended);
        assert!(!out.exists() || fs::read_dir(&out).expect("a folder").next().is_none(), "{name}: it wrote");
    }
}
