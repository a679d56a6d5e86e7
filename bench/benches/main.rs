//! `cargo bench`: the parts of the core one by one, and all of it together, without I/O.
//!
//! Each group is named like the module that it measures: `cargo bench -- picker` runs one.

use std::time::Duration;

use criterion::Criterion;

mod bitfield;
mod choker;
mod hash;
mod metainfo;
mod picker;
mod tracker;
mod transfer;
mod wire;

fn main() {
    // Short: all of it is to be run before and after a change. `--measurement-time` makes it longer.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    wire::bench(&mut criterion);
    bitfield::bench(&mut criterion);
    picker::bench(&mut criterion);
    choker::bench(&mut criterion);
    metainfo::bench(&mut criterion);
    hash::bench(&mut criterion);
    tracker::bench(&mut criterion);
    transfer::bench(&mut criterion);
    criterion.final_summary();
}
