//! What scripted peers do about metadata, by the letter of BEP 9 and BEP 10.

use super::{Act, Meta, Puppet};
use crate::link::Conn;
use crate::speak;

/// The number that a scripted peer gives `ut_metadata`.
const ID: u8 = 3;

/// The number that a session gives it.
const SESSION_ID: u8 = 3;

/// Bytes of a piece.
const PIECE_LEN: usize = 16 * 1024;

/// Says what there is to say behind the handshake.
pub(super) fn greet(meta: Meta, info: &[u8], out: &mut Vec<u8>) {
    let hello = |len: usize| format!("\0d1:md11:ut_metadatai{ID}ee13:metadata_sizei{len}ee").into_bytes();
    let hello = match meta {
        Meta::None => return,
        Meta::Right
        | Meta::Wrong
        | Meta::Mute
        | Meta::Rejects
        | Meta::Unasked
        | Meta::Changing
        | Meta::OtherTotal
        | Meta::Longer => hello(info.len()),
        Meta::TooLong => hello(1 << 30),
        Meta::Short => hello(info.len() / 2),
        Meta::Empty => hello(0),
        Meta::Deep => [b"\0d1:a", &b"l".repeat(60_000)[..]].concat(),
        Meta::Wide => {
            let names: String = (0..6000).map(|number| format!("4:{number:04}i1e")).collect();
            format!("\0d1:md{names}ee").into_bytes()
        }
    };
    speak::message(out, speak::EXTENDED, &[], &hello);
    if meta == Meta::Unasked {
        (0..2000).for_each(|_| data(out, 0, &[7; PIECE_LEN]));
    }
}

fn data(out: &mut Vec<u8>, piece: usize, bytes: &[u8]) {
    data_with(out, piece, "", bytes);
}

fn data_with(out: &mut Vec<u8>, piece: usize, more: &str, bytes: &[u8]) {
    let head = format!("d8:msg_typei1e5:piecei{piece}e{more}e");
    speak::message(out, speak::EXTENDED, &[], &[&[SESSION_ID], head.as_bytes(), bytes].concat());
}

/// The piece that a request is for.
fn requested(text: &[u8]) -> Option<usize> {
    let (&id, text) = text.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    let number = text.strip_prefix("d8:msg_typei0e5:piecei")?.split('e').next()?;
    number.parse().ok().filter(|_| id == ID)
}

impl Puppet {
    pub(super) fn on_extended(&mut self, conn: Conn, text: &[u8], acts: &mut Vec<Act>) {
        let Some(piece) = requested(text) else { return };
        let info = self.sample.metainfo.info();
        let start = piece * PIECE_LEN;
        let start = start.min(info.len());
        let right = &info[start..info.len().min(start + PIECE_LEN)];
        let mut out = Vec::new();
        match self.plan.metadata {
            Meta::Right => data(&mut out, piece, right),
            Meta::Wrong => {
                self.stats.lie_count += 1;
                data(&mut out, piece, &vec![7; right.len()]);
            }
            Meta::Rejects => {
                let reject = format!("d8:msg_typei2e5:piecei{piece}ee");
                let bytes = [&[SESSION_ID], reject.as_bytes()].concat();
                speak::message(&mut out, speak::EXTENDED, &[], &bytes);
            }
            Meta::Short => {
                let end = (info.len() / 2).clamp(start, start + PIECE_LEN);
                data(&mut out, piece, &info[start..end]);
            }
            Meta::Changing => {
                let len = info.len() + self.rng.below(100_000);
                let hello = format!("\0d1:md11:ut_metadatai{ID}ee13:metadata_sizei{len}ee");
                speak::message(&mut out, speak::EXTENDED, &[], hello.as_bytes());
            }
            Meta::OtherTotal => data_with(&mut out, piece, "10:total_sizei1e", right),
            Meta::Longer => data(&mut out, piece, &[right, &[7; 1000]].concat()),
            Meta::None
            | Meta::TooLong
            | Meta::Mute
            | Meta::Deep
            | Meta::Wide
            | Meta::Unasked
            | Meta::Empty => return,
        }
        acts.push(Act::Send(conn, out));
    }
}
