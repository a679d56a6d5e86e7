//! Whole swarms in memory, under virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::priority::Priority;
use peerless_core::{Check, Choice, Config, DiskErrorKind, Event, TorrentError, replay};
use peerless_sim::disk::Faults;
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::web::{Answer, WebServer};

const MINUTE: Duration = Duration::from_secs(60);

const TRACKER: &str = "http://tracker/announce";

#[test]
fn one_leech_gets_everything_from_one_seed() {
    let sample = Sample::new(1, 1_000_000, 65_536);
    let mut swarm = Swarm::new(1, Net::default());
    let seed = swarm.add_seed(&sample);
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    let done = swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
    assert!(swarm.host(leech).disk.pieces(sample.metainfo.info_hash()).is_full());
}

/// A seed and 30 leeches that find each other by a tracker.
struct Crowd {
    swarm: Swarm,
    sample: Sample,
    leeches: Vec<NodeId>,
}

fn crowd(seed: u64, net: Net, liars: u8) -> Crowd {
    let sample = Sample::with_trackers(seed, 2_000_000, 65_536, &[&[TRACKER]]);
    let mut swarm = Swarm::new(seed, net);
    swarm.add_seed(&sample);
    let lies: Vec<SocketAddr> = (0..liars)
        .map(|mark| {
            let plan = Plan { serve: Serve::Wrong(300), ..Plan::seed(b'a' + mark) };
            let node = swarm.add_puppet(&sample, plan, Speed::default());
            swarm.addr(node)
        })
        .collect();
    let leeches = (0..30)
        .map(|_| {
            let node = swarm.add_host(Config { record: true, ..Config::default() }, Speed::default());
            swarm.host_mut(node).disk.insert(&sample);
            swarm.watch(node, &sample);
            swarm.start(node, &sample, Role::leech(&lies));
            node
        })
        .collect();
    Crowd { swarm, sample, leeches }
}

impl Crowd {
    /// Everyone finishes; what must hold of a swarm then holds.
    fn run(&mut self, limit: Duration) {
        let count = self.leeches.len();
        let done = self.swarm.run_until(limit, |swarm| swarm.complete_count() == count);
        let now = self.swarm.now();
        assert!(done, "{} of {count} are done at {now:?}", self.swarm.complete_count());
        for &leech in &self.leeches {
            let host = self.swarm.host(leech);
            assert!(host.disk.pieces(self.sample.metainfo.info_hash()).is_full(), "{leech:?}");
            let watch = host.watch.as_ref().expect("it is watched");
            assert!(watch.request_count > 0, "{leech:?}: nothing was seen");
            assert!(watch.doubles.is_empty(), "{leech:?}: {:#?}", watch.doubles);
        }
    }

    /// What each of them recorded is done again bit for bit, as far as it is written.
    fn replay(&mut self) {
        // The last parts are written within a second.
        self.swarm.run_for(Duration::from_secs(2));
        for &leech in &self.leeches {
            let replayed = replay(self.swarm.host(leech).disk.recording());
            let replayed = replayed.unwrap_or_else(|error| panic!("{leech:?}: {error}"));
            assert!(replayed.output_count > 500 && replayed.cut_len == 0, "{leech:?}: {replayed:?}");
        }
    }
}

#[test]
fn thirty_leeches_finish_with_the_right_bytes() {
    let mut crowd = crowd(2, Net::default(), 0);
    crowd.run(5 * MINUTE);
    crowd.replay();
}

#[test]
fn thirty_leeches_finish_under_cuts_stalls_and_lies() {
    let net = Net {
        cut_after: Some(Duration::from_secs(1)..MINUTE),
        stall: Some((5, Duration::from_secs(3))),
        ..Net::default()
    };
    let mut crowd = crowd(3, net, 3);
    crowd.run(30 * MINUTE);
    crowd.replay();
    let lied = crowd
        .leeches
        .iter()
        .map(|&leech| crowd.swarm.host(leech).count(|event| matches!(event, Event::PieceFailed { .. })));
    assert!(lied.sum::<usize>() > 0, "nobody was lied to");
}

