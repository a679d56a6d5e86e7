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

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(&mut text, bytes);
        text
    }

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(encoded(b"aZ9-._~ /+%\0\xff"), "aZ9-._~%20%2F%2B%25%00%FF");
    }
}
