//! What must work between any two runtimes: each scenario is given who seeds and who leeches.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use peerless_core::priority::Priority;
use peerless_core::{
    AddTorrent, Choice, Config, DiskError, DiskErrorKind, Event, Job, JobDone, Progress, StoreError,
    TorrentError, Work,
};
use peerless_sim::sample::Sample;

use crate::harness::{Client, Folder, GUARD, Gate, Kind, real_work, to_download, to_serve};
use crate::puppet::{Puppet, handshake, send_garbage};
use crate::web;

pub(crate) use crate::udp::{
    a_flood_of_datagrams_starves_nobody, a_udp_tracker_brings_peers_together_and_is_told_when_they_leave,
};

const KIB: usize = 1024;

/// 3 MiB and an odd tail, in pieces of four blocks.
pub(crate) fn sample() -> Sample {
    Sample::new(1, 3 * KIB * KIB + 4321, 64 * 1024)
}

/// A seed with all of `sample`, and the folder it serves from.
pub(crate) fn seed(kind: Kind, sample: &Sample) -> (Client, Folder) {
    let folder = Folder::full(sample);
    let seed = Client::start(kind, to_serve(sample, &folder), real_work());
    seed.wait_started();
    (seed, folder)
}

/// The leech gets everything, and both then end.
fn all_arrives(leech: Client, seed: Client, folder: &Folder, sample: &Sample) {
    leech.wait_complete();
    leech.finish();
    seed.finish();
    folder.assert_full(sample);
}

pub(crate) fn a_file_arrives(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), real_work());
    all_arrives(leech, seed, &folder, &sample);
}

pub(crate) fn a_magnet_link_brings_all_and_the_next_run_knows_what_it_is(seed_kind: Kind, leech_kind: Kind) {
    // Metadata of four pieces.
    let sample = Sample::new(5, 3200 * KIB, 1024);
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let leech = Client::of_magnet(leech_kind, &sample, &folder, &[seed.addr]);
    all_arrives(leech, seed, &folder, &sample);
    // Nobody is there to ask.
    let again = Client::of_magnet(leech_kind, &sample, &folder, &[]);
    again.wait_complete();
    again.finish();
}

pub(crate) fn many_files_arrive(seed_kind: Kind, leech_kind: Kind) {
    let names: Vec<String> = (0..60).map(|number| format!("number {number} ✓")).collect();
    let paths: Vec<[&str; 2]> =
        names.iter().enumerate().map(|(at, name)| [["a", "b", "ü"][at % 3], name.as_str()]).collect();
    let files: Vec<(&[&str], usize)> =
        paths.iter().enumerate().map(|(at, path)| (path.as_slice(), (at % 5) * 7919)).collect();
    let sample = Sample::with_files(2, &files, 32 * 1024);
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), real_work());
    all_arrives(leech, seed, &folder, &sample);
}

pub(crate) fn a_peer_that_is_not_there_does_no_harm(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    // Bound and closed again: nobody listens there.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let folder = Folder::empty();
    let peers = [nobody, seed.addr];
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &peers), real_work());
    all_arrives(leech, seed, &folder, &sample);
}

pub(crate) fn garbage_ends_its_own_connection_alone(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let garbage = listener.local_addr().unwrap();
    let accepted = thread::spawn(move || send_garbage(listener.accept().unwrap().0));
    let folder = Folder::empty();
    let peers = [garbage, seed.addr];
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &peers), real_work());
    send_garbage(TcpStream::connect(leech.addr).unwrap());
    send_garbage(TcpStream::connect(seed.addr).unwrap());
    accepted.join().unwrap();
    all_arrives(leech, seed, &folder, &sample);
}

