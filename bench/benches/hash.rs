//! Hashing pieces: one by the portable way of the core, and one to sixteen at once by `hash`.

use criterion::{BenchmarkId, Criterion, Throughput};
use peerless_core::block::Block;
use peerless_core::metainfo::Digest;
use peerless_core::piece::BLOCK_LEN;

/// Blocks of a piece of 256 KiB.
const BLOCKS: usize = 16;

pub(crate) fn bench(criterion: &mut Criterion) {
    let blocks: Vec<Block> = (0..BLOCKS).map(|_| Block::new(vec![7; BLOCK_LEN as usize])).collect();
    let piece: Vec<&[u8]> = blocks.iter().map(Block::as_slice).collect();
    let piece_len = BLOCKS as u64 * u64::from(BLOCK_LEN);
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Bytes(piece_len));
    group.bench_function("portable", |bencher| {
        bencher.iter(|| peerless_core::verify(&blocks, Digest::Sha1([0; 20])));
    });
    // The same piece over and over, so that reading it from memory is no part of this.
    for count in [1, 2, 4, 8, 16] {
        let pieces = vec![&piece[..]; count];
        group.throughput(Throughput::Bytes(count as u64 * piece_len));
        group.bench_function(BenchmarkId::new("at once", count), |bencher| {
            bencher.iter(|| peerless_hash::sha1_each(&pieces));
        });
    }
    group.finish();
}
