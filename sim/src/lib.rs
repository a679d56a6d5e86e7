//! Swarms in one process: real sessions joined in memory, under virtual time.
//!
//! One number decides everything that happens, so that what was seen once is seen again.

pub mod disk;
pub mod host;
pub mod link;
pub mod puppet;
pub mod sample;
pub mod speak;
pub mod swarm;
pub mod tracker;
pub mod watch;
pub mod web;
