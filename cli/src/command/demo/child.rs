//! A process of this same program.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use crate::exit::{Exit, Failure, words};
use crate::signal::Signals;

/// How often a child, or what it wrote, is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A child that is ended when it is dropped. Its output goes to files: no pipe can fill up.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: process::Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Child {
    /// Starts `peerless` with `args` in `folder`.
    pub(super) fn start(folder: &Path, name: &str, args: &[&str]) -> Result<Self, Failure> {
        let failure = |error: std::io::Error| Failure::new(Exit::Other, name, words(&error));
        let (stdout, stderr) = (folder.join(format!("{name}.out")), folder.join(format!("{name}.err")));
        let process = Command::new(env::current_exe().map_err(failure)?)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).map_err(failure)?)
            .stderr(File::create(&stderr).map_err(failure)?)
            .spawn()
            .map_err(failure)?;
        Ok(Self { name: name.to_owned(), process, stdout, stderr })
    }

    /// Waits until it has ended well.
    pub(super) fn finish(mut self, timeout: Duration, signals: &Signals) -> Result<(), Failure> {
        let status = self.wait_until(timeout, signals, Self::status)?;
        if status.success() { Ok(()) } else { Err(self.failure(status)) }
    }

    /// Waits until it has written a line with `part` in it.
    pub(super) fn wait_for_line(
        &mut self,
        part: &str,
        timeout: Duration,
        signals: &Signals,
    ) -> Result<(), Failure> {
        self.wait_until(timeout, signals, |child| {
            if let Some(status) = child.status()? {
                return Err(child.failure(status));
            }
            let text = fs::read_to_string(&child.stdout).unwrap_or_default();
            Ok(text.contains(part).then_some(()))
        })
    }

    fn wait_until<T>(
        &mut self,
        timeout: Duration,
        signals: &Signals,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let began_at = Instant::now();
        loop {
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            if signals.is_stopping() {
                return Err(Failure::new(Exit::Interrupted, "demo", "interrupted"));
            }
            if began_at.elapsed() >= timeout {
                let why = format!("not done after {} s", timeout.as_secs());
                return Err(Failure::new(Exit::GaveUp, &self.name, why));
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    fn status(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.process.try_wait().map_err(|error| Failure::new(Exit::Other, &self.name, words(&error)))
    }

    fn failure(&self, status: ExitStatus) -> Failure {
        let text = fs::read_to_string(&self.stderr).unwrap_or_default();
        let why = text.lines().last().unwrap_or_default();
        Failure::new(Exit::Other, &self.name, format_args!("{status}: {why}"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Either may have ended by itself before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
