//! x86-64: lanes in vector registers, and streams through the SHA instructions.
//!
//! All `unsafe` of the crate is below here, and is of two kinds: entering a function that needs
//! certain instructions, behind a look whether the CPU has them; and taking a register's bytes for
//! an array of the same size, or the other way round.

mod avx2;
mod avx512;
mod ni;
mod rounds;

use crate::backend::Backend;

/// The ways that this CPU has, in the order in which they get faster as messages get more.
pub(crate) fn found() -> Vec<Backend> {
    let mut found = Vec::new();
    if ni::is_there() {
        found.push(Backend::new("sha-ni x2", 2, 2, ni::compress::<2>));
        found.push(Backend::new("sha-ni x3", 3, 3, ni::compress::<3>));
        found.push(Backend::new("sha-ni x4", 4, 4, ni::compress::<4>));
    }
    if avx2::is_there() {
        found.push(Backend::new("avx2 x8", 8, 5, avx2::compress));
    }
    if avx512::is_there() {
        found.push(Backend::new("avx512 x16", 16, 6, avx512::compress));
    }
    found
}
