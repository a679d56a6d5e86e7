//! The harness: the properties that sessions, parsers and swarms must keep.
//!
//! Nothing here is published. Tests and fuzz targets call the same functions, so a crash found by
//! one is replayed by the other.

pub mod check;
pub mod crowd;
pub mod limits;
pub mod model;
pub mod ops;
#[cfg(target_os = "linux")]
pub mod real;
pub mod resume;
pub mod small;
