//! The rules of choice, as pictures.

use super::*;
use crate::block::BlockPool;
use crate::key::Key;
use crate::piece::BLOCK_LEN;
use crate::priority::Priority;

/// A picker with its surroundings. Blocks are written `2b`: the second block of piece 2.
struct Table {
    picker: Picker,
    geometry: Geometry,
    rng: Rng,
    pool: BlockPool,
}

/// Pieces of two blocks, and how many peers have each. Four had pieces, not in the picture, follow,
/// so that the first picks are not at random.
fn picker(availability: &str, have: &str) -> Table {
    let counts: Vec<usize> = availability.split(' ').map(|count| count.parse().unwrap()).collect();
    let piece_count = u32::try_from(counts.len() + 4).unwrap();
    let geometry = Geometry::new(u64::from(piece_count * 2 * BLOCK_LEN), 2 * BLOCK_LEN).unwrap();
    let mut rng = Rng::new(7);
    let have = set(geometry, &format!("{have}xxxx"));
    let mut picker = Picker::new(geometry, &have, &mut rng);
    for nth in 0..counts.iter().copied().max().unwrap_or(0) {
        let picture: String = counts.iter().map(|&count| if count > nth { 'x' } else { '.' }).collect();
        picker.add_peer(&set(geometry, &picture));
    }
    Table { picker, geometry, rng, pool: BlockPool::default() }
}

fn set(geometry: Geometry, picture: &str) -> Bitfield {
    let mut set = Bitfield::empty(geometry.piece_count());
    for (piece, _) in geometry.pieces().zip(picture.chars()).filter(|&(_, sign)| sign == 'x') {
        set.insert(piece);
    }
    set
}

fn peer(name: char) -> PeerKey {
    PeerKey::new(u32::from(name), 0)
}

fn names(blocks: &[BlockRef]) -> String {
    let name = |block: &BlockRef| format!("{}{}", block.piece().get(), ["a", "b"][block.number() as usize]);
    blocks.iter().map(name).collect::<Vec<_>>().join(" ")
}

impl Table {
    fn block(&self, name: &str) -> BlockRef {
        let (piece, letter) = name.split_at(name.len() - 1);
        let piece = self.geometry.piece(piece.parse().unwrap()).unwrap();
        self.geometry.block(piece, u32::from(letter == "b")).unwrap()
    }

    fn piece(&self, index: u32) -> PieceIndex {
        self.geometry.piece(index).unwrap()
    }

    /// Asks `name`, which has what the picture says or all, for up to `count` blocks.
    fn pick(&mut self, name: char, picture: &str, count: usize, may_open: usize) -> String {
        let mut pieces = set(self.geometry, picture);
        if picture == "all" {
            pieces = Bitfield::full(self.geometry.piece_count());
        }
        let mut out = Vec::new();
        self.picker.pick(&mut self.rng, peer(name), &pieces, count, may_open, &mut out);
        self.picker.check_invariants();
        names(&out)
    }

    /// As [`Table::pick`], for a web seed that goes on with the piece `next`.
    fn run(&mut self, next: Option<u32>, count: usize, may_open: usize) -> String {
        let (next, mut out) = (next.map(|index| self.piece(index)), Vec::new());
        self.picker.pick_run(&mut self.rng, peer('w'), next, count, may_open, &mut out);
        self.picker.check_invariants();
        names(&out)
    }

    /// The block comes; what there is to cancel, and `!` if the piece is complete.
    fn receive(&mut self, name: char, block: &str) -> String {
        let block = self.block(block);
        let data = vec![0; block.len() as usize];
        let received = self.picker.received(&mut self.pool, peer(name), block, &data);
        self.picker.check_invariants();
        match received {
            Received::Unwanted => "unwanted".into(),
            Received::Taken { cancel, complete } => {
                let cancel = cancel.iter().filter_map(|peer| char::from_u32(peer.index()));
                cancel.chain(complete.then_some('!')).collect()
            }
        }
    }

