//! A part of a stream, without the zeros behind its bytes: payload whose content matters to nobody.

/// The longest run of zeros that stands in for payload: as much as is read from a disk at once.
pub(crate) const ZEROS_LEN: usize = 256 * 1024;

/// Zeros, for whoever wants to see them.
pub(crate) static ZEROS: [u8; ZEROS_LEN] = [0; ZEROS_LEN];

/// Fewer zeros than this are carried like any bytes: messages hold some too.
const RUN_LEN_MIN: usize = 256;

/// Some bytes and zeros behind them, of which there are any only behind payload.
#[derive(Debug, Default)]
pub struct Part {
    bytes: Vec<u8>,
    zeros: usize,
}

impl Part {
    /// How long it is.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() + self.zeros
    }

    /// Whether it is the end of a stream.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, and how many zeros are behind them.
    pub(crate) fn both(&self) -> (&[u8], usize) {
        (&self.bytes, self.zeros)
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.zeros = 0;
    }

    /// Takes a run of a stream, as far as `len_max` bytes; what follows zeros does not fit in. Returns
    /// whether more may follow.
    pub(crate) fn push(&mut self, run: &[u8], len_max: usize, whole_runs: bool) -> bool {
        let room = len_max.saturating_sub(self.len());
        if room == 0 || self.zeros > 0 {
            return false;
        }
        if run.len() >= RUN_LEN_MIN && is_zeros(run) {
            self.zeros = if whole_runs { run.len() } else { run.len().min(room) };
            return false;
        }
        let taken = run.get(..room).unwrap_or(run);
        self.bytes.extend_from_slice(taken);
        self.len() < len_max
    }

    /// Takes further bytes.
    pub(crate) fn extend(&mut self, bytes: impl Iterator<Item = u8>) {
        debug_assert!(self.zeros == 0, "zeros are at the end");
        self.bytes.extend(bytes);
    }

    /// Cuts it; what is behind `at` is the other part.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        if at < self.bytes.len() {
            return Self { bytes: self.bytes.split_off(at), zeros: std::mem::take(&mut self.zeros) };
        }
        let kept = at - self.bytes.len();
        let zeros = self.zeros.saturating_sub(kept);
        self.zeros -= zeros;
        Self { bytes: Vec::new(), zeros }
    }
}

/// Whether all of it is zero, as far as it can be a block's. Nobody looks at zeros that are known.
pub(crate) fn is_zeros(run: &[u8]) -> bool {
    let is_known = |zeros: &[u8]| run.len() <= zeros.len() && std::ptr::eq(run.as_ptr(), zeros.as_ptr());
    is_known(&ZEROS)
        || is_known(&peerless_core::block::ZEROS)
        || run.first() == Some(&0) && ZEROS.get(..run.len()) == Some(run)
}

/// Where a part's bytes are put before zeros that are there already, so that nothing is written but
/// the bytes.
#[derive(Debug)]
pub(crate) struct Whole {
    front: usize,
    room: Vec<u8>,
}

impl Default for Whole {
    fn default() -> Self {
        Self { front: 0, room: vec![0; ZEROS_LEN] }
    }
}

impl Whole {
    /// All bytes of a part, one after the other.
    pub(crate) fn of<'a>(&'a mut self, part: &'a Part) -> &'a [u8] {
        if part.zeros == 0 {
            return &part.bytes;
        }
        if self.front < part.bytes.len() {
            self.front = part.bytes.len();
            self.room = vec![0; self.front + ZEROS_LEN];
        }
        let start = self.front - part.bytes.len();
        self.room[start..self.front].copy_from_slice(&part.bytes);
        &self.room[start..self.front + part.zeros]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_whole_however_it_was_cut() {
        let mut whole = Whole::default();
        let (head, payload) = ([7; 13], [0; 1000]);
        let all = [&head[..], &payload].concat();
        for cut in [1, 13, 500, 1013] {
            let mut part = Part::default();
            assert!(part.push(&head, 2000, false) && !part.push(&payload, 2000, false));
            assert!(!part.push(&head, 2000, false), "zeros are last");
            assert_eq!((part.len(), part.bytes.len()), (1013, 13));
            let rest = part.split_off(cut);
            let both = [whole.of(&part).to_vec(), whole.of(&rest).to_vec()];
            assert_eq!((both[0].len(), both.concat()), (cut, all.clone()));
        }
        let mut part = Part::default();
        part.push(&head, 10, false);
        assert_eq!((part.len(), part.push(&payload, 10, true)), (10, false));
    }

    #[test]
    fn only_zeros_are_zeros() {
        assert!(is_zeros(&[0; 300]) && !is_zeros(&[]));
        assert!(!is_zeros(&[&[0; 299][..], &[1]].concat()) && !is_zeros(&[1, 0]));
    }
}
