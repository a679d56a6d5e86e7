//! What happens between a bad copy of a piece and the verdict on who spoilt it.
//!
//! The piece is fetched again from one peer alone, before anything else. Meanwhile pieces that its
//! givers have shares in come in, and a liar's are as bad. They are kept and not yet hashed, as long
//! as there is room: once the liar is known, what it gave is thrown away, and the rest of each piece
//! is still good. And of a peer that has no share in any good piece yet one piece is hashed at a time.
//! So one liar spoils one piece, or two if it is the one that is asked for the second copy, and not
//! all that was under way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::download::{Download, cancel};
use super::storing::{Kept, Wait};
use super::verdict::{Giver, SUSPECTS_MAX, Verdicts};
use super::web;
use crate::cx::Cx;
use crate::job::{BlockDigest, FullPiece};
use crate::key::PeerKey;
use crate::peer::Peers;
use crate::piece::PieceIndex;
use crate::time::Instant;

/// How long one peer may take to fetch a suspect piece alone: a slow one does it at 5 KiB/s, and
/// one that sent the bad block must not hold the piece for ever.
const ALONE_TIME: Duration = Duration::from_secs(60);

/// The same where nothing else is missing and all others wait: who is not on the way to be done by then
/// hands the piece over sooner.
const ALONE_LAST_TIME: Duration = Duration::from_secs(30);

/// How long it is let be at least, before what has come by then tells how fast it is.
const ALONE_TIME_MIN: Duration = Duration::from_secs(5);

/// How long a piece waits for the verdict on its givers: for most the piece fetched alone is there by
/// then, and others are not kept from this one for long.
const KEEP_TIME: Duration = Duration::from_secs(20);

/// Bytes of pieces that may wait for the first of their givers' to be hashed, which takes a moment:
/// 4 MiB. With more new peers than these are from, so much comes that it would grow cold.
const TRIAL_LEN_MAX: u64 = 4 * 1024 * 1024;

/// Givers remembered after they left: more than ever have blocks in open pieces.
const GONE_MAX: usize = 1000;

/// Suspect pieces, and who gave them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Peers that gave blocks and are gone: leaving must not save a poisoner.
    gone: BTreeMap<PeerKey, Giver>,
    verdicts: Verdicts,
    /// Suspect pieces that one peer alone is asked for, and since when.
    restricted: BTreeMap<PieceIndex, Instant>,
    /// Sources that have a share in a good piece.
    proven: BTreeSet<PeerKey>,
}

impl Suspects {
    /// Whether no verdict is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.restricted.is_empty()
    }

    /// The pieces on which a verdict is waited for.
    pub(super) fn pieces(&self) -> impl Iterator<Item = PieceIndex> {
        self.restricted.keys().copied()
    }

    /// Waits no longer for the verdict on other pieces than these.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(PieceIndex) -> bool) {
        self.restricted.retain(|piece, _| is_wanted(*piece));
    }

    /// Remembers a peer that is gone.
    pub(super) fn on_gone(&mut self, giver: Giver) {
        self.proven.remove(&giver.peer);
        self.gone.insert(giver.peer, giver);
        if self.gone.len() > GONE_MAX {
            self.gone.pop_first();
        }
    }

    /// A copy from these is good. Returns who is now known to have sent bad blocks of the piece.
    pub(super) fn on_good(
        &mut self,
        piece: PieceIndex,
        givers: &[Option<Giver>],
        digests: &[BlockDigest],
    ) -> Vec<Giver> {
        self.restricted.remove(&piece);
        for giver in changes(givers) {
            if !self.gone.contains_key(&giver.peer) {
                self.proven.insert(giver.peer);
            }
        }
        self.verdicts.on_good(piece, digests)
    }

    /// Who it is or was that has this key.
    fn giver(&self, peers: &Peers, key: PeerKey) -> Option<Giver> {
        let known = peers.get(key).and_then(Giver::of).or_else(|| self.gone.get(&key).copied());
        known.or_else(|| web::giver(key))
    }

    /// Whether the verdict on another piece may tell of bad blocks in this one.
    fn may_tell(&self, piece: PieceIndex, givers: &[Option<Giver>]) -> bool {
        let is_giver_of = |suspect: &PieceIndex| self.verdicts.has_giver_of(*suspect, givers);
        !self.restricted.is_empty()
            && is_mixed(givers)
            && !self.restricted.contains_key(&piece)
            && self.restricted.keys().any(is_giver_of)
    }

    /// Those of several givers of a piece who have no share in a good one yet.
    fn unproven(&self, givers: &[Option<Giver>]) -> Vec<Giver> {
        if !is_mixed(givers) {
            return Vec::new();
        }
        changes(givers).filter(|giver| !self.proven.contains(&giver.peer)).collect()
    }
}

