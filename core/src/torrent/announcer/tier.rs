//! One tier: which of its trackers is asked, when, and as what event.

use std::time::Duration;

use super::Stats;
use crate::cx::Cx;
use crate::job::Job;
use crate::output::{Event, TrackerReport};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::{AnnounceEvent, AnnounceRequest, announce_url};

/// Peers asked for: a few more than are ever dialled at once.
const NUMWANT: u32 = 100;

/// The pause after every tracker of a tier failed; doubles with each further round.
pub(super) const BACKOFF_START: Duration = Duration::from_secs(15);

/// The longest such pause: an interval as trackers give it.
const BACKOFF_MAX: Duration = Duration::from_secs(30 * 60);

/// The trackers of one tier (BEP 12).
#[derive(Debug)]
pub(super) struct Tier {
    trackers: Vec<Tracker>,
    /// Which tracker is asked now or next.
    current: usize,
    /// How many trackers have failed since one worked or the last rest.
    failed_count: usize,
    /// How many rests since one worked.
    rests: u32,
    /// When to announce next; `None` while that is under way, and when all has been told.
    pub(super) next_at: Option<Instant>,
    /// When the tracker that worked last allows the next announce.
    allowed_at: Instant,
    pub(super) in_flight: Option<Asked>,
    /// Whether a tracker of the tier knows that we are there.
    pub(super) started: bool,
    /// Whether it is still to be told that we have everything.
    pub(super) owes_completed: bool,
}

/// One tracker, and what it wants to be told again.
#[derive(Debug)]
struct Tracker {
    url: String,
    id: Option<Vec<u8>>,
}

/// An announce under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    event: Option<AnnounceEvent>,
}

impl Tier {
    pub(super) fn new(now: Instant, rng: &mut Rng, urls: Vec<String>) -> Self {
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

    pub(super) fn announce(&mut self, cx: &mut Cx, index: usize, stats: &Stats, stopping: bool) {
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

    pub(super) fn on_success(
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
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.started && self.failed_count == 0 && self.rests == 0 {
            self.next_at = self.next_at.map(|at| at.min(self.allowed_at.max(now)));
        }
    }

    pub(super) fn on_failure(&mut self, cx: &mut Cx, stats: &Stats, why: String, stopping: bool) {
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

    pub(super) fn tell(&self, cx: &mut Cx, stats: &Stats, result: Result<TrackerReport, String>) {
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
