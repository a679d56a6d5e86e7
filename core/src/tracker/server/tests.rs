//! The tracker as its clients see it.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Announcing, TrackerOptions, TrackerServer};
use crate::family::IpFamily;
use crate::id::{InfoHash, PeerId};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::udp::{Announce, Answer, Call, connect};
use crate::tracker::{
    AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, SwarmCounts, announce_url,
    parse_announce,
};

const HASH: InfoHash = InfoHash::new([b'&'; 20]);

/// A tracker with a clock.
struct Bench {
    server: TrackerServer,
    rng: Rng,
    now: Instant,
}

fn bench(swarm_count_max: usize, peer_count_max: usize) -> Bench {
    let options = TrackerOptions {
        interval: Duration::from_secs(60),
        swarm_count_max,
        peer_count_max,
        swarm_len_max: peer_count_max,
        host_len_max: peer_count_max,
    };
    Bench { server: TrackerServer::new(options, [7; 32]), rng: Rng::new(1), now: Instant::START }
}

impl Bench {
    fn get(&mut self, from: &str, target: &str) -> String {
        let from = from.parse().unwrap();
        let answer = self.server.handle_http(self.now, &mut self.rng, from, target);
        assert_eq!(answer.status, 200);
        answer.body.escape_ascii().to_string()
    }

    fn announce(
        &mut self,
        from: &str,
        request: &AnnounceRequest<'_>,
    ) -> Result<AnnounceResponse, AnnounceError> {
        let url = announce_url("/announce", request);
        let answer = self.server.handle_http(self.now, &mut self.rng, from.parse().unwrap(), &url);
        parse_announce(&answer.body)
    }

    /// The peers that one at this address and port is told of, sorted.
    fn peers(&mut self, from: &str, port: u16, left: u64) -> Vec<String> {
        let response = self.announce(from, &request(port, left, None)).unwrap();
        let mut peers: Vec<_> = response.peers.iter().map(ToString::to_string).collect();
        peers.sort();
        peers
    }
}

fn request(port: u16, left: u64, event: Option<AnnounceEvent>) -> AnnounceRequest<'static> {
    let mut peer_id = [0; 20];
    peer_id[..2].copy_from_slice(&port.to_be_bytes());
    AnnounceRequest {
        info_hash: HASH,
        peer_id: PeerId::new(peer_id),
        port: Some(port),
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        numwant: 200,
        key: 0,
        tracker_id: None,
    }
}

#[test]
fn peers_are_told_of_each_other_and_never_of_themselves() {
    let mut bench = bench(9, 9);
    assert_eq!(bench.peers("10.0.0.1", 1, 5), [""; 0]);
    assert_eq!(bench.peers("::ffff:10.0.0.2", 2, 0), ["10.0.0.1:1"]);
    assert_eq!(bench.peers("fd00::1", 3, 5), ["10.0.0.1:1", "10.0.0.2:2"]);
    assert_eq!(bench.peers("10.0.0.1", 1, 5), ["10.0.0.2:2", "[fd00::1]:3"]);
    assert_eq!(bench.peers("10.0.0.2", 2, 0), ["10.0.0.1:1", "[fd00::1]:3"]);
    assert_eq!(bench.peers("10.0.0.3", 4, 0), ["10.0.0.1:1", "[fd00::1]:3"], "a seed gets no seed");
    assert_eq!(bench.peers("10.0.0.4", 1, 0), ["[fd00::1]:3"], "its own peer id, on its other address");
}

