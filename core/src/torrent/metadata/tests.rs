//! Magnet links from the first peer to the first block, and metadata given to others.

use super::EARLY_LEN_MAX;
use super::serve::SERVED_TIMES;
use crate::choice::Choice;
use crate::config::Config;
use crate::extension::{Hello, Kind, METADATA_PIECE_LEN, MetadataMessage};
use crate::input::{CloseCause, Input};
use crate::job::Job;
use crate::key::PeerKey;
use crate::machine::lab::Lab;
use crate::output::{CloseReason, Event, State};
use crate::piece::PIECE_COUNT_MAX;
use crate::priority::Priority;
use crate::wire::Message;
use std::time::Duration;

/// The number that all peers here give the extension.
const ID: u8 = 9;

fn is_metadata(job: &Job) -> bool {
    matches!(job, Job::Metadata { .. })
}

/// A copy is looked at, and the torrent goes on if it is good.
fn verify(lab: &mut Lab) {
    lab.finish(is_metadata);
    lab.pass(Duration::ZERO);
}

/// A torrent of which the link is known; its metadata has three pieces.
fn lab() -> Lab {
    Lab::of_magnet(Config::default(), &".".repeat(2000))
}

/// A peer that says to have metadata of this length.
fn holder(lab: &mut Lab, number: u8, len: u32) -> PeerKey {
    let peer = lab.modern_peer(number);
    let mut ids = [None; Kind::ALL.len()];
    ids[Kind::Metadata as usize] = Some(ID);
    let hello = Hello { ids, metadata_len: Some(len), ..Hello::default() };
    lab.say(peer, Message::Extended { id: 0, payload: &hello.encode() });
    peer
}

fn info_len(lab: &Lab) -> u32 {
    u32::try_from(lab.metainfo.info().len()).unwrap()
}

/// The pieces that a peer was asked for.
fn asked(lab: &mut Lab, peer: PeerKey) -> Vec<u32> {
    let words = lab.heard(peer);
    let requests = words.iter().filter_map(|word| word.strip_prefix("extended 9 d8:msg_typei0e5:piecei"));
    requests.map(|rest| rest.trim_end_matches('e').parse().unwrap()).collect()
}

fn say(lab: &mut Lab, peer: PeerKey, message: MetadataMessage<'_>) {
    lab.say(peer, Message::Extended { id: Kind::Metadata.id(), payload: &message.encode() });
}

/// The peer sends this piece, with each byte changed if it lies.
fn give(lab: &mut Lab, peer: PeerKey, piece: u32, lies: bool) {
    let info = lab.metainfo.info().to_vec();
    let start = (piece * METADATA_PIECE_LEN) as usize;
    let end = info.len().min(start + METADATA_PIECE_LEN as usize);
    let bytes: Vec<u8> = info[start..end].iter().map(|byte| if lies { !byte } else { *byte }).collect();
    say(lab, peer, MetadataMessage::Data { piece, total_len: None, bytes: &bytes });
}

fn give_all(lab: &mut Lab, peer: PeerKey, lies: bool) {
    loop {
        let pieces = asked(lab, peer);
        if pieces.is_empty() {
            break;
        }
        pieces.into_iter().for_each(|piece| give(lab, peer, piece, lies));
    }
}

fn banned(lab: &Lab) -> Vec<std::net::SocketAddr> {
    let addr = |event: &Event| {
        let Event::PeerBanned { addr, .. } = event else { return None };
        Some(*addr)
    };
    lab.events.iter().filter_map(addr).collect()
}

