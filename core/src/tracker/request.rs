//! The URL of an announce.

use std::fmt::Write;

use crate::id::{InfoHash, PeerId};
use crate::percent;

/// Why an announce is made when it is not merely time (BEP 3, `event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnnounceEvent {
    /// The torrent starts.
    Started,
    /// The last missing piece has come. Not sent for what was complete at the start.
    Completed,
    /// The torrent stops: the tracker is to forget us.
    Stopped,
}

/// What a tracker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceRequest<'a> {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Our peer id.
    pub peer_id: PeerId,
    /// Where we listen; `None` is told as port 0.
    pub port: Option<u16>,
    /// Payload bytes sent since `started`.
    pub uploaded: u64,
    /// Payload bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still missing.
    pub left: u64,
    /// Why now.
    pub event: Option<AnnounceEvent>,
    /// How many peers are wanted.
    pub numwant: u32,
    /// What we are known by when our address changes.
    pub key: u32,
    /// What the tracker's last answer gave as `tracker id`.
    pub tracker_id: Option<&'a [u8]>,
}

/// What all URLs begin with that announces to the tracker `base` are GET from; `info_hash=` follows,
/// behind a `?` or `&` where one is missing.
#[must_use]
pub fn announce_base(base: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    let mut url = String::with_capacity(base.len());
    percent::encode_unless(&mut url, base.as_bytes(), |byte| byte.is_ascii_graphic());
    url
}

/// The URL to GET for an announce to the tracker `base`, which may have a query of its own.
///
/// Asks for compact answers (BEP 23). A fragment of `base` is dropped: it is not for servers.
#[must_use]
pub fn announce_url(base: &str, request: &AnnounceRequest<'_>) -> String {
    let mut url = announce_base(base);
    let separator = match (url.contains('?'), url.ends_with(['?', '&'])) {
        (false, _) => "?",
        (true, false) => "&",
        (true, true) => "",
    };
    url.reserve(300);
    url.push_str(separator);
    url.push_str("info_hash=");
    percent::encode(&mut url, request.info_hash.as_bytes());
    url.push_str("&peer_id=");
    percent::encode(&mut url, request.peer_id.as_bytes());
    let AnnounceRequest { uploaded, downloaded, left, numwant, key, .. } = request;
    let port = request.port.unwrap_or_default();
    // Writing to a string can't fail.
    let _ = write!(url, "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}");
    let _ = write!(url, "&compact=1&no_peer_id=1&numwant={numwant}&key={key:08X}");
    url.push_str(match request.event {
        Some(AnnounceEvent::Started) => "&event=started",
        Some(AnnounceEvent::Completed) => "&event=completed",
        Some(AnnounceEvent::Stopped) => "&event=stopped",
        None => "",
    });
    if let Some(tracker_id) = request.tracker_id {
        url.push_str("&trackerid=");
        percent::encode(&mut url, tracker_id);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AnnounceRequest<'static> {
        AnnounceRequest {
            info_hash: InfoHash::new(*b"\x00\x01\x7f\x80\xff &=?/#abcXYZ-._"),
            peer_id: PeerId::new(*b"-PL0100-~12345678901"),
            port: Some(6881),
            uploaded: 1,
            downloaded: 2,
            left: 3,
            event: None,
            numwant: 50,
            key: 0xBEEF,
            tracker_id: None,
        }
    }

    const QUERY: &str = "info_hash=%00%01%7F%80%FF%20%26%3D%3F%2F%23abcXYZ-._&peer_id=-PL0100-~12345678901\
        &port=6881&uploaded=1&downloaded=2&left=3&compact=1&no_peer_id=1&numwant=50&key=0000BEEF";

    #[test]
    fn the_query_follows_what_the_tracker_has() {
        for (base, front) in [
            ("http://t/announce", "http://t/announce?"),
            ("http://t/announce?passkey=1", "http://t/announce?passkey=1&"),
            ("http://t/a?", "http://t/a?"),
            ("http://t/a?b&", "http://t/a?b&"),
            ("http://t/a?b=1#frag?ment", "http://t/a?b=1&"),
            ("http://t/ä b", "http://t/%C3%A4%20b?"),
        ] {
            assert_eq!(announce_url(base, &request()), format!("{front}{QUERY}"), "{base}");
        }
    }

    #[test]
    fn event_and_tracker_id_are_sent_if_there_are_any() {
        let event = Some(AnnounceEvent::Stopped);
        let url = announce_url("", &AnnounceRequest { event, tracker_id: Some(b"a&b"), ..request() });
        assert_eq!(url, format!("?{QUERY}&event=stopped&trackerid=a%26b"));
    }
}
