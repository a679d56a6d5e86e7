//! A recording's outer form: a line that says what it is, then frames, each with a digest of all that
//! came before it and of itself.
//!
//! A frame is the length of its content, in 32 bits of which the two highest say how the recording
//! ends; the digest in 64; the content. All numbers are little-endian. A frame is written whole, so what
//! a crash leaves is a frame that is not all there, or a hole of zeros where one was to come.

use std::hash::Hasher;

use super::digest::Digest;
use super::{FORMAT, ReplayError};

/// What a recording's first line begins with; the number of its format and the program's version follow.
const TITLE: &[u8] = b"peerless recording ";

/// What recordings up to format 4 began with, before the number in one byte.
const OLD_TITLE: &[u8] = b"peerle\x00";

/// The longest first line: far more than two numbers.
const LINE_LEN_MAX: usize = 100;

/// Length and digest.
const HEAD_LEN: usize = 12;

/// In a frame's length: with it the session has ended.
const ENDED: u32 = 1 << 31;

/// In a frame's length: with it the recording has reached its longest length.
const FULL: u32 = 1 << 30;

/// What a crash can leave behind the last whole frame: some that were being written at once.
const TAIL_LEN_MAX: usize = 16 * 1024 * 1024;

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// With the session.
    ShutDown,
    /// Where it reached the length that it was to have at most.
    Full,
    /// In the middle: the process was killed, or is still at it.
    CutOff,
}

/// Puts what is recorded into frames.
#[derive(Debug)]
pub(super) struct Sealer {
    digest: Digest,
    is_first: bool,
}

impl Sealer {
    pub(super) fn new() -> Self {
        Self { digest: Digest::default(), is_first: true }
    }

    /// The next bytes of the file.
    ///
    /// # Panics
    /// With content of 1 GiB.
    pub(super) fn seal(&mut self, content: &[u8], end: RecordingEnd) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(content.len() + HEAD_LEN + LINE_LEN_MAX);
        if std::mem::take(&mut self.is_first) {
            bytes.extend_from_slice(TITLE);
            bytes.extend_from_slice(format!("{FORMAT} {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
            self.digest.write(&bytes);
        }
        let len = u32::try_from(content.len()).ok().filter(|len| *len < FULL);
        let len = len.expect("a part of a recording is far below 1 GiB");
        let head = match end {
            RecordingEnd::ShutDown => len | ENDED,
            RecordingEnd::Full => len | FULL,
            RecordingEnd::CutOff => len,
        };
        self.digest.write_u32(head);
        self.digest.write(content);
        bytes.extend(head.to_le_bytes());
        bytes.extend(self.digest.finish().to_le_bytes());
        bytes.extend_from_slice(content);
        bytes
    }
}

/// A recording with these records and an end, whatever they are: for what makes or changes recordings.
#[must_use]
pub fn sealed_recording(records: &[u8]) -> Vec<u8> {
    Sealer::new().seal(records, RecordingEnd::ShutDown)
}

/// A recording's records, without what is around them.
///
/// # Errors
/// When it is no recording of this format, or damaged.
pub fn unsealed_recording(recording: &[u8]) -> Result<Vec<u8>, ReplayError> {
    open(recording).map(|opened| opened.content)
}

/// A recording without its outer form.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    /// The version of the program that made it.
    pub(super) program: &'a str,
    /// The records.
    pub(super) content: Vec<u8>,
    /// Bytes at the end of the file that are no whole frame.
    pub(super) cut_len: usize,
    pub(super) end: RecordingEnd,
}

/// Takes the outer form off, and checks every bit.
pub(super) fn open(file: &[u8]) -> Result<Opened<'_>, ReplayError> {
    let (line, program) = title(file)?;
    let mut digest = Digest::default();
    digest.write(line);
    let (mut content, mut end) = (Vec::new(), RecordingEnd::CutOff);
    let mut rest = file.get(line.len()..).unwrap_or_default();
    while !rest.is_empty() {
        let offset = file.len() - rest.len();
        let Some((head, want, body)) = split(rest) else { break };
        digest.write_u32(head);
        digest.write(body);
        if digest.finish() != want {
            return Err(ReplayError::Damaged { offset });
        }
        end = match head & !LEN_MASK {
            0 => RecordingEnd::CutOff,
            ENDED => RecordingEnd::ShutDown,
            FULL => RecordingEnd::Full,
            _ => return Err(ReplayError::Damaged { offset }),
        };
        content.extend_from_slice(body);
        rest = rest.get(HEAD_LEN + body.len()..).unwrap_or_default();
    }
    if rest.len() > TAIL_LEN_MAX {
        return Err(ReplayError::Damaged { offset: file.len() - rest.len() });
    }
    if !rest.is_empty() {
        end = RecordingEnd::CutOff;
    }
    Ok(Opened { program, content, cut_len: rest.len(), end })
}

