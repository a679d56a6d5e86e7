//! What whole swarms cost in the simulator, and how near they come to what is possible: see the README
//! beside.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, ExitCode};
use std::time::Duration;

use peerless_core::piece::BLOCK_LEN;
use peerless_core::{Config, Event};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::theory::fluid_bound;

const USAGE: &str = "usage: swarm-scale run PEERS PIECES [SEED_RATE [CONNECTIONS [NUMBER]]]
       swarm-scale tables

run     a flash crowd of PEERS leeches and a torrent of PIECES pieces of 256 KiB; the seed uploads
        SEED_RATE (4) times what a peer does; each has CONNECTIONS (50) at most; NUMBER (1) decides
        what chance does
tables  growth in peers and in pieces, each run in a process of its own";

const PIECE_LEN: u32 = 256 * 1024;

/// What a peer uploads and downloads in a second.
const SPEED: Speed = Speed { up: 1_000_000, down: 4_000_000 };

/// Longer than this a swarm is taken for stuck.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How often the use of upload is looked at.
const SAMPLE_TIME: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["run", ref numbers @ ..] if (2..=5).contains(&numbers.len()) => {
            let Ok(numbers) = numbers.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>() else {
                return usage();
            };
            let at = |at: usize, usual| numbers.get(at).copied().unwrap_or(usual);
            run(&Crowd {
                peers: at(0, 0),
                pieces: at(1, 0),
                seed_rate: at(2, 4),
                peers_max: at(3, 50),
                number: at(4, 1),
            })
        }
        ["tables"] => tables(),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "swarm-scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "{USAGE}");
    ExitCode::from(2)
}

struct Crowd {
    peers: u64,
    pieces: u64,
    seed_rate: u64,
    peers_max: u64,
    number: u64,
}

const HEAD: &str = "| peers | pieces | CPU | per block | peak RSS | virtual time | × bound | median | first | upload use | seed copies | wasted | messages a piece, `have` among them |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

fn tables() -> io::Result<()> {
    let own = std::env::current_exe()?;
    let peers = [125, 250, 500, 1000, 2000].map(|peers| (peers, 250));
    let pieces = [250, 500, 1000, 2000, 4000].map(|pieces| (250, pieces));
    for rows in [peers, pieces] {
        writeln!(io::stdout(), "\n{HEAD}")?;
        for (peers, pieces) in rows {
            Command::new(&own).args(["run", &peers.to_string(), &pieces.to_string()]).status()?;
        }
    }
    Ok(())
}

/// A crowd at work.
struct Run {
    swarm: Swarm,
    len: u64,
    seed: NodeId,
    seed_up: u64,
    leeches: Vec<NodeId>,
    /// From time to time, what the leeches have sent of payload so far.
    sent: Vec<(Duration, u64)>,
}

fn run(crowd: &Crowd) -> io::Result<()> {
    let mut run = Run::new(crowd);
    run.play(std::env::var_os("VERBOSE").is_some())?;
    run.report(crowd)
}

impl Run {
    fn new(crowd: &Crowd) -> Self {
        let len = crowd.pieces * u64::from(PIECE_LEN);
        let sample = Sample::stand_in(crowd.number, len, PIECE_LEN, &[&["http://tracker/announce"]]);
        // What is read is in memory, as nearly always in a swarm of this kind.
        let job_delay = Duration::ZERO..Duration::ZERO;
        let mut swarm = Swarm::new(crowd.number, Net { rechunk: false, job_delay, ..Net::default() });
        let peers_max = usize::try_from(crowd.peers_max).unwrap_or(usize::MAX);
        let config = Config { peers_max, ..Config::default() };
        let seed_up = SPEED.up * crowd.seed_rate;
        let seed = swarm.add_host(config.clone(), Speed { up: seed_up, down: SPEED.down });
        swarm.host_mut(seed).disk.insert_full(&sample);
        swarm.start(seed, &sample, Role::seed());
        let mut add = |_| {
            let node = swarm.add_host(config.clone(), SPEED);
            swarm.host_mut(node).disk.insert(&sample);
            swarm.start(node, &sample, Role::leech(&[]));
            node
        };
        let leeches = (0..crowd.peers).map(&mut add).collect();
        Self { swarm, len, seed, seed_up, leeches, sent: Vec::new() }
    }

