//! The part file: what pieces on an edge have of files that are not wanted.
//!
//! A piece can be verified and served only whole, so what it has of an unwanted file has to be
//! somewhere; a file of the torrent that nobody wants would be litter. There is one part file a
//! torrent, hidden beside the resume file, with a slot as long as a piece for each such piece. It is
//! gone when no slot is in use. A file that is there already is used as it is, wanted or not.
//!
//! Layout, integers big-endian: magic with version (16 bytes), info-hash (20), number of pieces (4),
//! for each slot the number of its piece plus one, 0 for none (4 each, as many as there are pieces),
//! then the slots. In a slot the bytes lie as in the piece. Nothing in it is believed unhashed but by
//! what the resume file claims.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::IoSlice;

use peerless_core::metainfo::{Metainfo, Span};
use peerless_core::piece::PieceIndex;
use peerless_core::{DiskError, DiskErrorKind, InfoHash};

use super::positioned::{read_exact_at, write_all_at};
use super::root::{Access, Root, Stat};
use crate::error::{disk_error, refusal};

/// Names the format; its last byte is the version.
const MAGIC: &[u8; 16] = b"peerless part\0\0\x01";

/// What precedes the table of slots: magic, info-hash, number of pieces.
const HEAD_LEN: usize = 16 + 20 + 4;

/// The part file's name in the root.
pub(crate) fn name(info_hash: InfoHash) -> String {
    format!(".peerless-{info_hash}.part")
}

/// Which files are kept in the part file, and where.
#[derive(Debug)]
pub(crate) struct Part {
    /// By file, whether what there is of it is here; empty if none is.
    inside: Vec<bool>,
    slots: Slots,
}

#[derive(Debug, Default)]
struct Slots {
    by_piece: BTreeMap<PieceIndex, u32>,
    free: BTreeSet<u32>,
    /// Slots from this one on were never in use.
    fresh: u32,
    /// Whether there is a file with the right head.
    is_there: bool,
}

impl Part {
    /// What the part file holds, if a valid one is there. `is_inside` tells, by file, whether it is
    /// kept there from now on.
    pub(crate) fn load(root: &Root, metainfo: &Metainfo, is_inside: impl Fn(usize, bool) -> bool) -> Self {
        let slots = read(root, metainfo).unwrap_or_default();
        let any = !slots.by_piece.is_empty();
        let files = metainfo.layout().files().iter().enumerate();
        let inside: Vec<bool> = files.map(|(file, entry)| !entry.padding && is_inside(file, any)).collect();
        let inside = if inside.contains(&true) { inside } else { Vec::new() };
        Self { inside, slots }
    }

    /// Whether what there is of the file is kept here.
    pub(super) fn has_file(&self, file: usize) -> bool {
        self.inside.get(file).copied().unwrap_or_default()
    }

    /// Whether anything of the piece was put here.
    pub(super) fn has_piece(&self, piece: PieceIndex) -> bool {
        self.slots.by_piece.contains_key(&piece)
    }

    /// Whether the piece can be written: nothing of it belongs here, or it has a slot.
    pub(super) fn has_room_for(&self, metainfo: &Metainfo, piece: PieceIndex) -> bool {
        let geometry = metainfo.geometry();
        self.inside.is_empty()
            || self.has_piece(piece)
            || !metainfo.layout().spans(geometry, geometry.whole(piece)).any(|span| self.has_file(span.file))
    }

    /// From now on what comes of the file is kept here.
    pub(super) fn take_file(&mut self, metainfo: &Metainfo, file: usize) {
        self.inside.resize(metainfo.layout().files().len(), false);
        if let Some(inside) = self.inside.get_mut(file) {
            *inside = true;
        }
    }

    /// Where in the part file a span of the piece lies; `None` if nothing of the piece does.
    pub(super) fn find(&self, metainfo: &Metainfo, piece: PieceIndex, span: Span) -> Option<Span> {
        let slot = *self.slots.by_piece.get(&piece)?;
        let (geometry, files) = (metainfo.geometry(), metainfo.layout().files());
        let begin = files.get(span.file)?.offset + span.offset - geometry.offset_of(piece);
        let offset = slots_at(metainfo) + u64::from(slot) * u64::from(geometry.piece_len()) + begin;
        Some(Span { file: files.len(), offset, len: span.len })
    }

