//! What the system is told about data that is read once, from end to end.

use std::fs::File;

/// What will become of a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// It is read soon: start now.
    Soon,
    /// It is not read again: its memory can serve others.
    Done,
}

/// Gives advice. A system that can't take it goes on as it would.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn advise(file: &File, offset: u64, len: u64, advice: Advice) {
    let advice = match advice {
        Advice::Soon => rustix::fs::Advice::WillNeed,
        Advice::Done => rustix::fs::Advice::DontNeed,
    };
    if let Some(len) = std::num::NonZeroU64::new(len) {
        let _ = rustix::fs::fadvise(file, offset, Some(len), advice);
    }
}

/// Elsewhere there is nobody to tell.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(crate) fn advise(_file: &File, _offset: u64, _len: u64, _advice: Advice) {}

/// Whether so many bytes, read once, would push what others use out of the system's memory: more
/// than half of it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_large(len: u64) -> bool {
    let info = rustix::system::sysinfo();
    #[expect(clippy::useless_conversion, reason = "32 bits wide on some systems")]
    let memory_len = u64::from(info.totalram).saturating_mul(info.mem_unit.into());
    len > memory_len / 2
}

/// Where the system doesn't say how much memory it has, it is left to itself.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_large(_len: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_no_bytes() {
        let file = tempfile::tempfile().unwrap();
        let mut slices = [std::io::IoSlice::new(&[7; 10_000])];
        super::super::positioned::write_all_at(&file, &mut slices, 0).unwrap();
        for advice in [Advice::Soon, Advice::Done] {
            advise(&file, 100, 9_000, advice);
            advise(&file, 0, 0, advice);
            advise(&file, 9_999, u64::MAX, advice);
        }
        let mut bytes = [0; 10_000];
        super::super::positioned::read_exact_at(&file, &mut bytes, 0).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn a_little_is_never_large() {
        assert!(!is_large(1 << 20));
    }
}
