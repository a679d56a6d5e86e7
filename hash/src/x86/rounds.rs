//! SHA-1 in lanes: word for word what FIPS 180-4, 6.1.2 says, for as many messages at once as a
//! register has words.

/// Twenty rounds, written out: in a loop the compiler would keep the words in memory.
macro_rules! rounds {
    ($state:ident, $w:ident, $f:ident, $k:literal: $($t:literal)*) => {
        $({
            if $t >= 16 {
                let mixed = parity($w[($t + 13) % 16], $w[($t + 8) % 16], $w[($t + 2) % 16]);
                $w[$t % 16] = rotate::<1, 31>(xor(mixed, $w[$t % 16]));
            }
            let [a, b, c, d, e] = $state;
            // What need not wait for `a`, the newest, comes first.
            let ready = add(add(add(e, splat($k)), $w[$t % 16]), $f(b, c, d));
            $state = [add(rotate::<5, 27>(a), ready), a, rotate::<30, 2>(b), c, d];
        })*
    };
}

/// Writes `compress_lanes`, which hashes runs of equally many blocks into the states of `$lanes`
/// messages: `states[n]` has the word `n` of each.
///
/// It is a macro because functions for certain instructions can't be a trait's. Where it is used
/// there are `words`, which loads a block of each lane, and one function per operation.
macro_rules! compress_lanes {
    ($features:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        fn compress_lanes(states: &mut [[u32; $lanes]; 5], runs: &[&[Block]; $lanes]) {
            let mut state = [splat(0); 5];
            for (register, words) in state.iter_mut().zip(&*states) {
                *register = load(*words);
            }
            let block_count = runs.iter().map(|run| run.len()).min().unwrap_or(0);
            for at in 0..block_count {
                let mut blocks = [&runs[0][at]; $lanes];
                for (block, run) in blocks.iter_mut().zip(runs) {
                    *block = &run[at];
                }
                let mut w = words(&blocks);
                let mut now = state;
                rounds!(now, w, choose, 0x5a82_7999: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
                rounds!(now, w, parity, 0x6ed9_eba1: 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
                rounds!(now, w, majority, 0x8f1b_bcdc: 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
                rounds!(now, w, parity, 0xca62_c1d6: 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
                for (sum, word) in state.iter_mut().zip(now) {
                    *sum = add(*sum, word);
                }
            }
            for (words, register) in states.iter_mut().zip(state) {
                *words = store(register);
            }
        }

        /// The lanes by words instead of by message, hashed, and back. Lanes that are not there
        /// hash what the first has, to no end.
        #[target_feature(enable = $features)]
        fn compress_any(lanes: &mut [Lane<'_>]) {
            let Some(first) = lanes.first() else { return };
            let mut runs = [first.blocks; $lanes];
            let mut states = [[0; $lanes]; 5];
            for (n, (lane, run)) in lanes.iter().zip(&mut runs).enumerate() {
                *run = lane.blocks;
                states.iter_mut().zip(&*lane.state).for_each(|(words, word)| words[n] = *word);
            }
            compress_lanes(&mut states, &runs);
            for (n, lane) in lanes.iter_mut().enumerate() {
                states.iter().zip(&mut *lane.state).for_each(|(words, word)| *word = words[n]);
            }
        }
    };
}

pub(super) use {compress_lanes, rounds};
