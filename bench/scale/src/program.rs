//! The real program: start-up, memory and idle CPU with very many torrents or peers.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use peerless_core::block::Block;
use peerless_core::metainfo::{Content, Create, Metainfo};
use peerless_core::wire::{HANDSHAKE_LEN, Handshake, Message};
use peerless_core::{InfoHash, PeerId, block_digest};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::meter::{bytes, cpu, head, private_memory, row};

const TORRENT_COUNT: usize = 1_000;

const PEER_COUNT: usize = 2_000;

const PIECE_LEN: u32 = 16_384;

const PIECE_COUNT: u32 = 4;

/// How long the program may take for what takes it seconds.
const PATIENCE: Duration = Duration::from_secs(100);

/// What shows that a torrent is at work: in words, and with `--json`, where all that shows it are
/// the first figures.
const READY: [&str; 3] = [": seeding all", ", all there already", "\"state\":\"seeding\""];

const RUNTIMES: [&str; 2] = ["mio", "smol"];

pub(crate) fn run(program: &Path, dir: &Path, idle: Duration) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let place = Place::new(program, dir)?;
    let done = torrents(&place, idle).and_then(|()| peers(&place, idle));
    fs::remove_dir_all(&place.dir)?;
    done
}

/// Where torrents and data lie.
struct Place {
    program: PathBuf,
    dir: PathBuf,
    torrents: Vec<PathBuf>,
    info_hash: InfoHash,
    metainfo_len: usize,
}

impl Place {
    fn new(program: &Path, dir: &Path) -> io::Result<Self> {
        let dir = dir.join(format!("peerless-scale-{}", std::process::id()));
        let data = dir.join("data");
        fs::create_dir_all(&data)?;
        let digest = block_digest(&Block::new(vec![0; PIECE_LEN as usize]));
        let payload = vec![0; (PIECE_LEN * PIECE_COUNT) as usize];
        let mut place = Self {
            program: program.to_owned(),
            dir,
            torrents: Vec::new(),
            info_hash: InfoHash::new([0; 20]),
            metainfo_len: 0,
        };
        for number in 0..TORRENT_COUNT {
            let name = format!("data of torrent number {number:04}");
            let raw = metainfo(&name, &[digest; PIECE_COUNT as usize]);
            if number == 0 {
                let metainfo =
                    Metainfo::parse(raw.clone()).map_err(|error| io::Error::other(error.to_string()))?;
                (place.info_hash, place.metainfo_len) = (metainfo.info_hash(), raw.len());
            }
            fs::write(data.join(&name), &payload)?;
            place.torrents.push(place.dir.join(format!("{number:04}.torrent")));
            fs::write(&place.torrents[number], raw)?;
        }
        Ok(place)
    }

    /// Starts the program on the first `count` torrents, and waits until all are at work.
    fn start(&self, runtime: &str, words: &[&str], count: usize) -> io::Result<(Run, Duration)> {
        let data = self.dir.join("data");
        let begun = Instant::now();
        let mut child = Command::new(&self.program)
            .args(words)
            .args(["--dir", &data.to_string_lossy(), "--runtime", runtime, "--port", "0"])
            .args(["--no-trackers", "--max-peers", "3000", "--verbose"])
            .args(&self.torrents[..count])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = lines(&mut child);
        let mut run = Run { child, port: 0 };
        let mut ready = 0;
        while ready < count {
            let line =
                lines.recv_timeout(PATIENCE).map_err(|_| io::Error::other("the program does not start"))?;
            if let Some(rest) = line.split("listening on port ").nth(1) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                run.port = digits.parse().unwrap_or(0);
            }
            ready += usize::from(READY.iter().any(|words| line.contains(words)));
        }
        let took = begun.elapsed();
        thread::spawn(move || lines.iter().for_each(drop));
        Ok((run, took))
    }
}

fn metainfo(name: &str, digests: &[[u8; 20]]) -> Vec<u8> {
    let create = Create::new(name.to_owned(), Content::File(u64::from(PIECE_LEN * PIECE_COUNT)), PIECE_LEN);
    create.encode(digests)
}

/// What the program prints, line by line.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let out = child.stdout.take().map(|out| Box::new(out) as Box<dyn io::Read + Send>);
    let err = child.stderr.take().map(|err| Box::new(err) as Box<dyn io::Read + Send>);
    for stream in [out, err].into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    lines
}

/// The program at work.
struct Run {
    child: Child,
    port: u16,
}

