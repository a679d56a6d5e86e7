//! Limits of payload per second hold, whoever moves it.

use std::time::Duration;

use peerless_core::{Config, Limits};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::web::{Answer, WebServer};

/// Over which time a limit is to hold.
const WINDOW: Duration = Duration::from_secs(5);

/// How often the figures are looked at.
const STEP: Duration = Duration::from_millis(100);

/// Until when whoever moves payload has come to know the others.
const BEGIN: Duration = Duration::from_secs(5);

/// Which direction is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A leech is: of what its seeds could give.
    Down,
    /// A seed is: of what its leeches could take.
    Up,
}

/// One host with a limit, and others that could move far more.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Which direction is limited.
    pub direction: Direction,
    /// The limit.
    pub rate: u64,
    /// How many others there are.
    pub others: usize,
    /// Whether a web seed is one of the sources.
    pub web: bool,
    /// Whether it is the torrent that has the limit, and not the session.
    pub of_torrent: bool,
}

/// In every five seconds no more than 1.05 times the limit moves, and once all know each other no less
/// than 0.95 times.
///
/// # Panics
/// When it is not so.
pub fn hold(scenario: &Scenario) {
    let Scenario { seed, direction, rate, others, web, of_torrent } = scenario.clone();
    let total = usize::try_from(rate).expect("a rate for a test") * 40;
    let sample = Sample::new(seed, total, 65_536);
    let mut swarm = Swarm::new(seed, Net::default());
    let speed = Speed { up: rate * 10, down: rate * 10 };
    let limits = match direction {
        Direction::Down => Limits { down: Some(rate), up: None },
        Direction::Up => Limits { down: None, up: Some(rate) },
    };
    let own = if of_torrent { Limits::default() } else { limits };
    let limited = swarm.add_host(Config { limits: own, ..Config::default() }, speed);
    let addr = swarm.addr(limited);
    let mut role = Role::seed();
    if direction == Direction::Down {
        let seeds = (0..others).map(|_| {
            let node = swarm.add_host(Config::default(), speed);
            swarm.host_mut(node).disk.insert_full(&sample);
            swarm.start(node, &sample, Role::seed());
            swarm.addr(node)
        });
        let seeds: Vec<_> = seeds.collect();
        role = Role::leech(&seeds);
        if web {
            swarm.web.insert("web".to_owned(), WebServer::new(&sample, Answer::Right));
            role.web_seeds = vec!["http://web/".to_owned()];
        }
        swarm.host_mut(limited).disk.insert(&sample);
    } else {
        swarm.host_mut(limited).disk.insert_full(&sample);
    }
    let torrent = swarm.start(limited, &sample, role);
    if of_torrent {
        let now = swarm.now();
        swarm.host_mut(limited).session.set_limits(now, Some(torrent), limits);
    }
    if direction == Direction::Up {
        for _ in 0..others {
            // They could give each other too, but know only the seed.
            let node = swarm.add_host(Config { listen_port: None, pex: false, ..Config::default() }, speed);
            swarm.host_mut(node).disk.insert(&sample);
            swarm.start(node, &sample, Role::leech(&[addr]));
        }
    }
    let moved = |swarm: &Swarm, node: NodeId| {
        let progress = swarm.host(node).session.progress(swarm.now(), torrent).expect("it is there");
        match direction {
            Direction::Down => progress.downloaded_len,
            Direction::Up => progress.uploaded_len,
        }
    };
    let mut figures = vec![0];
    let steps = usize::try_from(WINDOW.as_millis() / STEP.as_millis()).expect("a few");
    let begin = usize::try_from(BEGIN.as_millis() / STEP.as_millis()).expect("a few");
    for _ in 0..250 {
        swarm.run_for(STEP);
        figures.push(moved(&swarm, limited));
    }
    let full = rate * WINDOW.as_secs();
    for (at, window) in figures.windows(steps + 1).enumerate() {
        let len = window[steps] - window[0];
        assert!(len <= full + full / 20, "{len} of {full} bytes from step {at}: {scenario:?}");
        assert!(at < begin || len >= full - full / 20, "only {len} of {full} from step {at}: {scenario:?}");
    }
}
