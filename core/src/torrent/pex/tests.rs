use super::*;
use crate::config::Config;
use crate::extension::Hello;
use crate::input::{CloseCause, Input};
use crate::job::Job;
use crate::machine::lab::Lab;
use crate::output::{CloseReason, Event};
use crate::wire::Message;

const MINUTE: Duration = Duration::from_secs(60);

fn key(index: u32) -> PeerKey {
    crate::key::Key::new(index, 0)
}

fn addr(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], number))
}

/// Changes as they are told: who came and left, and how far that goes.
fn changes(exchange: &Exchange, known: u64) -> (Vec<u16>, Vec<u16>, u64) {
    let (came, left, end) = exchange.changes(known, |_| true);
    let came = came.iter().map(|known| known.addr.port()).collect();
    (came, left.iter().map(SocketAddr::port).collect(), end)
}

#[test]
fn who_came_and_left_in_between_is_not_told_of() {
    let mut exchange = Exchange::default();
    for number in 1..=4 {
        assert!(exchange.add(addr(number), key(number.into()), false));
    }
    assert_eq!(changes(&exchange, 0), (vec![1, 2, 3, 4], vec![], 4));
    assert!(!exchange.add(addr(1), key(9), false), "the first at an address counts");
    assert!(!exchange.add(addr(3), key(8), true) && !exchange.remove(addr(3), key(3)), "but for certainty");
    assert!(!exchange.remove(addr(1), key(9)) && exchange.remove(addr(1), key(1)));
    assert!(exchange.add(addr(5), key(5), false) && exchange.remove(addr(5), key(5)));
    assert!(exchange.remove(addr(2), key(2)) && exchange.add(addr(2), key(7), false));
    assert_eq!(changes(&exchange, 4), (vec![2], vec![1], 9));
    assert_eq!(changes(&exchange, 9), (vec![], vec![], 9));
}

#[test]
fn what_does_not_fit_into_a_message_is_in_the_next() {
    let mut exchange = Exchange::default();
    for number in 1..=120 {
        exchange.add(addr(number), key(number.into()), false);
    }
    let mut told = Vec::new();
    let mut known = 0;
    for count in [50, 50, 20] {
        let (came, _, end) = changes(&exchange, known);
        assert_eq!(came.len(), count);
        told.extend(came);
        known = end;
    }
    assert_eq!(told, (1..=120).collect::<Vec<_>>());
    for number in 1..=60 {
        exchange.remove(addr(number), key(number.into()));
        exchange.add(addr(1000 + number), key(number.into()), false);
    }
    let (first, second) = (changes(&exchange, 120), changes(&exchange, changes(&exchange, 120).2));
    assert_eq!((first.0.len(), first.1.len()), (50, 50));
    assert_eq!((second.0.len(), second.1.len(), second.2), (10, 10, exchange.count));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut exchange = Exchange::default();
    for number in 1..=10_000 {
        exchange.add(addr(number), key(number.into()), false);
        exchange.remove(addr(number), key(number.into()));
    }
    assert!(exchange.gone.len() <= GONE_MAX && exchange.here.is_empty() && exchange.by_addr.is_empty());
}

#[test]
fn a_peer_is_told_of_the_others_and_then_of_changes_at_most_once_a_minute() {
    let mut lab = Lab::new(Config::default(), "..");
    let (first, second) = (lab.exchanger(1), lab.exchanger(2));
    lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(3));
    lab.drain();
    let (called, _) = lab.dialled.pop().unwrap();
    lab.input(Input::Connected { peer: called });
    lab.greet(called, crate::id::PeerId::new([3; 20]));
    lab.say(called, Message::Bitfield { bits: &[0xC0] });
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.heard(first).last().unwrap(), "pex +192.0.2.2/0 +192.0.2.3/12");
    assert_eq!(lab.heard(second).last().unwrap(), "pex +192.0.2.1/0 +192.0.2.3/12");
    let fourth = lab.exchanger(4);
    lab.input(Input::Closed { peer: second, cause: CloseCause::End });
    lab.pass(Duration::from_secs(50));
    assert_eq!(lab.heard(fourth).last().unwrap(), "pex +192.0.2.1/0 +192.0.2.3/12");
    assert!(lab.heard(first).is_empty(), "a minute has not passed");
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.heard(first), ["pex +192.0.2.4/0 -192.0.2.2"]);
    // With nothing to say nothing is said; a change is told soon to those whose minute is over.
    lab.pass(MINUTE);
    assert!(lab.heard(first).iter().all(|word| word == "keepalive"));
    lab.input(Input::Closed { peer: fourth, cause: CloseCause::End });
    lab.pass(GATHER_TIME);
    assert_eq!(lab.heard(first), ["pex -192.0.2.4"]);
}