    fn give_back(&mut self, name: char, blocks: &str) {
        let blocks: Vec<_> = blocks.split_whitespace().map(|block| self.block(block)).collect();
        self.picker.give_back_all(peer(name), blocks);
        self.picker.check_invariants();
    }

    fn release(&mut self, name: char, block: &str) -> bool {
        let released = self.picker.release(peer(name), self.block(block));
        self.picker.check_invariants();
        released
    }

    /// Gives pieces their priorities: a digit each.
    fn prioritise(&mut self, digits: &str) -> Vec<(PeerKey, BlockRef)> {
        let digits = digits.bytes().map(|digit| Priority::new(digit - b'0').unwrap());
        let mut cancel = Vec::new();
        for (piece, priority) in self.geometry.pieces().zip(digits) {
            cancel.extend(self.picker.set_priority(piece, priority));
            self.picker.check_invariants();
        }
        cancel
    }

    /// A whole piece, from asking to the verdict.
    fn fetch(&mut self, name: char, index: u32, is_right: bool) {
        let picture: String = (0..=index).map(|at| if at == index { 'x' } else { '.' }).collect();
        assert_eq!(self.pick(name, &picture, 2, 1), format!("{index}a {index}b"));
        self.receive(name, &format!("{index}a"));
        self.finish(name, index, is_right);
    }

    /// The second block of a piece comes, and the verdict.
    fn finish(&mut self, name: char, index: u32, is_right: bool) {
        assert_eq!(self.receive(name, &format!("{index}b")), "!");
        let (blocks, givers) = self.picker.take_piece(self.piece(index)).unwrap();
        assert_eq!((blocks.len(), givers), (2, vec![peer(name); 2]));
        let piece = self.piece(index);
        if is_right {
            self.picker.stored(piece)
        } else {
            self.picker.failed(piece)
        }
        self.picker.check_invariants();
    }
}

#[test]
fn the_rarest_piece_goes_first_and_no_had_one_goes() {
    let mut table = picker("3 1 2 0 1", "...x.");
    assert_eq!(table.pick('p', "x.x", 8, 9), "2a 2b 0a 0b");
    let mut table = picker("3 1 2 1 4", "...x.");
    assert_eq!(table.pick('p', "all", 6, 9), "1a 1b 2a 2b 0a 0b");
}

#[test]
fn a_piece_much_rarer_goes_before_one_that_another_peer_has_begun() {
    let mut table = picker("4 2 3", "...");
    assert_eq!(table.pick('p', "x", 1, 9), "0a");
    assert_eq!(table.pick('q', "x.x", 1, 9), "0b", "three are not half of four");
    table.give_back('q', "0b");
    assert_eq!(table.pick('r', "all", 3, 0), "0b", "there is no room");
    table.give_back('r', "0b");
    assert_eq!(table.pick('s', "all", 3, 9), "1a 1b 0b");

    let mut table = picker("4 2 3", "...");
    table.prioritise("544");
    assert_eq!(table.pick('p', "x", 1, 9), "0a");
    assert_eq!(table.pick('q', "all", 3, 9), "0b 1a 1b", "what is wanted more goes first");
    let mut table = picker("4 2 3", "...");
    table.picker.set_in_order(true);
    assert_eq!(table.pick('p', "x", 1, 9), "0a");
    assert_eq!(table.pick('q', "all", 2, 9), "0b 1a");
}

#[test]
fn no_more_rare_pieces_are_opened_than_allowed() {
    let mut table = picker("4 2 2", "...");
    assert_eq!(table.pick('p', "x", 1, 9), "0a");
    let picked = table.pick('q', "all", 9, 1);
    assert_eq!((picked.len(), table.picker.open_count()), ("1a 1b 0b".len(), 2), "{picked}");
}

#[test]
fn open_pieces_are_finished_first() {
    let mut table = picker("3 1 2", "...");
    assert_eq!(table.pick('p', "all", 1, 9), "1a");
    assert_eq!(table.pick('q', "x.x", 1, 9), "2a");
    assert_eq!(table.pick('q', "all", 1, 9), "2b", "its own before an older one");
    assert_eq!(table.pick('q', "all", 2, 9), "1b 0a", "an older one before a new one");
    assert_eq!(table.pick('p', "all", 9, 9), "0b");
}

