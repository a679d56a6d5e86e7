//! Magnet links: metadata from everybody and to everybody.

use std::fs;

use peerless_tests::real::{
    Client, Lab, Payload, Payloads, Peerless, Program, Runtime, STEP_TIMEOUT, TRANSFER_TIMEOUT, opentracker,
    peerless,
};

use super::under_both_runtimes;

under_both_runtimes! {
    metadata_from(Client::Transmission) => gets_metadata_from_transmission,
    metadata_from(Client::Aria2) => gets_metadata_from_aria2,
    metadata_from(Client::Libtorrent) => gets_metadata_from_libtorrent,
    metadata_to(Client::Transmission) => gives_metadata_to_transmission,
    metadata_to(Client::Aria2) => gives_metadata_to_aria2,
    metadata_to(Client::Libtorrent) => gives_metadata_to_libtorrent,
    metadata_alone => writes_the_torrent_of_a_link,
    interrupted => does_not_fetch_metadata_twice,
}

/// The payload of many files, with its torrent and with its link: the metadata has several pieces.
fn tree(payloads: &Payloads) -> (&Payload, Payload) {
    let [_, tree, _] = payloads.by_libtorrent();
    (tree, tree.by_magnet())
}

fn metadata_from(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let (torrent, link) = tree(&payloads);
    let lab = Lab::new(&format!("meta-from-{}", runtime.name()));
    let _tracker = opentracker::start(&lab, &[torrent]);
    let _seed = client.seed(&lab, &lab.host("seed"), &[torrent]);
    opentracker::await_peers(&lab, &[torrent], 1, 0);
    Client::Peerless(runtime).leech(&lab, &lab.host("leech"), &[&link]).finish(&[torrent]);
}

fn metadata_to(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let (torrent, link) = tree(&payloads);
    let lab = Lab::new(&format!("meta-to-{}", runtime.name()));
    let _tracker = opentracker::start(&lab, &[torrent]);
    let _seed = Client::Peerless(runtime).seed(&lab, &lab.host("seed"), &[torrent]);
    opentracker::await_peers(&lab, &[torrent], 1, 0);
    client.leech(&lab, &lab.host("leech"), &[&link]).finish(&[torrent]);
}

fn metadata_alone(runtime: Runtime) {
    let payloads = Payloads::shared();
    let (torrent, link) = tree(&payloads);
    let lab = Lab::new(&format!("meta-alone-{}", runtime.name()));
    let seed_host = lab.host("seed");
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[torrent]);
    let output = lab.dir().join("fetched.torrent");
    let get =
        Peerless::new(&lab, &lab.host("leech"), "magnet").arg(&link.torrent).arg("--output").arg(&output);
    let get = get.arg("--runtime").arg(runtime.name()).arg("--no-trackers").peer(seed_host.address);
    get.spawn(&lab).expect_exit(0, STEP_TIMEOUT);
    assert_eq!(peerless::info_hash(&output), torrent.info_hash);
    let raw = fs::read(&output).expect("the torrent is there");
    assert!(String::from_utf8_lossy(&raw).contains("8:announce"), "the link's tracker is in it");
}

/// The second run knows the metadata, and finds nobody who could tell it.
fn interrupted(runtime: Runtime) {
    let payloads = Payloads::shared();
    let (torrent, link) = tree(&payloads);
    let lab = Lab::new(&format!("meta-twice-{}", runtime.name()));
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    let seed = Client::Libtorrent.seed(&lab, &seed_host, &[torrent]);
    let start = || -> Program {
        let run = Peerless::download(&lab, &host, runtime, &[&link]).arg("--seed");
        run.arg("--no-trackers").peer(seed_host.address).spawn(&lab)
    };
    let mut first = start();
    let output = first.output_path().to_owned();
    first.wait_for("the metadata", TRANSFER_TIMEOUT, || !peerless::events(&output, "added").is_empty());
    first.signal("INT");
    first.wait(STEP_TIMEOUT);
    assert!(!peerless::events(&output, "metadata").is_empty());
    drop(seed);
    let mut second = start();
    let output = second.output_path().to_owned();
    second.wait_for("the metadata", STEP_TIMEOUT, || !peerless::events(&output, "added").is_empty());
    assert!(peerless::events(&output, "metadata").is_empty(), "it is fetched again");
    second.signal("INT");
    second.wait(STEP_TIMEOUT);
}