#[test]
fn one_seed_twice_gives_the_same_outputs() {
    let run = |seed: u64| {
        let net = Net { cut_after: Some(Duration::from_secs(1)..MINUTE), ..Net::default() };
        let sample = Sample::with_trackers(1, 500_000, 32_768, &[&[TRACKER]]);
        let mut swarm = Swarm::new(seed, net);
        swarm.add_seed(&sample);
        let leeches: Vec<NodeId> = (0..5).map(|_| swarm.add_leech(&sample, &[])).collect();
        assert!(swarm.run_until(10 * MINUTE, |swarm| swarm.complete_count() == 5));
        leeches.iter().map(|&leech| swarm.host(leech).digest()).collect::<Vec<u64>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn with_nothing_to_do_time_moves_on() {
    let sample = Sample::new(1, 100_000, 32_768);
    let mut swarm = Swarm::new(1, Net::default());
    let seed = swarm.add_seed(&sample);
    let silent = swarm.add_silent();
    let lone = swarm.add_leech(&sample, &[silent]);
    swarm.run_for(60 * MINUTE);
    // A session may look around now and then; it may not spin.
    for node in [seed, lone] {
        let count = swarm.host(node).wake_count;
        assert!(count < 2000, "{node:?} woke {count} times in an hour with nothing to do");
    }
}

#[test]
fn a_leech_that_dies_again_and_again_loses_nothing_it_claimed() {
    let sample = Sample::new(5, 3_000_000, 32_768);
    let (info_hash, geometry) = (sample.metainfo.info_hash(), *sample.metainfo.geometry());
    let mut swarm = Swarm::new(5, Net::default());
    // Slow enough that there are several claims before the end.
    let seed = swarm.add_host(Config::default(), Speed { up: 15_000, down: 15_000 });
    swarm.host_mut(seed).disk.insert_full(&sample);
    swarm.start(seed, &sample, Role::seed());
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    let mut claimed_len = 0;
    for _ in 0..4 {
        swarm.run_for(Duration::from_secs(45));
        swarm.crash(leech);
        let disk = &swarm.host(leech).disk;
        let claimed = disk.claimed(info_hash).expect("it claims every half minute");
        assert!(claimed.iter(&geometry).all(|piece| disk.pieces(info_hash).has(piece)), "a claim is lost");
        let len = claimed.iter(&geometry).map(|piece| u64::from(geometry.len_of(piece))).sum();
        assert!(len > claimed_len, "nothing more was claimed");
        claimed_len = len;
        swarm.revive(leech);
        swarm.start(leech, &sample, Role::leech(&[swarm.addr(seed)]));
    }
    assert!(swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1), "it never finishes");
    let last = swarm.host(leech).completed.last().expect("it is complete");
    let got_len = last.downloaded_len;
    assert!(got_len + claimed_len <= 3_000_000, "{got_len} bytes after {claimed_len} were claimed");
}

#[test]
fn a_full_disk_stops_the_torrent_and_keeps_what_was_verified() {
    let sample = Sample::new(6, 1_000_000, 32_768);
    let mut swarm = Swarm::new(6, Net::default());
    let seed = swarm.add_seed(&sample);
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    let faults = Faults { write_fails_from: Some((10, DiskErrorKind::Full)), ..Faults::default() };
    swarm.host_mut(leech).disk.set_faults(faults);
    swarm.run_for(MINUTE);
    let host = swarm.host(leech);
    let stopped = host.count(|event| matches!(event, Event::Stopped { error: TorrentError::Disk(_), .. }));
    assert_eq!(stopped, 1, "{:#?}", host.events);
    let claimed = host.disk.claimed(sample.metainfo.info_hash()).expect("it was saved");
    assert_eq!(claimed.count(), 10, "what was verified is claimed");
    assert!(host.conns.is_empty(), "its connections are closed");
}

#[test]
fn who_calls_a_seed_that_checks_its_data_is_served_as_soon_as_that_is_done() {
    let sample = Sample::new(8, 500_000, 32_768);
    let mut swarm = Swarm::new(8, Net::default());
    let quick = std::mem::replace(&mut swarm.net.job_delay, MINUTE..MINUTE * 2);
    let seed = swarm.add_host(Config::default(), Speed::default());
    swarm.host_mut(seed).disk.insert_full(&sample);
    swarm.start(seed, &sample, Role { check: Check::Full, ..Role::seed() });
    swarm.run_for(MINUTE / 60);
    swarm.net.job_delay = quick;
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
    let started = |swarm: &Swarm| swarm.host(seed).count(|event| matches!(event, Event::Started { .. })) == 1;
    assert!(swarm.run_until(5 * MINUTE, started) && swarm.now().since_start() > MINUTE);
    let done = swarm.run_until(MINUTE / 12, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
}

#[test]
fn reads_that_fail_now_and_then_do_not_end_a_seed() {
    let sample = Sample::new(7, 500_000, 32_768);
    let mut swarm = Swarm::new(7, Net::default());
    let seed = swarm.add_seed(&sample);
    let second = swarm.add_seed(&sample);
    let faults = Faults { read_fails_per_mille: 100, ..Faults::default() };
    swarm.host_mut(second).disk.set_faults(faults);
    let leech = swarm.add_leech(&sample, &[swarm.addr(seed), swarm.addr(second)]);
    let done = swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1);
    assert!(done, "{:#?}", swarm.host(leech).events);
}

/// Three files, of which the first two share pieces with their neighbours.
fn folder(seed: u64) -> Sample {
    Sample::with_files(seed, &[(&["a"], 300_000), (&["b"], 100_000), (&["c"], 400_000)], 65_536)
}

fn priorities(digits: &str) -> Choice {
    let priorities = digits.bytes().map(|digit| Priority::new(digit - b'0').expect("a digit to 7")).collect();
    Choice { priorities, ..Choice::default() }
}

#[test]
fn a_part_of_a_torrent_is_fetched_and_served_and_then_the_rest() {
    let sample = folder(21);
    let mut swarm = Swarm::new(21, Net::default());
    let seed = swarm.add_seed(&sample);
    let addr = swarm.addr(seed);
    let part = swarm.add_host(Config { record: true, ..Config::default() }, Speed::default());
    swarm.host_mut(part).disk.insert(&sample);
    let torrent = swarm.start(part, &sample, Role { choice: priorities("040"), ..Role::leech(&[addr]) });
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1), "{:#?}", swarm.host(part).events);
    // `b` lies in the pieces 4 to 6, and no other is fetched.
    let pieces: Vec<u32> = {
        let have = swarm.host(part).disk.pieces(sample.metainfo.info_hash());
        have.iter(sample.metainfo.geometry()).map(|piece| piece.get()).collect()
    };
    assert_eq!(pieces, [4, 5, 6]);
    // Somebody gets them from there, though it is no seed.
    let other = swarm.add_host(Config::default(), Speed::default());
    swarm.host_mut(other).disk.insert(&sample);
    let role = Role { choice: priorities("0"), ..Role::leech(&[swarm.addr(part)]) };
    swarm.start(other, &sample, role);
    let has =
        |swarm: &Swarm, count| swarm.host(other).disk.pieces(sample.metainfo.info_hash()).count() == count;
    assert!(swarm.run_until(MINUTE, |swarm| has(swarm, 3)), "{:#?}", swarm.host(other).events);
    let now = swarm.now();
    swarm.host_mut(part).session.set_choice(now, torrent, Choice { sequential: true, ..priorities("444") });
    swarm.settle(part);
    let whole = |swarm: &Swarm| swarm.host(part).disk.pieces(sample.metainfo.info_hash()).is_full();
    assert!(swarm.run_until(40 * MINUTE, whole), "{:#?}", swarm.host(part).events);
    swarm.run_for(MINUTE);
    swarm.shut_down(part);
    swarm.run_for(MINUTE);
    let replayed = replay(swarm.host(part).disk.recording()).expect("the same is done again");
    assert_eq!(replayed.cut_len, 0);
}

