//! A torrent's peers as `-v` shows them: rows for a terminal, sentences elsewhere, objects in JSON.

use std::cmp::Reverse;

use peerless_core::text::escaped;
use peerless_core::{PeerInfo, PeerOrigin, PeerWait};
use serde::Serialize;

use crate::format;

/// Above the rows. The client is last: its name may be of any length, and a narrow terminal cuts it.
pub const HEADER: &str = "  peer                  flags   down     up  has waits for   asked client";

/// What `-vv` puts before the client.
pub const LONG_HEADER: &str =
    "  peer                  flags   down     up  has waits for   asked    got  given asks  since client";

/// The most signs of an address in a row: an IPv4 address with its port.
const ADDR_LEN_MAX: usize = 21;

/// A peer, and how many pieces there are.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    info: &'a PeerInfo,
    piece_count: u32,
}

/// A peer in JSON.
#[derive(Debug, Serialize)]
pub struct PeerLine {
    addr: String,
    client: Option<String>,
    flags: String,
    origin: &'static str,
    down: u64,
    up: u64,
    downloaded: u64,
    uploaded: u64,
    percent: Option<f64>,
    outstanding: usize,
    target: usize,
    asked: usize,
    waits_for: &'static str,
    connected: u64,
}

/// Puts those first that move the most.
pub fn sort(peers: &mut [PeerInfo]) {
    peers.sort_by_key(|info| (Reverse(info.down_rate.saturating_add(info.up_rate)), info.peer));
}

impl<'a> Shown<'a> {
    /// A peer of a torrent of so many pieces; 0: it is not known.
    #[must_use]
    pub const fn new(info: &'a PeerInfo, piece_count: u32) -> Self {
        Self { info, piece_count }
    }

    /// Under [`HEADER`], or with `long` under [`LONG_HEADER`].
    #[must_use]
    pub fn row(&self, long: bool) -> String {
        let info = self.info;
        let percent = self.percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent:.0}%"));
        let asked = format!("{}/{}", info.outstanding_count, info.outstanding_target);
        let more = if long {
            let (got, given) = (format::short(info.downloaded_len), format::short(info.uploaded_len));
            let since = format::duration(info.connected_time).replace(' ', "");
            format!(" {got:>6} {given:>6} {:>4} {since:>6}", info.asked_count)
        } else {
            String::new()
        };
        format!(
            "  {:ADDR_LEN_MAX$} {:5} {:>6} {:>6} {percent:>4} {:9} {asked:>7}{more} {}",
            middle_cut(&info.addr.to_string()),
            info.flags(),
            format::short(info.down_rate),
            format::short(info.up_rate),
            wait_name(info.waits_for),
            self.client(),
        )
    }

    /// All of it in words, whatever the width.
    #[must_use]
    pub fn sentence(&self, long: bool) -> String {
        let info = self.info;
        let has = self.percent().map_or_else(String::new, |percent| format!("has {percent:.0} %, "));
        let more = if long {
            format!(
                ", {} got, {} given, {} asked of us, connected for {}, {}",
                format::size(info.downloaded_len),
                format::size(info.uploaded_len),
                info.asked_count,
                format::duration(info.connected_time),
                origin_name(info.origin),
            )
        } else {
            String::new()
        };
        format!(
            "peer {} {} [{}] down {}, up {}, {has}{} of {} asked, waits for {}{more}",
            info.addr,
            self.client(),
            info.flags(),
            format::rate(info.down_rate),
            format::rate(info.up_rate),
            info.outstanding_count,
            info.outstanding_target,
            wait_name(info.waits_for),
        )
    }

    /// For JSON.
    #[must_use]
    pub fn line(&self) -> PeerLine {
        let info = self.info;
        PeerLine {
            addr: info.addr.to_string(),
            client: client(info),
            flags: info.flags(),
            origin: origin_name(info.origin),
            down: info.down_rate,
            up: info.up_rate,
            downloaded: info.downloaded_len,
            uploaded: info.uploaded_len,
            percent: self.percent(),
            outstanding: info.outstanding_count,
            target: info.outstanding_target,
            asked: info.asked_count,
            waits_for: wait_name(info.waits_for),
            connected: info.connected_time.as_secs(),
        }
    }

    fn percent(&self) -> Option<f64> {
        let is_known = self.piece_count > 0;
        is_known.then(|| format::percent(self.info.have_count.into(), self.piece_count.into()))
    }

    fn client(&self) -> String {
        client(self.info).map_or_else(|| "?".to_owned(), |name| escaped(&name).to_string())
    }
}

/// What it calls itself, or what its peer id says, or the part of that which names clients.
pub fn client(info: &PeerInfo) -> Option<String> {
    let known = info.client.clone().or_else(|| info.peer_id.client());
    known.or_else(|| {
        let code = info.peer_id.as_bytes().first_chunk::<8>()?;
        code.iter().all(u8::is_ascii_graphic).then(|| String::from_utf8_lossy(code).into_owned())
    })
}

