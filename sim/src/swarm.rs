//! Sessions and scripted peers joined in memory, under virtual time. One seed decides everything.
//!
//! Each event touches one node. No step looks at all nodes or all links, so that a swarm of a
//! thousand costs a thousand times one.

mod datagrams;
mod flow;
mod place;
mod queue;
mod work;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use peerless_core::key::Slab;
use peerless_core::magnet::Magnet;
use peerless_core::rng::Rng;
use peerless_core::{
    AddMagnet, AddTorrent, Check, Choice, Config, Instant, IpFamily, Output, Purpose, TorrentKey,
};

pub use self::datagrams::UdpTracker;
use self::queue::{Queue, What};
use crate::host::Host;
use crate::link::{Conn, DiskPace, Link, LinkKey, Net, NodeId, Speed};
use crate::part::{Part, Whole};
use crate::puppet::{Plan, Puppet};
use crate::sample::Sample;
use crate::tracker::Tracker;
use crate::traffic::Traffic;
use crate::watch::Watch;
use crate::web::WebServer;
use crate::witness::Witness;

/// A network of nodes.
#[derive(Debug)]
pub struct Swarm {
    /// How the network treats everybody; a change counts from then on.
    pub net: Net,
    /// Trackers, by the host in their URL.
    pub trackers: BTreeMap<String, Tracker>,
    /// UDP trackers, by address.
    pub udp_trackers: BTreeMap<SocketAddr, UdpTracker>,
    /// Web seeds, by the host in their URL.
    pub web: BTreeMap<String, WebServer>,
    /// The family of the next nodes' addresses.
    pub family: IpFamily,
    /// Names that can be looked up.
    pub names: BTreeMap<String, Vec<IpAddr>>,
    now: Instant,
    rng: Rng,
    queue: Queue,
    nodes: Vec<Node>,
    addrs: BTreeMap<SocketAddr, NodeId>,
    links: Slab<LinkKey, Link>,
    completions: Vec<(Instant, NodeId)>,
    /// Buffers for the next parts of streams.
    spare: Vec<Part>,
    whole: Whole,
}

#[derive(Debug)]
struct Node {
    addr: SocketAddr,
    speed: Speed,
    up_free_at: Instant,
    down_free_at: Instant,
    dial_count: u16,
    down: bool,
    /// Added to the delay of each of its links.
    delay: Duration,
    /// Whether dials to it get lost.
    behind_nat: bool,
    /// How fast its disk is, if it differs from the others'.
    disk_pace: Option<DiskPace>,
    disk_free_at: Instant,
    traffic: Traffic,
    actor: Actor,
}

#[derive(Debug)]
enum Actor {
    Host(Box<Host>),
    Puppet(Box<Puppet>),
    /// Dials reach nobody: not even a refusal comes back.
    Silent,
}

/// What a new host does with a torrent.
#[derive(Clone, Debug)]
pub struct Role {
    /// Whether to get the data or only to serve it.
    pub purpose: Purpose,
    /// What to believe of data that is there.
    pub check: Check,
    /// What of it to get.
    pub choice: Choice,
    /// URLs of web seeds.
    pub web_seeds: Vec<String>,
    /// Addresses it is told of.
    pub peers: Vec<SocketAddr>,
    /// Announce URLs; those of the torrent if `None`.
    pub tiers: Option<Vec<Vec<String>>>,
}

impl Role {
    /// A leech that is told of these addresses.
    #[must_use]
    pub fn leech(peers: &[SocketAddr]) -> Self {
        Self {
            purpose: Purpose::Download,
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            peers: peers.to_vec(),
            tiers: None,
        }
    }

    /// A seed that waits to be called.
    #[must_use]
    pub fn seed() -> Self {
        Self { purpose: Purpose::Serve, check: Check::Trust, ..Self::leech(&[]) }
    }
}

