//! What very many torrents and peers cost, told without a clock: bytes allocated, and how often an
//! idle session is to be woken. One test at a time measures, since allocations are counted together.

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::Metainfo;
use peerless_core::wire::Message;
use peerless_core::{CloseCause, Config, Input, Output, PeerKey, Purpose, TorrentKey};
use peerless_tests::crowd::{Crowd, torrent, torrent_of_files};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static ALONE: Mutex<()> = Mutex::new(());

const MINUTE: Duration = Duration::from_secs(60);

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Heap bytes that `work` leaves allocated, and what it made.
fn memory<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let region = Region::new(ALLOCATOR);
    let made = work();
    let change = region.change();
    (change.bytes_allocated.saturating_sub(change.bytes_deallocated), made)
}

/// How many allocations `work` makes.
fn allocations(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    region.change().allocations
}

fn config() -> Config {
    Config { peers_max: 10_000, ..Config::default() }
}

/// Adds torrents of a thousand pieces that are all there.
fn seed(crowd: &mut Crowd, torrent_count: u32) -> Vec<TorrentKey> {
    let metainfo = |number| torrent(number, 1_000, 16_384);
    (0..torrent_count)
        .map(|number| crowd.add(metainfo(number), Bitfield::full(1_000), Purpose::Serve))
        .collect()
}

/// Adds a torrent of so many pieces of which nothing is there.
fn leech(crowd: &mut Crowd, piece_count: u32) -> TorrentKey {
    crowd.add(torrent(1_000_000, piece_count, 16_384), Bitfield::empty(piece_count), Purpose::Download)
}

/// A peer with half of the thousand pieces.
fn half(crowd: &mut Crowd, torrent: TorrentKey) -> PeerKey {
    let peer = crowd.join(torrent);
    crowd.say(peer, Message::Bitfield { bits: &[0xAA; 125] });
    peer
}

#[test]
fn an_idle_seeding_torrent_takes_under_3_kib() {
    let _alone = alone();
    let (own, metainfo) = memory(|| torrent(0, 1_000, 16_384));
    drop(metainfo);
    let mut crowd = Crowd::new(config());
    let (len, _) = memory(|| seed(&mut crowd, 1_000));
    let each = (len - 1_000 * own) / 1_000;
    assert!(each < 3 * 1024, "{each} bytes");
}

#[test]
fn an_idle_peer_takes_under_2_kib_and_gives_it_all_back() {
    let _alone = alone();
    let mut crowd = Crowd::new(config());
    let torrent = leech(&mut crowd, 1_000);
    let (len, peers) = memory(|| (0..2_000).map(|_| half(&mut crowd, torrent)).collect::<Vec<_>>());
    let each = len / 2_000;
    assert!(each < 2 * 1024, "{each} bytes");
    // What is said in between leaves nothing behind: neither a stash nor a queue.
    let talk = |crowd: &mut Crowd| {
        for peer in &peers {
            // A message cut in two.
            crowd.hear(*peer, &[0, 0, 0, 5, 4, 0]);
            crowd.hear(*peer, &[0, 0, 1]);
            crowd.say(*peer, Message::Interested);
            crowd.say(*peer, Message::NotInterested);
        }
        crowd.pass(MINUTE);
    };
    talk(&mut crowd);
    let (more, ()) = memory(|| talk(&mut crowd));
    assert!(more / 2_000 < 16, "{more} bytes");
}

#[test]
fn a_seed_takes_the_same_however_many_pieces_there_are() {
    let _alone = alone();
    let each = [1_000, 1_000_000].map(|piece_count| {
        let mut crowd = Crowd::new(config());
        let torrent = leech(&mut crowd, piece_count);
        let bits = Bitfield::full(piece_count).to_wire();
        let (len, _) = memory(|| {
            for _ in 0..100 {
                let peer = crowd.join(torrent);
                crowd.say(peer, Message::Bitfield { bits: &bits });
            }
        });
        len / 100
    });
    assert!(each[1] < each[0] + 64, "{each:?} bytes");
}

