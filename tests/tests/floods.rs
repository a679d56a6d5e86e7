//! One peer that does harm beside one good peer: the download takes hardly longer and the session
//! hardly more memory. One test at a time measures, since allocations are counted together.

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerless_core::Event;
use peerless_sim::link::{Net, Speed};
use peerless_sim::puppet::{Flood, Meta, Plan, Serve, Shake};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::web::{Answer, WebServer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static ALONE: Mutex<()> = Mutex::new(());

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Bytes of memory that one peer may cost beyond what the download takes beside the good one alone. In
/// the simulation that is also what is on its way in both directions, and the peer itself.
const MEMORY_MAX: usize = 1 << 20;

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a download took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    time: Duration,
    /// Bytes on the heap at most, of the whole simulation.
    memory: usize,
    /// Payload that the others had ready to send: asked for, even if that was taken back since.
    served: usize,
}

/// A leech with an honest seed and these others, all of which it knows from the start.
fn download(plans: &[Plan], web: Option<Answer>) -> Cost {
    let sample = Sample::new(9, 1_500_000, 65_536);
    let region = Region::new(ALLOCATOR);
    let mut swarm = Swarm::new(1, Net::default());
    let honest = swarm.add_seed(&sample);
    let mut peers = vec![swarm.addr(honest)];
    let add = |plan: &Plan| swarm.add_puppet(&sample, plan.clone(), Speed::default());
    let others: Vec<_> = plans.iter().map(add).collect();
    peers.extend(others.iter().map(|node| swarm.addr(*node)));
    let leech = swarm.add_host(Default::default(), Speed::default());
    swarm.host_mut(leech).disk.insert(&sample);
    let mut role = Role::leech(&peers);
    if let Some(answer) = web {
        swarm.web.insert("web".to_owned(), WebServer::new(&sample, answer));
        role.web_seeds.push("http://web/".to_owned());
    }
    swarm.start(leech, &sample, role);
    let mut memory = 0;
    let done = swarm.run_until(30 * MINUTE, |swarm| {
        let change = region.change();
        memory = memory.max(change.bytes_allocated.saturating_sub(change.bytes_deallocated));
        swarm.complete_count() == 1
    });
    assert!(done, "never done: {:#?}", swarm.host(leech).events);
    let banned =
        swarm.host(leech).events.iter().filter(
            |(_, event)| matches!(event, Event::PeerBanned { addr, .. } if *addr == swarm.addr(honest)),
        );
    assert_eq!(banned.count(), 0, "the honest one is banned");
    let served: u64 = others.iter().map(|node| swarm.puppet(*node).stats.served_len).sum();
    let served = served + swarm.web.values().map(|web| web.sent_len).sum::<u64>();
    Cost { time: swarm.now().since_start(), memory, served: usize::try_from(served).unwrap_or(usize::MAX) }
}

/// With what one may do.
fn check(name: &str, alone: Cost, cost: Cost) {
    assert!(
        cost.time <= alone.time.mul_f64(1.5) + 2 * SECOND,
        "{name}: {:?} instead of {:?}",
        cost.time,
        alone.time
    );
    let more = cost.memory.saturating_sub(alone.memory);
    assert!(more <= MEMORY_MAX + cost.served, "{name}: {more} bytes more");
}

#[test]
fn beside_one_bad_and_one_good_peer_a_download_takes_hardly_longer_nor_more_memory() {
    let _alone = alone();
    let without = download(&[], None);
    let seed = Plan::seed(b'x');
    let bad = [
        ("mute", Plan { unchokes: false, ..seed.clone() }),
        ("never answers", Plan { serve: Serve::Never, ..seed.clone() }),
        ("trickles", Plan { serve: Serve::Trickle, ..seed.clone() }),
        ("rejects", Plan { serve: Serve::Rejects, ..seed.clone() }),
        ("lies", Plan { serve: Serve::Wrong(1000), ..seed.clone() }),
        ("lies at times", Plan { serve: Serve::Wrong(200), ..seed.clone() }),
        ("never shakes hands", Plan { shake: Shake::Never, ..seed.clone() }),
        ("shakes with garbage", Plan { shake: Shake::Garbage, ..seed.clone() }),
        ("reads nothing", Plan { reads: false, flood: Some(Flood::Requests), ..seed.clone() }),
        ("comes again and again", Plan { redial: Some(SECOND / 10), shake: Shake::Garbage, ..seed.clone() }),
    ];
    for (name, plan) in bad {
        check(name, without, download(&[plan], None));
    }
}

#[test]
fn beside_a_flood_and_one_good_peer_a_download_takes_hardly_longer_nor_more_memory() {
    let _alone = alone();
    let without = download(&[], None);
    for flood in Flood::ALL {
        for serve in [Serve::Right, Serve::Never, Serve::Rejects] {
            let plan = Plan { flood: Some(flood), serve, ..Plan::seed(b'x') };
            check(&format!("{flood:?}, {serve:?}"), without, download(&[plan], None));
        }
    }
}

#[test]
fn extension_bombs_cost_next_to_nothing() {
    let _alone = alone();
    let without = download(&[], None);
    for metadata in [Meta::Deep, Meta::Wide, Meta::TooLong] {
        let plan = Plan { metadata, ..Plan::seed(b'x') };
        check(&format!("{metadata:?}"), without, download(&[plan], None));
    }
}

#[test]
fn beside_one_bad_web_seed_and_one_good_peer_a_download_takes_hardly_longer() {
    let _alone = alone();
    let without = download(&[], None);
    let answers = [
        Answer::Wrong,
        Answer::Cut,
        Answer::Status(404, None),
        Answer::Status(503, Some(1)),
        Answer::Status(503, Some(u64::MAX)),
        Answer::Never,
    ];
    for answer in answers {
        check(&format!("{answer:?}"), without, download(&[], Some(answer)));
    }
}

#[test]
fn a_crowd_of_every_kind_at_once_beside_one_good_peer_keeps_nothing_from_coming() {
    let _alone = alone();
    let plans: Vec<Plan> = (b'a'..)
        .zip(Flood::ALL)
        .map(|(mark, flood)| Plan { flood: Some(flood), ..Plan::seed(mark) })
        .collect();
    let cost = download(&plans, None);
    // They share the line with the good one.
    assert!(cost.time < MINUTE, "{cost:?}");
    assert!(cost.memory < 64 << 20, "{cost:?}");
}
