//! `--proxy` and `--bind`: everything goes that way, and nothing goes another.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use peerless_tests::real::libtorrent::met;
use peerless_tests::real::socks::{self, Socks};
use peerless_tests::real::{
    Client, Host, Lab, Payload, PayloadKind, Peerless, Program, Runtime, SIGNAL_TIMEOUT, STEP_TIMEOUT,
    TRACKER_PORT, TRANSFER_TIMEOUT, UDP_TRACKER_URL, check_output, nginx, opentracker, peerless,
};

use super::faults::assert_one_error;
use super::transfers::stop_seed;
use super::under_both_runtimes;

under_both_runtimes! {
    through(Socks::Microsocks) => all_goes_through_microsocks,
    through(Socks::MicrosocksLogin) => all_goes_through_microsocks_with_a_password,
    through(Socks::Dante) => all_goes_through_dante,
    refused => a_proxy_that_refuses_us_is_exit_6,
    proxy_gone => without_its_proxy_nothing_leaves,
    bound => all_leaves_from_the_bound_address,
    unbound => a_bound_address_that_goes_away_is_exit_6,
}

/// A name of the tracker's and of the web server's host that only who has the file can look up.
const TRACKER_NAME: &str = "tracker.test";
const WEB_NAME: &str = "web.test";

/// One payload from a tracker's peer, one from a web server.
struct Swarm {
    by_peers: Payload,
    by_web: Payload,
    hosts: PathBuf,
    web: Program,
    seed: Program,
    _tracker: Program,
}

impl Swarm {
    fn new(lab: &Lab) -> Self {
        let (by_peers, few) = (Payload::of(lab, PayloadKind::One), Payload::few(lab));
        let (web_host, seed_host) = (lab.host("web"), lab.host("seed"));
        let tracker = opentracker::start(lab, &[&by_peers, &few]);
        few.link_into(&web_host.dir);
        let web = nginx::start(lab, &web_host, "");
        let seed = Client::Libtorrent.seed(lab, &seed_host, &[&by_peers]);
        opentracker::await_peers(lab, &[&by_peers], 1, 0);
        let hosts = lab.dir().join("hosts");
        let names = format!("{} {TRACKER_NAME}\n{} {WEB_NAME}\n", lab.hub().address, web_host.address);
        fs::write(&hosts, names).expect("the names are written");
        let url = format!("http://{WEB_NAME}:{}/", nginx::PORT);
        let by_web = few.with_web_seeds(lab.dir(), &[&url]);
        let tracker_url = format!("http://{TRACKER_NAME}:{TRACKER_PORT}/announce");
        let by_peers = by_peers.with_tracker(lab.dir(), &tracker_url);
        Self { by_peers, by_web, hosts, web, seed, _tracker: tracker }
    }

    fn payloads(&self) -> [&Payload; 2] {
        [&self.by_peers, &self.by_web]
    }

    /// All that is asked of others comes from that address.
    fn assert_seen_from(&self, address: IpAddr, not: IpAddr) {
        let requests = self.web.output();
        let foreign: Vec<&str> =
            requests.lines().filter(|line| !line.starts_with(&format!("{address} "))).collect();
        assert!(!requests.is_empty() && foreign.is_empty(), "{foreign:?}");
        let met_by_seed = self.seed.output();
        assert!(met_by_seed.contains(&met(address)) && !met_by_seed.contains(&met(not)), "{met_by_seed}");
    }
}

/// A download that writes down whom it calls and what it opens.
fn traced(lab: &Lab, host: &Host, runtime: Runtime, payloads: &[&Payload]) -> (Peerless, PathBuf) {
    let calls = lab.dir().join("calls");
    let strace = ["strace", "-f", "-qq", "-e", "trace=%network,openat", "-o"].map(Into::into);
    let wrapper: Vec<OsString> = strace.into_iter().chain([calls.clone().into()]).collect();
    (Peerless::download(lab, host, runtime, payloads).under(wrapper), calls)
}

/// The addresses in the calls by which something may leave.
fn assert_calls_only(calls: &Path, address: IpAddr) {
    let calls = fs::read_to_string(calls).expect("what strace wrote");
    let leaves =
        |line: &&str| ["connect(", "sendto(", "sendmsg(", "sendmmsg("].iter().any(|call| line.contains(call));
    let names_address =
        |line: &&str| line.contains("sin_addr") || line.contains("sin6_addr") || line.contains("AF_INET6");
    let is_proxy = |line: &str| line.contains(&format!("inet_addr(\"{address}\")"));
    let mut sent = calls.lines().filter(leaves).filter(names_address).peekable();
    assert!(sent.peek().is_some(), "strace saw nothing");
    let around: Vec<&str> = sent.filter(|line| !is_proxy(line)).collect();
    assert!(around.is_empty(), "{around:?}");
    for looked in ["/etc/hosts", "/etc/resolv.conf", "listen("] {
        assert!(!calls.contains(looked), "{looked}");
    }
}

fn proxy_url(proxy: Socks, host: &Host) -> String {
    let login = if proxy == Socks::MicrosocksLogin { "somebody:se%3Acr%40t@" } else { "" };
    format!("socks5://{login}{}", host.at(socks::PORT))
}

