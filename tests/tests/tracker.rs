//! What a session tells its trackers and how it bears with them.

use std::time::Duration;

use peerless_core::{Config, Event};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::tracker::{Announce, Mood};

const MINUTE: Duration = Duration::from_secs(60);
const TOTAL: usize = 300_000;

/// A seed and a leech of a torrent with these tiers; each tracker has the mood that is named.
fn pair(tiers: &[&[&str]], moods: &[(&str, Mood)]) -> (Swarm, NodeId, NodeId) {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, tiers);
    let mut swarm = Swarm::new(1, Net::default());
    for (host, mood) in moods {
        swarm.tracker(host).mood = mood.clone();
    }
    let seed = swarm.add_seed(&sample);
    let leech = swarm.add_leech(&sample, &[]);
    (swarm, seed, leech)
}

fn announces(swarm: &Swarm, host: &str, node: NodeId) -> Vec<Announce> {
    let from = swarm.addr(node);
    let log = swarm.trackers.get(host).map(|tracker| tracker.log.clone()).unwrap_or_default();
    log.into_iter().filter(|announce| announce.from == from).collect()
}

#[test]
fn started_completed_and_stopped_are_told_once_with_the_right_figures() {
    let (mut swarm, seed, leech) = pair(&[&["http://t/announce"]], &[]);
    assert!(swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1));
    swarm.run_for(MINUTE);
    for node in [leech, seed] {
        swarm.shut_down(node);
        let ended = swarm.run_until(Duration::from_secs(3), |swarm| swarm.host(node).session.is_shut_down());
        assert!(ended, "{node:?} does not end");
    }
    let told = |node| {
        let told = announces(&swarm, "t", node).into_iter();
        told.map(|a| (a.event, a.downloaded, a.left)).collect::<Vec<_>>()
    };
    let event = |event: &str, downloaded, left| (event.to_owned(), downloaded, left);
    let total = TOTAL as u64;
    assert_eq!(
        told(leech),
        [event("started", 0, total), event("completed", total, 0), event("stopped", total, 0)]
    );
    assert_eq!(told(seed), [event("started", 0, 0), event("stopped", 0, 0)]);
    let up: Vec<u64> = announces(&swarm, "t", seed).iter().map(|announce| announce.uploaded).collect();
    assert_eq!(up, [0, total]);
}

#[test]
fn regular_announces_keep_the_interval() {
    let (mut swarm, seed, _) = pair(&[&["http://t/announce"]], &[]);
    swarm.tracker("t").interval = 300;
    swarm.run_for(30 * MINUTE);
    let at: Vec<u64> =
        announces(&swarm, "t", seed).iter().map(|announce| announce.at.since_start().as_secs()).collect();
    assert!((6..=8).contains(&at.len()), "{at:?}");
    assert!(at.windows(2).all(|pair| (270..=360).contains(&(pair[1] - pair[0]))), "{at:?}");
}

#[test]
fn an_interval_of_zero_or_less_does_not_make_it_announce_all_the_time() {
    for interval in [0, -1, i64::MIN] {
        let (mut swarm, seed, _) = pair(&[&["http://t/announce"]], &[]);
        swarm.tracker("t").interval = interval;
        swarm.run_for(10 * MINUTE);
        let count = announces(&swarm, "t", seed).len();
        assert!((2..=11).contains(&count), "{count} announces in ten minutes with interval {interval}");
    }
}

#[test]
fn the_next_of_a_tier_is_asked_when_one_is_down_and_then_stays() {
    let tiers: &[&[&str]] = &[&["http://down/announce", "http://up/announce"]];
    let (mut swarm, seed, leech) = pair(tiers, &[("down", Mood::Down)]);
    swarm.tracker("up").interval = 120;
    assert!(swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1));
    let before = swarm.trackers["down"].try_count;
    assert!(before <= 2, "{before} tries");
    swarm.run_for(10 * MINUTE);
    assert_eq!(swarm.trackers["down"].try_count, before, "the one that works is at the front");
    assert!(announces(&swarm, "up", leech).len() >= 5 && announces(&swarm, "up", seed).len() >= 5);
}

#[test]
fn a_tracker_that_is_down_is_asked_ever_more_rarely_and_found_again() {
    let (mut swarm, _, leech) = pair(&[&["http://t/announce"]], &[("t", Mood::Down)]);
    let mut tries = Vec::new();
    for _ in 0..12 {
        swarm.run_for(5 * MINUTE);
        tries.push(swarm.trackers["t"].try_count);
    }
    // Two sessions, an hour: by doubling from a quarter of a minute to half an hour.
    let all = *tries.last().expect("twelve");
    assert!((8..=24).contains(&all), "{all} tries of two in an hour");
    assert!(tries[11] - tries[8] <= tries[0] / 2, "later tries are rarer: {tries:?}");
    swarm.tracker("t").mood = Mood::Fine;
    assert!(swarm.run_until(120 * MINUTE, |swarm| swarm.complete_count() == 1), "it never recovered");
    assert!(!announces(&swarm, "t", leech).is_empty());
}

#[test]
fn a_failure_reason_is_told_and_ends_nothing() {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["http://t/announce"]]);
    let mut swarm = Swarm::new(1, Net::default());
    swarm.tracker("t").mood = Mood::Refuses("not registered");
    let seed = swarm.add_seed(&sample);
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    assert!(swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1));
    let told = swarm.host(leech).count(
        |event| matches!(event, Event::Tracker { result: Err(why), .. } if why.contains("not registered")),
    );
    assert!(told >= 1, "{:#?}", swarm.host(leech).events);
}

#[test]
fn garbage_from_a_tracker_ends_nothing() {
    let deep = [vec![b'l'; 10_000], vec![b'e'; 10_000]].concat();
    let many = [&b"d5:peers1200000:"[..], &[7; 1_200_000], b"e"].concat();
    let bodies: [&[u8]; 10] = [
        b"",
        b"<html>not found</html>",
        b"d",
        b"de",
        b"i1e",
        b"d8:intervali99999999999999999999e5:peers0:e",
        b"d5:peersi7ee",
        b"d5:peersld2:ipi1e4:port1:xedeelee",
        &deep,
        &many,
    ];
    for body in bodies {
        let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["http://t/announce"]]);
        let mut swarm = Swarm::new(1, Net::default());
        swarm.tracker("t").mood = Mood::Says(body.to_vec());
        let seed = swarm.add_seed(&sample);
        let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
        let done = swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1);
        let start = &body[..body.len().min(40)];
        assert!(done, "{}: {:#?}", start.escape_ascii(), swarm.host(leech).events);
        swarm.run_for(10 * MINUTE);
        let tries = swarm.trackers["t"].try_count;
        assert!(tries <= 24, "{}: {tries} tries", start.escape_ascii());
    }
}

#[test]
fn stopped_is_not_waited_for_long() {
    let sample = Sample::with_trackers(1, TOTAL, 32_768, &[&["http://t/announce"]]);
    let mut swarm = Swarm::new(1, Net::default());
    let node = swarm.add_host(Config::default(), Speed::default());
    swarm.host_mut(node).disk.insert_full(&sample);
    swarm.start(node, &sample, Role::seed());
    swarm.run_for(MINUTE);
    swarm.net.tracker_delay = 60 * MINUTE..61 * MINUTE;
    swarm.shut_down(node);
    let ended = swarm.run_until(Duration::from_secs(1), |swarm| swarm.host(node).session.is_shut_down());
    assert!(ended, "a tracker that hangs holds up the end");
}
