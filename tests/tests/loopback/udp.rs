//! Scenarios over datagrams.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use peerless_core::rng::Rng;
use peerless_core::tracker::{TrackerOptions, TrackerServer};
use peerless_core::{AddTorrent, Event};
use peerless_sim::sample::Sample;

use crate::harness::{Client, Folder, Kind, real_work, to_download, to_serve};
use crate::scenarios::{sample, seed};

/// A tracker on a thread of its own, until it is dropped.
struct Tracker {
    addr: SocketAddr,
    /// Peers that it knows.
    peer_count: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tracker {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // How soon it sees that it has ended.
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let addr = socket.local_addr().unwrap();
        let (peer_count, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&peer_count), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut server = TrackerServer::new(TrackerOptions::default(), [5; 32]);
            let (mut rng, began_at, mut buffer) = (Rng::new(1), Instant::now(), [0; 2048]);
            while !end.load(Ordering::SeqCst) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let now = peerless_core::Instant::from_start(began_at.elapsed());
                let answer = server.handle_udp(now, &mut rng, from, &buffer[..len]);
                count.store(server.peer_count(), Ordering::SeqCst);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { addr, peer_count, ended, thread: Some(thread) }
    }

    /// The torrent with this tracker alone. A name brings a look-up; the other family has nobody.
    fn alone(&self, torrent: AddTorrent) -> AddTorrent {
        AddTorrent { tiers: vec![vec![format!("udp://localhost:{}/announce", self.addr.port())]], ..torrent }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn a_udp_tracker_brings_peers_together_and_is_told_when_they_leave(
    seed_kind: Kind,
    leech_kind: Kind,
) {
    let (sample, tracker) = (sample(), Tracker::start());
    let full = Folder::full(&sample);
    let seed = Client::start(seed_kind, tracker.alone(to_serve(&sample, &full)), real_work());
    wait_told(&seed);
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, tracker.alone(to_download(&sample, &folder, &[])), real_work());
    leech.wait_complete();
    assert_eq!(tracker.peer_count.load(Ordering::SeqCst), 2);
    leech.finish();
    seed.finish();
    folder.assert_full(&sample);
    assert_eq!(tracker.peer_count.load(Ordering::SeqCst), 0);
}

fn wait_told(client: &Client) {
    client.wait("the tracker", |event| {
        let Event::Tracker { result, .. } = event else { return None };
        result.ok().map(drop)
    });
}

pub(crate) fn a_flood_of_datagrams_starves_nobody(seed_kind: Kind, leech_kind: Kind) {
    let sample = Sample::new(1, 1024 * 1024, 64 * 1024);
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[]), real_work());
    leech.wait_started();
    let (to, ended) = ([seed.addr, leech.addr], Arc::new(AtomicBool::new(false)));
    let end = Arc::clone(&ended);
    let flood = thread::spawn(move || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        while !end.load(Ordering::SeqCst) {
            to.iter().for_each(|to| drop(socket.send_to(&[0; 100], to)));
        }
    });
    let other = Folder::empty();
    let second =
        Client::start(seed_kind, to_download(&sample, &other, &[seed.addr, leech.addr]), real_work());
    second.wait_complete();
    leech.wait_complete();
    ended.store(true, Ordering::SeqCst);
    flood.join().unwrap();
    [second, leech, seed].into_iter().for_each(Client::finish);
    other.assert_full(&sample);
}
