//! When to announce, to which tracker, and as what event (BEP 3, BEP 12).
//!
//! Every tier is a small machine of its own: the first tracker of it that works is used and moved
//! to its front; when one fails the next is asked at once, and when all have failed they rest, each
//! time for longer.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cx::Cx;
use crate::id::InfoHash;
use crate::job::{FetchError, Job};
use crate::key::TorrentKey;
use crate::output::{Event, TrackerReport};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::{AnnounceEvent, AnnounceRequest, announce_url, parse_announce};

/// Peers asked for: a few more than are ever dialled at once.
const NUMWANT: u32 = 100;

/// The pause after every tracker of a tier failed; doubles with each further round.
const BACKOFF_START: Duration = Duration::from_secs(15);

/// The longest such pause: an interval as trackers give it.
const BACKOFF_MAX: Duration = Duration::from_secs(30 * 60);

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
    stopping: bool,
}

#[derive(Debug)]
struct Tier {
    trackers: Vec<Tracker>,
    /// Which tracker is asked now or next.
    current: usize,
    /// How many trackers have failed since one worked or the last rest.
    failed_count: usize,
    /// How many rests since one worked.
    rests: u32,
    /// When to announce next; `None` while that is under way, and when all has been told.
    next_at: Option<Instant>,
    /// When the tracker that worked last allows the next announce.
    allowed_at: Instant,
    in_flight: Option<Asked>,
    /// Whether a tracker of the tier knows that we are there.
    started: bool,
    /// Whether it is still to be told that we have everything.
    owes_completed: bool,
}

#[derive(Debug)]
struct Tracker {
    url: String,
    id: Option<Vec<u8>>,
}

/// An announce under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    event: Option<AnnounceEvent>,
}

impl Announcer {
    /// Starts with an announce to every tier at once.
    pub(crate) fn new(now: Instant, rng: &mut Rng, tiers: Vec<Vec<String>>) -> Self {
        let tiers = tiers.into_iter().filter(|urls| !urls.is_empty());
        Self { tiers: tiers.map(|urls| Tier::new(now, rng, urls)).collect(), stopping: false }
    }

    /// When something is to be announced next.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.tiers.iter().filter_map(|tier| tier.next_at).min()
    }

    /// Announces what is due.
    pub(crate) fn announce_due(&mut self, cx: &mut Cx, stats: &Stats) {
        for (index, tier) in self.tiers.iter_mut().enumerate() {
            while tier.next_at.is_some_and(|at| at <= cx.now) {
                tier.announce(cx, index, stats, self.stopping);
            }
        }
    }

    /// Nobody is left to get anything from: the trackers are asked as soon as they allow.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.tiers.iter_mut().for_each(|tier| tier.hurry(now));
    }

    /// Every piece is there: the trackers that know us are told.
    pub(crate) fn complete(&mut self, now: Instant) {
        if self.stopping {
            return;
        }
        for tier in &mut self.tiers {
            tier.owes_completed = tier.started || tier.in_flight.is_some();
            if tier.started && tier.in_flight.is_none() {
                tier.next_at = Some(now);
            }
        }
    }

    /// We leave: the trackers that know us are told, and nothing further is announced.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.stopping = true;
        for tier in &mut self.tiers {
            tier.next_at = (tier.started && tier.in_flight.is_none()).then_some(now);
        }
    }

    /// Whether, after [`Announcer::stop`], everything has been told.
    pub(crate) fn is_done(&self) -> bool {
        self.tiers.iter().all(|tier| tier.in_flight.is_none() && tier.next_at.is_none())
    }

    /// Reads an answer. Returns the peers that it names.
    pub(crate) fn on_answer(
        &mut self,
        cx: &mut Cx,
        stats: &Stats,
        tier: usize,
        answer: Result<Vec<u8>, FetchError>,
    ) -> Vec<SocketAddr> {
        let Some(tier) = self.tiers.get_mut(tier) else { return Vec::new() };
        let Some(asked) = tier.in_flight.take() else { return Vec::new() };
        let answer = answer.map_err(|error| error.to_string());
        match answer.and_then(|body| parse_announce(&body).map_err(|error| error.to_string())) {
            Ok(response) => {
                let report = TrackerReport { peer_count: response.peers.len(), warning: response.warning };
                let pauses = (response.interval, response.min_interval.unwrap_or(response.interval));
                tier.on_success(cx.now, asked, pauses, response.tracker_id, self.stopping);
                if stats.left > 0 && stats.wants_peers && response.peers.is_empty() {
                    tier.hurry(cx.now);
                }
                tier.tell(cx, stats, Ok(report));
                response.peers
            }
            Err(why) => {
                tier.on_failure(cx, stats, why, self.stopping);
                Vec::new()
            }
        }
    }
}

