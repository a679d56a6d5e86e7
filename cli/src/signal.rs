//! SIGINT, SIGTERM and SIGHUP (Ctrl-C and its kin elsewhere): the first asks to stop, a further one
//! ends it. SIGXFSZ is survived.

use std::fmt;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::exit::{Exit, Failure};
use crate::out;

/// How long an orderly stop may take; then the process ends as it is. The contract allows 5 s.
const STOP_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The process's signals. Clones share one state.
#[derive(Clone)]
pub struct Signals(Arc<State>);

struct State {
    asked: AtomicBool,
    /// Whether a user, or whoever runs us, is among those who asked.
    asked_by_user: AtomicBool,
    late_exit: AtomicU8,
    action: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// The user, or whoever runs us.
    Stop,
    /// The terminal, which is gone.
    HangUp,
}

impl Signals {
    /// Takes over the process's signals. Without an action a signal ends the process at once, as
    /// interrupted. SIGHUP stays as it is where it was to be ignored, as under `nohup`.
    ///
    /// # Errors
    /// When the system refuses, or it was done before.
    pub fn install() -> Result<Self, Failure> {
        let signals = Self(Arc::new(State {
            asked: AtomicBool::new(false),
            asked_by_user: AtomicBool::new(false),
            late_exit: AtomicU8::new(Exit::Interrupted.code()),
            action: Mutex::new(None),
        }));
        let handler = signals.clone();
        system::on_signal(move |signal| handler.on_signal(signal))
            .map_err(|error| Failure::new(Exit::Other, "signals", error))?;
        Ok(signals)
    }

    /// What the first signal does from now on. The process is then to end by itself, soon: if it does
    /// not, or another signal comes, it is ended with the code `late`.
    pub fn on_stop(&self, late: Exit, action: impl FnOnce() + Send + 'static) {
        self.0.late_exit.store(late.code(), Ordering::SeqCst);
        *self.0.action.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn on_signal(&self, signal: Signal) {
        // A terminal that goes away is told of by the kernel and by the shell, and by systemd right
        // behind its SIGTERM, in any order: nobody is impatient then.
        if signal == Signal::Stop && self.0.asked_by_user.swap(true, Ordering::SeqCst) {
            self.0.end();
        }
        if self.0.asked.swap(true, Ordering::SeqCst) {
            return;
        }
        let action = self.0.action.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(action) = action else {
            out::tell("peerless: interrupted: by a signal");
            process::exit(Exit::Interrupted.code().into());
        };
        action();
        let state = Arc::clone(&self.0);
        // A thread of its own: this one must be free for the second signal. Without it there is only
        // no limit to the wait.
        let _ = thread::Builder::new().name("stop limit".to_owned()).spawn(move || {
            thread::sleep(STOP_TIMEOUT);
            state.end();
        });
    }
}

impl State {
    fn end(&self) -> ! {
        process::exit(self.late_exit.load(Ordering::SeqCst).into());
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

#[cfg(unix)]
mod system {
    use std::sync::Arc;
    use std::{fs, io, thread};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::{flag, iterator};

    use super::Signal;

    /// Calls `handler` for each signal, on a thread of its own.
    pub(super) fn on_signal(mut handler: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
        let mut wanted = vec![SIGINT, SIGTERM];
        if !ignores(SIGHUP) {
            wanted.push(SIGHUP);
        }
        // Handled, even if nobody looks, it is the write beyond the limit of a file's length that
        // fails, as on a full disk. Else the system would end the process.
        flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = iterator::Signals::new(wanted)?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                handler(if signal == SIGHUP { Signal::HangUp } else { Signal::Stop });
            }
        })?;
        Ok(())
    }

    /// Whether whoever started us has seen to it that the signal is ignored. Known on Linux alone: the
    /// system's call for it is nothing that safe code can make.
    fn ignores(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
    }
}

#[cfg(not(unix))]
mod system {
    use super::Signal;

    pub(super) fn on_signal(handler: impl Fn(Signal) + Send + 'static) -> Result<(), ctrlc::Error> {
        ctrlc::set_handler(move || handler(Signal::Stop))
    }
}