pub(crate) fn a_flood_of_messages_starves_nobody(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[]), real_work());
    leech.wait_started();
    let mut flood = TcpStream::connect(leech.addr).unwrap();
    flood.write_all(&handshake(&sample)).unwrap();
    // Keep-alives without end, until somebody hangs up.
    let flood = thread::spawn(move || while flood.write_all(&[0; 64 * KIB]).is_ok() {});
    leech.wait("the flood", |event| matches!(event, Event::PeerConnected { .. }).then_some(()));
    let other = Folder::empty();
    let second =
        Client::start(seed_kind, to_download(&sample, &other, &[seed.addr, leech.addr]), real_work());
    second.wait_complete();
    leech.wait_complete();
    second.finish();
    leech.finish();
    flood.join().unwrap();
    seed.finish();
    folder.assert_full(&sample);
}

pub(crate) fn a_peer_that_reads_late_gets_everything(seed_kind: Kind, leech_kind: Kind) {
    const LARGE: u32 = 128 * 1024;
    let sample = Sample::new(5, 1024 * KIB, LARGE);
    let full = Folder::full(&sample);
    let config = Config { progress_interval: Some(Duration::from_millis(20)), ..Config::default() };
    let seed = Client::with_config(seed_kind, config, to_serve(&sample, &full), real_work());
    seed.wait_started();
    let mut late = Puppet::connect(seed.addr, &sample);
    late.send(&[2]); // interested
    while late.receive()[0] != 1 {} // unchoke
    // Many small answers, then more large ones than any socket holds.
    (0..250).for_each(|number| late.request(0, number * 64, 64));
    (0..240).for_each(|_| late.request(1, 0, LARGE));
    let sent = wait_standstill(&seed, |progress| progress.uploaded_len);
    assert!(sent < 240 * u64::from(LARGE), "the sockets hold {sent} bytes: not enough was asked for");
    // It holds up nobody else.
    let folder = Folder::empty();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), real_work());
    leech.wait_complete();
    leech.finish();
    folder.assert_full(&sample);
    for number in 0..490 {
        let message = loop {
            let message = late.receive();
            if message[0] == 7 {
                break message;
            }
        };
        let small = number < 250;
        let start = if small { number * 64 } else { LARGE as usize };
        let len = if small { 64 } else { LARGE as usize };
        assert!(message[9..] == sample.payload()[start..start + len], "answer {number} is wrong");
    }
    seed.finish();
}

/// Waits until a figure has moved and then stands still for some reports.
fn wait_standstill(client: &Client, figure: impl Fn(&Progress) -> u64) -> u64 {
    let (mut last, mut same) = (0, 0);
    client.wait("a standstill", |event| {
        let Event::Progress { progress, .. } = event else { return None };
        let now = figure(&progress);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        (now > 0 && same == 5).then_some(now)
    })
}

pub(crate) fn a_seed_that_leaves_is_no_loss(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (leaving, _full) = seed(seed_kind, &sample);
    let (staying, _other_full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let (gate, stored) = (Arc::new(Gate::default()), AtomicUsize::new(0));
    let (halfway, reached) = mpsc::channel();
    let (inner, real) = (Arc::clone(&gate), real_work());
    let work = move |job: Job| {
        if matches!(job, Job::Store { .. }) && stored.fetch_add(1, Ordering::SeqCst) == 10 {
            halfway.send(()).unwrap();
            inner.pass();
        }
        real.run(job)
    };
    // Little enough that much is still to come when the seed leaves.
    let config = Config { buffer_len_max: 512 * KIB, ..Config::default() };
    let torrent = to_download(&sample, &folder, &[leaving.addr, staying.addr]);
    let leech = Client::with_config(leech_kind, config, torrent, work);
    reached.recv_timeout(GUARD).unwrap();
    leaving.finish();
    gate.open();
    all_arrives(leech, staying, &folder, &sample);
}

pub(crate) fn a_stopped_download_goes_on_where_it_was(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let piece_count = sample.metainfo.geometry().piece_count() as usize;
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();

    // Halfway the disk stands still until the stop is asked for.
    let (gate, stored) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (halfway, reached) = mpsc::channel();
    let (inner_gate, inner_stored, real) = (Arc::clone(&gate), Arc::clone(&stored), real_work());
    let work = move |job: Job| {
        if matches!(job, Job::Store { .. }) && inner_stored.fetch_add(1, Ordering::SeqCst) == piece_count / 2
        {
            halfway.send(()).unwrap();
            inner_gate.pass();
        }
        real.run(job)
    };
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), work);
    reached.recv_timeout(GUARD).unwrap();
    leech.stop();
    gate.open();
    leech.finish();
    let first = stored.load(Ordering::SeqCst);

    let real = real_work();
    let inner_stored = Arc::clone(&stored);
    let work = move |job: Job| {
        if matches!(job, Job::Store { .. }) {
            inner_stored.fetch_add(1, Ordering::SeqCst);
        }
        real.run(job)
    };
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), work);
    let have = leech.wait_started() as usize;
    all_arrives(leech, seed, &folder, &sample);
    let again = stored.load(Ordering::SeqCst) - first;
    assert!(have >= piece_count / 2, "what was stored is believed: {have} of {piece_count}");
    assert_eq!(again, piece_count - have, "nothing is fetched twice");
}

