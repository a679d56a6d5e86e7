//! The harness: Sessions joined in memory under virtual time, and the properties they must keep.
//!
//! Nothing here is published. Tests and fuzz targets call the same functions, so a crash found by
//! one is replayed by the other.

pub mod check;
pub mod crowd;
pub mod disk;
pub mod host;
pub mod link;
pub mod model;
pub mod ops;
pub mod puppet;
#[cfg(target_os = "linux")]
pub mod real;
pub mod sample;
pub mod sim;
pub mod speak;
pub mod tracker;
pub mod watch;
pub mod web;