impl Swarm {
    /// An empty network.
    #[must_use]
    pub fn new(seed: u64, net: Net) -> Self {
        Self {
            net,
            trackers: BTreeMap::new(),
            udp_trackers: BTreeMap::new(),
            web: BTreeMap::new(),
            family: IpFamily::V4,
            names: BTreeMap::new(),
            now: Instant::START,
            rng: Rng::new(seed),
            queue: Queue::default(),
            nodes: Vec::new(),
            addrs: BTreeMap::new(),
            links: Slab::default(),
            completions: Vec::new(),
            spare: Vec::new(),
            whole: Whole::default(),
        }
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The address that the next node will have.
    #[must_use]
    pub fn next_addr(&self) -> SocketAddr {
        let [.., a, b, c] = u32::try_from(self.nodes.len() + 1).expect("fewer than 2^24 nodes").to_be_bytes();
        let ip = match self.family {
            IpFamily::V4 => Ipv4Addr::new(10, a, b, c).into(),
            IpFamily::V6 => Ipv6Addr::from([0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c]).into(),
        };
        SocketAddr::new(ip, 6881)
    }

    /// The address of a node.
    #[must_use]
    pub fn addr(&self, node: NodeId) -> SocketAddr {
        self.nodes[node.0].addr
    }

    /// What a node has sent.
    #[must_use]
    pub fn traffic(&self, node: NodeId) -> Traffic {
        self.nodes[node.0].traffic
    }

    /// Adds a Session. Its `listen_port` is set here, and its `hash_width`: they differ.
    pub fn add_host(&mut self, config: Config, speed: Speed) -> NodeId {
        let (listen_port, hash_width) = (Some(self.next_addr().port()), 1 + self.nodes.len() % 4);
        let config = Config { listen_port, hash_width, ..config };
        let seed = self.rng.next_u64();
        self.add_node(speed, Actor::Host(Box::new(Host::new(config, seed, self.now))))
    }

    /// Adds a scripted peer of the torrent, and starts it.
    pub fn add_puppet(&mut self, sample: &Sample, plan: Plan, speed: Speed) -> NodeId {
        let mut puppet = Puppet::new(sample.clone(), plan, self.rng.next_u64());
        let mut acts = Vec::new();
        puppet.start(&mut acts);
        let node = self.add_node(speed, Actor::Puppet(Box::new(puppet)));
        self.perform(node, acts);
        node
    }

    /// Adds an address at which dials get no answer.
    pub fn add_silent(&mut self) -> SocketAddr {
        let node = self.add_node(Speed::default(), Actor::Silent);
        self.addr(node)
    }

    /// Adds a Session that has all of the torrent, and starts it.
    pub fn add_seed(&mut self, sample: &Sample) -> NodeId {
        let node = self.add_host(Config::default(), Speed::default());
        self.host_mut(node).disk.insert_full(sample);
        self.start(node, sample, Role::seed());
        node
    }

    /// Adds a Session that has nothing of the torrent and knows these peers, and starts it.
    pub fn add_leech(&mut self, sample: &Sample, peers: &[SocketAddr]) -> NodeId {
        let node = self.add_host(Config::default(), Speed::default());
        self.host_mut(node).disk.insert(sample);
        self.start(node, sample, Role::leech(peers));
        node
    }

    /// Adds the torrent to a host, whose disk knows it.
    ///
    /// # Panics
    /// When the session refuses it.
    pub fn start(&mut self, node: NodeId, sample: &Sample, role: Role) -> TorrentKey {
        let now = self.now;
        let add = AddTorrent {
            metainfo: sample.metainfo.clone(),
            root: "/sim".into(),
            purpose: role.purpose,
            check: role.check,
            choice: role.choice,
            web_seeds: role.web_seeds,
            tiers: role.tiers.unwrap_or_else(|| sample.metainfo.tiers().to_vec()),
            peers: role.peers,
            hosts: Vec::new(),
        };
        let torrent = self.host_mut(node).session.add_torrent(now, add).expect("a new torrent is taken");
        self.settle(node);
        torrent
    }

    /// Adds a Session that knows the torrent's magnet link and these peers, and starts it.
    ///
    /// # Panics
    /// When the session refuses it.
    pub fn add_magnet_leech(&mut self, sample: &Sample, peers: &[SocketAddr]) -> NodeId {
        let node = self.add_host(Config::default(), Speed::default());
        self.host_mut(node).disk.insert(sample);
        self.start_magnet(node, sample, peers);
        node
    }

    /// Adds the torrent's magnet link to a host, whose disk knows the torrent.
    ///
    /// # Panics
    /// When the session refuses it.
    pub fn start_magnet(&mut self, node: NodeId, sample: &Sample, peers: &[SocketAddr]) -> TorrentKey {
        let now = self.now;
        let add = AddMagnet {
            magnet: Magnet::of(&sample.metainfo),
            root: "/sim".into(),
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers: Vec::new(),
            peers: peers.to_vec(),
            hosts: Vec::new(),
            metadata_only: false,
        };
        let torrent = self.host_mut(node).session.add_magnet(now, add).expect("a new torrent is taken");
        self.settle(node);
        torrent
    }

    /// Watches what a leech that has nothing yet asks for.
    pub fn watch(&mut self, node: NodeId, sample: &Sample) {
        let watch = Watch::new(*sample.metainfo.geometry());
        self.host_mut(node).watch = Some(Box::new(watch));
    }

    /// A host.
    ///
    /// # Panics
    /// When the node is none.
    #[must_use]
    pub fn host(&self, node: NodeId) -> &Host {
        match &self.nodes[node.0].actor {
            Actor::Host(host) => host,
            Actor::Puppet(_) | Actor::Silent => panic!("{node:?} is no host"),
        }
    }

    /// A host; call [`Swarm::settle`] after a change to its session.
    ///
    /// # Panics
    /// When the node is none.
    pub fn host_mut(&mut self, node: NodeId) -> &mut Host {
        match &mut self.nodes[node.0].actor {
            Actor::Host(host) => host,
            Actor::Puppet(_) | Actor::Silent => panic!("{node:?} is no host"),
        }
    }

    /// The tracker of this host, made if there is none yet.
    pub fn tracker(&mut self, host: &str) -> &mut Tracker {
        self.trackers.entry(host.into()).or_default()
    }

    /// A scripted peer.
    ///
    /// # Panics
    /// When the node is none.
    #[must_use]
    pub fn puppet(&self, node: NodeId) -> &Puppet {
        match &self.nodes[node.0].actor {
            Actor::Puppet(puppet) => puppet,
            Actor::Host(_) | Actor::Silent => panic!("{node:?} is no puppet"),
        }
    }

    /// How many torrents have been completed, on all hosts.
    #[must_use]
    pub const fn complete_count(&self) -> usize {
        self.completions.len()
    }

    /// When torrents were completed, and on which hosts, in order.
    #[must_use]
    pub fn completions(&self) -> &[(Instant, NodeId)] {
        &self.completions
    }

    /// Runs until `done`, which is asked after each step; false if `limit` of virtual time passed
    /// first or nothing is left that could happen.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if self.queue.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return false;
            }
            self.step();
        }
        true
    }

    /// Lets so much virtual time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// The node loses power: its session is gone, its peers see their connections break, and what the
    /// disk had not synced is there or not. Nobody reaches it until [`Swarm::revive`].
    pub fn crash(&mut self, node: NodeId) {
        self.end(node, true);
    }

    /// The node's process is killed: the same, but that all that was written is there.
    pub fn kill(&mut self, node: NodeId) {
        self.end(node, false);
    }

    fn end(&mut self, node: NodeId, power: bool) {
        // Nothing comes of what it still hears: whom it called now would answer its next life.
        self.host_mut(node).ends_after = Some(0);
        self.cut_all(node);
        self.nodes[node.0].down = true;
        let seed = self.rng.next_u64();
        let now = self.now;
        self.host_mut(node).crash(seed, now, power);
    }

    /// Has a host say what it does to a witness, from now on.
    pub fn testify(&mut self, node: NodeId, sample: &Sample) {
        let now = self.now;
        let host = self.host_mut(node);
        let witness = Witness::new(*sample.metainfo.geometry(), host.disk.only().clone(), now);
        host.witness = Some(Box::new(witness));
    }

    /// Brings a dead node back, without a torrent.
    pub fn revive(&mut self, node: NodeId) {
        self.nodes[node.0].down = false;
    }

    /// Tells a host's session to end. Its [`Session::is_shut_down`] tells when it has.
    ///
    /// [`Session::is_shut_down`]: peerless_core::Session::is_shut_down
    pub fn shut_down(&mut self, node: NodeId) {
        let now = self.now;
        self.host_mut(node).session.shut_down(now);
        self.settle(node);
    }

    /// Breaks every connection of a node.
    pub fn cut_all(&mut self, node: NodeId) {
        let conns: Vec<Conn> = self.host(node).conns.iter().map(|(_, conn)| conn).collect();
        conns.into_iter().for_each(|conn| self.cut(conn.link));
    }

    /// Does what a host's session asks for, until it asks for nothing more.
    pub fn settle(&mut self, node: NodeId) {
        let now = self.now;
        self.host_mut(node).look(now);
        while let Some(output) = self.host_mut(node).next_output(now) {
            match output {
                Output::Connect { peer, hop } => self.dial(node, Some(peer), hop.to()),
                Output::Send { peer } => {
                    if let Some(conn) = self.conn(node, peer) {
                        self.pump(conn);
                    }
                }
                Output::Resume { peer } => {
                    if let Some(conn) = self.conn(node, peer) {
                        self.deliver(conn);
                    }
                }
                Output::Close { peer, .. } => {
                    if let Some(conn) = self.host_mut(node).forget(peer) {
                        self.close_end(conn);
                    }
                }
                Output::Datagram { hop, bytes } => self.send_datagram(node, hop.to(), bytes),
                Output::Job(job) => self.ask(node, job),
                Output::Event(event) => {
                    let host = self.host_mut(node);
                    let before = host.completed.len();
                    host.note(now, event);
                    let more = host.completed.len() - before;
                    self.completions.extend((0..more).map(|_| (now, node)));
                }
            }
        }
        self.host_mut(node).judge(now);
        if let Some(at) = self.host_mut(node).next_wake(now) {
            self.schedule(at, What::Wake(node));
        }
    }

    fn step(&mut self) {
        let Some(next) = self.queue.pop() else {
            return;
        };
        debug_assert!(next.at >= self.now, "time goes forward");
        self.now = next.at;
        match next.what {
            What::Wake(node) => self.wake(node),
            What::PuppetWake(node, alarm) => self.wake_puppet(node, alarm),
            What::PuppetDial(node, addr) => self.dial(node, None, addr),
            What::Job(node, life, job) => self.work(node, life, *job),
            What::Dialled(link) => self.on_dialled(link),
            What::DialAnswered(link, yes) => self.on_dial_answered(link, yes),
            What::Arrived(conn) => self.on_arrived(conn),
            What::Landed(conn) => self.on_landed(conn),
            What::Pump(conn) => self.on_pump(conn),
            What::Cut(link) => self.cut(link),
            What::DatagramOut(node, to, bytes) => self.on_datagram_out(node, to, &bytes),
            What::DatagramBack(node, from, bytes) => self.on_datagram_back(node, from, &bytes),
        }
    }

    fn wake(&mut self, node: NodeId) {
        let now = self.now;
        let host = self.host_mut(node);
        if host.wake_at == Some(now) {
            host.wake_at = None;
            host.wake(now);
            self.settle(node);
        }
    }

    fn add_node(&mut self, speed: Speed, actor: Actor) -> NodeId {
        let (node, addr, now) = (NodeId(self.nodes.len()), self.next_addr(), self.now);
        self.addrs.insert(addr, node);
        self.nodes.push(Node {
            addr,
            speed,
            up_free_at: now,
            down_free_at: now,
            dial_count: 0,
            down: false,
            delay: Duration::ZERO,
            behind_nat: false,
            disk_pace: None,
            disk_free_at: now,
            traffic: Traffic::default(),
            actor,
        });
        node
    }

    fn schedule(&mut self, at: Instant, what: What) {
        self.queue.push(at, what);
    }
}
