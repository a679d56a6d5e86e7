//! A few streams interleaved through the SHA instructions: each waits for the one before it, which
//! leaves time for those of other messages.

use std::arch::x86_64::*;
use std::mem::transmute;

use crate::backend::Lane;
use crate::message::{Block, State};

/// Whether this CPU can.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")
}

/// Hashes up to `N` lanes.
pub(super) fn compress<const N: usize>(lanes: &mut [Lane<'_>]) {
    assert!(is_there(), "the CPU has SHA instructions");
    let Some(first) = lanes.first() else { return };
    let mut runs = [first.blocks; N];
    let mut states = [*first.state; N];
    for ((lane, run), state) in lanes.iter().zip(&mut runs).zip(&mut states) {
        (*run, *state) = (lane.blocks, *lane.state);
    }
    #[expect(unsafe_code, reason = "to enter a function that needs certain instructions")]
    // SAFETY: the CPU has them, as has just been asked.
    unsafe {
        compress_streams(&mut states, &runs);
    }
    lanes.iter_mut().zip(states).for_each(|(lane, state)| *lane.state = state);
}

#[target_feature(enable = "sha,sse4.1")]
fn compress_streams<const N: usize>(states: &mut [State; N], runs: &[&[Block]; N]) {
    // The first four words of each state; and what the fifth comes of.
    let mut sums = [(_mm_setzero_si128(), _mm_setzero_si128()); N];
    for n in 0..N {
        sums[n] = load(states[n]);
    }
    let block_count = runs.iter().map(|run| run.len()).min().unwrap_or(0);
    for at in 0..block_count {
        let mut words = [[_mm_setzero_si128(); 4]; N];
        let mut now = sums;
        macro_rules! four_rounds {
            ($($group:literal)*) => {
                $(for n in 0..N {
                    let w = &mut words[n];
                    if $group < 4 {
                        w[$group % 4] = quarter(runs[n], at, $group % 4);
                    } else {
                        let mixed = _mm_sha1msg1_epu32(w[$group % 4], w[($group + 1) % 4]);
                        let mixed = _mm_xor_si128(mixed, w[($group + 2) % 4]);
                        w[$group % 4] = _mm_sha1msg2_epu32(mixed, w[($group + 3) % 4]);
                    }
                    let (abcd, e) = now[n];
                    let fifth = if $group == 0 {
                        _mm_add_epi32(e, w[0])
                    } else {
                        _mm_sha1nexte_epu32(e, w[$group % 4])
                    };
                    now[n] = (_mm_sha1rnds4_epu32::<{ $group / 5 }>(abcd, fifth), abcd);
                })*
            };
        }
        four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
        for ((abcd, e), (new_abcd, new_e)) in sums.iter_mut().zip(now) {
            *abcd = _mm_add_epi32(*abcd, new_abcd);
            *e = _mm_sha1nexte_epu32(new_e, *e);
        }
    }
    for n in 0..N {
        states[n] = store(sums[n]);
    }
}

/// The words of a quarter of the block at `at`, the first in the highest place.
#[inline]
#[target_feature(enable = "sse4.1")]
fn quarter(run: &[Block], at: usize, n: usize) -> __m128i {
    #[expect(unsafe_code, reason = "an array becomes four registers")]
    // SAFETY: both are 64 bytes, of which any values will do.
    let quarters = unsafe { transmute::<Block, [__m128i; 4]>(run[at]) };
    _mm_shuffle_epi8(quarters[n], _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f))
}

/// The first four words, the first in the highest place; and the fifth in the highest place.
#[inline]
#[target_feature(enable = "sse4.1")]
fn load([a, b, c, d, e]: State) -> (__m128i, __m128i) {
    let set = |w: u32, x: u32, y: u32, z: u32| {
        _mm_set_epi32(w.cast_signed(), x.cast_signed(), y.cast_signed(), z.cast_signed())
    };
    (set(a, b, c, d), set(e, 0, 0, 0))
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn store((abcd, e): (__m128i, __m128i)) -> State {
    [
        _mm_extract_epi32::<3>(abcd).cast_unsigned(),
        _mm_extract_epi32::<2>(abcd).cast_unsigned(),
        _mm_extract_epi32::<1>(abcd).cast_unsigned(),
        _mm_extract_epi32::<0>(abcd).cast_unsigned(),
        _mm_extract_epi32::<3>(e).cast_unsigned(),
    ]
}