pub(crate) fn a_slow_disk_slows_the_reading_down(seed_kind: Kind, leech_kind: Kind) {
    let sample = Sample::new(3, 8 * KIB * KIB, 64 * 1024);
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let gate = Arc::new(Gate::default());
    let (inner, real) = (Arc::clone(&gate), real_work());
    let work = move |job: Job| {
        if matches!(job, Job::Store { .. }) {
            inner.pass();
        }
        real.run(job)
    };
    let config = Config {
        buffer_len_max: KIB * KIB,
        progress_interval: Some(Duration::from_millis(20)),
        ..Config::default()
    };
    let leech = Client::with_config(leech_kind, config, to_download(&sample, &folder, &[seed.addr]), work);
    let held = wait_standstill(&leech, |progress| progress.downloaded_len);
    assert!(held <= 2 * 1024 * 1024, "{held} bytes are held while the disk stands still");
    gate.open();
    all_arrives(leech, seed, &folder, &sample);
}

pub(crate) fn fifty_leeches_are_served(seed_kind: Kind, leech_kind: Kind) {
    let sample = Sample::new(4, 200 * KIB, 16 * 1024);
    let full = Folder::full(&sample);
    let config = Config { upload_slots: 50, ..Config::default() };
    let seed = Client::with_config(seed_kind, config, to_serve(&sample, &full), real_work());
    seed.wait_started();
    let leeches: Vec<(Client, Folder)> = (0..50)
        .map(|_| {
            let folder = Folder::empty();
            let torrent = to_download(&sample, &folder, &[seed.addr]);
            (Client::start(leech_kind, torrent, real_work()), folder)
        })
        .collect();
    for (leech, folder) in leeches {
        leech.wait_complete();
        leech.finish();
        folder.assert_full(&sample);
    }
    seed.finish();
}

pub(crate) fn a_full_disk_stops_the_torrent_and_not_the_client(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let real = real_work();
    let stored = AtomicUsize::new(0);
    let work = move |job: Job| {
        let fails = matches!(job, Job::Store { .. }) && stored.fetch_add(1, Ordering::SeqCst) >= 5;
        let done = real.run(job);
        let JobDone::Stored { torrent, mut pieces, time } = done else { return done };
        if fails {
            pieces.iter_mut().for_each(|piece| piece.result = Err(StoreError::Disk(full_disk())));
        }
        JobDone::Stored { torrent, pieces, time }
    };
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), work);
    let error = leech.wait("the error", |event| {
        let Event::Stopped { error, .. } = event else { return None };
        Some(error)
    });
    assert_eq!(error, TorrentError::Disk(full_disk()));
    leech.finish();
    seed.finish();
}