    fn play(&mut self, verbose: bool) -> io::Result<()> {
        let count = self.leeches.len();
        while self.swarm.complete_count() < count && self.swarm.now().since_start() < LIMIT {
            self.swarm.run_until(SAMPLE_TIME, |swarm| swarm.complete_count() == count);
            let sent = self.leeches.iter().map(|&node| self.swarm.traffic(node).payload_len).sum();
            self.sent.push((self.swarm.now().since_start(), sent));
            if verbose {
                self.tell()?;
            }
        }
        Ok(())
    }

    /// How things stand.
    fn tell(&self) -> io::Result<()> {
        let (time, sent) = self.sent.last().copied().unwrap_or_default();
        let before = self.sent.len().checked_sub(2).map_or(0, |at| self.sent[at].1);
        writeln!(
            io::stderr(),
            "{:>6.0} s: upload use {:.3}, {} done, {:.2} copies by the seed, {:.1} s of CPU, {:.0} MiB",
            time.as_secs_f64(),
            (sent - before) as f64
                / (SPEED.up as f64 * self.leeches.len() as f64 * SAMPLE_TIME.as_secs_f64()),
            self.swarm.complete_count(),
            self.swarm.traffic(self.seed).payload_len as f64 / self.len as f64,
            cpu()?,
            peak_rss()? / MIB,
        )
    }

    /// The use of the peers' upload between a tenth and nine tenths of the run.
    fn upload_use(&self) -> f64 {
        let end = self.swarm.now().since_start();
        let within = |&&(at, _): &&(Duration, u64)| (end.mul_f64(0.1)..=end.mul_f64(0.9)).contains(&at);
        let within: Vec<_> = self.sent.iter().filter(within).collect();
        match within[..] {
            [(from, first), .., (to, last)] => {
                let capacity = (*to - *from).as_secs_f64() * SPEED.up as f64 * self.leeches.len() as f64;
                (last - first) as f64 / capacity
            }
            _ => f64::NAN,
        }
    }

    fn report(&self, crowd: &Crowd) -> io::Result<()> {
        let end = self.swarm.now().since_start().as_secs_f64();
        let mut times = Vec::new();
        let (mut wasted, mut messages, mut haves) = (0, 0, 0);
        for &node in &self.leeches {
            let host = self.swarm.host(node);
            let done = host.events.iter().filter(|(_, event)| matches!(event, Event::Complete { .. }));
            times.extend(done.map(|(at, _)| at.since_start()));
            wasted += host.completed.iter().map(|progress| progress.wasted_len).sum::<u64>();
            messages += self.swarm.traffic(node).message_count;
            haves += self.swarm.traffic(node).have_count;
        }
        times.sort_unstable();
        let time_of = |at: usize| times.get(at).copied().unwrap_or_default().as_secs_f64();
        let bound = fluid_bound(self.len, self.seed_up, &vec![(SPEED.up, SPEED.down); self.leeches.len()]);
        let pieces = crowd.peers as f64 * crowd.pieces as f64;
        let blocks = pieces * f64::from(PIECE_LEN / BLOCK_LEN);
        let cells = [
            crowd.peers.to_string(),
            crowd.pieces.to_string(),
            format!("{:.1} s", cpu()?),
            format!("{:.1} µs", cpu()? * 1e6 / blocks),
            format!("{:.0} MiB", peak_rss()? / MIB),
            format!("{end:.0} s"),
            format!("{:.3}", end / bound.unwrap_or_default().as_secs_f64()),
            format!("{:.0} s", time_of(times.len() / 2)),
            format!("{:.0} s", time_of(0)),
            format!("{:.1} %", 100.0 * self.upload_use()),
            format!("{:.2}", self.swarm.traffic(self.seed).payload_len as f64 / self.len as f64),
            format!("{:.3} %", 100.0 * wasted as f64 / (pieces * f64::from(PIECE_LEN))),
            format!("{:.1}, {:.1}", messages as f64 / pieces, haves as f64 / pieces),
        ];
        writeln!(io::stdout(), "| {} |", cells.join(" | "))
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// The most memory that this process had, in bytes.
fn peak_rss() -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| io::Error::other("no VmHWM in status"))
}

/// CPU seconds of this process so far, in user space and in the kernel.
fn cpu() -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = [11, 12].map(|at| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0));
    Ok((ticks[0] + ticks[1]) / 100.0)
}
