//! Peers that send wrong bytes.

use std::collections::BTreeSet;

use peerless_core::{Config, Event};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Plan, Serve};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};

use super::{banned, time_to_complete};

/// A leech that has found the liars; how long that took in bad pieces, for each.
struct Hunt {
    swarm: Swarm,
    leech: NodeId,
    liars: Vec<NodeId>,
}

/// A leech of a torrent that so many honest seeds and these liars have, all equally fast.
fn hunt(seed: u64, sample: &Sample, speed: Speed, honest: u8, liars: &[Serve]) -> Hunt {
    let mut swarm = Swarm::new(seed, Net::default());
    let mut add = |mark: u8, serve: Serve| {
        let plan = Plan { serve, ..Plan::seed(mark) };
        swarm.add_puppet(sample, plan, speed)
    };
    let mut nodes: Vec<_> = (0..honest).map(|mark| add(b'A' + mark, Serve::Right)).collect();
    let liars: Vec<_> = (b'a'..).zip(liars).map(|(mark, serve)| add(mark, *serve)).collect();
    nodes.extend(&liars);
    let peers: Vec<_> = nodes.iter().map(|node| swarm.addr(*node)).collect();
    let leech = swarm.add_host(Config::default(), speed);
    swarm.host_mut(leech).disk.insert(sample);
    swarm.start(leech, sample, Role::leech(&peers));
    time_to_complete(&mut swarm, leech);
    Hunt { swarm, leech, liars }
}

impl Hunt {
    /// Nobody honest is banned, and whoever spoilt a piece is.
    fn check(&self, name: &str) {
        let liars: Vec<_> = self.liars.iter().map(|liar| self.swarm.addr(*liar)).collect();
        let banned = banned(&self.swarm, self.leech);
        assert!(banned.iter().all(|addr| liars.contains(addr)), "{name}: the honest are banned: {banned:?}");
        if self.swarm.host(self.leech).count(|event| matches!(event, Event::PieceFailed { .. })) > 0 {
            assert!(!banned.is_empty(), "{name}: pieces are spoilt, and nobody is found");
        }
    }

    /// Bad pieces until the first liar was found. Those that were hashed side by side count as one.
    fn bad_count(&self) -> usize {
        let events = self.swarm.host(self.leech).events.iter();
        let before = events.take_while(|(_, event)| !matches!(event, Event::PeerBanned { .. }));
        let bad = before.filter(|(_, event)| matches!(event, Event::PieceFailed { .. }));
        bad.map(|(at, _)| at).collect::<BTreeSet<_>>().len()
    }
}

#[test]
fn a_poisoner_among_two_honest_peers_is_found_within_two_bad_pieces() {
    for (len, piece_len) in [(1_500_000, 65_536), (6_000_000, 262_144), (8_000_000, 1 << 20)] {
        let sample = Sample::new(9, len, piece_len);
        for up in [1_000_000, 30_000_000] {
            let speed = Speed { up, down: 4 * up };
            for (seed, wrong) in (1..=9).zip([1000, 300, 50].into_iter().cycle()) {
                let hunt = hunt(seed, &sample, speed, 2, &[Serve::Wrong(wrong)]);
                let name = format!("pieces of {piece_len} at {up} B/s, seed {seed}");
                hunt.check(&name);
                let bad_count = hunt.bad_count();
                assert!(bad_count <= 2, "{name}: {bad_count} bad pieces before it was found");
            }
        }
    }
}

#[test]
fn several_poisoners_spoil_two_pieces_each_and_never_the_name_of_the_honest() {
    let sample = Sample::new(9, 6_000_000, 131_072);
    for seed in 1..=5 {
        let liars = [Serve::Wrong(1000), Serve::Wrong(300), Serve::Wrong(100)];
        let hunt = hunt(seed, &sample, Speed::default(), 3, &liars);
        let name = format!("seed {seed}");
        hunt.check(&name);
        let bad_count = hunt.swarm.host(hunt.leech).count(|event| matches!(event, Event::PieceFailed { .. }));
        assert!(bad_count <= 2 * liars.len() + 2, "{name}: {bad_count} bad pieces");
        let lied = hunt.liars.iter().filter(|liar| hunt.swarm.puppet(**liar).stats.lie_count > 3);
        let (lied, banned) = (lied.count(), banned(&hunt.swarm, hunt.leech).len());
        assert!(banned >= lied, "{name}: {banned} of {lied} are found");
    }
}
