//! Sixteen lanes in AVX-512 registers.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::rounds::compress_lanes;
use crate::backend::Lane;
use crate::message::Block;

/// Whether this CPU can.
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Hashes up to sixteen lanes.
pub(super) fn compress(lanes: &mut [Lane<'_>]) {
    assert!(is_there(), "the CPU has AVX-512");
    #[expect(unsafe_code, reason = "to enter a function that needs certain instructions")]
    // SAFETY: the CPU has them, as has just been asked.
    unsafe {
        compress_any(lanes);
    }
}

compress_lanes!("avx512f,avx512bw", 16);

/// The words of a block of each lane: in register `n` the word `n` of each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(blocks: &[&Block; 16]) -> [__m512i; 16] {
    let big_endian = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let rows = blocks.map(|block| _mm512_shuffle_epi8(row(block), big_endian));
    // 4 by 4 words in each quarter of four registers; then the quarters.
    let fours: [[__m512i; 4]; 4] = std::array::from_fn(|group| {
        let row = |n: usize| rows[4 * group + n];
        let (ab_low, ab_high) =
            (_mm512_unpacklo_epi32(row(0), row(1)), _mm512_unpackhi_epi32(row(0), row(1)));
        let (cd_low, cd_high) =
            (_mm512_unpacklo_epi32(row(2), row(3)), _mm512_unpackhi_epi32(row(2), row(3)));
        [
            _mm512_unpacklo_epi64(ab_low, cd_low),
            _mm512_unpackhi_epi64(ab_low, cd_low),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ]
    });
    let [first, second, third, fourth] = fours;
    let mut words = [_mm512_setzero_si512(); 16];
    for n in 0..4 {
        let even = _mm512_shuffle_i32x4::<0x88>(first[n], second[n]);
        let even_too = _mm512_shuffle_i32x4::<0x88>(third[n], fourth[n]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(first[n], second[n]);
        let odd_too = _mm512_shuffle_i32x4::<0xdd>(third[n], fourth[n]);
        words[n] = _mm512_shuffle_i32x4::<0x88>(even, even_too);
        words[n + 4] = _mm512_shuffle_i32x4::<0x88>(odd, odd_too);
        words[n + 8] = _mm512_shuffle_i32x4::<0xdd>(even, even_too);
        words[n + 12] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_too);
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row(block: &Block) -> __m512i {
    #[expect(unsafe_code, reason = "an array becomes a register")]
    // SAFETY: both are 64 bytes, of which any values will do.
    unsafe {
        transmute::<Block, __m512i>(*block)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: [u32; 16]) -> __m512i {
    #[expect(unsafe_code, reason = "an array becomes a register")]
    // SAFETY: both are 64 bytes, of which any values will do.
    unsafe {
        transmute::<[u32; 16], __m512i>(words)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(register: __m512i) -> [u32; 16] {
    #[expect(unsafe_code, reason = "a register becomes an array")]
    // SAFETY: both are 64 bytes, of which any values will do.
    unsafe {
        transmute::<__m512i, [u32; 16]>(register)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(x: __m512i, y: __m512i) -> __m512i {
    _mm512_xor_si512(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const LEFT: i32, const RIGHT: i32>(x: __m512i) -> __m512i {
    _mm512_rol_epi32::<LEFT>(x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn parity(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(x, y, z)
}
