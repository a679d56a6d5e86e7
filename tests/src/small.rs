//! Small swarms with hostile peers of every kind: what the promises are tried in. A scenario decides
//! everything that happens in it, so that what was seen once is seen again.

use std::net::SocketAddr;
use std::time::Duration;

use peerless_core::{Config, Event, TorrentKey};
use peerless_sim::link::{Net, NodeId, Speed};
use peerless_sim::puppet::{Flood, Meta, Plan, Serve, Shake};
use peerless_sim::sample::Sample;
use peerless_sim::swarm::{Role, Swarm};
use peerless_sim::web::{Answer, WebServer};

/// What somebody does who is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shakes hands in a way of its own.
    Shakes(Shake),
    /// Says to have everything, and answers requests so.
    Serves(Serve),
    /// Says to have everything and unchokes nobody.
    Chokes,
    /// Takes and gives nothing.
    Rides,
    /// Asks and reads nothing of what comes.
    Deaf,
    /// Sends this without end, and is an honest seed otherwise.
    Floods(Flood),
    /// Does this about metadata, and is an honest seed otherwise.
    Tells(Meta),
    /// An address at which nobody answers.
    Silent,
    /// A web seed that answers so.
    Web(Answer),
}

impl Kind {
    /// Every kind there is.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let shakes = [Shake::WrongHash, Shake::Mirror, Shake::Never, Shake::Garbage].map(Self::Shakes);
        let serves = [Serve::Wrong(1000), Serve::Wrong(100), Serve::Never, Serve::Trickle, Serve::Rejects];
        let webs = [Answer::Wrong, Answer::Cut, Answer::Never, Answer::Status(503, Some(1))].map(Self::Web);
        let plain = [Self::Chokes, Self::Rides, Self::Deaf, Self::Silent];
        let floods = Flood::ALL.map(Self::Floods);
        [&shakes[..], &serves.map(Self::Serves), &Meta::BAD.map(Self::Tells), &webs, &plain, &floods].concat()
    }

    /// What a scripted peer of this kind does; `None`: it is no such peer.
    fn plan(self, mark: u8) -> Option<Plan> {
        let seed = Plan { redial: Some(Duration::from_secs(10)), ..Plan::seed(mark) };
        Some(match self {
            Self::Shakes(shake) => Plan { shake, ..seed },
            Self::Serves(serve) => Plan { serve, ..seed },
            Self::Chokes => Plan { unchokes: false, ..seed },
            Self::Rides => Plan { has: false, unchokes: false, asks: true, ..seed },
            Self::Deaf => Plan { reads: false, flood: Some(Flood::Requests), ..seed },
            Self::Floods(flood) => Plan { flood: Some(flood), ..seed },
            Self::Tells(metadata) => Plan { metadata, ..seed },
            Self::Silent | Self::Web(_) => return None,
        })
    }
}

/// Who is in a swarm, and what goes wrong.
#[derive(Clone, Debug)]
pub struct Small {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Pieces of the torrent, from 1 to 64.
    pub piece_count: u32,
    /// Bytes of each but the last, a power of two.
    pub piece_len: u32,
    /// Bytes that the last piece lacks.
    pub missing_len: u32,
    /// Honest leeches that know only the torrent's magnet link.
    pub by_magnet: usize,
    /// Other honest leeches.
    pub leeches: usize,
    /// Those who are not honest, and whether they call the leeches rather than are called.
    pub others: Vec<(Kind, bool)>,
    /// The longest time from one end of a connection to the other, in milliseconds.
    pub latency: u64,
    /// After how many seconds a connection breaks at most; 0: never.
    pub cut_after: u64,
    /// How many of 1000 parts of a stream are held up by three seconds.
    pub stalls: usize,
    /// Pieces that the leeches have room for in memory; 0: as many as is usual.
    pub buffer: usize,
    /// Connections that each leech has at most; 0: as many as is usual.
    pub peers_max: usize,
    /// Requests that each leech has outstanding at one peer at most; 0: as many as is usual.
    pub requests_max: usize,
    /// Bytes a second that the honest seed sends.
    pub seed_up: u64,
    /// After how many seconds it comes; those who are there are told of it then.
    pub seed_late: u64,
}

