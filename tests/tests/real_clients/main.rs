//! Real BitTorrent programs and ours, each on an address of its own in a private network.
//!
//! Runs only when it is named, and fails when a program or a right is missing:
//! `cargo test -p peerless-tests --test real_clients`, as root. `tests/run` installs what it needs.

#[cfg(target_os = "linux")]
mod choosing;
#[cfg(target_os = "linux")]
mod creation;
#[cfg(target_os = "linux")]
mod extensions;
#[cfg(target_os = "linux")]
mod failing_calls;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod https;
#[cfg(target_os = "linux")]
mod ipv6;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod magnets;
#[cfg(target_os = "linux")]
mod meddling;
#[cfg(target_os = "linux")]
mod pex;
#[cfg(target_os = "linux")]
mod resume;
#[cfg(target_os = "linux")]
mod routes;
#[cfg(target_os = "linux")]
mod seeding;
#[cfg(target_os = "linux")]
mod trackers;
#[cfg(target_os = "linux")]
mod transfers;
#[cfg(target_os = "linux")]
mod web_seeds;

/// Where there are no network namespaces, this target fails instead of passing with nothing done.
#[cfg(not(target_os = "linux"))]
#[test]
fn needs_linux() {
    panic!("network namespaces, and so these tests, need Linux");
}

/// Makes a test for each runtime of functions that take one.
#[cfg(target_os = "linux")]
macro_rules! under_both_runtimes {
    ($($name:ident $(($($argument:expr),*))? => $test:ident),* $(,)?) => {
        mod mio {
            use super::*;
            $(#[test] fn $test() { $name($($($argument,)*)? Runtime::Mio) })*
        }
        mod smol {
            use super::*;
            $(#[test] fn $test() { $name($($($argument,)*)? Runtime::Smol) })*
        }
    };
}
#[cfg(target_os = "linux")]
use under_both_runtimes;
