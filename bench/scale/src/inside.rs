//! Sessions in memory: what a torrent or a peer takes, and what an event costs beside many others.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::Metainfo;
use peerless_core::wire::Message;
use peerless_core::{Config, Input, PeerKey, Purpose, TorrentKey};
use peerless_tests::crowd::{Crowd, torrent, torrent_of_files};

use crate::meter::{bytes, head, memory, nanos, row, time};

/// Peers or torrents.
const SIZES: [u32; 4] = [1, 100, 1_000, 10_000];

/// Pieces of a common torrent.
const PIECE_COUNT: u32 = 1_000;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn run() -> io::Result<()> {
    torrents()?;
    peers()?;
    files()
}

fn config() -> Config {
    Config { peers_max: 100_000, progress_interval: Some(Duration::from_secs(1)), ..Config::default() }
}

fn sizes() -> Vec<String> {
    SIZES.iter().map(u32::to_string).collect()
}

/// A session that seeds so many torrents.
fn seeding(torrent_count: u32) -> (Crowd, Vec<TorrentKey>) {
    let mut crowd = Crowd::new(config());
    let keys = (0..torrent_count).map(|number| {
        let metainfo = torrent(number, PIECE_COUNT, 16_384);
        crowd.add(metainfo, Bitfield::full(PIECE_COUNT), Purpose::Serve)
    });
    let keys = keys.collect();
    (crowd, keys)
}

/// A session that downloads one torrent from so many peers that have half of it.
fn leeching(peer_count: u32) -> (Crowd, TorrentKey, Vec<PeerKey>) {
    let mut crowd = Crowd::new(config());
    let metainfo = torrent(0, PIECE_COUNT, 16_384);
    let torrent = crowd.add(metainfo, Bitfield::empty(PIECE_COUNT), Purpose::Download);
    let peers = (0..peer_count).map(|_| half(&mut crowd, torrent)).collect();
    (crowd, torrent, peers)
}

fn half(crowd: &mut Crowd, torrent: TorrentKey) -> PeerKey {
    let peer = crowd.join(torrent);
    crowd.say(peer, Message::Bitfield { bits: &[0xAA; PIECE_COUNT as usize / 8] });
    peer
}

fn torrents() -> io::Result<()> {
    head("a session of so many torrents that are seeded", &sizes())?;
    let (own, _metainfo) = memory(|| torrent(0, PIECE_COUNT, 16_384));
    let mut rows = [const { Vec::new() }; 6];
    for size in SIZES {
        let (len, (mut crowd, keys)) = memory(|| seeding(size));
        rows[0].push(bytes((len - own * isize::try_from(size).unwrap_or_default()) as f64 / f64::from(size)));
        crowd.pass(MINUTE);
        rows[1].push(nanos(time(1, || (), |(), _| _ = crowd.pass(MINUTE)) / f64::from(size) / 60.0));
        rows[2].push(crowd.pass(MINUTE).to_string());
        rows[3].push(nanos(time(
            1_000,
            || (),
            |(), number| {
                let peer = crowd.join(keys[number as usize % keys.len()]);
                crowd
                    .session
                    .handle_input(crowd.now, Input::Closed { peer, cause: peerless_core::CloseCause::End });
            },
        )));
        rows[4].push(nanos(stop(size)));
        let leech = torrent(u32::MAX, PIECE_COUNT, 16_384);
        let leech = crowd.add(leech, Bitfield::empty(PIECE_COUNT), Purpose::Download);
        rows[5].push(nanos(piece(&mut crowd, leech)));
    }
    row("memory of one beyond its metainfo", &rows[0])?;
    row("CPU of one in a second, all idle", &rows[1])?;
    row("wakes in a minute, all idle", &rows[2])?;
    row("a peer comes and goes", &rows[3])?;
    row("all are stopped, each", &rows[4])?;
    row("a piece of one block is downloaded in another torrent", &rows[5])
}

