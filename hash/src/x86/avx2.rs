//! Eight lanes in AVX2 registers.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::rounds::compress_lanes;
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
    let mut words = [_mm256_setzero_si256(); 16];
    for half in 0..2 {
        let rows = blocks.map(|block| rows(block)[half]);
        words[8 * half..8 * half + 8].copy_from_slice(&transposed(rows));
    }
    words
}

/// The words of eight half blocks, in the CPU's order of bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(rows: [__m256i; 8]) -> [__m256i; 8] {
    let big_endian = _mm256_set_epi64x(
        0x0c0d_0e0f_0809_0a0b,
        0x0405_0607_0001_0203,
        0x0c0d_0e0f_0809_0a0b,
        0x0405_0607_0001_0203,
    );
    let rows = rows.map(|row| _mm256_shuffle_epi8(row, big_endian));
    // 4 by 4 words in each half of four registers; then the halves.
    let [first, second]: [[__m256i; 4]; 2] = std::array::from_fn(|group| {
        let row = |n: usize| rows[4 * group + n];
        let (ab_low, ab_high) =
            (_mm256_unpacklo_epi32(row(0), row(1)), _mm256_unpackhi_epi32(row(0), row(1)));
        let (cd_low, cd_high) =
            (_mm256_unpacklo_epi32(row(2), row(3)), _mm256_unpackhi_epi32(row(2), row(3)));
        [
            _mm256_unpacklo_epi64(ab_low, cd_low),
            _mm256_unpackhi_epi64(ab_low, cd_low),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        ]
    });
    let low = |n: usize| _mm256_permute2x128_si256::<0x20>(first[n], second[n]);
    let high = |n: usize| _mm256_permute2x128_si256::<0x31>(first[n], second[n]);
    [low(0), low(1), low(2), low(3), high(0), high(1), high(2), high(3)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn rows(block: &Block) -> [__m256i; 2] {
    #[expect(unsafe_code, reason = "an array becomes two registers")]
    // SAFETY: both are 64 bytes, of which any values will do.
    unsafe {
        transmute::<Block, [__m256i; 2]>(*block)
    }
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
