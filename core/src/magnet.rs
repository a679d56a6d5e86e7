//! Magnet links (BEP 9, "magnet URI format").

use std::fmt;
use std::str::FromStr;

use crate::id::InfoHash;
use crate::metainfo::{Metainfo, TRACKER_COUNT_MAX, WEB_SEED_COUNT_MAX, tracker_url, web_seed_url};
use crate::percent;

/// The longest link in bytes: 200 trackers with long names.
const LINK_LEN_MAX: usize = 64 * 1024;

/// Peers in one link. Those that are made by programs have one or two.
const PEER_COUNT_MAX: usize = 100;

/// Runs of files in one link. A link with more would be longer than people pass on.
const RUN_COUNT_MAX: usize = 1000;

/// A torrent as a magnet link tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Magnet {
    /// `xt`: the swarm.
    pub info_hash: InfoHash,
    /// `dn`: what to call it until the metadata is there; foreign text.
    pub name: Option<String>,
    /// `tr`: announce URLs.
    pub trackers: Vec<String>,
    /// `x.pe`: peers to try, as host (a name, or an address without brackets) and port.
    pub peers: Vec<(String, u16)>,
    /// `ws`: URLs that have the data.
    pub web_seeds: Vec<String>,
    /// `so` (BEP 53): the files that are wanted, counted from 0, as runs from first to last; empty if
    /// nothing is said, and so all are.
    pub select: Vec<(u32, u32)>,
}

/// Why a text is not a magnet link that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagnetError {
    /// It does not start with `magnet:?`.
    NotMagnet,
    /// It has over 64 KiB.
    TooLong,
    /// It has no `xt=urn:btih:`.
    NoInfoHash,
    /// The info-hash is neither 40 hex nor 32 base32 digits.
    InfoHash,
    /// It names a BitTorrent v2 torrent alone.
    V2Only,
}

impl fmt::Display for MagnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMagnet => "not a magnet link: it does not start with magnet:?",
            Self::TooLong => "the magnet link is longer than 64 KiB",
            Self::NoInfoHash => "the magnet link has no info-hash (xt=urn:btih:)",
            Self::InfoHash => "the info-hash is neither 40 hex nor 32 base32 digits",
            Self::V2Only => "BitTorrent v2 only torrents are not supported",
        })
    }
}

impl std::error::Error for MagnetError {}

impl Magnet {
    /// The link to a torrent that is at hand.
    #[must_use]
    pub fn of(metainfo: &Metainfo) -> Self {
        Self {
            info_hash: metainfo.info_hash(),
            name: Some(metainfo.name().to_owned()),
            trackers: metainfo.tiers().concat(),
            peers: Vec::new(),
            web_seeds: metainfo.web_seeds(),
            select: Vec::new(),
        }
    }
}

/// The info-hash that 40 hex or 32 base32 digits stand for.
///
/// # Errors
/// [`MagnetError::InfoHash`] when they are neither.
pub fn parse_info_hash(text: &str) -> Result<InfoHash, MagnetError> {
    let parsed = text.parse().ok();
    parsed.or_else(|| base32(text).map(InfoHash::new)).ok_or(MagnetError::InfoHash)
}