#[test]
fn pieces_in_order_come_in_order_and_the_ends_of_files_first() {
    for (choice, first) in [
        (Choice { sequential: true, ..Choice::default() }, [0, 1, 2, 3]),
        (Choice { sequential: true, first_last: true, ..Choice::default() }, [0, 4, 6, 12]),
        (Choice { sequential: true, ..priorities("146") }, [6, 7, 8, 9]),
    ] {
        let sample = folder(22);
        let mut swarm = Swarm::new(22, Net::default());
        let seed = swarm.add_seed(&sample);
        let leech = swarm.add_host(Config::default(), Speed::default());
        swarm.host_mut(leech).disk.insert(&sample);
        swarm.watch(leech, &sample);
        let role = Role { choice: choice.clone(), ..Role::leech(&[swarm.addr(seed)]) };
        swarm.start(leech, &sample, role);
        assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
        let order = &swarm.host(leech).watch.as_ref().expect("it is watched").order;
        assert_eq!(order[..4], first, "{choice:?}: {order:?}");
    }
}

/// A leech of `sample` that knows no peer but these and asks the web seeds of these hosts.
fn with_web(swarm: &mut Swarm, sample: &Sample, hosts: &[&str], peers: &[SocketAddr]) -> NodeId {
    let node = swarm.add_host(Config { record: true, ..Config::default() }, Speed::default());
    swarm.host_mut(node).disk.insert(sample);
    let web_seeds = hosts.iter().map(|host| format!("http://{host}/")).collect();
    swarm.start(node, sample, Role { web_seeds, ..Role::leech(peers) });
    node
}

