//! Runs from web seeds that answer by a script: right, wrong, hostile.

use std::io::{BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peerless_core::{FetchError, FetchFailure, FetchPart, Job, JobDone, Route};
use peerless_jobs::{HttpOptions, Jobs, Options};

use crate::common::torrent;

const LEN: usize = 100_000;

fn file() -> Vec<u8> {
    (0..LEN).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect()
}

/// A server that keeps its connections and answers a request for a target and range with `answer`.
struct Server {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
}

type Range = (usize, usize);

fn server(answer: impl Fn(&str, Range, &mut TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, answer) = (Arc::clone(&connections), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream, &*answer));
        }
    });
    Server { addr, connections }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, Range, &mut TcpStream)) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(request)) = lines.next() {
        let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut range = (0, 0);
        for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
            if let Some(bytes) = line.to_lowercase().strip_prefix("range: bytes=") {
                let (first, last) = bytes.split_once('-').unwrap();
                range = (first.parse().unwrap(), last.parse().unwrap());
            }
        }
        answer(&target, range, &mut stream);
    }
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    // A client that has enough may have left.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

fn send_range(stream: &mut TcpStream, (first, last): Range, total: usize, body: &[u8]) {
    send(stream, "206 Partial Content", &format!("Content-Range: bytes {first}-{last}/{total}\r\n"), body);
}

fn good() -> Server {
    server(|_, (first, last), stream| send_range(stream, (first, last), LEN, &file()[first..=last]))
}

fn jobs() -> Jobs {
    let http = HttpOptions { timeout: Duration::from_secs(2), ..HttpOptions::default() };
    Jobs::new(Options { http, ..Options::default() })
}

fn part(url: &str, begin: u64, len: u64) -> FetchPart {
    FetchPart { url: Some(url.to_owned()), begin, len, file_len: LEN as u64 }
}

/// The bytes of the whole blocks that came, and how it ended.
fn fetch(jobs: &Jobs, parts: Vec<FetchPart>, block_lens: &[u32]) -> (Vec<u8>, Result<(), FetchFailure>) {
    let block_lens = block_lens.to_vec();
    let job = Job::Fetch { torrent: torrent(), seed: 1, run: 2, route: Route::default(), parts, block_lens };
    let JobDone::Fetched { seed: 1, run: 2, blocks, result, .. } = jobs.run(job) else {
        panic!("another answer")
    };
    (blocks.into_iter().flat_map(peerless_core::block::Block::into_vec).collect(), result)
}

fn failure(server: &Server, target: &str) -> FetchFailure {
    let url = format!("http://{}{target}", server.addr);
    let (bytes, result) = fetch(&jobs(), vec![part(&url, 1000, 500)], &[500]);
    assert!(bytes.is_empty());
    result.unwrap_err()
}

