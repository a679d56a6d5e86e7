//! From a torrent file's bytes to what is believed of it.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use peerless_bench::{folder, metainfo};
use peerless_core::metainfo::Metainfo;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metainfo");
    for piece_count in [1_000, 100_000] {
        let raw = metainfo(piece_count << 18, 1 << 18).raw().to_vec();
        parse(&mut group, BenchmarkId::new("parse pieces", piece_count), &raw);
    }
    for file_count in [100, 10_000] {
        let raw = folder(file_count, 100_000, 1 << 18);
        parse(&mut group, BenchmarkId::new("parse files", file_count), &raw);
    }
    group.finish();
}

fn parse(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    id: BenchmarkId,
    raw: &[u8],
) {
    group.throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function(id, |bencher| {
        bencher.iter_batched(
            || raw.to_vec(),
            |raw| Metainfo::parse(raw).expect("a good torrent"),
            BatchSize::LargeInput,
        );
    });
}
