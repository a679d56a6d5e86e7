//! The built program, as scripts see it: what it prints, writes and ends with.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;
mod torrents;
mod tracker;
#[cfg(unix)] // Signals are sent by `kill`.
mod transfer;
mod usage;
