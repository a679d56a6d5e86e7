//! Other words for those in a recording: as long as those, the same for the same, and telling nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::ids::Ids;
use super::ips::Ips;
use crate::id::{InfoHash, PeerId};
use crate::rng::Rng;

/// What words are made of: no vowel and no `p`, so that none is a name that a system keeps for itself.
const LETTERS: &[u8] = b"bcdfghjklmnqrstvwxyz0123456789";

/// What says how a tracker is asked, and no more.
const KEPT: [&str; 4] = ["announce", "scrape", "php", "peerless"];

/// What begins the names of files that are padding, before BEP 47.
const BITCOMET_PADDING: &[u8] = b"_____padding_file_";

/// What is put in the place of what.
#[derive(Debug)]
pub(super) struct Words {
    salt: [u8; 20],
    pub(super) ips: Ips,
    words: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many words of each length there are.
    counts: BTreeMap<usize, u64>,
    /// Of torrents whose metadata is known.
    pub(super) hashes: BTreeMap<InfoHash, InfoHash>,
    ids: Ids,
}

impl Words {
    pub(super) fn new(salt: u64, peer_id: (PeerId, PeerId)) -> Self {
        let mut sha1 = sha1_smol::Sha1::from("a recording's names");
        sha1.update(&salt.to_le_bytes());
        let (words, counts, hashes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            salt: sha1.digest().bytes(),
            ips: Ips::default(),
            words,
            counts,
            hashes,
            ids: Ids::new(peer_id),
        }
    }

    /// All has been seen.
    pub(super) fn settle(&mut self) {
        let [a, b, c, d, e, f, g, h, ..] = self.salt;
        let mut rng = Rng::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        self.ips.settle(&mut rng);
        self.ids.settle(&mut rng);
    }

