//! One tier: which of its trackers is asked, when, and as what event.

use std::time::Duration;

use super::Stats;
use crate::cx::Cx;
use crate::output::{Event, TrackerReport};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::{
    AnnounceError, AnnounceEvent, AnnounceRequest, AnnounceResponse, Ask, Asker, Patience, Question, Retry,
};

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
    /// Whether we leave it: who knows us is told, and that is all.
    pub(super) leaving: bool,
}

/// One tracker, and what it wants to be told again.
#[derive(Debug)]
struct Tracker {
    url: String,
    id: Option<Vec<u8>>,
    /// When it may be asked again, if it has said so while it refused (BEP 31).
    retry: Option<RetryAt>,
}

#[derive(Clone, Copy, Debug)]
enum RetryAt {
    Time(Instant),
    Never,
}

impl Tracker {
    fn may_be_asked(&self, now: Instant) -> bool {
        match self.retry {
            Some(RetryAt::Never) => false,
            Some(RetryAt::Time(time)) => time <= now,
            None => true,
        }
    }
}

/// An announce under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    event: Option<AnnounceEvent>,
    /// Whether it has been answered; there may be more to come.
    answered: bool,
    /// Whether what is still to come may be given up at any time: it comes by datagrams.
    by_datagrams: bool,
}