#[test]
fn no_more_pieces_are_opened_than_allowed() {
    let mut table = picker("1 2 3", "...");
    assert_eq!(table.pick('p', "all", 9, 0), "");
    assert_eq!(table.pick('p', "all", 9, 1), "0a 0b");
    assert_eq!(table.pick('p', "all", 9, 0), "");
    assert_eq!(table.pick('p', "all", 9, 1), "1a 1b");
    assert_eq!((table.picker.open_count(), table.picker.asked_count()), (2, 4));
    assert_eq!(table.picker.wanted_count(), 3);
}

#[test]
fn the_first_pieces_are_random() {
    let geometry = Geometry::new(100, 1).unwrap();
    let (none, all) = (Bitfield::empty(100), Bitfield::full(100));
    let pieces = (0..20).map(|seed| {
        let mut rng = Rng::new(seed);
        let mut picker = Picker::new(geometry, &none, &mut rng);
        let mut common = Bitfield::full(100);
        common.remove(geometry.piece(0).unwrap());
        picker.add_peer(&common);
        let mut out = Vec::new();
        picker.pick(&mut rng, peer('p'), &all, 1, 1, &mut out);
        out[0].piece().get()
    });
    assert!(pieces.filter(|&piece| piece != 0).count() > 15, "though piece 0 is the rarest");
}

#[test]
fn a_block_is_asked_of_one_peer_until_the_endgame() {
    let mut table = picker("1 1", "..");
    assert_eq!(table.pick('p', "all", 3, 9).len(), "0a 0b 1a".len());
    assert!(!table.picker.in_endgame());
    let last = table.pick('q', "all", 9, 9);
    assert_eq!(last.len(), 2, "only the block that is left: {last}");
    assert!(table.picker.in_endgame());
    assert_eq!(table.pick('q', "all", 9, 9), "", "it has a block to deliver");
    assert_eq!(table.pick('r', "all", 9, 9), "1b 1a 0b 0a", "idle: the youngest first");
    assert_eq!(table.pick('r', "all", 9, 9), "", "never twice");
    assert_eq!(table.pick('s', ".x", 1, 9), "1b", "only what it has");
    assert_eq!(table.pick('t', "all", 9, 9), "1a 0b 0a", "1b was asked of three");
    assert_eq!(table.receive('r', &last), "qs");
    assert_eq!(table.receive('q', &last), "unwanted");
}

#[test]
fn no_block_is_asked_of_a_second_peer_while_the_caller_would_rather_wait() {
    let mut table = picker("1", ".");
    table.picker.set_doubling(false);
    assert_eq!(table.pick('p', "all", 9, 9), "0a 0b");
    assert_eq!(table.pick('q', "all", 9, 9), "");
    table.picker.set_doubling(true);
    assert_eq!(table.pick('q', "all", 9, 9), "0b 0a");
}

#[test]
fn what_is_given_back_in_the_endgame_is_asked_for_again() {
    let mut table = picker("1", ".");
    assert_eq!(table.pick('p', "all", 9, 9), "0a 0b");
    assert_eq!(table.pick('q', "all", 1, 9), "0b");
    table.give_back('p', "0a 0b");
    assert!(!table.picker.in_endgame(), "0a is free");
    assert_eq!(table.pick('r', "all", 9, 9), "0a");
    assert!(table.picker.in_endgame());
    assert_eq!(table.receive('p', "0b"), "unwanted", "it gave that back");
    assert_eq!(table.receive('q', "0b"), "");
    table.give_back('q', "");
    assert_eq!(table.pick('q', "all", 9, 9), "0a");
    assert_eq!(table.receive('q', "0a"), "r!");
}

