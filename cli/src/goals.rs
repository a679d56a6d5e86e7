//! When a torrent's work is over: seed ratio, seed time, and giving up. Pure: figures in, verdict out.
//!
//! Also tells that a download stalls, and for how long; why is the core's to say.

use std::time::Duration;

use peerless_core::{Instant, Progress, StallReason, State};

/// No payload for so long is worth a word; then it is said again as often.
///
/// Long enough for a tracker, a handshake and a turn of the choker, which is every 10 s.
const STALL_INTERVAL: Duration = Duration::from_secs(10);

/// What the user wants of a torrent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goals {
    /// What to do once all is there.
    pub then: Then,
    /// Give up after so long without a new piece.
    pub stop_timeout: Option<Duration>,
}

/// What to do with a torrent that is complete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    /// Be done with it.
    Exit,
    /// Seed until stopped.
    Seed,
    /// Seed until the first of these.
    SeedUntil {
        /// So many times the torrent's size has been sent in this run.
        ratio: Option<f64>,
        /// So long since it was complete.
        time: Option<Duration>,
    },
}

impl Then {
    /// What the flags mean: a ratio or time ends what would last until stopped.
    #[must_use]
    pub const fn new(seed: bool, ratio: Option<f64>, time: Option<Duration>) -> Self {
        match (seed, ratio, time) {
            (_, Some(_), _) | (_, _, Some(_)) => Self::SeedUntil { ratio, time },
            (true, None, None) => Self::Seed,
            (false, None, None) => Self::Exit,
        }
    }
}

/// That a torrent's work is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that was wanted is done.
    Reached,
    /// No new piece for the stop timeout.
    GaveUp,
}

/// Its name in JSON.
#[must_use]
pub const fn stall_name(reason: StallReason) -> &'static str {
    match reason {
        StallReason::MetadataNone => "metadata_none",
        StallReason::NoPeers => "no_peers",
        StallReason::AllChoked => "all_choked",
        StallReason::NoWantedPieces => "no_wanted_pieces",
        StallReason::PeersSlow => "peers_slow",
        StallReason::DiskBehind => "disk_behind",
        StallReason::RateLimited => "rate_limited",
    }
}

/// Why nothing comes, in words.
#[must_use]
pub fn stall_words(reason: StallReason, progress: &Progress) -> String {
    let peers = match progress.peer_count {
        1 => "1 peer".to_owned(),
        count => format!("{count} peers"),
    };
    match reason {
        StallReason::MetadataNone if progress.peer_count == 0 => {
            "no peers yet to ask for the metadata".to_owned()
        }
        StallReason::MetadataNone => format!("{peers}, none has sent the metadata yet"),
        StallReason::NoPeers if progress.candidate_count == 0 => "no peers known".to_owned(),
        StallReason::NoPeers => format!("no peers connected, {} known", progress.candidate_count),
        StallReason::AllChoked => format!("{peers}, none lets us download"),
        StallReason::NoWantedPieces => format!("{peers}, none has what is missing"),
        StallReason::PeersSlow if progress.peer_count == 0 => "web seeds send nothing".to_owned(),
        StallReason::PeersSlow => format!("{peers}, asked and slow to send"),
        StallReason::DiskBehind => "the disk is behind".to_owned(),
        StallReason::RateLimited => "the limit on downloads is used up".to_owned(),
    }
}

/// Nothing has come for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// For so long.
    pub time: Duration,
    /// Why.
    pub reason: StallReason,
}

/// Watches one torrent's figures.
#[derive(Clone, Debug)]
pub struct Watch {
    goals: Goals,
    completed_at: Option<Instant>,
    have_count: u32,
    piece_at: Instant,
    downloaded_len: u64,
    payload_at: Instant,
    stall_told_at: Instant,
    /// Bytes of metadata when they last changed.
    metadata_len: u64,
}

impl Watch {
    /// A watch that begins at `now`.
    #[must_use]
    pub const fn new(goals: Goals, now: Instant) -> Self {
        Self {
            goals,
            completed_at: None,
            have_count: 0,
            piece_at: now,
            downloaded_len: 0,
            payload_at: now,
            stall_told_at: now,
            metadata_len: 0,
        }
    }