    /// A part of a name, as long as it is: how many words of its length came before it, so that two never
    /// become one.
    pub(super) fn word(&mut self, word: &[u8]) -> Vec<u8> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let count = self.counts.entry(word.len()).or_default();
        let (mut number, mut new) = (*count, vec![b'0'; word.len()]);
        *count += 1;
        for letter in new.iter_mut().rev() {
            let base = LETTERS.len() as u64;
            let at = usize::try_from(number % base).unwrap_or_default();
            *letter = LETTERS.get(at).copied().unwrap_or(b'0');
            number /= base;
        }
        self.words.insert(word.to_vec(), new.clone());
        new
    }

    /// A part of a file's path. What says padding still does.
    pub(super) fn component(&mut self, part: &[u8]) -> Vec<u8> {
        if part == b".pad" || part.starts_with(BITCOMET_PADDING) {
            return part.to_vec();
        }
        self.word(part)
    }

    pub(super) fn path(&mut self, path: &Path) -> PathBuf {
        let renamed = path.components().map(|component| {
            let std::path::Component::Normal(part) = component else {
                return PathBuf::from(component.as_os_str());
            };
            let word = self.component(part.as_encoded_bytes());
            PathBuf::from(String::from_utf8_lossy(&word).into_owned())
        });
        renamed.collect()
    }

    /// Words for people, or for nobody: as long as they are.
    pub(super) fn text(text: &str) -> String {
        text.chars().map(|sign| if sign.is_alphanumeric() { 'x' } else { sign }).collect()
    }

    /// The same of bytes that may be no text.
    pub(super) fn blank(bytes: &[u8]) -> Vec<u8> {
        vec![b'x'; bytes.len()]
    }

    /// A host: an address, or a name.
    pub(super) fn host(&mut self, host: &str) -> String {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(host).parse::<IpAddr>() {
            let ip = self.ips.rename(ip);
            return if bare.is_some() { format!("[{ip}]") } else { ip.to_string() };
        }
        self.runs(host)
    }

    /// A URL: what is between its marks is renamed.
    pub(super) fn url(&mut self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return self.runs(url) };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, host) = authority.rsplit_once('@').map_or((None, authority), |(a, b)| (Some(a), b));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
            _ => (host, None),
        };
        let login = login.map_or_else(String::new, |login| format!("{}@", self.runs(login)));
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{login}{}{port}{}", self.host(host), self.runs(&path.replace('%', "x")))
    }

    /// Renames each run of letters and digits.
    fn runs(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_mark = |sign: char| sign.is_ascii() && !sign.is_ascii_alphanumeric();
            let end = rest.find(|sign| is_mark(sign) != is_mark(first)).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            if is_mark(first) || KEPT.contains(&run) {
                out.push_str(run);
            } else {
                out.push_str(&String::from_utf8_lossy(&self.word(run.as_bytes())));
            }
            rest = after;
        }
        out
    }

    /// A number by chance that is the same for the same.
    pub(super) fn digest(&self, digest: &[u8]) -> [u8; 20] {
        let mut sha1 = sha1_smol::Sha1::from(self.salt);
        sha1.update(digest);
        sha1.digest().bytes()
    }

    pub(super) fn hash(&self, hash: InfoHash) -> InfoHash {
        let known = self.hashes.get(&hash).copied();
        known.unwrap_or_else(|| InfoHash::new(self.digest(hash.as_bytes())))
    }

    /// A peer id, with the client that it names.
    pub(super) fn peer_id(&mut self, id: [u8; 20]) -> [u8; 20] {
        self.ids.rename(id)
    }

    /// Addresses of `IP` bytes in a row, each with its port.
    pub(super) fn compact<const IP: usize>(&mut self, bytes: &[u8]) -> Vec<u8>
    where
        IpAddr: From<[u8; IP]>,
    {
        let mut out = Vec::with_capacity(bytes.len());
        for part in bytes.chunks(IP + 2) {
            match part.split_first_chunk::<IP>() {
                Some((ip, port)) => {
                    out.extend(self.octets(IpAddr::from(*ip)));
                    out.extend(port);
                }
                None => out.extend(part.iter().map(|_| 0)),
            }
        }
        out
    }

    /// The address that these bytes are, if they are one.
    pub(super) fn ip_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
            (Ok(ip), _) => self.octets(ip.into()),
            (_, Ok(ip)) => self.octets(ip.into()),
            _ => vec![0; bytes.len()],
        }
    }

    fn octets(&mut self, ip: IpAddr) -> Vec<u8> {
        match self.ips.rename(ip) {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let id = PeerId::new([1; 20]);
        Words::new(1, (id, PeerId::new([2; 20])))
    }

    #[test]
    fn words_are_as_long_and_never_the_same() {
        let mut words = words();
        let new: Vec<_> = (0..900).map(|number| words.word(format!("ab{number:03}").as_bytes())).collect();
        assert!(new.iter().all(|word| word.len() == 5));
        assert_eq!(new.iter().collect::<std::collections::BTreeSet<_>>().len(), 900);
        assert_eq!(words.word(b"ab007"), new[7]);
        assert_eq!(words.component(b".pad"), b".pad");
    }

    #[test]
    fn of_a_url_the_shape_is_kept() {
        let mut words = words();
        let url = words.url("udp://user@tracker.example.org:6969/announce.php?passkey=s3cr3t%20x");
        assert!(url.starts_with("udp://") && url.contains(":6969/announce.php?"), "{url}");
        for word in ["user", "tracker", "example", "org", "passkey", "s3cr3t"] {
            assert!(!url.contains(word), "{url}");
        }
        let host = words.host("tracker.example.org");
        assert!(url.contains(&host), "{url} {host}");
        words.host("8.8.8.8");
        words.settle();
        let url = words.url("http://8.8.8.8/announce");
        assert!(!url.contains("8.8.8.8") && words.host("8.8.8.8").parse::<IpAddr>().is_ok(), "{url}");
    }
}
