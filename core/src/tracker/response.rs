//! A tracker's answer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::addr::{compact, usable};
use crate::bencode::{BencodeError, Dict, Limits, Value, check};
use crate::job::FetchError;

/// The least time between announces, whatever a tracker says. Some have said 0.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);

/// The most time between announces, whatever a tracker says.
pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The time between announces if a tracker says nothing: what most of them say.
pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Peers read from one answer: as many as one may connect to.
pub const PEER_COUNT_MAX: usize = 200;

/// Bytes of a `tracker id` that is sent back. Real ones have under 50; a longer one is ignored.
const TRACKER_ID_LEN_MAX: usize = 256;

/// Bytes kept of a message that is shown to the user.
const MESSAGE_LEN_MAX: usize = 500;

/// An answer is three deep. An answer of 2 MiB has room for 40,000 peers of eight tokens each.
pub(super) const LIMITS: Limits = Limits { depth: 8, tokens: 400_000 };

/// What a tracker answered to an announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// When to announce again: from [`INTERVAL_MIN`] to [`INTERVAL_MAX`].
    pub interval: Duration,
    /// Not to announce before, within the same bounds.
    pub min_interval: Option<Duration>,
    /// At most [`PEER_COUNT_MAX`]; any of them may be ourselves, or twice.
    pub peers: Vec<SocketAddr>,
    /// To be sent back with the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// `warning message`: foreign text, cut to a few hundred bytes.
    pub warning: Option<String>,
    /// Seeds in the swarm.
    pub complete: Option<u32>,
    /// Leeches in the swarm.
    pub incomplete: Option<u32>,
    /// `external ip` (BEP 24): the address that the tracker sees us at.
    pub external_ip: Option<IpAddr>,
}

/// Why an announce or a scrape brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnnounceError {
    /// The tracker refused.
    Failure {
        /// `failure reason`: foreign text, cut to a few hundred bytes.
        reason: String,
        /// `retry in`: when the same may be asked again, if it said so.
        retry: Option<Retry>,
    },
    /// What came is not a bencoded dictionary.
    Bencode(BencodeError),
    /// What came is one, but no answer.
    Malformed,
    /// The GET failed.
    Fetch(FetchError),
    /// The host's name could not be looked up, in the system's words.
    Resolve(String),
    /// It is not asked, for this reason.
    Refused(&'static str),
    /// No answer came.
    Silent,
}

/// When a tracker that refused may be asked again (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// After so long: from [`INTERVAL_MIN`] to [`INTERVAL_MAX`].
    In(Duration),
    /// Never.
    Never,
}

impl AnnounceError {
    /// Whether it says merely that the host has no address in one family.
    pub(super) const fn is_no_address(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::NoAddress))
    }
}

impl fmt::Display for AnnounceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure { reason, .. } => write!(f, "the tracker refused: {reason}"),
            Self::Bencode(error) => write!(f, "not a tracker's answer: {error}"),
            Self::Malformed => f.write_str("not a tracker's answer"),
            Self::Fetch(error) => error.fmt(f),
            Self::Resolve(why) => f.write_str(why),
            Self::Refused(why) => f.write_str(why),
            Self::Silent => f.write_str("no answer"),
        }
    }
}

impl std::error::Error for AnnounceError {}

impl From<BencodeError> for AnnounceError {
    fn from(error: BencodeError) -> Self {
        Self::Bencode(error)
    }
}

/// A peer in the form of BEP 3. Its `ip` may also be a host's name, which is not looked up.
#[derive(Deserialize)]
struct PeerDict {
    ip: ByteBuf,
    port: u16,
}

/// Reads the body of a tracker's answer.
///
/// Lenient: what is missing or of the wrong type is as if it were not there, bytes behind the end
/// are ignored, and peers that can't be connected to are left out.
///
/// # Errors
/// When the tracker refused, or the body is not a bencoded dictionary.
pub fn parse_announce(body: &[u8]) -> Result<AnnounceResponse, AnnounceError> {
    let (value, _) = check(body, LIMITS)?;
    let answer = Dict::of(value)?;
    if let Some(failure) = failure(&answer) {
        return Err(failure);
    }
    let interval = |key| answer.get(key).and_then(Value::read).map(clamped);
    let tracker_id = answer.get("tracker id").and_then(Value::bytes);
    Ok(AnnounceResponse {
        interval: interval("interval").unwrap_or(INTERVAL_DEFAULT),
        min_interval: interval("min interval"),
        peers: peers(&answer),
        tracker_id: tracker_id.filter(|id| id.len() <= TRACKER_ID_LEN_MAX).map(<[u8]>::to_vec),
        warning: answer.get("warning message").and_then(message),
        complete: answer.get("complete").and_then(Value::read),
        incomplete: answer.get("incomplete").and_then(Value::read),
        external_ip: answer.get("external ip").and_then(Value::bytes).and_then(external_ip),
    })
}

