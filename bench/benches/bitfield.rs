//! Sets of pieces.

use criterion::{BenchmarkId, Criterion};
use peerless_bench::partial;
use peerless_core::bitfield::Bitfield;
use peerless_core::piece::{BLOCK_LEN, Geometry};
use peerless_core::rng::Rng;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bitfield");
    for piece_count in [1_000, 1_000_000] {
        let geometry = Geometry::new(u64::from(piece_count) * u64::from(BLOCK_LEN), BLOCK_LEN)
            .expect("lengths that go together");
        let mut rng = Rng::new(1);
        let (some, others) = (partial(&geometry, &mut rng, 4), partial(&geometry, &mut rng, 4));
        let wire = some.to_wire();
        let id = |what| BenchmarkId::new(what, piece_count);
        group.bench_function(id("from wire"), |b| b.iter(|| Bitfield::from_wire(&wire, piece_count)));
        group.bench_function(id("to wire"), |b| b.iter(|| some.to_wire()));
        group.bench_function(id("count outside"), |b| b.iter(|| some.count_outside(&others)));
        group.bench_function(id("iterate"), |b| b.iter(|| some.iter(&geometry).count()));
    }
    group.finish();
}