/// An address that is too long loses its middle: both ends tell more.
fn middle_cut(addr: &str) -> String {
    let count = addr.chars().count();
    if count <= ADDR_LEN_MAX {
        return addr.to_owned();
    }
    let (first, last) = (ADDR_LEN_MAX / 2, ADDR_LEN_MAX - ADDR_LEN_MAX / 2 - 1);
    let head = addr.chars().take(first);
    head.chain(['…']).chain(addr.chars().skip(count - last)).collect()
}

/// A wait in one word.
pub const fn wait_name(wait: PeerWait) -> &'static str {
    match wait {
        PeerWait::Blocks => "blocks",
        PeerWait::Unchoke => "unchoke",
        PeerWait::Limit => "limit",
        PeerWait::Disk => "disk",
        PeerWait::Others => "others",
        PeerWait::Reading => "reading",
        PeerWait::Requests => "requests",
        PeerWait::Slot => "slot",
        PeerWait::Metadata => "metadata",
        PeerWait::Check => "check",
        PeerWait::Nothing => "nothing",
    }
}

/// An origin in one word.
pub const fn origin_name(origin: PeerOrigin) -> &'static str {
    match origin {
        PeerOrigin::Incoming => "incoming",
        PeerOrigin::User => "user",
        PeerOrigin::Tracker => "tracker",
        PeerOrigin::Pex => "pex",
        PeerOrigin::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::key::Slab;
    use peerless_core::{PeerId, PeerKey};
    use std::time::Duration;

    fn info(addr: &str, client: Option<&str>) -> PeerInfo {
        let mut key = None;
        Slab::<PeerKey, ()>::default().insert_with(|new| key = Some(new));
        PeerInfo {
            peer: key.unwrap(),
            addr: addr.parse().unwrap(),
            peer_id: PeerId::new(*b"-TR3000-abcdefghijkl"),
            client: client.map(str::to_owned),
            origin: PeerOrigin::Pex,
            connected_time: Duration::from_secs(125),
            am_interested: true,
            am_choking: false,
            peer_interested: true,
            peer_choking: false,
            is_optimistic: true,
            is_snubbed: false,
            down_rate: 1_258_291,
            up_rate: 12_288,
            downloaded_len: 9 << 30,
            uploaded_len: 0,
            have_count: 85,
            outstanding_count: 23,
            outstanding_target: 40,
            is_window_full: false,
            asked_count: 3,
            waits_for: PeerWait::Blocks,
        }
    }

    #[test]
    fn a_row_stands_under_its_header_and_fits_into_80_columns() {
        let info = info("192.0.2.117:51413", None);
        let row = Shown::new(&info, 100).row(false);
        assert_eq!(HEADER.len() - "client".len(), row.len() - "Transmission 3.0".len());
        let want = "  192.0.2.117:51413     DUOX    1.1M  12.0K  85% blocks      23/40 Transmission 3.0";
        assert_eq!(row, want);
        assert!(HEADER.find("client") <= Some(67));
        let long = Shown::new(&info, 0).row(true);
        assert_eq!(LONG_HEADER.len() - "client".len(), long.len() - "Transmission 3.0".len());
        assert!(long.contains("   - blocks      23/40   9.0G      0    3  2m05s Transm"), "{long}");
    }

    #[test]
    fn long_addresses_and_foreign_names_keep_the_columns() {
        let info = info("[2001:db8:1234:5678:9abc:def0:1234:5678]:51413", Some("evil\u{1b}[2J\n"));
        let row = Shown::new(&info, 100).row(false);
        assert!(row.starts_with("  [2001:db8:…678]:51413 DUOX  "), "{row}");
        assert!(row.ends_with("evil\\u{1b}[2J\\u{a}") && !row.contains(char::is_control), "{row}");
    }

    #[test]
    fn elsewhere_a_peer_is_a_sentence() {
        let mut info = info("192.0.2.1:1", None);
        info.peer_id = PeerId::new(*b"-XX1234-abcdefghijkl");
        let words = "peer 192.0.2.1:1 -XX1234- [DUOX] down 1.1 MiB/s, up 12.0 KiB/s, has 85 %, \
                     23 of 40 asked, waits for blocks";
        assert_eq!(Shown::new(&info, 100).sentence(false), words);
        info.peer_id = PeerId::new([7; 20]);
        let long = Shown::new(&info, 100).sentence(true);
        assert!(long.starts_with("peer 192.0.2.1:1 ? ["), "{long}");
        assert!(long.ends_with("3 asked of us, connected for 2m 05s, pex"), "{long}");
    }

    #[test]
    fn who_moves_the_most_is_first() {
        let mut peers = [info("192.0.2.1:1", None), info("192.0.2.2:1", None)];
        peers[1].up_rate = 1 << 20;
        sort(&mut peers);
        assert_eq!(peers[0].addr, "192.0.2.2:1".parse().unwrap());
    }
}
