//! A download that is interrupted goes on where it was.

use std::thread;
use std::time::Duration;

use peerless_tests::real::{
    Client, Host, Lab, Payload, Payloads, Peerless, Program, Runtime, SIGNAL_TIMEOUT, STEP_TIMEOUT,
    TRANSFER_TIMEOUT, libtorrent, peerless,
};

use super::under_both_runtimes;

/// What the seed may send a second: the download then takes long enough to be cut.
const SEED_RATE: u32 = 40 << 20;

/// Blocks that may come again although their piece is verified: those on their way at the end.
const SLACK_LEN: u64 = 1 << 20;

under_both_runtimes! {
    cut_by("INT") => goes_on_after_an_interrupt,
    cut_by("TERM") => goes_on_after_a_termination,
    cut_by("KILL") => goes_on_after_a_kill,
    interrupted_at_any_moment => can_be_interrupted_at_any_moment,
}

/// A download from a fresh seed, so that what the seed sent is what this run fetched.
fn download(lab: &Lab, host: &Host, runtime: Runtime, payload: &Payload) -> (Program, Program) {
    let seed_host = lab.host("seed");
    let seed = libtorrent::slow_seed(lab, &seed_host, &[payload], SEED_RATE);
    let download = Peerless::download(lab, host, runtime, &[payload]);
    (download.arg("--no-trackers").peer(seed_host.address).spawn(lab), seed)
}

fn cut_by(signal: &str, runtime: Runtime) {
    let payloads = Payloads::shared();
    let [big, ..] = payloads.by_libtorrent();
    let (piece_len, total_len) = (u64::from(big.piece_len()), big.total_len());
    let lab = Lab::new(&format!("cut-{signal}"));
    let host = lab.host("leech");

    let (mut leech, seed) = download(&lab, &host, runtime, big);
    let output = leech.output_path().to_owned();
    leech.wait_for("a third of the pieces", TRANSFER_TIMEOUT, || {
        peerless::have_count(&output) * piece_len > total_len / 3
    });
    leech.signal(signal);
    if signal == "KILL" {
        leech.wait(STEP_TIMEOUT);
    } else {
        leech.expect_exit(7, SIGNAL_TIMEOUT);
    }
    let verified_len = peerless::have_count(&output) * piece_len;
    drop(seed);

    let (mut leech, seed) = download(&lab, &host, runtime, big);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    big.assert_copy_in(&host.dir, true);
    let sent = libtorrent::payload_sent(seed);
    assert!(
        sent <= total_len - verified_len + SLACK_LEN,
        "{sent} bytes came although {verified_len} of {total_len} were verified"
    );
}

fn interrupted_at_any_moment(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("any-moment");
    let host = lab.host("leech");
    let seed_host = lab.host("seed");
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    let start = || {
        let download = Peerless::download(&lab, &host, runtime, &[tree]).arg("--no-trackers");
        download.peer(seed_host.address).spawn(&lab)
    };
    for wait in [0, 2, 5, 10, 20, 50, 100, 200, 400] {
        let mut leech = start();
        leech.wait_output("\"type\":\"start\"", STEP_TIMEOUT);
        thread::sleep(Duration::from_millis(wait));
        leech.signal("INT");
        let code = leech.wait(SIGNAL_TIMEOUT).code();
        assert!(matches!(code, Some(0 | 7)), "after {wait} ms: {code:?}");
    }
    let mut leech = start();
    leech.expect_exit(0, STEP_TIMEOUT);
    tree.assert_copy_in(&host.dir, true);
}
