//! aria2c, which takes peers from a tracker only and ends by itself.

use super::{Host, Lab, PEER_PORT, Payload, Program};

/// Peers by the tracker alone (it asks UDP trackers only with its DHT on, which knows nobody here); all torrents at once; nothing left beside the data.
const FLAGS: [&str; 10] = [
    "--no-conf=true",
    "--enable-dht=true",
    "--enable-dht6=false",
    "--bt-enable-lpd=false",
    "--file-allocation=none",
    // Below this speed it looks for more peers than it needs.
    "--bt-request-peer-speed-limit=2000M",
    "--max-concurrent-downloads=9",
    "--summary-interval=5",
    "--enable-color=false",
    "--allow-overwrite=true",
];

/// Seeds data that is in place, until it is stopped.
pub(super) fn seed(lab: &Lab, host: &Host, payloads: &[&Payload]) -> Program {
    let mut command = lab.command(host, "aria2c");
    command.args(FLAGS).args(dht_flags(host)).args(["--check-integrity=true", "--seed-ratio=0.0"]);
    command.arg("--enable-peer-exchange=false");
    command.arg(format!("--listen-port={PEER_PORT}")).arg("--dir").arg(&host.dir);
    command.args(payloads.iter().map(|payload| &payload.torrent));
    Program::spawn(lab, "aria2-seed", command)
}

/// Downloads into the host's folder and exits; exchanges peers if that is wanted.
pub(super) fn leech(lab: &Lab, host: &Host, payloads: &[&Payload], pex: bool) -> Program {
    let mut command = lab.command(host, "aria2c");
    command.args(FLAGS).args(dht_flags(host)).arg("--seed-time=0");
    command.arg(format!("--enable-peer-exchange={pex}"));
    command.arg(format!("--listen-port={PEER_PORT}")).arg("--dir").arg(&host.dir);
    command.args(payloads.iter().map(|payload| &payload.torrent));
    Program::spawn(lab, "aria2", command)
}

/// Its DHT keeps to the host's folder and to the port of its peers.
fn dht_flags(host: &Host) -> [String; 3] {
    let file = host.dir.with_extension("dht");
    [
        format!("--disable-ipv6={}", host.address.is_ipv4()),
        format!("--dht-file-path={}", file.display()),
        format!("--dht-listen-port={PEER_PORT}"),
    ]
}
