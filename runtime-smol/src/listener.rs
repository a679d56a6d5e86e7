//! Accepting connections, and when not to.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use async_io::{Async, Timer};
use smol::future::yield_now;

use crate::driver::Driver;

/// How long to accept nothing after the system refused to: usually for want of descriptors, which
/// trying again at once would not free.
const PAUSE: Duration = Duration::from_secs(1);

/// Accepts for ever.
pub(crate) async fn accept(driver: Rc<Driver<'_>>, listener: Async<TcpListener>) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                driver.accept(stream, addr);
                // A flood of connections leaves the peers their turns.
                yield_now().await;
            }
            Err(error) if is_of_peer(&error) => {}
            Err(_) => {
                Timer::after(PAUSE).await;
            }
        }
    }
}

/// Whether an accept failed for that one connection alone: its peer gave up while it was waiting.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
