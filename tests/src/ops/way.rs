//! Which way things leave: by the route and from the sources that were allowed, and by no other.
//!
//! What is allowed is decided here anew, by addresses and bytes, and not by the core's own rules.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use peerless_core::{Bind, Input, Job, Login, Output, PeerKey, Proxy, ResolveFor, Route, Secret};
use peerless_sim::speak;

use super::{SAMPLE, Source, World};

/// What may be used: all of it by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The address that everything leaves from.
    pub bind: Option<IpAddr>,
    /// The proxy that everything goes through.
    pub proxy: Option<SocketAddr>,
    /// Whether the proxy wants a login.
    pub login: bool,
    /// Whether the torrent is private.
    pub private: bool,
    /// Whether peers may be asked for, and told of, others.
    pub pex: bool,
    /// Whether the torrent has trackers.
    pub trackers: bool,
    /// Whether the torrent has web seeds.
    pub web_seeds: bool,
    /// Whether every second address is an IPv6 one.
    pub mixed: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            bind: None,
            proxy: None,
            login: false,
            private: false,
            pex: true,
            trackers: true,
            web_seeds: true,
            mixed: false,
        }
    }
}

impl Allowed {
    /// What two bytes allow.
    #[must_use]
    pub fn of(ways: u8, sources: u8) -> Self {
        let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let v6 = |last| IpAddr::V6(Ipv6Addr::new(0xFD00, 0, 0, 0, 0, 0, 0, last));
        let proxies = [None, None, Some(v4(200)), Some(v6(200))];
        Self {
            bind: [None, None, Some(v4(77)), Some(v6(77))][usize::from(ways & 3)],
            proxy: proxies[usize::from(ways >> 2 & 3)].map(|ip| SocketAddr::new(ip, 1080)),
            login: ways & 16 != 0,
            private: sources & 3 == 1,
            pex: sources & 4 == 0,
            trackers: sources & 0x18 != 0x18,
            web_seeds: sources & 0x60 != 0x60,
            mixed: true,
        }
    }

    pub(super) fn route(&self) -> Route {
        let secret = |text: &str| Secret::new(text.into()).expect("a short secret");
        let login = self.login.then(|| Login { user: secret(USER), password: secret(PASSWORD) });
        let proxy = self.proxy.map(|addr| Arc::new(Proxy { addr, login }));
        Route { bind: self.bind.map_or(Bind::ANY, Bind::to), proxy }
    }

    /// Whether a socket may lead there.
    fn reaches(&self, ip: IpAddr) -> bool {
        self.bind.is_none_or(|bound| bound.is_ipv4() == ip.is_ipv4())
    }
}

const USER: &str = "me";
const PASSWORD: &str = "hunter2";

/// A tracker that the user names and the torrent does not.
pub(super) const STRANGER: [&str; 2] = ["http://stranger/announce", "udp://stranger:1"];

/// Beside what is allowed, what has happened that allows something.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Addresses that the user or a tracker has named.
    pub(super) named: BTreeSet<SocketAddr>,
    /// Whether the torrent was added by its link once: what it is was then not known at first.
    pub(super) link: bool,
    /// Whether the user has asked for a scrape.
    pub(super) scraped: bool,
}

impl Seen {
    /// A datagram may name whatever stands in it.
    pub(super) fn name_all(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(20..).unwrap_or_default();
        let port = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        for run in bytes.windows(6) {
            self.named.insert(SocketAddr::new([run[0], run[1], run[2], run[3]].into(), port(&run[4..])));
        }
        for run in bytes.windows(18) {
            let (ip, rest) = run.split_first_chunk::<16>().expect("there are 18");
            self.named.insert(SocketAddr::new((*ip).into(), port(rest)));
        }
    }
}

