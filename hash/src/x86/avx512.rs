//! Sixteen lanes in AVX-512 registers.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::rounds::{compress_lanes, rounds};
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
    // In each quarter of the four registers that a group makes, a word of each of its messages.
    let [p, q, r, s] = [four(blocks, 0), four(blocks, 4), four(blocks, 8), four(blocks, 12)];
    let [w0, w4, w8, w12] = quarters(p[0], q[0], r[0], s[0]);
    let [w1, w5, w9, w13] = quarters(p[1], q[1], r[1], s[1]);
    let [w2, w6, w10, w14] = quarters(p[2], q[2], r[2], s[2]);
    let [w3, w7, w11, w15] = quarters(p[3], q[3], r[3], s[3]);
    [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
}

/// Four blocks from `first` on; register `n` has the words `n`, `n + 4`, `n + 8`, `n + 12` of each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn four(blocks: &[&Block; 16], first: usize) -> [__m512i; 4] {
    let (a, b, c, d) =
        (row(blocks[first]), row(blocks[first + 1]), row(blocks[first + 2]), row(blocks[first + 3]));
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The first quarters of four registers, the second, the third, the fourth.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(p: __m512i, q: __m512i, r: __m512i, s: __m512i) -> [__m512i; 4] {
    let (even, even_too) = (_mm512_shuffle_i32x4::<0x88>(p, q), _mm512_shuffle_i32x4::<0x88>(r, s));
    let (odd, odd_too) = (_mm512_shuffle_i32x4::<0xdd>(p, q), _mm512_shuffle_i32x4::<0xdd>(r, s));
    [
        _mm512_shuffle_i32x4::<0x88>(even, even_too),
        _mm512_shuffle_i32x4::<0x88>(odd, odd_too),
        _mm512_shuffle_i32x4::<0xdd>(even, even_too),
        _mm512_shuffle_i32x4::<0xdd>(odd, odd_too),
    ]
}

/// A block as words, in the CPU's order of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn row(block: &Block) -> __m512i {
    #[expect(unsafe_code, reason = "an array becomes a register")]
    // SAFETY: both are 64 bytes, of which any values will do.
    let row = unsafe { transmute::<Block, __m512i>(*block) };
    _mm512_shuffle_epi8(row, _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203))
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
