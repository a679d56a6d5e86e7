//! What a connection has brought either side, from round to round of the choker.

use crate::time::Instant;

/// When payload moved last, and whether it could have since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth {
    /// The end of the last round in which payload moved, in either direction; before the first, when
    /// the connection came up.
    pub(crate) moved_at: Instant,
    /// Rounds since in which one side could have been served and nothing came of it.
    pub(crate) missed_count: u32,
}

impl Worth {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { moved_at: now, missed_count: 0 }
    }

    /// A round is over: whether payload has moved in it, or waits for our own limit; and if not,
    /// whether it could have.
    pub(crate) const fn on_round(&mut self, now: Instant, moved: bool, could: bool) {
        if moved {
            *self = Self::new(now);
        } else if could {
            self.missed_count = self.missed_count.saturating_add(1);
        }
    }
}