/// Whether more than one gave these blocks. What one alone gave speaks for itself.
fn is_mixed(givers: &[Option<Giver>]) -> bool {
    let mut keys = givers.iter().map(|giver| giver.map(|giver| giver.peer));
    let first = keys.next();
    keys.any(|key| Some(key) != first)
}

/// The givers, without those that gave the block before too.
fn changes(givers: &[Option<Giver>]) -> impl Iterator<Item = Giver> {
    let mut last = None;
    givers.iter().flatten().filter(move |giver| last.replace(giver.peer) != Some(giver.peer)).copied()
}

impl Download {
    /// Hands a piece whose blocks are all there to a worker, or keeps it for a while.
    pub(super) fn store(&mut self, cx: &mut Cx, peers: &Peers, piece: PieceIndex) {
        let Some((blocks, givers)) = self.picker.take_piece(piece) else { return };
        let givers: Vec<_> = givers.into_iter().map(|key| self.suspects.giver(peers, key)).collect();
        let digest_blocks = self.suspects.verdicts.is_suspect(piece);
        let full = FullPiece { piece, blocks, digest_blocks };
        self.store_or_keep(cx, cx.now, full, givers);
        if self.may_open(cx) == 0 {
            // Or no room would be left for the piece that is waited for.
            self.storing.release(cx);
        }
    }

    fn store_or_keep(&mut self, cx: &mut Cx, since: Instant, piece: FullPiece, givers: Vec<Option<Giver>>) {
        let unproven = self.suspects.unproven(&givers);
        let on_trial = !unproven.is_empty() && self.storing.has_share(|giver| unproven.contains(giver));
        let why = if self.suspects.may_tell(piece.piece, &givers) {
            Wait::Verdict
        } else if on_trial && self.storing.on_trial_len() < TRIAL_LEN_MAX {
            Wait::Trial
        } else {
            let more_to_come = unproven.is_empty() && self.picker.asked_count() > 0;
            return self.storing.add(cx, piece, givers, more_to_come);
        };
        self.storing.keep(Kept { since, why, piece, givers });
    }

    /// A piece failed its hash. Returns who is certainly to blame.
    pub(crate) fn on_bad(
        &mut self,
        cx: &mut Cx,
        piece: PieceIndex,
        digests: &[BlockDigest],
    ) -> Option<Giver> {
        let givers = self.storing.remove(piece)?;
        self.picker.failed(piece);
        self.refill = true;
        self.settle(cx);
        self.suspects.restricted.remove(&piece);
        let guilty = self.suspects.verdicts.on_bad(piece, &givers, digests);
        if guilty.is_none() && self.suspects.restricted.len() < SUSPECTS_MAX {
            self.picker.restrict(piece);
            self.suspects.restricted.insert(piece, cx.now);
        }
        guilty
    }

    #[cold]
    /// Throws away what a liar gave of pieces that are not hashed yet. Returns how many bytes that is.
    pub(super) fn discard(&mut self, cx: &mut Cx, peers: &Peers, liar: &Giver) -> u64 {
        let suspects = &self.suspects;
        let lies = |key| suspects.giver(peers, key).is_some_and(|giver| giver.is_same(liar));
        let mut len = self.picker.discard(lies) as u64;
        let has_share = |kept: &Kept| kept.givers.iter().flatten().any(|giver| giver.is_same(liar));
        for Kept { piece, givers, .. } in self.storing.take_kept(has_share) {
            let blocks = piece.blocks.into_iter().zip(givers).map(|(block, giver)| {
                let good = giver.filter(|giver| !giver.is_same(liar));
                len += if good.is_some() { 0 } else { block.as_slice().len() as u64 };
                good.map(|giver| (giver.peer, block))
            });
            self.picker.reopen(piece.piece, blocks.collect());
        }
        self.refill = true;
        self.settle(cx);
        len
    }

