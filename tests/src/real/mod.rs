//! Real BitTorrent programs in a network of their own.
//!
//! A [`Lab`] is a private network with one address per program; it holds every process that is
//! started in it and takes all of them along when it goes, however the test ends. A
//! [`Client`] knows how one program seeds and leeches. What a transfer must give is checked by
//! [`Payload`]. Needs Linux, root, and the programs that [`require_programs`] names.

mod aria2;
pub mod authority;
mod lab;
pub mod libtorrent;
pub mod mktorrent;
pub mod nginx;
pub mod opentracker;
mod payload;
pub mod peerless;
mod program;
mod rtorrent;
pub mod socks;
mod transmission;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

pub use lab::{Host, Lab};
pub use payload::{Payload, PayloadKind, Payloads, TRACKER_PORT, TRACKER_URL, UDP_TRACKER_URL};
pub use peerless::Peerless;
pub use program::{Program, check_output};

/// How long a transfer may take before the test fails. They take a few seconds; most of this
/// is room for a busy machine.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a program may take to come up, announce, react to a signal or end.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// The contract: after SIGINT or SIGTERM our client is gone within so long.
pub const SIGNAL_TIMEOUT: Duration = Duration::from_secs(5);

/// The port on which every client listens; each has its own address.
pub const PEER_PORT: u16 = 6881;

/// Pause between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How the names of all temporary folders begin; a process id follows.
const SCRATCH_PREFIX: &str = "peerless-test-";

/// What must be installed, with the Debian package that has it.
const PROGRAMS: [(&str, &str); 16] = [
    ("transmission-daemon", "transmission-daemon"),
    ("aria2c", "aria2"),
    ("rtorrent", "rtorrent"),
    ("opentracker", "opentracker"),
    ("mktorrent", "mktorrent"),
    ("nginx", "nginx-light"),
    ("openssl", "openssl"),
    ("microsocks", "microsocks"),
    ("danted", "dante-server"),
    ("ss", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("kill", "procps"),
    ("strace", "strace"),
];

/// The event loop that drives our own client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// `--runtime mio`
    Mio,
    /// `--runtime smol`
    Smol,
}

impl Runtime {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Smol => "smol",
        }
    }
}

/// A program that seeds and leeches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// transmission-daemon
    Transmission,
    /// aria2c
    Aria2,
    /// libtorrent through its Python bindings
    Libtorrent,
    /// rtorrent, which has no fast extension
    Rtorrent,
    /// Ours
    Peerless(Runtime),
}

impl Client {
    /// Starts a seed of `payloads`, whose data is put into the host's folder.
    pub fn seed(self, lab: &Lab, host: &Host, payloads: &[&Payload]) -> Program {
        for payload in payloads {
            payload.link_into(&host.dir);
        }
        match self {
            Self::Transmission => transmission::seed(lab, host, payloads),
            Self::Aria2 => aria2::seed(lab, host, payloads),
            Self::Libtorrent => libtorrent::seed(lab, host, payloads, None),
            Self::Rtorrent => rtorrent::seed(lab, host, payloads),
            Self::Peerless(runtime) => Peerless::seed(lab, host, runtime, payloads).spawn(lab),
        }
    }

    /// Starts a download of `payloads` into the host's folder.
    pub fn leech(self, lab: &Lab, host: &Host, payloads: &[&Payload]) -> Leech {
        self.leech_with(lab, host, payloads, false)
    }

    /// The same, and it exchanges peers.
    pub fn exchanging_leech(self, lab: &Lab, host: &Host, payloads: &[&Payload]) -> Leech {
        self.leech_with(lab, host, payloads, true)
    }

    fn leech_with(self, lab: &Lab, host: &Host, payloads: &[&Payload], pex: bool) -> Leech {
        let (program, done) = match self {
            Self::Transmission => transmission::leech(lab, host, payloads, pex),
            Self::Aria2 => (aria2::leech(lab, host, payloads, pex), Done::Exit),
            Self::Libtorrent => (libtorrent::leech(lab, host, payloads, pex), Done::Line(libtorrent::DONE)),
            Self::Rtorrent => rtorrent::leech(lab, host, payloads),
            Self::Peerless(runtime) => {
                (Peerless::download(lab, host, runtime, payloads).spawn(lab), Done::Exit)
            }
        };
        Leech { client: self, program, done, dir: host.dir.clone() }
    }

    /// Like [`Client::leech`], for those that can stay to seed when they are done.
    ///
    /// # Panics
    /// For aria2, which then does not say that it is done.
    pub fn leech_and_seed(self, lab: &Lab, host: &Host, payloads: &[&Payload]) -> Leech {
        match self {
            Self::Peerless(runtime) => {
                let program = Peerless::download(lab, host, runtime, payloads).arg("--seed").spawn(lab);
                Leech { client: self, program, done: Done::Completes(payloads.len()), dir: host.dir.clone() }
            }
            Self::Transmission | Self::Libtorrent | Self::Rtorrent => self.leech(lab, host, payloads),
            Self::Aria2 => panic!("aria2 tells by its exit that it is done"),
        }
    }
}

