//! Trackers of the simulation: they answer announces by a mood and remember what was said.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use peerless_core::rng::Rng;
use peerless_core::{FetchError, Instant};

/// How a tracker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Fine,
    /// Not at all.
    Down,
    /// With this `failure reason`.
    Refuses(&'static str),
    /// With these bytes.
    Says(Vec<u8>),
}

/// One announce, as the tracker read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// When.
    pub at: Instant,
    /// Who: the announcer's address and the port in the query.
    pub from: SocketAddr,
    /// The info-hash, percent-decoded.
    pub info_hash: Vec<u8>,
    /// `started`, `completed`, `stopped` or nothing.
    pub event: String,
    /// `uploaded`.
    pub uploaded: u64,
    /// `downloaded`.
    pub downloaded: u64,
    /// `left`.
    pub left: u64,
    /// `numwant`, if it was given.
    pub numwant: Option<usize>,
    /// The rest of the query, as it came.
    pub rest: BTreeMap<String, String>,
}

/// A tracker.
#[derive(Debug)]
pub struct Tracker {
    /// How it answers from now on.
    pub mood: Mood,
    /// The `interval` it gives, in seconds.
    pub interval: i64,
    /// The `min interval` it gives, in seconds.
    pub min_interval: Option<i64>,
    /// GETs that were tried, also while it was down.
    pub try_count: usize,
    /// Every announce that reached it.
    pub log: Vec<Announce>,
    swarms: BTreeMap<Vec<u8>, Vec<SocketAddr>>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            mood: Mood::Fine,
            interval: 1800,
            min_interval: None,
            try_count: 0,
            log: Vec::new(),
            swarms: BTreeMap::new(),
        }
    }
}

/// The peers named where no `numwant` is given.
const NUMWANT_DEFAULT: usize = 50;

/// The most peers named in one answer.
const NUMWANT_MAX: usize = 200;

impl Tracker {
    /// Answers one GET.
    ///
    /// # Errors
    /// When the tracker is down or the URL is no announce.
    pub fn get(
        &mut self,
        now: Instant,
        from: IpAddr,
        url: &str,
        rng: &mut Rng,
    ) -> Result<Vec<u8>, FetchError> {
        self.try_count += 1;
        if self.mood == Mood::Down {
            return Err(FetchError::Failed("connection refused".into()));
        }
        let announce = parse(now, from, url).ok_or(FetchError::Status(404))?;
        let body = match &self.mood {
            Mood::Fine | Mood::Down => self.answer(&announce, rng),
            Mood::Refuses(why) => format!("d14:failure reason{}:{why}e", why.len()).into_bytes(),
            Mood::Says(bytes) => bytes.clone(),
        };
        self.log.push(announce);
        Ok(body)
    }

    /// Names this peer to others from now on, as if it had announced itself. It never stops.
    pub fn insert(&mut self, info_hash: &[u8], addr: SocketAddr) {
        self.swarms.entry(info_hash.to_vec()).or_default().push(addr);
    }

    fn answer(&mut self, announce: &Announce, rng: &mut Rng) -> Vec<u8> {
        let swarm = self.swarms.entry(announce.info_hash.clone()).or_default();
        let place = swarm.iter().position(|&addr| addr == announce.from);
        match (place, announce.event.as_str()) {
            (Some(index), "stopped") => drop(swarm.swap_remove(index)),
            (None, event) if event != "stopped" && announce.from.port() != 0 => swarm.push(announce.from),
            _ => {}
        }
        let want = announce.numwant.unwrap_or(NUMWANT_DEFAULT).min(NUMWANT_MAX).min(swarm.len());
        // A random run of the list: no cost that grows with the swarm.
        let start = rng.below(swarm.len());
        let named = swarm.iter().cycle().skip(start).take(want);
        let mut peers = Vec::new();
        for addr in named.filter(|&&addr| addr != announce.from) {
            if let IpAddr::V4(ip) = addr.ip() {
                peers.extend_from_slice(&ip.octets());
                peers.extend_from_slice(&addr.port().to_be_bytes());
            }
        }
        let mut body = format!("d8:intervali{}e", self.interval).into_bytes();
        if let Some(min) = self.min_interval {
            body.extend_from_slice(format!("12:min intervali{min}e").as_bytes());
        }
        body.extend_from_slice(format!("5:peers{}:", peers.len()).as_bytes());
        body.extend_from_slice(&peers);
        body.push(b'e');
        body
    }
}

/// The host of a URL, with its port if there is one.
#[must_use]
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn parse(at: Instant, from: IpAddr, url: &str) -> Option<Announce> {
    let (path, query) = url.split_once('?')?;
    if !path.ends_with("/announce") {
        return None;
    }
    let mut rest: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=')?;
        assert!(rest.insert(key.into(), value.into()).is_none(), "{key} twice in {url}");
    }
    let mut number = |key: &str| rest.remove(key).and_then(|value| value.parse::<u64>().ok());
    let (uploaded, downloaded, left) = (number("uploaded")?, number("downloaded")?, number("left")?);
    let port = u16::try_from(number("port")?).ok()?;
    let numwant = number("numwant").and_then(|number| usize::try_from(number).ok());
    let info_hash = unescape(&rest.remove("info_hash")?)?;
    let event = rest.remove("event").unwrap_or_default();
    let from = SocketAddr::new(from, port);
    (info_hash.len() == 20).then_some(Announce {
        at,
        from,
        info_hash,
        event,
        uploaded,
        downloaded,
        left,
        numwant,
        rest,
    })
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn peers_find_each_other_until_one_stops() {
        let (mut tracker, mut rng) = (Tracker::default(), Rng::new(1));
        let mut ask = |last: u8, more: &str| {
            let url = format!(
                "http://t/announce?info_hash={}&peer_id=x&port=7&uploaded=0&downloaded=0&left=9{more}",
                "%0A".repeat(20)
            );
            let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
            tracker.get(Instant::START, from, &url, &mut rng).unwrap()
        };
        assert_eq!(ask(1, "&event=started"), b"d8:intervali1800e5:peers0:e");
        assert_eq!(ask(2, ""), b"d8:intervali1800e5:peers6:\x0a\0\0\x01\0\x07e");
        ask(1, "&event=stopped");
        assert_eq!(ask(2, ""), b"d8:intervali1800e5:peers0:e");
        assert_eq!(tracker.log.len(), 4);
        assert_eq!(tracker.log[0].event, "started");
    }
}