/// The refusal that an answer is, if it is one.
pub(super) fn failure(answer: &Dict<'_>) -> Option<AnnounceError> {
    let reason = message(answer.get("failure reason")?).unwrap_or_default();
    let retry = answer.get("retry in").and_then(|retry| match retry.bytes() {
        Some(b"never") => Some(Retry::Never),
        // Some write the number as a string.
        Some(digits) => minutes(std::str::from_utf8(digits).ok()?.parse().ok()?),
        None => minutes(retry.read()?),
    });
    Some(AnnounceError::Failure { reason, retry })
}

fn minutes(minutes: i64) -> Option<Retry> {
    Some(Retry::In(clamped(minutes.saturating_mul(60))))
}

fn external_ip(bytes: &[u8]) -> Option<IpAddr> {
    let ip = match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(four), _) => IpAddr::from(four),
        (_, Ok(six)) => IpAddr::from(six).to_canonical(),
        _ => return None,
    };
    // Any port will do for the question whether a host can be there.
    usable(ip, 1).map(|addr| addr.ip())
}

pub(super) fn clamped(secs: i64) -> Duration {
    let secs = u64::try_from(secs).unwrap_or_default();
    Duration::from_secs(secs).clamp(INTERVAL_MIN, INTERVAL_MAX)
}

/// The text's beginning, if it is a string.
fn message(value: Value<'_>) -> Option<String> {
    value.bytes().map(text)
}