#[test]
fn stopped_and_silent_peers_are_forgotten() {
    let mut bench = bench(9, 9);
    bench.peers("10.0.0.1", 1, 5);
    bench.peers("10.0.0.2", 2, 5);
    let stopped = bench.announce("10.0.0.1", &request(1, 5, Some(AnnounceEvent::Stopped))).unwrap();
    assert_eq!(stopped.peers, []);
    assert_eq!(bench.peers("10.0.0.3", 3, 5), ["10.0.0.2:2"]);
    bench.now = Instant::from_start(Duration::from_secs(100));
    bench.peers("10.0.0.3", 3, 5);
    bench.now = Instant::from_start(Duration::from_secs(121));
    assert_eq!(bench.peers("10.0.0.4", 4, 5), ["10.0.0.3:3"]);
    bench.now = Instant::from_start(Duration::from_secs(999));
    bench.get("10.0.0.1", "/scrape");
    assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (0, 0));
}

#[test]
fn a_swarm_is_forgotten_with_its_last_peer() {
    let mut bench = bench(1, 9);
    bench.peers("10.0.0.1", 1, 5);
    bench.announce("10.0.0.1", &request(1, 5, Some(AnnounceEvent::Stopped))).unwrap();
    assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (0, 0));
}

#[test]
fn a_scrape_counts() {
    let mut bench = bench(9, 9);
    bench.peers("10.0.0.1", 1, 5);
    bench.peers("10.0.0.2", 2, 0);
    for _ in 0..2 {
        bench.announce("10.0.0.1", &request(1, 0, Some(AnnounceEvent::Completed))).unwrap();
    }
    bench.peers("10.0.0.3", 3, 5);
    let hash = "&".repeat(20);
    let query = format!("info_hash={}", "%26".repeat(20));
    assert_eq!(
        bench.get("10.0.0.9", &format!("/scrape?{query}&info_hash={}", "x".repeat(20))),
        format!(
            "d5:filesd20:{hash}d8:completei2e10:downloadedi1e10:incompletei1eee\
             5:flagsd20:min_request_intervali60eee"
        )
    );
}

#[test]
fn dictionaries_are_for_who_asks() {
    let mut bench = bench(9, 9);
    let hash = format!("info_hash={}", "%26".repeat(20));
    bench.get("10.0.0.1", &format!("/announce?{hash}&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1"));
    bench.get("fd00::1", &format!("/announce?{hash}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=2&left=0"));
    let asker = format!("{hash}&peer_id=cccccccccccccccccccc&port=0&left=1&compact=");
    let front = "d8:completei1e11:external ip4:\\n\\x00\\x00\\x0310:incompletei1e8:intervali60e5:peers";
    assert_eq!(
        bench.get("10.0.0.3", &format!("/announce?{asker}0")),
        format!(
            "{front}ld2:ip8:10.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti1ee\
             d2:ip7:fd00::17:peer id20:bbbbbbbbbbbbbbbbbbbb4:porti2eeee"
        )
    );
    assert_eq!(
        bench.get("10.0.0.3", &format!("/announce?{asker}0&no_peer_id=1")),
        format!("{front}ld2:ip8:10.0.0.14:porti1eed2:ip7:fd00::14:porti2eeee")
    );
    assert_eq!(
        bench.get("10.0.0.3", &format!("/announce?{asker}1&ip=9.9.9.9")),
        format!(
            "{front}6:\\n\\x00\\x00\\x01\\x00\\x016:peers618:\\xfd\\x00{}\\x01\\x00\\x02e",
            "\\x00".repeat(13)
        )
    );
}

#[test]
fn what_is_no_announce_gets_a_reason() {
    let mut bench = bench(9, 9);
    let hash = "info_hash=aaaaaaaaaaaaaaaaaaaa";
    for (target, reason) in [
        ("/announce".to_owned(), "info_hash is missing or not 20 bytes"),
        ("/announce?info_hash=short".to_owned(), "info_hash is missing or not 20 bytes"),
        (format!("/announce?{hash}"), "peer_id is missing or not 20 bytes"),
        (
            format!("/announce?{hash}&peer_id={}&port=65536", "x".repeat(20)),
            "port is missing or not a number from 0 to 65535",
        ),
        ("/scrape".to_owned(), "info_hash is missing or not 20 bytes"),
        ("/scrape?info_hash=%".to_owned(), "info_hash is missing or not 20 bytes"),
    ] {
        let body = format!("d14:failure reason{}:{reason}e", reason.len());
        assert_eq!(bench.get("10.0.0.1", &target), body, "{target}");
    }
    for (target, status) in [("/".to_owned(), 404), (format!("/announce?{}", "x".repeat(9000)), 414)] {
        let from = "10.0.0.1".parse().unwrap();
        assert_eq!(bench.server.handle_http(bench.now, &mut bench.rng, from, &target).status, status);
    }
}

