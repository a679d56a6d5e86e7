//! `peerless seed TORRENT --data DIR`.

use peerless_core::Purpose;

use crate::args::SeedArgs;
use crate::engine::{self, Plan};
use crate::exit::Exit;
use crate::goals::{Goals, Then};
use crate::signal::Signals;

/// Serves what is there until a signal comes, or a ratio or time is reached.
pub fn run(args: SeedArgs, signals: &Signals) -> Exit {
    let plan = Plan {
        sources: args.sources,
        root: args.data,
        purpose: Purpose::Serve,
        metadata_to: None,
        files: Vec::new(),
        sequential: false,
        first_and_last: false,
        goals: Goals {
            then: Then::new(true, args.seeding.seed_ratio, args.seeding.seed_time),
            stop_timeout: None,
        },
        network: args.network,
        voice: args.voice,
    };
    engine::run(plan, signals)
}
