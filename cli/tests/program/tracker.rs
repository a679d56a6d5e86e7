//! The tracker over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

pub(crate) struct Tracker {
    child: Child,
    /// Of HTTP and UDP alike.
    pub(crate) addr: String,
}

impl Tracker {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_peerless"))
            .args(["tracker", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let addr = url.trim_end().strip_prefix("http://").unwrap().strip_suffix("/announce").unwrap();
        let addr = addr.to_owned();
        Self { child, addr }
    }

    fn send(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    fn get(&self, target: &str) -> String {
        let answer = self.send(&format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"));
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn announce(&self, port: u16, left: u32) -> String {
        let hash = "%AB".repeat(20);
        let peer_id = format!("-XX0000-{port:012}");
        self.get(&format!(
            "/announce?info_hash={hash}&peer_id={peer_id}&port={port}&uploaded=0&downloaded=0&left={left}&event=started&compact=1"
        ))
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn peers_find_one_another_and_are_counted() {
    let tracker = Tracker::start();
    assert!(tracker.announce(7001, 0).starts_with("HTTP/1.1 200 OK\r\n"));
    let answer = tracker.announce(7002, 5);
    assert!(answer.contains("5:peers6:\u{7f}\0\0\u{1}\u{1b}Y"), "{answer:?}");
    let scrape = tracker.get(&format!("/scrape?info_hash={}", "%AB".repeat(20)));
    assert!(scrape.contains("8:completei1e") && scrape.contains("10:incompletei1e"), "{scrape:?}");
}

#[test]
fn a_scrape_over_both_protocols_and_runtimes_has_the_counts() {
    let tracker = Tracker::start();
    tracker.announce(7001, 0);
    tracker.announce(7002, 5);
    let folder = crate::common::Folder::new();
    let hash = "ab".repeat(20);
    let (http, udp) = (format!("http://{}/announce", tracker.addr), format!("udp://{}", tracker.addr));
    for runtime in ["mio", "smol"] {
        let args = ["scrape", &hash, "--tracker", &http, "--tracker", &udp, "--runtime", runtime];
        let counts = "1 seeds, 1 leeches, 0 downloaded";
        assert_eq!(folder.run(&args).done(), format!("{http}: {counts}\n{udp}: {counts}\n"));
    }
    let bad = format!("http://{}/elsewhere", tracker.addr);
    let args = ["scrape", &hash, "--json", "--tracker", &udp, "--tracker", &bad];
    let json = folder.run(&args).json();
    assert_eq!((&json["trackers"][0]["seeds"], &json["trackers"][1]["ok"]), (&1.into(), &false.into()));
    folder.run(&["scrape", &hash, "--tracker", &bad]).failed(6, "no tracker answers");
    folder.run(&["scrape", &hash]).failed(1, "names no tracker");
}

#[test]
fn garbage_is_answered_and_does_not_end_it() {
    let tracker = Tracker::start();
    assert!(tracker.get("/").starts_with("HTTP/1.1 404 "));
    assert!(tracker.get("/announce").contains("failure reason"));
    assert!(tracker.send("\x13BitTorrent protocol\r\n\r\n").starts_with(b"HTTP/1.1 400 "));
    assert!(tracker.send("POST /announce HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 405 "));
    assert!(tracker.announce(7001, 0).contains("8:interval"));
}

#[test]
fn a_port_that_is_taken_for_datagrams_is_code_6() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap().to_string();
    crate::common::Folder::new().run(&["tracker", "--listen", &addr]).failed(6, &addr);
}

#[test]
fn an_address_that_is_taken_is_code_6() {
    let tracker = Tracker::start();
    crate::common::Folder::new().run(&["tracker", "--listen", &tracker.addr]).failed(6, &tracker.addr);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_success() {
    let mut tracker = Tracker::start();
    let id = tracker.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(tracker.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let tracker = Tracker::start();
    let crowd: Vec<_> = (0..600).map(|_| TcpStream::connect(&tracker.addr).unwrap()).collect();
    let began_at = std::time::Instant::now();
    assert!(tracker.announce(7001, 0).starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(began_at.elapsed() < std::time::Duration::from_secs(5), "it waited for the crowd");
    drop(crowd);
}
