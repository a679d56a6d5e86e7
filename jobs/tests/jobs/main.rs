//! Jobs as the runtimes see them, on real files and loopback sockets.

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking, as tests do")]

mod choose;
mod common;
mod http;
mod meddled;
mod start;
mod transfer;
mod verify;
mod web;
