//! Who is asked for what, and who is believed.

use super::*;
use crate::key::Key;
use std::net::SocketAddr;

const LEN: u32 = 3 * METADATA_PIECE_LEN + 100;

fn at(secs: u64) -> Instant {
    Instant::from_start(Duration::from_secs(secs))
}

fn key(n: u8) -> PeerKey {
    PeerKey::new(n.into(), 0)
}

fn giver(n: u8) -> Giver {
    Giver { peer: key(n), addr: SocketAddr::from(([192, 0, 2, n], 1)), id: PeerId::new([n; 20]) }
}

fn fetch(lens: &[u32]) -> Fetch {
    let mut fetch = Fetch::default();
    for (n, len) in (1..).zip(lens) {
        fetch.on_len(giver(n), *len);
    }
    fetch
}

/// Answers everything that was picked, each peer with its own number as the content.
fn answer(fetch: &mut Fetch, picked: &[(PeerKey, u32)]) {
    for (key, number) in picked {
        let len = LEN.saturating_sub(number * METADATA_PIECE_LEN).min(METADATA_PIECE_LEN);
        let byte = u8::try_from(key.index()).unwrap();
        let came = fetch.on_data(*key, *number, Some(LEN), &vec![byte; len as usize]);
        assert_eq!(came, Came::Taken);
    }
}

#[test]
fn pieces_are_shared_out_and_put_together() {
    let mut fetch = fetch(&[LEN, LEN]);
    let picked = fetch.pick(at(0));
    assert_eq!(picked, [(key(1), 0), (key(1), 1), (key(1), 2), (key(1), 3)]);
    assert_eq!(fetch.on_data(key(2), 0, None, &[]), Came::Unasked);
    answer(&mut fetch, &picked);
    assert_eq!(fetch.progress(), (LEN, LEN));
    let pieces = fetch.take_copy().unwrap();
    assert_eq!((pieces.len(), pieces.concat().len()), (4, LEN as usize));
    assert_eq!((fetch.take_copy(), fetch.pick(at(1))), (None, vec![]));
    assert_eq!(fetch.on_good(&[]), []);
}

#[test]
fn rtorrent_is_asked_for_one_piece_after_the_other() {
    let mut fetch = Fetch::default();
    let id = PeerId::new(*b"-lt0D80-abcdefghijkl");
    fetch.on_len(Giver { id, ..giver(1) }, LEN);
    for number in 0..4 {
        let picked = fetch.pick(at(0));
        assert_eq!(picked, [(key(1), number)]);
        answer(&mut fetch, &picked);
    }
    assert!(fetch.take_copy().is_some());
}

#[test]
fn who_rejects_or_does_not_answer_is_let_be_and_others_are_asked() {
    let mut fetch = fetch(&[LEN, LEN]);
    assert_eq!(fetch.pick(at(0)).len(), 4);
    fetch.on_reject(at(0), key(1), 2);
    assert_eq!(fetch.pick(at(0)), [(key(2), 2)]);
    // What is late is asked of another, and then the silent one is let be.
    assert_eq!(fetch.pick(at(4)), [(key(2), 0), (key(2), 1), (key(2), 3)]);
    answer(&mut fetch, &[(key(2), 2)]);
    fetch.on_tick(at(10));
    assert_eq!(fetch.pick(at(10)), []);
    answer(&mut fetch, &[(key(2), 0), (key(2), 1), (key(2), 3)]);
    assert!(fetch.take_copy().is_some());
}

#[test]
fn the_length_of_most_is_believed() {
    let mut fetch = fetch(&[7, LEN, LEN]);
    assert_eq!(fetch.pick(at(0))[0].0, key(2));
    fetch.on_gone(key(2));
    fetch.on_gone(key(3));
    assert_eq!(fetch.pick(at(0)), [(key(1), 0)]);
}

#[test]
fn a_lone_author_of_a_bad_copy_is_guilty() {
    let mut fetch = fetch(&[LEN]);
    let picked = fetch.pick(at(0));
    answer(&mut fetch, &picked);
    fetch.take_copy().unwrap();
    assert_eq!(fetch.on_bad(&[[0; 20]; 4]), Some(giver(1)));
}

#[test]
fn among_several_the_liar_is_found_by_whole_copies_of_single_peers() {
    let long = 20 * METADATA_PIECE_LEN;
    let mut fetch = fetch(&[long, long, long]);
    let full = |fetch: &mut Fetch, now| loop {
        let picked = fetch.pick(now);
        if picked.is_empty() {
            break;
        }
        for (key, number) in picked {
            let bytes = vec![u8::try_from(key.index()).unwrap(); METADATA_PIECE_LEN as usize];
            assert_eq!(fetch.on_data(key, number, None, &bytes), Came::Taken);
        }
    };
    full(&mut fetch, at(0));
    let pieces = fetch.take_copy().unwrap();
    // Peer 2 lies; the digests are stood in for by the givers.
    let digest = |piece: &Vec<u8>| [u8::from(piece[0] == 2); 20];
    let digests: Vec<_> = pieces.iter().map(digest).collect();
    assert_eq!(fetch.on_bad(&digests), None);
    assert!(fetch.wants_digests());
    full(&mut fetch, at(1));
    let copies: Vec<_> = std::iter::from_fn(|| {
        let copy = fetch.take_copy()?;
        assert!(copy.iter().all(|piece| piece[0] == copy[0][0]), "of one peer");
        let author = copy[0][0];
        let digests: Vec<_> = copy.iter().map(digest).collect();
        let guilty =
            if author == 2 { fetch.on_bad(&digests).into_iter().collect() } else { fetch.on_good(&digests) };
        Some((author, guilty))
    })
    .collect();
    assert_eq!(copies.len(), 3);
    assert!(copies.iter().all(|(_, guilty)| guilty.iter().all(|one| *one == giver(2))), "{copies:?}");
    assert!(copies.iter().any(|(_, guilty)| !guilty.is_empty()));
}

#[test]
fn a_piece_of_another_length_is_malformed() {
    let mut fetch = fetch(&[LEN]);
    fetch.pick(at(0));
    assert_eq!(fetch.on_data(key(1), 3, None, &[0; 101]), Came::Malformed);
    assert_eq!(fetch.on_data(key(1), 0, Some(7), &[0; METADATA_PIECE_LEN as usize]), Came::Malformed);
}

#[test]
fn copies_of_great_lengths_are_got_one_after_the_other() {
    let lens = [20 << 20, LEN, LEN, 30 << 20];
    let mut fetch = fetch(&lens);
    fetch.mistrust = true;
    let peers = |fetch: &mut Fetch| {
        let picked = fetch.pick(at(0));
        let peers: std::collections::BTreeSet<_> = picked.iter().map(|(key, _)| key.index()).collect();
        peers.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(peers(&mut fetch), [1, 2, 3]);
    fetch.on_gone(key(2));
    assert_eq!(peers(&mut fetch), [0_u32; 0], "the fourth would be too much beside the first");
    fetch.on_gone(key(1));
    fetch.on_gone(key(3));
    assert_eq!(peers(&mut fetch), [4]);
}
