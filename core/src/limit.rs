//! Limits of payload per second, and who may move how much of it next.
//!
//! A [`Meter`] stands for one direction. It has a bucket for the session and one for each torrent with a
//! limit of its own; both fill with time and are emptied by what moves. A peer moves what its share
//! allows and then waits in line; every [`TICK`] the first in line get shares of what there is. So a
//! peer that could take everything gets no more than one that could take as much, and nobody who has
//! no use for a share keeps it from others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::key::{PeerKey, TorrentKey};
use crate::piece::BLOCK_LEN;
use crate::time::Instant;

/// Bytes of payload per second; `None`: as many as come. 0 lets nothing move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Received, from peers and web seeds.
    pub down: Option<u64>,
    /// Sent to peers.
    pub up: Option<u64>,
}

/// Time between two looks at the line: short against the seconds over which a limit is felt, and
/// long enough that a limited session sleeps most of the time.
const TICK: Duration = Duration::from_millis(20);

/// What a bucket holds at most, as time: a late tick loses nothing, and after a pause no more than
/// a hundredth of what five seconds bring moves at once.
const BURST: Duration = Duration::from_millis(50);

/// Who moves payload: a connection or web seed, and its torrent.
pub(crate) type Mover = (TorrentKey, PeerKey);

/// Both directions.
#[derive(Debug)]
pub(crate) struct Limiter {
    pub(crate) down: Meter,
    pub(crate) up: Meter,
    /// When the line is looked at next, as the session's timer has it.
    pub(crate) tick_at: Option<Instant>,
}

/// The smallest share: blocks are counted as a whole, when the last byte of one has come, and when one
/// is about to be read for a peer.
const SHARE_MIN: u64 = BLOCK_LEN as u64;

impl Limiter {
    pub(crate) const fn new() -> Self {
        Self { down: Meter::new(), up: Meter::new(), tick_at: None }
    }

    /// Sets the limits of a torrent, or of the session, from now on.
    pub(crate) fn set(&mut self, now: Instant, torrent: Option<TorrentKey>, limits: Limits) {
        self.down.set(now, torrent, limits.down);
        self.up.set(now, torrent, limits.up);
    }

    /// When somebody in line may move something, on a tick after `now`.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.down.line.is_empty() && self.up.line.is_empty() {
            return None;
        }
        let ready = [&self.down, &self.up].into_iter().filter_map(Meter::ready_at).min()?;
        let ticks = ready.max(now).since_start().as_nanos() / TICK.as_nanos() + 1;
        Some(Instant::from_start(TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))))
    }

    /// Forgets a connection.
    pub(crate) fn forget(&mut self, mover: Mover) {
        self.down.forget(mover);
        self.up.forget(mover);
    }

    /// Forgets a torrent, with its limit.
    pub(crate) fn forget_torrent(&mut self, torrent: TorrentKey) {
        self.down.forget_torrent(torrent);
        self.up.forget_torrent(torrent);
    }
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Meter {
    session: Option<Bucket>,
    torrents: BTreeMap<TorrentKey, Bucket>,
    /// What each may still move; 0: it is in line.
    shares: BTreeMap<Mover, u64>,
    line: VecDeque<Mover>,
}

impl Meter {
    const fn new() -> Self {
        Self { session: None, torrents: BTreeMap::new(), shares: BTreeMap::new(), line: VecDeque::new() }
    }

    fn set(&mut self, now: Instant, torrent: Option<TorrentKey>, rate: Option<u64>) {
        let bucket = rate.map(|rate| Bucket::new(now, rate));
        match (torrent, bucket) {
            (None, bucket) => self.session = bucket,
            (Some(torrent), Some(bucket)) => _ = self.torrents.insert(torrent, bucket),
            (Some(torrent), None) => _ = self.torrents.remove(&torrent),
        }
    }

    /// Whether a limit holds for this torrent.
    pub(crate) fn limits(&self, torrent: TorrentKey) -> bool {
        self.session.is_some() || (!self.torrents.is_empty() && self.torrents.contains_key(&torrent))
    }

    /// What `mover` may move now. It gets in line if that is nothing.
    pub(crate) fn share(&mut self, mover: Mover) -> u64 {
        if !self.limits(mover.0) {
            return u64::MAX;
        }
        *self.shares.entry(mover).or_insert_with(|| {
            self.line.push_back(mover);
            0
        })
    }

    /// As [`Meter::share`], and nobody gets in line.
    pub(crate) fn share_of(&self, mover: Mover) -> u64 {
        if self.limits(mover.0) { self.shares.get(&mover).copied().unwrap_or(u64::MAX) } else { u64::MAX }
    }

    /// Whether `mover` is in line.
    pub(crate) fn holds(&self, mover: Mover) -> bool {
        self.share_of(mover) == 0
    }

    /// Whether anybody of this torrent is in line.
    pub(crate) fn holds_any(&self, torrent: TorrentKey) -> bool {
        self.limits(torrent) && self.line.iter().any(|mover| mover.0 == torrent)
    }

