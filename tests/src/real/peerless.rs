//! Our own client, built in release and spoken to by its command line alone.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::{Host, Lab, PEER_PORT, Payload, Program, Runtime, check_output};

/// A `peerless` command to be started in a lab.
#[derive(Debug)]
pub struct Peerless {
    command: Command,
    name: String,
}

impl Peerless {
    /// Any subcommand.
    pub fn new(lab: &Lab, host: &Host, subcommand: &str) -> Self {
        let mut command = lab.command(host, binary());
        command.arg(subcommand);
        Self { command, name: format!("peerless-{subcommand}") }
    }

    /// `download` of all `payloads` into the host's folder, with JSON on stdout.
    pub fn download(lab: &Lab, host: &Host, runtime: Runtime, payloads: &[&Payload]) -> Self {
        Self::transfer(lab, host, "download", runtime).arg("--output").arg(&host.dir).torrents(payloads)
    }

    /// `seed` of all `payloads` from the host's folder, with JSON on stdout.
    pub fn seed(lab: &Lab, host: &Host, runtime: Runtime, payloads: &[&Payload]) -> Self {
        Self::transfer(lab, host, "seed", runtime).arg("--data").arg(&host.dir).torrents(payloads)
    }

    /// What the two have in common; the folder is still to be given.
    fn transfer(lab: &Lab, host: &Host, subcommand: &str, runtime: Runtime) -> Self {
        let mut transfer = Self::new(lab, host, subcommand);
        transfer.name = format!("peerless-{subcommand}-{}", runtime.name());
        let port = PEER_PORT.to_string();
        transfer.args(["--json", "-v", "--runtime", runtime.name(), "--port", &port])
    }

    fn torrents(self, payloads: &[&Payload]) -> Self {
        self.args(payloads.iter().map(|payload| &payload.torrent))
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Has it started by another program, which is given its command line behind these arguments.
    #[must_use]
    pub fn under<A: AsRef<OsStr>>(self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(self.command.get_program());
        let mut wrapper = Some(wrapper);
        for argument in self.command.get_args() {
            if argument == binary() {
                command.args(wrapper.take().into_iter().flatten());
            }
            command.arg(argument);
        }
        Self { command, name: self.name }
    }

    /// Adds a peer to try.
    pub fn peer(self, address: IpAddr) -> Self {
        self.arg("--peer").arg(SocketAddr::new(address, PEER_PORT).to_string())
    }

    /// Starts it.
    pub fn spawn(self, lab: &Lab) -> Program {
        Program::spawn(lab, &self.name, self.command)
    }
}

/// Makes a torrent of `path` with further arguments.
pub fn create_with(path: &Path, torrent: &Path, more: &[&str]) {
    let mut command = Command::new(binary());
    check_output(command.arg("create").arg(path).arg("--output").arg(torrent).args(more));
}

/// Changes a torrent, which goes into another file.
pub fn edit(torrent: &Path, output: &Path, more: &[&str]) {
    let mut command = Command::new(binary());
    check_output(command.arg("edit").arg(torrent).arg("--output").arg(output).args(more));
}

/// The magnet link of a torrent.
pub fn link(torrent: &Path) -> String {
    check_output(Command::new(binary()).arg("magnet").arg(torrent)).trim().to_owned()
}

/// All JSON events of a type in what a program has printed so far.
pub fn events(output: &Path, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(output).expect("the output is UTF-8");
    // The last line may be half written while the program runs.
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let parse = |line: &str| -> Value { serde_json::from_str(line).expect("each line is one JSON object") };
    whole.lines().map(parse).filter(|event| event["type"] == kind).collect()
}

/// Pieces that a download had when it last said so.
pub fn have_count(output: &Path) -> u64 {
    events(output, "progress").last().and_then(|event| event["pieces"]["have"].as_u64()).unwrap_or(0)
}

/// Makes a v1 torrent of `path` and gives its info-hash.
pub(super) fn create(path: &Path, torrent: &Path, tracker: &str, piece_len: u32) -> String {
    create_with(path, torrent, &["--tracker", tracker, "--piece-length", &piece_len.to_string()]);
    info_hash(torrent)
}

/// The info-hash that `peerless info` gives.
pub fn info_hash(torrent: &Path) -> String {
    info(torrent)["info_hash"].as_str().expect("a v1 info-hash").to_owned()
}

/// What `peerless info` says of a torrent or a link.
///
/// # Panics
/// If it can't be read.
pub fn info(source: impl AsRef<OsStr>) -> Value {
    let info = check_output(Command::new(binary()).arg("info").arg("--json").arg(source));
    serde_json::from_str(&info).expect("info prints JSON")
}

/// The program under test: `PEERLESS_BIN`, or built in release now.
///
/// # Panics
/// If it is not there and can't be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("PEERLESS_BIN") {
            let named = PathBuf::from(named);
            assert!(named.is_file(), "PEERLESS_BIN is {}, which is no file", named.display());
            return named;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(root).args([
            "build",
            "--release",
            "--package",
            "peerless",
            "--message-format=json",
        ]);
        let messages = check_output(&mut build);
        let artifact = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
            .next_back();
        artifact.expect("cargo names the executable")
    })
}