/// A small swarm that runs.
#[derive(Debug)]
pub struct Party {
    /// It.
    pub swarm: Swarm,
    /// What it shares.
    pub sample: Sample,
    /// The honest seed.
    pub seed: NodeId,
    /// The honest leeches.
    pub leeches: Vec<NodeId>,
    /// Their torrents.
    torrents: Vec<TorrentKey>,
    /// How many of them, the first, know only the link.
    by_magnet: usize,
    /// What those know who join: honest and other addresses.
    pub known: Vec<SocketAddr>,
}

impl Small {
    /// The configuration of its leeches.
    #[must_use]
    pub fn config(&self) -> Config {
        let usual = Config::default();
        let buffer = self.buffer * self.piece_len as usize;
        let or = |value: usize, usual: usize| if value == 0 { usual } else { value };
        Config {
            buffer_len_max: or(buffer, usual.buffer_len_max),
            peers_max: or(self.peers_max, usual.peers_max),
            requests_max: or(self.requests_max, usual.requests_max),
            ..usual
        }
    }

    /// The torrent.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let len = self.piece_count * self.piece_len - self.missing_len.min(self.piece_len - 1);
        Sample::new(self.seed, len as usize, self.piece_len)
    }

    /// Has everybody come.
    #[must_use]
    pub fn begin(&self) -> Party {
        let millis = Duration::from_millis;
        let net = Net {
            latency: millis(1)..millis(1 + self.latency),
            cut_after: (self.cut_after > 0).then(|| millis(500)..millis(500 + self.cut_after * 1000)),
            stall: (self.stalls > 0).then(|| (self.stalls, millis(3000))),
            ..Net::default()
        };
        let sample = self.sample();
        let mut swarm = Swarm::new(self.seed, net);
        let seed = swarm.add_host(Config::default(), Speed { up: self.seed_up, ..Speed::default() });
        swarm.host_mut(seed).disk.insert_full(&sample);
        let known = if self.seed_late == 0 { vec![swarm.addr(seed)] } else { Vec::new() };
        let (leeches, torrents) = (Vec::new(), Vec::new());
        let by_magnet = self.by_magnet;
        let mut party = Party { swarm, sample, seed, leeches, torrents, by_magnet, known };
        for (mark, (kind, calls)) in (b'a'..).zip(&self.others) {
            if !calls {
                party.add_other(*kind, mark, &[]);
            }
        }
        for _ in 0..self.by_magnet + self.leeches {
            party.add_leech(self.config());
        }
        let leeches: Vec<SocketAddr> = party.leeches.iter().map(|node| party.swarm.addr(*node)).collect();
        for (mark, (kind, calls)) in (b'a'..).zip(&self.others) {
            if *calls {
                party.add_other(*kind, mark, &leeches);
            }
        }
        party.swarm.run_for(Duration::from_secs(self.seed_late));
        party.bring_seed();
        party
    }
}

impl Party {
    fn bring_seed(&mut self) {
        let addr = self.swarm.addr(self.seed);
        self.swarm.start(self.seed, &self.sample, Role::seed());
        self.known.extend((!self.known.contains(&addr)).then_some(addr));
        for (&leech, &torrent) in self.leeches.iter().zip(&self.torrents) {
            let now = self.swarm.now();
            self.swarm.host_mut(leech).session.add_peer(now, torrent, addr);
            self.swarm.settle(leech);
        }
    }

    fn add_leech(&mut self, config: Config) {
        let node = self.swarm.add_host(config, Speed::default());
        self.swarm.host_mut(node).disk.insert(&self.sample);
        let torrent = self.start(node, self.leeches.len());
        self.torrents.push(torrent);
        self.leeches.push(node);
        self.known.push(self.swarm.addr(node));
    }

    /// The session of the leech of this number begins.
    fn start(&mut self, node: NodeId, number: usize) -> TorrentKey {
        let (swarm, sample) = (&mut self.swarm, &self.sample);
        swarm.testify(node, sample);
        if number < self.by_magnet {
            return swarm.start_magnet(node, sample, &self.known);
        }
        let web_seeds = swarm.web.keys().map(|host| format!("http://{host}/")).collect();
        swarm.start(node, sample, Role { web_seeds, ..Role::leech(&self.known) })
    }

