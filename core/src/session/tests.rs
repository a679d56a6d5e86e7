use super::*;
use crate::bitfield::Bitfield;
use crate::input::CloseCause;
use crate::job::{Check, Job, Opened, Purpose, StoreTime};
use crate::metainfo::{Content, Create};
use crate::route::{Bind, Login, Proxy, Route, Secret};
use crate::wire::{Handshake, Message};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A session with a torrent of three pieces, of which `has` are there already.
fn session(has: &[u32], purpose: Purpose) -> (Session, TorrentKey) {
    session_with(Config::default(), has, purpose)
}

fn session_with(config: Config, has: &[u32], purpose: Purpose) -> (Session, TorrentKey) {
    let create = Create::new("name".to_owned(), Content::File(3 * 16_384), 16_384);
    let metainfo = Metainfo::parse(create.encode(&[[0; 20]; 3])).unwrap();
    let mut have = Bitfield::empty(3);
    for index in has {
        have.insert(metainfo.geometry().piece(*index).unwrap());
    }
    session_of(config, metainfo, have, purpose)
}

fn session_of(config: Config, metainfo: Metainfo, have: Bitfield, purpose: Purpose) -> (Session, TorrentKey) {
    let unsure = Bitfield::empty(have.piece_count());
    let mut session = Session::new(config, 1, Instant::START);
    let add = AddTorrent {
        metainfo,
        root: PathBuf::new(),
        purpose,
        check: Check::Auto,
        choice: Choice::default(),
        tiers: Vec::new(),
        web_seeds: Vec::new(),
        peers: Vec::new(),
        hosts: Vec::new(),
    };
    let torrent = session.add_torrent(Instant::START, add).unwrap();
    let opened = Opened { have, unsure, ours: true };
    session.handle_input(Instant::START, Input::Done(JobDone::Opened { torrent, result: Ok(opened) }));
    (session, torrent)
}

fn received(session: &mut Session, peer: PeerKey, bytes: &[u8]) {
    session.handle_input(Instant::START, Input::Received { peer, bytes });
}

#[test]
fn who_owes_blocks_is_not_read_while_the_disk_is_behind() {
    let config = Config { buffer_len_max: 64 * 1024, ..Config::default() };
    let (mut session, torrent) = session_with(config, &[], Purpose::Download);
    let (owes, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let peers = [owes, other].map(|ip| session.accept(Instant::START, (ip, 1).into()).unwrap());
    let info_hash = session.info_hash(torrent).unwrap();
    for (peer, id) in peers.into_iter().zip(1..) {
        let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([id; 20]) };
        received(&mut session, peer, &handshake.encode());
    }
    // A bitfield of all three pieces and an unchoke, upon which all are asked for.
    received(&mut session, peers[0], &[0, 0, 0, 2, 5, 0b1110_0000, 0, 0, 0, 1, 1]);
    let block = |index| [&[0, 0, 0x40, 9, 7, 0, 0, 0, index, 0, 0, 0, 0], &[0; 16_384][..]].concat();
    received(&mut session, peers[0], &block(0));
    assert!(session.wants_read(peers[0]), "one piece may be on its way, however long");
    received(&mut session, peers[0], &block(1));
    assert_eq!(peers.map(|peer| session.wants_read(peer)), [false, true]);
    let mut jobs = Vec::new();
    while let Some(output) = session.poll_output() {
        assert!(!matches!(output, Output::Resume { .. }));
        if let Output::Job(Job::Store { pieces, .. }) = output {
            let pieces = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new()))).collect();
            jobs.push(JobDone::Stored { torrent, pieces, time: StoreTime::default() });
        }
    }
    session.handle_input(Instant::START, Input::Done(jobs.pop().unwrap()));
    assert!(session.wants_read(peers[0]));
    let mut outputs = std::iter::from_fn(|| session.poll_output());
    assert!(outputs.any(|output| matches!(output, Output::Resume { peer } if peer == peers[0])));
}

fn saves(session: &mut Session) -> Vec<bool> {
    let mut saves = Vec::new();
    while let Some(output) = session.poll_output() {
        if let Output::Job(Job::Save { close, .. }) = output {
            saves.push(close);
        }
    }
    saves
}

#[test]
fn files_that_are_there_or_empty_are_told_when_the_rest_is_fetched() {
    let files = [("a", 16_384), ("b", 0), ("c", 16_384)].map(|(name, len)| (vec![name.to_owned()], len));
    let create = Create::new("name".to_owned(), Content::Folder(files.to_vec()), 16_384);
    let metainfo = Metainfo::parse(create.encode(&[[0; 20]; 2])).unwrap();
    let mut have = Bitfield::empty(2);
    have.insert(metainfo.geometry().piece(0).unwrap());
    let (mut session, _) = session_of(Config::default(), metainfo, have, Purpose::Download);
    let mut files = Vec::new();
    while let Some(output) = session.poll_output() {
        if let Output::Event(Event::FileDone { file, .. }) = output {
            files.push(file);
        }
    }
    assert_eq!(files, [0, 1]);
}

#[test]
fn a_shutdown_ends_as_soon_as_the_state_is_saved() {
    for purpose in [Purpose::Download, Purpose::Serve] {
        let (mut session, torrent) = session(&[0, 2], purpose);
        assert!(saves(&mut session).is_empty());
        session.shut_down(Instant::START);
        assert!(saves(&mut session) == [true] && !session.is_shut_down());
        session.handle_input(Instant::START, Input::Done(JobDone::Saved { torrent, result: Ok(()) }));
        assert!(session.is_shut_down() && session.poll_timeout().is_none());
    }
}

