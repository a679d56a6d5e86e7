//! What of the torrent is wanted, and what follows from that for its pieces, its peers and the disk.
//!
//! A piece is wanted as much as the most wanted of its files. The disk is told which files are not
//! wanted: it keeps what pieces on an edge have of those in the part file.

use std::sync::Arc;

use super::download::Download;
use super::{Phase, Torrent};
use crate::bitfield::Bitfield;
use crate::choice::Choice;
use crate::cx::Cx;
use crate::job::{DiskError, Job, Purpose};
use crate::metainfo::Metainfo;
use crate::output::Event;
use crate::peer::{Peer, Peers};
use crate::piece::PieceIndex;
use crate::priority::Priority;

/// The user's choice, and what is computed from it.
#[derive(Debug)]
pub(super) struct Choosing {
    choice: Choice,
    /// By file; empty if all are wanted.
    unwanted_files: Vec<bool>,
    /// Of every piece; `None`: all have the usual one.
    priorities: Option<Vec<Priority>>,
    /// The pieces of priority 0.
    unwanted: Bitfield,
    disk: Disk,
    /// By file, whether it has been unwanted since the disk was last told all: what is there of it
    /// may be in the part file.
    displaced: Vec<bool>,
}

/// What the disk knows of the files that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// All.
    Told,
    /// Less than we do.
    Behind,
    /// It is being told.
    Telling {
        /// Whether something has changed since.
        again: bool,
    },
}

impl Choosing {
    pub(super) fn new(choice: Choice, metainfo: &Metainfo) -> Self {
        let priorities = choice.of_pieces(metainfo);
        let mut unwanted = Bitfield::empty(metainfo.geometry().piece_count());
        for (piece, priority) in metainfo.geometry().pieces().zip(priorities.iter().flatten()) {
            if !priority.is_wanted() {
                unwanted.insert(piece);
            }
        }
        let unwanted_files = choice.unwanted(metainfo.layout());
        Self { choice, unwanted_files, priorities, unwanted, disk: Disk::Told, displaced: Vec::new() }
    }

    /// By file, whether it is not wanted; empty if all are.
    pub(super) fn unwanted_files(&self) -> &[bool] {
        &self.unwanted_files
    }

    /// Whether the piece is not wanted, had or not.
    pub(super) fn skips(&self, piece: PieceIndex) -> bool {
        self.unwanted.has(piece)
    }

    /// Whether the disk is still to do what it has to before all that is there is where it belongs.
    pub(super) const fn is_telling(&self) -> bool {
        !matches!(self.disk, Disk::Told)
    }

    /// Whether the file is wanted, and the disk has known that for long enough to have it in place.
    fn is_in_place(&self, file: usize) -> bool {
        let is_in = |files: &[bool]| files.get(file).copied().unwrap_or_default();
        !is_in(&self.displaced) && !is_in(&self.unwanted_files)
    }

    /// Takes over from the choice before: the disk is to be told what has changed.
    fn succeed(&mut self, before: Self) {
        self.displaced = before.displaced;
        self.displaced.resize(self.displaced.len().max(before.unwanted_files.len()), false);
        for (displaced, unwanted) in self.displaced.iter_mut().zip(&before.unwanted_files) {
            *displaced |= *unwanted;
        }
        self.disk = match before.disk {
            Disk::Told if before.unwanted_files == self.unwanted_files => Disk::Told,
            Disk::Told | Disk::Behind => Disk::Behind,
            Disk::Telling { .. } => Disk::Telling { again: true },
        };
    }
}

