//! Trackers, web seeds and torrents behind nginx with TLS, whose certificate a lab's own authority signed.

use peerless_tests::real::authority::Authority;
use peerless_tests::real::{
    Client, Host, Lab, Payload, PayloadKind, Peerless, Program, Runtime, STEP_TIMEOUT, TRACKER_PORT,
    TRANSFER_TIMEOUT, nginx, opentracker, peerless,
};

use super::under_both_runtimes;

under_both_runtimes! {
    trusted => goes_by_https_where_the_authority_is_trusted,
    untrusted => trusts_no_unknown_authority,
}

/// nginx, with opentracker behind it and a seed beside it: to the tracker all who ask by nginx have its
/// address.
struct Swarm {
    by_peers: Payload,
    by_web: Payload,
    authority: Authority,
    host: Host,
    web: Program,
    _seed: Program,
    _tracker: Program,
}

impl Swarm {
    fn new(lab: &Lab) -> Self {
        let (one, few) = (Payload::of(lab, PayloadKind::One), Payload::few(lab));
        let host = lab.host("web");
        let authority = Authority::new(lab, &host);
        let tracker = opentracker::start(lab, &[&one]);
        let seed = Client::Libtorrent.seed(lab, &host, &[&one]);
        opentracker::await_peers(lab, &[&one], 1, 0);
        few.link_into(&host.dir);
        let announce = format!("location /announce {{ proxy_pass http://{}; }}", lab.hub().at(TRACKER_PORT));
        let web = nginx::start_tls(lab, &host, &authority, &announce);
        let url = format!("https://{}/", host.at(nginx::PORT));
        let by_web = few.with_web_seeds(&host.dir, &[&url]);
        let by_peers = one.with_tracker(lab.dir(), &format!("{url}announce"));
        Self { by_peers, by_web, authority, host, web, _seed: seed, _tracker: tracker }
    }

    /// Where the torrent with a web seed is.
    fn torrent_url(&self) -> String {
        let name = self.by_web.torrent.file_name().and_then(|name| name.to_str()).expect("a name");
        format!("https://{}/{name}", self.host.at(nginx::PORT))
    }
}

fn trusted(runtime: Runtime) {
    let lab = Lab::new("https");
    let swarm = Swarm::new(&lab);
    let host = lab.host("leech");
    let trust = format!("SSL_CERT_FILE={}", swarm.authority.certificate().display());
    let leech = Peerless::download(&lab, &host, runtime, &[&swarm.by_peers]).arg(swarm.torrent_url());
    leech.under(["env", &trust]).spawn(&lab).expect_exit(0, TRANSFER_TIMEOUT);
    [&swarm.by_peers, &swarm.by_web].iter().for_each(|payload| payload.assert_copy_in(&host.dir, true));
    let said = swarm.web.output();
    for part in ["GET /few.web.torrent ", "GET /announce?", "GET /few/a "] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// The torrent's URL, a tracker and a web seed: no request gets to the server.
fn untrusted(runtime: Runtime) {
    let lab = Lab::new("https-unknown");
    let swarm = Swarm::new(&lab);
    let host = lab.host("leech");
    Peerless::new(&lab, &host, "info").arg(swarm.torrent_url()).spawn(&lab).expect_exit(3, STEP_TIMEOUT);
    let leech = Peerless::download(&lab, &host, runtime, &[&swarm.by_peers, &swarm.by_web]);
    let mut leech = leech.args(["--stop-timeout", "1"]).spawn(&lab);
    leech.expect_exit(5, STEP_TIMEOUT);
    for kind in ["tracker", "web_seed"] {
        let told = peerless::events(leech.output_path(), kind);
        let error = |event: &serde_json::Value| {
            event["error"].as_str().is_some_and(|why| why.contains("certificate"))
        };
        assert!(!told.is_empty() && told.iter().all(error), "{told:?}");
    }
    assert_eq!(swarm.web.output(), "");
}