#[test]
fn a_file_among_very_many_takes_under_200_bytes() {
    let _alone = alone();
    let raw = torrent_of_files(100_000).raw().to_vec();
    let raw_len = raw.len();
    let (len, metainfo) = memory(|| Metainfo::parse(raw));
    assert!(metainfo.is_ok());
    // The bytes of the file itself are moved in, not allocated.
    let each = len / 100_000;
    assert!(each < 200, "{each} bytes beside {} in the file", raw_len / 100_000);
}

#[test]
fn a_session_with_nothing_to_do_is_hardly_woken() {
    let _alone = alone();
    let mut crowd = Crowd::new(config());
    let torrents = seed(&mut crowd, 1_000);
    crowd.pass(MINUTE);
    assert_eq!(crowd.pass(10 * MINUTE), 0, "torrents without peers have no timers but the trackers'");
    let peers: Vec<PeerKey> = (0..2_000).map(|number| half(&mut crowd, torrents[number % 20])).collect();
    let mut woken = Vec::new();
    for _ in 0..5 {
        peers.iter().for_each(|peer| crowd.say(*peer, Message::KeepAlive));
        woken.push(crowd.pass(MINUTE));
    }
    // A round of the choker each ten seconds; the peers' deadlines were all set at one time.
    assert!(woken.iter().all(|woken| *woken <= 12), "{woken:?}");
    assert!(peers.iter().all(|peer| crowd.session.wants_read(*peer)), "nobody was left");
}

#[test]
fn figures_of_a_thousand_torrents_wake_a_session_once_an_interval() {
    let _alone = alone();
    let mut crowd = Crowd::new(Config { progress_interval: Some(Duration::from_secs(1)), ..config() });
    seed(&mut crowd, 1_000);
    crowd.pass(MINUTE);
    let before = crowd.event_count;
    assert_eq!(crowd.pass(MINUTE), 60);
    assert_eq!(crowd.event_count - before, 60_000);
}

#[test]
fn an_idle_torrent_or_peer_makes_no_event_of_another_allocate_more() {
    let _alone = alone();
    let events = [1, 1_000].map(|count| {
        let mut crowd = Crowd::new(config());
        seed(&mut crowd, count);
        let torrent = leech(&mut crowd, 1_000);
        (0..count).for_each(|_| _ = half(&mut crowd, torrent));
        let mut event = || {
            let peer = half(&mut crowd, torrent);
            crowd.say(peer, Message::Unchoke);
            crowd.session.handle_input(crowd.now, Input::Closed { peer, cause: CloseCause::End });
            crowd.settle();
        };
        (0..100).for_each(|_| event());
        allocations(|| (0..1_000).for_each(|_| event()))
    });
    assert!(events[1] < events[0] * 5 / 4, "{events:?}");
}

#[test]
fn a_disk_that_catches_up_wakes_only_those_who_owe_blocks() {
    let _alone = alone();
    let mut crowd = Crowd::new(Config { buffer_len_max: 64 * 1024, ..config() });
    let torrent = leech(&mut crowd, 1_000);
    let idle: Vec<PeerKey> = (0..1_000).map(|_| half(&mut crowd, torrent)).collect();
    let busy = half(&mut crowd, torrent);
    crowd.say(busy, Message::Unchoke);
    let mut stores = Vec::new();
    for index in (0..1_000).step_by(2) {
        // Those that were asked for count; the others are waste.
        crowd.say(busy, Message::Piece { index, begin: 0, data: &[0; 16_384] });
        stores.append(&mut crowd.jobs);
        if !crowd.session.wants_read(busy) {
            break;
        }
    }
    assert!(!crowd.session.wants_read(busy) && idle.iter().all(|peer| crowd.session.wants_read(*peer)));
    let mut resumed = Vec::new();
    for job in stores {
        if let peerless_core::Job::Store { torrent, pieces, .. } = job {
            let pieces = pieces.into_iter().map(|piece| piece.stored(Ok(Vec::new()))).collect();
            let done =
                peerless_core::JobDone::Stored { torrent, pieces, time: peerless_core::StoreTime::default() };
            crowd.session.handle_input(crowd.now, Input::Done(done));
            while let Some(output) = crowd.session.poll_output() {
                if let Output::Resume { peer } = output {
                    resumed.push(peer);
                }
            }
        }
    }
    assert_eq!(resumed, [busy]);
}