impl World {
    /// An address, of one of both families where they are mixed.
    pub(super) fn addr(&self, index: usize) -> SocketAddr {
        let last = u8::try_from(index).expect("a small number");
        let is_v6 = self.allowed.mixed && index % 2 == 1;
        let ip = if is_v6 {
            Ipv6Addr::new(0xFD00, 0, 0, 0, 0, 0, 0, last.into()).into()
        } else {
            Ipv4Addr::new(10, 0, 0, last).into()
        };
        SocketAddr::new(ip, 6881)
    }

    /// What is asked for leaves by the way that is allowed, and to where it may go.
    pub(super) fn check_way(&self, output: &Output) {
        let allowed = &self.allowed;
        assert!(!format!("{output:?}").contains(PASSWORD), "{output:?}: tells the password");
        match output {
            Output::Connect { hop, .. } => {
                assert_eq!(hop.bind().ip(), allowed.bind, "{output:?}: leaves from elsewhere");
                assert!(allowed.reaches(hop.to().ip()), "{output:?}: can't be reached from there");
                match allowed.proxy {
                    Some(proxy) => assert_eq!(hop.to(), proxy, "{output:?}: goes past the proxy"),
                    None => self.check_named(hop.to()),
                }
            }
            Output::Datagram { hop, .. } => {
                assert_eq!(allowed.proxy, None, "{output:?}: goes past the proxy");
                assert_eq!(hop.bind().ip(), allowed.bind, "{output:?}: leaves from elsewhere");
                assert!(allowed.reaches(hop.to().ip()), "{output:?}: can't be reached from there");
                assert!(allowed.trackers || self.seen.scraped, "{output:?}: there is no tracker");
            }
            Output::Job(job) => self.check_job(job),
            Output::Send { .. } | Output::Resume { .. } | Output::Close { .. } | Output::Event(_) => {}
        }
    }

