//! Random small swarms.

use peerless_sim::puppet::Serve;
use peerless_tests::small::{Kind, Small};
use proptest::prelude::*;

/// Swarms with one honest seed, a few honest leeches, and others of every kind.
pub(super) fn small() -> impl Strategy<Value = Small> {
    let torrent = (8_u32..=40, prop::sample::select(vec![16_384_u32, 32_768, 65_536]), 0_u32..65_536);
    // Those who hold up a download most are the likeliest.
    let lazy = [Serve::Never, Serve::Trickle, Serve::Rejects, Serve::Wrong(300)].map(Kind::Serves);
    let kind = prop_oneof![prop::sample::select(lazy.to_vec()), prop::sample::select(Kind::all())];
    let others = prop::collection::vec((kind, any::<bool>()), 0..=6);
    let honest = (0_usize..=1, 1_usize..=3);
    let seldom = |range: std::ops::Range<u64>| prop_oneof![2 => Just(0), 1 => range];
    let network = (0_u64..200, seldom(2..60), prop_oneof![2 => Just(0), 1 => 1_usize..20]);
    let late = prop_oneof![Just(0), 1_u64..20, 90_u64..150];
    let seed_comes = (20_000_u64..1_000_000, late);
    let scarce = |range: std::ops::Range<usize>| prop_oneof![2 => Just(0), 1 => range];
    let room = (scarce(2..6), scarce(3..8));
    (any::<u64>(), torrent, honest, others, network, room, seed_comes).prop_map(
        |(
            seed,
            (piece_count, piece_len, missing_len),
            (by_magnet, leeches),
            others,
            network,
            room,
            seed_comes,
        )| {
            Small {
                seed,
                piece_count,
                piece_len,
                missing_len: missing_len % piece_len,
                by_magnet,
                leeches,
                others,
                latency: network.0,
                cut_after: network.1,
                stalls: network.2,
                buffer: room.0,
                peers_max: room.1,
                requests_max: 0,
                seed_up: seed_comes.0,
                seed_late: seed_comes.1,
            }
        },
    )
}
