//! SHA-1 in lanes: word for word what FIPS 180-4, 6.1.2 says, for as many messages at once as a
//! register has words.

/// Writes `compress_lanes`, which hashes runs of equally many blocks into the states of `$lanes`
/// messages: `states[n]` has the word `n` of each.
///
/// It is a macro because functions for certain instructions can't be a trait's. Where it is used
/// there are `words`, which loads a block of each lane, and one function per operation.
macro_rules! compress_lanes {
    ($features:literal, $lanes:literal) => {
        #[target_feature(enable = $features)]
        fn compress_lanes(states: &mut [[u32; $lanes]; 5], runs: &[&[Block]; $lanes]) {
            let mut state = states.map(|words| load(words));
            let block_count = runs.iter().map(|run| run.len()).min().unwrap_or(0);
            for at in 0..block_count {
                let mut w = words(&runs.map(|run| &run[at]));
                let [mut a, mut b, mut c, mut d, mut e] = state;
                for t in 0..80 {
                    if t >= 16 {
                        let mixed = parity(w[(t + 13) % 16], w[(t + 8) % 16], w[(t + 2) % 16]);
                        w[t % 16] = rotate::<1, 31>(xor(mixed, w[t % 16]));
                    }
                    let (f, k) = match t / 20 {
                        0 => (choose(b, c, d), 0x5a82_7999),
                        1 => (parity(b, c, d), 0x6ed9_eba1),
                        2 => (majority(b, c, d), 0x8f1b_bcdc),
                        _ => (parity(b, c, d), 0xca62_c1d6),
                    };
                    // What need not wait for `a`, the newest, comes first.
                    let ready = add(add(add(e, splat(k)), w[t % 16]), f);
                    (e, d, c, b, a) = (d, c, rotate::<30, 2>(b), a, add(rotate::<5, 27>(a), ready));
                }
                for (sum, word) in state.iter_mut().zip([a, b, c, d, e]) {
                    *sum = add(*sum, word);
                }
            }
            *states = state.map(|register| store(register));
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

pub(super) use compress_lanes;
