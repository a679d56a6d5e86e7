//! Changes to a .torrent file that leave its `info` as it is, byte for byte.

use crate::bencode::{Dict, Value};

use super::Metainfo;

/// What to change; what is `None` stays as it is, and what is empty is taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Announce URLs by tier (BEP 12).
    pub tiers: Option<Vec<Vec<String>>>,
    /// URLs of web seeds (BEP 19).
    pub web_seeds: Option<Vec<String>>,
    /// Free text.
    pub comment: Option<String>,
}

impl Metainfo {
    /// The file with these changes. Every other key, also one that we know nothing of, stays as it
    /// stands, so the info-hash does; only the keys' order is put right where it was not.
    #[must_use]
    pub fn edited(&self, edit: &Edit) -> Vec<u8> {
        let top = Value::checked(self.raw()).and_then(|value| Dict::of(value).ok());
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (key, value) in top.iter().flat_map(Dict::entries) {
            entries.push((key.to_vec(), value.raw().to_vec()));
        }
        let mut put = |key: &str, value: Option<Vec<u8>>| {
            entries.retain(|(known, _)| known != key.as_bytes());
            entries.extend(value.map(|value| (key.as_bytes().to_vec(), value)));
        };
        if let Some(tiers) = &edit.tiers {
            let urls: Vec<&String> = tiers.iter().flatten().collect();
            put("announce", urls.first().map(|url| string(url)));
            let lists = tiers
                .iter()
                .filter(|tier| !tier.is_empty())
                .map(|tier| list(tier.iter().map(|url| string(url))));
            put("announce-list", (urls.len() > 1).then(|| list(lists)));
        }
        if let Some(urls) = &edit.web_seeds {
            put("url-list", (!urls.is_empty()).then(|| list(urls.iter().map(|url| string(url)))));
        }
        if let Some(comment) = &edit.comment {
            put("comment", (!comment.is_empty()).then(|| string(comment)));
            // The same in other bytes, which some programs prefer.
            put("comment.utf-8", None);
        }
        entries.sort();
        let parts = entries.into_iter().map(|(key, value)| [key_of(&key), value].concat());
        enclosed(b'd', parts)
    }
}

fn key_of(bytes: &[u8]) -> Vec<u8> {
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

fn string(text: &str) -> Vec<u8> {
    key_of(text.as_bytes())
}

fn list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    enclosed(b'l', items)
}

fn enclosed(first: u8, items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut bytes = vec![first];
    items.for_each(|item| bytes.extend(item));
    bytes.push(b'e');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INFO: &str =
        "d6:lengthi7e4:name1:n12:piece lengthi16e6:pieces20:0123456789abcdefghij3:zzz3:\u{1}\u{2}\u{3}e";

    fn torrent() -> Metainfo {
        let text = format!("d8:announce8:http://a7:comment3:old4:info{INFO}1:zli1ei2ee8:url-list8:http://we");
        Metainfo::parse(text.into_bytes()).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_empty_goes() {
        let torrent = torrent();
        let same = torrent.edited(&Edit::default());
        assert_eq!(Metainfo::parse(same.clone()).unwrap().info_hash(), torrent.info_hash());
        // The keys were out of order.
        let sorted =
            format!("d8:announce8:http://a7:comment3:old4:info{INFO}8:url-list8:http://w1:zli1ei2eee");
        assert_eq!(String::from_utf8(same).unwrap(), sorted);
        let none = Edit { tiers: Some(vec![]), web_seeds: Some(vec![]), comment: Some(String::new()) };
        assert_eq!(String::from_utf8(torrent.edited(&none)).unwrap(), format!("d4:info{INFO}1:zli1ei2eee"));
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_read_and_info_stays(
            tiers in prop::collection::vec(prop::collection::vec("http://[a-z]{1,9}/", 1..3), 0..4),
            web_seeds in prop::collection::vec("https://[a-z]{1,9}/", 0..3),
            comment in "[ -~]{1,20}",
        ) {
            let mut urls = tiers.concat();
            urls.sort();
            prop_assume!(urls.windows(2).all(|pair| pair[0] != pair[1]));
            let torrent = torrent();
            let edit = Edit {
                tiers: Some(tiers.clone()),
                web_seeds: Some(web_seeds.clone()),
                comment: Some(comment.clone()),
            };
            let edited = Metainfo::parse(torrent.edited(&edit)).unwrap();
            prop_assert_eq!(edited.info(), torrent.info());
            prop_assert_eq!(edited.tiers(), &tiers[..]);
            prop_assert_eq!(edited.web_seeds(), web_seeds);
            prop_assert_eq!(edited.comment(), Some(comment));
        }
    }
}
