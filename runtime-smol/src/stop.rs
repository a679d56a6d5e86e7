//! How a driver is told to stop from outside.

use smol::channel::Sender;

/// Stops a [`Runtime`](crate::Runtime) from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    sender: Sender<()>,
}

impl StopHandle {
    pub(crate) fn new(sender: Sender<()>) -> Self {
        Self { sender }
    }

    /// Makes `run` shut its session down in order and return. Before `run` it takes effect at the
    /// start; a second time or after `run` it does nothing.
    pub fn stop(&self) {
        // Full: it is asked for already. Closed: the driver is gone.
        let _ = self.sender.try_send(());
    }
}
