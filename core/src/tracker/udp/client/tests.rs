//! The client's conversations, under virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use super::{UdpClient, UdpQuestion};
use crate::config::Config;
use crate::cx::{Cx, TimerKey};
use crate::id::{InfoHash, PeerId};
use crate::job::Job;
use crate::key::{Key, TorrentKey};
use crate::output::Output;
use crate::time::Instant;
use crate::tracker::ask::{Asker, Hearing, News, Patience};
use crate::tracker::response::AnnounceError;
use crate::tracker::scrape::SwarmCounts;
use crate::tracker::udp::{Announce, Answer, Call, Request, Target};

const FOUR: &str = "192.0.2.1:80";
const OTHER_FOUR: &str = "192.0.2.2:80";
const SIX: &str = "[2001:db8::1]:80";

/// A client and the packets it has sent.
struct Lab {
    cx: Cx,
    client: UdpClient,
    hearing: Hearing,
    sent: Vec<(SocketAddr, Request)>,
}

fn tier(number: usize) -> Asker {
    Asker::Tier { torrent: TorrentKey::new(0, 0), tier: number }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn announce() -> Call {
    Call::Announce(Box::new(Announce {
        info_hash: InfoHash::new([1; 20]),
        peer_id: PeerId::new([2; 20]),
        downloaded: 0,
        left: 9,
        uploaded: 0,
        event: None,
        key: 0,
        numwant: None,
        port: 6881,
        url_data: Vec::new(),
    }))
}

fn announced(transaction: u32) -> Vec<u8> {
    let counts = SwarmCounts { seeds: 1, leeches: 2, downloaded: 0 };
    Answer::announced(transaction, Duration::from_secs(900), counts, [addr("10.0.0.9:9")].into_iter())
}

impl Lab {
    fn new() -> Self {
        let cx = Cx::new(Config::default(), 1, Instant::START);
        Self { cx, client: UdpClient::default(), hearing: Hearing::default(), sent: Vec::new() }
    }

    /// Asks a tracker whose name has these addresses; its look-up takes no time.
    fn ask(&mut self, asker: Asker, call: Call, patience: Patience, addrs: &[&str]) {
        let target = Target { host: "t".to_owned(), port: 80 };
        let question = UdpQuestion { target: target.clone(), call, patience };
        self.client.ask(&mut self.cx, &mut self.hearing, asker, question);
        let is_look_up = |output: &Output| matches!(output, Output::Job(Job::Resolve { .. }));
        if self.cx.outbox.iter().any(is_look_up) {
            self.cx.outbox.clear();
            let addrs: Vec<_> = addrs.iter().map(|text| addr(text)).collect();
            self.client.on_resolved(&mut self.cx, &mut self.hearing, &target, Ok(&addrs));
        }
        self.drain();
    }

    fn drain(&mut self) {
        for output in std::mem::take(&mut self.cx.outbox) {
            let Output::Datagram { hop, bytes } = output else { panic!("{output:?}") };
            self.sent.push((hop.to(), Request::parse(&bytes).unwrap()));
        }
    }

    fn receive(&mut self, from: &str, packet: &[u8]) {
        self.client.on_datagram(&mut self.cx, &mut self.hearing, addr(from), packet);
        self.drain();
    }

    fn pass(&mut self, seconds: u64) {
        let end = self.cx.now + Duration::from_secs(seconds);
        while let Some(at) = self.cx.timers.get(TimerKey::Trackers).filter(|at| *at <= end) {
            self.cx.now = at;
            self.client.on_timer(&mut self.cx, &mut self.hearing);
            self.drain();
        }
        self.cx.now = end;
    }

    /// The only packet sent since: to whom, its transaction, and its connection id if it is a call.
    fn one(&mut self) -> (String, u32, Option<u64>) {
        assert_eq!(self.sent.len(), 1, "{:?}", self.sent);
        match self.sent.pop().unwrap() {
            (to, Request::Connect { transaction }) => (to.to_string(), transaction, None),
            (to, Request::Call { connection, transaction, .. }) => {
                (to.to_string(), transaction, Some(connection))
            }
        }
    }

    /// Gets the connection id 7 from this address, as far as the call.
    fn connect(&mut self, from: &str) -> u32 {
        let (to, transaction, id) = self.one();
        assert_eq!((to.as_str(), id), (from, None));
        self.receive(from, &Answer::connected(transaction, 7));
        let (to, transaction, id) = self.one();
        assert_eq!((to.as_str(), id), (from, Some(7)));
        transaction
    }

    fn news(&mut self) -> Vec<(News, bool)> {
        self.hearing.take().into_iter().map(|heard| (heard.news, heard.more)).collect()
    }
}

#[test]
fn an_announce_gets_a_connection_id_and_then_an_answer() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let transaction = lab.connect(FOUR);
    lab.receive(FOUR, &announced(transaction));
    let [(News::Announced(response), false)] = &lab.news()[..] else { panic!() };
    assert_eq!(response.peers, [addr("10.0.0.9:9")]);
    assert_eq!((response.complete, response.incomplete), (Some(1), Some(2)));
    assert_eq!(lab.cx.timers.next(), None, "nothing is waited for");
}

