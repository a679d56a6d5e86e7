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
///
/// The numbers from which they do are measured (`examples/rates.rs`). Lanes cost the same however
/// few of them are in use, streams nearly don't; and four streams are as fast as nine lanes of
/// AVX-512, or as all of AVX2.
pub(crate) fn found() -> Vec<Backend> {
    let mut found = Vec::new();
    if ni::is_there() {
        found.push(Backend::new("sha-ni x2", 2, 2, ni::compress::<2>));
        found.push(Backend::new("sha-ni x3", 3, 3, ni::compress::<3>));
        found.push(Backend::new("sha-ni x4", 4, 4, ni::compress::<4>));
    }
    if avx2::is_there() {
        let pays_from = if ni::is_there() { usize::MAX } else { 3 };
        found.push(Backend::new("avx2 x8", 8, pays_from, avx2::compress));
    }
    if avx512::is_there() {
        found.push(Backend::new("avx512 x16", 16, 9, avx512::compress));
    }
    found
}
