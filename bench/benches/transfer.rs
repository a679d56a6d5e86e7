//! A whole transfer between two sessions in memory: both sides of the core, no I/O, no hashing.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use peerless_bench::Pair;

const TOTAL_LEN: u64 = 64 << 20;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("transfer");
    group.throughput(Throughput::Bytes(TOTAL_LEN));
    for piece_len in [256 << 10, 1 << 20, 4 << 20] {
        group.bench_function(BenchmarkId::new("pieces of", piece_len), |bencher| {
            bencher.iter_batched_ref(
                || Pair::new(TOTAL_LEN, piece_len),
                |pair| assert_eq!(pair.run(), TOTAL_LEN >> 14),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}
