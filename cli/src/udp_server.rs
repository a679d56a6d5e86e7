//! Just enough of a UDP server for a tracker: a datagram in, at most one out.
//!
//! It moves bytes; what a datagram means is the caller's.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use smol::future::yield_now;
use smol::{Async, Timer};

/// The longest datagram that is read; more of one is cut off. Clients send a few hundred bytes.
const DATAGRAM_LEN_MAX: usize = 2048;

/// Datagrams in a row before others have their turn.
const BATCH_MAX: usize = 64;

/// The pause after an error of the socket, which may be there again at once.
const PAUSE: Duration = Duration::from_millis(100);

/// What to answer to who sent what, if anything.
pub type Answer<'a> = &'a dyn Fn(SocketAddr, &[u8]) -> Option<Vec<u8>>;

/// Serves `socket` until it is dropped.
///
/// # Errors
/// When the socket can't be waited for.
pub async fn serve(socket: UdpSocket, answer: Answer<'_>) -> io::Result<()> {
    let socket = Async::new(socket)?;
    let mut buffer = [0; DATAGRAM_LEN_MAX];
    loop {
        for _ in 0..BATCH_MAX {
            match socket.recv_from(&mut buffer).await {
                Ok((len, from)) => {
                    let answer = answer(from, buffer.get(..len).unwrap_or_default());
                    // Without room it is lost, as on any network; the client asks again.
                    let _ = answer.map(|bytes| socket.get_ref().send_to(&bytes, from));
                }
                Err(_) => {
                    Timer::after(PAUSE).await;
                }
            }
        }
        yield_now().await;
    }
}
