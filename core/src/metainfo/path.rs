//! Names from a torrent, made safe by one rule for all systems.
//!
//! The rule is the same everywhere, so that data moves between systems and a bug shows on all of
//! them. A component (the torrent's name, or one part of a file's path) goes through these steps:
//!
//! 1. Bytes that are no UTF-8, control characters, `/ \ < > : " | ? *` and marks that turn the
//!    writing direction each become `_`. So no component holds a separator, a NUL, a drive or a
//!    stream.
//! 2. Over [`COMPONENT_LEN_MAX`] bytes it is cut to [`CUT_LEN`], in front of its extension.
//! 3. If it is the name of a device on Windows (`con`, `COM1.txt`), `_` is put before it.
//! 4. If it ends in a dot or a blank, which Windows would drop, that last character becomes `_`.
//!    So `.` becomes `_` and `..` becomes `._`.
//!
//! An empty component is left out; a path of nothing else is `_`, an empty name the info-hash.
//! Two files with one path, and a file where a folder is needed, are for `unique.rs`.

use crate::text::is_bidi;

/// The longest component in bytes: what ext4, NTFS and APFS take.
const COMPONENT_LEN_MAX: usize = 255;

/// What a longer component is cut to: leaves room for the ends that are added to temporary names.
const CUT_LEN: usize = 240;

/// A longer extension, in bytes with its dot, is not worth keeping.
const EXTENSION_LEN_MAX: usize = 17;

/// One component made safe; `None` if it is empty.
pub(super) fn component(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let mut name = cut(text.chars().map(|c| if is_usable(c) { c } else { '_' }).collect(), 0);
    if is_device(&name) {
        name = cut(format!("_{name}"), 0);
    }
    if name.ends_with(['.', ' ']) {
        name.pop();
        name.push('_');
    }
    (!name.is_empty()).then_some(name)
}

/// `component` with `.number` before its extension, still a safe component.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let number = format!(".{number}");
    let name = cut(name.to_owned(), number.len());
    let (stem, extension) = name.split_at(extension_at(&name));
    format!("{stem}{number}{extension}")
}

fn is_usable(c: char) -> bool {
    match c {
        '/' | '\\' | '<' | '>' | ':' | '"' | '|' | '?' | '*' | char::REPLACEMENT_CHARACTER => false,
        // Marks that turn the writing direction make `exe.txt` of `txt.exe` on the screen.
        _ => !c.is_control() && !is_bidi(c),
    }
}

/// Shortens a name that with `more` bytes would be too long, in front of its extension.
fn cut(mut name: String, more: usize) -> String {
    if name.len() + more > COMPONENT_LEN_MAX {
        let extension = name.split_off(extension_at(&name));
        let mut len = CUT_LEN - extension.len();
        while !name.is_char_boundary(len) {
            len -= 1;
        }
        name.truncate(len);
        name.push_str(&extension);
    }
    name
}

/// Where the extension starts, with its dot; the end if there is none.
fn extension_at(name: &str) -> usize {
    let at = name.rfind('.').filter(|&at| at > 0 && name.len() - at <= EXTENSION_LEN_MAX);
    at.unwrap_or(name.len())
}

/// Whether Windows takes this name for a device, whatever its extension and case.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ');
    if ["con", "prn", "aux", "nul", "conin$", "conout$"].iter().any(|d| stem.eq_ignore_ascii_case(d)) {
        return true;
    }
    let Some((kind, digit)) = stem.split_at_checked(3) else { return false };
    let is_port = kind.eq_ignore_ascii_case("com") || kind.eq_ignore_ascii_case("lpt");
    is_port && matches!(digit, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_safe() {
        for (raw, safe) in [
            ("plain name.txt", "plain name.txt"),
            ("中文 — ünïcode 👩‍👩‍👧.mkv", "中文 — ünïcode 👩‍👩‍👧.mkv"),
            ("foo... bar", "foo... bar"),
            (".hidden", ".hidden"),
            (".", "_"),
            ("..", "._"),
            ("...", ".._"),
            (" ", "_"),
            ("end. ", "end._"),
            ("a/b\\c", "a_b_c"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("C:\\x", "C__x"),
            ("file:stream", "file_stream"),
            ("a\0b\x1b[2Jc\u{85}\x7f", "a_b_[2Jc__"),
            ("gpj.\u{202e}exe", "gpj._exe"),
            ("con", "_con"),
            ("NUL.tar.gz", "_NUL.tar.gz"),
            ("COM1 .txt", "_COM1 .txt"),
            ("lpt³", "_lpt³"),
            ("CON ", "_CON_"),
            ("console", "console"),
            ("com", "com"),
            ("com10", "com10"),
        ] {
            assert_eq!(component(raw.as_bytes()).as_deref(), Some(safe), "{raw:?}");
        }
        assert_eq!(component(b""), None);
        assert_eq!(component(b"caf\xe9 \xff\xfe").as_deref(), Some("caf_ __"));
    }

    #[test]
    fn long_names_are_cut_in_front_of_the_extension() {
        let name = component(format!("{}.flac", "é".repeat(200)).as_bytes()).unwrap();
        assert_eq!(name, format!("{}.flac", "é".repeat(117)));
        let fits = "x".repeat(255);
        assert_eq!(component(fits.as_bytes()).as_deref(), Some(fits.as_str()));
        assert_eq!(component("y".repeat(256).as_bytes()).unwrap().len(), 240);
    }

    #[test]
    fn a_name_that_is_cut_into_a_device_is_none() {
        let name = component(format!("nul{}x.txt", " ".repeat(300)).as_bytes()).unwrap();
        assert!(name.starts_with("_nul ") && name.len() <= 255, "{name}");
    }

    #[test]
    fn numbers_go_before_the_extension() {
        assert_eq!(numbered("a.tar.gz", 1), "a.tar.1.gz");
        assert_eq!(numbered("README", 12), "README.12");
        assert_eq!(numbered(".profile", 1), ".profile.1");
        assert_eq!(numbered(&format!("{}.txt", "x".repeat(251)), 1).len(), 242);
    }

    proptest! {
        #[test]
        fn every_component_is_safe_and_stays_so(raw in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            "[.conul1 /\\\\:é]{0,300}".prop_map(String::into_bytes),
        ]) {
            let Some(name) = component(&raw) else {
                prop_assert!(raw.is_empty());
                return Ok(());
            };
            prop_assert!(!name.is_empty() && name.len() <= 255);
            prop_assert!(!name.contains(['/', '\\', '\0', ':']) && !name.contains(char::is_control));
            prop_assert!(!name.ends_with(['.', ' ']) && !is_device(&name));
            prop_assert_eq!(component(name.as_bytes()), Some(name));
        }
    }
}
