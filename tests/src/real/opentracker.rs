//! opentracker, which serves HTTP and UDP on one port and knows only whitelisted torrents.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Lab, Payload, Program, STEP_TIMEOUT, check_output, payload::TRACKER_PORT, python, script};

/// A tracker at the lab's hub, where every [`Payload`]'s torrent expects it.
#[derive(Debug)]
pub struct Opentracker {
    program: Program,
}

impl Opentracker {
    /// Starts it for the torrents of `payloads`.
    pub fn start(lab: &Lab, payloads: &[&Payload]) -> Self {
        let hub = lab.hub();
        let whitelist = hub.dir.join("whitelist");
        let hashes: Vec<&str> = payloads.iter().map(|payload| payload.info_hash.as_str()).collect();
        fs::write(&whitelist, hashes.join("\n") + "\n").expect("the whitelist is written");
        // It gives up root for `nobody`, who must be able to read.
        fs::set_permissions(&hub.dir, fs::Permissions::from_mode(0o755)).expect("mode of a folder");
        let mut command = lab.command(&hub, "opentracker");
        let port = TRACKER_PORT.to_string();
        command.args(["-i", &hub.address.to_string(), "-p", &port, "-P", &port, "-d"]);
        // It changes its root to that folder before it reads the list.
        command.arg(&hub.dir).args(["-w", "whitelist"]);
        let mut tracker = Self { program: Program::spawn(lab, "opentracker", command) };
        tracker.await_peers(lab, payloads, 0, 0);
        tracker
    }

    /// Waits until it knows `seeds` seeds and `leeches` leeches of every payload.
    ///
    /// # Panics
    /// If that does not happen in time; the message has the counts.
    pub fn await_peers(&mut self, lab: &Lab, payloads: &[&Payload], seeds: usize, leeches: usize) {
        let hub = lab.hub();
        let mut command = lab.command(&hub, python());
        command.arg(script("await_peers.py"));
        command.arg(format!("http://{}:{TRACKER_PORT}/scrape", hub.address));
        command.args([STEP_TIMEOUT.as_secs().to_string(), seeds.to_string(), leeches.to_string()]);
        command.args(payloads.iter().map(|payload| &payload.info_hash));
        check_output(&mut command);
        let ended = self.program.try_wait();
        assert!(ended.is_none(), "opentracker ended: {ended:?}");
    }
}
