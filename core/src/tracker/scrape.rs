//! Scrapes (BEP 48): how many peers a swarm has.

use super::response::{AnnounceError, failure};
use crate::bencode::{Dict, Value, check};
use crate::id::InfoHash;
use crate::percent;

/// Seeds, leeches and completed downloads of a swarm, as a tracker counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SwarmCounts {
    /// Peers that have everything.
    pub seeds: u32,
    /// Peers that have not.
    pub leeches: u32,
    /// How often a download was completed.
    pub downloaded: u32,
}

/// The URL to GET for a scrape of the tracker whose announce URL is `announce`: with `scrape` in
/// place of `announce` at the beginning of the path's last part. `None` if it does not stand there:
/// the tracker then has no scrape.
#[must_use]
pub fn scrape_url(announce: &str, hashes: &[InfoHash]) -> Option<String> {
    let announce = announce.split('#').next().unwrap_or_default();
    let (path, query) = announce.split_once('?').unwrap_or((announce, ""));
    let (front, last) = path.rsplit_once('/')?;
    let rest = last.strip_prefix("announce")?;
    let mut url = String::with_capacity(announce.len() + 80 * hashes.len());
    percent::encode_unless(&mut url, front.as_bytes(), |byte| byte.is_ascii_graphic());
    url.push_str("/scrape");
    percent::encode_unless(&mut url, rest.as_bytes(), |byte| byte.is_ascii_graphic());
    let mut separator = '?';
    if !query.is_empty() {
        url.push(separator);
        percent::encode_unless(&mut url, query.as_bytes(), |byte| byte.is_ascii_graphic());
        separator = '&';
    }
    for hash in hashes {
        url.push(separator);
        url.push_str("info_hash=");
        percent::encode(&mut url, hash.as_bytes());
        separator = '&';
    }
    Some(url)
}

/// Reads the body of an answer to a scrape: the counts of `hashes`, in order; zeros for what the
/// tracker does not know.
///
/// # Errors
/// When the tracker refused, or the body is not a bencoded dictionary with `files`.
pub fn parse_scrape(body: &[u8], hashes: &[InfoHash]) -> Result<Vec<SwarmCounts>, AnnounceError> {
    let (value, _) = check(body, super::response::LIMITS)?;
    let answer = Dict::of(value)?;
    if let Some(failure) = failure(&answer) {
        return Err(failure);
    }
    let files = answer.get("files").and_then(|files| Dict::of(files).ok()).ok_or(AnnounceError::Malformed)?;
    Ok(hashes.iter().map(|hash| files.get_raw(hash.as_bytes()).map(counts).unwrap_or_default()).collect())
}

fn counts(file: Value<'_>) -> SwarmCounts {
    let Ok(file) = Dict::of(file) else { return SwarmCounts::default() };
    let number = |key| file.get(key).and_then(Value::read).unwrap_or_default();
    SwarmCounts { seeds: number("complete"), leeches: number("incomplete"), downloaded: number("downloaded") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: InfoHash = InfoHash::new([b'a'; 20]);

    #[test]
    fn the_url_is_that_of_the_announce_with_another_word() {
        let hash = format!("info_hash={}", "a".repeat(20));
        for (announce, scrape) in [
            ("http://t/announce", format!("http://t/scrape?{hash}")),
            ("http://t/x/announce.php?k=1#f", format!("http://t/x/scrape.php?k=1&{hash}")),
            ("http://t/announce?x=%0064", format!("http://t/scrape?x=%0064&{hash}")),
        ] {
            assert_eq!(scrape_url(announce, &[HASH]), Some(scrape), "{announce}");
        }
        for none in ["http://t/a", "http://t/announce/key", "http://t", "http://t/x?/announce"] {
            assert_eq!(scrape_url(none, &[HASH]), None, "{none}");
        }
        assert!(scrape_url("http://t/announce", &[HASH, HASH]).unwrap().ends_with(&format!("&{hash}")));
    }

    #[test]
    fn counts_are_read_in_the_order_asked_for() {
        let body = format!(
            "d5:filesd20:{}d8:completei1e10:downloadedi2e10:incompletei3ee20:{}i1eee",
            "a".repeat(20),
            "c".repeat(20)
        );
        let hashes = [InfoHash::new([b'b'; 20]), HASH, InfoHash::new([b'c'; 20])];
        let counts = parse_scrape(body.as_bytes(), &hashes).unwrap();
        let zero = SwarmCounts::default();
        assert_eq!(counts, [zero, SwarmCounts { seeds: 1, leeches: 3, downloaded: 2 }, zero]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let read = |body: &str| parse_scrape(body.as_bytes(), &[HASH]).unwrap_err().to_string();
        assert_eq!(read("d14:failure reason2:noe"), "the tracker refused: no");
        assert_eq!(read("de"), "not a tracker's answer");
        assert!(read("<html>").starts_with("not a tracker's answer"));
    }
}
