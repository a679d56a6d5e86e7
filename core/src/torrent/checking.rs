//! What is on disk before a torrent starts: opened, and hashed where it can't be trusted.

use std::sync::Arc;

use super::{Phase, Torrent};
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::job::{DiskError, DiskErrorKind, Job, Opened, Purpose};
use crate::output::Event;
use crate::peer::Peers;
use crate::piece::PieceIndex;

/// Bytes hashed by one job, if its pieces are short: long enough to make the hand-over cheap, short
/// enough that progress shows and every core has its share.
const BATCH_LEN: u64 = 16 * 1024 * 1024;

/// Pieces hashed by one job, if they are long: as many as a worker can hash side by side.
const BATCH_COUNT: u64 = 16;

/// What these may come to, so that progress shows on a slow disk too.
const BATCH_LEN_MAX: u64 = 256 * 1024 * 1024;

/// Jobs under way at once: more than the cores of most machines have use for.
const JOBS_MAX: usize = 16;

/// A look at what is on disk, under way.
#[derive(Debug, Default)]
pub(super) struct Checking {
    /// Pieces to hash that no job has yet, the last ones first.
    waiting: Vec<PieceIndex>,
    job_count: usize,
    done: u32,
    total: u32,
    bad: u32,
    /// Whether the data is known to be ours.
    ours: bool,
}

impl Torrent {
    /// The folder has been opened and looked at.
    pub(crate) fn on_opened(&mut self, cx: &mut Cx, peers: &mut Peers, result: Result<Opened, DiskError>) {
        if !matches!(self.phase, Phase::Checking(_)) {
            return;
        }
        let opened = match result {
            Ok(opened) => opened,
            Err(error) => {
                self.saving.on_not_opened();
                return self.fail(cx, error);
            }
        };
        self.saving.on_opened();
        if self.closing {
            return self.save(cx);
        }
        self.tell_disk(cx);
        let Phase::Checking(checking) = &mut self.phase else { return };
        let geometry = self.storage.metainfo.geometry();
        if opened.have.piece_count() == geometry.piece_count() {
            self.have = opened.have;
        }
        checking.ours = opened.ours;
        checking.waiting = opened.unsure.iter(geometry).filter(|piece| !self.have.has(*piece)).collect();
        checking.waiting.reverse();
        checking.total = u32::try_from(checking.waiting.len()).unwrap_or(u32::MAX);
        self.check_more(cx);
        self.end_check(cx, peers);
    }

    /// Pieces have been hashed.
    pub(crate) fn on_checked(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        pieces: &[PieceIndex],
        result: Result<Vec<bool>, DiskError>,
    ) {
        let Phase::Checking(checking) = &mut self.phase else { return };
        if self.closing {
            return;
        }
        let good = match result {
            Ok(good) => good,
            Err(error) => return self.fail(cx, error),
        };
        checking.job_count = checking.job_count.saturating_sub(1);
        for (piece, good) in pieces.iter().zip(good) {
            checking.done += 1;
            if good {
                self.have.insert(*piece);
            } else {
                checking.bad += 1;
            }
        }
        self.saving.mark_dirty();
        let (done, total, bad) = (checking.done, checking.total, checking.bad);
        cx.event(Event::Checking { torrent: self.key, done, total, bad });
        self.check_more(cx);
        self.end_check(cx, peers);
    }

    /// Hands out what waits, up to the bound.
    fn check_more(&mut self, cx: &mut Cx) {
        let Phase::Checking(checking) = &mut self.phase else { return };
        let geometry = self.storage.metainfo.geometry();
        let batch = batch_count(geometry.piece_len());
        while checking.job_count < JOBS_MAX && !checking.waiting.is_empty() {
            let rest = checking.waiting.len().saturating_sub(batch);
            let mut pieces = checking.waiting.split_off(rest);
            pieces.reverse();
            checking.job_count += 1;
            cx.job(Job::Check { torrent: self.key, storage: Arc::clone(&self.storage), pieces });
        }
    }

    /// Puts the torrent to work if everything has been looked at.
    fn end_check(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let Phase::Checking(checking) = &self.phase else { return };
        if checking.job_count > 0 || !checking.waiting.is_empty() {
            return;
        }
        let strange = !checking.ours && checking.total > 0 && self.have.is_empty();
        if strange && self.purpose == Purpose::Download {
            let path = self.storage.root.join(self.storage.metainfo.name());
            let why = "other data is there, which this download would overwrite".to_owned();
            return self.fail(cx, DiskError { kind: DiskErrorKind::WouldOverwrite, path, why });
        }
        cx.event(Event::Started { torrent: self.key, have: self.have.count() });
        if self.purpose == Purpose::Serve {
            self.phase = Phase::Seeding;
        } else if self.lacks_nothing() {
            self.phase = Phase::Seeding;
            self.saving.complete();
            self.save_if_due(cx, peers);
        } else {
            let download = self.begin_download(cx);
            let files: Vec<usize> = download.complete_files().collect();
            self.phase = Phase::Leeching(Box::new(download));
            files.into_iter().for_each(|file| self.tell_file(cx, file));
        }
        self.adopt_peers(cx, peers);
        self.fill_web(cx);
        self.announce_due(cx);
        cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Dial), cx.now);
    }
}

/// How many pieces of this length one job hashes.
fn batch_count(piece_len: u32) -> usize {
    let piece_len = u64::from(piece_len).max(1);
    let long = BATCH_COUNT.min(BATCH_LEN_MAX / piece_len);
    usize::try_from((BATCH_LEN / piece_len).max(long)).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::batch_count;
    use crate::machine::lab::Lab;
    use crate::output::CloseReason;
    use crate::wire::Message;

    #[test]
    fn a_job_has_sixteen_pieces_if_they_are_not_too_long() {
        let counts = [1 << 14, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 31].map(batch_count);
        assert_eq!(counts, [1024, 16, 16, 16, 4, 1]);
    }

    #[test]
    fn who_calls_before_it_is_known_what_is_there_is_told_then() {
        let mut lab = Lab::unopened("x.x");
        let (old, new) = (lab.peer(1), lab.modern_peer(2));
        assert!(lab.heard(old).is_empty());
        assert_eq!(lab.heard(new), ["havenone", "hello"]);
        lab.say(new, Message::Interested);
        lab.say(old, Message::Have { index: 1 });
        lab.open("x.x");
        assert_eq!(lab.heard(new), ["have { index: 0 }", "have { index: 2 }", "unchoke"]);
        assert_eq!(lab.heard(old), ["have { index: 0 }", "have { index: 2 }", "interested"]);
        lab.say(old, Message::Unchoke);
        assert_eq!(lab.requests(old).len(), 2);
        assert!(lab.closed.is_empty());
    }

    #[test]
    fn a_seed_that_called_while_all_was_checked_is_left_when_all_is_there() {
        let mut lab = Lab::unopened("xx");
        let peer = lab.peer(1);
        lab.say(peer, Message::Bitfield { bits: &[0xC0] });
        lab.open("xx");
        assert_eq!(lab.closed, [(peer, CloseReason::Redundant)]);
    }
}
