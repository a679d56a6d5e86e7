//! A program that runs in a lab, its log, and its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Lab, POLL_INTERVAL, STEP_TIMEOUT, succeeds};

/// How much of a log goes into a failure message.
const TAIL_LINES: usize = 25;

/// A running program. It is killed when this goes, and its log is shown if a test panics.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    out: PathBuf,
    err: PathBuf,
}

impl Program {
    /// Starts `command`, which [`Lab::command`] made, with its output in files.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn spawn(lab: &Lab, name: &str, mut command: Command) -> Self {
        let out = unused(lab.dir(), name, "out");
        let err = out.with_extension("err");
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).expect("a file for output"))
            .stderr(File::create(&err).expect("a file for errors"))
            .spawn()
            .expect("the program starts");
        Self { name: name.to_owned(), child, status: None, out, err }
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        read_lossy(&self.out)
    }

    /// The file that has what it printed.
    pub fn output_path(&self) -> &Path {
        &self.out
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        read_lossy(&self.err)
    }

    /// Its exit status, if it has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the state of a child");
        }
        self.status
    }

    /// Waits until `condition` holds while the program runs.
    ///
    /// # Panics
    /// After `timeout`, or if the program ends first.
    pub fn wait_for(&mut self, what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + timeout;
        while !condition() {
            // The condition may have come true just before the end.
            let ended = self.try_wait();
            assert!(ended.is_none() || condition(), "{}: {what}: it ended first, {ended:?}", self.name);
            assert!(Instant::now() < deadline, "{}: {what}: not within {timeout:?}", self.name);
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until it has printed `text`.
    ///
    /// # Panics
    /// After `timeout`, or if the program ends first.
    pub fn wait_output(&mut self, text: &str, timeout: Duration) {
        let out = self.out.clone();
        self.wait_for(&format!("printing {text:?}"), timeout, || read_lossy(&out).contains(text));
    }

    /// Waits until it has written `text` to standard error.
    ///
    /// # Panics
    /// After `timeout`, or if the program ends first.
    pub fn wait_errors(&mut self, text: &str, timeout: Duration) {
        let err = self.err.clone();
        self.wait_for(&format!("saying {text:?}"), timeout, || read_lossy(&err).contains(text));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.try_wait() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} still runs after {timeout:?}", self.name);
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits for its end with exit code `code`.
    ///
    /// # Panics
    /// On another code, or after `timeout`.
    pub fn expect_exit(&mut self, code: i32, timeout: Duration) {
        let status = self.wait(timeout);
        assert_eq!(status.code(), Some(code), "exit of {} ({status})", self.name);
    }

    /// Sends a signal (`INT`, `TERM`, `KILL`) to the program itself; nothing if it has ended.
    pub fn signal(&self, signal: &str) {
        // Our child is `nsenter`, which waits for the program and hands on its status; so does `strace`.
        let below = |pid: u32| if is_running(pid, "strace") { children_of(pid) } else { vec![pid] };
        for pid in children_of(self.child.id()).into_iter().flat_map(below) {
            succeeds(Command::new("kill").args(["-s", signal, &pid.to_string()]));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            let deadline = Instant::now() + STEP_TIMEOUT;
            while self.try_wait().is_none() && Instant::now() < deadline {
                // Each time: at first it may not have been started yet.
                self.signal("KILL");
                thread::sleep(POLL_INTERVAL);
            }
        }
        if thread::panicking() {
            show(&self.name, "output", &self.output());
            show(&self.name, "errors", &self.errors());
        }
    }
}

/// Runs a short command to its end and gives what it printed.
///
/// # Panics
/// If it fails, with all that it said.
pub fn check_output(command: &mut Command) -> String {
    let ran = command.stdin(Stdio::null()).output().expect("the program starts");
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {}\n{out}{err}", ran.status);
    out
}

/// The direct children of a process, from the kernel's table.
pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    let is_child = |pid: &u32| {
        // "pid (name) state ppid ..."; the name may hold anything but ends at the last bracket.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        fields.and_then(|mut fields| fields.nth(1)) == Some(parent.as_str())
    };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// Whether `pid` has already become `program`.
pub(super) fn is_running(pid: u32, program: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program)
}

/// A path for a log that does not exist yet.
fn unused(dir: &Path, name: &str, extension: &str) -> PathBuf {
    let mut numbers = 0..;
    let path = |number: u32| dir.join(format!("{name}-{number}.{extension}"));
    numbers.by_ref().map(path).find(|path| !path.exists()).expect("numbers enough")
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Puts the end of a log into the test's output.
fn show(name: &str, what: &str, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    eprintln!("--- {name}: last {what} ---\n{}", tail.join("\n"));
}
