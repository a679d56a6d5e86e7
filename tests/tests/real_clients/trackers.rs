//! UDP trackers: our client with opentracker, and our tracker with everybody's clients.

use peerless_tests::real::{
    Client, Host, Lab, Payload, Payloads, Peerless, Program, Runtime, STEP_TIMEOUT, TRACKER_PORT,
    TRANSFER_TIMEOUT, UDP_TRACKER_URL, opentracker, peerless,
};

use super::under_both_runtimes;

under_both_runtimes! {
    opentracker_over_udp => finds_peers_through_opentracker_over_udp,
    scraped => scrapes_opentracker_over_both_protocols,
    tiers => announces_to_the_first_of_each_tier_that_works,
    our_tracker_over_udp => finds_peers_through_our_tracker_over_udp,
}

/// The smaller payloads, with torrents that name the hub's tracker over UDP alone.
fn over_udp(lab: &Lab, [_, tree, tiny]: [&Payload; 3]) -> Vec<Payload> {
    [tree, tiny].iter().map(|payload| payload.with_tracker(lab.dir(), UDP_TRACKER_URL)).collect()
}

pub(super) fn our_tracker(lab: &Lab) -> Program {
    let hub = lab.hub();
    let tracker = Peerless::new(lab, &hub, "tracker");
    let mut tracker = tracker.arg("--listen").arg(hub.at(TRACKER_PORT).to_string()).spawn(lab);
    tracker.wait_output("udp://", STEP_TIMEOUT);
    tracker
}

/// Downloads and looks that the tracker was asked over UDP.
fn download(lab: &Lab, host: &Host, runtime: Runtime, payloads: &[&Payload]) {
    let mut leech = Client::Peerless(runtime).leech(lab, host, payloads);
    leech.finish(payloads);
    let told = peerless::events(leech.program.output_path(), "tracker");
    let over_udp = |event: &serde_json::Value| event["ok"] == true && event["url"] == UDP_TRACKER_URL;
    assert!(told.iter().filter(|event| over_udp(event)).count() >= payloads.len(), "{told:?}");
}

fn opentracker_over_udp(runtime: Runtime) {
    let payloads = Payloads::shared();
    let lab = Lab::new(&format!("udp-{}", runtime.name()));
    let payloads = over_udp(&lab, payloads.by_libtorrent());
    let payloads: Vec<&Payload> = payloads.iter().collect();
    let _tracker = opentracker::start(&lab, &payloads);
    let mut seed = Client::Peerless(runtime).seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    Client::Libtorrent.leech(&lab, &lab.host("libtorrent"), &payloads).finish(&payloads);
    download(&lab, &lab.host("leech"), runtime, &payloads);
    seed.signal("INT");
    seed.expect_exit(0, STEP_TIMEOUT);
    opentracker::await_peers(&lab, &payloads, 0, 0);
}

/// The first tier has opentracker behind one that is down, the second has ours, which knows the seed.
fn tiers(runtime: Runtime) {
    let lab = Lab::new("tiers");
    let few = Payload::few(&lab);
    let (own_host, seed_host, host) = (lab.host("tracker"), lab.host("seed"), lab.host("leech"));
    let _opentracker = opentracker::start(&lab, &[&few]);
    let own = Peerless::new(&lab, &own_host, "tracker").arg("--listen");
    let mut own = own.arg(own_host.at(TRACKER_PORT).to_string()).spawn(&lab);
    own.wait_output("udp://", STEP_TIMEOUT);
    let url = |host: &Host, port: u16| format!("http://{}/announce", host.at(port));
    let (down, first, second) =
        (url(&own_host, 9), url(&lab.hub(), TRACKER_PORT), url(&own_host, TRACKER_PORT));
    let torrent = few.torrent.clone();
    let for_seed = few.with_tracker(&seed_host.dir, &second);
    peerless::edit(&torrent, &torrent, &["--tracker", &format!("{down},{first}"), "--tracker", &second]);
    let seed = Client::Libtorrent.seed(&lab, &seed_host, &[&for_seed]);
    let ours = Peerless::download(&lab, &host, runtime, &[&few]).arg("--seed");
    let mut ours = ours.spawn(&lab);
    let output = ours.output_path().to_owned();
    ours.wait_for("all of it", TRANSFER_TIMEOUT, || !peerless::events(&output, "complete").is_empty());
    opentracker::await_peers(&lab, &[&few], 1, 0);
    let told = peerless::events(&output, "tracker");
    for url in [&first, &second] {
        assert!(told.iter().any(|event| event["url"] == url.as_str() && event["ok"] == true), "{told:?}");
    }
    drop(seed);
    ours.signal("INT");
    ours.expect_exit(0, STEP_TIMEOUT);
    opentracker::await_peers(&lab, &[&few], 0, 0);
}

fn scraped(runtime: Runtime) {
    let payloads = Payloads::shared();
    let lab = Lab::new(&format!("scrape-{}", runtime.name()));
    let payloads = over_udp(&lab, payloads.by_libtorrent());
    let payloads: Vec<&Payload> = payloads.iter().collect();
    let _tracker = opentracker::start(&lab, &payloads);
    let _seed = Client::Libtorrent.seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    let http = UDP_TRACKER_URL.replace("udp://", "http://");
    let scrape = Peerless::new(&lab, &lab.host("asks"), "scrape").arg(&payloads[0].torrent);
    let scrape = scrape.args(["--tracker", &http, "--runtime", runtime.name()]);
    let mut scrape = scrape.spawn(&lab);
    scrape.expect_exit(0, STEP_TIMEOUT);
    let said = scrape.output();
    for url in [UDP_TRACKER_URL, &http] {
        assert!(said.contains(&format!("{url}: 1 seeds, 0 leeches, ")), "{said}");
    }
}

fn our_tracker_over_udp(runtime: Runtime) {
    let payloads = Payloads::shared();
    let lab = Lab::new(&format!("own-udp-{}", runtime.name()));
    let payloads = over_udp(&lab, payloads.by_libtorrent());
    let payloads: Vec<&Payload> = payloads.iter().collect();
    let _tracker = our_tracker(&lab);
    let _seed = Client::Libtorrent.seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    download(&lab, &lab.host("leech"), runtime, &payloads);
}

#[test]
fn everybody_finds_peers_through_our_tracker_over_udp() {
    let payloads = Payloads::shared();
    let lab = Lab::new("own-udp");
    let payloads = over_udp(&lab, payloads.by_libtorrent());
    served(&lab, &payloads.iter().collect::<Vec<_>>());
}

#[test]
fn everybody_finds_peers_through_our_tracker_over_http() {
    let payloads = Payloads::shared();
    let lab = Lab::new("own-http");
    let [_, tree, tiny] = payloads.by_libtorrent();
    served(&lab, &[tree, tiny]);
}

fn served(lab: &Lab, payloads: &[&Payload]) {
    let _tracker = our_tracker(lab);
    let _seed = Client::Libtorrent.seed(lab, &lab.host("seed"), payloads);
    opentracker::await_peers(lab, payloads, 1, 0);
    let clients = [Client::Transmission, Client::Aria2, Client::Libtorrent];
    let mut leeches = clients.map(|client| client.leech(lab, &lab.host("leech"), payloads));
    for leech in &mut leeches {
        leech.finish(payloads);
    }
}
