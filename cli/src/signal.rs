//! SIGINT, SIGTERM and SIGHUP (Ctrl-C and its kin elsewhere): the first asks to stop, the second ends it.

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
    late_exit: AtomicU8,
    action: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Signals {
    /// Takes over the process's signals. Without an action a signal ends the process at once, as
    /// interrupted.
    ///
    /// # Errors
    /// When the system refuses, or it was done before.
    pub fn install() -> Result<Self, Failure> {
        let signals = Self(Arc::new(State {
            asked: AtomicBool::new(false),
            late_exit: AtomicU8::new(Exit::Interrupted.code()),
            action: Mutex::new(None),
        }));
        let handler = signals.clone();
        ctrlc::set_handler(move || handler.on_signal())
            .map_err(|error| Failure::new(Exit::Other, "signals", error))?;
        Ok(signals)
    }

    /// What the first signal does from now on. The process is then to end by itself, soon: if it does
    /// not, it is ended with the code `late`.
    pub fn on_stop(&self, late: Exit, action: impl FnOnce() + Send + 'static) {
        self.0.late_exit.store(late.code(), Ordering::SeqCst);
        *self.0.action.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn on_signal(&self) {
        if self.0.asked.swap(true, Ordering::SeqCst) {
            process::exit(Exit::Interrupted.code().into());
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
            process::exit(state.late_exit.load(Ordering::SeqCst).into());
        });
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}
