//! Each reason for a stall, in swarms in memory under virtual time: it is told, no other is, and none
//! any more once payload comes.

use std::time::Duration;

use peerless::goals::{Goals, Then, Watch, stall_name, stall_words};
use peerless_core::key::Key as _;
use peerless_core::{Config, Limits, TorrentKey};
use peerless_sim::link::{DiskPace, Net, NodeId, Speed};
use peerless_sim::puppet::{Meta, Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

const SECOND: Duration = Duration::from_secs(1);

/// Payload comes at this many bytes a second once it does: for so long that a stall would be told again.
const RATE: u64 = 20_000;

/// A leech with one torrent, and what its user hears.
struct Leech {
    swarm: Swarm,
    sample: Sample,
    node: NodeId,
    torrent: TorrentKey,
    watch: Watch,
}

/// The reasons that were told, each with its words.
type Told = Vec<(&'static str, String)>;

impl Leech {
    /// With these scripted peers, which dial it.
    fn new(config: Config, peers: &[Plan], is_magnet: bool) -> Self {
        let sample = Sample::new(7, 400_000, 65_536);
        let mut swarm = Swarm::new(7, Net::default());
        let node = swarm.add_host(config, Speed::default());
        swarm.host_mut(node).disk.insert(&sample);
        if is_magnet {
            swarm.start_magnet(node, &sample, &[]);
        } else {
            swarm.start(node, &sample, Role::leech(&[]));
        }
        let goals = Goals { then: Then::Exit, stop_timeout: None };
        let watch = Watch::new(goals, swarm.now());
        let mut leech = Self { swarm, sample, node, torrent: TorrentKey::new(0, 0), watch };
        peers.iter().for_each(|plan| leech.meet(plan.clone(), Speed::default()));
        leech
    }

    /// One more scripted peer dials it.
    fn meet(&mut self, plan: Plan, speed: Speed) {
        let plan = Plan { dials: vec![self.swarm.addr(self.node)], ..plan };
        self.swarm.add_puppet(&self.sample, plan, speed);
    }

    /// What is told within so many seconds.
    fn hear(&mut self, secs: u64) -> Told {
        let mut told = Told::new();
        for _ in 0..secs {
            self.swarm.run_for(SECOND);
            let now = self.swarm.now();
            let progress =
                self.swarm.host(self.node).session.progress(now, self.torrent).expect("it is there");
            let _ = self.watch.on_progress(now, &progress);
            if let Some(stall) = self.watch.stall(now, &progress) {
                told.push((stall_name(stall.reason), stall_words(stall.reason, &progress)));
            }
        }
        told
    }

    /// This reason, in these words, is all that is told for a minute; then `mend` is done, and within
    /// half a minute the download is complete and nothing more was told.
    fn stalls(mut self, name: &'static str, words: &str, mend: impl FnOnce(&mut Self)) {
        let told = self.hear(60);
        assert!(told.len() >= 5, "{told:?}");
        assert!(told.iter().all(|(told, _)| *told == name), "{told:?}");
        assert_eq!(told.last().map(|(_, words)| words.as_str()), Some(words));
        mend(&mut self);
        assert_eq!(self.hear(30), [], "payload comes");
        assert_eq!(self.swarm.complete_count(), 1);
    }
}

fn helped(leech: &mut Leech) {
    leech.meet(Plan { metadata: Meta::Right, ..Plan::seed(b'h') }, Speed { up: RATE, down: RATE });
}

#[test]
fn no_peers() {
    Leech::new(Config::default(), &[], false).stalls("no_peers", "no peers known", helped);
}

#[test]
fn all_choked() {
    let chokes = Plan { unchokes: false, ..Plan::seed(b'a') };
    Leech::new(Config::default(), &[chokes], false).stalls(
        "all_choked",
        "1 peer, none lets us download",
        helped,
    );
}

#[test]
fn no_wanted_pieces() {
    let bare = Plan { has: false, ..Plan::seed(b'a') };
    Leech::new(Config::default(), &[bare], false).stalls(
        "no_wanted_pieces",
        "1 peer, none has what is missing",
        helped,
    );
}

#[test]
fn peers_slow() {
    let mute = Plan { serve: Serve::Never, ..Plan::seed(b'a') };
    Leech::new(Config::default(), &[mute], false).stalls(
        "peers_slow",
        "1 peer, asked and slow to send",
        helped,
    );
}

#[test]
fn rate_limited() {
    let config = Config { limits: Limits { down: Some(0), up: None }, ..Config::default() };
    Leech::new(config, &[Plan::seed(b'a')], false).stalls(
        "rate_limited",
        "the limit on downloads is used up",
        |leech| {
            let now = leech.swarm.now();
            leech.swarm.host_mut(leech.node).session.set_limits(
                now,
                None,
                Limits { down: Some(RATE), up: None },
            );
            leech.swarm.settle(leech.node);
        },
    );
}

#[test]
fn metadata_none() {
    let mute = Plan { metadata: Meta::Mute, ..Plan::seed(b'a') };
    Leech::new(Config::default(), &[mute], true).stalls(
        "metadata_none",
        "1 peer, none has sent the metadata yet",
        helped,
    );
}

/// Longer than the minute in which nothing but the stall is to be told.
const SLOW: Duration = Duration::from_secs(65);

/// A disk that takes long for each job.
fn behind(buffer_len_max: usize) -> Leech {
    let config = Config { buffer_len_max, ..Config::default() };
    let mut leech = Leech::new(config, &[], false);
    leech.swarm.run_for(SECOND);
    leech.swarm.set_disk_pace(leech.node, DiskPace { delay: SLOW..SLOW, rate: None });
    leech.meet(Plan::seed(b'a'), Speed::default());
    leech
}

fn mended(leech: &mut Leech) {
    leech.swarm.set_disk_pace(leech.node, DiskPace { delay: Duration::ZERO..SECOND / 100, rate: None });
    // What was begun, one job after the other, takes as long as it was to.
    let told = leech.hear(2 * SLOW.as_secs());
    assert!(told.iter().all(|(name, _)| *name == "disk_behind"), "{told:?}");
}

#[test]
fn disk_behind() {
    behind(65_536).stalls("disk_behind", "the disk is behind", mended);
}

#[test]
fn the_disk_is_behind_also_where_nothing_is_left_to_ask_for() {
    behind(Config::default().buffer_len_max).stalls("disk_behind", "the disk is behind", mended);
}
