//! When blocks in flight are asked for a second time.
//!
//! Which of them, and of whom, is the picker's to say.

use std::time::Duration;

use super::download::Download;
use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::peer::Peers;
use crate::piece::BLOCK_LEN;
use crate::rate::Rate;

/// How long the endgame lets blocks in flight come at most before it asks others for them too: at a
/// rate so low that more is in flight, a second copy costs nothing to speak of either.
const ENDGAME_WAIT_MAX: Duration = Duration::from_secs(2);

impl Download {
    /// If the endgame has begun, where it had not `before`: lets what is in flight come for as long
    /// as that takes at the present rate, before it is asked for a second time. Much of it is
    /// already on its way.
    pub(crate) fn note_endgame(&mut self, cx: &mut Cx, down: &Rate, before: bool) {
        if before || !self.picker.in_endgame() {
            return;
        }
        let len = self.picker.asked_count() as u64 * u64::from(BLOCK_LEN);
        let rate = down.per_second_at(cx.now);
        let millis = len.saturating_mul(1000).checked_div(rate).unwrap_or(0);
        let wait = Duration::from_millis(millis).min(ENDGAME_WAIT_MAX);
        self.picker.set_doubling(wait.is_zero());
        self.refill |= wait.is_zero();
        if !wait.is_zero() {
            cx.timers.set(TimerKey::Torrent(self.torrent, TorrentTimer::Endgame), cx.now + wait);
        }
    }
}

impl Torrent {
    /// What is in flight has had its time: peers that have nothing to do may be asked for it too.
    pub(crate) fn on_endgame_timer(&mut self, cx: &mut Cx, peers: &mut Peers) {
        if let Phase::Leeching(download) = &mut self.phase {
            download.picker.set_doubling(true);
            download.refill = true;
        }
        self.refill(cx, peers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::machine::lab::Lab;

    #[test]
    fn what_is_in_flight_has_as_long_to_come_as_it_takes_before_another_is_asked() {
        let mut lab = Lab::new(Config { requests_max: 2, ..Config::default() }, "........");
        let busy = lab.giver(1, "xxxxxxxx");
        let mut requests = lab.requests(busy);
        lab.pass(Duration::from_secs(1));
        for _ in 0..14 {
            let block = requests.remove(0);
            lab.give(busy, block);
            requests.extend(lab.requests(busy));
        }
        assert_eq!(requests.len(), 2, "all that is left, after 14 in a second");
        let idle = lab.giver(2, "xxxxxxxx");
        lab.pass(Duration::from_millis(100));
        assert!(lab.requests(idle).is_empty());
        lab.pass(Duration::from_millis(100));
        assert_eq!(lab.requests(idle).first(), requests.last(), "the youngest first");
    }
}
