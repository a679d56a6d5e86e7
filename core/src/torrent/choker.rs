//! Who may request: tit-for-tat with one optimistic guess (BEP 3, "choking"; Cohen, "Incentives
//! Build Robustness in BitTorrent", 2003).
//!
//! Pure: it ranks what it is shown and touches no peer.

use std::cmp::Reverse;
use std::time::Duration;

use crate::config::{Config, SeedChoking};
use crate::key::PeerKey;
use crate::rng::Rng;
use crate::time::Instant;

/// Time between two rounds: long enough for TCP to show what a newly unchoked peer gives.
pub(crate) const CHOKE_INTERVAL: Duration = Duration::from_secs(10);

/// Rounds that an optimistic unchoke lasts: long enough to be noticed and returned (BEP 3: 30 s).
const OPTIMISTIC_ROUNDS: u32 = 3;

/// How much likelier a newly connected peer gets the optimistic slot (BEP 3: "three times"): it
/// has nothing to offer before it is given something.
const NEWCOMER_WEIGHT: usize = 3;

/// Of a seed's slots one in this many is optimistic: a seed is given nothing by which to rank, so
/// rotation is what spreads the pieces.
const SEED_OPTIMISTIC_SHARE: usize = 4;

/// A peer as the choker sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) peer: PeerKey,
    /// It wants something that we have.
    pub(crate) interested: bool,
    /// It owes us blocks and does not deliver: it gets a slot only by optimism.
    pub(crate) snubbed: bool,
    /// Bytes in the last round: received from it while we leech, sent to it while we seed.
    pub(crate) moved_len: u64,
    /// When it last got a slot.
    pub(crate) unchoked_at: Option<Instant>,
    /// Whether it has a slot.
    pub(crate) unchoked: bool,
    /// It connected since the optimistic slots were last given.
    pub(crate) newcomer: bool,
    /// Bytes sent to it in all.
    pub(crate) given_len: u64,
    /// What it has of the torrent, in thousandths.
    pub(crate) has_share: u32,
}

impl Contender {
    /// The order in which a seed gives its slots.
    fn seed_order(
        &self,
        now: Instant,
        choking: SeedChoking,
        was_guess: bool,
    ) -> (u8, Reverse<u64>, u64, Option<Instant>) {
        match choking {
            SeedChoking::RoundRobin => self.turn_order(now, was_guess),
            SeedChoking::Fastest => (0, Reverse(self.moved_len), self.given_len, self.unchoked_at),
            SeedChoking::AntiLeech => {
                let from_half = u64::from(self.has_share.abs_diff(500));
                (0, Reverse(from_half), self.given_len, self.unchoked_at)
            }
        }
    }

    /// Those whose turn is not over, by what they take; then who has been given least, and has waited
    /// longest; then those who have had their turn. An optimistic slot that ends is a turn that ends: else
    /// its holder would take the place of one whose turn is over, before who waits for that.
    fn turn_order(&self, now: Instant, was_guess: bool) -> (u8, Reverse<u64>, u64, Option<Instant>) {
        let over = was_guess || self.unchoked_at.is_none_or(|at| now.since(at) >= SEED_TURN);
        match (self.unchoked, over) {
            (true, false) => (0, Reverse(self.moved_len), 0, None),
            (false, _) => (1, Reverse(0), self.given_len, self.unchoked_at),
            (true, true) => (2, Reverse(0), self.given_len, None),
        }
    }
}

/// How long a peer of a seed keeps a slot while others wait for one: a seed has no other reason to
/// prefer one to another, and who has the slots moves the most.
const SEED_TURN: Duration = Duration::from_secs(60);

/// The fewest slots, where their number follows what they get: one for a guess, and three that give in
/// return (Cohen: four).
const SLOTS_MIN: usize = 4;

/// Bytes per second that each slot must get on average for each slot that there is: so a line of 64 KiB/s
/// serves 4 peers, one of 1 MiB/s 16, and each of them gets enough to give something in return. Whether
/// some take most of it does not count: the fewer peers exchange pieces with each other, the sooner they
/// all have the same, and wait. (libtorrent's rate-based choker has each slot get so much, and 2 KiB.)
const SLOT_RATE_STEP: u64 = 4 * 1024;

/// What the choker remembers from round to round.
#[derive(Debug)]
pub(crate) struct Choker {
    slots: usize,
    round: u32,
    optimistic: Vec<PeerKey>,
}

impl Choker {
    pub(crate) const fn new(slots: usize) -> Self {
        Self { slots, round: 0, optimistic: Vec::new() }
    }

    /// How many peers may be unchoked at once.
    pub(crate) const fn slots(&self) -> usize {
        self.slots
    }