#[test]
fn an_open_piece_with_nothing_of_it_left_is_missing_again() {
    let mut table = picker("1 2", "..");
    assert_eq!(table.pick('p', "all", 1, 9), "0a");
    table.give_back('p', "0a");
    assert_eq!((table.picker.open_count(), table.picker.wanted_count()), (0, 2));
    assert_eq!(table.pick('q', "all", 4, 9), "0a 0b 1a 1b");
}

#[test]
fn a_snubbed_peers_blocks_go_to_others_and_the_first_to_come_is_taken() {
    let mut table = picker("1 2 2", "...");
    assert_eq!(table.pick('p', "all", 2, 9), "0a 0b");
    assert!(table.release('p', "0a") && table.release('p', "0b"));
    assert!(!table.release('q', "0a"), "never asked");
    assert_eq!(table.pick('q', "all", 2, 9), "0a 0b", "before a new piece");
    assert_eq!(table.receive('p', "0a"), "q");
    assert_eq!(table.receive('q', "0a"), "unwanted");
    assert_eq!(table.receive('q', "0b"), "p!");
    let more = table.pick('p', "all", 9, 9);
    assert_eq!(more.len(), "1a 1b 2a 2b".len(), "{more}");
}

#[test]
fn a_restricted_piece_is_one_peers_alone() {
    let mut table = picker("1", ".");
    table.fetch('p', 0, false);
    table.picker.restrict(table.piece(0));
    assert_eq!(table.pick('p', "all", 1, 9), "0a");
    assert_eq!(table.pick('q', "all", 9, 9), "", "not its free block");
    assert!(table.picker.in_endgame());
    assert_eq!(table.pick('q', "all", 9, 9), "", "nor the other in the endgame");
    table.receive('p', "0a");
    table.give_back('p', "");
    assert_eq!(table.pick('p', "all", 1, 9), "0b", "unchoked again");
    table.give_back('p', "0b");
    assert_eq!(table.pick('q', "all", 1, 9), "0a", "from scratch");
    assert_eq!(table.picker.held_len(), 0);
    assert!(!table.release('q', "0a"), "given back");
    table.fetch('r', 0, true);
}

#[test]
fn a_restricted_piece_without_its_owner_waits_for_what_is_asked_of_it() {
    let mut table = picker("1", ".");
    table.fetch('p', 0, false);
    table.picker.restrict(table.piece(0));
    assert_eq!(table.pick('p', "all", 1, 9), "0a");
    table.receive('p', "0a");
    table.give_back('q', "");
    assert_eq!(table.pick('q', "all", 9, 9), "", "that another chokes us says nothing");
    table.give_back('p', "");
    assert_eq!(table.pick('p', "all", 9, 9), "0b");
    table.give_back('p', "0b");
    assert_eq!(table.pick('p', "all", 9, 9), "0b");
    table.finish('p', 0, false);
    table.picker.restrict(table.piece(0));
    assert_eq!(table.pick('p', "all", 9, 9), "0a 0b");
    let block = table.block("0a");
    table.picker.give_back(peer('p'), block);
    assert_eq!(table.pick('q', "all", 9, 9), "", "0b may still come, and would belong to its copy");
    assert_eq!(table.pick('p', "all", 9, 9), "0a");
    table.receive('p', "0b");
    table.give_back('p', "0a");
    assert_eq!(table.pick('q', "all", 9, 9), "0a 0b", "from scratch");
}

#[test]
fn what_is_picked_comes_behind_what_was_there() {
    let mut table = picker("1 1 1", "...");
    let all = Bitfield::full(7);
    let mut out = vec![table.block("6a")];
    let mut pick = |name: char, count| {
        table.picker.pick(&mut table.rng, peer(name), &all, count, 9, &mut out);
        out.len() - 1
    };
    assert_eq!([pick('p', 2), pick('p', 9), pick('q', 2), pick('r', 3)], [2, 6, 8, 11]);
}

