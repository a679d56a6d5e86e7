//! Limits of payload and super-seeding, towards clients that would take or give far more.

use std::time::{Duration, Instant};

use peerless_tests::real::{
    Client, Lab, Payloads, Peerless, Runtime, TRANSFER_TIMEOUT, libtorrent, opentracker, peerless,
};

use super::transfers::stop_seed;
use super::under_both_runtimes;

/// How long a limited transfer is to take, at the least.
const SLOW_TIME: u64 = 4;

under_both_runtimes! {
    limited_download(Client::Libtorrent) => downloads_no_faster_than_allowed_from_libtorrent,
    limited_download(Client::Aria2) => downloads_no_faster_than_allowed_from_aria2,
    limited_seed(Client::Libtorrent) => seeds_no_faster_than_allowed_to_libtorrent,
    limited_seed(Client::Aria2) => seeds_no_faster_than_allowed_to_aria2,
    super_seed => super_seeds_to_two_that_trade,
}

fn limited_download(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("max-down");
    let host = lab.host("leech");
    let _tracker = opentracker::start(&lab, &[tree]);
    let _seed = client.seed(&lab, &lab.host("seed"), &[tree]);
    opentracker::await_peers(&lab, &[tree], 1, 0);
    let rate = tree.total_len() / SLOW_TIME;
    let download = Peerless::download(&lab, &host, runtime, &[tree]);
    let mut leech = download.args(["--max-down", &rate.to_string()]).spawn(&lab);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    tree.assert_copy_in(&host.dir, true);
    // From the first to the last, each second's figure of our own is within the limit too.
    let progress = peerless::events(leech.output_path(), "progress");
    let rates = progress.iter().filter_map(|event| event["down"].as_u64());
    assert!(rates.clone().all(|down| down <= rate + rate / 4), "{:?}", rates.collect::<Vec<_>>());
    let complete = peerless::events(leech.output_path(), "complete").remove(0);
    let seconds = complete["seconds"].as_f64().expect("it tells how long it took");
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let least = SLOW_TIME as f64 * 0.9;
    assert!(seconds >= least, "{seconds} s");
}

fn limited_seed(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_peerless();
    let lab = Lab::new("max-up");
    let host = lab.host("seed");
    let _tracker = opentracker::start(&lab, &[tree]);
    tree.link_into(&host.dir);
    let rate = (tree.total_len() / SLOW_TIME).to_string();
    let seed = Peerless::seed(&lab, &host, runtime, &[tree]).args(["--max-up", &rate]);
    let mut seed = seed.spawn(&lab);
    opentracker::await_peers(&lab, &[tree], 1, 0);
    let begin = Instant::now();
    client.leech(&lab, &lab.host("leech"), &[tree]).finish(&[tree]);
    assert!(begin.elapsed() >= Duration::from_secs(SLOW_TIME) * 9 / 10, "{:?}", begin.elapsed());
    stop_seed(&mut seed);
}

fn super_seed(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_peerless();
    let lab = Lab::new("super-seed");
    let host = lab.host("seed");
    let _tracker = opentracker::start(&lab, &[tree]);
    tree.link_into(&host.dir);
    let mut seed = Peerless::seed(&lab, &host, runtime, &[tree]).arg("--super-seed").spawn(&lab);
    opentracker::await_peers(&lab, &[tree], 1, 0);
    let mut leeches =
        ["first", "second"].map(|name| Client::Libtorrent.leech(&lab, &lab.host(name), &[tree]));
    leeches.iter_mut().for_each(|leech| leech.finish(&[tree]));
    let taken =
        leeches.iter().map(|leech| libtorrent::payload_from(&leech.program, host.address)).sum::<u64>();
    // Each alone would take a whole copy of us.
    assert!(taken < tree.total_len() * 17 / 10, "{taken} bytes of {} came from us", tree.total_len());
    stop_seed(&mut seed);
}
