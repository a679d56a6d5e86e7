//! Which files come, and in which order, as libtorrent is asked for them.

use std::collections::BTreeSet;
use std::path::Path;

use peerless_tests::real::libtorrent::{self, Libtorrent};
use peerless_tests::real::{
    Client, Host, Lab, Payload, PayloadKind, Peerless, Program, Runtime, TRANSFER_TIMEOUT, opentracker,
};

use super::under_both_runtimes;

under_both_runtimes! {
    files(Client::Libtorrent) => gets_chosen_files_from_libtorrent_and_others_later,
    files(Client::Aria2) => gets_chosen_files_from_aria2_and_others_later,
    files(Client::Transmission) => gets_chosen_files_from_transmission_and_others_later,
    once => asks_libtorrent_for_no_piece_twice_as_more_files_are_chosen,
    sequential => asks_for_pieces_in_order,
    first_and_last => asks_for_first_and_last_pieces_first,
}

/// The hidden file that has what pieces have of unwanted files.
fn has_part_file(dir: &Path, payload: &Payload) -> bool {
    dir.join(format!(".peerless-{}.part", payload.info_hash)).exists()
}

/// One after the other, then all: what is in the same piece as the first file is not lost.
fn files(client: Client, runtime: Runtime) {
    let lab = Lab::new("files");
    let few = Payload::few(&lab);
    let host = lab.host("leech");
    let _tracker = opentracker::start(&lab, &[&few]);
    let _seed = client.seed(&lab, &lab.host("seed"), &[&few]);
    opentracker::await_peers(&lab, &[&few], 1, 0);
    choose(&lab, &host, runtime, &few, &[]);
}

/// The runs, each with these further arguments.
fn choose(lab: &Lab, host: &Host, runtime: Runtime, few: &Payload, more: &[&str]) {
    let run = |choice: &[&str]| {
        let download = Peerless::download(lab, host, runtime, &[few]).args(more);
        download.args(choice).spawn(lab).expect_exit(0, TRANSFER_TIMEOUT);
    };
    run(&["--files", "1"]);
    few.assert_files_in(&host.dir, &["a"]);
    assert!(has_part_file(&host.dir, few), "the edge is kept");
    run(&["--files", "1", "--files", "e*"]);
    few.assert_files_in(&host.dir, &["a", "empty"]);
    run(&["--files", "*/b"]);
    few.assert_copy_in(&host.dir, true);
    run(&[]);
    few.assert_copy_in(&host.dir, true);
    assert!(!has_part_file(&host.dir, few), "nothing is in two files");
}

fn once(runtime: Runtime) {
    let lab = Lab::new("files-once");
    let few = Payload::few(&lab);
    let (host, seed_host) = (lab.host("leech"), lab.host("seed"));
    few.link_into(&seed_host.dir);
    let seed = Libtorrent::seed(&lab, &seed_host).start(&lab, &[&few]);
    let peer = seed_host.at(peerless_tests::real::PEER_PORT).to_string();
    choose(&lab, &host, runtime, &few, &["--no-trackers", "--peer", &peer]);
    assert_eq!(libtorrent::payload_sent(seed), few.total_len());
}

/// Pieces in the order in which libtorrent was asked for them.
fn asked(seed: &Program) -> Vec<u32> {
    let log = seed.errors();
    let piece =
        |line: &str| line.split_once("<== REQUEST [ piece: ")?.1.split_whitespace().next()?.parse().ok();
    let mut pieces: Vec<u32> = log.lines().filter_map(piece).collect();
    pieces.dedup();
    pieces
}

fn order_of(runtime: Runtime, kind: PayloadKind, flag: &str) -> Vec<u32> {
    let lab = Lab::new("order");
    let payload = Payload::of(&lab, kind);
    let (host, seed_host) = (lab.host("leech"), lab.host("seed"));
    payload.link_into(&seed_host.dir);
    let seed = Libtorrent::seed(&lab, &seed_host).log().start(&lab, &[&payload]);
    let download = Peerless::download(&lab, &host, runtime, &[&payload]).args(["--no-trackers", flag]);
    download.peer(seed_host.address).spawn(&lab).expect_exit(0, TRANSFER_TIMEOUT);
    payload.assert_copy_in(&host.dir, true);
    asked(&seed)
}

fn sequential(runtime: Runtime) {
    let order = order_of(runtime, PayloadKind::One, "--sequential");
    assert_eq!(order, (0..16).collect::<Vec<u32>>());
}

/// The first file begins in piece 0 and ends in piece 3, where the last one begins, which ends in piece 6.
fn first_and_last(runtime: Runtime) {
    let order = order_of(runtime, PayloadKind::Few, "--first-and-last");
    let (first, rest) = order.split_at_checked(3).expect("seven pieces");
    assert_eq!(first.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&0, &3, &6]), "{order:?}");
    assert_eq!(rest.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&1, &2, &4, &5]), "{order:?}");
}
