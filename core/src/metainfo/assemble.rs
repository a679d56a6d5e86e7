//! A torrent from what a magnet link and peers say of it.

use super::{Geometry, Layout, Metainfo, parse};
use crate::id::InfoHash;
use crate::job::MetadataError;
use crate::magnet::Magnet;

impl Metainfo {
    /// The torrent whose `info` dictionary, in the pieces of BEP 9, is `pieces`, with the trackers and
    /// web seeds of its magnet link.
    ///
    /// # Errors
    /// When the pieces are not what the link names, or are, and no torrent that can be used.
    pub fn assemble(magnet: &Magnet, pieces: &[Vec<u8>]) -> Result<Self, MetadataError> {
        let info = pieces.concat();
        if InfoHash::of(&info) != magnet.info_hash {
            let digest = |piece: &Vec<u8>| sha1_smol::Sha1::from(piece).digest().bytes();
            return Err(MetadataError::Mismatch(pieces.iter().map(digest).collect()));
        }
        let mut raw = b"d".to_vec();
        let key = |raw: &mut Vec<u8>, key: &str| string(raw, key.as_bytes());
        if let Some(first) = magnet.trackers.first() {
            key(&mut raw, "announce");
            string(&mut raw, first.as_bytes());
        }
        if magnet.trackers.len() > 1 {
            key(&mut raw, "announce-list");
            raw.push(b'l');
            for url in &magnet.trackers {
                raw.push(b'l');
                string(&mut raw, url.as_bytes());
                raw.push(b'e');
            }
            raw.push(b'e');
        }
        key(&mut raw, "info");
        raw.extend_from_slice(&info);
        if !magnet.web_seeds.is_empty() {
            key(&mut raw, "url-list");
            raw.push(b'l');
            magnet.web_seeds.iter().for_each(|url| string(&mut raw, url.as_bytes()));
            raw.push(b'e');
        }
        raw.push(b'e');
        Self::parse(raw).map_err(|error| MetadataError::Unusable(error.to_string()))
    }

    /// What is known before the metadata is there: the swarm, and what to call it. No pieces, no files.
    pub(crate) fn unknown(magnet: &Magnet) -> Self {
        let name = magnet.name.as_ref().and_then(|name| super::path::component(name.as_bytes()));
        Self {
            raw: Vec::new(),
            info: 0..0,
            digests: 0..0,
            info_hash: magnet.info_hash,
            raw_name: 0..0,
            name: name.unwrap_or_else(|| magnet.info_hash.to_string()),
            geometry: Geometry::NONE,
            layout: Layout::new(Vec::new()),
            private: false,
            tiers: Vec::new(),
            extras: parse::no_extras(),
        }
    }
}

fn string(raw: &mut Vec<u8>, text: &[u8]) {
    raw.extend_from_slice(format!("{}:", text.len()).as_bytes());
    raw.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8] = b"d6:lengthi1e4:name1:n12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

    fn magnet(info: &[u8]) -> Magnet {
        let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect();
        Magnet {
            info_hash: InfoHash::of(info),
            name: Some("../x".to_owned()),
            trackers: urls(&["http://a", "udp://b:1"]),
            peers: Vec::new(),
            web_seeds: urls(&["http://w/"]),
            select: Vec::new(),
        }
    }

    fn pieces(info: &[u8]) -> Vec<Vec<u8>> {
        info.chunks(20).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn what_the_link_and_the_peers_say_is_one_torrent() {
        let magnet = magnet(INFO);
        let metainfo = Metainfo::assemble(&magnet, &pieces(INFO)).unwrap();
        assert_eq!((metainfo.info(), metainfo.info_hash()), (INFO, magnet.info_hash));
        assert_eq!(metainfo.tiers(), [["http://a"], ["udp://b:1"]]);
        assert_eq!(metainfo.web_seeds(), ["http://w/"]);
        let bare = Magnet { trackers: Vec::new(), web_seeds: Vec::new(), ..magnet };
        let metainfo = Metainfo::assemble(&bare, &pieces(INFO)).unwrap();
        assert_eq!(metainfo.raw(), [&b"d4:info"[..], INFO, b"e"].concat());
        let one = Magnet { trackers: vec!["http://a".to_owned()], ..bare };
        let metainfo = Metainfo::assemble(&one, &pieces(INFO)).unwrap();
        assert_eq!(metainfo.raw(), [&b"d8:announce8:http://a4:info"[..], INFO, b"e"].concat());
    }

    #[test]
    fn another_content_is_told_with_its_digests_and_a_useless_one_with_the_reason() {
        let wrong = Metainfo::assemble(&magnet(b"de"), &pieces(INFO));
        assert!(matches!(wrong, Err(MetadataError::Mismatch(digests)) if digests.len() == 4));
        assert!(matches!(
            Metainfo::assemble(&magnet(b"de"), &pieces(b"de")),
            Err(MetadataError::Unusable(_))
        ));
    }

    #[test]
    fn an_unknown_torrent_has_a_safe_name_and_nothing_else() {
        let unknown = Metainfo::unknown(&magnet(INFO));
        assert_eq!((unknown.geometry().piece_count(), unknown.layout().files().len()), (0, 0));
        assert!(!unknown.name().contains('/'), "{}", unknown.name());
    }
}