impl Tier {
    fn new(now: Instant, rng: &mut Rng, urls: Vec<String>) -> Self {
        let mut trackers: Vec<Tracker> = urls.into_iter().map(|url| Tracker { url, id: None }).collect();
        rng.shuffle(&mut trackers);
        Self {
            trackers,
            current: 0,
            failed_count: 0,
            rests: 0,
            next_at: Some(now),
            allowed_at: now,
            in_flight: None,
            started: false,
            owes_completed: false,
        }
    }

    fn announce(&mut self, cx: &mut Cx, index: usize, stats: &Stats, stopping: bool) {
        self.next_at = None;
        let event = match (stopping, self.started, self.owes_completed) {
            (true, ..) => Some(AnnounceEvent::Stopped),
            (false, false, _) => Some(AnnounceEvent::Started),
            (false, true, true) => Some(AnnounceEvent::Completed),
            (false, true, false) => None,
        };
        let Some(tracker) = self.trackers.get(self.current) else { return };
        if !is_http(&tracker.url) {
            return self.on_failure(cx, stats, "not an http or https tracker".to_owned(), stopping);
        }
        let request = AnnounceRequest {
            info_hash: stats.info_hash,
            peer_id: cx.peer_id,
            port: cx.config.listen_port,
            uploaded: stats.uploaded,
            downloaded: stats.downloaded,
            left: stats.left,
            event,
            numwant: if stopping || !stats.wants_peers { 0 } else { NUMWANT },
            key: cx.announce_key,
            tracker_id: tracker.id.as_deref(),
        };
        let url = announce_url(&tracker.url, &request);
        self.in_flight = Some(Asked { event });
        cx.job(Job::Announce { torrent: stats.torrent, tier: index, url });
    }

    fn on_success(
        &mut self,
        now: Instant,
        asked: Asked,
        (interval, min_interval): (Duration, Duration),
        id: Option<Vec<u8>>,
        stopping: bool,
    ) {
        // BEP 12: what works is tried first from now on.
        self.trackers[..=self.current].rotate_right(1);
        self.current = 0;
        self.failed_count = 0;
        self.rests = 0;
        if let Some(tracker) = self.trackers.first_mut().filter(|_| id.is_some()) {
            tracker.id = id;
        }
        self.started = asked.event != Some(AnnounceEvent::Stopped);
        self.owes_completed &= asked.event != Some(AnnounceEvent::Completed);
        self.next_at = if stopping {
            self.started.then_some(now)
        } else {
            Some(if self.owes_completed { now } else { now + interval.max(min_interval) })
        };
        self.allowed_at = now + min_interval;
    }

    /// Moves the next announce to the first time that is allowed, unless it waits because of failures.
    fn hurry(&mut self, now: Instant) {
        if self.started && self.failed_count == 0 && self.rests == 0 {
            self.next_at = self.next_at.map(|at| at.min(self.allowed_at.max(now)));
        }
    }

    fn on_failure(&mut self, cx: &mut Cx, stats: &Stats, why: String, stopping: bool) {
        let failed = self.current;
        self.current = (self.current + 1) % self.trackers.len().max(1);
        self.failed_count += 1;
        self.next_at = if stopping {
            None
        } else if self.failed_count < self.trackers.len() {
            Some(cx.now)
        } else {
            let pause = BACKOFF_START.saturating_mul(1 << self.rests.min(10)).min(BACKOFF_MAX);
            self.failed_count = 0;
            self.rests += 1;
            Some(cx.now + pause)
        };
        self.tell_of(cx, stats, failed, Err(why));
    }

    fn tell(&self, cx: &mut Cx, stats: &Stats, result: Result<TrackerReport, String>) {
        self.tell_of(cx, stats, self.current, result);
    }

    fn tell_of(&self, cx: &mut Cx, stats: &Stats, tracker: usize, result: Result<TrackerReport, String>) {
        let url = self.trackers.get(tracker).map_or_else(String::new, |tracker| tracker.url.clone());
        let next = self.next_at.map(|at| at.since(cx.now));
        cx.event(Event::Tracker { torrent: stats.torrent, url, result, next });
    }
}

fn is_http(url: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::key::Key;
    use crate::output::Output;

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
            let outputs = std::mem::take(&mut self.cx.outbox);
            let urls = outputs.into_iter().filter_map(|output| {
                if let Output::Job(Job::Announce { url, .. }) = output { Some(url) } else { None }
            });
            let show = |url: String| {
                let host = url.split(['/', '?']).nth(2).unwrap_or_default().to_owned();
                let event = url.split("event=").nth(1).map_or("-", |rest| rest.split('&').next().unwrap());
                format!("{host} {event}")
            };
            urls.map(show).collect()
        }

        fn answer(&mut self, tier: usize, answer: Result<&[u8], FetchError>) {
            let answer = answer.map(<[u8]>::to_vec);
            self.announcer.on_answer(&mut self.cx, &self.stats, tier, answer);
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

    #[test]
    fn other_schemes_fail_without_a_job() {
        let mut lab = Lab::new(&[&["udp://a/x"]]);
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
