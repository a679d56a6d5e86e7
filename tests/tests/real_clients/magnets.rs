//! Magnet links: metadata from everybody and to everybody.

use peerless_tests::real::libtorrent::{self, Libtorrent};
use peerless_tests::real::{
    Client, Lab, PEER_PORT, Payload, Payloads, Peerless, Program, Runtime, STEP_TIMEOUT, TRACKER_URL,
    TRANSFER_TIMEOUT, nginx, opentracker, peerless,
};

use super::under_both_runtimes;

under_both_runtimes! {
    metadata_from(Client::Transmission) => gets_metadata_from_transmission,
    metadata_from(Client::Aria2) => gets_metadata_from_aria2,
    metadata_from(Client::Libtorrent) => gets_metadata_from_libtorrent,
    metadata_from(Client::Rtorrent) => gets_metadata_from_rtorrent,
    metadata_to(Client::Rtorrent) => gives_metadata_to_rtorrent,
    metadata_to(Client::Transmission) => gives_metadata_to_transmission,
    metadata_to(Client::Aria2) => gives_metadata_to_aria2,
    metadata_to(Client::Libtorrent) => gives_metadata_to_libtorrent,
    metadata_alone(Client::Transmission) => writes_the_torrent_of_a_link_from_transmission,
    metadata_alone(Client::Aria2) => writes_the_torrent_of_a_link_from_aria2,
    metadata_alone(Client::Libtorrent) => writes_the_torrent_of_a_link_from_libtorrent,
    web_seeded => gets_the_data_of_a_link_from_its_web_seed,
    chosen => gets_the_files_that_a_link_names,
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

/// The link has its info-hash in base32 and names a peer (`x.pe`).
fn metadata_alone(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let (torrent, _) = tree(&payloads);
    let lab = Lab::new(&format!("meta-alone-{}", runtime.name()));
    let seed_host = lab.host("seed");
    let _tracker = opentracker::start(&lab, &[torrent]);
    let _seed = client.seed(&lab, &seed_host, &[torrent]);
    opentracker::await_peers(&lab, &[torrent], 1, 0);
    let link = torrent.by_link(&format!("&tr={TRACKER_URL}&x.pe={}", seed_host.at(PEER_PORT)));
    let output = lab.dir().join("fetched.torrent");
    let get =
        Peerless::new(&lab, &lab.host("leech"), "magnet").arg(&link.torrent).arg("--output").arg(&output);
    get.args(["--runtime", runtime.name(), "--no-trackers"]).spawn(&lab).expect_exit(0, STEP_TIMEOUT);
    assert_eq!(libtorrent::info_hash(&output), torrent.info_hash);
    assert_eq!(libtorrent::show(&output)["trackers"], serde_json::json!([[0, TRACKER_URL]]));
}

/// The peer that the link names has the torrent and no data; the web seed (`ws`) has that.
fn web_seeded(runtime: Runtime) {
    let lab = Lab::new("meta-web");
    let few = Payload::few(&lab);
    let (web_host, peer_host, host) = (lab.host("web"), lab.host("peer"), lab.host("leech"));
    few.link_into(&web_host.dir);
    let _server = nginx::start(&lab, &web_host, "");
    let mut peer = Client::Libtorrent.leech(&lab, &peer_host, &[&few]);
    peer.program.wait_output(r#""event": "ready""#, STEP_TIMEOUT);
    let url = format!("http://{}/", web_host.at(nginx::PORT));
    let link = few.by_link(&format!("&x.pe={}&ws={url}", peer_host.at(PEER_PORT)));
    Peerless::download(&lab, &host, runtime, &[&link]).spawn(&lab).expect_exit(0, TRANSFER_TIMEOUT);
    few.assert_copy_in(&host.dir, true);
}

/// BEP 53 counts from 0: the first and the empty one of three.
fn chosen(runtime: Runtime) {
    let lab = Lab::new("meta-chosen");
    let few = Payload::few(&lab);
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    few.link_into(&seed_host.dir);
    let _seed = Libtorrent::seed(&lab, &seed_host).start(&lab, &[&few]);
    let link = few.by_link(&format!("&x.pe={}&so=0-1", seed_host.at(PEER_PORT)));
    Peerless::download(&lab, &host, runtime, &[&link]).spawn(&lab).expect_exit(0, TRANSFER_TIMEOUT);
    few.assert_files_in(&host.dir, &["a", "empty"]);
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
