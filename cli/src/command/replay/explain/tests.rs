//! Simulated sessions of which one knows where the time went.

use peerless_core::{Config, Limits, TorrentKey};
use peerless_sim::link::{DiskPace, Net, NodeId, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

use super::*;
use crate::command::replay::{picture, tell};

const TOTAL: usize = 800_000;
const SECOND: Duration = Duration::from_secs(1);
const FAST: Speed = Speed { up: 4_000_000, down: 4_000_000 };

/// A leech that records, with a fast seed that it does not know of.
struct Lab {
    sample: Sample,
    swarm: Swarm,
    leech: NodeId,
    seed: NodeId,
}

impl Lab {
    fn new(net: Net, config: Config) -> Self {
        let sample = Sample::new(1, TOTAL, 32_768);
        let mut swarm = Swarm::new(1, net);
        let seed = swarm.add_host(Config::default(), FAST);
        swarm.host_mut(seed).disk.insert_full(&sample);
        swarm.start(seed, &sample, Role::seed());
        let leech = swarm.add_host(Config { record: true, ..config }, FAST);
        swarm.host_mut(leech).disk.insert(&sample);
        Self { sample, swarm, leech, seed }
    }

    fn start(&mut self, peer: NodeId) -> TorrentKey {
        let peers = [self.swarm.addr(peer)];
        self.swarm.start(self.leech, &self.sample, Role::leech(&peers))
    }

    /// The seed is named.
    fn name_seed(&mut self, torrent: TorrentKey) {
        let (now, addr) = (self.swarm.now(), self.swarm.addr(self.seed));
        self.swarm.host_mut(self.leech).session.add_peer(now, torrent, addr);
        self.swarm.settle(self.leech);
    }

    /// Plays it until all is there, and ends it.
    fn end(mut self) -> Explanation {
        assert!(self.swarm.run_until(600 * SECOND, |swarm| swarm.complete_count() == 1));
        self.swarm.shut_down(self.leech);
        assert!(self.swarm.run_until(60 * SECOND, |swarm| swarm.host(self.leech).session.is_shut_down()));
        explain(self.swarm.host(self.leech).disk.recording()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The seconds that went to it, of those until all was there.
#[track_caller]
fn is_mostly(explanation: &Explanation, cause: Cause, seconds: std::ops::Range<u32>) {
    let times = &explanation.torrents[0].times;
    let time = times.get(&cause).copied().unwrap_or_default();
    assert!((seconds.start * SECOND..seconds.end * SECOND).contains(&time), "{cause:?}: {times:?}");
    let others: Duration = times
        .iter()
        .filter(|(other, _)| ![cause, Cause::Seeding].contains(other))
        .map(|(_, time)| *time)
        .sum();
    assert!(others < time / 5 + 2 * SECOND, "{cause:?}: {times:?}");
}

#[test]
fn choked_for_a_minute() {
    let mut lab = Lab::new(Net::default(), Config::default());
    let choker = lab.swarm.add_puppet(&lab.sample, Plan { unchokes: false, ..Plan::seed(b'c') }, FAST);
    let torrent = lab.start(choker);
    lab.swarm.run_for(60 * SECOND);
    lab.name_seed(torrent);
    let told = lab.end();
    is_mostly(&told, Cause::Choked, 59..61);
    let peers = &told.torrents[0].peers;
    let waits: Vec<_> =
        peers.values().map(|peer| peer.times.get("unchoke").copied().unwrap_or_default()).collect();
    assert!(waits[0] > 59 * SECOND && waits[1] < SECOND, "{waits:?}");
}

#[test]
fn alone_for_a_minute() {
    let mut lab = Lab::new(Net::default(), Config::default());
    let torrent = lab.swarm.start(lab.leech, &lab.sample, Role::leech(&[]));
    lab.swarm.run_for(60 * SECOND);
    lab.name_seed(torrent);
    is_mostly(&lab.end(), Cause::NoPeers, 59..62);
}

#[test]
fn a_limit_of_our_own() {
    let limits = Limits { down: Some(20_000), up: None };
    let mut lab = Lab::new(Net::default(), Config { limits, ..Config::default() });
    lab.start(lab.seed);
    is_mostly(&lab.end(), Cause::Limit, 35..42);
}

/// A disk that stores 20 kB a second, with room for three pieces.
fn slow_to_store() -> Lab {
    let config = Config { buffer_len_max: 100_000, ..Config::default() };
    let mut lab = Lab::new(Net::default(), config);
    let pace = DiskPace { delay: Duration::ZERO..Duration::ZERO, rate: Some(20_000) };
    lab.swarm.set_disk_pace(lab.leech, pace);
    lab.start(lab.seed);
    lab
}

#[test]
fn a_slow_disk() {
    is_mostly(&slow_to_store().end(), Cause::Disk, 35..42);
}

#[test]
fn slow_hashing_is_told_from_a_slow_disk() {
    let mut lab = slow_to_store();
    let time = |hashing, writing| StoreTime { hashing: hashing * SECOND, writing: writing * SECOND };
    lab.swarm.host_mut(lab.leech).disk.store_time = time(1, 0);
    is_mostly(&lab.end(), Cause::Hashing, 33..42);

    let mut lab = slow_to_store();
    lab.swarm.host_mut(lab.leech).disk.store_time = time(3, 1);
    let told = lab.end();
    let parts = |times: &dyn Fn(bool) -> Duration| {
        let (hashing, disk) = (times(true).as_secs_f64(), times(false).as_secs_f64());
        (hashing / (hashing + disk), hashing + disk)
    };
    let torrent = &told.torrents[0];
    let cause = |is_hashing| if is_hashing { Cause::Hashing } else { Cause::Disk };
    let (share, seconds) = parts(&|is_hashing| torrent.times[&cause(is_hashing)]);
    assert!((0.74..0.76).contains(&share) && (35.0..42.0).contains(&seconds), "{:?}", torrent.times);
    let peer = torrent.peers.values().next().unwrap();
    let (share, seconds) = parts(&|is_hashing| peer.times[if is_hashing { "hashing" } else { "disk" }]);
    assert!((0.74..0.76).contains(&share) && seconds > 30.0, "{:?}", peer.times);
}

#[test]
fn a_slow_peer() {
    let mut lab = Lab::new(Net::default(), Config::default());
    let slow = lab.swarm.add_puppet(&lab.sample, Plan::seed(b's'), Speed { up: 20_000, down: 20_000 });
    lab.start(slow);
    is_mostly(&lab.end(), Cause::PeersSlow, 35..45);
}

#[test]
fn a_window_that_is_too_small_for_the_path() {
    let net = Net { latency: Duration::from_millis(400)..Duration::from_millis(401), ..Net::default() };
    // Two blocks in 800 ms: 40 kB each second.
    let mut lab = Lab::new(net, Config { requests_max: 2, ..Config::default() });
    lab.start(lab.seed);
    is_mostly(&lab.end(), Cause::Window, 17..24);
}

#[test]
fn data_that_is_looked_at_for_long() {
    let mut lab = Lab::new(Net::default(), Config::default());
    lab.swarm.host_mut(lab.leech).disk.insert_full(&lab.sample);
    let pace = DiskPace { delay: Duration::ZERO..Duration::ZERO, rate: Some(20_000) };
    lab.swarm.set_disk_pace(lab.leech, pace);
    lab.start(lab.seed);
    is_mostly(&lab.end(), Cause::Checking, 35..42);
}

#[test]
fn nobody_has_what_is_missing() {
    let mut lab = Lab::new(Net::default(), Config::default());
    let mute = lab.swarm.add_puppet(&lab.sample, Plan { has: false, ..Plan::seed(b'n') }, FAST);
    let torrent = lab.start(mute);
    lab.swarm.run_for(30 * SECOND);
    lab.name_seed(torrent);
    is_mostly(&lab.end(), Cause::NothingWanted, 29..32);
}

#[test]
fn what_is_told_has_all_figures_in_words_numbers_and_a_picture() {
    let mut lab = Lab::new(Net::default(), Config::default());
    let liar = lab.swarm.add_puppet(&lab.sample, Plan { serve: Serve::Never, ..Plan::seed(b'l') }, FAST);
    let torrent = lab.start(liar);
    lab.swarm.run_for(5 * SECOND);
    lab.name_seed(torrent);
    let told = lab.end();
    let text = tell::words(&told);
    assert!(text.contains("781.2 KiB of 781.2 KiB are there, "), "{text}");
    assert!(text.contains("\n   ") && text.contains(" %  ") && text.contains("peers slow: "), "{text}");
    assert!(text.contains(": 0 B got, 0 B sent in ") && text.contains("waited for blocks "), "{text}");
    let json = serde_json::to_value(tell::Told::of(&told, true)).unwrap();
    assert_eq!((&json["v"], &json["end"]), (&1.into(), &"shut_down".into()));
    assert_eq!(json["torrents"][0]["done"], 800_000);
    let times = json["torrents"][0]["times"].as_object().unwrap();
    let all: f64 = times.values().map(|time| time.as_f64().unwrap()).sum();
    assert!(
        times["peers_slow"].as_f64().unwrap() > 4.0 && all <= json["time"].as_f64().unwrap() + 0.1,
        "{json}"
    );
    let last = told.moments.last().unwrap();
    assert_eq!((last.have_count, last.piece_count), (25, 25));
    let svg = picture::svg("a & b's", &told.moments).unwrap();
    assert!(
        svg.contains("a &amp; b&apos;s: rate")
            && svg.contains("a &amp; b&apos;s: pieces")
            && svg.contains("payload a second, in MiB")
            && svg.contains("\n0.5\n"),
        "{svg}"
    );
    assert!(tell::words(&Explanation { torrents: Vec::new(), ..told }).is_empty());
}

#[test]
fn what_a_peer_gave_behind_the_last_look_counts_too() {
    let at_once = Duration::ZERO..Duration::ZERO;
    let net = Net { latency: at_once.clone(), job_delay: at_once, ..Net::default() };
    let mut lab = Lab::new(net, Config::default());
    lab.start(lab.seed);
    let told = lab.end();
    let got: Vec<u64> = told.torrents[0].peers.values().map(|peer| peer.info.downloaded_len).collect();
    assert_eq!(got, [800_000], "in {:?}", told.replayed.time);
}

#[test]
fn a_long_session_keeps_few_moments() {
    let mut looker = Looker::default();
    for second in 0..50_000 {
        let at = Instant::from_start(Duration::from_secs(second));
        if at.since(looker.moment_at) >= looker.moment_interval {
            looker.moment_at = at;
            looker.keep_moment(at);
        }
    }
    assert!((500..=MOMENT_COUNT_MAX).contains(&looker.moments.len()), "{}", looker.moments.len());
    assert!(looker.moments.is_sorted_by_key(|moment| moment.time));
}