/// A download under way.
#[derive(Debug)]
pub struct Leech {
    /// Which program it is.
    pub client: Client,
    /// The running program.
    pub program: Program,
    done: Done,
    dir: PathBuf,
}

/// How a program says that its downloads are complete.
#[derive(Debug)]
enum Done {
    /// It exits with code 0.
    Exit,
    /// It prints a line that contains this.
    Line(&'static str),
    /// It appends a line per torrent to this file.
    Lines(PathBuf, usize),
    /// It prints so many `complete` events.
    Completes(usize),
}

impl Leech {
    /// Waits until all is there, and compares every byte with the source.
    pub fn finish(&mut self, payloads: &[&Payload]) {
        match &self.done {
            Done::Exit => self.program.expect_exit(0, TRANSFER_TIMEOUT),
            Done::Line(line) => self.program.wait_output(line, TRANSFER_TIMEOUT),
            Done::Lines(path, count) => self.program.wait_for("all torrents done", TRANSFER_TIMEOUT, || {
                fs::read_to_string(path).is_ok_and(|text| text.lines().count() >= *count)
            }),
            Done::Completes(count) => {
                let out = self.program.output_path().to_owned();
                self.program.wait_for("all torrents complete", TRANSFER_TIMEOUT, || {
                    peerless::events(&out, "complete").len() >= *count
                });
            }
        }
        for payload in payloads {
            // Transmission 3.00 never makes files of length zero.
            payload.assert_copy_in(&self.dir, self.client != Client::Transmission);
        }
    }
}

/// Polls `condition` until it holds.
///
/// # Panics
/// After `timeout`, with `what` in the message.
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {timeout:?}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Fails with the names of all missing programs and of their Debian packages.
///
/// # Panics
/// If one is missing.
pub fn require_programs() {
    static MISSING: OnceLock<Vec<String>> = OnceLock::new();
    let missing = MISSING.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
        let mut missing: Vec<String> = PROGRAMS
            .iter()
            .filter(|(name, _)| !is_there(name))
            .map(|(name, package)| format!("{name} (Debian package {package})"))
            .collect();
        if !libtorrent::is_there() {
            missing.push("libtorrent for Python (Debian package python3-libtorrent)".to_owned());
        }
        missing
    });
    assert!(missing.is_empty(), "missing: {}. `tests/run` installs all of them.", missing.join(", "));
}

/// The Python that sees Debian's libtorrent: `PEERLESS_PYTHON`, or the system's own.
fn python() -> PathBuf {
    std::env::var_os("PEERLESS_PYTHON").map_or_else(|| PathBuf::from("/usr/bin/python3"), PathBuf::from)
}

/// A path for temporary files, named after this process. What earlier ones could not remove,
/// because they were killed, goes first.
fn scratch(name: &str) -> PathBuf {
    static SWEPT: Once = Once::new();
    let temp = std::env::temp_dir();
    SWEPT.call_once(|| {
        for entry in fs::read_dir(&temp).into_iter().flatten().flatten() {
            let file_name = entry.file_name();
            let pid =
                file_name.to_str().and_then(|name| name.strip_prefix(SCRATCH_PREFIX)?.split('-').next());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _best_effort = fs::remove_dir_all(entry.path());
            }
        }
    });
    temp.join(format!("{SCRATCH_PREFIX}{}-{name}", std::process::id()))
}

/// A helper script beside the tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("real").join(name)
}

/// On `port`, a `peer` or `tracker` that answers with garbage, or a `mute` tracker that never does.
pub fn hostile(lab: &Lab, host: &Host, kind: &str, port: u16) -> Program {
    let mut command = lab.command(host, python());
    command.arg(script("hostile.py")).arg(kind).arg(port.to_string());
    let mut program = Program::spawn(lab, &format!("hostile-{kind}"), command);
    program.wait_output("ready", STEP_TIMEOUT);
    program
}

/// A web server of what is in the host's folder, on `port`, that has its ways: see `web_server.py`.
pub fn web_server(lab: &Lab, host: &Host, port: u16) -> Program {
    let mut command = lab.command(host, python());
    command.arg(script("web_server.py")).arg(host.address.to_string()).arg(port.to_string()).arg(&host.dir);
    let mut program = Program::spawn(lab, "web-server", command);
    program.wait_output("ready", STEP_TIMEOUT);
    program
}

/// Whether somebody on `host` takes connections there.
fn listens(lab: &Lab, host: &Host, place: SocketAddr) -> bool {
    let wanted = place.to_string();
    let listing = check_output(lab.command(host, "ss").arg("-Hltn"));
    listing.lines().any(|line| line.split_whitespace().nth(3) == Some(&wanted))
}

/// Whether `program` runs and ends with code 0; its output is dropped.
fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
