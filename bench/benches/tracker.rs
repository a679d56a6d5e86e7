//! Our tracker: what an announce costs, by how many peers it knows.

use std::net::SocketAddr;

use criterion::{BenchmarkId, Criterion};
use peerless_core::rng::Rng;
use peerless_core::tracker::udp::{Announce, Answer, Call, connect};
use peerless_core::tracker::{TrackerOptions, TrackerServer};
use peerless_core::{InfoHash, Instant, IpFamily, PeerId};

/// Peers and swarms of each tracker: from a few to what the default bounds are made for, and one
/// swarm that is as large as it may be.
const SIZES: [(u32, u32); 4] = [(1_000, 10), (10_000, 100), (100_000, 1_000), (50_000, 1)];

/// Announces of peers that are known already, each in its turn, with 50 peers in each answer.
pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tracker");
    for (peer_count, swarm_count) in SIZES {
        let (mut server, mut rng) = (TrackerServer::new(TrackerOptions::default(), [1; 32]), Rng::new(1));
        for peer in 0..peer_count {
            announce(&mut server, &mut rng, peer, swarm_count);
        }
        assert_eq!(server.peer_count(), peer_count as usize, "all are known");
        group.bench_function(
            BenchmarkId::new("udp_announce", format!("{peer_count}_in_{swarm_count}")),
            |bencher| {
                let mut turn = 0;
                bencher.iter(|| {
                    turn = (turn + 1) % peer_count;
                    announce(&mut server, &mut rng, turn, swarm_count)
                });
            },
        );
    }
    group.finish();
}

/// A connect and an announce; gives the length of the second answer.
fn announce(server: &mut TrackerServer, rng: &mut Rng, peer: u32, swarm_count: u32) -> usize {
    let [_, a, b, c] = peer.to_be_bytes();
    let from = SocketAddr::from(([10, a, b, c], 6881));
    let answer = server.handle_udp(Instant::START, rng, from, &connect(1));
    let answer = answer.and_then(|answer| Answer::parse(&answer, IpFamily::V4));
    let Some((1, Answer::Connected { connection })) = answer else { return 0 };
    let mut hash = [0; 20];
    hash[..4].copy_from_slice(&(peer % swarm_count).to_be_bytes());
    let mut peer_id = [0; 20];
    peer_id[..4].copy_from_slice(&peer.to_be_bytes());
    let call = Call::Announce(Box::new(Announce {
        info_hash: InfoHash::new(hash),
        peer_id: PeerId::new(peer_id),
        downloaded: 0,
        left: u64::from(peer % 3),
        uploaded: 0,
        event: None,
        key: 0,
        numwant: Some(50),
        port: 6881,
        url_data: Vec::new(),
    }));
    server.handle_udp(Instant::START, rng, from, &call.encode(connection, 2)).map_or(0, |answer| answer.len())
}
