//! What the benchmarks and the instruction counts share: torrents of any size without payload, a
//! whole transfer between two sessions in memory, a picker and a choker with a crowd around them.
//!
//! Nothing here touches a disk, a socket or a clock: what is measured is the core alone.

#![expect(clippy::missing_panics_doc, reason = "a bench that can't be set up ends")]

mod crowd;
mod pair;
mod picking;
mod sample;

pub use crowd::Crowd;
pub use pair::Pair;
pub use picking::Picking;
pub use sample::{folder, metainfo, partial};
