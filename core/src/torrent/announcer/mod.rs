//! When to announce, to which tracker, and as what event (BEP 3, BEP 12).
//!
//! Every tier is a small machine of its own: the first tracker of it that works is used and moved
//! to its front; when one fails the next is asked at once, and when all have failed they rest, each
//! time for longer. How a tracker is asked, over HTTP or UDP and in which families of addresses, is
//! not seen here: a question goes out, and news of it comes.

mod tier;

use std::net::SocketAddr;

use crate::cx::Cx;
use crate::id::InfoHash;
use crate::key::TorrentKey;
use crate::output::TrackerReport;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::{AnnounceResponse, News};
use tier::Tier;

/// What an announce tells of the torrent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) torrent: TorrentKey,
    pub(crate) info_hash: InfoHash,
    pub(crate) uploaded: u64,
    pub(crate) downloaded: u64,
    pub(crate) left: u64,
    /// Whether more peers are of use.
    pub(crate) wants_peers: bool,
}

/// All tiers of one torrent.
#[derive(Debug)]
pub(crate) struct Announcer {
    tiers: Vec<Tier>,
}

impl Announcer {
    /// Starts with an announce to every tier at once.
    pub(crate) fn new(now: Instant, rng: &mut Rng, tiers: Vec<Vec<String>>) -> Self {
        let tiers = tiers.into_iter().filter(|urls| !urls.is_empty());
        Self { tiers: tiers.map(|urls| Tier::new(now, rng, urls)).collect() }
    }

