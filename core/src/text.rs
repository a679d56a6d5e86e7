//! Foreign text, made fit to be shown.
//!
//! Names, tracker messages and client names come from strangers. A terminal obeys control characters
//! in them, and marks that turn the writing direction or take no room make one text look like
//! another. Whatever is shown or logged goes through [`escaped`].

use std::fmt::{self, Write};

/// Characters shown of one text: whole paths fit, a megabyte of comment does not.
const SHOWN_COUNT_MAX: usize = 4096;

/// `text` with every character that acts, or can't be seen, as `\u{..}`; cut if it is very long.
#[must_use]
pub const fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(SHOWN_COUNT_MAX) {
            if is_plain(c) {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        if self.0.chars().nth(SHOWN_COUNT_MAX).is_some() { f.write_char('…') } else { Ok(()) }
    }
}

/// Whether `c` turns the writing direction.
pub(crate) const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_plain(c: char) -> bool {
    match c {
        // Soft hyphen, grapheme joiner, Mongolian and Hangul fillers.
        '\u{AD}'
        | '\u{34F}'
        | '\u{180B}'..='\u{180E}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{FFA0}' => false,
        // Zero-width blanks and joiners, line and paragraph separators, invisible operators.
        '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => false,
        // Annotations and tags.
        '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}' => false,
        _ => !c.is_control() && !is_bidi(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_or_hides_is_spelled_out() {
        for (text, shown) in [
            ("plain – ünïcode 中文 🎵", "plain – ünïcode 中文 🎵"),
            ("\x1b[2J\r\n\t\0", "\\u{1b}[2J\\u{d}\\u{a}\\u{9}\\u{0}"),
            ("\x7f\u{9b}31m", "\\u{7f}\\u{9b}31m"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("a\u{200b}b\u{feff}\u{2069}", "a\\u{200b}b\\u{feff}\\u{2069}"),
        ] {
            assert_eq!(escaped(text).to_string(), shown);
        }
    }

    #[test]
    fn long_text_is_cut() {
        let whole = "é".repeat(SHOWN_COUNT_MAX);
        assert_eq!(escaped(&whole).to_string(), whole);
        assert_eq!(escaped(&format!("{whole}é")).to_string(), format!("{whole}…"));
    }

    proptest! {
        #[test]
        fn nothing_shown_is_a_control(text: String) {
            prop_assert!(!escaped(&text).to_string().contains(|c: char| c.is_control() || is_bidi(c)));
        }
    }
}
