//! Swarms in a network that has IPv6 addresses alone. The tracker is ours: Debian's opentracker knows IPv4
//! only.

use peerless_tests::real::{
    Client, Host, Lab, Payload, Peerless, Runtime, STEP_TIMEOUT, TRACKER_PORT, nginx, opentracker, peerless,
};

use super::trackers::our_tracker;
use super::transfers::stop_seed;
use super::under_both_runtimes;

under_both_runtimes! {
    from(Client::Libtorrent, "http") => downloads_from_libtorrent,
    from(Client::Libtorrent, "udp") => downloads_from_libtorrent_found_over_udp,
    from(Client::Aria2, "http") => downloads_from_aria2,
    from(Client::Transmission, "http") => downloads_from_transmission,
    to(Client::Libtorrent, "http") => seeds_to_libtorrent,
    to(Client::Libtorrent, "udp") => seeds_to_libtorrent_found_over_udp,
    to(Client::Aria2, "http") => seeds_to_aria2,
    to(Client::Transmission, "http") => seeds_to_transmission,
    web_seed => gets_files_from_nginx,
    scrape => scrapes_our_tracker_over_both_protocols,
}

/// The payload with a torrent that names the hub's tracker.
fn few(lab: &Lab, scheme: &str) -> Payload {
    Payload::few(lab).with_tracker(lab.dir(), &tracker_url(lab, scheme))
}

fn tracker_url(lab: &Lab, scheme: &str) -> String {
    format!("{scheme}://{}/announce", lab.hub().at(TRACKER_PORT))
}

fn from(client: Client, scheme: &str, runtime: Runtime) {
    let lab = Lab::ipv6("ipv6-from");
    let few = few(&lab, scheme);
    let _tracker = our_tracker(&lab);
    let _seed = client.seed(&lab, &lab.host("seed"), &[&few]);
    opentracker::await_peers(&lab, &[&few], 1, 0);
    download(&lab, &lab.host("leech"), runtime, &few);
}

/// Downloads from whom the tracker names.
fn download(lab: &Lab, host: &Host, runtime: Runtime, payload: &Payload) {
    let mut leech = Client::Peerless(runtime).leech(lab, host, &[payload]);
    leech.finish(&[payload]);
    let told = peerless::events(leech.program.output_path(), "tracker");
    assert!(told.iter().any(|event| event["ok"] == true && event["peers"].as_u64() > Some(0)), "{told:?}");
}

fn to(client: Client, scheme: &str, runtime: Runtime) {
    let lab = Lab::ipv6("ipv6-to");
    let few = few(&lab, scheme);
    let _tracker = our_tracker(&lab);
    let mut seed = Client::Peerless(runtime).seed(&lab, &lab.host("seed"), &[&few]);
    opentracker::await_peers(&lab, &[&few], 1, 0);
    client.leech(&lab, &lab.host("leech"), &[&few]).finish(&[&few]);
    stop_seed(&mut seed);
    opentracker::await_peers(&lab, &[&few], 0, 0);
}

fn web_seed(runtime: Runtime) {
    let lab = Lab::ipv6("ipv6-web");
    let few = Payload::few(&lab);
    let (web_host, host) = (lab.host("web"), lab.host("leech"));
    few.link_into(&web_host.dir);
    let _server = nginx::start(&lab, &web_host, "");
    let torrent = few.with_web_seeds(lab.dir(), &[&format!("http://{}/", web_host.at(nginx::PORT))]);
    Client::Peerless(runtime).leech(&lab, &host, &[&torrent]).finish(&[&torrent]);
}

fn scrape(runtime: Runtime) {
    let lab = Lab::ipv6("ipv6-scrape");
    let few = few(&lab, "http");
    let _tracker = our_tracker(&lab);
    let _seed = Client::Libtorrent.seed(&lab, &lab.host("seed"), &[&few]);
    opentracker::await_peers(&lab, &[&few], 1, 0);
    let urls = ["http", "udp"].map(|scheme| tracker_url(&lab, scheme));
    let scrape = Peerless::new(&lab, &lab.host("asks"), "scrape").arg(&few.torrent);
    let scrape = scrape.args(["--tracker", &urls[1], "--runtime", runtime.name()]);
    let mut scrape = scrape.spawn(&lab);
    scrape.expect_exit(0, STEP_TIMEOUT);
    let said = scrape.output();
    for url in urls {
        assert!(said.contains(&format!("{url}: 1 seeds, 0 leeches, ")), "{said}");
    }
}

/// All announce to our tracker, and find each other. Transmission 3.00 and aria2 1.36 ask no UDP tracker
/// over IPv6.
#[test]
fn everybody_finds_peers_through_our_tracker() {
    let lab = Lab::ipv6("ipv6-everybody");
    let few = few(&lab, "http");
    let _tracker = our_tracker(&lab);
    let _seed = Client::Libtorrent.seed(&lab, &lab.host("seed"), &[&few]);
    opentracker::await_peers(&lab, &[&few], 1, 0);
    let clients = [Client::Transmission, Client::Aria2, Client::Libtorrent];
    let mut leeches = clients.map(|client| client.leech(&lab, &lab.host("leech"), &[&few]));
    leeches.iter_mut().for_each(|leech| leech.finish(&[&few]));
}
