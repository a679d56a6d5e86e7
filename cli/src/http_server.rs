//! Just enough of an HTTP server for a tracker: GET, one request per connection, everything bounded.
//!
//! It moves bytes; what a target means is the caller's.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use peerless_core::tracker::HttpAnswer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor, Task, Timer, future};

/// Connections at once: what most systems allow a process to have open, halved.
const CONNECTIONS_MAX: usize = 512;

/// The longest request head in bytes. An announce has about 500.
const HEAD_LEN_MAX: usize = 8 * 1024;

/// The most headers of a request. Clients send five.
const HEADERS_MAX: usize = 32;

/// How long one connection may take in all. While all places are taken the one that came first has to
/// go before: a flood of those that say nothing leaves each newcomer the time that it takes to open so
/// many.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after a failed accept: without descriptors, say, it fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `listener` until it is dropped: `answer` is given who asks and the request's target.
///
/// # Errors
/// When the listener can't be waited for.
pub async fn serve(listener: TcpListener, answer: &dyn Fn(IpAddr, &str) -> HttpAnswer) -> io::Result<()> {
    let listener = Async::new(listener)?;
    let mut connections = VecDeque::new();
    let executor = LocalExecutor::new();
    let accept = async {
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                Timer::after(ACCEPT_PAUSE).await;
                continue;
            };
            let connection = async move {
                let work = connection(stream, from.ip().to_canonical(), answer);
                // A client that leaves, or is slow, harms itself alone.
                let _ = future::or(work, async {
                    Timer::after(CONNECTION_TIMEOUT).await;
                    Ok(())
                })
                .await;
            };
            make_room(&mut connections);
            connections.push_back(executor.spawn(connection));
        }
    };
    executor.run(accept).await
}

/// Leaves fewer connections than there are places.
fn make_room(connections: &mut VecDeque<Task<()>>) {
    if connections.len() >= CONNECTIONS_MAX {
        connections.retain(|connection| !connection.is_finished());
    }
    if connections.len() >= CONNECTIONS_MAX {
        // A task that is dropped ends.
        connections.pop_front();
    }
}

async fn connection(
    mut stream: Async<std::net::TcpStream>,
    from: IpAddr,
    answer: &dyn Fn(IpAddr, &str) -> HttpAnswer,
) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let answer = loop {
        match read_head(&head) {
            Head::Whole(target) => break answer(from, &target),
            Head::Bad(status) => break HttpAnswer { status, body: b"bad request\n".to_vec() },
            Head::Partial => {}
        }
        let mut buffer = [0; 1024];
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        head.extend_from_slice(buffer.get(..len).unwrap_or_default());
    };
    stream.write_all(&response(&answer)).await?;
    stream.close().await
}

#[derive(Debug, PartialEq, Eq)]
enum Head {
    Whole(String),
    Partial,
    Bad(u16),
}

fn read_head(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => match (request.method, request.path) {
            (Some("GET"), Some(target)) => Head::Whole(target.to_owned()),
            _ => Head::Bad(405),
        },
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_LEN_MAX => Head::Partial,
        Ok(httparse::Status::Partial) => Head::Bad(431),
        Err(_) => Head::Bad(400),
    }
}

fn response(answer: &HttpAnswer) -> Vec<u8> {
    let reason = match answer.status {
        200 => "OK",
        404 => "Not Found",
        414 => "URI Too Long",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Bad Request",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.body.len()
    );
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_may_come_in_parts() {
        let request = b"GET /announce?x=1 HTTP/1.1\r\nHost: t\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(read_head(&request[..cut]), Head::Partial, "{cut}");
        }
        assert_eq!(read_head(request), Head::Whole("/announce?x=1".to_owned()));
        assert_eq!(read_head(b"GET / HTTP/1.0\r\n\r\n"), Head::Whole("/".to_owned()));
    }

    #[test]
    fn other_methods_garbage_and_endless_heads_are_refused() {
        assert_eq!(read_head(b"POST / HTTP/1.1\r\n\r\n"), Head::Bad(405));
        assert_eq!(read_head(b"\x13BitTorrent protocol"), Head::Bad(400));
        let endless = format!("GET /{} ", "a".repeat(HEAD_LEN_MAX));
        assert_eq!(read_head(endless.as_bytes()), Head::Bad(431));
    }

    #[test]
    fn a_response_says_how_long_it_is() {
        let bytes = response(&HttpAnswer { status: 200, body: b"de".to_vec() });
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 200 OK\r\n")
                && text.ends_with("Content-Length: 2\r\nConnection: close\r\n\r\nde")
        );
    }
}