#[test]
fn runs_come_over_one_connection_with_files_and_padding_in_order() {
    let server = good();
    let jobs = jobs();
    let url = format!("http://{}/a%20b", server.addr);
    for _ in 0..3 {
        let padding = FetchPart { url: None, begin: 0, len: 30, file_len: 30 };
        let parts = vec![part(&url, 99_900, 100), padding, part(&url, 0, 70)];
        let (bytes, result) = fetch(&jobs, parts, &[90, 60, 50]);
        assert_eq!(result, Ok(()));
        assert!(bytes == [&file()[99_900..], &[0; 30], &file()[..70]].concat());
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_without_ranges_is_read_from_its_beginning() {
    let server = server(|_, _, stream| send(stream, "200 OK", "", &file()));
    let url = format!("http://{}/f", server.addr);
    for begin in [0, 60_000] {
        let (bytes, result) = fetch(&jobs(), vec![part(&url, begin, 500)], &[300, 200]);
        let begin = usize::try_from(begin).unwrap();
        assert!(result == Ok(()) && bytes == file()[begin..begin + 500]);
    }
}

#[test]
fn redirects_are_followed_five_times() {
    let good = good();
    let (to, hops) = (format!("http://{}/f", good.addr), AtomicUsize::new(0));
    let server = server(move |target, _, stream| {
        let left: usize = target.trim_start_matches('/').parse().unwrap();
        hops.fetch_add(1, Ordering::SeqCst);
        let to = if left == 1 { to.clone() } else { format!("/{}", left - 1) };
        send(stream, "302 Found", &format!("Location: {to}\r\n"), b"");
    });
    let jobs = jobs();
    let url = |count| format!("http://{}/{count}", server.addr);
    let (bytes, result) = fetch(&jobs, vec![part(&url(5), 10, 20)], &[20]);
    assert!(result == Ok(()) && bytes == file()[10..30]);
    let (_, result) = fetch(&jobs, vec![part(&url(6), 10, 20)], &[20]);
    assert!(matches!(result.unwrap_err().error, FetchError::Redirect(_)));
}

#[test]
fn failures_are_told_with_the_time_to_wait() {
    let busy = server(|_, _, stream| send(stream, "503 Busy", "Retry-After: 77\r\n", b"no"));
    let after = Some(Duration::from_secs(77));
    assert_eq!(failure(&busy, "/"), FetchFailure { error: FetchError::Status(503), retry_after: after });
    let gone = server(|_, _, stream| send(stream, "404 Not Found", "", b"no"));
    assert_eq!(failure(&gone, "/"), FetchFailure { error: FetchError::Status(404), retry_after: None });
}

#[test]
fn answers_of_another_file_are_refused() {
    let other_len = server(|_, (a, b), stream| send_range(stream, (a, b), LEN + 1, &file()[a..=b]));
    let other_range = server(|_, (a, b), stream| send_range(stream, (a + 1, b + 1), LEN, &file()[a..=b]));
    let no_range = server(|_, (a, b), stream| send(stream, "206 Partial Content", "", &file()[a..=b]));
    let shorter = server(|_, _, stream| send(stream, "200 OK", "", &file()[1..]));
    let packed = server(|_, (a, b), stream| {
        let headers = format!("Content-Range: bytes {a}-{b}/{LEN}\r\nContent-Encoding: br\r\n");
        send(stream, "206 Partial Content", &headers, &file()[a..=b]);
    });
    for server in [&other_len, &other_range, &no_range, &shorter] {
        assert!(matches!(failure(server, "/").error, FetchError::Unfit(_)));
    }
    assert!(matches!(failure(&packed, "/").error, FetchError::Failed(_) | FetchError::Unfit(_)));
}

#[test]
fn what_came_before_the_end_is_kept() {
    let server = server(|_, (first, last), stream| {
        let head = format!("Content-Range: bytes {first}-{last}/{LEN}\r\nContent-Length: 500\r\n");
        let _ = stream.write_all(format!("HTTP/1.1 206 P\r\n{head}\r\n").as_bytes());
        let _ = stream.write_all(&file()[first..first + 250]);
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let url = format!("http://{}/f", server.addr);
    let (bytes, result) = fetch(&jobs(), vec![part(&url, 0, 500)], &[100; 5]);
    assert!(bytes == file()[..200] && result.is_err());
}

#[test]
fn an_endless_answer_is_read_as_far_as_was_asked() {
    for status in ["206 Partial Content", "200 OK"] {
        let endless = server(move |_, (first, last), stream| {
            let range = format!("Content-Range: bytes {first}-{last}/{LEN}\r\n");
            let range = if status.starts_with("206") { range } else { String::new() };
            let _ =
                stream.write_all(format!("HTTP/1.1 {status}\r\n{range}Connection: close\r\n\r\n").as_bytes());
            while stream.write_all(&[7; 4096]).is_ok() {}
        });
        let url = format!("http://{}/x", endless.addr);
        let (bytes, result) = fetch(&jobs(), vec![part(&url, 20_000, 1000)], &[600, 400]);
        assert!(result.is_ok() && bytes == [7; 1000], "{status}: {result:?}");
    }
}

#[test]
fn headers_without_end_and_redirects_in_a_ring_are_given_up() {
    let headers = server(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 206 Partial Content\r\nX: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let slow = server(|_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 206 Partial Content\r\nX: ");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let ring =
        server(|target, _, stream| send(stream, "302 Found", &format!("Location: {target}x\r\n"), b""));
    for (name, server) in [("headers", headers), ("slow", slow), ("ring", ring)] {
        let began_at = std::time::Instant::now();
        let (bytes, result) =
            fetch(&jobs(), vec![part(&format!("http://{}/x", server.addr), 0, 100)], &[100]);
        assert!(bytes.is_empty() && result.is_err(), "{name}: {result:?}");
        assert!(began_at.elapsed() < Duration::from_secs(10), "{name}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = server(|_, _, _| {});
    assert_eq!(failure(&server, "/").error, FetchError::Timeout);
}

#[test]
fn no_query_is_sent_to_a_near_host() {
    let server = good();
    assert!(matches!(failure(&server, "/f?delete=all").error, FetchError::Url(_)));
    let near = format!("http://{}/f", server.addr);
    assert_eq!(fetch(&jobs(), vec![part(&near, 0, 9)], &[9]).1, Ok(()));
    let (_, ftp) = fetch(&jobs(), vec![part("ftp://127.0.0.1/f", 0, 9)], &[9]);
    assert!(matches!(ftp.unwrap_err().error, FetchError::Url(_)));
}