fn web(swarm: &mut Swarm, sample: &Sample, host: &str, answer: Answer) {
    swarm.web.insert(host.to_owned(), WebServer::new(sample, answer));
}

fn has_all(swarm: &Swarm, node: NodeId, sample: &Sample) -> bool {
    swarm.host(node).disk.pieces(sample.metainfo.info_hash()).is_full()
}

#[test]
fn a_web_seed_alone_brings_everything_once_and_at_its_speed() {
    for sample in [Sample::new(31, 40_000_000, 262_144), folder(31)] {
        let mut swarm = Swarm::new(31, Net::default());
        web(&mut swarm, &sample, "web", Answer::Right);
        let node = with_web(&mut swarm, &sample, &["web"], &[]);
        assert!(swarm.run_until(MINUTE, |swarm| has_all(swarm, node, &sample)));
        let total = sample.metainfo.geometry().total_len();
        assert_eq!(swarm.web["web"].sent_len, total, "nothing is sent twice");
        // Two runs at a time, each at 10 MiB/s, and a moment for each to begin.
        assert!(swarm.now().since_start() < Duration::from_secs(6), "{:?}", swarm.now());
        swarm.run_for(MINUTE);
        swarm.shut_down(node);
        swarm.run_for(MINUTE);
        assert!(replay(swarm.host(node).disk.recording()).is_ok());
    }
}

#[test]
fn a_liar_among_web_seeds_rests_and_the_other_brings_everything() {
    let sample = Sample::new(32, 8_000_000, 65_536);
    let mut swarm = Swarm::new(32, Net::default());
    web(&mut swarm, &sample, "liar", Answer::Wrong);
    web(&mut swarm, &sample, "good", Answer::Right);
    let node = with_web(&mut swarm, &sample, &["liar", "good"], &[]);
    assert!(swarm.run_until(10 * MINUTE, |swarm| has_all(swarm, node, &sample)));
    assert!(swarm.web["liar"].count <= 4, "asked {} times", swarm.web["liar"].count);
}

