//! Swarms that find each other through UDP trackers, over a network that loses datagrams.

use std::net::IpAddr;
use std::time::Duration;

use peerless_core::tracker::SwarmCounts;
use peerless_core::{Config, Event, Instant};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::Swarm;
use peerless_sim::tracker::Mood;

const MINUTE: Duration = Duration::from_secs(60);
const TOTAL: usize = 300_000;
const ADDR: &str = "192.0.2.1:6969";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn swarm(seed: u64, loss: usize) -> Swarm {
    let mut swarm = Swarm::new(seed, Net { datagram_loss: loss, ..Net::default() });
    swarm.names.insert("t".into(), vec![ip("192.0.2.1")]);
    swarm.udp_tracker(ADDR);
    swarm
}

/// A seed, and a leech that it has to be found by.
fn pair(swarm: &mut Swarm, tiers: &[&[&str]]) -> (NodeId, NodeId) {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, tiers);
    (swarm.add_seed(&sample), swarm.add_leech(&sample, &[]))
}

fn peer_count(swarm: &Swarm) -> usize {
    swarm.udp_trackers[&ADDR.parse().expect("an address")].server.peer_count()
}

fn came_at(swarm: &Swarm, node: NodeId) -> Vec<u64> {
    let log = &swarm.udp_trackers[&ADDR.parse().expect("an address")].log;
    let from = swarm.addr(node);
    log.iter().filter(|(_, who)| *who == from).map(|(at, _)| at.since_start().as_secs()).collect()
}

#[test]
fn peers_find_each_other_and_leave() {
    let mut swarm = swarm(1, 0);
    let (seed, leech) = pair(&mut swarm, &[&["udp://t:6969/announce"]]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
    assert_eq!(peer_count(&swarm), 2);
    for node in [seed, leech] {
        swarm.shut_down(node);
        let ended = swarm.run_until(Duration::from_secs(2), |swarm| swarm.host(node).session.is_shut_down());
        assert!(ended, "{node:?} does not end");
    }
    assert_eq!(peer_count(&swarm), 0, "the tracker is told that they leave");
}

#[test]
fn lost_datagrams_are_sent_again() {
    for number in 0..20 {
        let mut swarm = swarm(number, 300);
        pair(&mut swarm, &[&["udp://t:6969"]]);
        let done = swarm.run_until(120 * MINUTE, |swarm| swarm.complete_count() == 1);
        assert!(done, "number {number}: no peers in two hours with every third datagram lost");
    }
}

#[test]
fn a_silent_tracker_is_asked_ever_more_rarely_and_found_again() {
    let mut swarm = swarm(1, 0);
    swarm.udp_tracker(ADDR).down = true;
    let (_, leech) = pair(&mut swarm, &[&["udp://t:6969"]]);
    swarm.run_for(60 * MINUTE);
    let at = came_at(&swarm, leech);
    let gaps: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [15, 30, 60, 120, 240, 480, 960], "{at:?}");
    let told = swarm.host(leech).count(
        |event| matches!(event, Event::Tracker { result: Err(why), .. } if why.contains("no answer so far")),
    );
    assert_eq!(told, 7);
    swarm.udp_tracker(ADDR).down = false;
    assert!(swarm.run_until(60 * MINUTE, |swarm| swarm.complete_count() == 1), "it never recovered");
}

#[test]
fn other_tiers_go_on_and_the_next_of_the_same_is_asked_soon() {
    let mut swarm = swarm(1, 0);
    swarm.udp_tracker(ADDR).down = true;
    let (_, leech) = pair(&mut swarm, &[&["udp://t:6969"], &["http://h/announce"]]);
    assert!(swarm.run_until(MINUTE / 4, |swarm| swarm.complete_count() == 1), "the other tier waits");
    assert!(!came_at(&swarm, leech).is_empty());

    // Whichever of the tier comes first, the one that works is reached.
    for number in 0..6 {
        let mut swarm = self::swarm(number, 0);
        swarm.udp_tracker(ADDR).down = true;
        pair(&mut swarm, &[&["udp://t:6969", "http://h/announce"]]);
        assert!(swarm.run_until(3 * MINUTE, |swarm| swarm.complete_count() == 1), "number {number}");
    }
    let mut swarm = self::swarm(1, 0);
    swarm.tracker("h").mood = Mood::Down;
    pair(&mut swarm, &[&["http://h/announce", "udp://t:6969"]]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
}

#[test]
fn a_family_that_leads_nowhere_harms_nothing() {
    let mut swarm = swarm(1, 0);
    swarm.names.insert("both".into(), vec![ip("2001:db8::1"), ip("192.0.2.1")]);
    let (_, leech) = pair(&mut swarm, &[&["udp://both:6969"]]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
    swarm.run_for(60 * MINUTE);
    let failed = swarm.host(leech).count(|event| matches!(event, Event::Tracker { result: Err(_), .. }));
    assert_eq!(failed, 0, "{:#?}", swarm.host(leech).events);
    assert!(came_at(&swarm, leech).len() <= 8, "{:?}", came_at(&swarm, leech));
}

#[test]
fn a_removed_torrent_sends_nothing_more() {
    let mut swarm = swarm(1, 0);
    swarm.udp_tracker(ADDR).down = true;
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["udp://t:6969"]]);
    let node = swarm.add_host(Config::default(), Speed::default());
    swarm.host_mut(node).disk.insert(&sample);
    let torrent = swarm.start(node, &sample, peerless_sim::swarm::Role::leech(&[]));
    swarm.run_for(MINUTE);
    let before = came_at(&swarm, node).len();
    assert!(before > 1);
    let now = swarm.now();
    swarm.host_mut(node).session.remove_torrent(now, torrent);
    swarm.settle(node);
    swarm.run_for(60 * MINUTE);
    assert_eq!(came_at(&swarm, node).len(), before);
    assert_eq!(swarm.host(node).session.poll_timeout(), None::<Instant>, "nothing is waited for");
}

#[test]
fn a_session_without_torrents_scrapes() {
    let mut swarm = swarm(1, 0);
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["udp://t:6969"]]);
    swarm.add_seed(&sample);
    swarm.run_for(MINUTE);
    let node = swarm.add_host(Config::default(), Speed::default());
    let (now, hash) = (swarm.now(), sample.metainfo.info_hash());
    for url in ["udp://t:6969/announce", "udp://nowhere:1", "ws://t"] {
        swarm.host_mut(node).session.scrape(now, url.into(), vec![hash]);
    }
    swarm.settle(node);
    swarm.run_for(MINUTE);
    let scraped: Vec<_> = swarm.host(node).events.iter().map(|(_, event)| format!("{event:?}")).collect();
    let counts = SwarmCounts { seeds: 1, leeches: 0, downloaded: 0 };
    let want = [
        r#"Scraped { url: "ws://t", result: Err("not an http, https or udp tracker") }"#.to_owned(),
        r#"Scraped { url: "udp://nowhere:1", result: Err("no such name") }"#.to_owned(),
        format!(r#"Scraped {{ url: "udp://t:6969/announce", result: Ok([{counts:?}]) }}"#),
    ];
    for event in want {
        assert!(scraped.contains(&event), "{event} is not in {scraped:?}");
    }
}
