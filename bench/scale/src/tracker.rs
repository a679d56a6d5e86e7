//! The program's tracker with ever more peers in its swarms: announces a second, CPU, memory.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peerless_core::tracker::udp::{Announce, Answer, Call, connect};
use peerless_core::tracker::{AnnounceRequest, announce_url, parse_announce};
use peerless_core::{InfoHash, IpFamily, PeerId};
use rustix::net::{AddressFamily, SocketType};

use crate::meter::{bytes, cpu, head, private_memory, row};

/// Swarms that the peers are spread over.
const SWARM_COUNT: usize = 1_000;

const PEER_COUNTS: [usize; 3] = [1_000, 10_000, 100_000];

/// Announces measured once that many peers are known.
const MEASURED_COUNT: usize = 10_000;

/// Peers that come from one address: fewer than the tracker takes.
const PER_ADDRESS: usize = 10_000;

/// Datagrams on their way at once.
const WINDOW: usize = 32;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(program: &Path) -> io::Result<()> {
    let sizes = PEER_COUNTS.map(|count| count.to_string());
    head(&format!("the tracker with so many peers in {SWARM_COUNT} swarms"), &sizes)?;
    for (name, over_udp) in [("HTTP", false), ("UDP", true)] {
        let mut rows = [const { Vec::new() }; 3];
        for count in PEER_COUNTS {
            let mut load = Load::start(program, over_udp)?;
            let empty = private_memory(load.child.id())?;
            load.announce(0..count)?;
            let (began_at, cpu_before) = (Instant::now(), cpu(load.child.id())?);
            // Of all of them, as often as it takes.
            let step = count.div_ceil(MEASURED_COUNT).max(1);
            load.announce((0..MEASURED_COUNT).map(|nth| nth * step % count))?;
            let each = 1.0 / MEASURED_COUNT as f64;
            rows[0].push(format!("{:.0}", 1.0 / (began_at.elapsed().as_secs_f64() * each)));
            rows[1].push(format!("{:.1} µs", (cpu(load.child.id())? - cpu_before) * 1e6 * each));
            rows[2].push(bytes(private_memory(load.child.id())? - empty));
        }
        row(
            &format!("{name}: announces a second, {} under way", if over_udp { WINDOW } else { 1 }),
            &rows[0],
        )?;
        row(&format!("{name}: CPU of the tracker for one"), &rows[1])?;
        row(&format!("{name}: private memory, beyond an empty one's"), &rows[2])?;
    }
    Ok(())
}

/// A tracker at work, and who announces.
struct Load {
    child: Child,
    addr: SocketAddr,
    over_udp: bool,
    /// By source address: a socket and the connection id of its address.
    sockets: Vec<(UdpSocket, u64)>,
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Load {
    fn start(program: &Path, over_udp: bool) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["tracker", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        let mut url = String::new();
        BufReader::new(out).read_line(&mut url)?;
        let addr = url.trim_end().strip_prefix("http://").and_then(|rest| rest.strip_suffix("/announce"));
        let addr = addr.and_then(|addr| addr.parse().ok()).ok_or_else(|| io::Error::other("no address"))?;
        Ok(Self { child, addr, over_udp, sockets: Vec::new() })
    }

    fn announce(&mut self, peers: impl IntoIterator<Item = usize>) -> io::Result<()> {
        if !self.over_udp {
            return peers.into_iter().try_for_each(|peer| self.get(peer));
        }
        let mut open = vec![0; 1];
        for (nth, peer) in peers.into_iter().enumerate() {
            let from = peer / PER_ADDRESS;
            while self.sockets.len() <= from {
                let socket = self.connect(self.sockets.len())?;
                self.sockets.push(socket);
                open.push(0);
            }
            open.resize(open.len().max(from + 1), 0);
            let (socket, connection) = &self.sockets[from];
            socket.send(&call(peer).encode(*connection, u32::try_from(nth).unwrap_or(0)))?;
            open[from] += 1;
            if open[from] == WINDOW {
                (0..std::mem::take(&mut open[from])).try_for_each(|_| heard(socket))?;
            }
        }
        for ((socket, _), open) in self.sockets.iter().zip(open) {
            (0..open).try_for_each(|_| heard(socket))?;
        }
        Ok(())
    }

    fn connect(&self, number: usize) -> io::Result<(UdpSocket, u64)> {
        let socket = UdpSocket::bind((source(number), 0))?;
        socket.connect(self.addr)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&connect(1))?;
        let mut packet = [0; 2048];
        let len = socket.recv(&mut packet)?;
        match Answer::parse(&packet[..len], IpFamily::V4) {
            Some((1, Answer::Connected { connection })) => Ok((socket, connection)),
            answer => Err(io::Error::other(format!("no connection id: {answer:?}"))),
        }
    }

    fn get(&self, peer: usize) -> io::Result<()> {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(source(peer / PER_ADDRESS), 0))?;
        rustix::net::connect(&socket, &self.addr)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = AnnounceRequest {
            info_hash: info_hash(peer),
            peer_id: peer_id(peer),
            port: Some(port(peer)),
            uploaded: 0,
            downloaded: 0,
            left: left(peer),
            event: None,
            numwant: 50,
            key: 0,
            tracker_id: None,
        };
        let target = announce_url("/announce", &request);
        write!(stream, "GET {target} HTTP/1.1\r\nHost: t\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let at = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
        let body = answer.get(at + 4..).unwrap_or_default();
        parse_announce(body).map(drop).map_err(|error| io::Error::other(error.to_string()))
    }
}

fn heard(socket: &UdpSocket) -> io::Result<()> {
    let mut packet = [0; 2048];
    let len = socket.recv(&mut packet)?;
    match Answer::parse(&packet[..len], IpFamily::V4) {
        Some((_, Answer::Announced { .. })) => Ok(()),
        answer => Err(io::Error::other(format!("no answer to an announce: {answer:?}"))),
    }
}

fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).unwrap_or(u8::MAX))
}

fn info_hash(peer: usize) -> InfoHash {
    let mut hash = [0; 20];
    hash[..8].copy_from_slice(&(peer % SWARM_COUNT).to_be_bytes());
    InfoHash::new(hash)
}

fn peer_id(peer: usize) -> PeerId {
    let mut id = [0; 20];
    id[..8].copy_from_slice(&peer.to_be_bytes());
    PeerId::new(id)
}

fn port(peer: usize) -> u16 {
    u16::try_from(peer % PER_ADDRESS + 1).unwrap_or(1)
}

/// Every third is a seed.
fn left(peer: usize) -> u64 {
    (peer % 3) as u64
}

fn call(peer: usize) -> Call {
    Call::Announce(Box::new(Announce {
        info_hash: info_hash(peer),
        peer_id: peer_id(peer),
        downloaded: 0,
        left: left(peer),
        uploaded: 0,
        event: None,
        key: 0,
        numwant: Some(50),
        port: port(peer),
        url_data: Vec::new(),
    }))
}
