//! When a seed stops, and to whom it gives, with libtorrent's leeches.

use std::fs::File;

use peerless_tests::real::libtorrent::{self, Libtorrent};
use peerless_tests::real::{
    Client, Host, Lab, Payload, PayloadKind, Peerless, Program, Runtime, STEP_TIMEOUT, TRANSFER_TIMEOUT,
    peerless,
};

use super::transfers::stop_seed;
use super::under_both_runtimes;

under_both_runtimes! {
    ratio => seeds_until_libtorrent_has_taken_so_much,
    ratio_of_download => seeds_on_after_a_download_until_libtorrent_has_taken_so_much,
    time => seeds_on_for_so_long,
    choking("round-robin") => gives_round_robin_to_libtorrents,
    choking("fastest") => gives_to_the_fastest_of_libtorrents,
    choking("anti-leech") => gives_to_those_near_start_or_end_of_libtorrents,
    slots => chokes_libtorrents_without_a_slot_and_grants_them_pieces_while_it_leeches,
}

/// A libtorrent that knows us alone.
fn leech(lab: &Lab, from: &Host, payload: &Payload) -> (Host, Program) {
    let host = lab.host("leech");
    let leech = Libtorrent::leech(lab, &host).log().peer(from.address).start(lab, &[payload]);
    (host, leech)
}

fn ratio(runtime: Runtime) {
    let lab = Lab::new("ratio");
    let few = Payload::few(&lab);
    let host = lab.host("seed");
    few.link_into(&host.dir);
    let seed = Peerless::seed(&lab, &host, runtime, &[&few]).args(["--no-trackers", "--seed-ratio", "2"]);
    let mut seed = seed.spawn(&lab);
    let (first_host, mut first) = leech(&lab, &host, &few);
    first.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    assert!(seed.try_wait().is_none(), "one copy is not two");
    let (second_host, mut second) = leech(&lab, &host, &few);
    second.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    seed.expect_exit(0, STEP_TIMEOUT);
    for host in [first_host, second_host] {
        few.assert_copy_in(&host.dir, true);
    }
}

fn ratio_of_download(runtime: Runtime) {
    let lab = Lab::new("ratio-download");
    let few = Payload::few(&lab);
    let (seed_host, host) = (lab.host("seed"), lab.host("ours"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[&few]);
    let ours = Peerless::download(&lab, &host, runtime, &[&few]).args(["--no-trackers", "--seed-ratio", "1"]);
    let mut ours = ours.peer(seed_host.address).spawn(&lab);
    let output = ours.output_path().to_owned();
    ours.wait_for("all of it", TRANSFER_TIMEOUT, || !peerless::events(&output, "complete").is_empty());
    let (leech_host, mut leech) = leech(&lab, &host, &few);
    leech.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    ours.expect_exit(0, STEP_TIMEOUT);
    few.assert_copy_in(&leech_host.dir, true);
}

fn time(runtime: Runtime) {
    let lab = Lab::new("time");
    let few = Payload::few(&lab);
    let (seed_host, host) = (lab.host("seed"), lab.host("ours"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[&few]);
    let ours = Peerless::download(&lab, &host, runtime, &[&few]).args(["--no-trackers", "--seed-time", "2"]);
    let mut ours = ours.peer(seed_host.address).spawn(&lab);
    let output = ours.output_path().to_owned();
    ours.wait_for("all of it", TRANSFER_TIMEOUT, || !peerless::events(&output, "complete").is_empty());
    ours.expect_exit(0, STEP_TIMEOUT);
    let at = |kind: &str| peerless::events(&output, kind)[0]["t"].as_f64().expect("a time");
    let seconds = at("end") - at("complete");
    assert!((2.0..4.0).contains(&seconds), "{seconds} s");
    few.assert_copy_in(&host.dir, true);
}

/// Whatever the order, two that ask get all of it.
fn choking(order: &str, runtime: Runtime) {
    let lab = Lab::new("choking");
    let one = Payload::of(&lab, PayloadKind::One);
    let host = lab.host("seed");
    one.link_into(&host.dir);
    let seed = Peerless::seed(&lab, &host, runtime, &[&one]).args(["--no-trackers", "--seed-choking", order]);
    let mut seed = seed.spawn(&lab);
    for (leech_host, mut leech) in [(); 2].map(|()| leech(&lab, &host, &one)) {
        leech.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
        one.assert_copy_in(&leech_host.dir, true);
    }
    stop_seed(&mut seed);
}

/// Ours misses a piece that nobody has, so it is a leech, and nine others of ours have its eight slots when
/// libtorrent comes: it gets the pieces that BEP 6 computes for its address while it is choked.
fn slots(runtime: Runtime) {
    const CROWD: usize = 9;
    let lab = Lab::new("slots");
    let one = Payload::of(&lab, PayloadKind::One);
    let host = lab.host("giver");
    one.copy_into(&host.dir);
    let file = host.dir.join(one.top().file_name().expect("a name"));
    File::options().write(true).open(file).and_then(|file| file.set_len(one.total_len() - 1)).expect("cut");
    let giver = Peerless::download(&lab, &host, runtime, &[&one]).args(["--no-trackers", "--no-pex"]);
    let mut giver = giver.args(["--max-up", "50K"]).spawn(&lab);
    let output = giver.output_path().to_owned();
    let _crowd: Vec<Program> = (0..CROWD)
        .map(|_| {
            let leech = Peerless::download(&lab, &lab.host("crowd"), runtime, &[&one]);
            leech.args(["--no-trackers", "--no-pex"]).peer(host.address).spawn(&lab)
        })
        .collect();
    giver.wait_for("the crowd", STEP_TIMEOUT, || {
        let progress = peerless::events(&output, "progress");
        progress.last().is_some_and(|event| event["peers"]["connected"] == CROWD)
    });
    let (_, mut leech) = leech(&lab, &host, &one);
    leech.wait_errors("<== PIECE", STEP_TIMEOUT);
    let log = leech.errors();
    let before = log.split("<== PIECE").next().unwrap_or_default();
    assert!(before.contains("<== ALLOWED_FAST") && !before.contains("<== UNCHOKE"), "it has a slot");
    giver.signal("INT");
    giver.expect_exit(7, STEP_TIMEOUT);
}