#[test]
fn who_takes_no_such_messages_or_does_so_no_longer_gets_none() {
    let mut lab = Lab::new(Config::default(), "..");
    let (plain, other) = (lab.peer(1), lab.exchanger(2));
    lab.exchanger(3);
    let ids = Kind::ALL.map(|_| Some(0));
    lab.hello(other, &Hello { ids, ..Hello::default() });
    lab.pass(MINUTE);
    for peer in [plain, other] {
        assert!(lab.heard(peer).iter().all(|word| !word.starts_with("pex")));
    }
    for lab in [&mut Lab::new(Config { pex: false, ..Config::default() }, ".."), &mut Lab::private("..")] {
        let peers = [lab.exchanger(1), lab.exchanger(2)];
        lab.tell(peers[0], &named(["192.0.2.9:1"]));
        lab.pass(MINUTE);
        for peer in peers {
            assert!(lab.heard(peer).iter().all(|word| !word.starts_with("pex")));
        }
        assert!(lab.dialled.is_empty() && lab.closed.is_empty());
    }
}

fn named<const N: usize>(addrs: [&str; N]) -> PexMessage {
    let added = addrs.map(|addr| (addr.parse().unwrap(), PexFlags::default())).to_vec();
    PexMessage { added, dropped: Vec::new() }
}

/// Who is called now.
fn dialled(lab: &mut Lab) -> Vec<String> {
    lab.pass(Duration::ZERO);
    let mut addrs: Vec<_> = lab.dialled.drain(..).map(|(_, addr)| addr.to_string()).collect();
    addrs.sort();
    addrs.dedup();
    addrs
}

#[test]
fn who_is_named_is_called_unless_it_is_here_or_nearer_than_who_names_it() {
    let mut lab = Lab::new(Config { listen_port: Some(7), ..Config::default() }, "..");
    let far = lab.exchanger(1);
    let near = lab.exchanger_as("10.0.0.1:1".parse().unwrap(), 2);
    let addrs = [
        "192.0.2.1:6881",
        "192.0.2.250:7",
        "192.0.2.9:1",
        "[2001:db8::9]:1",
        "10.0.0.9:1",
        "127.0.0.1:1",
        "[fe80::1]:1",
        "224.0.0.1:1",
        "192.0.2.9:0",
    ];
    lab.tell(far, &named(addrs));
    assert_eq!(dialled(&mut lab), ["192.0.2.9:1", "[2001:db8::9]:1"]);
    lab.tell(near, &named(addrs));
    assert_eq!(dialled(&mut lab), ["10.0.0.9:1"]);
}

#[test]
fn strangers_are_not_told_of_this_network() {
    let mut lab = Lab::new(Config::default(), "..");
    let far = lab.exchanger(1);
    let near = lab.exchanger_as("10.0.0.1:1".parse().unwrap(), 2);
    let here = lab.exchanger_as("127.0.0.1:1".parse().unwrap(), 3);
    let six = lab.exchanger_as("[2001:db8::9]:1".parse().unwrap(), 4);
    lab.pass(Duration::from_secs(2));
    let mut last = |peer| lab.heard(peer).pop().unwrap();
    assert_eq!((last(far), last(six)), ("pex +2001:db8::9/0".to_owned(), "pex +192.0.2.1/0".to_owned()));
    assert_eq!(last(near), "pex +192.0.2.1/0 +2001:db8::9/0");
    assert_eq!(last(here), "pex +10.0.0.1/0 +192.0.2.1/0 +2001:db8::9/0");
}

#[test]
fn no_peer_decides_whom_we_call_and_no_address_is_called_without_end() {
    let mut lab = Lab::new(Config { half_open_max: 2000, peers_max: 3000, ..Config::default() }, "..");
    let flooder = lab.exchanger(1);
    for round in 0..100_u8 {
        let name = |number: u8| (SocketAddr::from(([198, 51, round, number], 1)), PexFlags::default());
        lab.tell(flooder, &PexMessage { added: (1..=50).map(name).collect(), dropped: Vec::new() });
        lab.pass(Duration::from_secs(50));
        lab.heard(flooder);
    }
    assert_eq!(dialled(&mut lab).len(), 250, "a quarter of what is kept");
    let other = lab.exchanger(2);
    lab.tell(
        other,
        &named(["203.0.113.1:1", "203.0.113.1:2", "203.0.113.1:3", "203.0.113.1:4", "203.0.113.1:5"]),
    );
    assert_eq!(dialled(&mut lab).len(), 4, "few ports at one address");
    let mut calls = 0;
    for _ in 0..20 {
        lab.tell(other, &named(["203.0.113.1:1"]));
        lab.pass(MINUTE);
        lab.heard(other);
        calls += dialled(&mut lab).iter().filter(|addr| *addr == "203.0.113.1:1").count();
    }
    assert!(calls <= 3, "{calls} calls in 20 minutes");
}