#[test]
fn swarms_and_peers_are_bounded() {
    let mut bench = bench(1, 2);
    let other = AnnounceRequest { info_hash: InfoHash::new([1; 20]), ..request(7, 5, None) };
    bench.peers("10.0.0.1", 1, 5);
    assert!(matches!(bench.announce("10.0.0.1", &other), Err(AnnounceError::Failure { .. })));
    bench.peers("10.0.0.2", 2, 5);
    let third = bench.announce("10.0.0.3", &request(3, 5, None));
    assert!(matches!(third, Err(AnnounceError::Failure { .. })));
    assert_eq!(bench.peers("10.0.0.1", 1, 5), ["10.0.0.2:2"], "who is known may go on");
    assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (2, 1));
}

#[test]
fn numwant_is_kept_to() {
    let mut bench = bench(9, 999);
    for port in 1..=300 {
        bench.peers("10.0.0.1", port, 5);
    }
    for (numwant, count) in [(0, 0), (7, 7), (u32::MAX, 200)] {
        let request = AnnounceRequest { numwant, ..request(1, 5, None) };
        assert_eq!(bench.announce("10.0.0.1", &request).unwrap().peers.len(), count);
    }
}

/// An announce over UDP.
fn udp_announce(port: u16, left: u64, event: Option<AnnounceEvent>, numwant: Option<u32>) -> Call {
    let AnnounceRequest { info_hash, peer_id, .. } = request(port, left, event);
    Call::Announce(Box::new(Announce {
        info_hash,
        peer_id,
        downloaded: 0,
        left,
        uploaded: 0,
        event,
        key: 0,
        numwant,
        port,
        url_data: b"/announce".to_vec(),
    }))
}

impl Bench {
    fn udp(&mut self, from: &str, packet: &[u8]) -> Option<Vec<u8>> {
        self.server.handle_udp(self.now, &mut self.rng, from.parse().unwrap(), packet)
    }

    /// A connection id for who is at this address.
    fn connect(&mut self, from: &str) -> u64 {
        let answer = self.udp(from, &connect(5)).unwrap();
        let family = IpFamily::of(from.parse::<SocketAddr>().unwrap().ip());
        let Some((5, Answer::Connected { connection })) = Answer::parse(&answer, family) else { panic!() };
        connection
    }

    fn call(&mut self, from: &str, call: &Call) -> Answer {
        let connection = self.connect(from);
        let answer = self.udp(from, &call.encode(connection, 6)).unwrap();
        let family = IpFamily::of(from.parse::<SocketAddr>().unwrap().ip());
        let (transaction, answer) = Answer::parse(&answer, family).unwrap();
        assert_eq!(transaction, 6);
        answer
    }

    fn udp_peers(&mut self, from: &str, call: &Call) -> Vec<String> {
        let Answer::Announced(response) = self.call(from, call) else { panic!("another answer") };
        let mut peers: Vec<_> = response.peers.iter().map(ToString::to_string).collect();
        peers.sort();
        peers
    }
}

