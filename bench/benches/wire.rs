//! Messages to bytes and back.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use peerless_core::piece::BLOCK_LEN;
use peerless_core::wire::{Decoder, Message, Step};

const PIECE_COUNT: u32 = 10_000;

/// Messages in a stream.
const COUNT: u32 = 64;

pub(crate) fn bench(criterion: &mut Criterion) {
    let block = vec![7; BLOCK_LEN as usize];
    let piece = |index| Message::Piece { index, begin: 0, data: &block };
    let request = |index| Message::Request { index, begin: 0, len: BLOCK_LEN };
    let have = |index| Message::Have { index };

    let mut group = criterion.benchmark_group("wire");
    for (name, stream) in [("piece", stream(piece)), ("request", stream(request)), ("have", stream(have))] {
        group.throughput(Throughput::Elements(u64::from(COUNT)));
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| decode(&stream, stream.len()))
        });
        // Every frame is cut, so every message goes through the stash.
        let cut = stream.len() / COUNT as usize - 1;
        group.bench_function(format!("decode cut/{name}"), |bencher| bencher.iter(|| decode(&stream, cut)));
    }
    let mut out = Vec::with_capacity(1 << 21);
    group.bench_function("encode/request", |bencher| {
        bencher.iter(|| {
            out.clear();
            (0..COUNT).for_each(|index| request(index).encode(&mut out));
            black_box(out.len())
        });
    });
    group.bench_function("encode/have", |bencher| {
        bencher.iter(|| {
            out.clear();
            (0..COUNT).for_each(|index| have(index).encode(&mut out));
            black_box(out.len())
        });
    });
    group.finish();
}

fn stream<'a>(message: impl Fn(u32) -> Message<'a>) -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..COUNT).for_each(|index| message(index).encode(&mut bytes));
    bytes
}

/// Decodes the stream from reads of `read_len` bytes.
fn decode(stream: &[u8], read_len: usize) {
    let (mut decoder, mut count) = (Decoder::new(PIECE_COUNT), 0);
    for mut rest in stream.chunks(read_len) {
        while let Ok(Step::Message { message, used }) = decoder.step(rest) {
            black_box(&message);
            count += 1;
            rest = &rest[used..];
        }
    }
    assert_eq!(count, COUNT);
}