impl fmt::Display for Magnet {
    /// The link, with everything but letters, digits and `-._~` percent-encoded in its values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut link = format!("magnet:?xt=urn:btih:{}", self.info_hash);
        let mut add = |key: &str, value: &str| {
            link.push_str(key);
            percent::encode(&mut link, value.as_bytes());
        };
        self.name.iter().for_each(|name| add("&dn=", name));
        self.trackers.iter().for_each(|url| add("&tr=", url));
        self.web_seeds.iter().for_each(|url| add("&ws=", url));
        for (host, port) in &self.peers {
            let bracketed = host.contains(':');
            add("&x.pe=", &if bracketed { format!("[{host}]:{port}") } else { format!("{host}:{port}") });
        }
        if !self.select.is_empty() {
            let run = |(first, last): &(u32, u32)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            };
            link.push_str("&so=");
            link.push_str(&self.select.iter().map(run).collect::<Vec<_>>().join(","));
        }
        f.write_str(&link)
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    /// Reads a link. Keys may be numbered (`tr.1`); what can't be used but the info-hash is left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SCHEME: &str = "magnet:?";
        if text.len() > LINK_LEN_MAX {
            return Err(MagnetError::TooLong);
        }
        let (scheme, query) = text.trim().split_at_checked(SCHEME.len()).ok_or(MagnetError::NotMagnet)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(MagnetError::NotMagnet);
        }
        let (mut info_hash, mut is_v2, mut name) = (None, false, None);
        let (mut trackers, mut peers, mut web_seeds) = (Vec::new(), Vec::new(), Vec::new());
        let mut select = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = match key.rsplit_once('.') {
                Some((key, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => key,
                Some(_) | None => key,
            };
            match key {
                "xt" => match topic(value) {
                    Topic::V1(hash) => info_hash = Some(info_hash.unwrap_or(parse_info_hash(&hash)?)),
                    Topic::V2 => is_v2 = true,
                    Topic::Other => {}
                },
                // Those who write links by hand or by form put `+` for a blank.
                "dn" => name = Some(text_of(&value.replace('+', " "))).filter(|name| !name.is_empty()),
                "tr" => add(&mut trackers, TRACKER_COUNT_MAX, tracker_url(&percent::decode(value))),
                "ws" => add(&mut web_seeds, WEB_SEED_COUNT_MAX, web_seed_url(&percent::decode(value))),
                "x.pe" => add(&mut peers, PEER_COUNT_MAX, host_and_port(&text_of(value))),
                "so" => {
                    text_of(value).split(',').for_each(|run| add(&mut select, RUN_COUNT_MAX, file_run(run)))
                }
                _ => {}
            }
        }
        let error = if is_v2 { MagnetError::V2Only } else { MagnetError::NoInfoHash };
        Ok(Self { info_hash: info_hash.ok_or(error)?, name, trackers, peers, web_seeds, select })
    }
}

/// `number` or `first-last`, as BEP 53 has it.
fn file_run(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// What `xt` names.
enum Topic {
    V1(String),
    V2,
    Other,
}

fn topic(value: &str) -> Topic {
    let urn = text_of(value);
    let (kind, hash) = urn.split_at_checked(9).unwrap_or((&urn, ""));
    match kind.to_ascii_lowercase().as_str() {
        "urn:btih:" => Topic::V1(hash.to_owned()),
        "urn:btmh:" => Topic::V2,
        _ => Topic::Other,
    }
}

fn text_of(value: &str) -> String {
    String::from_utf8_lossy(&percent::decode(value)).into_owned()
}

/// Adds what is there, once, while there is room.
fn add<T: PartialEq>(list: &mut Vec<T>, max: usize, item: Option<T>) {
    if let Some(item) = item.filter(|item| list.len() < max && !list.contains(item)) {
        list.push(item);
    }
}

/// `host:port` or `[address]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let clean = !host.is_empty() && !host.contains(|c: char| c.is_control() || c.is_whitespace());
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (clean && host.len() <= 255).then(|| (host.to_owned(), port))
}

