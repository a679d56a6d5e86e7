//! A round of the choker in a session that seeds.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use peerless_bench::Crowd;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("choker");
    for peer_count in [10, 100, 1000] {
        let mut crowd = Crowd::new(peer_count);
        group.bench_function(BenchmarkId::new("round", peer_count), |bencher| {
            bencher.iter_custom(|iters| {
                let mut spent = Duration::ZERO;
                for _ in 0..iters {
                    crowd.wait();
                    let start = Instant::now();
                    crowd.round();
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}