impl Run {
    fn memory(&self) -> io::Result<f64> {
        private_memory(self.child.id())
    }

    fn cpu(&self) -> io::Result<f64> {
        cpu(self.child.id())
    }

    /// Share of a core used while nothing happens.
    fn idle(&self, time: Duration) -> io::Result<f64> {
        let before = self.cpu()?;
        thread::sleep(time);
        Ok((self.cpu()? - before) / time.as_secs_f64())
    }

    /// Asks it to stop; how long it took.
    fn stop(mut self) -> io::Result<Duration> {
        let begun = Instant::now();
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        self.child.wait()?;
        Ok(begun.elapsed())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn torrents(place: &Place, idle: Duration) -> io::Result<()> {
    head(&format!("the program with {TORRENT_COUNT} torrents"), &RUNTIMES.map(str::to_owned))?;
    let mut rows = [const { Vec::new() }; 8];
    for runtime in RUNTIMES {
        remove_state(&place.dir.join("data"))?;
        let (run, took) = place.start(runtime, &["seed"], TORRENT_COUNT)?;
        rows[0].push(seconds(took));
        run.stop()?;
        let (run, took) = place.start(runtime, &["download", "--seed"], TORRENT_COUNT)?;
        rows[1].push(seconds(took));
        run.stop()?;
        let (run, _) = place.start(runtime, &["seed"], 1)?;
        thread::sleep(Duration::from_secs(1));
        let one = run.memory()?;
        run.stop()?;
        let (run, took) = place.start(runtime, &["seed"], TORRENT_COUNT)?;
        rows[2].push(seconds(took));
        rows[3].push(format!("{:.3} s", run.cpu()?));
        thread::sleep(Duration::from_secs(1));
        let each = (run.memory()? - one) / (TORRENT_COUNT - 1) as f64;
        rows[4].push(bytes(each - place.metainfo_len as f64));
        rows[5].push(format!("{:.2} %", 100.0 * run.idle(idle)?));
        rows[7].push(seconds(run.stop()?));
        let (run, _) = place.start(runtime, &["seed", "--json"], TORRENT_COUNT)?;
        rows[6].push(format!("{:.2} %", 100.0 * run.idle(idle)?));
        run.stop()?;
    }
    row("seed: start to all ready, no resume files", &rows[0])?;
    row("download --seed: start to all ready, with resume files", &rows[1])?;
    row("seed: start to all ready, with resume files", &rows[2])?;
    row("seed: CPU of that", &rows[3])?;
    row("private memory of one, beyond its .torrent file", &rows[4])?;
    row("idle CPU, of one core", &rows[5])?;
    row("idle CPU with --json, of one core", &rows[6])?;
    row("stop to exit", &rows[7])
}

/// Removes what the program notes beside the data.
fn remove_state(data: &Path) -> io::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(".peerless-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn peers(place: &Place, idle: Duration) -> io::Result<()> {
    head(&format!("the program with {PEER_COUNT} peers"), &RUNTIMES.map(str::to_owned))?;
    let mut rows = [const { Vec::new() }; 3];
    for runtime in RUNTIMES {
        let (run, _) = place.start(runtime, &["seed"], 1)?;
        let before = (run.memory()?, run.cpu()?);
        let peers = (0..PEER_COUNT).map(|number| join(place.info_hash, number, run.port));
        let peers = peers.collect::<io::Result<Vec<_>>>()?;
        rows[1].push(format!("{:.0} µs", (run.cpu()? - before.1) * 1e6 / PEER_COUNT as f64));
        thread::sleep(Duration::from_secs(1));
        rows[0].push(bytes((run.memory()? - before.0) / PEER_COUNT as f64));
        rows[2].push(format!("{:.2} %", 100.0 * run.idle(idle)?));
        drop(peers);
        run.stop()?;
    }
    row("private memory of one", &rows[0])?;
    row("CPU for one to come", &rows[1])?;
    row("idle CPU, of one core", &rows[2])
}

/// Connects as a peer that has two of the pieces.
fn join(info_hash: InfoHash, number: usize, port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut id = [0; 20];
    id[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new(id) };
    let mut hello = handshake.encode().to_vec();
    Message::Bitfield { bits: &[0b1100_0000] }.encode(&mut hello);
    stream.write_all(&hello)?;
    // Its handshake and bitfield.
    stream.read_exact(&mut [0; HANDSHAKE_LEN + 6])?;
    Ok(stream)
}