    /// A piece has been hashed: others may have waited for that.
    pub(super) fn on_hashed(&mut self, cx: &mut Cx) {
        if !self.storing.keeps() {
            return;
        }
        let is_known = self.suspects.is_empty();
        for kept in self.storing.take_kept(|kept| is_known || kept.why == Wait::Trial) {
            self.store_or_keep(cx, kept.since, kept.piece, kept.givers);
        }
    }

    /// Takes suspect pieces from peers that have had time enough to fetch them alone, and lets those
    /// go that have waited for a verdict long enough.
    pub(crate) fn hand_over_late(&mut self, cx: &mut Cx, peers: &mut Peers) {
        let due = cx.now;
        for kept in self.storing.take_kept(|kept| kept.since + KEEP_TIME <= due) {
            self.storing.add(cx, kept.piece, kept.givers, false);
        }
        let is_last = self.picker.wanted_count() as usize == self.suspects.restricted.len();
        let is_late = |(piece, since): &(&PieceIndex, &Instant)| {
            let time = due.since(**since);
            time >= ALONE_TIME || is_last && time >= ALONE_TIME_MIN && self.is_behind(**piece, time)
        };
        let late = self.suspects.restricted.iter().filter(is_late);
        let late: Vec<PieceIndex> = late.map(|(piece, _)| *piece).collect();
        for piece in late {
            self.suspects.restricted.insert(piece, cx.now);
            for (key, block) in self.picker.hand_over(piece) {
                if let Some(peer) = peers.get_mut(key) {
                    cancel(cx, peer, block);
                    // So that others come first, until it brings something.
                    peer.open_mut().into_iter().for_each(|open| open.requests.snubbed = true);
                }
            }
            self.refill = true;
        }
        self.settle(cx);
    }