    /// Makes sure that the piece has a slot.
    pub(super) fn make_slot(
        &mut self,
        root: &Root,
        metainfo: &Metainfo,
        piece: PieceIndex,
    ) -> Result<(), DiskError> {
        if self.has_piece(piece) {
            return Ok(());
        }
        let slots = &mut self.slots;
        let file = root.file(&name(metainfo.info_hash()), Access::Write)?;
        let failed = |error| disk_error(&root.path().join(name(metainfo.info_hash())), &error);
        if !slots.is_there {
            // Whatever is there is not ours, or of no use.
            file.set_len(0).and_then(|()| file.set_len(slots_at(metainfo))).map_err(failed)?;
            write_all_at(&file, &mut [IoSlice::new(&head(metainfo))], 0).map_err(failed)?;
            slots.is_there = true;
        }
        let slot = slots.free.pop_first().unwrap_or(slots.fresh);
        slots.fresh = slots.fresh.max(slot + 1);
        slots.by_piece.insert(piece, slot);
        write_entry(&file, slot, Some(piece)).map_err(failed)
    }

    /// Takes a file out: it is at `to` from now on, with what was here of it.
    pub(super) fn move_out(
        &mut self,
        root: &Root,
        metainfo: &Metainfo,
        index: usize,
    ) -> Result<(), DiskError> {
        let (geometry, layout) = (metainfo.geometry(), metainfo.layout());
        let Some(entry) = layout.files().get(index) else { return Ok(()) };
        let pieces = layout.pieces_of(geometry, index);
        let here = self.slots.by_piece.keys().copied().filter(|piece| pieces.contains(&piece.as_usize()));
        let here: Vec<PieceIndex> = here.collect();
        if entry.len == 0 || !here.is_empty() {
            let to = root.file(&entry.path, Access::Write)?;
            for piece in here {
                for span in layout.spans(geometry, geometry.whole(piece)).filter(|span| span.file == index) {
                    self.copy(root, metainfo, piece, span, &to)?;
                }
            }
            let synced = to.sync_data();
            synced.map_err(|error| disk_error(&root.path().join(&entry.path), &error))?;
        } else {
            root.make_folders(&entry.path)?;
        }
        if let Some(inside) = self.inside.get_mut(index) {
            *inside = false;
        }
        Ok(())
    }

    fn copy(
        &self,
        root: &Root,
        metainfo: &Metainfo,
        piece: PieceIndex,
        span: Span,
        to: &File,
    ) -> Result<(), DiskError> {
        let Some(here) = self.find(metainfo, piece, span) else { return Ok(()) };
        let path = root.path().join(name(metainfo.info_hash()));
        let from = root.file(&name(metainfo.info_hash()), Access::Read)?;
        let mut bytes = vec![0; usize::try_from(span.len).unwrap_or_default()];
        match read_exact_at(&from, &mut bytes, here.offset) {
            Ok(()) => {}
            // A process was killed before it had written the slot.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(disk_error(&path, &error)),
        }
        let written = write_all_at(to, &mut [IoSlice::new(&bytes)], span.offset);
        written.map_err(|error| disk_error(&path, &error))
    }

    /// Gives the slots back of which no file is kept here any more. True if none is left: the part
    /// file is gone.
    pub(super) fn tidy(&mut self, root: &Root, metainfo: &Metainfo) -> Result<bool, DiskError> {
        let (geometry, layout) = (metainfo.geometry(), metainfo.layout());
        let inside = &self.inside;
        let is_used = |piece: PieceIndex| {
            let mut spans = layout.spans(geometry, geometry.whole(piece));
            spans.any(|span| inside.get(span.file).copied().unwrap_or_default())
        };
        let slots = &mut self.slots;
        let unused: Vec<_> = slots.by_piece.iter().filter(|(piece, _)| !is_used(**piece)).collect();
        let unused: Vec<(PieceIndex, u32)> =
            unused.into_iter().map(|(piece, slot)| (*piece, *slot)).collect();
        if !slots.is_there || unused.len() == slots.by_piece.len() {
            let was_there = std::mem::take(slots).is_there;
            if was_there {
                root.remove(&name(metainfo.info_hash()))?;
            }
            return Ok(true);
        }
        let path = root.path().join(name(metainfo.info_hash()));
        let file = root.file(&name(metainfo.info_hash()), Access::Write)?;
        for (piece, slot) in unused {
            slots.by_piece.remove(&piece);
            slots.free.insert(slot);
            write_entry(&file, slot, None).map_err(|error| disk_error(&path, &error))?;
        }
        Ok(false)
    }
}

/// What the part file looks like.
pub(super) fn stat(root: &Root, metainfo: &Metainfo) -> Result<Option<Stat>, DiskError> {
    match root.stat(&name(metainfo.info_hash())) {
        Err(error) if error.kind == DiskErrorKind::Unsafe => {
            Err(refusal(error.kind, &error.path, "is in the place of our own file"))
        }
        stat => stat,
    }
}

/// Where the slots begin.
fn slots_at(metainfo: &Metainfo) -> u64 {
    HEAD_LEN as u64 + 4 * u64::from(metainfo.geometry().piece_count())
}

