//! opentracker, which serves HTTP and UDP on one port and knows only whitelisted torrents.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Lab, Payload, Program, STEP_TIMEOUT, TRACKER_PORT, check_output, python, script};

/// Starts opentracker at the lab's hub, where every [`Payload`]'s torrent expects its tracker.
pub fn start(lab: &Lab, payloads: &[&Payload]) -> Program {
    let hub = lab.hub();
    let hashes: Vec<&str> = payloads.iter().map(|payload| payload.info_hash.as_str()).collect();
    fs::write(hub.dir.join("whitelist"), hashes.join("\n") + "\n").expect("the whitelist is written");
    // It gives up root for `nobody`, who must be able to read.
    fs::set_permissions(&hub.dir, fs::Permissions::from_mode(0o755)).expect("mode of a folder");
    let mut command = lab.command(&hub, "opentracker");
    let port = TRACKER_PORT.to_string();
    command.args(["-i", &hub.address.to_string(), "-p", &port, "-P", &port, "-d"]);
    // It changes its root to that folder before it reads the list.
    command.arg(&hub.dir).args(["-w", "whitelist"]);
    let tracker = Program::spawn(lab, "opentracker", command);
    await_peers(lab, payloads, 0, 0);
    tracker
}

/// Waits until the tracker at the hub, whichever it is, knows `seeds` seeds and `leeches` leeches
/// of every payload.
///
/// # Panics
/// If that does not happen in time; the message has the counts.
pub fn await_peers(lab: &Lab, payloads: &[&Payload], seeds: usize, leeches: usize) {
    let hub = lab.hub();
    let mut command = lab.command(&hub, python());
    command.arg(script("await_peers.py"));
    command.arg(format!("http://{}/scrape", hub.at(TRACKER_PORT)));
    command.args([STEP_TIMEOUT.as_secs().to_string(), seeds.to_string(), leeches.to_string()]);
    command.args(payloads.iter().map(|payload| &payload.info_hash));
    check_output(&mut command);
}
