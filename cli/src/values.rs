//! What a flag's text means: durations, sizes, addresses.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use peerless_core::piece::PIECE_LEN_MAX;

/// The shortest piece that `create` makes: one block. Shorter ones only bloat the torrent.
pub const PIECE_LEN_MIN: u32 = 16 * 1024;

/// The longest duration that is taken: 100 years. It keeps every sum of times far from overflow.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A peer named by the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// By its address.
    Addr(SocketAddr),
    /// By a host to be looked up, and a port.
    Host(String, u16),
}

impl FromStr for PeerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return if addr.port() == 0 { Err("port 0".to_owned()) } else { Ok(Self::Addr(addr)) };
        }
        let (host, port) = text.rsplit_once(':').ok_or("HOST:PORT is wanted")?;
        let port = port.parse::<u16>().map_err(|_| "the port is a number from 1 to 65535")?;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if port == 0 || host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err("HOST:PORT is wanted; an IPv6 address goes in brackets".to_owned());
        }
        Ok(Self::Host(host.to_owned(), port))
    }
}

/// The piece length for `create`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceLen {
    /// Chosen by the size of the data.
    Auto,
    /// This many bytes: a power of two.
    Bytes(u32),
}

impl FromStr for PieceLen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        let len = u32::try_from(parse_size(text)?).ok().filter(|len| len.is_power_of_two());
        match len {
            Some(len) if (PIECE_LEN_MIN..=PIECE_LEN_MAX).contains(&len) => Ok(Self::Bytes(len)),
            _ => Err("a power of two from 16K to 512M is wanted".to_owned()),
        }
    }
}

/// Bytes per second at most; `None`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<u64>);

/// The rate that `text` means: a size, with `/s` behind it or not. 0 is no limit, as in other clients.
///
/// # Errors
/// As [`parse_size`].
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    let size = parse_size(text.strip_suffix("/s").unwrap_or(text))?;
    Ok(Rate(Some(size).filter(|size| *size > 0)))
}

/// The bytes that `text` means: a whole number, or one with `K`, `M`, `G` or `T` (also `KiB`, `KB`
/// and so on), which are powers of 1024.
///
/// # Errors
/// When it is something else, or more than 2^64 - 1.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err("a size like 500K, 2M or 1GiB is wanted".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size like 500K, 2M or 1GiB is wanted")?;
    number.checked_mul(1 << (10 * power)).ok_or_else(|| "too large".to_owned())
}

/// The time that `text` means: seconds, or numbers with `ms`, `s`, `m`, `h`, `d` one after the other.
///
/// # Errors
/// When it is something else, or over a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const WANTED: &str = "a duration like 90, 45s, 10m or 1h30m is wanted";
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digit_len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(digit_len);
        let unit_len = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_len);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(WANTED.to_owned()),
        };
        let number: u64 = digits.parse().map_err(|_| WANTED)?;
        let part = number.checked_mul(unit_ms).map(Duration::from_millis).ok_or("too long")?;
        sum = sum.checked_add(part).filter(|sum| *sum <= DURATION_MAX).ok_or("too long")?;
        rest = behind;
    }
    if text.is_empty() { Err(WANTED.to_owned()) } else { Ok(sum) }
}

/// A share ratio: a number from 0 up.
///
/// # Errors
/// When it is negative, infinite or no number.
pub fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio: f64 = text.parse().map_err(|_| "a number like 1.5 is wanted")?;
    if ratio.is_finite() && ratio >= 0.0 { Ok(ratio) } else { Err("a number from 0 up is wanted".to_owned()) }
}

/// The announce URL of a tracker that is to be asked.
///
/// # Errors
/// When it is not `http`, `https` or `udp`, the kinds that are built.
pub fn parse_tracker(text: &str) -> Result<String, String> {
    match scheme(text).as_deref() {
        Some("http" | "https" | "udp") => Ok(text.to_owned()),
        Some("ws" | "wss") => Err("only http, https and udp trackers are built yet".to_owned()),
        _ => Err("an http, https or udp URL is wanted".to_owned()),
    }
}

/// The announce URL of a tracker that others may ask: of any kind that there is.
///
/// # Errors
/// When it is of no kind that trackers have.
pub fn parse_any_tracker(text: &str) -> Result<String, String> {
    match scheme(text).as_deref() {
        Some("http" | "https" | "udp" | "ws" | "wss") => Ok(text.to_owned()),
        _ => Err("an http, https, udp, ws or wss URL is wanted".to_owned()),
    }
}

/// The URL of a web seed.
///
/// # Errors
/// When it is of no kind that web seeds have.
pub fn parse_web_seed(text: &str) -> Result<String, String> {
    match scheme(text).as_deref() {
        Some("http" | "https") => Ok(text.to_owned()),
        _ => Err("an http or https URL is wanted".to_owned()),
    }
}

/// The scheme of a URL without blanks and control characters, in lower case.
fn scheme(url: &str) -> Option<String> {
    let plain = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    let (scheme, rest) = url.split_once("://")?;
    (plain && !rest.is_empty()).then(|| scheme.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let sizes = ["0", "17", "500K", "2M", "1MiB", "3kb", "1T"].map(|text| parse_size(text).unwrap());
        assert_eq!(sizes, [0, 17, 512_000, 2 << 20, 1 << 20, 3072, 1 << 40]);
        for bad in ["", "K", "1.5M", "-1", "1X", "1 M", "99999999T", "1é", "é"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_add_up() {
        let of = |text| parse_duration(text).unwrap().as_millis();
        assert_eq!([of("0"), of("90"), of("45s"), of("250ms")], [0, 90_000, 45_000, 250]);
        assert_eq!([of("10m"), of("1h30m"), of("2d")], [600_000, 5_400_000, 172_800_000]);
        for bad in ["", "m", "1x", "-1", "1.5", "99999999999999999999", "9999999999d", "1é2"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn peers_are_addresses_or_hosts_with_a_port() {
        assert_eq!("127.0.0.1:80".parse(), Ok(PeerName::Addr(([127, 0, 0, 1], 80).into())));
        assert!(matches!("[::1]:6881".parse(), Ok(PeerName::Addr(addr)) if addr.is_ipv6()));
        assert_eq!("seed.example:6881".parse(), Ok(PeerName::Host("seed.example".into(), 6881)));
        for bad in ["", "host", "host:", ":1", "host:0", "1.2.3.4:0", "host:65536", "::1:6881", "a b:1"] {
            assert!(bad.parse::<PeerName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn piece_lengths_are_powers_of_two_within_limits() {
        assert_eq!("auto".parse(), Ok(PieceLen::Auto));
        assert_eq!("256K".parse(), Ok(PieceLen::Bytes(1 << 18)));
        for bad in ["0", "8K", "100K", "1G", "x"] {
            assert!(bad.parse::<PieceLen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ratios_and_trackers_are_checked() {
        assert_eq!(parse_ratio("1.5"), Ok(1.5));
        assert!(["-1", "nan", "inf", ""].iter().all(|bad| parse_ratio(bad).is_err()));
        assert!(parse_tracker("HTTP://t.example/announce").is_ok() && parse_tracker("udp://t:1").is_ok());
        assert!(
            ["wss://t", "ftp://t", "t", "http://a b", "http://"]
                .iter()
                .all(|bad| parse_tracker(bad).is_err())
        );
        assert!(parse_any_tracker("udp://t:1").is_ok() && parse_any_tracker("ftp://t").is_err());
    }
}
