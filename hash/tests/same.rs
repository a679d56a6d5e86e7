//! Every way to hash that this machine has says what the portable SHA-1 says.

use peerless_hash::{
    Backend, Sha1, backends, finish_each, sha1, sha1_each, sha1_each_by, update_each, width,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn portable(message: &[u8]) -> [u8; 20] {
    sha1_smol::Sha1::from(message).digest().bytes()
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// `message` cut into parts: of these lengths, over and over, as far as it goes.
fn cut<'a>(mut message: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for len in lens.iter().cycle() {
        if message.is_empty() || lens.iter().all(|len| *len == 0) {
            break;
        }
        let (part, rest) = message.split_at((*len).min(message.len()));
        parts.push(part);
        message = rest;
    }
    parts.push(message);
    parts
}

/// Each backend alone, those up to it, and all.
fn choices() -> Vec<Vec<Backend>> {
    let all = backends();
    let alone = all.iter().map(|backend| vec![*backend]);
    alone.chain((1..=all.len()).map(|count| all[..count].to_vec())).collect()
}

fn check(messages: &[Vec<u8>], lens: &[Vec<usize>]) {
    let want: Vec<_> = messages.iter().map(|message| portable(message)).collect();
    let cuts: Vec<_> =
        messages.iter().enumerate().map(|(n, message)| cut(message, &lens[n % lens.len()])).collect();
    let parts: Vec<&[&[u8]]> = cuts.iter().map(Vec::as_slice).collect();
    for choice in choices() {
        assert_eq!(sha1_each_by(&choice, &parts), want, "{choice:?}");
    }
    assert_eq!(sha1_each(&parts), want);
    // The same by turns: what each has as its next part.
    let mut running = vec![Sha1::new(); messages.len()];
    for turn in 0..parts.iter().map(|parts| parts.len()).max().unwrap_or(0) {
        let next = running.iter_mut().zip(&parts);
        update_each(next.filter_map(|(sha1, parts)| Some((sha1, *parts.get(turn)?))));
    }
    assert_eq!(finish_each(running), want);
    for (message, want) in messages.iter().zip(want) {
        assert_eq!(sha1(message), want);
    }
    for (parts, message) in parts.iter().zip(messages) {
        let mut sha1 = Sha1::new();
        parts.iter().for_each(|part| sha1.update(part));
        assert_eq!(sha1.finish(), portable(message));
    }
}

#[test]
fn every_length_around_the_padding() {
    let messages: Vec<_> = (0..=260).map(|len| bytes(len, usize::try_from(len).unwrap())).collect();
    check(&messages, &[vec![300], vec![1], vec![64], vec![55, 9, 0, 65]]);
}

#[test]
fn every_number_of_equal_messages() {
    for count in 0..=2 * width() + 3 {
        let messages: Vec<_> = (0..count as u64).map(|seed| bytes(seed, 1000)).collect();
        check(&messages, &[vec![1000]]);
    }
}

#[test]
fn known_digests() {
    let hex = |digest: [u8; 20]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for choice in choices() {
        let found = sha1_each_by(&choice, &[&[b"abc"], &[]]);
        assert_eq!(hex(found[0]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(found[1]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }
}

proptest! {
    #[test]
    fn any_messages_cut_anywhere(
        messages in vec((any::<u64>(), 0_usize..3000), 0..40),
        lens in vec(vec(0_usize..400, 1..6), 1..5),
    ) {
        let messages: Vec<_> = messages.into_iter().map(|(seed, len)| bytes(seed, len)).collect();
        check(&messages, &lens);
    }

    #[test]
    fn pieces_in_blocks(count in 1_usize..40, blocks in 0_usize..4, last in 0_usize..16_384, seed: u64) {
        let messages: Vec<_> = (0..count)
            .map(|n| bytes(seed ^ n as u64, if n + 1 == count { last } else { blocks * 16_384 }))
            .collect();
        check(&messages, &[vec![16_384]]);
    }
}
