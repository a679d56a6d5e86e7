//! What one peer can cost that sends without end: the time for each mebibyte that it sends, beside few
//! and many others. A download takes some 10 ms for one.

use std::io;
use std::time::{Duration, Instant};

use peerless_core::bitfield::Bitfield;
use peerless_core::wire::Message;
use peerless_core::{Config, PeerKey, Purpose};
use peerless_sim::puppet::{Flood, Plan, Puppet};
use peerless_sim::sample::Sample;
use peerless_tests::crowd::Crowd;

use crate::meter::{head, nanos, row};

/// Other peers of the torrent.
const PEER_COUNTS: [usize; 2] = [10, 1_000];

/// Pieces of the torrent, of four blocks each.
const PIECE_COUNT: u32 = 1_000;

/// Bytes of a flood that are measured.
const FLOOD_LEN: usize = 2 << 20;

pub(crate) fn run() -> io::Result<()> {
    head("1 MiB of a flood beside so many peers", &PEER_COUNTS.map(|count| count.to_string()))?;
    let sample = Sample::new(1, PIECE_COUNT as usize * 65_536, 65_536);
    for flood in Flood::ALL {
        let costs = PEER_COUNTS.map(|count| nanos(cost(&sample, flood, count)));
        row(&format!("{flood:?}"), &costs)?;
    }
    Ok(())
}

/// The best of three rounds: nanoseconds for a mebibyte.
fn cost(sample: &Sample, flood: Flood, peer_count: usize) -> f64 {
    let times = (0..3).map(|_| {
        let (mut crowd, flooder) = crowd(sample, peer_count);
        let mut puppet = Puppet::new(sample.clone(), Plan { flood: Some(flood), ..Plan::seed(b'x') }, 1);
        let mut took = Duration::ZERO;
        let mut sent = 0;
        while sent < FLOOD_LEN {
            let bytes = puppet.flood(flood);
            sent += bytes.len();
            let began_at = Instant::now();
            crowd.hear(flooder, &bytes);
            took += began_at.elapsed();
            // As fast as a fast line brings it, so that what is bound to time has its time.
            crowd.pass(Duration::from_millis(1));
        }
        took.as_secs_f64() * 1e9 * (1 << 20) as f64 / sent as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

/// A leech with so many seeds that let it request, and one more peer that does.
fn crowd(sample: &Sample, peer_count: usize) -> (Crowd, PeerKey) {
    let mut crowd = Crowd::new(Config { peers_max: 2 * peer_count + 10, ..Config::default() });
    let have = Bitfield::empty(PIECE_COUNT);
    let torrent = crowd.add(sample.metainfo.clone(), have, Purpose::Download);
    let bits = Bitfield::full(PIECE_COUNT).to_wire();
    let join = |crowd: &mut Crowd| {
        let peer = crowd.join_with(torrent, peerless_sim::speak::FAST_AND_EXTENDED);
        crowd.say(peer, Message::Bitfield { bits: &bits });
        crowd.say(peer, Message::Unchoke);
        peer
    };
    (0..peer_count).for_each(|_| _ = join(&mut crowd));
    let flooder = join(&mut crowd);
    (crowd, flooder)
}
