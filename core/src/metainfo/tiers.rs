//! A torrent's trackers (BEP 3 `announce`, BEP 12 `announce-list`).

use std::collections::BTreeSet;

use crate::bencode::{Dict, Value};

/// Trackers of one torrent. Public lists that are pasted into torrents have about 100.
pub(crate) const TRACKER_COUNT_MAX: usize = 200;

/// The longest URL of a tracker or web seed in bytes: what servers take.
const URL_LEN_MAX: usize = 2048;

/// Web seeds of one torrent. Mirror lists have a few dozen.
pub(crate) const WEB_SEED_COUNT_MAX: usize = 100;

/// What a tracker's URL may start with. An announcer asks those that it can speak to.
const TRACKER_SCHEMES: [&str; 5] = ["http", "https", "udp", "ws", "wss"];

/// What a web seed's URL may start with.
const WEB_SEED_SCHEMES: [&str; 3] = ["http", "https", "ftp"];

/// The trackers by tier, without those that can't be used and without repetitions.
///
/// `announce-list` counts, if it has any; else `announce` is the only one. A list of strings, which
/// some programs write instead of a list of lists, is taken as one tier for each.
pub(super) fn tiers(top: &Dict<'_>) -> Vec<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut usable = |value: Value<'_>| {
        let url = tracker_url(value.bytes()?)?;
        (seen.len() < TRACKER_COUNT_MAX && seen.insert(url.clone())).then_some(url)
    };
    let mut tiers = Vec::new();
    for tier in top.get("announce-list").and_then(Value::items).into_iter().flatten() {
        let urls: Vec<_> = match tier.items() {
            Some(urls) => urls.filter_map(&mut usable).collect(),
            None => usable(tier).into_iter().collect(),
        };
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        tiers.extend(top.get("announce").and_then(usable).map(|url| vec![url]));
    }
    tiers
}

/// The usable URLs of `url-list` (BEP 19), which is a string or a list of them.
pub(super) fn web_seeds(url_list: Value<'_>) -> Vec<String> {
    let usable = |value: Value<'_>| web_seed_url(value.bytes()?);
    match url_list.items() {
        Some(urls) => urls.filter_map(usable).take(WEB_SEED_COUNT_MAX).collect(),
        None => usable(url_list).into_iter().collect(),
    }
}

/// The tracker's URL that `raw` is, if it can be used.
pub(crate) fn tracker_url(raw: &[u8]) -> Option<String> {
    url(raw, &TRACKER_SCHEMES)
}

/// The web seed's URL that `raw` is, if it can be used.
pub(crate) fn web_seed_url(raw: &[u8]) -> Option<String> {
    url(raw, &WEB_SEED_SCHEMES)
}

/// The URL that `raw` is, if it has one of `schemes` and nothing in it could end a request line.
fn url(raw: &[u8], schemes: &[&str]) -> Option<String> {
    let url = std::str::from_utf8(raw).ok()?.trim();
    let (scheme, rest) = url.split_once("://")?;
    let known = schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let clean = !rest.is_empty() && !url.contains(|c: char| c.is_control() || c.is_whitespace());
    (known && clean && url.len() <= URL_LEN_MAX).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bencode::{Limits, check};

    fn top(raw: &str, read: impl Fn(&Dict<'_>) -> Vec<Vec<String>>) -> Vec<Vec<String>> {
        let (value, _) = check(raw.as_bytes(), Limits { depth: 9, tokens: 9999 }).unwrap();
        read(&Dict::of(value).unwrap())
    }

    #[test]
    fn the_list_replaces_announce() {
        let raw = "d8:announce8:http://a13:announce-listll8:http://b8:http://cel7:udp://dee3:foo0:e";
        assert_eq!(top(raw, tiers), [vec!["http://b", "http://c"], vec!["udp://d"]]);
        assert_eq!(top("d8:announce8:http://ae", tiers), [["http://a"]]);
        assert_eq!(top("d8:announce8:http://a13:announce-listlleleee", tiers), [["http://a"]]);
        assert_eq!(top("d8:announcei1e13:announce-listi2ee", tiers), [[""; 0]; 0]);
    }

    #[test]
    fn what_can_not_be_asked_is_dropped() {
        let long = format!("http://{}", "x".repeat(URL_LEN_MAX));
        let urls =
            ["", " http://a ", "dht:", "http://", "file:///etc", "http://b HTTP/1.1\r", "HTTPS://c\0", &long];
        let urls: String = urls.iter().map(|url| format!("{}:{url}", url.len())).collect();
        let raw = format!("d13:announce-listl8:http://bl{urls}2:\u{e9}i1eel8:http://aeee");
        assert_eq!(top(&raw, tiers), [["http://b"], ["http://a"]]);
    }

    #[test]
    fn their_number_is_bounded() {
        let urls: String = (1000..9999).map(|n| format!("11:http://{n}")).collect();
        assert_eq!(top(&format!("d13:announce-listl{urls}eee"), tiers).len(), TRACKER_COUNT_MAX);
    }

    #[test]
    fn web_seeds_are_a_string_or_a_list() {
        let seeds = |dict: &Dict<'_>| vec![web_seeds(dict.get("url-list").unwrap())];
        assert_eq!(top("d8:url-list8:http://ae", seeds), [["http://a"]]);
        assert_eq!(top("d8:url-listl8:http://a0:7:udp://bee", seeds), [["http://a"]]);
    }
}
