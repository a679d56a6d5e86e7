//! `peerless download SOURCE...`, and `peerless SOURCE...`.

use peerless_core::Purpose;

use crate::args::DownloadArgs;
use crate::engine::{self, Plan};
use crate::exit::Exit;
use crate::goals::{Goals, Then};
use crate::signal::Signals;

/// Gets the data, and seeds on where told to.
pub fn run(args: DownloadArgs, signals: &Signals) -> Exit {
    let then = Then::new(args.seed, args.seeding.seed_ratio, args.seeding.seed_time);
    let plan = Plan {
        sources: args.sources,
        root: args.output,
        purpose: Purpose::Download,
        metadata_to: None,
        files: args.files,
        sequential: args.sequential,
        first_and_last: args.first_and_last,
        goals: Goals { then, stop_timeout: args.stop_timeout },
        network: args.network,
        voice: args.voice,
    };
    engine::run(plan, signals)
}