#[test]
fn peers_over_http_and_udp_are_told_of_each_other_in_their_own_family() {
    let mut bench = bench(9, 9);
    bench.peers("10.0.0.1", 1, 5);
    bench.peers("fd00::1", 2, 0);
    assert_eq!(bench.udp_peers("10.0.0.3:999", &udp_announce(3, 5, None, None)), ["10.0.0.1:1"]);
    assert_eq!(bench.udp_peers("[fd00::4]:999", &udp_announce(4, 5, None, None)), ["[fd00::1]:2"]);
    assert_eq!(
        bench.peers("10.0.0.5", 5, 5),
        ["10.0.0.1:1", "10.0.0.3:3", "[fd00::1]:2", "[fd00::4]:4"],
        "compact answers over HTTP have both"
    );
    let stopped = udp_announce(3, 5, Some(AnnounceEvent::Stopped), None);
    assert_eq!(bench.udp_peers("10.0.0.3:1", &stopped), [""; 0]);
    assert_eq!(bench.peers("10.0.0.5", 5, 0), ["10.0.0.1:1", "[fd00::4]:4"]);
}

#[test]
fn a_scrape_over_udp_counts_in_order() {
    let mut bench = bench(9, 9);
    bench.peers("10.0.0.1", 1, 5);
    bench.peers("10.0.0.2", 2, 0);
    bench.udp_peers("10.0.0.1:5", &udp_announce(1, 0, Some(AnnounceEvent::Completed), None));
    let scrape = Call::Scrape(vec![InfoHash::new([1; 20]), HASH]);
    let known = SwarmCounts { seeds: 2, leeches: 0, downloaded: 1 };
    assert_eq!(bench.call("10.0.0.9:1", &scrape), Answer::Scraped(vec![SwarmCounts::default(), known]));
}

#[test]
fn without_a_connection_id_of_its_own_nobody_gets_an_answer() {
    let mut bench = bench(9, 9);
    let stolen = bench.connect("10.0.0.1:1");
    for (from, connection) in [("10.0.0.2:1", stolen), ("10.0.0.1:1", stolen ^ 1), ("10.0.0.1:1", 0)] {
        let calls = [udp_announce(1, 5, None, None), Call::Scrape(vec![HASH])];
        assert!(calls.iter().all(|call| bench.udp(from, &call.encode(connection, 6)).is_none()));
    }
    assert_eq!(bench.server.peer_count(), 0);
    bench.now = Instant::from_start(Duration::from_secs(60));
    assert!(bench.udp("10.0.0.1:9", &Call::Scrape(vec![HASH]).encode(stolen, 6)).is_some(), "a minute old");
    bench.now = Instant::from_start(Duration::from_secs(240));
    assert!(bench.udp("10.0.0.1:1", &Call::Scrape(vec![HASH]).encode(stolen, 6)).is_none(), "too old");
}

#[test]
fn an_answer_to_who_has_shown_nothing_is_no_longer_than_what_was_asked() {
    let mut bench = bench(9, 9);
    let asked = connect(1);
    assert!(bench.udp("10.0.0.1:1", &asked).unwrap().len() <= asked.len());
    for packet in [&b""[..], b"x", &asked[..15], &[0; 100], b"d1:ad2:id20:abcdefghij01234567896:target"] {
        assert_eq!(bench.udp("10.0.0.1:1", packet), None);
    }
}

#[test]
fn answers_over_udp_fit_into_one_packet() {
    let mut bench = bench(9, 999);
    for port in 1..=300 {
        bench.peers("10.0.0.1", port, 5);
        bench.peers("fd00::1", port, 5);
    }
    for (from, most) in [("10.0.0.9:1", 200), ("[fd00::9]:1", 74)] {
        for (numwant, count) in [(Some(3), 3), (None, 50), (Some(u32::MAX / 2), most), (Some(0), 0)] {
            let call = udp_announce(999, 5, None, numwant);
            assert_eq!(bench.udp_peers(from, &call).len(), count);
            let connection = bench.connect(from);
            assert!(bench.udp(from, &call.encode(connection, 6)).unwrap().len() <= 1400);
        }
    }
}