/// The part of a frame's first number that is its length.
const LEN_MASK: u32 = FULL - 1;

/// The first frame: its first number, its digest, its content. `None` if it is not all there.
fn split(bytes: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let (digest, rest) = rest.split_first_chunk::<8>()?;
    let (head, digest) = (u32::from_le_bytes(*head), u64::from_le_bytes(*digest));
    if (head, digest) == (0, 0) {
        // A hole. An empty frame is never written.
        return None;
    }
    let len = usize::try_from(head & LEN_MASK).ok()?;
    Some((head, digest, rest.get(..len)?))
}

/// The first line, and the program's version in it.
fn title(file: &[u8]) -> Result<(&[u8], &str), ReplayError> {
    if let Some((format, _)) = file.strip_prefix(OLD_TITLE).and_then(<[u8]>::split_first) {
        return Err(ReplayError::OtherFormat { format: (*format).into(), program: None });
    }
    let rest = file.strip_prefix(TITLE).ok_or(ReplayError::NotARecording)?;
    let end =
        rest.iter().take(LINE_LEN_MAX).position(|byte| *byte == b'\n').ok_or(ReplayError::NotARecording)?;
    let words = rest.get(..end).and_then(|words| std::str::from_utf8(words).ok());
    let (format, program) =
        words.and_then(|words| words.split_once(' ')).ok_or(ReplayError::NotARecording)?;
    let format: u32 = format.parse().map_err(|_| ReplayError::NotARecording)?;
    if format != FORMAT {
        return Err(ReplayError::OtherFormat { format, program: Some(program.to_owned()) });
    }
    Ok((file.get(..TITLE.len() + end + 1).unwrap_or_default(), program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file() -> Vec<u8> {
        let mut sealer = Sealer::new();
        let mut file = sealer.seal(b"first", RecordingEnd::CutOff);
        file.extend(sealer.seal(b"second and longer", RecordingEnd::ShutDown));
        file
    }

    #[test]
    fn what_is_sealed_is_opened_again() {
        let file = file();
        let opened = open(&file).unwrap();
        assert_eq!(opened.content, b"firstsecond and longer");
        assert_eq!((opened.cut_len, opened.end), (0, RecordingEnd::ShutDown));
        assert_eq!(opened.program, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn what_was_cut_off_is_opened_up_to_the_last_whole_frame() {
        let file = file();
        let first_len = file.len() - HEAD_LEN - b"second and longer".len();
        for len in first_len..file.len() {
            let opened = open(&file[..len]).unwrap();
            assert_eq!((&opened.content[..], opened.cut_len), (&b"first"[..], len - first_len));
            assert_eq!(opened.end, RecordingEnd::CutOff);
        }
        let hole = [&file[..first_len], &[0; 40]].concat();
        assert_eq!(open(&hole).unwrap().cut_len, 40);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_anywhere_is_noticed(at: prop::sample::Index) {
            let mut file = file();
            let bit = at.index(file.len() * 8);
            file[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&file).map_or(true, |opened| opened.cut_len > 0));
        }
    }

    #[test]
    fn other_formats_are_told_by_name() {
        let refused = |file: &[u8]| open(file).unwrap_err();
        assert_eq!(refused(b"peerle\x00\x04rest"), ReplayError::OtherFormat { format: 4, program: None });
        let newer = ReplayError::OtherFormat { format: 999, program: Some("9.1.0".to_owned()) };
        assert_eq!(refused(b"peerless recording 999 9.1.0\nrest"), newer);
        for bad in [&b""[..], b"peerless", b"peerless recording 5", b"peerless recording x y\n"] {
            assert_eq!(refused(bad), ReplayError::NotARecording);
        }
    }
}
