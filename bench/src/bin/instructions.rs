//! What `bench/instructions` runs under callgrind: it counts only what happens within
//! [`Pair::run`] and [`Picking::pick`], so set-up costs nothing here but time.

use std::process::ExitCode;

use peerless_bench::{Pair, Picking};

/// 1,024 blocks: enough that start and end of the transfer are a small part.
const TOTAL_LEN: u64 = 16 * 1024 * 1024;

const PICKS: usize = 1000;

fn main() -> ExitCode {
    let what = std::env::args().nth(1).unwrap_or_default();
    let count = match what.as_str() {
        "transfer" => Pair::new(TOTAL_LEN, 256 * 1024).run(),
        "recorded" => Pair::recorded(TOTAL_LEN, 256 * 1024).run(),
        "pick" => {
            let mut picking = Picking::new(1_000_000, 8);
            let blocks: usize = (0..PICKS).map(|nth| picking.pick(nth, 16)).sum();
            assert_eq!(blocks, PICKS * 16, "every pick opens a piece");
            PICKS as u64
        }
        _ => {
            eprintln!("usage: instructions transfer|recorded|pick");
            return ExitCode::FAILURE;
        }
    };
    // Of how many things the count is.
    eprintln!("events {count}");
    ExitCode::SUCCESS
}