/// RFC 4648, section 6, without padding.
fn base32(text: &str) -> Option<[u8; 20]> {
    let (mut bytes, mut len) = ([0; 20], 0);
    for eight in text.as_bytes().chunks(8) {
        let bits = eight.iter().try_fold(0_u64, |bits, byte| {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a',
                b'2'..=b'7' => byte - b'2' + 26,
                _ => return None,
            };
            Some(bits << 5 | u64::from(digit))
        })?;
        bytes.get_mut(len..len + 5)?.copy_from_slice(bits.to_be_bytes().get(3..)?);
        len += 5;
    }
    (text.len() == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEX: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";

    fn bare() -> Magnet {
        let info_hash = HEX.parse().unwrap();
        Magnet { info_hash, name: None, trackers: vec![], peers: vec![], web_seeds: vec![], select: vec![] }
    }

    #[test]
    fn a_full_link() {
        let link = format!(
            "magnet:?xt=urn:btih:{HEX}&dn=a%20b%26c&tr=http%3A%2F%2Ft%2Fa%3Fk%3D1&tr=udp%3A%2F%2Fu%3A80\
             &ws=http%3A%2F%2Fw%2F&x.pe=10.0.0.1%3A6881&x.pe=%5B%3A%3A1%5D%3A1&so=0,2,4-8"
        );
        let magnet = Magnet {
            name: Some("a b&c".to_owned()),
            trackers: vec!["http://t/a?k=1".to_owned(), "udp://u:80".to_owned()],
            peers: vec![("10.0.0.1".to_owned(), 6881), ("::1".to_owned(), 1)],
            web_seeds: vec!["http://w/".to_owned()],
            select: vec![(0, 0), (2, 2), (4, 8)],
            ..bare()
        };
        assert_eq!(link.parse(), Ok(magnet.clone()));
        assert_eq!(magnet.to_string(), link);
    }

    #[test]
    fn links_as_they_are_found() {
        for (link, magnet) in [
            (format!("MAGNET:?xt=urn:btih:{}", HEX.to_uppercase()), bare()),
            ("magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKEK".to_owned(), bare()),
            (format!("magnet:?dn=&xt=urn%3Abtih%3A{HEX}&xl=5&as=x&xs=y&&="), bare()),
            (format!("magnet:?xt=urn:btih:{HEX}&so=,x,5-3,-1,1-"), bare()),
            (format!("magnet:?xt=urn:btmh:1220aa&xt.1=urn:btih:{HEX}&tr=&x.pe=x&x.pe=a:0"), bare()),
            (
                format!(" magnet:?xt.2=urn:btih:{HEX}&dn=a+b&tr.1=http://a&tr.2=http://a&tr=file:///x\n"),
                Magnet { name: Some("a b".to_owned()), trackers: vec!["http://a".to_owned()], ..bare() },
            ),
        ] {
            assert_eq!(link.parse(), Ok(magnet), "{link}");
        }
    }

    #[test]
    fn links_that_can_not_be_used_say_why() {
        for (link, error) in [
            (String::new(), MagnetError::NotMagnet),
            ("http://x/magnet:?".to_owned(), MagnetError::NotMagnet),
            ("magnet:?dn=x".to_owned(), MagnetError::NoInfoHash),
            ("magnet:?xt=urn:sha1:YEX6".to_owned(), MagnetError::NoInfoHash),
            ("magnet:?xt=urn:btih:".to_owned(), MagnetError::InfoHash),
            (format!("magnet:?xt=urn:btih:{HEX}0"), MagnetError::InfoHash),
            ("magnet:?xt=urn:btih:YEX6DQDLXISUVHOJ6UM3GNNKPQJWPKE1".to_owned(), MagnetError::InfoHash),
            ("magnet:?xt=urn:btmh:1220aa".to_owned(), MagnetError::V2Only),
            ("m".repeat(LINK_LEN_MAX + 1), MagnetError::TooLong),
        ] {
            assert_eq!(link.parse::<Magnet>(), Err(error), "{link}");
        }
    }

    #[test]
    fn a_torrents_own_link() {
        let raw = b"d8:announce8:http://a4:infod6:lengthi1e4:name1:n12:piece lengthi16e\
            6:pieces20:aaaaaaaaaaaaaaaaaaaae8:url-list8:http://be";
        let metainfo = Metainfo::parse(raw.to_vec()).unwrap();
        let link = Magnet::of(&metainfo).to_string();
        let hash = metainfo.info_hash();
        assert_eq!(link, format!("magnet:?xt=urn:btih:{hash}&dn=n&tr=http%3A%2F%2Fa&ws=http%3A%2F%2Fb"));
    }

    proptest! {
        #[test]
        fn links_go_round(name in "\\PC{1,20}", path in "[!-~]{0,20}", port in 1..=u16::MAX) {
            let magnet = Magnet {
                name: Some(name),
                trackers: vec![format!("http://t/{path}")],
                peers: vec![("fe80::1".to_owned(), port), ("host".to_owned(), port)],
                ..bare()
            };
            prop_assert_eq!(magnet.to_string().parse(), Ok(magnet));
        }

        #[test]
        fn nothing_panics(text: String, tail in "[%&=a-f0-9:.\\PC]{0,60}") {
            let _ = text.parse::<Magnet>();
            let _ = format!("magnet:?xt=urn:btih:{tail}").parse::<Magnet>();
            let _ = format!("magnet:?xt=urn:btih:{HEX}&x.pe={tail}&tr={tail}").parse::<Magnet>();
        }
    }
}