fn head(metainfo: &Metainfo) -> Vec<u8> {
    let piece_count = metainfo.geometry().piece_count().to_be_bytes();
    [&MAGIC[..], metainfo.info_hash().as_bytes(), &piece_count].concat()
}

fn write_entry(file: &File, slot: u32, piece: Option<PieceIndex>) -> std::io::Result<()> {
    let entry = piece.map_or(0, |piece| piece.get().saturating_add(1)).to_be_bytes();
    write_all_at(file, &mut [IoSlice::new(&entry)], HEAD_LEN as u64 + 4 * u64::from(slot))
}

/// The slots of the part file, if a valid one is there.
fn read(root: &Root, metainfo: &Metainfo) -> Option<Slots> {
    let file = root.file(&name(metainfo.info_hash()), Access::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(slots_at(metainfo)).ok()?];
    read_exact_at(&file, &mut bytes, 0).ok()?;
    decode(&bytes, metainfo)
}

/// Reads head and table; `None` if they are not this torrent's, or name a piece twice.
fn decode(bytes: &[u8], metainfo: &Metainfo) -> Option<Slots> {
    let (entries, rest) = bytes.strip_prefix(&head(metainfo)[..])?.as_chunks::<4>();
    let mut slots = Slots { is_there: true, ..Slots::default() };
    for (slot, entry) in (0..).zip(entries) {
        let Some(index) = u32::from_be_bytes(*entry).checked_sub(1) else { continue };
        let piece = metainfo.geometry().piece(index)?;
        if slots.by_piece.insert(piece, slot).is_some() {
            return None;
        }
        slots.fresh = slot + 1;
    }
    let used: BTreeSet<u32> = slots.by_piece.values().copied().collect();
    slots.free = (0..slots.fresh).filter(|slot| !used.contains(slot)).collect();
    rest.is_empty().then_some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::metainfo::{Content, Create};
    use proptest::prelude::*;

    /// Three pieces of 10 bytes, in files of 15 each.
    fn torrent() -> Metainfo {
        let create = Create::new(
            "n".to_owned(),
            Content::Folder(vec![(vec!["a".to_owned()], 15), (vec!["b".to_owned()], 15)]),
            10,
        );
        Metainfo::parse(create.encode(&[[0; 20]; 3])).unwrap()
    }

    #[test]
    fn slots_are_found_again_and_used_again() {
        let (dir, torrent) = (tempfile::tempdir().unwrap(), torrent());
        let root = Root::open(dir.path()).unwrap();
        let piece = |index| torrent.geometry().piece(index).unwrap();
        let load = || Part::load(&root, &torrent, |file, _| file == 1);
        let mut part = load();
        [2, 1].into_iter().for_each(|index| part.make_slot(&root, &torrent, piece(index)).unwrap());
        let mut again = load();
        assert_eq!(again.slots.by_piece, part.slots.by_piece);
        let span = Span { file: 1, offset: 0, len: 5 };
        let at = again.find(&torrent, piece(1), span).unwrap();
        assert_eq!((at.file, at.offset, at.len), (2, 40 + 3 * 4 + 10 + 5, 5));
        again.slots.by_piece.remove(&piece(2));
        again.slots.free.insert(0);
        again.make_slot(&root, &torrent, piece(0)).unwrap();
        assert_eq!(again.slots.by_piece.into_iter().collect::<Vec<_>>(), [(piece(0), 0), (piece(1), 1)]);
    }

    #[test]
    fn what_is_no_part_file_of_this_torrent_is_written_anew() {
        let (dir, torrent) = (tempfile::tempdir().unwrap(), torrent());
        let root = Root::open(dir.path()).unwrap();
        std::fs::write(dir.path().join(name(torrent.info_hash())), vec![7; 999]).unwrap();
        let mut part = Part::load(&root, &torrent, |_, _| true);
        assert!(!part.has_piece(torrent.geometry().piece(0).unwrap()));
        part.make_slot(&root, &torrent, torrent.geometry().piece(2).unwrap()).unwrap();
        assert_eq!(read(&root, &torrent).unwrap().by_piece, part.slots.by_piece);
    }

    proptest! {
        #[test]
        fn no_table_makes_a_slot_serve_two_pieces(table in prop::collection::vec(0..5_u32, 0..5)) {
            let torrent = torrent();
            let mut bytes = head(&torrent);
            table.iter().for_each(|entry| bytes.extend(entry.to_be_bytes()));
            if let Some(slots) = decode(&bytes, &torrent) {
                let used: BTreeSet<u32> = slots.by_piece.values().copied().collect();
                prop_assert_eq!(used.len(), slots.by_piece.len());
                prop_assert!(used.is_disjoint(&slots.free) && used.iter().all(|slot| *slot < slots.fresh));
            }
        }
    }
}
