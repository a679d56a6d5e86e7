//! Clients for a test: a session each, with its runtime on a thread of its own, its jobs on a real
//! disk, and real sockets between them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use peerless_core::magnet::Magnet;
use peerless_core::{
    AddMagnet, AddTorrent, Check, Choice, Config, Event, Instant, Job, JobDone, Purpose, RecordingEnd,
    Session, Work, replay,
};
use peerless_jobs::Jobs;
use peerless_sim::sample::Sample;

/// What no step takes even on a busy machine. A step that does has hung, and the test fails.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Which runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Mio,
    Smol,
}

/// The longest recording of a client: a flood is recorded as it comes.
const RECORD_LEN_MAX: u64 = 512 * 1024;

/// The real work.
pub(crate) fn real_work() -> Jobs {
    Jobs::new(peerless_jobs::Options::default())
}

/// A client that runs.
pub(crate) struct Client {
    pub(crate) addr: SocketAddr,
    stop: Box<dyn Fn() + Send>,
    events: Receiver<Event>,
    thread: JoinHandle<()>,
    recording: Arc<Mutex<Vec<u8>>>,
}

/// Work whose recording is kept in memory.
struct Recorded<W> {
    work: W,
    recording: Arc<Mutex<Vec<u8>>>,
}

impl<W: Work> Work for Recorded<W> {
    fn run(&self, job: Job) -> JobDone {
        let Job::Record { offset, bytes } = job else { return self.work.run(job) };
        let at = usize::try_from(offset).unwrap();
        let mut recording = self.recording.lock().unwrap();
        // Workers may finish in another order than they were asked.
        let len = recording.len().max(at + bytes.len());
        recording.resize(len, 0);
        recording[at..at + bytes.len()].copy_from_slice(&bytes);
        JobDone::Recorded { result: Ok(()) }
    }

    fn try_run(&self, job: Job) -> Result<JobDone, Job> {
        self.work.try_run(job)
    }
}

impl Client {
    /// Starts a client with the usual configuration.
    pub(crate) fn start(kind: Kind, torrent: AddTorrent, work: impl Work) -> Self {
        Self::with_config(kind, Config::default(), torrent, work)
    }

    /// Starts a client with this configuration.
    pub(crate) fn with_config(kind: Kind, config: Config, torrent: AddTorrent, work: impl Work) -> Self {
        Self::with_session(kind, config, work, |session| {
            session.add_torrent(Instant::START, torrent).unwrap();
        })
    }

    /// Starts a client that gets the torrent by its magnet link from `peers` into `folder`.
    pub(crate) fn of_magnet(kind: Kind, sample: &Sample, folder: &Folder, peers: &[SocketAddr]) -> Self {
        let add = AddMagnet {
            magnet: Magnet::of(&sample.metainfo),
            root: folder.path().to_owned(),
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers: Vec::new(),
            peers: peers.to_vec(),
            hosts: Vec::new(),
            metadata_only: false,
        };
        Self::with_session(kind, Config::default(), real_work(), |session| {
            session.add_magnet(Instant::START, add).unwrap();
        })
    }

    /// Starts a client. It listens on a port that the system chose.
    fn with_session(kind: Kind, config: Config, work: impl Work, add: impl FnOnce(&mut Session)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let recording = Arc::<Mutex<Vec<u8>>>::default();
        let work = Recorded { work, recording: Arc::clone(&recording) };
        let (listen_port, record, record_len_max) = (Some(addr.port()), true, RECORD_LEN_MAX);
        let mut session = session(Config { listen_port, record, record_len_max, ..config });
        add(&mut session);
        let (sender, events) = mpsc::channel();
        let on_event = move |_: &mut Session, _, event| drop(sender.send(event));
        // Where the port is taken for datagrams, any will do: trackers are told the listener's.
        let any = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp_sockets = vec![UdpSocket::bind(addr).unwrap_or_else(|_| any())];
        let listeners = vec![listener];
        let (stop, thread): (Box<dyn Fn() + Send>, _) = match kind {
            Kind::Mio => {
                let options = peerless_mio::Options { listeners, udp_sockets, ..Default::default() };
                let runtime = peerless_mio::Runtime::new(options).unwrap();
                let stop = runtime.stop_handle();
                let run = move || runtime.run(session, work, on_event).unwrap();
                (Box::new(move || stop.stop()), thread::spawn(run))
            }
            Kind::Smol => {
                let options = peerless_smol::Options { listeners, udp_sockets, ..Default::default() };
                let runtime = peerless_smol::Runtime::new(options).unwrap();
                let stop = runtime.stop_handle();
                let run = move || runtime.run(session, work, on_event).unwrap();
                (Box::new(move || stop.stop()), thread::spawn(run))
            }
        };
        Self { addr, stop, events, thread, recording }
    }