fn full_disk() -> DiskError {
    DiskError { kind: DiskErrorKind::Full, path: PathBuf::from("x"), why: "as planned".to_owned() }
}

pub(crate) fn a_panic_of_a_job_ends_the_run(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let real = real_work();
    let work = move |job: Job| {
        assert!(!matches!(job, Job::Store { .. }), "a planned bug");
        real.run(job)
    };
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), work);
    let panic = leech.join().unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a planned bug"));
    seed.finish();
}

pub(crate) fn a_tracker_that_hangs_holds_up_neither_data_nor_the_end(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    let gate = Arc::new(Gate::default());
    let full = Folder::full(&sample);
    let mut torrent = to_serve(&sample, &full);
    torrent.tiers = hanging_tracker();
    let seed = Client::start(seed_kind, torrent, hanging_work(&gate));
    seed.wait_started();
    let folder = Folder::empty();
    let mut torrent = to_download(&sample, &folder, &[seed.addr]);
    torrent.tiers = hanging_tracker();
    let leech = Client::start(leech_kind, torrent, hanging_work(&gate));
    all_arrives(leech, seed, &folder, &sample);
    gate.open();
}

fn hanging_tracker() -> Vec<Vec<String>> {
    vec![vec!["http://127.0.0.1:1/announce".to_owned()]]
}

/// Work whose network stands still.
fn hanging_work(gate: &Arc<Gate>) -> impl Work + use<> {
    let (gate, real) = (Arc::clone(gate), real_work());
    move |job: Job| {
        if matches!(job, Job::Announce { .. }) {
            gate.pass();
        }
        real.run(job)
    }
}

/// A client that nobody asked for anything ends at once.
pub(crate) fn a_stop_before_the_start_counts(seed_kind: Kind, leech_kind: Kind) {
    let sample = sample();
    for kind in [seed_kind, leech_kind] {
        let folder = Folder::empty();
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let client = Client::start(kind, to_download(&sample, &folder, &[nobody]), real_work());
        client.stop();
        client.stop();
        client.finish();
    }
}

pub(crate) fn a_web_seed_alone_brings_everything(_: Kind, leech_kind: Kind) {
    let sample = sample();
    let url = format!("http://{}/file", web::serve(sample.payload().to_vec()));
    let folder = Folder::empty();
    let torrent = AddTorrent { web_seeds: vec![url], ..to_download(&sample, &folder, &[]) };
    let leech = Client::start(leech_kind, torrent, real_work());
    leech.wait_complete();
    leech.finish();
    folder.assert_full(&sample);
}

pub(crate) fn a_part_arrives_and_then_the_rest(seed_kind: Kind, leech_kind: Kind) {
    let sample = Sample::with_files(9, &[(&["a"], 150_000), (&["b"], 70_001), (&["c"], 99_999)], 64 * 1024);
    let (seed, _full) = seed(seed_kind, &sample);
    let folder = Folder::empty();
    let only_b =
        Choice { priorities: vec![Priority::SKIP, Priority::NORMAL, Priority::SKIP], ..Choice::default() };
    let part = AddTorrent { choice: only_b, ..to_download(&sample, &folder, &[seed.addr]) };
    let leech = Client::start(leech_kind, part, real_work());
    leech.wait_complete();
    leech.finish();
    let names = || {
        let top = fs::read_dir(folder.path().join(sample.metainfo.name())).unwrap();
        let mut names: Vec<_> = top.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["b"]);
    // What was fetched is served from the part file too.
    let server = Client::start(seed_kind, to_serve(&sample, &folder), real_work());
    assert_eq!(server.wait_started(), 2);
    server.finish();
    let leech = Client::start(leech_kind, to_download(&sample, &folder, &[seed.addr]), real_work());
    all_arrives(leech, seed, &folder, &sample);
    assert_eq!(names(), ["a", "b", "c"]);
}