#[test]
fn of_a_list_what_the_peer_has_is_picked_in_its_order() {
    let mut table = picker("3 1 2 1 1", "....x");
    let list: Vec<_> = [3, 4, 0, 1, 2].map(|index| table.piece(index)).to_vec();
    let mut pick = |name: char, picture: &str, count, may_open| {
        let (pieces, mut out) = (set(table.geometry, picture), Vec::new());
        table.picker.pick_of(peer(name), &pieces, &list, count, may_open, &mut out);
        table.picker.check_invariants();
        names(&out)
    };
    assert_eq!(pick('p', "xxxxx", 9, 0), "", "none may be opened");
    assert_eq!(pick('p', "xxxxx", 0, 9), "");
    assert_eq!(pick('p', "xxxxx", 3, 9), "3a 3b 0a");
    assert_eq!(pick('q', "xx..x", 9, 0), "0b", "what is open goes on");
    assert_eq!(pick('q', "xx..x", 9, 1), "1a 1b");
    assert_eq!(pick('q', "xxxxx", 9, 1), "2a 2b");
}

#[test]
fn a_restricted_piece_is_shared_when_too_many_stopped() {
    let mut table = picker("1", ".");
    table.fetch('p', 0, false);
    table.picker.restrict(table.piece(0));
    for name in ['a', 'b', 'c'] {
        assert_eq!(table.pick(name, "all", 2, 9), "0a 0b");
        table.receive(name, "0a");
        table.give_back(name, "0b");
    }
    assert_eq!(table.pick('d', "all", 2, 9), "0b", "gone on with");
    assert_eq!(table.pick('e', "all", 2, 9), "0b", "endgame");
    assert_eq!(table.receive('d', "0b"), "e!");
    let (_, givers) = table.picker.take_piece(table.piece(0)).unwrap();
    assert_eq!(givers, [peer('c'), peer('d')]);
}

#[test]
fn a_slow_owner_has_to_hand_over() {
    let mut table = picker("1", ".");
    table.fetch('p', 0, false);
    table.picker.restrict(table.piece(0));
    for _ in 0..TAKEOVERS_MAX {
        assert_eq!(table.pick('p', "all", 2, 9), "0a 0b");
        table.receive('p', "0a");
        assert_eq!(table.picker.hand_over(table.piece(0)), [(peer('p'), table.block("0b"))]);
        assert_eq!(table.receive('p', "0b"), "unwanted");
    }
    assert_eq!(table.pick('p', "all", 2, 9), "0a 0b");
    assert_eq!(table.picker.hand_over(table.piece(0)), []);
    assert_eq!(table.pick('q', "all", 2, 9), "0b 0a", "endgame");
}

#[test]
fn a_piece_that_nobody_goes_on_with_gives_way() {
    let mut table = picker("1 0 2", "...");
    let gone = set(table.geometry, ".x");
    table.picker.add_peer(&gone);
    assert_eq!(table.pick('p', ".x", 2, 1), "1a 1b");
    table.receive('p', "1a");
    assert_eq!(table.pick('q', "x", 1, 1), "0a");
    assert_eq!(table.pick('r', "..x", 2, 0), "", "no room");
    let block = table.block("1b");
    table.picker.remove_peer(peer('p'), &gone, [block]);
    assert_eq!(table.pick('r', "..x", 0, 0), "", "nothing is asked for");
    assert_eq!(table.pick('r', "..x", 2, 0), "2a 2b", "in place of what nobody has");
    assert_eq!((table.picker.open_count(), table.picker.held_len()), (2, 0));
}

#[test]
fn a_complete_piece_never_gives_way() {
    let mut table = picker("1 1", "..");
    assert_eq!(table.pick('p', "x", 2, 1), "0a 0b");
    table.receive('p', "0a");
    assert_eq!(table.receive('p', "0b"), "!");
    assert_eq!(table.pick('q', ".x", 2, 0), "");
    assert!(table.picker.take_piece(table.piece(0)).is_some());
}

