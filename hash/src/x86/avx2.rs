//! Eight lanes in AVX2 registers.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::rounds::{compress_lanes, rounds};
use crate::backend::Lane;
use crate::message::Block;

/// Whether this CPU can.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Hashes up to eight lanes.
pub(super) fn compress(lanes: &mut [Lane<'_>]) {
    assert!(is_there(), "the CPU has AVX2");
    #[expect(unsafe_code, reason = "to enter a function that needs certain instructions")]
    // SAFETY: the CPU has them, as has just been asked.
    unsafe {
        compress_any(lanes);
    }
}

compress_lanes!("avx2", 8);

/// The words of a block of each lane: in register `n` the word `n` of each.
#[inline]
#[target_feature(enable = "avx2")]
fn words(blocks: &[&Block; 8]) -> [__m256i; 16] {
    let ([w0, w1, w2, w3, w4, w5, w6, w7], [w8, w9, w10, w11, w12, w13, w14, w15]) =
        (half(blocks, 0), half(blocks, 1));
    [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
}

/// The same for one half of the blocks.
#[inline]
#[target_feature(enable = "avx2")]
fn half(blocks: &[&Block; 8], half: usize) -> [__m256i; 8] {
    // In each half of the four registers that a group makes, a word of each of its messages.
    let [p, q] = [four(blocks, 0, half), four(blocks, 4, half)];
    [
        _mm256_permute2x128_si256::<0x20>(p[0], q[0]),
        _mm256_permute2x128_si256::<0x20>(p[1], q[1]),
        _mm256_permute2x128_si256::<0x20>(p[2], q[2]),
        _mm256_permute2x128_si256::<0x20>(p[3], q[3]),
        _mm256_permute2x128_si256::<0x31>(p[0], q[0]),
        _mm256_permute2x128_si256::<0x31>(p[1], q[1]),
        _mm256_permute2x128_si256::<0x31>(p[2], q[2]),
        _mm256_permute2x128_si256::<0x31>(p[3], q[3]),
    ]
}

/// Halves of four blocks from `first` on; register `n` has the words `n` and `n + 4` of each.
#[inline]
#[target_feature(enable = "avx2")]
fn four(blocks: &[&Block; 8], first: usize, half: usize) -> [__m256i; 4] {
    let (a, b) = (row(blocks[first], half), row(blocks[first + 1], half));
    let (c, d) = (row(blocks[first + 2], half), row(blocks[first + 3], half));
    let (ab_low, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Half a block as words, in the CPU's order of bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn row(block: &Block, half: usize) -> __m256i {
    #[expect(unsafe_code, reason = "an array becomes two registers")]
    // SAFETY: both are 64 bytes, of which any values will do.
    let rows = unsafe { transmute::<Block, [__m256i; 2]>(*block) };
    let (low, high) = (0x0405_0607_0001_0203, 0x0c0d_0e0f_0809_0a0b);
    _mm256_shuffle_epi8(rows[half], _mm256_set_epi64x(high, low, high, low))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(words: [u32; 8]) -> __m256i {
    #[expect(unsafe_code, reason = "an array becomes a register")]
    // SAFETY: both are 32 bytes, of which any values will do.
    unsafe {
        transmute::<[u32; 8], __m256i>(words)
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(register: __m256i) -> [u32; 8] {
    #[expect(unsafe_code, reason = "a register becomes an array")]
    // SAFETY: both are 32 bytes, of which any values will do.
    unsafe {
        transmute::<__m256i, [u32; 8]>(register)
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(x: __m256i, y: __m256i) -> __m256i {
    _mm256_xor_si256(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<LEFT>(x), _mm256_srli_epi32::<RIGHT>(x))
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    xor(z, _mm256_and_si256(x, xor(y, z)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn parity(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    xor(x, xor(y, z))
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)))
}