impl Tier {
    pub(super) fn new(now: Instant, rng: &mut Rng, urls: Vec<String>) -> Self {
        let mut trackers: Vec<Tracker> =
            urls.into_iter().map(|url| Tracker { url, id: None, retry: None }).collect();
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
            leaving: false,
        }
    }

    /// The announce URLs of its trackers.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        self.trackers.iter().map(|tracker| tracker.url.as_str())
    }

    /// When to announce next: not while an announce is waited for. What is still to come of one that
    /// has been answered is given up, unless it is a GET, which a later one could overtake.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let is_free = self.in_flight.is_none_or(|asked| asked.answered && asked.by_datagrams);
        self.next_at.filter(|_| is_free)
    }

    pub(super) fn announce(&mut self, cx: &mut Cx, index: usize, stats: &Stats) {
        self.next_at = None;
        let event = match (self.leaving, self.started, self.owes_completed) {
            (true, ..) => Some(AnnounceEvent::Stopped),
            (false, false, _) => Some(AnnounceEvent::Started),
            (false, true, true) => Some(AnnounceEvent::Completed),
            (false, true, false) => None,
        };
        if !self.leaving && !self.turn_to_one_that_may_be_asked(cx.now) {
            return;
        }
        let Some(tracker) = self.trackers.get(self.current) else { return };
        let request = AnnounceRequest {
            info_hash: stats.info_hash,
            peer_id: cx.peer_id,
            port: cx.config.listen_port,
            uploaded: stats.uploaded,
            downloaded: stats.downloaded,
            left: stats.left,
            event,
            numwant: if self.leaving || !stats.wants_peers { 0 } else { NUMWANT },
            key: cx.announce_key,
            tracker_id: tracker.id.as_deref(),
        };
        let question = match Question::announce(&tracker.url, &request) {
            Ok(question) => question,
            Err(error) => return self.on_failure(cx, stats, &error),
        };
        let patience = match (self.leaving, self.trackers.len()) {
            (true, _) => Patience::Parting,
            (false, 1) => Patience::Long,
            (false, _) => Patience::Short,
        };
        let by_datagrams = matches!(question, Question::Udp(..));
        self.in_flight = Some(Asked { event, answered: false, by_datagrams });
        cx.asks.push(Ask { asker: Asker::Tier { torrent: stats.torrent, tier: index }, question, patience });
    }

    /// Makes the next tracker that has not refused for longer the current one. If there is none, the
    /// tier waits for the first.
    fn turn_to_one_that_may_be_asked(&mut self, now: Instant) -> bool {
        let count = self.trackers.len();
        let from_current = (0..count).map(|step| (self.current + step) % count);
        let is_free = |at: &usize| self.trackers.get(*at).is_some_and(|tracker| tracker.may_be_asked(now));
        if let Some(at) = from_current.into_iter().find(is_free) {
            self.current = at;
            return true;
        }
        let times = self.trackers.iter().filter_map(|tracker| match tracker.retry {
            Some(RetryAt::Time(time)) => Some(time),
            Some(RetryAt::Never) | None => None,
        });
        self.next_at = times.min();
        false
    }

    /// An answer has come: gives whether it is the first to this announce.
    pub(super) fn on_success(
        &mut self,
        now: Instant,
        asked: &mut Asked,
        response: &AnnounceResponse,
    ) -> bool {
        if std::mem::replace(&mut asked.answered, true) {
            return false;
        }
        // BEP 12: what works is tried first from now on.
        self.trackers[..=self.current].rotate_right(1);
        self.current = 0;
        self.failed_count = 0;
        self.rests = 0;
        if let Some(tracker) = self.trackers.first_mut() {
            tracker.retry = None;
            if response.tracker_id.is_some() {
                tracker.id.clone_from(&response.tracker_id);
            }
        }
        self.started = asked.event != Some(AnnounceEvent::Stopped);
        self.owes_completed &= asked.event != Some(AnnounceEvent::Completed);
        let min_interval = response.min_interval.unwrap_or(response.interval);
        self.next_at = if self.leaving {
            self.started.then_some(now)
        } else {
            Some(if self.owes_completed { now } else { now + response.interval.max(min_interval) })
        };
        self.allowed_at = now + min_interval;
        true
    }

    /// We leave: a tracker that knows us is told. What was asked over datagrams is waited for no more;
    /// a GET is, since a later one could overtake it.
    pub(super) fn leave(&mut self, now: Instant) {
        self.leaving = true;
        self.in_flight.take_if(|asked| asked.by_datagrams);
        self.next_at = (self.started && self.in_flight.is_none()).then_some(now);
    }

    /// Moves the next announce to the first time that is allowed, unless it waits because of failures.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.started && self.failed_count == 0 && self.rests == 0 {
            self.next_at = self.next_at.map(|at| at.min(self.allowed_at.max(now)));
        }
    }

    pub(super) fn on_failure(&mut self, cx: &mut Cx, stats: &Stats, error: &AnnounceError) {
        let failed = self.current;
        self.current = (self.current + 1) % self.trackers.len().max(1);
        let retry = self.note_refusal(cx.now, failed, error);
        self.failed_count += usize::from(retry.is_none());
        self.next_at = if self.leaving {
            None
        } else if self.failed_count < self.trackers.iter().filter(|it| it.may_be_asked(cx.now)).count() {
            Some(cx.now)
        } else {
            let pause = BACKOFF_START.saturating_mul(1 << self.rests.min(10)).min(BACKOFF_MAX);
            self.failed_count = 0;
            self.rests += 1;
            Some(cx.now + pause)
        };
        if !self.leaving {
            self.turn_to_one_that_may_be_asked(cx.now);
        }
        self.tell_of(cx, stats, failed, Err(error.to_string()));
    }

    /// Keeps what a refusal says about when to come again, and gives it.
    fn note_refusal(&mut self, now: Instant, failed: usize, error: &AnnounceError) -> Option<RetryAt> {
        let AnnounceError::Failure { retry: Some(retry), .. } = error else { return None };
        let tracker = self.trackers.get_mut(failed)?;
        tracker.retry = Some(match retry {
            Retry::In(time) => RetryAt::Time(now + *time),
            Retry::Never => RetryAt::Never,
        });
        tracker.retry
    }

    /// No answer so far; it is asked again meanwhile.
    pub(super) fn on_silence(&self, cx: &mut Cx, stats: &Stats, wait: Duration) {
        let url = self.url(self.current);
        let result = Err("no answer so far, asked again".to_owned());
        cx.event(Event::Tracker { torrent: stats.torrent, url, result, next: Some(wait) });
    }

    pub(super) fn tell(&self, cx: &mut Cx, stats: &Stats, result: Result<TrackerReport, String>) {
        self.tell_of(cx, stats, self.current, result);
    }

    fn tell_of(&self, cx: &mut Cx, stats: &Stats, tracker: usize, result: Result<TrackerReport, String>) {
        let next = self.next_at.map(|at| at.since(cx.now));
        cx.event(Event::Tracker { torrent: stats.torrent, url: self.url(tracker), result, next });
    }

    fn url(&self, tracker: usize) -> String {
        self.trackers.get(tracker).map_or_else(String::new, |tracker| tracker.url.clone())
    }
}