    /// Counts `len` bytes that moved, or are about to. True if `mover` may move nothing more now.
    pub(crate) fn charge(&mut self, now: Instant, mover: Mover, len: u64) -> bool {
        if len == 0 || !self.limits(mover.0) {
            return false;
        }
        let torrent = self.torrents.get_mut(&mover.0);
        self.session.iter_mut().chain(torrent).for_each(|bucket| bucket.take(now, len));
        let share = self.shares.entry(mover).or_insert(len);
        let was_in_line = *share == 0;
        *share = share.saturating_sub(len);
        let used_up = *share == 0;
        if used_up && !was_in_line {
            self.line.push_back(mover);
        }
        used_up
    }

    /// Takes back a charge for what did not move.
    pub(crate) fn give_back(&mut self, torrent: TorrentKey, len: u64) {
        let torrent = self.torrents.get_mut(&torrent);
        self.session.iter_mut().chain(torrent).for_each(|bucket| bucket.give_back(len));
    }

    fn forget(&mut self, mover: Mover) {
        if self.shares.remove(&mover) == Some(0) {
            self.line.retain(|other| *other != mover);
        }
    }

    fn forget_torrent(&mut self, torrent: TorrentKey) {
        self.torrents.remove(&torrent);
        self.shares.retain(|mover, _| mover.0 != torrent);
        self.line.retain(|mover| mover.0 != torrent);
    }

    /// Gives the first in line their shares, and tells who has got one.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Mover> {
        let mut waiting: BTreeMap<TorrentKey, u64> = BTreeMap::new();
        for mover in &self.line {
            *waiting.entry(mover.0).or_default() += 1;
        }
        let mut session = self.session.as_mut().map(|bucket| {
            let room = bucket.room(now);
            Pot::new(room, self.line.len() as u64)
        });
        let mut pots: BTreeMap<TorrentKey, Pot> = BTreeMap::new();
        for (torrent, count) in waiting {
            if let Some(bucket) = self.torrents.get_mut(&torrent) {
                pots.insert(torrent, Pot::new(bucket.room(now), count));
            }
        }
        let mut lucky = Vec::new();
        let mut rest = VecDeque::with_capacity(self.line.len());
        for mover in std::mem::take(&mut self.line) {
            let pot = pots.get_mut(&mover.0);
            let limits = session.iter_mut().chain(pot).collect::<Vec<_>>();
            let share = limits.iter().map(|pot| pot.share()).min();
            match share {
                Some(0) => rest.push_back(mover),
                Some(share) => {
                    limits.into_iter().for_each(|pot| pot.left = pot.left.saturating_sub(share));
                    self.shares.insert(mover, share);
                    lucky.push(mover);
                }
                // Its limit is gone.
                None => {
                    self.shares.remove(&mover);
                    lucky.push(mover);
                }
            }
        }
        self.line = rest;
        lucky
    }

    /// When a bucket that somebody waits for has something.
    fn ready_at(&self) -> Option<Instant> {
        let own = |mover: &Mover| self.torrents.get(&mover.0);
        let of_torrents =
            self.line.iter().map(|mover| own(mover).map_or(Some(Instant::START), Bucket::ready_at));
        let first = of_torrents.flatten().min()?;
        self.session.as_ref().map_or(Some(first), |session| session.ready_at().map(|at| at.max(first)))
    }
}

/// What a bucket gives in one tick, and to each.
#[derive(Debug)]
struct Pot {
    left: u64,
    each: u64,
}

impl Pot {
    fn new(room: u64, count: u64) -> Self {
        Self { left: room, each: (room / count.max(1)).max(SHARE_MIN) }
    }

    /// The next share. The last may be more than is left: that is owed, and earned before the next.
    const fn share(&self) -> u64 {
        if self.left == 0 { 0 } else { self.each }
    }
}

/// Bytes that may move, filled by time.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    /// Below zero: owed.
    bytes: i64,
    at: Instant,
}

impl Bucket {
    const fn new(now: Instant, rate: u64) -> Self {
        Self { rate, bytes: 0, at: now }
    }

    fn fill(&mut self, now: Instant) {
        let nanos = now.since(self.at).as_nanos();
        let grown = u128::from(self.rate).saturating_mul(nanos) / NANOS;
        if grown == 0 {
            return;
        }
        // Only the time that made whole bytes is spent.
        let spent =
            Duration::from_nanos(u64::try_from(grown * NANOS / u128::from(self.rate)).unwrap_or(u64::MAX));
        self.at = self.at + spent;
        let max = i64::try_from(u128::from(self.rate) * BURST.as_nanos() / NANOS).unwrap_or(i64::MAX).max(1);
        self.bytes = self.bytes.saturating_add(i64::try_from(grown).unwrap_or(i64::MAX)).min(max);
    }

    fn take(&mut self, now: Instant, len: u64) {
        self.fill(now);
        self.bytes = self.bytes.saturating_sub(i64::try_from(len).unwrap_or(i64::MAX));
    }

    fn give_back(&mut self, len: u64) {
        self.bytes = self.bytes.saturating_add(i64::try_from(len).unwrap_or(i64::MAX));
    }

