//! How a loop is told to stop from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// Stops a [`Runtime`](crate::Runtime) from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    asked: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl StopHandle {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self { asked: Arc::default(), waker }
    }

    /// Makes `run` shut its session down in order and return. Before `run` it takes effect at the
    /// start; a second time or after `run` it does nothing.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        // Fails only when the loop is gone.
        let _ = self.waker.wake();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}