    fn check_job(&self, job: &Job) {
        let allowed = &self.allowed;
        match job {
            Job::Announce { route, url, .. } => {
                assert_eq!(*route, allowed.route(), "{job:?}: goes another way");
                assert!(allowed.trackers, "{job:?}: there is no tracker");
                let is_strange = STRANGER.iter().any(|stranger| url.starts_with(stranger));
                let may = !is_strange || !allowed.private || self.seen.link;
                assert!(may, "{job:?}: a private torrent is told to a stranger");
            }
            Job::Scrape { route, .. } => assert_eq!(*route, allowed.route(), "{job:?}: goes another way"),
            Job::Fetch { route, parts, .. } => {
                assert_eq!(*route, allowed.route(), "{job:?}: goes another way");
                assert!(allowed.web_seeds, "{job:?}: there is no web seed");
                let urls = parts.iter().flat_map(|part| &part.url);
                urls.for_each(|url| assert!(url.starts_with("http://web/"), "{url}: nobody named it"));
            }
            Job::Resolve { whom, bind, host, .. } => {
                assert_eq!(allowed.proxy, None, "{job:?}: the proxy looks names up");
                assert_eq!(bind.ip(), allowed.bind, "{job:?}: for another way");
                if *whom == ResolveFor::Tracker {
                    assert!(allowed.trackers || self.seen.scraped, "{job:?}: there is no tracker");
                    let may = host != "stranger" || !allowed.private || self.seen.link;
                    assert!(may, "{job:?}: a private torrent is told to a stranger");
                }
            }
            Job::CheckBind { ip } => assert_eq!(Some(*ip), allowed.bind, "{job:?}: is bound to nothing"),
            Job::Open { .. }
            | Job::Choose { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Read { .. }
            | Job::Save { .. }
            | Job::Metadata { .. }
            | Job::Record { .. } => {}
        }
    }

    /// Peers of a private torrent are named by its trackers and by the user alone (BEP 27).
    fn check_named(&self, addr: SocketAddr) {
        let session = &self.host.session;
        let is_known = self.torrents.iter().any(|&torrent| session.metainfo(torrent).is_some());
        let may = !self.allowed.private || !is_known || self.seen.named.contains(&addr);
        assert!(may, "{addr} is called for a private torrent, and nobody who may has named it");
    }

    /// Nothing is said of peers where that is not allowed. `said` is the beginning of what was.
    pub(super) fn check_said(&self, said: &[u8]) {
        if !self.allowed.pex || (self.allowed.private && !self.seen.link) {
            let named = said.windows(8).any(|window| window == b"6:ut_pex");
            assert!(!named, "peers are asked for others");
        }
    }

    /// Nor is this message of peer exchange, by the number that peers here give it.
    pub(super) fn check_message(&self, id: u8, text: &[u8]) {
        let is_pex = id == speak::EXTENDED && text.first() == Some(&6);
        let may = self.allowed.pex && (!self.allowed.private || self.seen.link);
        assert!(!is_pex || may, "peers are told of others");
    }

    /// The proxy makes the connection, or does not. Until it has, it alone is spoken to.
    pub(super) fn negotiate(&mut self, key: PeerKey, source: &mut Source<'_>) {
        let Some(proxy) = self.allowed.proxy else { return };
        let mood = source.below(8);
        let greeting: &[u8] = if self.allowed.login { &[5, 2, 0, 2] } else { &[5, 1, 0] };
        assert_eq!(self.said(key), greeting, "{proxy} is not greeted");
        if mood < 2 {
            return self.answer(key, source.take(mood * 4));
        }
        if self.allowed.login {
            self.answer(key, &[5, 2]);
            let login = [&[1, 2][..], USER.as_bytes(), &[7], PASSWORD.as_bytes()].concat();
            assert_eq!(self.said(key), login, "the login is another");
            self.answer(key, &[1, 0]);
        } else {
            self.answer(key, &[5, 0]);
        }
        let request = self.said(key);
        match request.get(..4) {
            Some([5, 1, 0, 1]) => {
                let &[a, b, c, d, high, low] = &request[4..] else { panic!("{request:?}") };
                self.check_named(SocketAddr::new([a, b, c, d].into(), u16::from_be_bytes([high, low])));
            }
            Some([5, 1, 0, 4]) => {
                let (ip, port) = request[4..].split_first_chunk::<16>().expect("an address");
                self.check_named(SocketAddr::new((*ip).into(), u16::from_be_bytes([port[0], port[1]])));
            }
            Some([5, 1, 0, 3]) => assert_eq!(&request[4..9], b"\x04host", "{request:?}"),
            _ => panic!("{request:?} is no request"),
        }
        if mood == 2 {
            return self.answer(key, &[5, 5]);
        }
        self.answer(key, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == key) {
            peer.through = true;
        }
    }

    /// What waits to be sent, which is then sent.
    fn said(&mut self, key: PeerKey) -> Vec<u8> {
        let bytes = self.host.session.unsent(key).flatten().copied().collect::<Vec<_>>();
        self.host.session.sent(self.now, key, bytes.len());
        bytes
    }

    fn answer(&mut self, peer: PeerKey, bytes: &[u8]) {
        for part in bytes.chunks(self.cut) {
            self.host.session.handle_input(self.now, Input::Received { peer, bytes: part });
        }
    }

    /// The web seeds that the torrent is added with.
    pub(super) fn web_seeds(&self, flags: usize) -> Vec<String> {
        // By the same flag as the purpose where all is allowed: saved inputs mean what they meant.
        let flag = if self.allowed.mixed { flags >> 5 } else { flags >> 1 };
        let is_one = flag & 1 != 0 && self.allowed.web_seeds;
        is_one.then(|| "http://web/".to_owned()).into_iter().collect()
    }

    /// The announce URLs that the torrent is added with.
    pub(super) fn tiers(&self) -> Vec<Vec<String>> {
        let mut tiers = if self.allowed.trackers { SAMPLE.metainfo.tiers().to_vec() } else { Vec::new() };
        if self.allowed.private && self.allowed.trackers {
            tiers.extend(STRANGER.map(|url| vec![url.to_owned()]));
        }
        tiers
    }
}