#[test]
fn a_full_swarm_tells_of_peers_and_takes_no_more() {
    let mut bench = bench(9, 9);
    bench.server.options.swarm_len_max = 2;
    bench.peers("10.0.0.1", 1, 5);
    bench.peers("10.0.0.2", 2, 5);
    assert_eq!(bench.peers("10.0.0.3", 3, 5), ["10.0.0.1:1", "10.0.0.2:2"]);
    assert_eq!(bench.server.peer_count(), 2);
    assert_eq!(bench.peers("10.0.0.2", 2, 5), ["10.0.0.1:1"], "who is known stays known");
}

#[test]
fn a_full_tracker_says_so_over_udp() {
    let mut bench = bench(9, 1);
    bench.peers("10.0.0.1", 1, 5);
    let Answer::Failed(why) = bench.call("10.0.0.2:1", &udp_announce(2, 5, None, None)) else { panic!() };
    assert!(why.contains("too many peers"), "{why}");
}

#[test]
fn a_hundred_thousand_peers_in_a_thousand_swarms_are_served_and_forgotten() {
    let mut server = TrackerServer::new(TrackerOptions::default(), [7; 32]);
    let (mut rng, mut now) = (Rng::new(1), Instant::START);
    let mut announce = |server: &mut TrackerServer, now, peer: u32| {
        let [_, a, b, c] = peer.to_be_bytes();
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&(peer % 1000).to_be_bytes());
        let asked = Announcing {
            info_hash: InfoHash::new(hash),
            peer_id: PeerId::new([1; 20]),
            addr: SocketAddr::from(([10, a, b, c], 6881)),
            seed: peer.is_multiple_of(3),
            event: None,
            count: 50,
            families: &IpFamily::ALL,
        };
        server.announce(now, &mut rng, &asked).unwrap().0
    };
    for peer in 0..100_000 {
        announce(&mut server, now, peer);
    }
    assert_eq!((server.peer_count(), server.swarm_count()), (100_000, 1000));
    now = now + Duration::from_secs(3599);
    let counts = announce(&mut server, now, 5);
    assert_eq!(counts.seeds + counts.leeches, 100);
    now = now + Duration::from_secs(2);
    (0..100_000 / super::FORGET_MAX + 1).for_each(|_| server.forget_silent(now));
    assert_eq!((server.peer_count(), server.swarm_count()), (1, 1));
}

#[test]
fn one_host_does_not_fill_the_tracker() {
    let mut bench = bench(9, 100);
    bench.server.options.host_len_max = 3;
    for from in ["10.0.0.1", "fd00::1"] {
        (1..=3).for_each(|port| drop(bench.peers(from, port, 5)));
    }
    for from in ["10.0.0.1", "fd00::ffff:2"] {
        let refused = bench.announce(from, &request(4, 5, None)).unwrap_err();
        assert!(refused.to_string().contains("of your address"), "{refused}");
    }
    assert_eq!(bench.peers("10.0.0.1", 3, 5).len(), 4, "who is known stays, but for its own id");
    assert_eq!(bench.peers("fd00:0:0:1::1", 9, 5).len(), 6);
    bench.announce("10.0.0.1", &request(1, 5, Some(AnnounceEvent::Stopped))).unwrap();
    bench.peers("10.0.0.1", 4, 5);
    bench.now = Instant::from_start(Duration::from_secs(999));
    bench.get("10.0.0.1", "/scrape");
    assert!(bench.server.host_lens.is_empty() && bench.server.peer_count() == 0);
}

#[test]
fn peers_that_fall_silent_together_are_forgotten_bit_by_bit() {
    let mut bench = bench(9, 1000);
    (1..=1000).for_each(|port| drop(bench.peers("10.0.0.1", port, 5)));
    bench.now = Instant::from_start(Duration::from_secs(999));
    bench.get("10.0.0.1", "/scrape");
    assert_eq!(bench.server.peer_count(), 1000 - super::FORGET_MAX);
    (0..20).for_each(|_| drop(bench.get("10.0.0.1", "/scrape")));
    assert_eq!((bench.server.peer_count(), bench.server.swarm_count()), (0, 0));
}
