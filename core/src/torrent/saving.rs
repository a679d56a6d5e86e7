//! When the resume file is written: never with a claim that the disk does not hold.

use std::sync::Arc;
use std::time::Duration;

use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::job::{DiskError, Job, Purpose};
use crate::output::Event;
use crate::peer::Peers;

/// Time between two claims. A crash costs no more than hashing what came since; syncing more
/// often would cost every download.
const SAVE_INTERVAL: Duration = Duration::from_secs(30);

/// What the resume file knows, and what it is still to be told.
#[derive(Debug, Default)]
pub(super) struct Saving {
    stage: Stage,
    in_flight: bool,
    /// Whether pieces have come since the last claim was asked for.
    dirty: bool,
    /// Whether completion is to be told as soon as it is claimed.
    completing: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The folder is being opened.
    #[default]
    Opening,
    /// We hold the lock.
    Open,
    /// The last claim is under way.
    Closing,
    /// We hold nothing.
    Closed,
}

impl Saving {
    pub(super) const fn on_opened(&mut self) {
        self.stage = Stage::Open;
    }

    pub(super) const fn on_not_opened(&mut self) {
        self.stage = Stage::Closed;
    }

    pub(super) const fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// Every piece is there: once that is claimed, it is told.
    pub(super) const fn complete(&mut self) {
        self.completing = true;
    }

    /// More is wanted than is there, before completion could be told.
    pub(super) const fn go_on(&mut self) {
        self.completing = false;
    }

    pub(super) const fn is_completing(&self) -> bool {
        self.completing
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }
}

impl Torrent {
    /// A piece has been written: it will be claimed before long.
    pub(super) fn on_dirty(&mut self, cx: &mut Cx) {
        self.saving.mark_dirty();
        let key = TimerKey::Torrent(self.key, TorrentTimer::Save);
        if cx.timers.get(key).is_none() && !self.closing {
            cx.timers.set(key, cx.now + SAVE_INTERVAL);
        }
    }

    /// Claims what is there, as soon as no earlier claim is under way.
    pub(crate) fn save(&mut self, cx: &mut Cx) {
        let last = self.closing || matches!(self.phase, Phase::Stopped);
        let storing = matches!(&self.phase, Phase::Leeching(download) if download.storing.len() > 0);
        // What is being written when we close is waited for: it has been verified.
        let writing = storing || self.choosing.is_telling();
        if self.saving.stage != Stage::Open || self.saving.in_flight || (last && writing) {
            return;
        }
        if last {
            self.saving.stage = Stage::Closing;
        }
        self.saving.in_flight = true;
        self.saving.dirty = false;
        cx.job(Job::Save {
            torrent: self.key,
            storage: Arc::clone(&self.storage),
            have: self.have.clone(),
            close: last,
        });
    }

    /// Claims at once if something has come since the last claim; tells completion if nothing has.
    pub(super) fn save_if_due(&mut self, cx: &mut Cx, peers: &Peers) {
        if self.choosing.is_telling() {
            // What is there may still be in the part file.
            return;
        }
        if self.saving.dirty {
            self.save(cx);
        } else if !self.saving.in_flight && std::mem::take(&mut self.saving.completing) {
            let progress = Box::new(self.progress(cx, cx.now, peers));
            cx.event(Event::Complete { torrent: self.key, progress });
        }
    }

    /// A claim is on disk, or could not be made.
    pub(crate) fn on_saved(&mut self, cx: &mut Cx, peers: &Peers, result: Result<(), DiskError>) {
        self.saving.in_flight = false;
        if self.saving.stage == Stage::Closing {
            self.saving.stage = Stage::Closed;
        }
        let saved = result.is_ok();
        if let Err(error) = result {
            let at_work = matches!(self.phase, Phase::Leeching(_) | Phase::Seeding) && !self.closing;
            if at_work && self.purpose == Purpose::Download {
                // Unclaimed data may not be on disk at all: a file system can report that it is
                // full only when it is synced.
                return self.fail(cx, error);
            }
            cx.event(Event::SaveFailed { torrent: self.key, error });
        }
        if self.saving.completing && saved {
            self.save_if_due(cx, peers);
        }
        if self.closing || matches!(self.phase, Phase::Stopped) {
            self.save(cx);
        } else if self.saving.dirty {
            // Pieces came while this claim was made.
            self.on_dirty(cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::machine::lab::Lab;

    #[test]
    fn a_download_that_completes_while_it_is_stopped_is_complete() {
        let mut lab = Lab::new(Config::default(), ".");
        let seed = lab.giver(1, "x");
        lab.requests(seed).into_iter().for_each(|block| lab.give(seed, block));
        lab.machine.shut_down(lab.now);
        lab.drain();
        assert!(!lab.jobs.iter().any(|job| matches!(job, Job::Save { .. })), "the last piece is waited for");
        lab.finish(|job| matches!(job, Job::Store { .. }));
        lab.finish(|job| matches!(job, Job::Save { close: true, .. }));
        assert!(lab.events.iter().any(|event| matches!(event, Event::Complete { .. })));
        lab.pass(Duration::from_secs(1));
        assert!(lab.machine.is_shut_down());
    }
}