impl Torrent {
    /// The user wants something else than before.
    pub(crate) fn set_choice(&mut self, cx: &mut Cx, peers: &mut Peers, choice: Choice) {
        if self.purpose == Purpose::Serve || self.closing || matches!(self.phase, Phase::Stopped) {
            return;
        }
        if let Phase::Metadata(fetching) = &mut self.phase {
            return fetching.choose(choice);
        }
        let choosing = Choosing::new(choice, &self.storage.metainfo);
        let before = std::mem::replace(&mut self.choosing, choosing);
        self.choosing.succeed(before);
        let lacks_nothing = self.lacks_nothing();
        match &mut self.phase {
            // Told when the data has been opened, and put to use when it has been looked at.
            Phase::Metadata(_) | Phase::Checking(_) | Phase::Stopped => return,
            Phase::Leeching(download) => {
                let sequential = self.choosing.choice.sequential;
                download.choose(cx, peers, self.choosing.priorities.as_deref(), sequential);
            }
            Phase::Seeding if lacks_nothing => {}
            Phase::Seeding => {
                self.saving.go_on();
                let mut download = self.begin_download(cx);
                for key in &self.peers {
                    if let Some(open) = peers.get(*key).and_then(Peer::open) {
                        download.picker.add_peer(&open.pieces);
                    }
                }
                download.refill = true;
                self.phase = Phase::Leeching(Box::new(download));
                self.tell_upload_only(cx, peers);
            }
        }
        self.tell_disk(cx);
        self.recount(cx, peers);
        self.refill(cx, peers);
        self.complete_if_whole(cx, peers);
        self.hurry_if_alone(cx);
    }

    /// What a torrent has that begins to want pieces.
    pub(super) fn begin_download(&self, cx: &mut Cx) -> Download {
        let mut download = Download::new(cx, self.key, &self.storage, &self.have);
        let Choosing { choice, priorities, .. } = &self.choosing;
        if priorities.is_some() || choice.sequential {
            // Nobody is asked for anything yet.
            download.choose(cx, &mut Peers::default(), priorities.as_deref(), choice.sequential);
        }
        download
    }

    /// Tells the disk what is wanted, if it knows less and is not at it.
    pub(super) fn tell_disk(&mut self, cx: &mut Cx) {
        if self.choosing.disk == Disk::Behind {
            self.choosing.disk = Disk::Telling { again: false };
            cx.job(Job::Choose {
                torrent: self.key,
                storage: Arc::clone(&self.storage),
                unwanted: self.choosing.unwanted_files.clone(),
            });
        }
    }

    /// The disk has put what it has where it belongs.
    pub(crate) fn on_chosen(&mut self, cx: &mut Cx, peers: &Peers, result: Result<(), DiskError>) {
        let Disk::Telling { again } = self.choosing.disk else { return };
        self.choosing.disk = Disk::Told;
        if let Err(error) = result {
            return self.fail(cx, error);
        }
        if self.closing || matches!(self.phase, Phase::Stopped) {
            return self.save(cx);
        }
        if again {
            self.choosing.disk = Disk::Behind;
            return self.tell_disk(cx);
        }
        for (file, _) in
            std::mem::take(&mut self.choosing.displaced).iter().enumerate().filter(|(_, is)| **is)
        {
            if self.has_file(file) {
                self.tell_file(cx, file);
            }
        }
        self.on_dirty(cx);
        if self.saving.is_completing() {
            self.save_if_due(cx, peers);
        }
    }

    /// Tells that a file is complete, unless it is not wanted or not yet in place.
    pub(super) fn tell_file(&self, cx: &mut Cx, file: usize) {
        if self.choosing.is_in_place(file) {
            cx.event(Event::FileDone { torrent: self.key, file });
        }
    }

    fn has_file(&self, file: usize) -> bool {
        let (geometry, layout) = (self.storage.metainfo.geometry(), self.storage.metainfo.layout());
        let pieces = layout.pieces_of(geometry, file);
        let mut pieces = pieces.filter_map(|index| geometry.piece(u32::try_from(index).ok()?));
        pieces.all(|piece| self.have.has(piece))
    }

    /// Counts anew what every peer has that we want.
    pub(super) fn recount(&self, cx: &mut Cx, peers: &mut Peers) {
        let leeching = self.is_leeching();
        let there = self.have.union(&self.choosing.unwanted);
        for key in &self.peers {
            let Some(peer) = peers.get_mut(*key) else { continue };
            let Some(open) = peer.open_mut() else { continue };
            open.wanted_count = if leeching { open.pieces.count_outside(&there) } else { 0 };
            peer.update_interest(cx);
        }
    }