#[test]
fn interest_follows_the_pieces() {
    let mut table = picker("1 1 1", "x..");
    let mut pieces = set(table.geometry, "xx.");
    assert_eq!(table.picker.count_wanted(&pieces), 1);
    assert!(table.picker.add_have(&mut pieces, table.piece(2)) && table.picker.wants(table.piece(2)));
    assert_eq!(table.picker.availability(table.piece(2)), 2);
    assert!(table.picker.remove_have(peer('p'), &mut pieces, table.piece(2)));
    assert!(!table.picker.remove_have(peer('p'), &mut pieces, table.piece(2)));
    assert_eq!((table.picker.availability(table.piece(2)), table.picker.count_wanted(&pieces)), (1, 1));
    assert!(table.picker.add_have(&mut pieces, table.piece(2)));
    assert_eq!(table.picker.count_wanted(&pieces), 2);
    assert_eq!(table.picker.count_wanted(&Bitfield::full(7)), 2);
    table.fetch('p', 2, false);
    assert_eq!((table.picker.count_wanted(&pieces), table.picker.have_count()), (2, 5));
    table.fetch('p', 2, true);
    assert!(!table.picker.wants(table.piece(2)));
    assert_eq!((table.picker.count_wanted(&pieces), table.picker.have_count()), (1, 6));
}

#[test]
fn the_only_source_is_who_alone_has_a_wanted_piece() {
    let table = picker("1 2 1", "..x");
    let only = |picture| table.picker.is_only_source(&set(table.geometry, picture));
    assert!(only("xxx") && only("x") && !only(".x") && !only("..x") && !only("..."));
}

#[test]
fn what_a_liar_gave_is_thrown_away_and_asked_for_anew() {
    let mut table = picker("1 2 3", "...");
    assert_eq!(table.pick('p', "x", 1, 1), "0a");
    assert_eq!(table.pick('q', "x", 1, 1), "0b");
    assert_eq!(table.pick('p', ".x", 2, 1), "1a 1b");
    assert_eq!(table.pick('s', "..x", 2, 1), "2a 2b");
    table.receive('s', "2a");
    table.receive('p', "0a");
    table.receive('p', "1a");
    table.give_back('p', "1b");
    let block_len = BLOCK_LEN as usize;
    assert_eq!((table.picker.held_len(), table.picker.discard(|key| key == peer('q'))), (3 * block_len, 0));
    assert_eq!(table.picker.discard(|key| key == peer('p')), 2 * block_len);
    table.picker.check_invariants();
    assert_eq!(table.picker.held_len(), block_len);
    assert_eq!(table.picker.open_count(), 2, "nothing is left of piece 1");
    assert_eq!(table.pick('r', "all", 9, 9), "0a 1a 1b");
}

#[test]
fn a_piece_taken_back_from_the_disk_keeps_its_good_blocks() {
    let mut table = picker("1", ".");
    for good in [[true, false], [false, true], [false, false]] {
        let free = table.pick('p', "all", 2, 1);
        free.split(' ').for_each(|block| _ = table.receive('p', block));
        let (blocks, _) = table.picker.take_piece(table.piece(0)).unwrap();
        let blocks = blocks.into_iter().zip(good);
        let blocks = blocks.map(|(block, is_good)| is_good.then_some((peer('g'), block))).collect();
        table.picker.reopen(table.piece(0), blocks);
        table.picker.check_invariants();
        let good_count = good.iter().filter(|is_good| **is_good).count();
        assert_eq!(table.picker.held_len(), good_count * BLOCK_LEN as usize);
        assert_eq!(table.picker.open_count(), good_count);
    }
    assert_eq!(table.pick('p', "all", 2, 1), "0a 0b");
}

