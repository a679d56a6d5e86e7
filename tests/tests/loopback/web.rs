//! A web seed on a real socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Serves `bytes` at any path, by ranges and over connections that stay. It ends with the process.
pub(crate) fn serve(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let bytes = bytes.clone();
            thread::spawn(move || answer(stream, &bytes));
        }
    });
    addr
}

/// Answers one request after the other. Who asks may leave at any time.
fn answer(mut stream: TcpStream, bytes: &[u8]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(line) = lines.find(|line| line.to_lowercase().starts_with("range: bytes=")) {
        let (_, range) = line.split_once('=').unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let (len, total) = (last + 1 - first, bytes.len());
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}\r\nContent-Length: {len}\r\n\r\n"
        );
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes[first..=last])).is_err() {
            break;
        }
    }
}