    /// The leech of this number ends within this time, once it has done so many things more; then it
    /// comes back with what it had. If `power` is true the whole machine fails, else the process.
    ///
    /// # Panics
    /// When its resume file claims what is not on its disk.
    pub fn cut(&mut self, number: usize, effects: u64, limit: Duration, power: bool) {
        let node = self.leeches[number];
        let host = self.swarm.host_mut(node);
        host.ends_after = Some(host.effect_count + effects);
        self.swarm.run_until(limit, |swarm| swarm.host(node).has_ended());
        if power {
            self.swarm.crash(node);
        } else {
            self.swarm.kill(node);
        }
        let disk = &self.swarm.host(node).disk;
        let geometry = self.sample.metainfo.geometry();
        if let Some(claims) = disk.claimed(self.sample.metainfo.info_hash()) {
            let there = disk.only();
            assert!(claims.iter(geometry).all(|piece| there.has(piece)), "{claims:?} of {there:?}");
        }
        self.swarm.revive(node);
        self.torrents[number] = self.start(node, number);
    }

    /// Whether each of the leeches knows that it has everything.
    fn is_done(&self, swarm: &Swarm) -> bool {
        self.leeches.iter().zip(&self.torrents).all(|(leech, torrent)| {
            let host = swarm.host(*leech);
            let progress = || host.session.progress(swarm.now(), *torrent);
            host.disk.only().is_full() && progress().is_some_and(|it| it.have_count == it.piece_count)
        })
    }

    fn add_other(&mut self, kind: Kind, mark: u8, dials: &[SocketAddr]) {
        let addr = match (kind, kind.plan(mark)) {
            (_, Some(plan)) => {
                let plan = Plan { dials: dials.to_vec(), ..plan };
                let node = self.swarm.add_puppet(&self.sample, plan, Speed::default());
                self.swarm.addr(node)
            }
            (Kind::Web(answer), None) => {
                let server = WebServer::new(&self.sample, answer);
                self.swarm.web.insert(format!("web-{}", char::from(mark)), server);
                return;
            }
            (_, None) => self.swarm.add_silent(),
        };
        // Who calls is not called, and nobody calls whom nobody knows.
        if dials.is_empty() {
            self.known.push(addr);
        }
    }

    /// Lets it run until every honest leech has everything.
    ///
    /// # Panics
    /// When that takes longer than `limit`, or one of them asks for nothing and gets nothing for longer
    /// than `ask` while it could ask somebody, or says or asks for what its disk contradicts, or what is on
    /// a disk in the end is not everything, or an honest peer was banned.
    pub fn finish(&mut self, limit: Duration, ask: Duration) {
        let mut swarm = std::mem::replace(&mut self.swarm, Swarm::new(0, Net::default()));
        let done = swarm.run_until(limit, |swarm| {
            for leech in &self.leeches {
                let witness = swarm.host(*leech).witness.as_ref().expect("it has one");
                let wait = witness.longest_wait;
                assert!(wait <= ask, "{leech:?} could ask somebody and did not for {wait:?}");
                assert!(witness.lies.is_empty(), "{leech:?}: {:#?}", witness.lies);
            }
            self.is_done(swarm)
        });
        self.swarm = swarm;
        let honest: Vec<SocketAddr> =
            self.leeches.iter().chain([&self.seed]).map(|node| self.swarm.addr(*node)).collect();
        for &leech in &self.leeches {
            let host = self.swarm.host(leech);
            let there = host.disk.only();
            let now = self.swarm.now();
            assert!(done, "{leech:?} has {there:?} at {now:?}: {:#?}", host.events);
            assert!(there.is_full(), "{leech:?} says to be complete and has {there:?}");
            let banned = host.count(
                |event| matches!(event, Event::PeerBanned { addr, .. } if honest.iter().any(|honest| honest.ip() == addr.ip())),
            );
            assert_eq!(banned, 0, "{leech:?} has banned who is honest: {:#?}", host.events);
        }
    }
}