#[test]
fn a_web_seed_is_asked_for_what_lies_together() {
    let mut table = picker("1 1 1 1 1", ".....");
    assert_eq!(table.run(Some(1), 0, 9), "");
    assert_eq!(table.run(Some(1), 3, 9), "1a 1b 2a");
    assert_eq!(table.pick('p', "....x", 2, 9), "4a 4b");
    assert_eq!(
        table.run(Some(0), 9, 9),
        "2b 3a 3b",
        "first what is open, and as far as nobody else has begun"
    );
    assert_eq!(table.run(None, 1, 1), "0a", "the one that a peer would begin");
    assert_eq!(table.run(None, 9, 9), "0b");

    let mut table = picker("1 1 1 1", "....");
    assert_eq!(table.run(Some(0), 9, 1), "0a 0b", "no more are opened than allowed");
    table.prioritise("4747");
    assert_eq!(table.run(Some(2), 2, 9).len(), "1a 1b".len());
    assert!(
        table.picker.wants(table.piece(2)) && table.picker.open_count() == 2,
        "what is wanted more goes first"
    );
}

#[test]
fn a_web_seed_is_asked_for_blocks_of_others_when_there_are_no_others() {
    let mut table = picker("1 1", "..");
    assert_eq!(table.pick('p', "all", 9, 9).len(), "0a 0b 1a 1b".len());
    assert!(table.release('p', "1a") && table.release('p', "0a"));
    assert_eq!(table.run(None, 0, 9), "");
    assert_eq!(table.run(None, 1, 9).len(), "0a".len());
    assert_eq!(table.run(None, 9, 9).len(), "1a".len(), "nobody is waited for");
    table.give_back('w', "0a 1a");
    table.give_back('p', "0a 1a");
    assert_eq!(table.pick('p', "all", 9, 9).len(), "0a 1a".len());
    assert_eq!(table.run(None, 9, 9).len(), "0a 0b 1a 1b".len(), "the endgame");
}

#[test]
fn a_web_seed_goes_on_with_pieces_that_nobody_has_and_gives_up_none_for_a_new_one() {
    let mut table = picker("0 0 2", "...");
    let gone = set(table.geometry, "xx");
    table.picker.add_peer(&gone);
    assert_eq!(table.pick('p', "xx", 4, 2).len(), "0a 0b 1a 1b".len());
    table.receive('p', "0a");
    table.receive('p', "1a");
    let blocks = [table.block("0b"), table.block("1b")];
    table.picker.remove_peer(peer('p'), &gone, blocks);
    let mut asked = [table.run(None, 9, 0), table.run(None, 9, 0)];
    asked.sort();
    assert_eq!((asked, table.picker.held_len()), (["0b", "1b"].map(str::to_owned), 2 * BLOCK_LEN as usize));
}

#[test]
fn a_web_seed_that_does_not_bring_a_piece_may_try_another_in_its_place() {
    let mut table = picker("1 2", "..");
    assert_eq!(table.run(None, 2, 1), "0a 0b");
    assert!(table.release('w', "0a") && table.release('w', "0b"));
    assert_eq!(table.run(None, 2, 0), "1a 1b");
    assert_eq!(table.picker.open_count(), 1);
}

#[test]
fn a_higher_priority_goes_before_a_rarer_piece_and_none_is_not_asked_for() {
    let mut table = picker("3 1 2 1 2", "...x.");
    table.prioritise("70475");
    assert_eq!(table.picker.wanted_count(), 3);
    assert_eq!(table.pick('p', "all", 9, 9), "0a 0b 4a 4b 2a 2b");
    assert!(table.picker.in_endgame());
    table.prioritise("77777");
    assert_eq!(table.pick('q', "all", 9, 9), "1a 1b");
}

#[test]
fn an_open_piece_that_is_wanted_no_more_is_given_up_and_cancelled() {
    let mut table = picker("1 2", "..");
    assert_eq!(table.pick('p', "all", 2, 9), "0a 0b");
    table.receive('p', "0a");
    assert_eq!(table.prioritise("0"), [(peer('p'), table.block("0b"))]);
    assert_eq!((table.picker.held_len(), table.picker.open_count()), (0, 0));
    assert_eq!(table.receive('p', "0b"), "unwanted");
    assert_eq!(table.pick('p', "all", 9, 9), "1a 1b");
    table.prioritise("1");
    assert_eq!(table.pick('q', "all", 9, 9), "0a 0b");
}