    /// Takes in that the torrent is complete.
    pub fn on_complete(&mut self, now: Instant, progress: &Progress) -> Option<Verdict> {
        self.completed_at.get_or_insert(now);
        self.seeded(now, progress)
    }

    /// Takes in that what is there is served from now on, whether it is all or not.
    pub fn on_serving(&mut self, now: Instant) {
        self.completed_at.get_or_insert(now);
    }

    /// Whether the torrent is complete, or only served.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.completed_at.is_some()
    }

    /// Takes in the torrent's figures.
    pub fn on_progress(&mut self, now: Instant, progress: &Progress) -> Option<Verdict> {
        match progress.state {
            State::Metadata if progress.done_len != self.metadata_len => {
                self.metadata_len = progress.done_len;
                (self.piece_at, self.payload_at, self.stall_told_at) = (now, now, now);
            }
            State::Metadata | State::Leeching => {}
            State::Checking | State::Seeding | State::Stopped => {
                (self.piece_at, self.payload_at, self.stall_told_at) = (now, now, now);
                return self.seeded(now, progress);
            }
        }
        if progress.have_count > self.have_count {
            (self.have_count, self.piece_at) = (progress.have_count, now);
        }
        if progress.downloaded_len > self.downloaded_len {
            (self.downloaded_len, self.payload_at) = (progress.downloaded_len, now);
            self.stall_told_at = now;
        }
        let timeout = self.goals.stop_timeout?;
        (now.since(self.piece_at) >= timeout).then_some(Verdict::GaveUp)
    }

    /// A stall that is to be told now. To be asked after [`Watch::on_progress`].
    pub fn stall(&mut self, now: Instant, progress: &Progress) -> Option<Stall> {
        let wants = matches!(progress.state, State::Metadata | State::Leeching);
        if !wants || now.since(self.stall_told_at) < STALL_INTERVAL {
            return None;
        }
        self.stall_told_at = now;
        Some(Stall { time: now.since(self.payload_at), reason: progress.stall? })
    }

    fn seeded(&self, now: Instant, progress: &Progress) -> Option<Verdict> {
        let since = now.since(self.completed_at?);
        let reached = match self.goals.then {
            Then::Exit => true,
            Then::Seed => false,
            Then::SeedUntil { ratio, time } => {
                ratio.is_some_and(|ratio| sent_ratio(progress) >= ratio)
                    || time.is_some_and(|time| since >= time)
            }
        };
        reached.then_some(Verdict::Reached)
    }
}