    /// Whether a piece has come to less than it must within this time to be there at the last.
    fn is_behind(&self, piece: PieceIndex, time: Duration) -> bool {
        self.picker.progress(piece).is_some_and(|(held_count, block_count)| {
            let (held_count, block_count) = (held_count as u128, block_count as u128);
            held_count * ALONE_LAST_TIME.as_millis() < block_count * time.as_millis()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::{Job, JobDone, StoreError, StoreTime};
    use crate::machine::lab::{Lab, PIECE_LEN};
    use crate::output::{CloseReason, Event};
    use crate::wire::Message;

    /// Two pieces whose first blocks the one peer gave, and whose other ones the other.
    fn mixed(config: Config) -> (Lab, [PeerKey; 2], [u32; 2]) {
        mixed_of(config, "..")
    }

    /// The same of a torrent that may have more pieces, which nobody has.
    fn mixed_of(config: Config, has: &str) -> (Lab, [PeerKey; 2], [u32; 2]) {
        let mut lab = Lab::new(config, has);
        let first = lab.giver(1, "xx");
        let asked = lab.requests(first);
        let firsts: Vec<_> = asked.into_iter().filter(|(_, begin, _)| *begin == 0).collect();
        firsts.iter().for_each(|block| lab.give(first, *block));
        lab.say(first, Message::Choke);
        let second = lab.giver(2, "xx");
        let others = lab.requests(second);
        assert_eq!((firsts.len(), others.len()), (2, 2));
        others.iter().for_each(|block| lab.give(second, *block));
        let order = [others[0].0, others[1].0];
        (lab, [first, second], order)
    }

    /// The pieces of the next job to store some.
    fn storing(lab: &mut Lab) -> Option<Vec<FullPiece>> {
        let at = lab.jobs.iter().position(|job| matches!(job, Job::Store { .. }))?;
        let Job::Store { pieces, .. } = lab.jobs.remove(at) else { return None };
        Some(pieces)
    }

    fn numbers(pieces: &[FullPiece]) -> Vec<u32> {
        pieces.iter().map(|piece| piece.piece.get()).collect()
    }

    fn answer(lab: &mut Lab, pieces: Vec<FullPiece>, result: Result<Vec<BlockDigest>, StoreError>) {
        let pieces = pieces.into_iter().map(|piece| piece.stored(result.clone())).collect();
        lab.done(JobDone::Stored { torrent: lab.torrent, pieces, time: StoreTime::default() });
    }

    #[test]
    fn a_liar_spoils_one_piece_and_its_share_in_others_is_thrown_away() {
        let (mut lab, [liar, good], [first, other]) = mixed(Config::default());
        let pieces = storing(&mut lab).unwrap();
        assert_eq!(numbers(&pieces), [first]);
        assert!(storing(&mut lab).is_none(), "the other one waits");
        answer(&mut lab, pieces, Err(StoreError::Mismatch(vec![[6; 20], [1; 20]])));
        let again = lab.requests(good);
        assert!(again.len() == 2 && again.iter().all(|(piece, ..)| *piece == first), "{again:?}");
        again.into_iter().for_each(|block| lab.give(good, block));
        let pieces = storing(&mut lab).unwrap();
        assert_eq!(numbers(&pieces), [first]);
        answer(&mut lab, pieces, Ok(vec![[0; 20], [1; 20]]));
        assert_eq!(lab.closed, [(liar, CloseReason::Banned)]);
        assert_eq!(lab.requests(good), [(other, 0, 16_384)], "what the honest one gave is kept");
        lab.give(good, (other, 0, 16_384));
        let pieces = storing(&mut lab).unwrap();
        answer(&mut lab, pieces, Ok(Vec::new()));
        assert_eq!(lab.events.iter().filter(|event| matches!(event, Event::PieceFailed { .. })).count(), 1);
    }

    #[test]
    fn what_waits_for_a_good_first_piece_goes_on_with_it() {
        let (mut lab, _, [first, other]) = mixed(Config::default());
        let pieces = storing(&mut lab).unwrap();
        assert_eq!(numbers(&pieces), [first]);
        answer(&mut lab, pieces, Ok(Vec::new()));
        assert_eq!(numbers(&storing(&mut lab).unwrap()), [other]);
    }

    #[test]
    fn nothing_waits_long_for_a_verdict_or_without_anyone_who_could_bring_it() {
        for leaves in [false, true] {
            let (mut lab, [_, good], [_, other]) = mixed(Config::default());
            let pieces = storing(&mut lab).unwrap();
            answer(&mut lab, pieces, Err(StoreError::Mismatch(vec![[6; 20], [1; 20]])));
            assert!(storing(&mut lab).is_none());
            if leaves {
                lab.input(crate::input::Input::Closed { peer: good, cause: crate::input::CloseCause::End });
            } else {
                lab.pass(KEEP_TIME + Duration::from_secs(10));
            }
            assert_eq!(numbers(&storing(&mut lab).unwrap()), [other]);
        }
    }

    #[test]
    fn nothing_waits_where_there_is_no_room_for_it() {
        let buffer_len_max = 2 * usize::try_from(PIECE_LEN).unwrap();
        let (mut lab, _, order) = mixed(Config { buffer_len_max, ..Config::default() });
        let stored = std::iter::from_fn(|| storing(&mut lab)).flat_map(|pieces| numbers(&pieces));
        assert_eq!(stored.collect::<Vec<_>>(), order);
    }

    #[test]
    fn who_has_the_last_piece_alone_brings_it_or_hands_it_over() {
        for (has, is_last) in [("..", true), ("...", false)] {
            let (mut lab, [_, good], _) = mixed_of(Config::default(), has);
            let pieces = storing(&mut lab).unwrap();
            answer(&mut lab, pieces, Err(StoreError::Mismatch(vec![[6; 20], [1; 20]])));
            let asked = lab.requests(good);
            let other = lab.giver(3, "xx");
            assert!(lab.requests(other).is_empty());
            lab.pass(Duration::from_secs(10));
            assert_eq!(lab.requests(other), if is_last { asked } else { Vec::new() });
        }
    }

    #[test]
    fn who_brings_the_last_piece_at_a_fair_pace_keeps_it() {
        let (mut lab, [_, good], _) = mixed(Config::default());
        let pieces = storing(&mut lab).unwrap();
        answer(&mut lab, pieces, Err(StoreError::Mismatch(vec![[6; 20], [1; 20]])));
        let asked = lab.requests(good);
        let other = lab.giver(3, "xx");
        lab.give(good, asked[0]);
        lab.pass(Duration::from_secs(10));
        assert_eq!(lab.requests(other), []);
    }
}