/// Peers, trackers by name, web seeds by name; and a UDP tracker, which is not asked.
fn through(proxy: Socks, runtime: Runtime) {
    let lab = Lab::new("proxy");
    let swarm = Swarm::new(&lab);
    let (proxy_host, host) = (lab.host("proxy"), lab.host("leech"));
    let _proxy = proxy.start(&lab, &proxy_host, &swarm.hosts);
    let (download, calls) = traced(&lab, &host, runtime, &swarm.payloads());
    let download = download.args(["--proxy", &proxy_url(proxy, &proxy_host), "--tracker", UDP_TRACKER_URL]);
    download.spawn(&lab).expect_exit(0, TRANSFER_TIMEOUT);
    swarm.payloads().iter().for_each(|payload| payload.assert_copy_in(&host.dir, true));
    swarm.assert_seen_from(proxy_host.address, host.address);
    assert_calls_only(&calls, proxy_host.address);
}

/// The password is another.
fn refused(runtime: Runtime) {
    let lab = Lab::new("proxy-refuses");
    let few = Payload::few(&lab);
    let (proxy_host, host) = (lab.host("proxy"), lab.host("leech"));
    let _proxy = Socks::MicrosocksLogin.start(&lab, &proxy_host, Path::new("/etc/hosts"));
    let url = format!("socks5://somebody:else@{}", proxy_host.at(socks::PORT));
    let mut leech = Peerless::download(&lab, &host, runtime, &[&few]).args(["--proxy", &url]).spawn(&lab);
    leech.expect_exit(6, STEP_TIMEOUT);
    assert_one_error(&leech);
}

/// It ends while we run: we come to an end as well, and go no other way for that.
fn proxy_gone(runtime: Runtime) {
    let lab = Lab::new("proxy-gone");
    let swarm = Swarm::new(&lab);
    let (proxy_host, host) = (lab.host("proxy"), lab.host("leech"));
    let proxy = Socks::Microsocks.start(&lab, &proxy_host, &swarm.hosts);
    let (download, calls) = traced(&lab, &host, runtime, &[&swarm.by_peers]);
    let download =
        download.args(["--proxy", &proxy_url(Socks::Microsocks, &proxy_host), "--max-down", "100K"]);
    let mut leech = download.spawn(&lab);
    let output = leech.output_path().to_owned();
    leech.wait_for("a piece", STEP_TIMEOUT, || peerless::have_count(&output) > 0);
    drop(proxy);
    leech.wait_for("the end of its connections", STEP_TIMEOUT, || {
        peerless::events(&output, "progress").last().is_some_and(|event| event["peers"]["connected"] == 0)
    });
    leech.signal("INT");
    leech.expect_exit(7, SIGNAL_TIMEOUT);
    assert_calls_only(&calls, proxy_host.address);
    let calls = fs::read_to_string(&calls).expect("what strace wrote");
    assert!(calls.contains("ECONNREFUSED"), "it tried to tell the tracker");
}

/// The host has two addresses; peers, both kinds of tracker and web seeds see the second.
fn bound(runtime: Runtime) {
    let lab = Lab::new("bind");
    let (one, few) = (Payload::of(&lab, PayloadKind::One), Payload::few(&lab));
    let (web_host, seed_host, host) = (lab.host("web"), lab.host("seed"), lab.host("leech"));
    let second = lab.second_address(&host);
    let _tracker = opentracker::start(&lab, &[&one]);
    few.link_into(&web_host.dir);
    let web = nginx::start(&lab, &web_host, "");
    let few = few.with_web_seeds(lab.dir(), &[&format!("http://{}/", web_host.at(nginx::PORT))]);
    let seed = Client::Libtorrent.seed(&lab, &seed_host, &[&one]);
    opentracker::await_peers(&lab, &[&one], 1, 0);
    let ours = Peerless::download(&lab, &host, runtime, &[&one, &few]).arg("--seed");
    let mut ours = ours.args(["--bind", &second.to_string(), "--tracker", UDP_TRACKER_URL]).spawn(&lab);
    let output = ours.output_path().to_owned();
    ours.wait_for("both torrents", TRANSFER_TIMEOUT, || peerless::events(&output, "complete").len() == 2);
    let urls: BTreeSet<String> = peerless::events(&output, "tracker")
        .iter()
        .map(|event| {
            assert_eq!(event["ok"], true, "{event}");
            event["url"].as_str().expect("a URL").to_owned()
        })
        .collect();
    assert_eq!(urls.len(), 2, "{urls:?}");
    // Who asks the tracker is told of the second address, and calls it.
    let mut leech = Client::Libtorrent.leech(&lab, &lab.host("late"), &[&one]);
    leech.finish(&[&one]);
    for said in [seed.output(), leech.program.output()] {
        assert!(said.contains(&met(second)) && !said.contains(&met(host.address)), "{said}");
    }
    let requests = web.output();
    assert!(requests.lines().all(|line| line.starts_with(&format!("{second} "))), "{requests}");
    let listening = check_output(lab.command(&host, "ss").arg("-Hlntu"));
    assert!(listening.lines().all(|line| line.contains(&format!("{second}:"))), "{listening}");
    stop_seed(&mut ours);
}

fn unbound(runtime: Runtime) {
    let lab = Lab::new("bind-gone");
    let few = Payload::few(&lab);
    let host = lab.host("seed");
    let second = lab.second_address(&host);
    few.link_into(&host.dir);
    let seed = Peerless::seed(&lab, &host, runtime, &[&few]).args(["--bind", &second.to_string()]);
    let mut seed = seed.spawn(&lab);
    seed.wait_output("seeding", STEP_TIMEOUT);
    lab.take_address(&host, second);
    seed.expect_exit(6, STEP_TIMEOUT);
    assert_one_error(&seed);
}
