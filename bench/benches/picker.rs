//! The picker: nothing but `rejoin` may depend on the number of pieces.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use peerless_bench::Picking;

/// Picks between two clean-ups: as many pieces are open at most.
const PICKS: usize = 32;

const HAVES: usize = 1000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("picker");
    for piece_count in [1_000, 10_000, 100_000, 1_000_000] {
        let mut picking = Picking::new(piece_count, 16);
        for (name, count) in [("pick a piece of 16 blocks", 16), ("pick one block", 1)] {
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new(name, piece_count), |bencher| {
                bencher.iter_custom(|iters| picks(&mut picking, iters, count));
            });
        }
        group.throughput(Throughput::Elements(HAVES as u64));
        group.bench_function(BenchmarkId::new("1000 haves", piece_count), |bencher| {
            bencher.iter_custom(|iters| haves(&mut picking, iters));
        });
        group.throughput(Throughput::Elements(u64::from(piece_count)));
        group.bench_function(BenchmarkId::new("rejoin", piece_count), |bencher| {
            bencher.iter(|| picking.rejoin(1));
        });
    }
    group.finish();
}

fn picks(picking: &mut Picking, iters: u64, count: usize) -> Duration {
    let (mut spent, mut left) = (Duration::ZERO, usize::try_from(iters).unwrap_or(usize::MAX));
    while left > 0 {
        let part = left.min(PICKS);
        let start = Instant::now();
        for nth in 0..part {
            assert!(picking.pick(nth, count) > 0, "there is always something to pick");
        }
        spent += start.elapsed();
        picking.undo();
        left -= part;
    }
    spent
}

fn haves(picking: &mut Picking, iters: u64) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..iters {
        let start = Instant::now();
        let pieces = picking.haves(HAVES);
        spent += start.elapsed();
        picking.forget(&pieces);
    }
    spent
}