    /// Has the number of slots follow what those who have one were sent in the last round.
    pub(crate) fn fit_slots(&mut self, config: &Config, sent: &[u64]) {
        let max = config.upload_slots_max;
        if max <= config.upload_slots || sent.len() < self.slots {
            return;
        }
        let step = SLOT_RATE_STEP * CHOKE_INTERVAL.as_secs();
        let total: u64 = sent.iter().sum();
        let count = usize::try_from((total / step).isqrt()).unwrap_or(usize::MAX);
        // One more may bring more, and by half as many at a time a fast line is soon in use. Fewer by a
        // quarter at a time: peers may only have had nothing to ask for.
        let within = (self.slots - self.slots / 4)..=(self.slots + (self.slots / 2).max(1));
        let count = count.saturating_add(1).clamp(*within.start(), *within.end());
        self.slots = count.clamp(SLOTS_MIN.min(config.upload_slots), max);
    }

    /// Whether it was given its slot by chance.
    pub(crate) fn is_optimistic(&self, peer: PeerKey) -> bool {
        self.optimistic.contains(&peer)
    }

    /// The peers to unchoke until the next round, at most `slots` of those that are interested.
    pub(crate) fn rank(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        seeding: Option<SeedChoking>,
        all: &[Contender],
    ) -> Vec<PeerKey> {
        let slots = self.slots;
        let guesses = if self.round.is_multiple_of(OPTIMISTIC_ROUNDS) {
            std::mem::take(&mut self.optimistic)
        } else {
            Vec::new()
        };
        self.round = self.round.wrapping_add(1);
        let mut interested: Vec<&Contender> = all.iter().filter(|peer| peer.interested).collect();
        // Chance decides among equals, whatever the order in which peers came.
        rng.shuffle(&mut interested);
        if let Some(choking) = seeding {
            interested.sort_by_key(|peer| peer.seed_order(now, choking, guesses.contains(&peer.peer)));
        } else {
            interested.sort_by_key(|peer| (peer.snubbed, Reverse(peer.moved_len)));
        }
        let optimistic_max =
            if seeding.is_some() { slots.div_ceil(SEED_OPTIMISTIC_SHARE) } else { 1 }.min(slots);

        self.optimistic.retain(|peer| interested.iter().any(|other| other.peer == *peer));

        let regular = interested.iter().filter(|peer| !peer.snubbed && !self.optimistic.contains(&peer.peer));
        let mut chosen: Vec<PeerKey> =
            regular.take(slots - optimistic_max).map(|contender| contender.peer).collect();
        let mut rest: Vec<PeerKey> = Vec::new();
        for contender in &interested {
            if !chosen.contains(&contender.peer) && !self.optimistic.contains(&contender.peer) {
                let weight = if contender.newcomer { NEWCOMER_WEIGHT } else { 1 };
                rest.extend(std::iter::repeat_n(contender.peer, weight));
            }
        }
        while self.optimistic.len() < optimistic_max && !rest.is_empty() {
            let lucky = rest[rng.below(rest.len())];
            self.optimistic.push(lucky);
            rest.retain(|peer| *peer != lucky);
        }
        chosen.extend(&self.optimistic);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn contender(index: u32, moved_len: u64) -> Contender {
        let peer = PeerKey::new(index, 0);
        Contender {
            peer,
            interested: true,
            snubbed: false,
            moved_len,
            unchoked_at: None,
            unchoked: false,
            newcomer: false,
            given_len: 0,
            has_share: 0,
        }
    }

    fn indices(chosen: &[PeerKey]) -> Vec<u32> {
        let mut indices: Vec<u32> = chosen.iter().map(|peer| peer.index()).collect();
        indices.sort_unstable();
        indices
    }

    #[test]
    fn the_best_givers_and_one_other_are_unchoked() {
        let all: Vec<_> = (0..10).map(|i| contender(i, u64::from(i) * 100)).collect();
        let (mut choker, mut rng) = (Choker::new(4), Rng::new(1));
        let chosen = indices(&choker.rank(Instant::START, &mut rng, None, &all));
        assert_eq!((chosen.len(), &chosen[1..]), (4, &[7, 8, 9][..]));
    }

    #[test]
    fn the_optimistic_peer_stays_three_rounds_and_everyone_has_its_turn() {
        let all: Vec<_> = (0..6).map(|i| contender(i, u64::from(i) * 100)).collect();
        let (mut choker, mut rng) = (Choker::new(4), Rng::new(1));
        let mut lucky = Vec::new();
        for _ in 0..60 {
            let rounds: Vec<_> =
                (0..3).map(|_| indices(&choker.rank(Instant::START, &mut rng, None, &all))).collect();
            assert!(rounds.iter().all(|round| *round == rounds[0]));
            lucky.push(rounds[0][0]);
        }
        lucky.sort_unstable();
        lucky.dedup();
        assert_eq!(lucky, [0, 1, 2]);
    }

    #[test]
    fn who_is_not_interested_or_snubs_us_gets_no_regular_slot() {
        let mut all: Vec<_> = (0..3).map(|i| contender(i, 1000)).collect();
        all[0].interested = false;
        all[1].snubbed = true;
        let (mut choker, mut rng) = (Choker::new(8), Rng::new(1));
        assert_eq!(
            indices(&choker.rank(Instant::START, &mut rng, None, &all)),
            [1, 2],
            "the snubber by optimism alone"
        );
        all.push(contender(3, 0));
        all[2].snubbed = true;
        let mut choker = Choker::new(2);
        let chosen = indices(&choker.rank(Instant::START, &mut rng, None, &all));
        assert!(chosen.contains(&3) && !chosen.contains(&0));
    }

    /// How many of so many rounds each peer of a seed has a slot.
    fn turns(slots: usize, peer_count: u32, rounds: u32, seed: u64) -> Vec<u64> {
        let mut all: Vec<_> = (0..peer_count).map(|index| contender(index, 0)).collect();
        let (mut choker, mut rng) = (Choker::new(slots), Rng::new(seed));
        for round in 0..rounds {
            let now = Instant::from_start(CHOKE_INTERVAL * round);
            let chosen = choker.rank(now, &mut rng, Some(SeedChoking::RoundRobin), &all);
            assert_eq!(chosen.len(), slots);
            for contender in &mut all {
                let is_chosen = chosen.contains(&contender.peer);
                if is_chosen && !contender.unchoked {
                    contender.unchoked_at = Some(now);
                }
                contender.unchoked = is_chosen;
                contender.moved_len = u64::from(is_chosen);
                contender.given_len += contender.moved_len;
            }
        }
        all.iter().map(|contender| contender.given_len).collect()
    }

    #[test]
    fn a_seed_gives_everyone_the_same_number_of_turns() {
        let turns = turns(8, 20, 300, 1);
        // 8 of 20 slots in 300 rounds.
        assert!(turns.iter().all(|turns| (110..=130).contains(turns)), "{turns:?}");
    }

    #[test]
    fn a_seed_keeps_nobody_waiting_for_longer_than_the_turns_of_others() {
        // Two turns of a minute are over, and whoever has had none has the third.
        for seed in 0..200 {
            let turns = turns(2, 4, 13, seed);
            assert!(!turns.contains(&0), "{seed}: {turns:?}");
        }
    }

    #[test]
    fn newcomers_are_preferred_by_optimism() {
        let mut all: Vec<_> = (0..2).map(|i| contender(i, 0)).collect();
        all[0].newcomer = true;
        let mut hits = 0;
        for seed in 0..400 {
            let chosen = Choker::new(1).rank(Instant::START, &mut Rng::new(seed), None, &all);
            hits += usize::from(chosen == [all[0].peer]);
        }
        assert!((270..330).contains(&hits), "three in four: {hits} of 400");
    }

    #[test]
    fn the_number_of_slots_follows_what_they_get() {
        let config = Config::default();
        // A line of so many bytes per second that is shared alike by all who have a slot.
        let settle = |line: u64| {
            let mut choker = Choker::new(config.upload_slots);
            for _ in 0..30 {
                let count = u64::try_from(choker.slots()).unwrap();
                choker.fit_slots(&config, &vec![line * CHOKE_INTERVAL.as_secs() / count; choker.slots()]);
            }
            choker.slots()
        };
        let found = [10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20].map(settle);
        assert!(
            found.is_sorted() && found[0] == SLOTS_MIN && found[4] == config.upload_slots_max,
            "{found:?}"
        );
        assert!((5..=8).contains(&found[1]) && (12..=24).contains(&found[2]), "{found:?}");

        let mut choker = Choker::new(8);
        choker.fit_slots(&config, &[0; 3]);
        assert_eq!(choker.slots(), 8, "few peers tell nothing of the line");
        choker.fit_slots(&Config { upload_slots_max: 8, ..Config::default() }, &[1 << 30; 8]);
        assert_eq!(choker.slots(), 8, "fixed by the user");
        let mut many = Choker::new(16);
        many.fit_slots(&config, &[0; 16]);
        assert_eq!(many.slots(), 12, "a quarter less at a time");

        // One takes all that the line has, but others may take it too.
        let mut sent = [0; 8];
        sent[3] = 10 << 20;
        choker.fit_slots(&config, &sent);
        assert_eq!(choker.slots(), 12);
    }

    #[test]
    fn a_seed_prefers_as_it_is_told() {
        let mut all: Vec<_> = (0..4).map(|i| contender(i, [10, 40, 30, 20][i as usize])).collect();
        for (contender, has_share) in all.iter_mut().zip([500, 400, 990, 0]) {
            contender.has_share = has_share;
            contender.given_len = 1000 - u64::from(has_share);
        }
        // One of the slots goes by optimism, to whom it may.
        let first = |choking| {
            let chosen = Choker::new(3).rank(Instant::START, &mut Rng::new(3), Some(choking), &all);
            indices(&chosen[..2])
        };
        assert_eq!(first(SeedChoking::Fastest), [1, 2]);
        assert_eq!(first(SeedChoking::AntiLeech), [2, 3]);
        assert_eq!(first(SeedChoking::RoundRobin), [0, 2], "who was given least");
    }
}
