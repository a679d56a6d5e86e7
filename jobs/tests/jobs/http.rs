//! GETs against servers that answer by a script: right, wrong, hostile.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peerless_core::{Bind, FetchError, IpFamily, Job, JobDone, ResolveFor, Route};
use peerless_jobs::{HttpOptions, Jobs, Options, fetch};

use crate::common::torrent;

/// A server on loopback that answers each connection with `answer`, given the request's head.
struct Server {
    addr: SocketAddr,
    requests: Mutex<Receiver<String>>,
}

fn server(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|len| len > 0) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            // First, so that who has the answer finds the request noted.
            if seen.send(head.clone()).is_err() {
                break;
            }
            answer(&head, &mut stream);
        }
    });
    Server { addr, requests: Mutex::new(requests) }
}

fn constant(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    server(move |_, stream| drop(stream.write_all(&answer)))
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    answer("302 Found", &format!("Location: {to}\r\n"), b"")
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.try_iter().map(|head| head.lines().next().unwrap_or_default().to_owned()).collect()
    }
}

fn announce(url: &str) -> Result<Vec<u8>, FetchError> {
    announce_within(url, Duration::from_secs(5))
}

fn announce_within(url: &str, timeout: Duration) -> Result<Vec<u8>, FetchError> {
    let http = HttpOptions { timeout, body_len_max: 100_000, ..HttpOptions::default() };
    let jobs = Jobs::new(Options { http, ..Options::default() });
    let JobDone::Announced { tier: 3, result, .. } = jobs.run(Job::Announce {
        torrent: torrent(),
        tier: 3,
        route: Route::default(),
        family: IpFamily::V4,
        url: url.to_owned(),
    }) else {
        panic!("another answer")
    };
    result
}

#[test]
fn an_answer_comes_back_whole_and_the_request_is_as_given() {
    let (seen, heads) = channel();
    let server = server(move |head, stream| {
        seen.send(head.to_owned()).unwrap();
        stream.write_all(&answer("200 OK", "", b"d5:peers0:e")).unwrap();
    });
    let path = "/announce?info_hash=%00%ffA~&peer_id=-PL0100-abc&compact=1";
    assert_eq!(announce(&server.url(path)), Ok(b"d5:peers0:e".to_vec()));
    let head = heads.recv().unwrap();
    assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
    let agent = concat!("user-agent: peerless/", env!("CARGO_PKG_VERSION"));
    assert!(head.to_lowercase().contains(agent), "{head}");
}

#[test]
fn answers_without_length_in_chunks_or_in_gzip_are_read() {
    let close = constant("HTTP/1.0 200 OK\r\n\r\nd1:ai1ee");
    assert_eq!(announce(&close.url("/announce")), Ok(b"d1:ai1ee".to_vec()));
    let chunked =
        constant("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nd1:a\r\n4\r\ni1ee\r\n0\r\n\r\n");
    assert_eq!(announce(&chunked.url("/announce")), Ok(b"d1:ai1ee".to_vec()));
    let gzip = constant(answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(b"d1:ai1ee")));
    assert_eq!(announce(&gzip.url("/announce")), Ok(b"d1:ai1ee".to_vec()));
}

#[test]
fn a_failure_in_bencode_counts_whatever_the_status() {
    let server = constant(answer("403 Forbidden", "", b"d14:failure reason2:noe"));
    assert_eq!(announce(&server.url("/announce")), Ok(b"d14:failure reason2:noe".to_vec()));
    assert_eq!(
        fetch(&server.url("/x.torrent"), &Route::default(), &HttpOptions::default()),
        Err(FetchError::Status(403))
    );
    let server = constant(answer("404 Not Found", "", b"<html>"));
    assert_eq!(announce(&server.url("/announce")), Err(FetchError::Status(404)));
}

#[test]
fn what_is_not_http_fails_and_nobody_listening_too() {
    for garbage in
        ["\x00\x01\x02garbage\r\n\r\n", "HTTP/9.9 xx\r\n\r\n", "HTTP/1.1 200 OK\r\n: :\r\n\r\n", ""]
    {
        let server = constant(garbage);
        let result = announce(&server.url("/announce"));
        assert!(matches!(result, Err(FetchError::Failed(_))), "{garbage:?} {result:?}");
    }
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(announce(&format!("http://{addr}/announce")), Err(FetchError::Failed(_))));
}

