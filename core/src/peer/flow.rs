//! BEP 3's two bits at either end of a connection.

use super::PeerError;
use crate::time::Instant;
use std::time::Duration;

/// A choke sooner after an unchoke than this is of no use to anybody.
const FLAP_TIME: Duration = Duration::from_secs(1);

/// How many more such chokes than others there may be. Each has us give back what we have asked
/// for and ask others for it, so they are not free. An honest peer chokes in rounds of seconds.
const FLAPS_MAX: u32 = 100;

/// Choke and interest, as both sides have last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// We answer no requests.
    pub(crate) am_choking: bool,
    /// We want something that the peer has.
    pub(crate) am_interested: bool,
    /// The peer answers no requests.
    pub(crate) peer_choking: bool,
    /// The peer wants something that we have.
    pub(crate) peer_interested: bool,
    /// When the peer last let us request, unless we have wanted nothing since.
    unchoked_at: Option<Instant>,
    /// Its chokes soon after, less its others.
    flap_count: u32,
}

impl Flow {
    /// We want something of the peer, or nothing any more. A choke that comes then is an answer to
    /// that: two leeches that are as far as each other change their minds with each piece.
    pub(crate) fn set_interest(&mut self, interested: bool) {
        self.am_interested = interested;
        if !interested {
            self.unchoked_at = None;
        }
    }

    /// The peer lets us request; false if it did already.
    pub(crate) fn on_unchoke(&mut self, now: Instant) -> bool {
        self.unchoked_at = Some(now);
        std::mem::take(&mut self.peer_choking)
    }

    /// The peer answers no more requests; an error if it does so again and again.
    pub(crate) fn on_choke(&mut self, now: Instant) -> Result<(), PeerError> {
        self.peer_choking = true;
        let Some(unchoked_at) = self.unchoked_at.take() else { return Ok(()) };
        if now.since(unchoked_at) >= FLAP_TIME {
            self.flap_count = self.flap_count.saturating_sub(1);
            return Ok(());
        }
        self.flap_count += 1;
        if self.flap_count > FLAPS_MAX { Err(PeerError::Flapping) } else { Ok(()) }
    }
}

impl Default for Flow {
    /// BEP 3: "Connections start out choked and not interested."
    fn default() -> Self {
        Self {
            am_choking: true,
            am_interested: false,
            peer_choking: true,
            peer_interested: false,
            unchoked_at: None,
            flap_count: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chokes_in_quick_succession_are_not_endured_for_ever() {
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        let (mut quick, mut slow) = (Flow::default(), Flow::default());
        for round in 0..u64::from(FLAPS_MAX) {
            assert!(quick.on_unchoke(at(0)) && !quick.on_unchoke(at(0)));
            assert_eq!((quick.on_choke(at(0)), quick.on_choke(at(0))), (Ok(()), Ok(())));
            slow.on_unchoke(at(10 * round));
            assert_eq!(slow.on_choke(at(10 * round + 5)), Ok(()));
        }
        quick.on_unchoke(at(1));
        assert_eq!(quick.on_choke(at(1)), Err(PeerError::Flapping));
        assert_eq!(slow.flap_count, 0);
    }

    #[test]
    fn who_chokes_us_because_we_want_nothing_does_not_flap() {
        let mut flow = Flow::default();
        for second in 0..u64::from(FLAPS_MAX) * 2 {
            let now = Instant::from_start(Duration::from_secs(second));
            flow.set_interest(true);
            flow.on_unchoke(now);
            flow.set_interest(false);
            // It crosses our next change of mind.
            flow.set_interest(second % 2 == 0);
            assert_eq!(flow.on_choke(now), Ok(()));
        }
        assert_eq!(flow.flap_count, 0);
    }
}
