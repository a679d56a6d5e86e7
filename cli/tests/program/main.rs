//! The built program, as scripts see it: what it prints, writes and ends with.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[cfg(unix)] // Signals are sent by `kill`.
mod background;
mod common;
#[cfg(unix)]
mod kills;
mod sim;
#[cfg(unix)]
mod stops;
mod torrents;
mod tracker;
#[cfg(unix)]
mod transfer;
mod usage;
