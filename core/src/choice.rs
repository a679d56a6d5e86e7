//! What of a torrent is wanted, how much, and in which order.

use crate::metainfo::{File, Layout, Metainfo};
use crate::priority::Priority;

/// What of a torrent is wanted, how much, and in which order. The default is all of it, the rarest
/// pieces first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Of each file, counted in [`Layout::files`]; files behind the end have the usual priority. Those
    /// of padding files count for nothing.
    pub priorities: Vec<Priority>,
    /// Whether pieces of one priority are begun in their order instead of the rarest first.
    pub sequential: bool,
    /// Whether the first and the last piece of every wanted file go before all others: a player needs
    /// them before it shows anything.
    pub first_last: bool,
}

impl Choice {
    /// How much this file is wanted.
    #[must_use]
    pub fn priority(&self, file: usize) -> Priority {
        self.priorities.get(file).copied().unwrap_or_default()
    }

    /// By file, whether it is not wanted; empty if all are.
    pub(crate) fn unwanted(&self, layout: &Layout) -> Vec<bool> {
        let unwanted = |(index, file): (usize, &File)| !file.padding && !self.priority(index).is_wanted();
        let unwanted: Vec<bool> = layout.files().iter().enumerate().map(unwanted).collect();
        if unwanted.contains(&true) { unwanted } else { Vec::new() }
    }

    /// The priority of every piece: the highest of its files. A piece of padding alone is wanted if
    /// every file is. `None`: all have the usual one.
    pub(crate) fn of_pieces(&self, metainfo: &Metainfo) -> Option<Vec<Priority>> {
        if !self.first_last && self.priorities.iter().all(|priority| *priority == Priority::NORMAL) {
            return None;
        }
        let (geometry, layout) = (metainfo.geometry(), metainfo.layout());
        let of_padding = if self.unwanted(layout).is_empty() { Priority::LOWEST } else { Priority::SKIP };
        let mut pieces = vec![Priority::SKIP; geometry.piece_count() as usize];
        for (index, file) in layout.files().iter().enumerate() {
            let priority = if file.padding { of_padding } else { self.priority(index) };
            let Some(run) = pieces.get_mut(layout.pieces_of(geometry, index)) else { continue };
            run.iter_mut().for_each(|piece| *piece = priority.max(*piece));
            if self.first_last && !file.padding && priority.is_wanted() {
                run.first_mut().into_iter().for_each(|first| *first = Priority::TOP);
                run.last_mut().into_iter().for_each(|last| *last = Priority::TOP);
            }
        }
        Some(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::{Content, Create};

    /// Files of these lengths in pieces of 10 bytes.
    fn torrent(lens: &[u64]) -> Metainfo {
        let files = lens.iter().enumerate().map(|(at, len)| (vec![format!("{at}")], *len));
        let create = Create::new("n".to_owned(), Content::Folder(files.collect()), 10);
        let piece_count = lens.iter().sum::<u64>().div_ceil(10);
        Metainfo::parse(create.encode(&vec![[0; 20]; usize::try_from(piece_count).unwrap()])).unwrap()
    }

    fn choice(digits: &str, first_last: bool) -> Choice {
        let priorities = digits.bytes().map(|digit| Priority::new(digit - b'0').unwrap()).collect();
        Choice { priorities, sequential: false, first_last }
    }

    fn pieces(lens: &[u64], choice: &Choice) -> String {
        let pieces = choice.of_pieces(&torrent(lens)).unwrap_or_default();
        pieces.iter().map(|piece| piece.get().to_string()).collect()
    }

    #[test]
    fn a_piece_is_wanted_as_much_as_the_most_wanted_of_its_files() {
        let lens = [25, 0, 10, 3, 20];
        assert_eq!(pieces(&lens, &choice("01070", false)), "000700");
        assert_eq!(pieces(&lens, &choice("2", false)), "224444");
        assert_eq!(pieces(&lens, &choice("444", false)), "", "as usual");
        assert_eq!(
            choice("01070", false).unwanted(torrent(&lens).layout()),
            [true, false, true, false, true]
        );
        assert!(choice("2", false).unwanted(torrent(&lens).layout()).is_empty());
    }

    #[test]
    fn the_ends_of_wanted_files_go_first() {
        assert_eq!(pieces(&[35, 40, 5], &choice("304", true)), "73370007");
        assert_eq!(pieces(&[50, 5], &choice("", true)), "744477");
    }
}
