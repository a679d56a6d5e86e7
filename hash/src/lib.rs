//! SHA-1 of several independent messages at once.
//!
//! One SHA-1 is a chain of steps that wait on each other, so that most of a core stands idle.
//! Messages that have nothing to do with each other fill it: [`sha1_each`] and [`update_each`]
//! hash 8 or 16 of them side by side in vector registers, or a few interleaved by the CPU's SHA
//! instructions, whichever this CPU does faster for the number that is there. What the CPU can is
//! found at run time; the digests are the same everywhere.
//!
//! ```
//! let pieces: [&[&[u8]]; 2] = [&[b"one piece ", b"in two blocks"], &[b"another"]];
//! let digests = peerless_hash::sha1_each(&pieces);
//! assert_eq!(digests[1], peerless_hash::sha1(b"another"));
//! ```

mod backend;
mod cursor;
mod message;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use backend::{Backend, backends, width};
pub use message::Sha1;

use cursor::Cursor;

/// The SHA-1 of a message.
pub type Digest = [u8; 20];

/// The digest of one message.
#[must_use]
pub fn sha1(message: &[u8]) -> Digest {
    let mut sha1 = Sha1::new();
    sha1.update(message);
    sha1.finish()
}

/// The digest of each message, in their order. A message is given as its parts in order, of any
/// length.
#[must_use]
pub fn sha1_each(messages: &[&[&[u8]]]) -> Vec<Digest> {
    sha1_each_by(backends(), messages)
}

/// Hashes further bytes of each of some messages: the parts that come next.
///
/// Fastest if there are [`width`] of them and the parts are equally long, multiples of 64 bytes.
pub fn update_each<'a>(parts: impl IntoIterator<Item = (&'a mut Sha1, &'a [u8])>) {
    let mut cursors: Vec<_> = parts.into_iter().map(|(sha1, part)| Cursor::update(sha1, part)).collect();
    cursor::run(backends(), &mut cursors);
}

/// The digest of each message, in their order.
#[must_use]
pub fn finish_each(mut messages: Vec<Sha1>) -> Vec<Digest> {
    let mut cursors: Vec<_> = messages.iter_mut().map(|sha1| Cursor::finish(sha1, &[])).collect();
    cursor::run(backends(), &mut cursors);
    messages.iter().map(Sha1::digest).collect()
}

/// [`sha1_each`] by these of [`backends`] alone: to test and to measure them one by one.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn sha1_each_by(backends: &[Backend], messages: &[&[&[u8]]]) -> Vec<Digest> {
    let mut running = vec![Sha1::new(); messages.len()];
    let mut cursors: Vec<_> =
        running.iter_mut().zip(messages).map(|(sha1, parts)| Cursor::finish(sha1, parts)).collect();
    cursor::run(backends, &mut cursors);
    drop(cursors);
    running.iter().map(Sha1::digest).collect()
}