#[test]
fn metadata_comes_and_the_torrent_goes_on_with_the_peers_that_it_has() {
    let mut lab = lab();
    let len = info_len(&lab);
    let peer = holder(&mut lab, 1, len);
    // What it says before means something afterwards.
    lab.say(peer, Message::HaveNone);
    lab.say(peer, Message::Have { index: 1999 });
    lab.say(peer, Message::Unchoke);
    lab.say(peer, Message::Interested);
    assert_eq!(lab.machine.progress(lab.now, lab.torrent).unwrap().state, State::Metadata);
    give_all(&mut lab, peer, false);
    verify(&mut lab);
    assert!(lab.events.iter().any(|event| matches!(event, Event::MetadataDone { .. })));
    lab.jobs.retain(|job| !matches!(job, Job::Open { .. }));
    lab.open(&format!("{}x.", ".".repeat(1998)));
    assert!(lab.is_there(peer));
    let words = lab.heard(peer);
    for want in ["have { index: 1998 }", "interested", "unchoke", "request 1999 0"] {
        assert!(words.iter().any(|word| word == want), "{want}: {words:?}");
    }
    lab.give(peer, (1999, 0, 16_384));
    lab.give(peer, (1999, 16_384, 16_384));
    lab.finish(|job| matches!(job, Job::Store { .. }));
}

#[test]
fn pieces_come_from_several_peers_at_once_and_from_others_if_one_does_not_answer() {
    let mut lab = lab();
    let len = info_len(&lab);
    let [silent, rejects, good] = [1, 2, 3].map(|number| holder(&mut lab, number, len));
    assert_eq!(asked(&mut lab, silent), [0, 1, 2]);
    lab.pass(Duration::from_secs(3));
    assert_eq!(asked(&mut lab, rejects), [0, 1, 2]);
    (0..3).for_each(|piece| say(&mut lab, rejects, MetadataMessage::Reject { piece }));
    give_all(&mut lab, good, false);
    verify(&mut lab);
    assert!(lab.closed.is_empty(), "{:?}", lab.closed);
}

#[test]
fn a_lone_liar_is_left_at_once() {
    let mut lab = lab();
    let len = info_len(&lab);
    let liar = holder(&mut lab, 1, len);
    give_all(&mut lab, liar, true);
    verify(&mut lab);
    assert_eq!(lab.closed, [(liar, CloseReason::Banned)]);
    let good = holder(&mut lab, 2, len);
    give_all(&mut lab, good, false);
    verify(&mut lab);
    assert!(lab.machine.torrent(lab.torrent).unwrap().has_metadata());
}

#[test]
fn among_several_the_liar_is_found_and_nobody_else_is_banned() {
    let mut lab = lab();
    let len = info_len(&lab);
    let (liar, good) = (holder(&mut lab, 1, len), holder(&mut lab, 2, len));
    assert_eq!(asked(&mut lab, liar), [0, 1, 2]);
    give(&mut lab, liar, 1, true);
    // The rest is late, and comes from another.
    lab.pass(Duration::from_secs(3));
    give_all(&mut lab, good, false);
    verify(&mut lab);
    assert!(
        lab.closed.is_empty() && lab.events.iter().any(|event| matches!(event, Event::MetadataFailed { .. }))
    );
    give_all(&mut lab, good, false);
    verify(&mut lab);
    assert_eq!(banned(&lab), [Lab::addr(1)]);
    assert!(lab.machine.torrent(lab.torrent).unwrap().has_metadata() && lab.is_there(good));
}

#[test]
fn metadata_over_the_limit_is_not_asked_for_and_that_is_told_once() {
    let mut lab = lab();
    for number in [1, 2] {
        let peer = holder(&mut lab, number, 32 * 1024 * 1024 + 1);
        assert_eq!(asked(&mut lab, peer), []);
    }
    let told = lab.events.iter().filter(|event| matches!(event, Event::MetadataTooLong { .. }));
    assert_eq!(told.count(), 1);
}

#[test]
fn pieces_that_nobody_asked_for_are_not_kept_and_endured_for_a_while() {
    let mut lab = lab();
    let peer = lab.modern_peer(1);
    (0..1000).for_each(|piece| give(&mut lab, peer, piece % 3, false));
    assert!(lab.is_there(peer) && !lab.jobs.iter().any(is_metadata));
    give(&mut lab, peer, 0, false);
    assert!(!lab.is_there(peer));
}