    /// When something is to be announced next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.tiers.iter().filter_map(Tier::due_at).min()
    }

    /// Announces what is due.
    pub(crate) fn announce_due(&mut self, cx: &mut Cx, stats: &Stats) {
        for (index, tier) in self.tiers.iter_mut().enumerate() {
            while tier.due_at().is_some_and(|at| at <= cx.now) {
                tier.announce(cx, index, stats);
            }
        }
    }

    /// Nobody is left to get anything from: the trackers are asked as soon as they allow.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.tiers.iter_mut().for_each(|tier| tier.hurry(now));
    }

    /// Every piece is there: the trackers that know us are told.
    pub(crate) fn complete(&mut self, now: Instant) {
        for tier in self.tiers.iter_mut().filter(|tier| !tier.leaving) {
            tier.owes_completed = tier.started || tier.in_flight.is_some();
            if tier.started {
                tier.next_at = Some(now);
            }
        }
    }

    /// We leave: the trackers that know us are told, and nothing further is announced.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.tiers.iter_mut().for_each(|tier| tier.leave(now));
    }

    /// Tiers with such a tracker are left: those of them that know us are told, and nothing further is
    /// announced there.
    pub(crate) fn leave(&mut self, now: Instant, is_such: impl Fn(&str) -> bool) {
        for tier in self.tiers.iter_mut().filter(|tier| tier.urls().any(&is_such)) {
            tier.leave(now);
        }
    }

    /// Whether, after [`Announcer::stop`], everything has been told.
    pub(crate) fn is_done(&self) -> bool {
        self.tiers.iter().all(|tier| tier.in_flight.is_none() && tier.next_at.is_none())
    }

    /// Takes what is heard of a tier's announce; `more` says whether there is more to come of it.
    /// Returns the peers that are named.
    pub(crate) fn on_news(
        &mut self,
        cx: &mut Cx,
        stats: &Stats,
        tier: usize,
        (news, more): (News, bool),
    ) -> Vec<SocketAddr> {
        let Some(tier) = self.tiers.get_mut(tier) else { return Vec::new() };
        let Some(mut asked) = tier.in_flight.take() else { return Vec::new() };
        let mut peers = Vec::new();
        match news {
            News::Announced(response) => {
                let is_first = tier.on_success(cx.now, &mut asked, &response);
                if is_first && stats.left > 0 && stats.wants_peers && response.peers.is_empty() {
                    tier.hurry(cx.now);
                }
                let AnnounceResponse { warning, external_ip, .. } = response;
                if !tier.leaving {
                    peers = response.peers;
                }
                tier.tell(cx, stats, Ok(TrackerReport { peer_count: peers.len(), warning, external_ip }));
            }
            News::Failed(error) => tier.on_failure(cx, stats, &error),
            News::Silent(wait) => tier.on_silence(cx, stats, wait),
            News::Scraped(_) | News::Over => {}
        }
        tier.in_flight = more.then_some(asked);
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::tier::BACKOFF_START;
    use super::*;
    use crate::config::Config;
    use crate::job::FetchError;
    use crate::key::Key;
    use crate::tracker::{AnnounceError, Question, parse_announce};
    use std::time::Duration;

    const OK: &[u8] = b"d8:intervali900e5:peers0:e";

    struct Lab {
        cx: Cx,
        announcer: Announcer,
        stats: Stats,
    }

    impl Lab {
        fn new(tiers: &[&[&str]]) -> Self {
            let mut cx = Cx::new(Config::default(), 1, Instant::START);
            let tiers = tiers.iter().map(|tier| tier.iter().map(|&url| url.to_owned()).collect()).collect();
            let announcer = Announcer::new(cx.now, &mut cx.rng, tiers);
            let torrent = TorrentKey::new(0, 0);
            let info_hash = InfoHash::new([7; 20]);
            let stats = Stats { torrent, info_hash, uploaded: 1, downloaded: 2, left: 3, wants_peers: true };
            Self { cx, announcer, stats }
        }

        /// Lets time pass until the next announce; what is asked then, as `HOST EVENT`.
        fn step(&mut self) -> Vec<String> {
            if let Some(at) = self.announcer.next_at() {
                self.cx.now = self.cx.now.max(at);
            }
            self.announcer.announce_due(&mut self.cx, &self.stats);
            let questions = std::mem::take(&mut self.cx.asks).into_iter().map(|ask| ask.question);
            let show = |question| match question {
                Question::HttpAnnounce(url) => {
                    let host = url.split(['/', '?']).nth(2).unwrap_or_default().to_owned();
                    let event =
                        url.split("event=").nth(1).map_or("-", |rest| rest.split('&').next().unwrap());
                    format!("{host} {event}")
                }
                Question::Udp(target, _) => format!("{} udp", target.host),
                Question::HttpScrape(..) => panic!("{question:?}"),
            };
            questions.map(show).collect()
        }

        fn answer(&mut self, tier: usize, answer: Result<&[u8], FetchError>) {
            let news = match answer.map_err(AnnounceError::Fetch).and_then(parse_announce) {
                Ok(response) => News::Announced(response),
                Err(error) => News::Failed(error),
            };
            self.news(tier, news, false);
        }

        fn news(&mut self, tier: usize, news: News, more: bool) {
            self.announcer.on_news(&mut self.cx, &self.stats, tier, (news, more));
        }
    }

    #[test]
    fn a_torrent_starts_repeats_completes_and_stops() {
        let mut lab = Lab::new(&[&["http://a/announce"]]);
        assert_eq!(lab.step(), ["a started"]);
        lab.answer(0, Ok(OK));
        assert_eq!(lab.announcer.next_at(), Some(Instant::START + Duration::from_secs(900)));
        assert_eq!(lab.step(), ["a -"]);
        lab.answer(0, Ok(OK));
        lab.announcer.complete(lab.cx.now);
        assert_eq!(lab.step(), ["a completed"]);
        lab.announcer.stop(lab.cx.now);
        assert!(lab.step().is_empty() && !lab.announcer.is_done(), "one at a time");
        lab.answer(0, Ok(OK));
        assert_eq!(lab.step(), ["a stopped"]);
        lab.answer(0, Ok(OK));
        assert!(lab.announcer.is_done());
    }

    #[test]
    fn a_tracker_that_never_knew_us_is_not_told_that_we_leave() {
        let mut lab = Lab::new(&[&["http://a/announce"]]);
        lab.step();
        lab.answer(0, Err(FetchError::Timeout));
        lab.announcer.stop(lab.cx.now);
        assert!(lab.announcer.is_done());
    }

    #[test]
    fn the_next_of_a_tier_is_asked_at_once_and_what_works_comes_first() {
        let mut lab = Lab::new(&[&["http://a/x", "http://b/x", "http://c/x"]]);
        let first = lab.step();
        lab.answer(0, Err(FetchError::Status(500)));
        assert_eq!(lab.announcer.next_at(), Some(Instant::START));
        let second = lab.step();
        assert_ne!(first, second);
        lab.answer(0, Ok(OK));
        let again = lab.step();
        assert_eq!(again[0].split(' ').next(), second[0].split(' ').next());
    }

    #[test]
    fn a_tier_that_fails_rests_ever_longer_and_others_go_on() {
        let mut lab = Lab::new(&[&["http://a/x"], &["http://b/x"]]);
        assert_eq!(lab.step(), ["a started", "b started"]);
        lab.answer(1, Ok(OK));
        let mut pauses = Vec::new();
        lab.answer(0, Ok(b"d14:failure reason4:nopee"));
        for _ in 0..5 {
            let before = lab.cx.now;
            assert_eq!(lab.step(), ["a started"]);
            pauses.push(lab.cx.now.since(before).as_secs());
            lab.answer(0, Ok(b"garbage"));
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240]);
    }

    #[test]
    fn a_download_that_completes_while_its_start_is_told_owes_both() {
        let mut lab = Lab::new(&[&["http://a/x"]]);
        lab.step();
        lab.announcer.complete(lab.cx.now);
        lab.answer(0, Ok(OK));
        assert_eq!(lab.step(), ["a completed"]);
    }

    fn answered() -> News {
        News::Announced(parse_announce(OK).unwrap())
    }

    #[test]
    fn what_the_second_family_brings_is_heard_and_changes_nothing_else() {
        let mut lab = Lab::new(&[&["http://a/x"]]);
        lab.step();
        let next = Some(Instant::START + Duration::from_secs(900));
        lab.news(0, answered(), true);
        assert_eq!(lab.announcer.next_at(), None, "the GET may still be on its way");
        let more = parse_announce(b"d8:intervali60e5:peers6:\x01\x02\x03\x04\0\x01e").unwrap();
        let news = (News::Announced(more), false);
        let peers = lab.announcer.on_news(&mut lab.cx, &lab.stats, 0, news);
        assert_eq!((peers.len(), lab.announcer.next_at()), (1, next));
        assert_eq!(lab.step(), ["a -"]);
        lab.news(0, answered(), true);
        lab.announcer.complete(lab.cx.now);
        assert!(lab.step().is_empty());
        lab.news(0, News::Over, false);
        assert_eq!(lab.step(), ["a completed"], "owed since the first answer");
    }

    #[test]
    fn who_leaves_does_not_wait_for_datagrams() {
        let mut lab = Lab::new(&[&["udp://a:1"]]);
        assert_eq!(lab.step(), ["a udp"]);
        lab.announcer.stop(lab.cx.now);
        assert!(lab.announcer.is_done(), "it never knew us");
        let mut lab = Lab::new(&[&["udp://a:1"]]);
        lab.step();
        lab.news(0, answered(), true);
        lab.announcer.complete(lab.cx.now);
        assert_eq!(lab.step(), ["a udp"], "the other family is not waited for");
        lab.announcer.stop(lab.cx.now);
        assert_eq!(lab.step(), ["a udp"]);
        lab.news(0, answered(), false);
        assert!(lab.announcer.is_done());
    }

    #[test]
    fn a_tracker_that_says_when_to_come_again_is_left_alone_until_then() {
        let refusal = |retry| {
            Ok(match retry {
                "never" => &b"d14:failure reason1:x8:retry in5:nevere"[..],
                _ => b"d14:failure reason1:x8:retry ini10ee",
            })
        };
        let mut lab = Lab::new(&[&["http://a/x"]]);
        lab.step();
        lab.answer(0, refusal("10"));
        assert_eq!(lab.announcer.next_at(), Some(Instant::START + Duration::from_secs(600)));
        assert_eq!(lab.step(), ["a started"]);
        lab.answer(0, refusal("never"));
        assert!(lab.announcer.next_at().is_none() && lab.announcer.is_done());

        // Of two, the other one serves from then on.
        let mut lab = Lab::new(&[&["http://a/x", "http://b/x"]]);
        let first = lab.step();
        lab.answer(0, refusal("never"));
        let second = lab.step();
        assert_ne!(first, second);
        for _ in 0..5 {
            lab.answer(0, Err(FetchError::Timeout));
            assert_eq!(lab.step(), second);
        }
        assert!(lab.cx.now >= Instant::START + Duration::from_secs(15 + 30 + 60 + 120), "it has its rests");
    }

    #[test]
    fn silence_is_told_and_waited_through() {
        let mut lab = Lab::new(&[&["udp://a:1"]]);
        lab.step();
        lab.cx.outbox.clear();
        lab.news(0, News::Silent(Duration::from_secs(30)), true);
        assert_eq!((lab.announcer.next_at(), lab.cx.outbox.len()), (None, 1));
        lab.news(0, answered(), false);
        assert_eq!(lab.announcer.next_at(), Some(Instant::START + Duration::from_secs(900)));
    }

    #[test]
    fn other_schemes_fail_without_a_question() {
        let mut lab = Lab::new(&[&["ws://a/x"]]);
        assert!(lab.step().is_empty());
        assert_eq!(lab.announcer.next_at(), Some(Instant::START + BACKOFF_START));
    }

    #[test]
    fn a_leech_without_peers_asks_as_soon_as_the_tracker_allows() {
        let at = |seconds| Some(Instant::START + Duration::from_secs(seconds));
        let mut lab = Lab::new(&[&["http://a/x"]]);
        lab.step();
        lab.answer(0, Ok(b"d8:intervali900e12:min intervali100e5:peers0:e"));
        assert_eq!(lab.announcer.next_at(), at(100), "the tracker named nobody");
        lab.step();
        lab.answer(0, Ok(b"d8:intervali900e12:min intervali100e5:peers6:\x01\x02\x03\x04\0\x01e"));
        assert_eq!(lab.announcer.next_at(), at(1000));
        lab.announcer.hurry(lab.cx.now);
        assert_eq!(lab.announcer.next_at(), at(200), "nobody whom it named was there");
        lab.step();
        lab.answer(0, Err(FetchError::Timeout));
        lab.announcer.hurry(lab.cx.now);
        assert_eq!(lab.announcer.next_at(), at(215), "a tracker that fails has its rest");
        lab.step();
        lab.answer(0, Ok(b"d8:intervali900e12:min intervali1200e5:peers0:e"));
        assert_eq!(lab.announcer.next_at(), at(1415), "the least interval is longer than the usual one");
    }
}