#[test]
fn a_scrape_counts() {
    let mut lab = Lab::new();
    let scrape = Call::Scrape(vec![InfoHash::new([1; 20])]);
    lab.ask(Asker::Scrape { number: 3 }, scrape, Patience::Short, &[FOUR]);
    let transaction = lab.connect(FOUR);
    lab.receive(FOUR, &Answer::scraped(transaction, [].into_iter()));
    assert!(lab.news().is_empty(), "fewer than were asked for");
    let counts = SwarmCounts { seeds: 4, leeches: 5, downloaded: 6 };
    lab.receive(FOUR, &Answer::scraped(transaction, [counts].into_iter()));
    assert_eq!(lab.news(), [(News::Scraped(vec![counts]), false)]);
}

#[test]
fn packets_are_sent_again_after_15_seconds_times_powers_of_two() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let (start, mut times, mut news) = (lab.cx.now, Vec::new(), Vec::new());
    while news.iter().all(|(_, more)| *more) {
        lab.sent.drain(..).for_each(|_| times.push(lab.cx.now.since(start).as_secs()));
        let at = lab.cx.timers.get(TimerKey::Trackers).unwrap();
        lab.pass(at.since(lab.cx.now).as_secs());
        news.extend(lab.news());
    }
    assert_eq!(times, [0, 15, 45, 105, 225, 465, 945, 1905, 3825]);
    assert_eq!(lab.cx.now.since(start).as_secs(), 3825 + 3840);
    assert_eq!(news.last(), Some(&(News::Failed(AnnounceError::Silent), false)));
    let waits: Vec<u64> = news
        .iter()
        .filter_map(|(news, _)| if let News::Silent(wait) = news { Some(wait.as_secs()) } else { None })
        .collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3840]);
    lab.pass(100_000);
    assert!(lab.sent.is_empty() && lab.client.exchanges.is_empty() && lab.client.asks.is_empty());
}

#[test]
fn a_lost_call_is_sent_again_and_an_old_connection_id_is_not_trusted_twice() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    lab.connect(FOUR);
    lab.pass(15);
    let (_, transaction, id) = lab.one();
    assert_eq!(id, Some(7), "it is new, so the packet was lost");
    lab.receive(FOUR, &announced(transaction));
    assert!(matches!(lab.news()[..], [(News::Silent(_), true), (News::Announced(_), false)]));
    lab.pass(1);
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    assert_eq!(lab.one().2, Some(7));
    lab.pass(15);
    let transaction = lab.connect(FOUR);
    lab.receive(FOUR, &announced(transaction));
}

#[test]
fn a_connection_id_is_used_for_a_minute() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let transaction = lab.connect(FOUR);
    lab.receive(FOUR, &announced(transaction));
    lab.pass(59);
    lab.ask(tier(1), announce(), Patience::Long, &[FOUR]);
    let (_, transaction, id) = lab.one();
    assert_eq!(id, Some(7));
    lab.receive(FOUR, &announced(transaction));
    lab.pass(1);
    lab.ask(tier(1), announce(), Patience::Long, &[FOUR]);
    assert_eq!(lab.one().2, None, "it is too old");
    lab.pass(200);
    lab.client.forget_torrent(&mut lab.cx, TorrentKey::new(0, 0));
    assert_eq!(lab.client.links.len(), 0, "what nobody uses is forgotten");
}

