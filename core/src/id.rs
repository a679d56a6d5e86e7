//! The 20-byte names of the protocol: info-hash and peer id.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;

/// SHA-1 over the raw bytes of a torrent's `info` dictionary: the swarm's name (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash([u8; 20]);

impl InfoHash {
    /// The info-hash with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The info-hash of the raw bytes of an `info` dictionary, as they stand in the file.
    #[must_use]
    pub fn of(info: &[u8]) -> Self {
        Self(sha1_smol::Sha1::from(info).digest().bytes())
    }

    /// Its bytes, as in a handshake.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for InfoHash {
    /// 40 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 40 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoHashError;

impl fmt::Display for InfoHashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an info-hash has 40 hex digits")
    }
}

impl std::error::Error for InfoHashError {}

impl FromStr for InfoHash {
    type Err = InfoHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InfoHashError);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InfoHashError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InfoHashError)?;
        }
        Ok(Self(bytes))
    }
}

/// The 20 bytes by which a client names itself on the wire (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 20]);

/// Client and version, in the style of Azureus (BEP 20): `PL`, then major, minor, patch, 0.
const PEER_ID_PREFIX: &[u8; 8] = b"-PL0100-";

/// Clients that are common today, by the two letters that name them in a peer id.
const CLIENTS: [([u8; 2], &str); 19] = [
    (*b"A2", "aria2"),
    (*b"AZ", "Vuze"),
    (*b"BC", "BitComet"),
    (*b"BI", "BiglyBT"),
    (*b"BT", "BitTorrent"),
    (*b"DE", "Deluge"),
    (*b"FD", "Free Download Manager"),
    (*b"KT", "KTorrent"),
    (*b"PL", "peerless"),
    (*b"TR", "Transmission"),
    (*b"TX", "Tixati"),
    (*b"UM", "uTorrent Mac"),
    (*b"UT", "uTorrent"),
    (*b"WW", "WebTorrent"),
    (*b"XL", "Xunlei"),
    (*b"lT", "rtorrent"),
    (*b"lt", "libtorrent"),
    (*b"qB", "qBittorrent"),
    (*b"rQ", "rqbit"),
];

impl PeerId {
    /// The peer id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// A fresh id of this client: its prefix and twelve random letters and digits.
    pub fn random(rng: &mut Rng) -> Self {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(PEER_ID_PREFIX);
        for byte in &mut bytes[8..] {
            *byte = LETTERS[rng.below(LETTERS.len())];
        }
        Self(bytes)
    }

    /// Its bytes, as in a handshake.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The client and version that it names in the style of Azureus (BEP 20), if that is known.
    #[must_use]
    pub fn client(&self) -> Option<String> {
        let [b'-', first, second, version @ .., b'-'] = self.0.first_chunk::<8>()? else { return None };
        let (_, name) = CLIENTS.iter().find(|(code, _)| *code == [*first, *second])?;
        // Each sign is a number, beyond 9 a letter: 3.0.0.0 is 3.0.
        let numbers = version.iter().map(|sign| char::from(*sign).to_digit(36));
        let mut numbers: Vec<u32> = numbers.collect::<Option<_>>()?;
        while numbers.len() > 2 && numbers.last() == Some(&0) {
            numbers.pop();
        }
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        Some(format!("{name} {}", numbers.join(".")))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_hash_text_goes_round() {
        let hash = InfoHash::of(b"d4:infoe");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn info_hash_text_of_another_form_is_refused() {
        for bad in ["", "00", &"g".repeat(40), &"0".repeat(41), &"+0".repeat(20), "é".repeat(20).as_str()] {
            assert_eq!(bad.parse::<InfoHash>(), Err(InfoHashError), "{bad}");
        }
    }

    #[test]
    fn peer_ids_name_their_clients() {
        let client = |text: &[u8; 8]| {
            let mut bytes = [b'x'; 20];
            bytes[..8].copy_from_slice(text);
            PeerId::new(bytes).client()
        };
        assert_eq!(client(b"-TR3000-").as_deref(), Some("Transmission 3.0"));
        assert_eq!(client(b"-qB4630-").as_deref(), Some("qBittorrent 4.6.3"));
        // What is written with capitals and without are two clients; letters go on after 9.
        assert_eq!(client(b"-lt20B0-").as_deref(), Some("libtorrent 2.0.11"));
        assert_eq!(client(b"-lT0D80-").as_deref(), Some("rtorrent 0.13.8"));
        for other in [b"-XX1234-", b"M7-10-0-", b"-TR3\x1b00-", b"xTR3000-"] {
            assert_eq!(client(other), None);
        }
    }

    #[test]
    fn our_peer_ids_name_the_client_and_differ() {
        let mut rng = Rng::new(1);
        let (a, b) = (PeerId::random(&mut rng), PeerId::random(&mut rng));
        assert!(a.as_bytes().starts_with(PEER_ID_PREFIX));
        assert_ne!(a, b);
    }
}
