//! libtorrent through `real/libtorrent_peer.py`.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::{Host, Lab, PEER_PORT, Payload, Program, STEP_TIMEOUT, check_output, python, script, succeeds};

/// What a leech prints once all its torrents are complete.
pub const DONE: &str = r#""event": "done""#;

/// A libtorrent peer to be started in a lab.
#[derive(Debug)]
pub struct Libtorrent {
    command: Command,
    mode: &'static str,
}

impl Libtorrent {
    /// One that seeds what is in the host's folder.
    pub fn seed(lab: &Lab, host: &Host) -> Self {
        Self::new(lab, host, "seed")
    }

    /// One that downloads into the host's folder, then seeds.
    pub fn leech(lab: &Lab, host: &Host) -> Self {
        Self::new(lab, host, "leech")
    }

    fn new(lab: &Lab, host: &Host, mode: &'static str) -> Self {
        let mut command = lab.command(host, python());
        command.arg(script("libtorrent_peer.py")).arg(mode).arg("--dir").arg(&host.dir);
        command.arg("--listen").arg(host.at(PEER_PORT).to_string());
        Self { command, mode }
    }

    /// Sends at most so many bytes a second.
    #[must_use]
    pub fn up_limit(mut self, limit: u32) -> Self {
        self.command.arg("--up-limit").arg(limit.to_string());
        self
    }

    /// Calls a peer.
    #[must_use]
    pub fn peer(mut self, address: IpAddr) -> Self {
        self.command.arg("--peer").arg(SocketAddr::new(address, PEER_PORT).to_string());
        self
    }

    /// Sets one of libtorrent's settings, by its name there.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.command.arg("--setting").arg(format!("{name}={value}"));
        self
    }

    /// Sets one of its `torrent_flags`.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.command.arg("--flag").arg(name);
        self
    }

    /// Gives each file a priority, by commas; 0 is not wanted.
    #[must_use]
    pub fn priorities(mut self, priorities: &str) -> Self {
        self.command.arg("--priorities").arg(priorities);
        self
    }

    /// Says every message that it gets (`<==`) and sends (`==>`) on standard error.
    #[must_use]
    pub fn log(mut self) -> Self {
        self.command.arg("--log");
        self
    }

    /// Exchanges peers.
    #[must_use]
    pub fn pex(mut self) -> Self {
        self.command.arg("--pex");
        self
    }

    /// Starts it; a seed has checked its data then.
    pub fn start(mut self, lab: &Lab, payloads: &[&Payload]) -> Program {
        self.command.args(payloads.iter().map(|payload| &payload.torrent));
        let mut program = Program::spawn(lab, &format!("libtorrent-{}", self.mode), self.command);
        if self.mode == "seed" {
            program.wait_output(r#""event": "ready""#, STEP_TIMEOUT);
        }
        program
    }
}

/// What a libtorrent peer prints when it has met another one at `address`.
pub fn met(address: IpAddr) -> String {
    format!(r#""event": "peer", "address": "{address}""#)
}

/// All that a libtorrent peer said of the one at `address`, in order: what it thinks of it.
///
/// # Panics
/// If a line is no JSON.
pub fn thoughts_of(peer: &Program, address: IpAddr) -> Vec<serde_json::Value> {
    let output = peer.output();
    let lines = output.lines().filter(|line| line.contains(&met(address)));
    lines.map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Seeds data that is put into the host's folder, with at most `up_limit` bytes per second.
pub fn slow_seed(lab: &Lab, host: &Host, payloads: &[&Payload], up_limit: u32) -> Program {
    for payload in payloads {
        payload.link_into(&host.dir);
    }
    seed(lab, host, payloads, Some(up_limit))
}

/// Seeds data that is in place, with at most `up_limit` bytes per second.
pub(super) fn seed(lab: &Lab, host: &Host, payloads: &[&Payload], up_limit: Option<u32>) -> Program {
    let seed = Libtorrent::seed(lab, host);
    up_limit.into_iter().fold(seed, Libtorrent::up_limit).start(lab, payloads)
}

/// Downloads into the host's folder, then seeds; exchanges peers if that is wanted.
pub(super) fn leech(lab: &Lab, host: &Host, payloads: &[&Payload], pex: bool) -> Program {
    let leech = Libtorrent::leech(lab, host);
    let leech = if pex { leech.pex() } else { leech };
    leech.start(lab, payloads)
}

/// Payload bytes that a finished leech took from `address`.
///
/// # Panics
/// If the leech has not printed its summary.
pub fn payload_from(leech: &Program, address: IpAddr) -> u64 {
    let output = leech.output();
    let done = output.lines().find(|line| line.contains(DONE)).expect("the leech is done");
    let summary: serde_json::Value = serde_json::from_str(done).expect("the summary is JSON");
    summary["sources"][address.to_string()].as_u64().unwrap_or(0)
}

/// Makes a v1 torrent of `path` and gives its info-hash.
pub(super) fn create(path: &Path, torrent: &Path, tracker: &str, piece_len: u32) -> String {
    check_output(&mut creation(path, torrent, tracker, piece_len)).trim().to_owned()
}

/// The same, of a private torrent.
pub(super) fn create_private(path: &Path, torrent: &Path, tracker: &str, piece_len: u32) -> String {
    check_output(creation(path, torrent, tracker, piece_len).arg("--private")).trim().to_owned()
}

/// The same with files by name, and with these further arguments.
pub fn create_sorted(path: &Path, torrent: &Path, tracker: &str, piece_len: u32, more: &[&str]) -> String {
    check_output(creation(path, torrent, tracker, piece_len).arg("--sorted").args(more)).trim().to_owned()
}

fn creation(path: &Path, torrent: &Path, tracker: &str, piece_len: u32) -> Command {
    let mut command = Command::new(python());
    command.arg(script("libtorrent_peer.py")).arg("create").arg(path).arg(torrent);
    command.args(["--tracker", tracker, "--piece-length", &piece_len.to_string()]);
    command
}

/// Stops a seed and gives the payload bytes that it sent in all.
///
/// # Panics
/// If it does not end properly.
pub fn payload_sent(mut seed: Program) -> u64 {
    seed.signal("TERM");
    seed.expect_exit(0, STEP_TIMEOUT);
    let output = seed.output();
    let end = output.lines().next_back().expect("the seed prints a summary");
    let summary: serde_json::Value = serde_json::from_str(end).expect("the summary is JSON");
    summary["sent"].as_u64().expect("the summary has a count")
}

/// The info-hash that libtorrent computes.
pub fn info_hash(torrent: &Path) -> String {
    ask("hash", torrent).trim().to_owned()
}

/// What libtorrent reads out of a torrent beside that: trackers with their tiers, web seeds, comment.
pub fn show(torrent: &Path) -> serde_json::Value {
    serde_json::from_str(&ask("show", torrent)).expect("it is JSON")
}

/// The magnet link that libtorrent makes of a torrent.
pub fn link(torrent: &Path) -> String {
    ask("link", torrent).trim().to_owned()
}

/// What libtorrent reads out of a link: name, info-hash, trackers, web seeds.
///
/// # Panics
/// If it refuses the link.
pub fn parse_link(link: &str) -> serde_json::Value {
    serde_json::from_str(&ask("parse", link)).expect("it is JSON")
}

fn ask(what: &str, of: impl AsRef<OsStr>) -> String {
    check_output(Command::new(python()).arg(script("libtorrent_peer.py")).arg(what).arg(of))
}

/// Whether the bindings can be loaded.
pub(super) fn is_there() -> bool {
    succeeds(Command::new(python()).args(["-c", "import libtorrent"]))
}