/// How many times the torrent's size has been sent.
#[expect(clippy::cast_precision_loss, reason = "a ratio is right to 15 digits")]
fn sent_ratio(progress: &Progress) -> f64 {
    progress.uploaded_len as f64 / progress.wanted_len.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_start(Duration::from_secs(secs))
    }

    fn figures(state: State) -> Progress {
        Progress {
            state,
            done_len: 0,
            wanted_len: 1000,
            have_count: 0,
            piece_count: 10,
            downloaded_len: 0,
            uploaded_len: 0,
            wasted_len: 0,
            down_rate: 0,
            up_rate: 0,
            stall: Some(StallReason::NoPeers),
            peer_count: 0,
            seed_count: 0,
            unchoked_count: 0,
            web_seed_count: 0,
            candidate_count: 0,
        }
    }

    fn watch(then: Then, stop_timeout: Option<u64>) -> Watch {
        let stop_timeout = stop_timeout.map(Duration::from_secs);
        Watch::new(Goals { then, stop_timeout }, at(0))
    }

    #[test]
    fn flags_mean_what_they_say() {
        assert_eq!(Then::new(false, None, None), Then::Exit);
        assert_eq!(Then::new(true, None, None), Then::Seed);
        let until = Then::SeedUntil { ratio: Some(1.0), time: None };
        assert_eq!(Then::new(true, Some(1.0), None), until);
        assert_eq!(Then::new(false, Some(1.0), None), until);
    }

    #[test]
    fn a_download_ends_when_complete_unless_told_to_seed() {
        let done = figures(State::Seeding);
        assert_eq!(watch(Then::Exit, None).on_complete(at(5), &done), Some(Verdict::Reached));
        let mut seed = watch(Then::Seed, Some(1));
        assert_eq!(seed.on_complete(at(5), &done), None);
        assert_eq!(seed.on_progress(at(1_000_000), &done), None);
    }

    #[test]
    fn the_first_of_ratio_and_time_ends_seeding() {
        let then = Then::SeedUntil { ratio: Some(2.0), time: Some(Duration::from_secs(60)) };
        let mut progress = figures(State::Seeding);
        let mut by_time = watch(then, None);
        assert_eq!(by_time.on_progress(at(100), &progress), None, "not complete yet");
        assert_eq!(by_time.on_complete(at(100), &progress), None);
        assert_eq!(by_time.on_progress(at(159), &progress), None);
        assert_eq!(by_time.on_progress(at(160), &progress), Some(Verdict::Reached));
        let mut by_ratio = watch(then, None);
        assert_eq!(by_ratio.on_complete(at(100), &progress), None);
        progress.uploaded_len = 1999;
        assert_eq!(by_ratio.on_progress(at(101), &progress), None);
        progress.uploaded_len = 2000;
        assert_eq!(by_ratio.on_progress(at(102), &progress), Some(Verdict::Reached));
    }

    #[test]
    fn giving_up_counts_from_the_last_piece_and_not_while_checking() {
        let mut watch = watch(Then::Exit, Some(30));
        assert_eq!(watch.on_progress(at(100), &figures(State::Checking)), None);
        let mut progress = figures(State::Leeching);
        assert_eq!(watch.on_progress(at(129), &progress), None);
        progress.have_count = 1;
        assert_eq!(watch.on_progress(at(129), &progress), None);
        progress.downloaded_len = 7; // Bytes alone are no piece.
        assert_eq!(watch.on_progress(at(158), &progress), None);
        assert_eq!(watch.on_progress(at(159), &progress), Some(Verdict::GaveUp));
    }

    #[test]
    fn a_stall_is_told_every_ten_seconds_until_payload_comes() {
        let mut watch = watch(Then::Exit, None);
        let mut progress = figures(State::Leeching);
        let mut told = Vec::new();
        for secs in 1..=35 {
            if secs == 25 {
                progress.downloaded_len = 1;
            }
            watch.on_progress(at(secs), &progress);
            told.extend(watch.stall(at(secs), &progress).map(|stall| (secs, stall.time.as_secs())));
        }
        assert_eq!(told, [(10, 10), (20, 20), (35, 10)]);
    }

    #[test]
    fn metadata_that_does_not_come_is_a_stall_and_what_comes_counts_as_a_piece() {
        let mut watch = watch(Then::Exit, Some(30));
        let mut progress = figures(State::Metadata);
        progress.stall = Some(StallReason::MetadataNone);
        assert_eq!(watch.on_progress(at(29), &progress), None);
        assert_eq!(watch.stall(at(29), &progress).map(|stall| stall.reason), Some(StallReason::MetadataNone));
        progress.done_len = 16_384;
        assert_eq!(watch.on_progress(at(30), &progress), None);
        assert_eq!(watch.on_progress(at(59), &progress), None);
        assert_eq!(watch.on_progress(at(60), &progress), Some(Verdict::GaveUp));
    }

    #[test]
    fn words_for_a_stall_tell_whom_it_is_about() {
        let words = |reason, peer_count, candidate_count| {
            stall_words(reason, &Progress { peer_count, candidate_count, ..figures(State::Leeching) })
        };
        for (reason, peer_count, known, want) in [
            (StallReason::NoPeers, 0, 0, "no peers known"),
            (StallReason::NoPeers, 0, 7, "no peers connected, 7 known"),
            (StallReason::AllChoked, 12, 20, "12 peers, none lets us download"),
            (StallReason::NoWantedPieces, 1, 1, "1 peer, none has what is missing"),
            (StallReason::PeersSlow, 2, 2, "2 peers, asked and slow to send"),
            (StallReason::PeersSlow, 0, 0, "web seeds send nothing"),
            (StallReason::MetadataNone, 3, 3, "3 peers, none has sent the metadata yet"),
            (StallReason::MetadataNone, 0, 0, "no peers yet to ask for the metadata"),
        ] {
            assert_eq!(words(reason, peer_count, known), want);
        }
    }
}
