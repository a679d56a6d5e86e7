//! The extended handshake (BEP 10, "handshake message").

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{ExtensionError, Kind};
use crate::bencode::{Dict, Limits, Value, check};

/// Requests that we keep of one peer, and tell it that we keep (`reqq`).
///
/// What most clients keep. At 16 KiB each they are 8 MiB on their way, enough for 80 MB/s over a round
/// trip of 100 ms.
pub const REQUESTS_TOLD: u16 = 500;

/// Real handshakes are three deep and have under 50 values. Within 64 KiB these bounds make the
/// work as good as none.
const LIMITS: Limits = Limits { depth: 8, tokens: 1000 };

/// Characters kept of a client's name, which is only shown.
const CLIENT_LEN_MAX: usize = 64;

/// What an extended handshake says. What is missing or can't be is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// `m`: by [`Kind`], the number that the speaker gives it. `Some(0)`: no longer.
    pub ids: [Option<u8>; Kind::COUNT],
    /// `v`: the client's name; foreign text.
    pub client: Option<String>,
    /// `p`: the port that the speaker listens on.
    pub listen_port: Option<u16>,
    /// `reqq`: the requests that the speaker keeps, at least one.
    pub request_max: Option<u32>,
    /// `yourip`: where the speaker sees us.
    pub your_ip: Option<IpAddr>,
    /// `metadata_size` (BEP 9): the bytes of the `info` dictionary, at least one.
    pub metadata_len: Option<u32>,
    /// `upload_only` (BEP 21): whether the speaker wants nothing more.
    pub upload_only: Option<bool>,
}

impl Hello {
    /// Reads a handshake. Unknown keys and values of another kind are passed over, and so is what
    /// follows the dictionary.
    ///
    /// # Errors
    /// When it is no dictionary, or one with too much in it.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let dict = check(payload, LIMITS).and_then(|(value, _)| Dict::of(value));
        let dict = dict.map_err(|_| ExtensionError::Handshake)?;
        let names = match dict.get("m").map(Dict::of) {
            Some(Ok(names)) => Some(names),
            Some(Err(_)) => return Err(ExtensionError::Handshake),
            None => None,
        };
        let id = |kind: Kind| names.as_ref()?.get(kind.name())?.read();
        let positive = |key| dict.get(key).and_then(Value::read::<u32>).filter(|number| *number > 0);
        Ok(Self {
            ids: Kind::ALL.map(id),
            client: dict.get("v").and_then(Value::bytes).map(text).filter(|name| !name.is_empty()),
            listen_port: dict.get("p").and_then(Value::read).filter(|port| *port != 0),
            request_max: positive("reqq"),
            your_ip: dict.get("yourip").and_then(Value::bytes).and_then(ip),
            metadata_len: positive("metadata_size"),
            upload_only: dict.get("upload_only").and_then(Value::read::<i64>).map(|value| value != 0),
        })
    }

    /// Its bytes, with the keys in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = String::from("d1:md");
        let mut named: Vec<_> = Kind::ALL.into_iter().zip(self.ids).collect();
        named.sort_by_key(|(kind, _)| kind.name());
        for (kind, id) in named {
            let name = kind.name();
            let _ = id.map(|id| write!(out, "{}:{name}i{id}e", name.len()));
        }
        out.push('e');
        let mut number = |key: &str, value: Option<u32>| {
            let _ = value.map(|value| write!(out, "{}:{key}i{value}e", key.len()));
        };
        number("metadata_size", self.metadata_len);
        number("p", self.listen_port.map(u32::from));
        number("reqq", self.request_max);
        number("upload_only", self.upload_only.map(u32::from));
        let mut out = out.into_bytes();
        let mut string = |key: &str, value: &[u8]| {
            out.extend_from_slice(format!("{}:{key}{}:", key.len(), value.len()).as_bytes());
            out.extend_from_slice(value);
        };
        self.client.iter().for_each(|name| string("v", name.as_bytes()));
        match self.your_ip {
            Some(IpAddr::V4(ip)) => string("yourip", &ip.octets()),
            Some(IpAddr::V6(ip)) => string("yourip", &ip.octets()),
            None => {}
        }
        out.push(b'e');
        out
    }
}

fn text(bytes: &[u8]) -> String {
    // At most four bytes a character: what is beyond is not even looked at.
    let bytes = bytes.get(..4 * CLIENT_LEN_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).chars().take(CLIENT_LEN_MAX).collect()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Hello {
        Hello {
            ids: [Some(3), Some(0), Some(2), Some(1)],
            client: Some("client 1.0".to_owned()),
            listen_port: Some(6881),
            request_max: Some(500),
            your_ip: Some(IpAddr::from([192, 0, 2, 1])),
            metadata_len: Some(31_235),
            upload_only: Some(true),
        }
    }

    #[test]
    fn it_looks_as_bep_10_has_it() {
        let want = b"d1:md11:lt_donthavei0e11:upload_onlyi3e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi500e\
            11:upload_onlyi1e1:v10:client 1.06:yourip4:\xC0\0\x02\x01e";
        assert_eq!(full().encode(), want);
        assert_eq!(Hello::default().encode(), b"d1:mdee");
    }

    #[test]
    fn what_is_written_is_read() {
        for hello in [full(), Hello::default(), Hello { your_ip: "2001:db8::1".parse().ok(), ..full() }] {
            assert_eq!(Hello::parse(&hello.encode()), Ok(hello));
        }
    }

    #[test]
    fn what_can_not_be_is_passed_over() {
        let odd = b"d1:md11:lt_donthavei300e11:upload_only1:xe13:metadata_sizei-1e1:pi0e4:reqqi0e\
            11:upload_only1:x1:vi1e6:yourip3:abce";
        assert_eq!(Hello::parse(odd), Ok(Hello::default()));
        assert_eq!(Hello::parse(b"de and more"), Ok(Hello::default()));
    }

    #[test]
    fn bombs_are_refused() {
        let deep = [&b"d1:a"[..], &b"l".repeat(60_000)].concat();
        let wide = [&b"d1:ml"[..], &b"0:".repeat(30_000), b"ee"].concat();
        let many = (0..2000).fold(String::from("d1:md"), |text, number| text + &format!("4:{number:04}i1e"));
        for bomb in [deep, wide, (many + "ee").into_bytes(), b"le".to_vec(), vec![], b"d1:mlee".to_vec()] {
            assert_eq!(Hello::parse(&bomb), Err(ExtensionError::Handshake));
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let hello = Hello { client: Some("é".repeat(5000)), ..Hello::default() };
        assert_eq!(Hello::parse(&hello.encode()).unwrap().client, Some("é".repeat(CLIENT_LEN_MAX)));
    }
}
