//! Hashing a piece: the portable way of the core, and the one that uses the CPU's instructions.

use criterion::{Criterion, Throughput};
use peerless_core::block::Block;
use peerless_core::metainfo::Digest;
use peerless_core::piece::BLOCK_LEN;
use sha1::Digest as _;

/// Blocks of a piece of 256 KiB.
const BLOCKS: usize = 16;

pub(crate) fn bench(criterion: &mut Criterion) {
    let blocks: Vec<Block> = (0..BLOCKS).map(|_| Block::new(vec![7; BLOCK_LEN as usize])).collect();
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Bytes(BLOCKS as u64 * u64::from(BLOCK_LEN)));
    group.bench_function("one piece, portable", |bencher| {
        bencher.iter(|| peerless_core::verify(&blocks, Digest::Sha1([0; 20])));
    });
    group.bench_function("one piece", |bencher| {
        bencher.iter(|| {
            let mut sha1 = sha1::Sha1::new();
            blocks.iter().for_each(|block| sha1.update(block.as_slice()));
            sha1.finalize()
        });
    });
    group.finish();
}