    /// Whether the piece is wanted and not there.
    pub(super) fn wants(&self, piece: PieceIndex) -> bool {
        !self.have.has(piece) && !self.choosing.skips(piece)
    }

    /// How many of `pieces` are wanted and not there.
    pub(super) fn count_wanted(&self, pieces: &Bitfield) -> u32 {
        if self.choosing.unwanted.is_empty() {
            return pieces.count_outside(&self.have);
        }
        pieces.count_outside(&self.have.union(&self.choosing.unwanted))
    }

    /// Whether every piece that is wanted is there.
    pub(super) fn lacks_nothing(&self) -> bool {
        self.count_wanted(&Bitfield::full(self.have.piece_count())) == 0
    }

    /// Bytes of the wanted pieces.
    pub(super) fn wanted_len(&self) -> u64 {
        self.storage.metainfo.geometry().total_len() - self.len_of(&self.choosing.unwanted, None)
    }

    /// Verified bytes of the wanted pieces.
    pub(super) fn done_len(&self) -> u64 {
        self.len_of(&self.have, Some(&self.choosing.unwanted))
    }

    /// Bytes that are not there, wanted or not: what trackers are told (BEP 21).
    pub(super) fn left_len(&self) -> u64 {
        self.storage.metainfo.geometry().total_len() - self.len_of(&self.have, None)
    }