#[test]
fn an_address_that_comes_late_is_nothing_to_who_asks_elsewhere_by_now() {
    let mut lab = Lab::new();
    let target = |host: &str| Target { host: host.to_owned(), port: 80 };
    for host in ["slow", "other"] {
        let question = UdpQuestion { target: target(host), call: announce(), patience: Patience::Long };
        lab.client.ask(&mut lab.cx, &mut lab.hearing, tier(0), question);
    }
    lab.cx.outbox.clear();
    lab.client.on_resolved(&mut lab.cx, &mut lab.hearing, &target("slow"), Ok(&[addr(FOUR)]));
    lab.drain();
    assert!(lab.sent.is_empty());
    lab.client.on_resolved(&mut lab.cx, &mut lab.hearing, &target("other"), Ok(&[addr(OTHER_FOUR)]));
    lab.drain();
    assert_eq!(lab.one().0, OTHER_FOUR);
}

#[test]
fn one_connection_id_serves_all_who_wait_for_it() {
    let mut lab = Lab::new();
    (0..50).for_each(|number| lab.ask(tier(number), announce(), Patience::Long, &[FOUR]));
    let (_, transaction, _) = lab.one();
    lab.receive(FOUR, &Answer::connected(transaction, 7));
    assert_eq!(lab.sent.len(), 50);
    for (_, request) in std::mem::take(&mut lab.sent) {
        let Request::Call { connection: 7, transaction, .. } = request else { panic!("{request:?}") };
        lab.receive(FOUR, &announced(transaction));
    }
    assert_eq!(lab.news().len(), 50);
}

#[test]
fn answers_from_elsewhere_or_to_other_transactions_are_no_answers() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let (_, transaction, _) = lab.one();
    for from in ["192.0.2.1:81", OTHER_FOUR, SIX] {
        lab.receive(from, &Answer::connected(transaction, 7));
    }
    lab.receive(FOUR, &Answer::connected(transaction ^ 1, 7));
    lab.receive(FOUR, b"\0\0\0\0");
    lab.receive(FOUR, &[]);
    assert!(lab.sent.is_empty());
    lab.receive(FOUR, &Answer::connected(transaction, 7));
    let (_, call, _) = lab.one();
    lab.receive(FOUR, &Answer::connected(transaction, 8));
    for (from, packet) in [
        ("192.0.2.1:81", announced(call)),
        (OTHER_FOUR, announced(call)),
        (OTHER_FOUR, Answer::failed(call, "no")),
        (FOUR, announced(call ^ 1)),
        (FOUR, Answer::connected(call, 7)),
        (FOUR, Answer::scraped(call, [SwarmCounts::default()].into_iter())),
        (FOUR, announced(call)[..19].to_vec()),
    ] {
        lab.receive(from, &packet);
    }
    assert!(lab.news().is_empty() && lab.sent.is_empty());
    lab.receive(FOUR, &announced(call));
    assert_eq!(lab.news().len(), 1);
    lab.receive(FOUR, &announced(call));
    assert_eq!(lab.news().len(), 0, "the same again");
}

#[test]
fn both_families_are_told_and_each_answer_is_heard() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR, SIX, OTHER_FOUR]);
    let sent: Vec<_> = lab.sent.drain(..).collect();
    let [(four, Request::Connect { transaction: a }), (six, Request::Connect { transaction: b })] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    assert_eq!((*four, *six), (addr(FOUR), addr(SIX)));
    lab.receive(SIX, &Answer::connected(*b, 6));
    let (to, call, _) = lab.one();
    assert_eq!(to, SIX);
    let peer = addr("[2001:db8::9]:9");
    lab.receive(
        SIX,
        &Answer::announced(call, Duration::from_secs(900), SwarmCounts::default(), [peer].into_iter()),
    );
    let [(News::Announced(response), true)] = &lab.news()[..] else { panic!() };
    assert_eq!(response.peers, [peer]);
    lab.receive(FOUR, &Answer::connected(*a, 4));
    let (_, call, _) = lab.one();
    lab.receive(FOUR, &announced(call));
    assert!(matches!(lab.news()[..], [(News::Announced(_), false)]));
}

#[test]
fn a_family_without_an_answer_is_given_up_when_the_other_has_one() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR, SIX]);
    lab.sent.truncate(1);
    let call = lab.connect(FOUR);
    lab.receive(FOUR, &announced(call));
    lab.pass(15);
    assert!(matches!(lab.news()[..], [(News::Announced(_), true), (News::Over, false)]));
    assert!(lab.sent.is_empty() && lab.client.asks.is_empty());
}