/// One piece of one block downloaded from a seed, with all that is told and asked because of it.
fn piece(crowd: &mut Crowd, torrent: TorrentKey) -> f64 {
    let seed = crowd.join(torrent);
    crowd.listen(seed, PIECE_COUNT);
    crowd.say(seed, Message::Bitfield { bits: &[0xFF; PIECE_COUNT as usize / 8] });
    crowd.say(seed, Message::Unchoke);
    let mut requests = VecDeque::new();
    let mut fetch = |crowd: &mut Crowd| {
        requests.extend(crowd.requests());
        let Some((index, begin)) = requests.pop_front() else { return };
        crowd.say(seed, Message::Piece { index, begin, data: &[0; 16_384] });
        crowd.store_all();
    };
    time(250, || (), |(), _| fetch(crowd))
}

/// What it costs to stop, for each torrent.
fn stop(size: u32) -> f64 {
    let shut_down = |crowd: &mut Crowd, _| {
        crowd.session.shut_down(crowd.now);
        crowd.settle();
    };
    time(1, || seeding(size).0, shut_down) / f64::from(size)
}

fn peers() -> io::Result<()> {
    head("a torrent with so many peers that have half of it", &sizes())?;
    let mut rows = [const { Vec::new() }; 7];
    for size in SIZES {
        let (base, empty) = memory(|| leeching(0));
        drop(empty);
        let (len, (mut crowd, torrent, peers)) = memory(|| leeching(size));
        rows[0].push(bytes((len - base) as f64 / f64::from(size)));
        crowd.pass(MINUTE);
        let mut idle = || {
            // Peers that say nothing at all would be left.
            peers.iter().for_each(|peer| crowd.say(*peer, Message::KeepAlive));
            crowd.pass(MINUTE)
        };
        let minute = time(1, || (), |(), _| _ = idle());
        rows[1].push(nanos(minute / f64::from(size) / 60.0));
        rows[2].push(idle().to_string());
        let peer = |number: u32| peers[number as usize % peers.len()];
        rows[3].push(nanos(time(10_000, || (), |(), number| crowd.say(peer(number), Message::KeepAlive))));
        let have = |number: u32| Message::Have { index: number * 7 % PIECE_COUNT };
        rows[4].push(nanos(time(10_000, || (), |(), number| crowd.say(peer(number), have(number)))));
        rows[5].push(nanos(time(
            500,
            || (),
            |(), _| {
                let peer = half(&mut crowd, torrent);
                crowd
                    .session
                    .handle_input(crowd.now, Input::Closed { peer, cause: peerless_core::CloseCause::End });
            },
        )));
        rows[6].push(nanos(piece(&mut crowd, torrent) / f64::from(size)));
    }
    row("memory of one", &rows[0])?;
    row("CPU of one in a second, all idle", &rows[1])?;
    row("wakes in a minute, all idle", &rows[2])?;
    row("a keep-alive comes", &rows[3])?;
    row("a have comes", &rows[4])?;
    row("a peer comes, with a bitfield, and goes", &rows[5])?;
    row("a piece is downloaded and told to each, for each", &rows[6])
}

fn files() -> io::Result<()> {
    let sizes = [2_000, 20_000, 200_000];
    head("a torrent of so many files", &sizes.map(|size: u32| size.to_string()))?;
    let mut rows = [const { Vec::new() }; 3];
    for size in sizes {
        let raw = torrent_of_files(size).raw().to_vec();
        let (len, _metainfo) = memory(|| Metainfo::parse(raw.clone()));
        let per = f64::from(size);
        rows[0].push(bytes((len - isize::try_from(raw.len()).unwrap_or_default()) as f64 / per));
        rows[1]
            .push(nanos(time(1, || raw.clone(), |raw, _| drop(Metainfo::parse(std::mem::take(raw)))) / per));
        let metainfo = torrent_of_files(size);
        let geometry = *metainfo.geometry();
        rows[2].push(nanos(time(
            100_000,
            || (),
            |(), number| {
                let piece =
                    geometry.piece(number * 7919 % geometry.piece_count()).map(|piece| geometry.whole(piece));
                let count = piece.map(|range| metainfo.layout().spans(&geometry, range).count());
                std::hint::black_box(count);
            },
        )));
    }
    row("memory of one beyond the .torrent file's own bytes", &rows[0])?;
    row("parsing, each", &rows[1])?;
    row("the files of a piece", &rows[2])
}
