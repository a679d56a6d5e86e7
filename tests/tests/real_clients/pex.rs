//! Peer exchange with everybody, and with nobody in private torrents.
//!
//! No tracker is there. A slow seed that exchanges no peers is the witness: it tells whom it has met.

use peerless_tests::real::{
    Client, Host, Lab, Payload, Payloads, Peerless, Runtime, STEP_TIMEOUT, TRANSFER_TIMEOUT,
    libtorrent::{Libtorrent, met},
};

use super::under_both_runtimes;

/// What the witness may send a second: nobody is done before all have met.
const WITNESS_RATE: u32 = 512 << 10;

/// What it may send a second where a transfer is to end, but not within a moment.
const PRIVATE_RATE: u32 = 2 << 20;

under_both_runtimes! {
    told_by(Client::Libtorrent) => hears_of_peers_from_libtorrent,
    told_by(Client::Transmission) => hears_of_peers_from_transmission,
    told_by(Client::Aria2) => hears_of_peers_from_aria2,
    tells(Client::Libtorrent, Lab::new) => tells_libtorrent_of_peers,
    tells(Client::Transmission, Lab::new) => tells_transmission_of_peers,
    tells(Client::Aria2, Lab::new) => tells_aria2_of_peers,
    tells(Client::Libtorrent, Lab::ipv6) => tells_libtorrent_of_ipv6_peers,
    tells(Client::Transmission, Lab::ipv6) => tells_transmission_of_ipv6_peers,
    private => exchanges_no_peers_of_a_private_torrent,
}

/// A download that knows these peers alone.
fn download(lab: &Lab, host: &Host, runtime: Runtime, payload: &Payload) -> Peerless {
    Peerless::download(lab, host, runtime, &[payload]).args(["--no-trackers", "--seed"])
}

/// We know the other client, it knows the witness: we are told of that.
fn told_by(client: Client, runtime: Runtime) {
    let payloads = Payloads::shared();
    let [big, ..] = payloads.by_libtorrent();
    let lab = Lab::new(&format!("pex-from-{}", runtime.name()));
    let (witness_host, host, our_host) = (lab.host("witness"), lab.host("between"), lab.host("ours"));
    let _between = client.exchanging_leech(&lab, &host, &[big]);
    big.link_into(&witness_host.dir);
    let witness = Libtorrent::seed(&lab, &witness_host).up_limit(WITNESS_RATE).peer(host.address);
    let mut witness = witness.start(&lab, &[big]);
    witness.wait_output(&met(host.address), TRANSFER_TIMEOUT);
    let _ours = download(&lab, &our_host, runtime, big).peer(host.address).spawn(&lab);
    witness.wait_output(&met(our_host.address), TRANSFER_TIMEOUT);
}

/// We know the other client and the witness: the client is told of that by us.
fn tells(client: Client, network: fn(&str) -> Lab, runtime: Runtime) {
    let payloads = Payloads::shared();
    let [big, ..] = payloads.by_libtorrent();
    let lab = network(&format!("pex-to-{}", runtime.name()));
    let (witness_host, host, our_host) = (lab.host("witness"), lab.host("told"), lab.host("ours"));
    let _told = client.exchanging_leech(&lab, &host, &[big]);
    big.link_into(&witness_host.dir);
    let mut witness = Libtorrent::seed(&lab, &witness_host).up_limit(WITNESS_RATE).start(&lab, &[big]);
    let ours = download(&lab, &our_host, runtime, big).peer(host.address).peer(witness_host.address);
    let _ours = ours.spawn(&lab);
    witness.wait_output(&met(host.address), TRANSFER_TIMEOUT);
}

/// As above, and the transfer ends without the two having met.
fn private(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new(&format!("private-{}", runtime.name()));
    let torrent = &tree.private(lab.dir());
    let (witness_host, host, our_host) = (lab.host("witness"), lab.host("told"), lab.host("ours"));
    let mut leech = Client::Libtorrent.exchanging_leech(&lab, &host, &[torrent]);
    tree.link_into(&witness_host.dir);
    let witness = Libtorrent::seed(&lab, &witness_host).up_limit(PRIVATE_RATE).pex();
    let witness = witness.start(&lab, &[torrent]);
    let ours = download(&lab, &our_host, runtime, torrent).peer(host.address).peer(witness_host.address);
    let mut ours = ours.spawn(&lab);
    leech.finish(&[torrent]);
    let said = witness.output();
    assert!(said.contains(&met(our_host.address)), "{said}");
    assert!(!said.contains(&met(host.address)), "a private torrent's peers were exchanged: {said}");
    ours.signal("INT");
    ours.expect_exit(0, STEP_TIMEOUT);
}
