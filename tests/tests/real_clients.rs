//! Transfers between real BitTorrent programs, ours among them, each on an address of its own.

use peerless_tests::real::{Client, Lab, Opentracker, Payloads};

/// Without ours: when this fails, the machine is to blame.
#[test]
fn the_others_among_themselves() {
    let payloads = Payloads::shared();
    let payloads = payloads.by_libtorrent();
    let lab = Lab::new("others");
    let mut tracker = Opentracker::start(&lab, &payloads);
    let _seed = Client::Transmission.seed(&lab, &lab.host("seed"), &payloads);
    tracker.await_peers(&lab, &payloads, 1, 0);
    let mut leeches =
        [Client::Aria2, Client::Libtorrent].map(|client| client.leech(&lab, &lab.host("leech"), &payloads));
    for leech in &mut leeches {
        leech.finish(&payloads);
    }
}