    fn room(&mut self, now: Instant) -> u64 {
        self.fill(now);
        u64::try_from(self.bytes).unwrap_or(0)
    }

    /// When there is something in it; `None`: never.
    fn ready_at(&self) -> Option<Instant> {
        if self.rate == 0 && self.bytes <= 0 {
            return None;
        }
        let wanted = u128::from(1_i64.saturating_sub(self.bytes).max(0).unsigned_abs());
        let nanos = (wanted * NANOS).div_ceil(u128::from(self.rate.max(1)));
        Some(self.at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// Nanoseconds of a second.
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn at(millis: u64) -> Instant {
        Instant::from_start(Duration::from_millis(millis))
    }

    fn mover(torrent: u32, peer: u32) -> Mover {
        (TorrentKey::new(torrent, 0), PeerKey::new(peer, 0))
    }

    /// Everyone in `movers` takes all it may for `seconds`; what each got.
    fn run(meter: &mut Meter, movers: &[Mover], seconds: u64) -> Vec<u64> {
        let mut got = vec![0; movers.len()];
        movers.iter().for_each(|mover| _ = meter.share(*mover));
        for step in 1..=seconds * 50 {
            for lucky in meter.tick(at(step * 20)) {
                if let Some(index) = movers.iter().position(|mover| *mover == lucky) {
                    let share = meter.share(lucky);
                    meter.charge(at(step * 20), lucky, share);
                    got[index] += share;
                }
            }
        }
        got
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut limiter = Limiter::new();
        assert_eq!(limiter.down.share(mover(0, 0)), u64::MAX);
        assert!(!limiter.down.charge(at(0), mover(0, 0), 1 << 40));
        assert_eq!(limiter.wake_at(at(0)), None);
    }

    #[test]
    fn a_limit_is_used_up_and_shared_alike() {
        for count in [1, 3, 70] {
            let mut meter = Meter::new();
            meter.set(at(0), None, Some(500_000));
            let movers: Vec<Mover> = (0..count).map(|peer| mover(peer % 2, peer)).collect();
            let got = run(&mut meter, &movers, 20);
            let (sum, fair) = (got.iter().sum::<u64>(), 10_000_000 / u64::from(count));
            assert!((9_900_000..=10_050_000).contains(&sum), "{count}: {sum}");
            assert!(got.iter().all(|got| got.abs_diff(fair) <= fair / 10 + SHARE_MIN), "{count}: {got:?}");
        }
    }

    #[test]
    fn a_torrent_s_own_limit_holds_beside_the_session_s() {
        let mut meter = Meter::new();
        meter.set(at(0), None, Some(500_000));
        meter.set(at(0), Some(mover(1, 0).0), Some(100_000));
        let got = run(&mut meter, &[mover(0, 0), mover(1, 1), mover(1, 2)], 20);
        assert!((1_950_000..=2_020_000).contains(&(got[1] + got[2])), "{got:?}");
        assert!((9_850_000..=10_050_000).contains(&got.iter().sum::<u64>()), "{got:?}");
    }

    #[test]
    fn who_uses_nothing_keeps_nothing_from_others() {
        let mut meter = Meter::new();
        meter.set(at(0), None, Some(500_000));
        (0..20).for_each(|peer| _ = meter.share(mover(0, peer)));
        let got = run(&mut meter, &[mover(0, 99)], 20);
        assert!((9_850_000..=10_050_000).contains(&got[0]), "{got:?}");
    }

    #[test]
    fn a_limit_of_nothing_wakes_nobody_and_its_end_lets_everyone_go() {
        let mut limiter = Limiter::new();
        limiter.set(at(0), None, Limits { down: Some(0), up: None });
        assert_eq!(limiter.down.share(mover(0, 0)), 0);
        assert_eq!(limiter.wake_at(at(5)), None);
        assert!(limiter.down.tick(at(5)).is_empty());
        limiter.set(at(6), None, Limits::default());
        assert_eq!(limiter.wake_at(at(6)), Some(at(20)));
        assert_eq!(limiter.down.tick(at(20)), [mover(0, 0)]);
        assert_eq!((limiter.wake_at(at(20)), limiter.down.share(mover(0, 0))), (None, u64::MAX));
    }

    #[test]
    fn absurd_limits_overflow_nothing() {
        let mut meter = Meter::new();
        for rate in [1, u64::MAX] {
            meter.set(at(0), None, Some(rate));
            meter.share(mover(0, 0));
            meter.charge(at(0), mover(0, 0), u64::MAX);
            meter.charge(at(0), mover(0, 0), u64::MAX);
            meter.tick(Instant::from_start(Duration::MAX));
            let _ = meter.ready_at();
            meter.give_back(mover(0, 0).0, u64::MAX);
        }
    }

    #[test]
    fn who_is_gone_is_not_given_anything() {
        let mut limiter = Limiter::new();
        limiter.set(at(0), None, Limits { down: Some(1000), up: Some(1000) });
        limiter.down.share(mover(0, 0));
        limiter.forget(mover(0, 0));
        assert_eq!((limiter.wake_at(at(0)), limiter.down.tick(at(100)).len()), (None, 0));
    }
}