#[test]
fn a_lone_liar_is_left_after_a_few_pieces() {
    let sample = Sample::new(33, 8_000_000, 65_536);
    let mut swarm = Swarm::new(33, Net::default());
    web(&mut swarm, &sample, "liar", Answer::Wrong);
    let node = with_web(&mut swarm, &sample, &["liar"], &[]);
    swarm.run_for(60 * MINUTE);
    let asked = swarm.web["liar"].count;
    assert!(asked < 12, "asked {asked} times");
    let left = swarm.host(node).count(|event| matches!(event, Event::WebSeedFailed { next: None, .. }));
    assert_eq!(left, 1);
    assert!(swarm.host(node).disk.pieces(sample.metainfo.info_hash()).is_empty());
}

#[test]
fn a_busy_web_seed_is_asked_again_when_it_says_and_a_missing_file_seldom() {
    let sample = Sample::new(34, 1_000_000, 65_536);
    let mut swarm = Swarm::new(34, Net::default());
    web(&mut swarm, &sample, "busy", Answer::Status(503, Some(120)));
    web(&mut swarm, &sample, "gone", Answer::Status(404, None));
    let node = with_web(&mut swarm, &sample, &["busy", "gone"], &[]);
    swarm.run_for(Duration::from_secs(110));
    assert_eq!([swarm.web["busy"].count, swarm.web["gone"].count], [2, 2], "two runs at once");
    swarm.web.get_mut("busy").expect("it is there").answer = Answer::Right;
    assert!(swarm.run_until(5 * MINUTE, |swarm| has_all(swarm, node, &sample)));
    assert_eq!(swarm.web["gone"].count, 2);
}

#[test]
fn a_web_seed_that_breaks_off_loses_nothing_that_came() {
    let sample = Sample::new(35, 300_000, 65_536);
    let mut swarm = Swarm::new(35, Net::default());
    web(&mut swarm, &sample, "cut", Answer::Cut);
    let node = with_web(&mut swarm, &sample, &["cut"], &[]);
    swarm.run_for(30 * MINUTE);
    swarm.web.get_mut("cut").expect("it is there").answer = Answer::Right;
    assert!(swarm.run_until(120 * MINUTE, |swarm| has_all(swarm, node, &sample)));
    assert_eq!(swarm.web["cut"].sent_len, 300_000);
}

#[test]
fn peers_and_web_seeds_share_the_work() {
    let sample = Sample::new(36, 20_000_000, 65_536);
    let mut swarm = Swarm::new(36, Net::default());
    let seed = swarm.add_host(Config::default(), Speed { up: 5_000_000, ..Speed::default() });
    swarm.host_mut(seed).disk.insert_full(&sample);
    swarm.start(seed, &sample, Role::seed());
    web(&mut swarm, &sample, "web", Answer::Right);
    swarm.web.get_mut("web").expect("it is there").rate = 3_000_000;
    let addr = swarm.addr(seed);
    let node = with_web(&mut swarm, &sample, &["web"], &[addr]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 1));
    let sent = swarm.web["web"].sent_len;
    assert!((4_000_000..18_000_000).contains(&sent), "{sent} bytes from the web seed");
    assert!(has_all(&swarm, node, &sample));
}

#[test]
fn many_torrents_with_web_seeds_all_get_their_turn() {
    let mut swarm = Swarm::new(37, Net::default());
    let node = swarm.add_host(Config::default(), Speed::default());
    let samples: Vec<Sample> = (0..12).map(|seed| Sample::new(370 + seed, 2_000_000, 65_536)).collect();
    for (number, sample) in samples.iter().enumerate() {
        let host = format!("web{number}");
        web(&mut swarm, sample, &host, Answer::Right);
        swarm.host_mut(node).disk.insert(sample);
        let web_seeds = vec![format!("http://{host}/")];
        swarm.start(node, sample, Role { web_seeds, ..Role::leech(&[]) });
    }
    assert!(swarm.run_until(MINUTE, |swarm| swarm.complete_count() == 12));
}