#[test]
fn what_peers_say_to_have_before_the_metadata_is_bounded() {
    let mut lab = lab();
    let most = PIECE_COUNT_MAX / 8;
    let bits = vec![0; most as usize];
    let count = EARLY_LEN_MAX / bits.len();
    for number in 0..=count {
        let peer = lab.modern_peer(u8::try_from(number + 1).unwrap());
        lab.say(peer, Message::Bitfield { bits: &bits });
        assert_eq!(lab.is_there(peer), number < count);
    }
}

#[test]
fn who_leaves_is_no_loss() {
    let mut lab = lab();
    let len = info_len(&lab);
    let (first, second) = (holder(&mut lab, 1, len), holder(&mut lab, 2, len));
    give(&mut lab, first, 1, false);
    lab.input(Input::Closed { peer: first, cause: CloseCause::End });
    assert_eq!(asked(&mut lab, second), [0, 2]);
    give(&mut lab, second, 0, false);
    give(&mut lab, second, 2, false);
    verify(&mut lab);
    assert!(lab.machine.torrent(lab.torrent).unwrap().has_metadata());
}

#[test]
fn metadata_is_given_to_others_so_often() {
    let mut lab = Lab::new(Config::default(), "xx");
    let peer = holder(&mut lab, 1, 1);
    lab.heard(peer);
    let mut words = Vec::new();
    for _ in 0..=SERVED_TIMES {
        say(&mut lab, peer, MetadataMessage::Request { piece: 0 });
        words.extend(lab.heard(peer));
    }
    let kinds: Vec<_> = words
        .iter()
        .map(|word| {
            MetadataMessage::parse(word.strip_prefix("extended 9 ").unwrap().as_bytes()).unwrap().unwrap()
        })
        .map(|message| matches!(message, MetadataMessage::Data { total_len: Some(_), .. }))
        .collect();
    assert_eq!(kinds, [true, true, false]);
    say(&mut lab, peer, MetadataMessage::Request { piece: 7 });
    assert_eq!(lab.heard(peer), ["extended 9 d8:msg_typei2e5:piecei7ee"]);
}

#[test]
fn a_stop_before_the_metadata_is_there_ends_at_once() {
    let mut lab = lab();
    let len = info_len(&lab);
    let peer = holder(&mut lab, 1, len);
    lab.machine.shut_down(lab.now);
    lab.drain();
    assert!(lab.closed.contains(&(peer, CloseReason::TorrentGone)) && lab.machine.is_shut_down());
}

/// Which files the disk is told not to make.
fn unwanted(lab: &Lab) -> Vec<bool> {
    let unwanted = |job: &Job| {
        let Job::Open { unwanted, .. } = job else { return None };
        Some(unwanted.clone())
    };
    lab.jobs.iter().find_map(unwanted).expect("the folder is opened")
}

#[test]
fn a_link_and_before_it_the_user_says_which_files_are_wanted() {
    let known = |select| {
        let mut lab = Lab::of_magnet_with_files("....", select);
        let len = info_len(&lab);
        let peer = holder(&mut lab, 1, len);
        give_all(&mut lab, peer, false);
        lab.finish(is_metadata);
        lab
    };
    for (select, want) in [
        (vec![], vec![]),
        (vec![(1, 1), (3, 9)], vec![true, false, true, false]),
        // What names no file of this torrent says nothing.
        (vec![(7, 9)], vec![]),
    ] {
        let mut lab = known(select);
        lab.pass(Duration::ZERO);
        assert_eq!(unwanted(&lab), want);
    }
    let mut lab = known(vec![(1, 1)]);
    let priorities = vec![Priority::NORMAL, Priority::SKIP];
    lab.machine.set_choice(lab.now, lab.torrent, Choice { priorities, ..Choice::default() });
    lab.pass(Duration::ZERO);
    assert_eq!(unwanted(&lab), [false, true, false, false]);
}