/// The beginning of a foreign text.
pub(super) fn text(bytes: &[u8]) -> String {
    let cut = bytes.get(..MESSAGE_LEN_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(cut).into_owned()
}

/// Peers of all forms: `peers` as a string (BEP 23) or a list (BEP 3), and `peers6` (BEP 7). Neither
/// family can crowd out the other.
fn peers(answer: &Dict<'_>) -> Vec<SocketAddr> {
    let list = |key| answer.get(key).and_then(Value::items).into_iter().flatten();
    let string = |key| answer.get(key).and_then(Value::bytes).unwrap_or_default();
    let six = compact::<16, 18>(string("peers6")).take(PEER_COUNT_MAX / 2);
    let mut peers: Vec<_> = six.collect();
    let dicts = list("peers").filter_map(|peer| {
        let peer: PeerDict = peer.read()?;
        usable(std::str::from_utf8(&peer.ip).ok()?.parse().ok()?, peer.port)
    });
    let four = compact::<4, 6>(string("peers")).chain(dicts);
    peers.extend(four.take(PEER_COUNT_MAX - peers.len()));
    peers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peers(body: &[u8]) -> Vec<String> {
        parse_announce(body).unwrap().peers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_full_answer() {
        let body = b"d8:completei5e10:incompletei6e8:intervali1800e12:min intervali90e\
            5:peers6:\x0a\x00\x00\x01\x1a\xe110:tracker id2:\xff\x0015:warning message4:slowe\r\n";
        assert_eq!(
            parse_announce(body),
            Ok(AnnounceResponse {
                interval: Duration::from_secs(1800),
                min_interval: Some(Duration::from_secs(90)),
                peers: vec!["10.0.0.1:6881".parse().unwrap()],
                tracker_id: Some(vec![0xff, 0]),
                warning: Some("slow".to_owned()),
                complete: Some(5),
                incomplete: Some(6),
                external_ip: None,
            })
        );
    }

    #[test]
    fn the_address_that_the_tracker_sees_is_told() {
        let ip = |bytes: &str| {
            let body = format!("d11:external ip{}:{bytes}e", bytes.len());
            parse_announce(body.as_bytes()).unwrap().external_ip.map(|ip| ip.to_string())
        };
        assert_eq!(ip("\x01\x02\x03\x04").as_deref(), Some("1.2.3.4"));
        assert_eq!(ip("\x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x01").as_deref(), Some("2001::1"));
        assert_eq!((ip("\0\0\0\0"), ip("abc"), ip("")), (None, None, None));
    }

    #[test]
    fn a_refusal_may_say_when_to_come_again() {
        let retry = |value: &str| {
            let body = format!("d14:failure reason1:x8:retry in{value}e");
            let Err(AnnounceError::Failure { retry, .. }) = parse_announce(body.as_bytes()) else { panic!() };
            retry
        };
        let minutes = |count: u64| Some(Retry::In(Duration::from_secs(60 * count)));
        assert_eq!((retry("i5e"), retry("1:7")), (minutes(5), minutes(7)));
        assert_eq!((retry("5:never"), retry("4:soon")), (Some(Retry::Never), None));
        assert_eq!((retry("i-1e"), retry(&format!("i{}e", i64::MAX))), (minutes(1), minutes(24 * 60)));
    }

    #[test]
    fn what_is_missing_or_wrong_has_a_default() {
        for body in ["de", "d8:completei-1e8:interval2:305:peersi1e6:peers6lee"] {
            let response = parse_announce(body.as_bytes()).unwrap();
            assert_eq!((response.interval, response.min_interval), (Duration::from_secs(1800), None));
            assert_eq!((response.peers, response.complete), (vec![], None));
        }
    }

    #[test]
    fn intervals_are_clamped() {
        for (said, kept) in [(i64::MIN, 60), (0, 60), (61, 61), (86_401, 86_400), (i64::MAX, 86_400)] {
            let body = format!("d8:intervali{said}e12:min intervali{said}ee");
            let response = parse_announce(body.as_bytes()).unwrap();
            assert_eq!(response.interval, Duration::from_secs(kept));
            assert_eq!(response.min_interval, Some(Duration::from_secs(kept)));
        }
    }

    #[test]
    fn peers_come_in_three_forms() {
        let dicts =
            b"d5:peersld2:ip7:1.2.3.47:peer id2:\xff\xfe4:porti1eed2:ip3:::14:porti2eed2:ip4:host4:porti3ee\
            i9ed2:ip7:1.2.3.44:porti65536eed4:porti1eed2:ip7:1.2.3.44:porti5eeee";
        assert_eq!(peers(dicts), ["1.2.3.4:1", "[::1]:2", "1.2.3.4:5"]);
        let six = b"d6:peers636:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\0\x01\
            \x20\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\0e";
        assert_eq!(peers(six), ["1.2.3.4:1", "[2001::1]:256"]);
    }

    #[test]
    fn addresses_where_no_peer_can_be_are_left_out() {
        let four = b"d5:peers31:\x01\x02\x03\x04\0\0\0\0\0\0\0\x01\0\x01\x02\x03\0\x01\xe0\0\0\x01\0\x01\
            \xff\xff\xff\xff\0\x01\x7fe";
        assert_eq!(peers(four), [""; 0]);
    }

    #[test]
    fn peers_are_bounded_and_both_families_are_heard() {
        let four = [1_u8; 6 * 1000];
        let six = [0x20_u8; 18 * 1000];
        let body = [&b"d5:peers6000:"[..], &four, b"6:peers618000:", &six, b"e"].concat();
        let peers = parse_announce(&body).unwrap().peers;
        assert_eq!(peers.iter().filter(|peer| peer.is_ipv4()).count(), 100);
        assert_eq!(peers.len(), PEER_COUNT_MAX);
    }

    #[test]
    fn a_refusal_is_told_in_bounds() {
        let error = parse_announce(b"d14:failure reason6:banned8:intervali1ee").unwrap_err();
        assert_eq!(error.to_string(), "the tracker refused: banned");
        let body = format!("d14:failure reason9000:{}e", "x".repeat(9000));
        let Err(AnnounceError::Failure { reason, .. }) = parse_announce(body.as_bytes()) else { panic!() };
        assert_eq!(reason.len(), MESSAGE_LEN_MAX);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [&b""[..], b"<html>", b"le", b"d5:peers", &[b'l'; 100]] {
            assert!(matches!(parse_announce(body), Err(AnnounceError::Bencode(_))), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(body: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = parse_announce(&body);
            let mut near = b"d8:intervali1800e5:peersld2:ip7:1.2.3.44:porti1eee6:peers60:e".to_vec();
            let at = at.index(near.len());
            near[at] = byte;
            let _ = parse_announce(&near);
        }
    }
}
