use super::*;

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

#[test]
fn an_address_that_fails_is_tried_ever_later_and_then_forgotten() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    assert!(
        candidates.add(at(0), &mut rng, addr(1), Source::Tracker)
            && !candidates.add(at(0), &mut rng, addr(1), Source::Tracker)
    );
    let (mut now, mut pauses) = (at(0), Vec::new());
    while let Some(next) = candidates.next_at() {
        pauses.push(next.since(now).as_secs());
        now = next;
        assert_eq!(candidates.next(now), Some(addr(1)));
        candidates.on_ended(now, &mut rng, addr(1), Ended::Failed);
    }
    assert_eq!(pauses, [0, 1, 3, 9, 27, 81, 243]);
    assert_eq!(candidates.len(), 0);
}

#[test]
fn an_address_of_the_users_is_never_given_up() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    candidates.add(at(0), &mut rng, addr(1), Source::User);
    for _ in 0..100 {
        let now = candidates.next_at().unwrap();
        assert_eq!(candidates.next(now), Some(addr(1)));
        candidates.on_ended(now, &mut rng, addr(1), Ended::Failed);
        assert!(candidates.next_at().unwrap().since(now) <= Duration::from_secs(243));
    }
}

#[test]
fn what_is_being_dialled_is_not_dialled_again() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    candidates.add(at(0), &mut rng, addr(1), Source::Tracker);
    assert_eq!((candidates.next(at(0)), candidates.next(at(0))), (Some(addr(1)), None));
    assert!(!candidates.add(at(5), &mut rng, addr(1), Source::Tracker));
    candidates.on_ended(at(9), &mut rng, addr(1), Ended::Useless);
    assert!(!candidates.add(at(9), &mut rng, addr(1), Source::Tracker) && candidates.next_at().is_none());
}

#[test]
fn addresses_where_no_peer_can_be_are_refused() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    for bad in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "192.0.2.1:0", "[::]:1", "[ff02::1]:1"] {
        assert!(!candidates.add(at(0), &mut rng, bad.parse().unwrap(), Source::Tracker), "{bad}");
    }
}

#[test]
fn no_source_can_fill_the_memory() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    let added =
        (1..5000).filter(|&port| candidates.add(at(0), &mut rng, addr(port), Source::Tracker)).count();
    assert_eq!(added, CANDIDATES_MAX);
}

#[test]
fn the_user_s_word_counts_more_than_a_tracker_s() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    for port in 1..=1000 {
        assert!(candidates.add(at(0), &mut rng, addr(port), Source::Tracker));
    }
    assert!(!candidates.add(at(0), &mut rng, addr(2000), Source::Tracker));
    assert!(candidates.add(at(0), &mut rng, addr(2000), Source::User));
    assert!(!candidates.add(at(0), &mut rng, addr(7), Source::User), "it is known, and now the user's");
    while candidates.next(at(0)).is_some() {}
    for port in [7, 8, 2000] {
        candidates.on_ended(at(0), &mut rng, addr(port), Ended::Broken);
    }
    assert_eq!(candidates.next_at(), Some(at(30 * 60)));
    assert_eq!(candidates.ready.iter().map(BTreeSet::len).sum::<usize>(), 2);
}

const fn pex(giver: u8) -> Source {
    Source::Pex { giver: IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, giver)) }
}

/// An address that peers may name as often as they like.
fn near(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], number))
}

#[test]
fn the_user_s_come_first_then_the_trackers_then_the_peers_and_what_failed_last() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    for (number, source) in [(4, Source::Tracker), (3, pex(1)), (2, Source::Tracker), (1, Source::User)] {
        candidates.add(at(0), &mut rng, near(number), source);
    }
    while candidates.next(at(0)).is_some_and(|addr| addr != near(3)) {}
    assert!(candidates.next(at(0)).is_none());
    for (number, ended) in [(4, Ended::Failed), (3, Ended::WasOpen), (2, Ended::WasOpen), (1, Ended::Failed)]
    {
        candidates.on_ended(at(0), &mut rng, near(number), ended);
    }
    let order: Vec<u16> = std::iter::from_fn(|| candidates.next(at(60))).map(|addr| addr.port()).collect();
    assert_eq!(order, [1, 2, 3, 4]);
}

#[test]
fn one_host_fills_a_quarter_of_the_list_and_a_better_word_frees_its_place() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    let mut add = |from: u16, source| {
        (from..from + 500).filter(|n| candidates.add(at(0), &mut rng, near(*n), source)).count()
    };
    assert_eq!(add(1, pex(1)), 250);
    assert_eq!(add(1, Source::Tracker), 250, "those that the peer has not named");
    assert_eq!(add(1000, pex(1)), 250, "what a tracker has named too is the peer's no longer");
    assert_eq!((add(2000, pex(2)), add(3000, pex(3))), (250, 0), "the list is full");
    assert_eq!(
        (add(4000, Source::Tracker), candidates.len()),
        (500, CANDIDATES_MAX),
        "what peers named makes room"
    );
    assert_eq!(candidates.by_giver.values().sum::<usize>(), 0);
    assert!(candidates.by_giver.is_empty() && candidates.ready[Rank::Pex as usize].is_empty());
}

#[test]
fn what_rests_makes_room_and_comes_back_by_a_better_word_or_after_a_while() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    for number in 1..=3 {
        candidates.add(at(0), &mut rng, near(number), pex(1));
    }
    let mut now = at(0);
    while let Some(at) = candidates.next_at() {
        now = at;
        let addr = candidates.next(now).unwrap();
        let ended = if addr == near(3) { Ended::Useless } else { Ended::Failed };
        candidates.on_ended(now, &mut rng, addr, ended);
    }
    assert_eq!((now, candidates.resting.len()), (at(4), 3), "three calls each, and one");
    (1..=3).for_each(|number| assert!(!candidates.add(at(9), &mut rng, near(number), pex(2))));
    assert_eq!(candidates.next_at(), None);
    (2..=3).for_each(|number| assert!(!candidates.add(at(9), &mut rng, near(number), Source::Tracker)));
    assert_eq!((candidates.next(at(9)), candidates.next(at(9))), (Some(near(2)), None));
    let later = at(4) + REST_TIME;
    candidates.add(later, &mut rng, near(1), pex(2));
    assert_eq!(candidates.next(later), Some(near(1)));
    let added = (100..2000).filter(|n| candidates.add(later, &mut rng, near(*n), Source::Tracker)).count();
    assert_eq!((added, candidates.knows(near(3))), (CANDIDATES_MAX - 2, false));
}

#[test]
fn a_private_torrent_keeps_what_its_trackers_and_the_user_have_named() {
    let (mut candidates, mut rng) = (Candidates::default(), Rng::new(1));
    for (number, source) in [(1, Source::User), (2, Source::Tracker), (3, pex(1)), (4, pex(1))] {
        candidates.add(at(0), &mut rng, near(number), source);
    }
    candidates.add(at(0), &mut rng, near(4), Source::Tracker);
    candidates.keep_private();
    assert_eq!([1, 2, 3, 4].map(|number| candidates.knows(near(number))), [true, true, false, true]);
}
