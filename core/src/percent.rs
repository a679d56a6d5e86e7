//! Percent-encoding of URLs (RFC 3986, section 2.1).

use std::fmt::Write;

/// Writes `bytes` with all but the unreserved characters encoded.
pub(crate) fn encode(text: &mut String, bytes: &[u8]) {
    encode_unless(text, bytes, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
}

/// Writes `bytes` with all but those that are `plain` encoded.
pub(crate) fn encode_unless(text: &mut String, bytes: &[u8], plain: impl Fn(u8) -> bool) {
    for &byte in bytes {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// What `text` stands for. A `%` without two hex digits behind it stands for itself, as in browsers;
/// so does `+`, which is a blank in forms only.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let (mut rest, mut bytes) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let Some((&first, after)) = rest.split_first() {
        let coded = match after {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        bytes.push(coded.map_or(first, |(high, low)| high << 4 | low));
        rest = if coded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(&mut text, bytes);
        text
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encoded(b"aZ9-._~ /+%\0\xff"), "aZ9-._~%20%2F%2B%25%00%FF");
    }

    #[test]
    fn what_is_no_code_stands_for_itself() {
        assert_eq!(decode("a%2fb%2Fc+%zz%4%"), b"a/b/c+%zz%4%");
        assert_eq!(decode("%%41%+1"), b"%A%+1");
    }

    proptest! {
        #[test]
        fn every_byte_goes_round(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encoded(&bytes)), bytes);
        }
    }
}