#[test]
fn a_piece_that_fails_when_it_is_wanted_no_more_stays_away() {
    let mut table = picker("1", ".");
    assert_eq!(table.pick('p', "all", 2, 1), "0a 0b");
    table.receive('p', "0a");
    table.receive('p', "0b");
    table.picker.take_piece(table.piece(0)).unwrap();
    assert_eq!(table.prioritise("0"), []);
    table.picker.failed(table.piece(0));
    table.picker.check_invariants();
    assert_eq!((table.pick('p', "all", 2, 1), table.picker.wanted_count()), (String::new(), 0));
}

#[test]
fn in_order_means_by_priority_and_then_by_number() {
    let mut table = picker("3 1 2 1 4", "...x.");
    table.picker.set_in_order(true);
    table.prioritise("44447");
    assert_eq!(table.pick('p', "all", 6, 9), "4a 4b 0a 0b 1a 1b");
    assert_eq!(table.pick('q', ".xx", 6, 9), "2a 2b");
    table.give_back('p', "0a 0b");
    assert_eq!(table.pick('q', "all", 1, 9), "0a");
}

#[test]
fn bytes_of_another_length_or_place_are_unwanted() {
    let mut table = picker("1", ".");
    table.pick('p', "all", 9, 9);
    let (whole, block) = (table.geometry.whole(table.piece(0)), table.block("0a"));
    for (block, len) in [(block, 1), (whole, 2 * BLOCK_LEN), (block, 2 * BLOCK_LEN)] {
        let data = vec![0; len as usize];
        assert_eq!(table.picker.received(&mut table.pool, peer('p'), block, &data), Received::Unwanted);
    }
    assert_eq!(table.picker.take_piece(table.piece(0)), None);
}

/// So few that each is looked at.
#[test]
fn of_few_pieces_the_rarest_is_found_behind_rarer_ones_that_the_peer_lacks() {
    let geometry = Geometry::new(132, 1).unwrap();
    let mut have = Bitfield::empty(132);
    geometry.pieces().take(4).for_each(|piece| _ = have.insert(piece));
    let without = |lacking: &[u32]| {
        let mut pieces = Bitfield::full(132);
        lacking.iter().for_each(|index| _ = pieces.remove(geometry.piece(*index).unwrap()));
        pieces
    };
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut picker = Picker::new(geometry, &have, &mut rng);
        for lacking in [&[4][..], &[4], &[4, 130], &[130]] {
            picker.add_peer(&without(lacking));
        }
        let mut out = Vec::new();
        picker.pick(&mut rng, peer('p'), &without(&[4]), 1, 1, &mut out);
        assert_eq!(out[0].piece().get(), 130);
    }
}

/// Many pieces, of which the peer has none of the rarest, nor of the first: see `sparse`.
#[test]
fn a_peer_with_one_common_piece_among_many_is_served() {
    let geometry = Geometry::new(5_000, 1).unwrap();
    let mut have = Bitfield::empty(5_000);
    geometry.pieces().take(4).for_each(|piece| _ = have.insert(piece));
    let mut most = Bitfield::full(5_000);
    most.remove(geometry.piece(4).unwrap());
    let mut few = Bitfield::empty(5_000);
    let lonely = geometry.piece(4_321).unwrap();
    few.insert(lonely);
    for in_order in [false, true] {
        let mut rng = Rng::new(3);
        let mut picker = Picker::new(geometry, &have, &mut rng);
        picker.set_in_order(in_order);
        picker.add_peer(&most);
        picker.add_peer(&few);
        for _ in 0..2 {
            let mut out = Vec::new();
            picker.pick(&mut rng, peer('p'), &few, 5, 5, &mut out);
            assert_eq!(out, [geometry.whole(lonely)]);
            picker.pick(&mut rng, peer('p'), &few, 5, 5, &mut out);
            assert_eq!(out.len(), 1, "it has nothing else");
            picker.give_back_all(peer('p'), out);
            picker.check_invariants();
        }
    }
}