#[test]
fn who_leaves_tells_the_families_that_have_answered() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR, SIX]);
    lab.sent.truncate(1);
    let call = lab.connect(FOUR);
    lab.receive(FOUR, &announced(call));
    lab.news();
    lab.ask(tier(0), announce(), Patience::Parting, &[FOUR, SIX]);
    let (to, call, id) = lab.one();
    assert_eq!((to.as_str(), id), (FOUR, Some(7)));
    lab.receive(FOUR, &announced(call));
    assert!(matches!(lab.news()[..], [(News::Announced(_), false)]));
    lab.pass(60);
    // Of a tracker that has said nothing so far nobody knows where it would hear us.
    lab.ask(tier(1), announce(), Patience::Parting, &[FOUR, SIX]);
    assert_eq!(lab.sent.len(), 2);
}

#[test]
fn the_next_address_of_a_family_is_tried() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR, OTHER_FOUR]);
    assert_eq!(lab.one().0, FOUR);
    lab.pass(15);
    let call = lab.connect(OTHER_FOUR);
    lab.receive(OTHER_FOUR, &announced(call));
    assert_eq!(lab.news().len(), 2);
}

#[test]
fn a_refusal_is_told_in_the_trackers_words() {
    let mut lab = Lab::new();
    let failed = |why: &str| News::Failed(AnnounceError::Failure { reason: why.to_owned(), retry: None });
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let (_, connect, _) = lab.one();
    lab.receive(FOUR, &Answer::failed(connect, "banned"));
    assert_eq!(lab.news(), [(failed("banned"), false)]);
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let call = lab.connect(FOUR);
    lab.receive(FOUR, &Answer::failed(call, "not registered"));
    assert_eq!(lab.news(), [(failed("not registered"), false)]);
    // The connection id came before: it may be the reason.
    lab.pass(1);
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let (_, call, _) = lab.one();
    lab.receive(FOUR, &Answer::failed(call, "bad connection id"));
    let call = lab.connect(FOUR);
    lab.receive(FOUR, &Answer::failed(call, "not registered"));
    assert_eq!(lab.news(), [(failed("not registered"), false)]);
}

#[test]
fn where_no_tracker_can_be_nothing_is_sent() {
    for addrs in [&["127.0.0.1:53"][..], &["0.0.0.0:80", "224.0.0.1:80"], &[]] {
        let mut lab = Lab::new();
        lab.ask(tier(0), announce(), Patience::Long, addrs);
        assert!(lab.sent.is_empty());
        assert!(matches!(lab.news()[..], [(News::Failed(AnnounceError::Refused(_)), false)]), "{addrs:?}");
    }
}

#[test]
fn a_name_is_looked_up_once_and_again_after_a_failure() {
    let mut lab = Lab::new();
    let target = Target { host: "t".to_owned(), port: 80 };
    let ask = |lab: &mut Lab, number| {
        let question = UdpQuestion { target: target.clone(), call: announce(), patience: Patience::Parting };
        lab.client.ask(&mut lab.cx, &mut lab.hearing, tier(number), question);
        std::mem::take(&mut lab.cx.outbox).len()
    };
    assert_eq!((ask(&mut lab, 0), ask(&mut lab, 1), ask(&mut lab, 1)), (1, 0, 0));
    lab.client.on_resolved(&mut lab.cx, &mut lab.hearing, &target, Err("no such host"));
    let why = News::Failed(AnnounceError::Resolve("no such host".to_owned()));
    let news = lab.news();
    assert!(news.len() == 2 && news.iter().all(|(news, _)| *news == why));
    assert_eq!(ask(&mut lab, 0), 1);
    // Who has gone meanwhile is not asked for.
    lab.client.forget_torrent(&mut lab.cx, TorrentKey::new(0, 0));
    lab.client.on_resolved(&mut lab.cx, &mut lab.hearing, &target, Ok(&[addr(FOUR)]));
    assert!(lab.cx.outbox.is_empty() && lab.client.exchanges.is_empty());
}

#[test]
fn a_new_question_takes_the_place_of_the_old() {
    let mut lab = Lab::new();
    lab.ask(tier(0), announce(), Patience::Long, &[FOUR]);
    let old = lab.connect(FOUR);
    lab.ask(tier(0), announce(), Patience::Parting, &[FOUR]);
    let (_, new, _) = lab.one();
    lab.receive(FOUR, &announced(old));
    assert!(lab.news().is_empty());
    lab.receive(FOUR, &announced(new));
    assert_eq!(lab.news().len(), 1);
    assert!(lab.client.exchanges.is_empty() && lab.client.timers.next().is_none());
}
