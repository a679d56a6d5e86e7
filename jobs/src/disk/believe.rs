//! What to believe of the data that is there before a torrent starts.
//!
//! For each piece there is one of three answers: it is there (`have`), its bytes may be there and
//! are to be hashed (`unsure`), or it is not there.
//!
//! - A piece that the resume file claims is believed if its files have the length and time that
//!   the resume file gives; otherwise it is unsure. `Check::Trust` looks at the lengths alone,
//!   `Check::Full` makes it unsure. A claimed piece whose bytes are not there is never believed.
//! - A piece that the resume file does not claim is not there if the resume file was the last word
//!   and its files have not changed since. Otherwise a process may have been killed after writing
//!   it: it is unsure if its bytes may be there.
//! - Without a resume file a piece is unsure if its bytes may be there. For a download also if
//!   only some of them are: they may be a user's own file of that name, and the core, which
//!   refuses to go on if nothing that is there is right, must hear of them.
//!   `Check::Trust` believes pieces whose files all have the right length.
//!
//! What pieces have of files that are kept in the part file is there if the piece has a slot in it that
//! the file is long enough for; then it is the part file's time that counts.
//!
//! Bytes that were never written (holes in a sparse file) are not there, unless the piece is to
//! be all zeros.

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::{Digest, Span};
use peerless_core::piece::PieceIndex;
use peerless_core::{Check, Purpose, Storage};
use peerless_hash::Sha1;

use super::part::Part;
use super::root::Stat;
use crate::resume::Resume;

/// Hashed over and over, where a piece of zeros is.
const ZEROS: [u8; 4096] = [0; 4096];

/// What is known of a torrent's data before it starts.
pub(crate) struct Evidence<'a> {
    /// The torrent.
    pub(crate) storage: &'a Storage,
    /// What the user wants believed.
    pub(crate) check: Check,
    /// Whether anything will be written.
    pub(crate) purpose: Purpose,
    /// Each file as it is now, and behind them the part file; `None` for what is not there, and for
    /// padding files.
    pub(crate) stats: &'a [Option<Stat>],
    /// What is kept in the part file.
    pub(super) part: &'a Part,
    /// The resume file, if there is a valid one.
    pub(crate) resume: Option<&'a Resume>,
}

/// The pieces to have without a look, and the pieces to hash.
///
/// `has_data` tells whether a span within a file's length was ever written.
pub(crate) fn believe(
    evidence: &Evidence<'_>,
    mut has_data: impl FnMut(Span) -> bool,
) -> (Bitfield, Bitfield) {
    let geometry = evidence.storage.metainfo.geometry();
    let mut have = Bitfield::empty(geometry.piece_count());
    let mut unsure = have.clone();
    let mut zeros = Zeros::default();
    for piece in geometry.pieces() {
        match evidence.belief(piece, &mut has_data, &mut zeros) {
            Belief::Have => have.insert(piece),
            Belief::Unsure => unsure.insert(piece),
            Belief::Missing => false,
        };
    }
    (have, unsure)
}

enum Belief {
    Have,
    Unsure,
    Missing,
}

