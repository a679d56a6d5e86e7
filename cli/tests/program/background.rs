//! Runs that go on while the test does something to them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::common::{Folder, Run};

/// A run in the background, with `--json` on stdout.
pub(crate) struct Background {
    child: Child,
    /// Until nobody reads any more.
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Background {
    pub(crate) fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerless"));
        command.args(args).arg("--json");
        Self::spawn(folder, command)
    }

    /// Runs a command that becomes such a run.
    pub(crate) fn spawn(folder: &Folder, mut command: Command) -> Self {
        command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines: Some(lines) }
    }

    /// The next line of this type.
    pub(crate) fn line(&mut self, kind: &str) -> Value {
        let lines = self.lines.as_mut().unwrap();
        let mut parsed = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        parsed.find(|line| line["type"] == kind).unwrap()
    }

    /// Sends signals, one right behind the other.
    pub(crate) fn signals(&self, names: &[&str]) {
        let kills: Vec<String> =
            names.iter().map(|name| format!("kill {name} {}", self.child.id())).collect();
        assert!(Command::new("sh").args(["-c", &kills.join(" && ")]).status().unwrap().success());
    }

    pub(crate) fn signal(&self, name: &str) {
        self.signals(&[name]);
    }

    /// The reader of its lines leaves.
    pub(crate) fn stop_reading(&mut self) {
        self.lines = None;
    }

    pub(crate) fn end(mut self) -> Run {
        let lines = self.lines.take();
        let stdout = lines.map_or_else(String::new, |lines| lines.map(|line| line.unwrap() + "\n").collect());
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Run { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a torrent of a few files in `data`, 1 MiB in all, and one of a single small file.
pub(crate) fn sample() -> Folder {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    folder.write("data/many/large", &bytes);
    folder.write("data/many/sub/small", b"small");
    folder.write("data/many/sub/empty", b"");
    folder.write("data/one", b"one");
    for (path, torrent) in [("data/many", "many.torrent"), ("data/one", "one.torrent")] {
        folder.run(&["create", path, "-o", torrent, "--piece-length", "32K"]).done();
    }
    folder
}

/// A seed of both torrents that has looked at its data, and its address.
pub(crate) fn seed(folder: &Folder, runtime: &str) -> (Background, String) {
    let mut seed = start_seed(folder, runtime);
    let addr = await_seed(&mut seed);
    (seed, addr)
}

/// A seed of both torrents, which may not have looked at its data yet.
pub(crate) fn start_seed(folder: &Folder, runtime: &str) -> Background {
    let args = ["seed", "many.torrent", "one.torrent", "--data", "data", "-p", "0", "-r", runtime];
    Background::start(folder, &args)
}

/// Waits until such a seed has looked at its data; its address.
pub(crate) fn await_seed(seed: &mut Background) -> String {
    let port = seed.line("start")["port"].as_u64().unwrap();
    let mut seeding = BTreeSet::new();
    while seeding.len() < 2 {
        let progress = seed.line("progress");
        if progress["state"] == "seeding" {
            seeding.insert(progress["info_hash"].to_string());
        }
    }
    format!("127.0.0.1:{port}")
}
