//! A flag that one task waits for and another of the same thread sets.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Setting it twice before it is seen is the same as once. One task may wait at a time.
#[derive(Default)]
pub(crate) struct Signal {
    is_set: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl Signal {
    /// Sets the flag and wakes the task that waits for it.
    pub(crate) fn set(&self) {
        self.is_set.set(true);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Waits until the flag is set and clears it.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            if self.is_set.take() {
                return Poll::Ready(());
            }
            self.waiter.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use smol::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn a_signal_set_before_the_wait_is_seen_once() {
        let signal = Signal::default();
        signal.set();
        signal.set();
        assert_eq!(block_on(poll_once(signal.wait())), Some(()));
        assert_eq!(block_on(poll_once(signal.wait())), None);
    }

    #[test]
    fn a_waiting_task_is_woken() {
        let signal = Signal::default();
        let mut wait = Box::pin(signal.wait());
        assert_eq!(block_on(poll_once(&mut wait)), None);
        signal.set();
        block_on(wait);
    }
}
