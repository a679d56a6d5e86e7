//! GB/s of every way to hash that this machine has, by the number of messages and their length.
//!
//! `cargo run --release -p peerless-hash --example rates [KIB...]`: messages of so many KiB, in a
//! buffer that the CPU's second cache holds (hot) and in one that no cache holds (cold).
#![expect(clippy::print_stdout, reason = "its one purpose")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use peerless_hash::{Backend, backends, sha1_each_by};

/// Bytes of the cold buffer.
const COLD_LEN: usize = 512 << 20;

/// How long each figure is measured, and how often: the best counts, as others use the machine too.
const SPAN: Duration = Duration::from_millis(10);
const TRY_COUNT: usize = 8;

fn main() {
    let lens: Vec<usize> = std::env::args().skip(1).filter_map(|kib| kib.parse().ok()).collect();
    let lens = if lens.is_empty() { vec![16, 256, 4096] } else { lens };
    let memory = vec![1; COLD_LEN];
    for kib in lens {
        let len = kib * 1024;
        println!("messages of {kib} KiB, GB/s hot and cold: best of {TRY_COUNT}");
        print!("{:>12}", "");
        let counts = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32].map(|count| (count, count * len <= COLD_LEN));
        let counts = counts.into_iter().filter_map(|(count, fits)| fits.then_some(count));
        counts.clone().for_each(|count| print!("{count:>11}"));
        println!();
        let all = backends().iter().map(|backend| (backend.name(), std::slice::from_ref(backend)));
        for (name, backends) in all.chain([("the choice", backends())]) {
            print!("{name:>12}");
            for count in counts.clone() {
                let hot = rate(backends, &memory, count, len, true);
                let cold = rate(backends, &memory, count, len, false);
                print!("{hot:>6.2}{cold:>5.2}");
            }
            println!();
        }
    }
}

fn rate(backends: &[Backend], memory: &[u8], count: usize, len: usize, hot: bool) -> f64 {
    let mut at = 0;
    let rates = (0..TRY_COUNT).map(|_| rate_once(backends, memory, count, len, hot, &mut at));
    rates.fold(0.0, f64::max)
}

fn rate_once(
    backends: &[Backend],
    memory: &[u8],
    count: usize,
    len: usize,
    hot: bool,
    at: &mut usize,
) -> f64 {
    let (start, mut done) = (Instant::now(), 0);
    // What is hot is read by turns, a part of each message at a time, as a verification does it.
    let part_len = if hot { len.min((256 << 10) / count / 64 * 64) } else { len };
    while start.elapsed() < SPAN {
        if *at + count * part_len > memory.len() {
            *at = 0;
        }
        let parts: Vec<[&[u8]; 1]> =
            (0..count).map(|n| [&memory[*at + n * part_len..][..part_len]]).collect();
        let messages: Vec<&[&[u8]]> = parts.iter().map(|parts| &parts[..]).collect();
        black_box(sha1_each_by(backends, &messages));
        done += count * part_len;
        if !hot {
            *at += count * part_len;
        }
    }
    done as f64 / start.elapsed().as_secs_f64() / 1e9
}