#[test]
fn a_seed_does_not_call_seeds() {
    let mut lab = Lab::new(Config::default(), "xx");
    let peer = lab.exchanger(1);
    let added = [(1, PexFlags::SEED), (2, 0)]
        .map(|(port, flags)| (SocketAddr::from(([192, 0, 2, 9], port)), PexFlags(flags)));
    lab.tell(peer, &PexMessage { added: added.to_vec(), dropped: Vec::new() });
    assert_eq!(dialled(&mut lab), ["192.0.2.9:2"]);
}

#[test]
fn who_has_called_us_is_not_called() {
    let mut lab = Lab::new(Config::default(), "..");
    let (here, other) = (lab.exchanger(1), lab.exchanger(2));
    lab.tell(other, &named(["192.0.2.1:6881"]));
    lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(1));
    lab.pass(MINUTE * 2);
    assert!(lab.dialled.is_empty());
    lab.input(Input::Closed { peer: here, cause: CloseCause::End });
    lab.pass(MINUTE);
    assert_eq!(dialled(&mut lab), ["192.0.2.1:6881"]);
}

#[test]
fn of_two_calls_at_once_one_stays_known_and_no_third_is_made() {
    for (id, ours_first) in [(0, true), (0, false), (0xFF, true), (0xFF, false)] {
        let mut lab = Lab::new(Config::default(), "..");
        lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(1));
        lab.drain();
        let (ours, _) = lab.dialled.pop().unwrap();
        lab.input(Input::Connected { peer: ours });
        let greet_ours = |lab: &mut Lab| lab.greet(ours, crate::id::PeerId::new([id; 20]));
        if ours_first {
            greet_ours(&mut lab);
        }
        lab.exchanger_as(Lab::addr(1), id);
        if !ours_first {
            greet_ours(&mut lab);
        }
        assert_eq!(lab.closed.len(), 1);
        let other = lab.exchanger(2);
        lab.pass(Duration::from_secs(2));
        assert!(lab.heard(other).pop().unwrap().starts_with("pex +192.0.2.1/"), "{id} {ours_first}");
        lab.pass(MINUTE * 2);
        assert!(lab.dialled.is_empty(), "{id} {ours_first}");
    }
}

#[test]
fn a_link_to_a_private_torrent_forgets_what_it_heard_from_peers() {
    let mut lab = Lab::of_private_magnet("....", "http://further/announce");
    let info = lab.metainfo.info().to_vec();
    let len = u32::try_from(info.len()).ok();
    lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(9));
    let source = lab.exchanger(1);
    lab.tell(source, &named(["192.0.2.2:6881", "192.0.2.3:6881", "192.0.2.4:6881"]));
    lab.pass(Duration::ZERO);
    let dialled = std::mem::take(&mut lab.dialled);
    let of = |number| dialled.iter().find(|(_, addr)| *addr == Lab::addr(number)).unwrap().0;
    let (named, users, half_open) = (of(2), of(9), of(3));
    for (peer, number) in [(named, 2), (users, 9)] {
        lab.input(Input::Connected { peer });
        lab.greet(peer, crate::id::PeerId::new([number; 20]));
    }
    lab.heard(source);
    let ids = Kind::ALL.map(|kind| Some(kind.id()));
    lab.hello(source, &Hello { ids, metadata_len: len, ..Hello::default() });
    let data = crate::extension::MetadataMessage::Data { piece: 0, total_len: len, bytes: &info };
    lab.say(source, Message::Extended { id: Kind::Metadata.id(), payload: &data.encode() });
    lab.finish(|job| matches!(job, Job::Metadata { .. }));
    assert_eq!(lab.closed, [(named, CloseReason::Private)]);
    lab.pass(Duration::ZERO);
    lab.open("....");
    lab.input(Input::Connected { peer: half_open });
    lab.greet(half_open, crate::id::PeerId::new([3; 20]));
    assert_eq!(lab.closed.last(), Some(&(half_open, CloseReason::Private)));
    assert!(lab.is_there(users) && lab.is_there(source), "who called us has it from the tracker");
    let asks_for = |job: &Job| matches!(job, Job::Announce { url, .. } if url.contains("further"));
    assert!(!lab.jobs.iter().any(asks_for), "its trackers are its own");
    lab.tell(source, &self::named(["192.0.2.5:6881"]));
    lab.pass(MINUTE * 40);
    assert!(!lab.dialled.iter().any(|(_, addr)| *addr != Lab::addr(9)), "{:?}", lab.dialled);
    assert!(!lab.events.iter().any(|event| matches!(event, Event::Stopped { .. })));
}
