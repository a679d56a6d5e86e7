//! The subcommands, a file each. Each one's `run` gives the exit code, or the failure to be told.

pub mod completions;
pub mod create;
pub mod demo;
pub mod download;
pub mod edit;
pub mod info;
pub mod magnet;
pub mod man;
pub mod replay;
pub mod scrape;
pub mod seed;
pub mod sim;
pub mod tracker;
pub mod verify;