/// The recording of a session that is shutting down, to its end.
fn recorded(session: &mut Session, now: Instant) -> Vec<u8> {
    let mut recording = Vec::new();
    while !session.is_shut_down() {
        match session.poll_output() {
            Some(Output::Job(Job::Record { bytes, .. })) => {
                recording.extend(bytes);
                session.handle_input(now, Input::Done(JobDone::Recorded { result: Ok(()) }));
            }
            Some(Output::Job(Job::Save { torrent, .. })) => {
                session.handle_input(now, Input::Done(JobDone::Saved { torrent, result: Ok(()) }));
            }
            Some(_) => {}
            None => session.handle_timeout(now),
        }
    }
    recording
}

#[test]
fn a_recording_has_no_password_and_is_done_again_without_it() {
    let secret = |text: &str| Secret::of_url(text).unwrap();
    let login = Some(Login { user: secret("somebody"), password: secret("hunter2") });
    let proxy = Some(Arc::new(Proxy { addr: ([192, 0, 2, 9], 1080).into(), login }));
    let route = Route { bind: Bind::to([192, 0, 2, 5].into()), proxy };
    let config = Config { record: true, route, ..Config::default() };
    let (mut session, torrent) = session_with(config, &[0], Purpose::Download);
    let info_hash = session.info_hash(torrent).unwrap();
    session.add_peer(Instant::START, torrent, ([192, 0, 2, 1], 6881).into());
    let mut outputs = std::iter::from_fn(|| session.poll_output());
    let dialled = outputs.find_map(|output| {
        let Output::Connect { peer, hop } = output else { return None };
        Some((peer, hop))
    });
    let (peer, hop) = dialled.unwrap();
    assert_eq!((hop.bind().ip(), hop.to()), (Some([192, 0, 2, 5].into()), ([192, 0, 2, 9], 1080).into()));
    session.handle_input(Instant::START, Input::Connected { peer });
    let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([1; 20]) }.encode();
    let mut stream = handshake.to_vec();
    for message in [Message::Unchoke, Message::Piece { index: 1, begin: 0, data: &[7; 16_384] }] {
        message.encode(&mut stream);
    }
    // A name as the proxy's own address, and all that follows in one read.
    let answer = [&[5, 0, 0, 3, 6][..], b"hidden", &[0, 1], &stream].concat();
    for bytes in [&[5, 2][..], &[1, 0], &answer] {
        session.sent(Instant::START, peer, usize::MAX);
        received(&mut session, peer, bytes);
    }
    session.sent(Instant::START, peer, usize::MAX);
    session.shut_down(Instant::START);
    let recording = recorded(&mut session, Instant::START);
    let holds = |text: &str| recording.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(!holds("hunter2") && !holds("somebody"));
    assert!(recording.len() < 2000, "payload is left out behind the proxy's words: {}", recording.len());
    let replayed = crate::record::replay(&recording).unwrap();
    assert!(replayed.cut_len == 0 && replayed.output_count > 5, "{replayed:?}");

    let renamed = crate::record::renamed(&recording, 1).unwrap();
    let words =
        [&[192, 0, 2, 9][..], &[192, 0, 2, 5], &[192, 0, 2, 1], b"hidden", &[1; 12], info_hash.as_bytes()];
    for (word, is_there) in words.iter().flat_map(|word| [(word, true), (word, false)]) {
        let recording = if is_there { &recording } else { &renamed };
        let found = recording.windows(word.len()).any(|window| window == *word);
        assert_eq!(found, is_there, "{word:?}");
    }
}

#[test]
fn a_recording_is_done_again_whatever_else_the_session_was_asked() {
    let at = |millis| Instant::from_start(Duration::from_millis(millis));
    let progress_interval = Some(Duration::from_millis(400));
    let config = Config { record: true, progress_interval, ..Config::default() };
    let (mut session, torrent) = session_with(config, &[0], Purpose::Download);
    let info_hash = session.info_hash(torrent).unwrap();
    let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new([1; 20]) }.encode();
    let addr = SocketAddr::from(([192, 0, 2, 1], 1));
    let peer = session.accept(at(100), addr).unwrap();
    session.handle_input(at(450), Input::Received { peer, bytes: &handshake });
    // The figures are asked for at a later time than that of the next input, and so is a peer.
    assert!(session.progress(at(1400), torrent).is_some());
    session.add_peer(at(510), torrent, addr);
    session.accept(at(490), addr).unwrap();
    let mut bytes = Vec::new();
    for message in [Message::Unchoke, Message::Piece { index: 1, begin: 0, data: &[0; 16_384] }] {
        message.encode(&mut bytes);
    }
    session.handle_input(at(495), Input::Received { peer, bytes: &bytes });
    session.sent(at(700), peer, usize::MAX);
    session.handle_input(at(500), Input::Closed { peer, cause: CloseCause::End });
    // These come too late.
    session.sent(at(900), peer, 10);
    session.handle_input(at(901), Input::Received { peer, bytes: &[1; 100] });
    // Within this time the second connection is given up.
    (8..106).for_each(|step| session.handle_timeout(at(step * 100)));
    session.shut_down(at(11_000));
    let recording = recorded(&mut session, at(11_000));
    let replayed = crate::record::replay(&recording).unwrap();
    assert!(replayed.cut_len == 0 && replayed.output_count > 10, "{replayed:?}");
}