    /// Gives one event after the other, until the guard's time is over for them all: a client that
    /// tells of its progress for ever may have hung as well.
    fn next_event(&self) -> impl FnMut() -> Result<Event, RecvTimeoutError> + '_ {
        let until = std::time::Instant::now() + GUARD;
        move || self.events.recv_timeout(until.saturating_duration_since(std::time::Instant::now()))
    }

    /// Waits for the first event that `pick` takes.
    pub(crate) fn wait<T>(&self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let mut next = self.next_event();
        loop {
            match next() {
                Ok(event) => {
                    if let Some(picked) = pick(event) {
                        return picked;
                    }
                }
                Err(error) => panic!("waiting for {what}: {error}"),
            }
        }
    }

    /// Waits until the check of what is there is over: before that it takes no peers. Returns how
    /// many pieces are there.
    pub(crate) fn wait_started(&self) -> u32 {
        self.wait("the start", |event| {
            let Event::Started { have, .. } = event else { return None };
            Some(have)
        })
    }

    /// Waits until the torrent is complete.
    pub(crate) fn wait_complete(&self) {
        self.wait("completion", |event| {
            if let Event::Stopped { error, .. } = &event {
                panic!("it stopped: {error}");
            }
            matches!(event, Event::Complete { .. }).then_some(())
        });
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) {
        (self.stop)();
    }

    /// Stops it and waits for its end; a panic of its thread goes on here. Whatever the runtime, what it
    /// did is what the machine does again.
    pub(crate) fn finish(self) {
        self.stop();
        let recording = Arc::clone(&self.recording);
        self.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let recording = recording.lock().unwrap();
        let replayed =
            replay(&recording).unwrap_or_else(|error| panic!("another runtime's machine: {error}"));
        assert!(replayed.call_count > 1 && replayed.cut_len == 0, "{replayed:?}");
        let is_whole = matches!(replayed.end, RecordingEnd::ShutDown | RecordingEnd::Full);
        assert!(is_whole, "{replayed:?}, {} bytes", recording.len());
    }

    /// Waits until it ends by itself.
    pub(crate) fn join(self) -> thread::Result<()> {
        let mut next = self.next_event();
        loop {
            match next() {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    drop(next);
                    return self.thread.join();
                }
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
    }
}

/// A session unlike any other of this process.
fn session(config: Config) -> Session {
    static SEED: AtomicU64 = AtomicU64::new(1);
    Session::new(config, SEED.fetch_add(1, Ordering::Relaxed), Instant::START)
}

/// The torrent of a client that has everything in `folder`.
pub(crate) fn to_serve(sample: &Sample, folder: &Folder) -> AddTorrent {
    AddTorrent { purpose: Purpose::Serve, ..to_download(sample, folder, &[]) }
}

/// The torrent of a client that gets it from `peers` into `folder`.
pub(crate) fn to_download(sample: &Sample, folder: &Folder, peers: &[SocketAddr]) -> AddTorrent {
    AddTorrent {
        metainfo: sample.metainfo.clone(),
        root: folder.path().to_owned(),
        purpose: Purpose::Download,
        check: Check::Auto,
        choice: Choice::default(),
        web_seeds: Vec::new(),
        tiers: Vec::new(),
        peers: peers.to_vec(),
        hosts: Vec::new(),
    }
}

/// A folder that is gone with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("peerless-loopback-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A folder with all of a torrent's data.
    pub(crate) fn full(sample: &Sample) -> Self {
        let folder = Self::empty();
        for (path, bytes) in files(sample) {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Checks every byte of every file.
    pub(crate) fn assert_full(&self, sample: &Sample) {
        for (path, bytes) in files(sample) {
            assert!(fs::read(self.0.join(path)).unwrap() == bytes, "{path} differs");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind must not turn a failure into an abort.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A torrent's files with their right bytes.
fn files(sample: &Sample) -> impl Iterator<Item = (&str, Vec<u8>)> {
    sample.metainfo.layout().files().iter().map(|file| {
        let start = usize::try_from(file.offset).unwrap();
        (file.path.as_str(), sample.payload()[start..start + usize::try_from(file.len).unwrap()].to_vec())
    })
}

/// Something that jobs wait before until the test opens it.
#[derive(Default)]
pub(crate) struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Lets everyone through, now and later.
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        let open = self.open.lock().unwrap();
        let (_open, timeout) = self.changed.wait_timeout_while(open, GUARD, |open| !*open).unwrap();
        assert!(!timeout.timed_out(), "the gate stays shut");
    }
}