impl Evidence<'_> {
    fn belief(
        &self,
        piece: PieceIndex,
        has_data: &mut impl FnMut(Span) -> bool,
        zeros: &mut Zeros,
    ) -> Belief {
        let there = self.spans(piece).all(|span| self.is_there(piece, span));
        let Some(resume) = self.resume else {
            if self.check == Check::Trust && self.spans(piece).all(|span| self.has_right_len(span)) {
                return Belief::Have;
            }
            let any_data = self.spans(piece).any(|span| self.has_data(piece, span, has_data));
            let theirs = self.purpose == Purpose::Download && any_data;
            return unsure_if(theirs || (there && (any_data || self.is_zeros(piece, zeros))));
        };
        let unchanged = self.spans(piece).all(|span| {
            let file = self.keeper(span);
            resume.files.get(file).is_some_and(|then| Some(then) == self.stats.get(file))
        });
        if resume.have.has(piece) {
            return match self.check {
                Check::Auto if there && unchanged => Belief::Have,
                Check::Trust if there => Belief::Have,
                Check::Auto | Check::Trust | Check::Full => unsure_if(there),
            };
        }
        if resume.clean && unchanged && self.check != Check::Full {
            return Belief::Missing;
        }
        let any_data = there && self.spans(piece).any(|span| self.has_data(piece, span, has_data));
        unsure_if(there && (any_data || self.is_zeros(piece, zeros)))
    }

    fn spans(&self, piece: PieceIndex) -> impl Iterator<Item = Span> {
        let metainfo = &self.storage.metainfo;
        metainfo.layout().spans(metainfo.geometry(), metainfo.geometry().whole(piece))
    }

    fn is_padding(&self, span: Span) -> bool {
        let file = self.storage.metainfo.layout().files().get(span.file);
        file.is_some_and(|file| file.padding)
    }

    /// The length of the span's file, or of the part file, 0 if it is not there.
    fn file_len(&self, span: Span) -> u64 {
        self.stats.get(span.file).copied().flatten().map_or(0, |stat| stat.len)
    }

    /// The file that keeps the span, by its place among `stats`.
    fn keeper(&self, span: Span) -> usize {
        let files = self.storage.metainfo.layout().files();
        if self.part.has_file(span.file) { files.len() } else { span.file }
    }

    /// Whether the span lies within its file, or in the part file. Padding always does.
    fn is_there(&self, piece: PieceIndex, span: Span) -> bool {
        let kept = self.part.has_file(span.file).then(|| self.part.find(&self.storage.metainfo, piece, span));
        let Some(place) = kept.unwrap_or(Some(span)) else { return false };
        self.is_padding(span) || place.offset.saturating_add(place.len) <= self.file_len(place)
    }

    /// Whether any of the span was ever written.
    fn has_data(&self, piece: PieceIndex, span: Span, has_data: &mut impl FnMut(Span) -> bool) -> bool {
        let is_kept = self.part.has_file(span.file) && self.part.has_piece(piece);
        is_kept || self.written_part(span).is_some_and(has_data)
    }

    fn has_right_len(&self, span: Span) -> bool {
        let file = self.storage.metainfo.layout().files().get(span.file);
        self.is_padding(span) || file.is_some_and(|file| file.len == self.file_len(span))
    }

    /// The part of the span that lies within its file; `None` if that is nothing, and for padding.
    fn written_part(&self, span: Span) -> Option<Span> {
        let len = self.file_len(span).saturating_sub(span.offset).min(span.len);
        (len > 0 && !self.is_padding(span)).then_some(Span { len, ..span })
    }

    /// Whether the piece is to be all zeros, so that a hole is as good as data.
    fn is_zeros(&self, piece: PieceIndex, zeros: &mut Zeros) -> bool {
        let metainfo = &self.storage.metainfo;
        zeros.digest(metainfo.geometry().len_of(piece)) == metainfo.digest(piece)
    }
}

const fn unsure_if(maybe: bool) -> Belief {
    if maybe { Belief::Unsure } else { Belief::Missing }
}

/// The digest of the last length of zeros asked for; all pieces but one have the same length.
#[derive(Default)]
struct Zeros(Option<(u32, Digest)>);

impl Zeros {
    fn digest(&mut self, len: u32) -> Digest {
        match self.0 {
            Some((known, digest)) if known == len => digest,
            Some(_) | None => {
                let (mut sha1, mut rest) = (Sha1::new(), len as usize);
                while rest > 0 {
                    let run = ZEROS.get(..rest).unwrap_or(&ZEROS);
                    sha1.update(run);
                    rest -= run.len();
                }
                let digest = Digest::Sha1(sha1.finish());
                self.0 = Some((len, digest));
                digest
            }
        }
    }
}