#[test]
fn a_body_cut_short_is_an_error() {
    let server = constant("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd1:ai1e");
    assert!(matches!(announce(&server.url("/announce")), Err(FetchError::Failed(_))));
}

#[test]
fn endless_bodies_headers_and_bombs_are_cut_off() {
    let body = server(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'd'; 4096]).is_ok() {}
    });
    assert_eq!(announce(&body.url("/announce")), Err(FetchError::TooLong(100_000)));
    let chunks = server(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"5\r\nddddd\r\n").is_ok() {}
    });
    assert_eq!(announce(&chunks.url("/announce")), Err(FetchError::TooLong(100_000)));
    let headers = server(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    assert!(announce(&headers.url("/announce")).is_err());
    let bomb = constant(answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(&vec![b'd'; 5_000_000])));
    assert_eq!(announce(&bomb.url("/announce")), Err(FetchError::TooLong(100_000)));
    let broken = constant(answer("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8bnonsense"));
    assert!(matches!(announce(&broken.url("/announce")), Err(FetchError::Failed(_))));
}

#[test]
fn time_is_bounded_for_everything_together() {
    fn trickle(stream: &mut TcpStream, start: &[u8]) {
        let _ = stream.write_all(start);
        while stream.write_all(b"d").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let silent = server(|_, stream| drop(stream.read(&mut [0])));
    let slow_head = server(|_, stream| trickle(stream, b"HTTP/1.1 200 OK\r\nX: "));
    let slow_body = server(|_, stream| trickle(stream, b"HTTP/1.1 200 OK\r\n\r\n"));
    for server in [silent, slow_head, slow_body] {
        let start = Instant::now();
        let result = announce_within(&server.url("/announce"), Duration::from_millis(300));
        assert_eq!(result, Err(FetchError::Timeout));
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn redirects_are_followed_to_trackers_and_no_further() {
    let tracker = constant(answer("200 OK", "", b"de"));
    let to = tracker.url("/announce?a=b");
    let good = constant(redirect(&to));
    assert_eq!(announce(&good.url("/announce")), Ok(b"de".to_vec()));
    assert_eq!(tracker.requests(), ["GET /announce?a=b HTTP/1.1"]);
    for to in [tracker.url("/admin?delete=all"), format!("http://localhost:{}/admin", tracker.addr.port())] {
        let result = announce(&constant(redirect(&to)).url("/announce"));
        assert!(matches!(result, Err(FetchError::Redirect(_))), "{to} {result:?}");
    }
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/announce", "gopher://x/announce", "http://", "\u{1}"] {
        let result = announce(&constant(redirect(to)).url("/announce"));
        assert!(matches!(result, Err(FetchError::Redirect(_) | FetchError::Failed(_))), "{to} {result:?}");
    }
    assert_eq!(tracker.requests(), [""; 0]);
    let lost = constant(answer("301 Moved", "", b""));
    assert_eq!(announce(&lost.url("/announce")), Err(FetchError::Status(301)));
}

#[test]
fn a_redirect_loop_ends_after_five() {
    let server = constant(redirect("/announce"));
    assert!(matches!(announce(&server.url("/announce")), Err(FetchError::Redirect(_))));
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_torrent_names_no_other_service_of_this_machine_but_a_user_may() {
    let server = constant(answer("200 OK", "", b"d4:infode"));
    for url in [server.url("/x.torrent"), format!("http://[::ffff:127.0.0.1]:{}/x", server.addr.port())] {
        assert!(matches!(announce(&url), Err(FetchError::Url(_))), "{url}");
    }
    assert_eq!(server.requests(), [""; 0]);
    assert_eq!(announce(&server.url("/announce/key")), Ok(b"d4:infode".to_vec()));
    let redirect = constant(redirect(&server.url("/x.torrent")));
    assert_eq!(
        fetch(&redirect.url("/y"), &Route::default(), &HttpOptions::default()),
        Ok(b"d4:infode".to_vec())
    );
}

#[test]
fn a_tracker_that_the_user_named_may_be_anywhere_and_a_torrents_not_beside_it() {
    let server = constant(answer("200 OK", "", b"de"));
    let user_trackers = vec![server.url("/x/\u{e4}?key=1#f"), server.url("/y/announce"), server.url("/z")];
    let http = HttpOptions { user_trackers, ..HttpOptions::default() };
    let jobs = Jobs::new(Options { http, ..Options::default() });
    let announce = |path: &str| {
        let (torrent, url) = (torrent(), server.url(path));
        let done =
            jobs.run(Job::Announce { torrent, tier: 0, route: Route::default(), family: IpFamily::V4, url });
        let JobDone::Announced { result, .. } = done else { panic!("another answer") };
        result
    };
    for path in ["/x/%C3%A4?key=1&info_hash=a", "/y/announce?info_hash=a&port=1", "/z?info_hash=a"] {
        assert_eq!(announce(path), Ok(b"de".to_vec()), "{path}");
    }
    let scrape = Job::Scrape { number: 1, route: Route::default(), url: server.url("/y/scrape?info_hash=a") };
    assert!(matches!(jobs.run(scrape), JobDone::Scraped { number: 1, result: Ok(body) } if body == b"de"));
    for path in
        ["/x/%C3%A4?key=2&info_hash=a", "/z?delete=all&info_hash=a", "/z/a?info_hash=a", "/zz?info_hash=a"]
    {
        assert!(matches!(announce(path), Err(FetchError::Url(_))), "{path}");
    }
}

#[test]
fn what_is_no_url_of_http_is_refused() {
    for url in ["", "x", "udp://tracker:80/announce", "file:///etc/passwd", "http://", "http://a b/announce"]
    {
        assert!(matches!(announce(url), Err(FetchError::Url(_))), "{url}");
    }
}

#[test]
fn tls_is_checked() {
    let server = server(|_, stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nde")));
    let url = format!("https://{}/announce", server.addr);
    assert!(announce_within(&url, Duration::from_millis(300)).is_err());
    let ca_file = Some("/does/not/exist".into());
    let result = fetch(&url, &Route::default(), &HttpOptions { ca_file, ..HttpOptions::default() });
    assert!(matches!(result, Err(FetchError::Failed(why)) if why.contains("/does/not/exist")));
}

#[test]
fn a_get_leaves_from_the_address_that_is_bound_or_not_at_all() {
    let from = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&from);
    let server = server(move |_, stream| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap().ip());
        drop(stream.write_all(&answer("200 OK", "", b"de")));
    });
    let of = |ip: &str| {
        let route = Bind::to(ip.parse().unwrap()).into();
        fetch(&server.url("/x"), &route, &HttpOptions::default())
    };
    assert_eq!(of("127.0.0.77"), Ok(b"de".to_vec()));
    assert_eq!(*from.lock().unwrap(), ["127.0.0.77".parse::<IpAddr>().unwrap()]);
    // Of the block for documentation: nobody has it.
    assert!(matches!(of("192.0.2.1"), Err(FetchError::Failed(_))));
    assert_eq!(of("::1"), Err(FetchError::NoAddress), "the other family");
    assert_eq!(from.lock().unwrap().len(), 1);
}

#[test]
fn an_address_is_checked_by_binding_to_it() {
    let jobs = Jobs::new(Options::default());
    for (ip, is_ours) in [([127, 0, 0, 1], true), ([192, 0, 2, 1], false)] {
        let JobDone::BindChecked { result } = jobs.run(Job::CheckBind { ip: ip.into() }) else { panic!() };
        assert_eq!(result.is_ok(), is_ours, "{result:?}");
    }
}

#[test]
fn hosts_are_looked_up_with_their_port() {
    let jobs = Jobs::new(Options::default());
    let job = Job::Resolve {
        whom: ResolveFor::Peer(torrent()),
        bind: Bind::ANY,
        host: "127.0.0.1".to_owned(),
        port: 7,
    };
    let JobDone::Resolved { host, port: 7, result, .. } = jobs.run(job) else { panic!("another answer") };
    assert_eq!((host.as_str(), result), ("127.0.0.1", Ok(vec!["127.0.0.1:7".parse().unwrap()])));
}

/// Packs as a server would.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