    /// Bytes of the pieces that are in `set` and not in `but`.
    fn len_of(&self, set: &Bitfield, but: Option<&Bitfield>) -> u64 {
        let geometry = self.storage.metainfo.geometry();
        let count = but.map_or_else(|| set.count(), |but| set.count_outside(but));
        let mut len = u64::from(count) * u64::from(geometry.piece_len());
        let is_in = |piece: &PieceIndex| set.has(*piece) && but.is_none_or(|but| !but.has(*piece));
        if let Some(last) = geometry.pieces().next_back().filter(is_in) {
            len -= u64::from(geometry.piece_len() - geometry.len_of(last));
        }
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::JobDone;
    use crate::machine::lab::{Lab, PIECE_LEN};
    use crate::output::{CloseReason, State};

    /// A torrent whose pieces are files each.
    fn lab(has: &str) -> Lab {
        Lab::with_files(Config::default(), has)
    }

    fn choice(digits: &str) -> Choice {
        let priorities = digits.bytes().map(|digit| Priority::new(digit - b'0').unwrap()).collect();
        Choice { priorities, ..Choice::default() }
    }

    fn choose(lab: &mut Lab, digits: &str) {
        lab.machine.set_choice(lab.now, lab.torrent, choice(digits));
        lab.drain();
    }

    fn chosen(lab: &mut Lab, result: Result<(), DiskError>) {
        let at = lab.jobs.iter().position(|job| matches!(job, Job::Choose { .. })).expect("the disk is told");
        lab.jobs.remove(at);
        lab.done(JobDone::Chosen { torrent: lab.torrent, result });
    }

    fn give_all(lab: &mut Lab, peer: crate::PeerKey) {
        for block in lab.requests(peer) {
            lab.give(peer, block);
        }
        while lab.jobs.iter().any(|job| matches!(job, Job::Store { .. })) {
            lab.finish(|job| matches!(job, Job::Store { .. }));
        }
    }

    fn files_done(lab: &mut Lab) -> Vec<usize> {
        let events = std::mem::take(&mut lab.events).into_iter();
        let files = events
            .filter_map(|event| if let Event::FileDone { file, .. } = event { Some(file) } else { None });
        files.collect()
    }

    fn state(lab: &Lab) -> (State, u64, u64) {
        let progress = lab.machine.progress(lab.now, lab.torrent).unwrap();
        (progress.state, progress.done_len / u64::from(PIECE_LEN), progress.wanted_len / u64::from(PIECE_LEN))
    }

    #[test]
    fn a_part_is_complete_without_the_rest_and_tells_no_tracker() {
        let mut lab = lab("....");
        choose(&mut lab, "0404");
        chosen(&mut lab, Ok(()));
        let seed = lab.giver(1, "xxxx");
        assert_eq!(state(&lab), (State::Leeching, 0, 2));
        give_all(&mut lab, seed);
        let mut files = files_done(&mut lab);
        files.sort_unstable();
        assert_eq!((state(&lab), files), ((State::Seeding, 2, 2), vec![1, 3]));
        assert_eq!(lab.closed, [(seed, CloseReason::Redundant)]);
        lab.finish(|job| matches!(job, Job::Save { .. }));
        assert!(lab.events.iter().any(|event| matches!(event, Event::Complete { .. })));
        let stats = lab.machine.torrent(lab.torrent).unwrap().stats();
        assert_eq!(stats.left, 2 * u64::from(PIECE_LEN), "what is left is what is not there");
    }

    #[test]
    fn a_peer_without_a_wanted_piece_is_of_no_interest_until_the_choice_changes() {
        let mut lab = lab("....");
        choose(&mut lab, "0444");
        let peer = lab.giver(1, "x...");
        assert!(!lab.heard(peer).contains(&"interested".to_owned()));
        choose(&mut lab, "");
        assert_eq!(lab.heard(peer), ["interested", "request 0 0", "request 0 16384"]);
        choose(&mut lab, "0");
        assert_eq!(lab.heard(peer), ["cancel 0 0", "cancel 0 16384", "notinterested"]);
    }

    #[test]
    fn what_is_complete_goes_on_when_more_is_wanted() {
        let mut lab = lab("....");
        choose(&mut lab, "4000");
        let peer = lab.giver(1, "xx..");
        give_all(&mut lab, peer);
        assert_eq!(state(&lab), (State::Seeding, 1, 1));
        assert!(!lab.events.iter().any(|event| matches!(event, Event::Complete { .. })), "the disk is at it");
        choose(&mut lab, "4400");
        assert_eq!(state(&lab), (State::Leeching, 1, 2));
        assert_eq!(lab.heard(peer), ["notinterested", "interested", "request 1 0", "request 1 16384"]);
        lab.say(peer, crate::wire::Message::Piece { index: 1, begin: 0, data: &[0; 16_384] });
        lab.give(peer, (1, 16_384, 16_384));
        lab.finish(|job| matches!(job, Job::Store { .. }));
        assert_eq!(state(&lab), (State::Seeding, 2, 2));
    }

    #[test]
    fn a_file_is_told_of_once_it_is_in_its_place() {
        let mut lab = lab("xx..");
        assert_eq!(files_done(&mut lab), [0, 1]);
        choose(&mut lab, "4040");
        chosen(&mut lab, Ok(()));
        choose(&mut lab, "4440");
        choose(&mut lab, "4444");
        assert!(files_done(&mut lab).iter().all(|file| *file != 1));
        chosen(&mut lab, Ok(()));
        assert!(files_done(&mut lab).is_empty(), "what changed meanwhile is to be told first");
        chosen(&mut lab, Ok(()));
        assert_eq!(files_done(&mut lab), [1]);
    }

    #[test]
    fn a_disk_that_can_not_do_it_stops_the_torrent() {
        let mut lab = lab("....");
        choose(&mut lab, "4000");
        let kind = crate::job::DiskErrorKind::Full;
        chosen(&mut lab, Err(DiskError { kind, path: Default::default(), why: String::new() }));
        assert_eq!(state(&lab).0, State::Stopped);
    }

    #[test]
    fn nothing_is_written_by_a_choice_after_the_last_claim() {
        let mut lab = lab("x...");
        choose(&mut lab, "4000");
        lab.machine.shut_down(lab.now);
        lab.drain();
        assert!(!lab.jobs.iter().any(|job| matches!(job, Job::Save { .. })));
        chosen(&mut lab, Ok(()));
        lab.finish(|job| matches!(job, Job::Save { close: true, .. }));
    }
}
