//! Swarms in one process: real sessions joined in memory, under virtual time.
//!
//! One number decides everything that happens, so that what was seen once is seen again.

#[cfg(feature = "scenarios")]
pub mod bound;
#[cfg(feature = "scenarios")]
pub mod chart;
pub mod conns;
mod digest;
pub mod disk;
pub mod host;
pub mod link;
pub mod part;
#[cfg(feature = "scenarios")]
pub mod picture;
pub mod puppet;
#[cfg(feature = "scenarios")]
pub mod report;
#[cfg(feature = "scenarios")]
pub mod run;
pub mod sample;
#[cfg(feature = "scenarios")]
pub mod scenario;
pub mod speak;
pub mod swarm;
pub mod tally;
pub mod theory;
pub mod tracker;
pub mod traffic;
pub mod watch;
pub mod web;
pub mod witness;
