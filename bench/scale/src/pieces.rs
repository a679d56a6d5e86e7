//! A torrent of very many pieces: what the picker costs.

use std::io;
use std::time::Instant;

use peerless_core::PeerKey;
use peerless_core::bitfield::Bitfield;
use peerless_core::block::BlockPool;
use peerless_core::key::Key as _;
use peerless_core::picker::Picker;
use peerless_core::piece::Geometry;
use peerless_core::rng::Rng;

use crate::meter::{bytes, head, memory, nanos, row, time};

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Torrents of one-block pieces: the worst case, since each block picked opens a piece.
struct Bench {
    geometry: Geometry,
    picker: Picker,
    rng: Rng,
}

impl Bench {
    /// A picker at which `have` pieces are there, beside peers that have each piece by chance.
    fn new(piece_count: u32, have: u32, peer_count: u32) -> Self {
        let mut rng = Rng::new(7);
        let geometry = Geometry::new(u64::from(piece_count) * 16_384, 16_384).expect("sizes in range");
        let mut set = Bitfield::empty(piece_count);
        geometry.pieces().take(have as usize).for_each(|piece| _ = set.insert(piece));
        let mut picker = Picker::new(geometry, &set, &mut rng);
        (0..peer_count).for_each(|_| picker.add_peer(&some(geometry, &mut rng, 2)));
        Self { geometry, picker, rng }
    }
}

/// A set that has one piece in `one_in`, by chance.
fn some(geometry: Geometry, rng: &mut Rng, one_in: usize) -> Bitfield {
    let mut set = Bitfield::empty(geometry.piece_count());
    geometry.pieces().filter(|_| rng.below(one_in) == 0).for_each(|piece| _ = set.insert(piece));
    set
}

/// A set that lacks `lacks` pieces.
fn nearly_all(geometry: Geometry, rng: &mut Rng, lacks: u32) -> Bitfield {
    let mut set = Bitfield::full(geometry.piece_count());
    for _ in 0..lacks {
        let index = rng.below(geometry.piece_count() as usize);
        let piece = u32::try_from(index).ok().and_then(|index| geometry.piece(index));
        piece.into_iter().for_each(|piece| _ = set.remove(piece));
    }
    set
}

fn peer(number: u32) -> PeerKey {
    PeerKey::new(number, 0)
}

pub(crate) fn run() -> io::Result<()> {
    head("a torrent of so many pieces, each of one block", &SIZES.map(|size| size.to_string()))?;
    let mut memory_row = Vec::new();
    for size in SIZES {
        let (len, _bench) = memory(|| Bench::new(size, 0, 0));
        memory_row.push(bytes(len as f64 / f64::from(size)));
    }
    row("memory of the picker, for each piece", &memory_row)?;
    peers()?;
    picks("a pick, the peer is a seed", 0, |geometry, _| Bitfield::full(geometry.piece_count()))?;
    picks("a pick, peers have half", 20, |geometry, rng| some(geometry, rng, 2))?;
    picks("a pick, the peer has one in 1,000", 20, |geometry, rng| some(geometry, rng, 1000))?;
    picks("a pick, the peer lacks ten", 20, |geometry, rng| nearly_all(geometry, rng, 10))
}

/// What it costs that a peer comes and goes.
fn peers() -> io::Result<()> {
    type Make = fn(Geometry, &mut Rng) -> Bitfield;
    let kinds: [(&str, Make); 4] = [
        ("a seed comes and goes", |geometry, _| Bitfield::full(geometry.piece_count())),
        ("a peer with ten pieces comes and goes", |geometry, _| {
            let mut set = Bitfield::empty(geometry.piece_count());
            geometry.pieces().take(10).for_each(|piece| _ = set.insert(piece));
            set
        }),
        ("a peer that lacks ten comes and goes", |geometry, rng| nearly_all(geometry, rng, 10)),
        ("a peer with half comes and goes", |geometry, rng| some(geometry, rng, 2)),
    ];
    for (what, make) in kinds {
        let mut values = Vec::new();
        for size in SIZES {
            let mut bench = Bench::new(size, 0, 10);
            let set = make(bench.geometry, &mut bench.rng);
            values.push(nanos(time(
                10,
                || (),
                |(), number| {
                    bench.picker.add_peer(&set);
                    bench.picker.remove_peer(peer(number), &set, None);
                },
            )));
        }
        row(what, &values)?;
    }
    let mut values = Vec::new();
    for size in SIZES {
        let mut bench = Bench::new(size, 0, 10);
        let mut set = Bitfield::empty(size);
        let mut index = 0;
        values.push(nanos(time(
            100_000.min(size / 4),
            || (),
            |(), _| {
                index = (index + size / 3 * 2 + 1) % size;
                bench
                    .geometry
                    .piece(index)
                    .into_iter()
                    .for_each(|piece| _ = bench.picker.add_have(&mut set, piece));
            },
        )));
    }
    row("a have", &values)
}

/// Picks of one block each, which then comes and is stored: the middle one and the 99th of a hundred,
/// when the torrent is fresh and when it is nearly done.
fn picks(what: &str, others: u32, set: fn(Geometry, &mut Rng) -> Bitfield) -> io::Result<()> {
    for (stage, share) in [("fresh", 0), ("half done", 500), ("99.9 % done", 999)] {
        let (mut middle, mut late) = (Vec::new(), Vec::new());
        for size in SIZES {
            let mut bench = Bench::new(size, size / 1000 * share, others);
            let set = set(bench.geometry, &mut bench.rng);
            bench.picker.add_peer(&set);
            let mut times = bench.picks(&set, (size / 4).min(20_000));
            times.sort_unstable();
            let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| *time as f64);
            middle.push(nanos(at(50)));
            late.push(nanos(at(99)));
        }
        row(&format!("{what}; {stage}"), &middle)?;
        row("  the 99th of a hundred", &late)?;
    }
    Ok(())
}

impl Bench {
    /// Picks up to `count` blocks of a peer with these pieces; the nanoseconds of each.
    fn picks(&mut self, set: &Bitfield, count: u32) -> Vec<u128> {
        let (mut times, mut out, mut pool) = (Vec::new(), Vec::new(), BlockPool::default());
        for _ in 0..count {
            let start = Instant::now();
            self.picker.pick(&mut self.rng, peer(0), set, 1, usize::MAX, &mut out);
            times.push(start.elapsed().as_nanos());
            let Some(block) = out.pop() else { break };
            let _ = self.picker.received(&mut pool, peer(0), block, &[0; 16_384]);
            if let Some((blocks, _)) = self.picker.take_piece(block.piece()) {
                blocks.into_iter().for_each(|block| pool.give_back(block));
            }
            self.picker.stored(block.piece());
        }
        times
    }
}
