use super::*;

/// `sets`: a line for each peer, `x` where it has the piece.
fn table(sets: &[&str]) -> (Geometry, Availability, Vec<Bitfield>) {
    let piece_count = u32::try_from(sets[0].len()).unwrap();
    let geometry = Geometry::new(u64::from(piece_count), 1).unwrap();
    let mut table = Availability::new(geometry, &Bitfield::empty(piece_count), &mut Rng::new(1));
    let sets: Vec<_> = sets.iter().map(|set| bitfield(geometry, set)).collect();
    sets.iter().for_each(|set| table.add_peer(geometry, set));
    (geometry, table, sets)
}

fn bitfield(geometry: Geometry, picture: &str) -> Bitfield {
    let mut set = Bitfield::empty(geometry.piece_count());
    for (piece, _) in geometry.pieces().zip(picture.chars()).filter(|&(_, sign)| sign == 'x') {
        set.insert(piece);
    }
    set
}

fn counts(geometry: Geometry, table: &Availability) -> Vec<u32> {
    table.check_invariants();
    geometry.pieces().map(|piece| table.count(piece)).collect()
}

#[test]
fn peers_come_and_go() {
    let (geometry, mut table, sets) = table(&["xx..", "x.x.", "xxxx", "...."]);
    assert_eq!(counts(geometry, &table), [3, 2, 2, 1]);
    table.remove_peer(geometry, &sets[0]);
    assert_eq!(counts(geometry, &table), [2, 1, 2, 1]);
    table.remove_peer(geometry, &sets[2]);
    assert_eq!(counts(geometry, &table), [1, 0, 1, 0]);
}

#[test]
fn a_peer_that_comes_to_have_everything_leaves_as_a_full_one() {
    let (geometry, mut table, mut sets) = table(&["xx.", ".x."]);
    let [a, b, c] = [0, 1, 2].map(|index| geometry.piece(index).unwrap());
    assert!(!table.add_have(&mut sets[0], a), "known before");
    assert!(table.add_have(&mut sets[0], c));
    assert_eq!(counts(geometry, &table), [1, 2, 1]);
    assert_eq!(table.full_peer_count, 1);
    table.set(b, PieceState::Storing);
    table.remove_peer(geometry, &sets[0]);
    assert_eq!(counts(geometry, &table), [0, 1, 0]);
    table.set(b, PieceState::Missing { at: 0 });
    assert_eq!(counts(geometry, &table), [0, 1, 0]);
}

#[test]
fn a_peer_that_had_everything_and_loses_a_piece_is_one_of_many() {
    let (geometry, mut table, mut sets) = table(&["xxx", ".x."]);
    let [a, b, _] = [0, 1, 2].map(|index| geometry.piece(index).unwrap());
    assert!(table.remove_have(&mut sets[0], b) && !table.remove_have(&mut sets[0], b));
    assert_eq!((counts(geometry, &table), table.full_peer_count), (vec![1, 1, 1], 0));
    assert!(table.remove_have(&mut sets[0], a));
    assert_eq!(counts(geometry, &table), [0, 1, 1]);
    assert!(table.add_have(&mut sets[0], a) && table.add_have(&mut sets[0], b));
    assert_eq!((counts(geometry, &table), table.full_peer_count), (vec![1, 2, 1], 1));
    table.remove_peer(geometry, &sets[0]);
    table.remove_peer(geometry, &sets[1]);
    assert_eq!(counts(geometry, &table), [0, 0, 0]);
}

#[test]
fn equally_rare_pieces_are_all_chosen_some_time() {
    let (geometry, table, sets) = table(&["xxxx.", "x..x.", "xxxxx"]);
    let mut seen = [0; 5];
    let mut rng = Rng::new(5);
    for _ in 0..400 {
        let Probe::Found(piece) = table.rarest(&mut rng, &sets[0]) else { panic!("it has pieces") };
        seen[piece.as_usize()] += 1;
        assert_eq!(table.rarest(&mut rng, &sets[2]), Probe::Found(geometry.piece(4).unwrap()));
    }
    assert!(seen[1] > 100 && seen[2] > 100 && seen[1] + seen[2] == 400, "{seen:?}");
}

#[test]
fn a_peer_moves_no_more_pieces_than_it_has_or_lacks() {
    let (geometry, mut table, _) = table(&[&"x.".repeat(500)]);
    let few = bitfield(geometry, &format!("{}xxx{}", ".".repeat(500), ".".repeat(497)));
    let most = bitfield(geometry, &format!("{}...{}", "x".repeat(500), "x".repeat(497)));
    for set in [&few, &most] {
        let before = (table.states.clone(), counts(geometry, &table));
        table.add_peer(geometry, set);
        let more = geometry.pieces().zip(&before.1).map(|(piece, count)| count + u32::from(set.has(piece)));
        assert_eq!(counts(geometry, &table), more.collect::<Vec<_>>());
        let moved = table.states.iter().zip(&before.0).filter(|(now, then)| now != then).count();
        assert!(moved <= 6, "{moved} places");
        table.remove_peer(geometry, set);
        assert_eq!(counts(geometry, &table), before.1);
    }
}
