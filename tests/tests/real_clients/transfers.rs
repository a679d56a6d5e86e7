//! Everybody's data reaches everybody, found through a tracker.

use peerless_tests::real::{
    Client, Lab, Payloads, Peerless, Program, Runtime, STEP_TIMEOUT, TRACKER_PORT, libtorrent, opentracker,
    peerless,
};

use super::under_both_runtimes;

/// What the seed of a swarm may send a second, so that the leeches are better off with each other.
const SWARM_SEED_RATE: u32 = 24 << 20;

under_both_runtimes! {
    download_from(Client::Transmission) => downloads_from_transmission,
    download_from(Client::Aria2) => downloads_from_aria2,
    download_from(Client::Libtorrent) => downloads_from_libtorrent,
    download_from(Client::Rtorrent) => downloads_from_rtorrent,
    seed_to(Client::Rtorrent) => seeds_to_rtorrent,
    seed_to(Client::Transmission) => seeds_to_transmission,
    seed_to(Client::Aria2) => seeds_to_aria2,
    seed_to(Client::Libtorrent) => seeds_to_libtorrent,
    recorded => replays_what_it_has_recorded,
    swarm_of_mixed_kinds => takes_its_part_in_a_mixed_swarm,
}

fn download_from(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let payloads = payloads.by_libtorrent();
    let lab = Lab::new(&format!("down-{}", runtime.name()));
    let _tracker = opentracker::start(&lab, &payloads);
    let _seed = client.seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    Client::Peerless(runtime).leech(&lab, &lab.host("leech"), &payloads).finish(&payloads);
}

fn seed_to(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let payloads = payloads.by_peerless();
    let lab = Lab::new(&format!("up-{}", runtime.name()));
    let _tracker = opentracker::start(&lab, &payloads);
    let mut seed = Client::Peerless(runtime).seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    client.leech(&lab, &lab.host("leech"), &payloads).finish(&payloads);
    stop_seed(&mut seed);
}

fn recorded(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("recorded");
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    let _seed = Client::Libtorrent.seed(&lab, &seed_host, &[tree]);
    let recording = lab.dir().join("recording");
    let download = Peerless::download(&lab, &host, runtime, &[tree]).peer(seed_host.address);
    download.arg("--record").arg(&recording).spawn(&lab).expect_exit(0, STEP_TIMEOUT);
    let replay = Peerless::new(&lab, &host, "replay").arg(&recording);
    replay.spawn(&lab).expect_exit(0, STEP_TIMEOUT);
}

fn swarm_of_mixed_kinds(runtime: Runtime) {
    let payloads = Payloads::shared();
    let payloads = payloads.by_libtorrent();
    let lab = Lab::new(&format!("swarm-{}", runtime.name()));
    let _tracker = opentracker::start(&lab, &payloads);
    let _seed = libtorrent::slow_seed(&lab, &lab.host("seed"), &payloads, SWARM_SEED_RATE);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    let our_host = lab.host("ours");
    let mut ours = Client::Peerless(runtime).leech_and_seed(&lab, &our_host, &payloads);
    let mut witness = Client::Libtorrent.leech(&lab, &lab.host("libtorrent"), &payloads);
    let mut others = [
        Client::Transmission.leech(&lab, &lab.host("transmission"), &payloads),
        Client::Aria2.leech(&lab, &lab.host("aria2"), &payloads),
    ];
    ours.finish(&payloads);
    witness.finish(&payloads);
    for leech in &mut others {
        leech.finish(&payloads);
    }
    let taken = libtorrent::payload_from(&witness.program, our_host.address);
    assert!(taken > 0, "libtorrent took nothing from ours");
    stop_seed(&mut ours.program);
}

#[test]
fn smol_downloads_from_mio() {
    between_our_own(Runtime::Mio, Runtime::Smol);
}

#[test]
fn mio_downloads_from_smol() {
    between_our_own(Runtime::Smol, Runtime::Mio);
}

/// Tracker, seed and leech: all ours.
fn between_our_own(seed: Runtime, leech: Runtime) {
    let payloads = Payloads::shared();
    let payloads = payloads.by_peerless();
    let lab = Lab::new("own");
    let hub = lab.hub();
    let _tracker = Peerless::new(&lab, &hub, "tracker")
        .arg("--listen")
        .arg(hub.at(TRACKER_PORT).to_string())
        .spawn(&lab);
    let mut seed = Client::Peerless(seed).seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    Client::Peerless(leech).leech(&lab, &lab.host("leech"), &payloads).finish(&payloads);
    stop_seed(&mut seed);
}

/// SIGINT ends seeding, and that is success.
pub(super) fn stop_seed(seed: &mut Program) {
    seed.signal("INT");
    seed.expect_exit(0, STEP_TIMEOUT);
}

#[test]
fn libtorrent_and_ours_agree_on_every_info_hash() {
    let payloads = Payloads::shared();
    for payload in payloads.by_libtorrent() {
        assert_eq!(peerless::info_hash(&payload.torrent), payload.info_hash, "{:?}", payload.kind);
    }
    for payload in payloads.by_peerless() {
        assert_eq!(libtorrent::info_hash(&payload.torrent), payload.info_hash, "{:?}", payload.kind);
    }
}

/// Without ours: when this fails, the machine is to blame.
#[test]
fn the_others_among_themselves() {
    let payloads = Payloads::shared();
    let payloads = payloads.by_libtorrent();
    let lab = Lab::new("others");
    let _tracker = opentracker::start(&lab, &payloads);
    let _seed = Client::Transmission.seed(&lab, &lab.host("seed"), &payloads);
    opentracker::await_peers(&lab, &payloads, 1, 0);
    let mut leeches =
        [Client::Aria2, Client::Libtorrent].map(|client| client.leech(&lab, &lab.host("leech"), &payloads));
    for leech in &mut leeches {
        leech.finish(&payloads);
    }
}
