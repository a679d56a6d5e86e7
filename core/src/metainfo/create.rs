//! Making a .torrent file (BEP 3, 12, 19, 27).

use serde::Serialize;
use serde_bytes::Bytes;

/// The shortest piece that is chosen: one block.
const AUTO_PIECE_LEN_MIN: u32 = 16 * 1024;

/// The longest piece that is chosen. Older clients fail on more, and a bad piece costs all of it.
const AUTO_PIECE_LEN_MAX: u32 = 16 * 1024 * 1024;

/// Pieces that are aimed at: 20 KiB of digests, and a bad piece costs a thousandth of the data.
const AUTO_PIECE_COUNT: u64 = 1024;

/// The piece length for `total_len` bytes of data.
///
/// The rule: the largest power of two, from 16 KiB to 16 MiB, that makes at least 1,024 pieces. So
/// from 16 MiB to 32 GiB of data there are 1,024 to 2,048 pieces.
#[must_use]
pub fn auto_piece_len(total_len: u64) -> u32 {
    let aim = total_len / AUTO_PIECE_COUNT;
    let power = aim.checked_ilog2().map_or(1, |log| 1_u64 << log);
    u32::try_from(power).unwrap_or(u32::MAX).clamp(AUTO_PIECE_LEN_MIN, AUTO_PIECE_LEN_MAX)
}

/// What a torrent is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One file of this length, with the torrent's name.
    File(u64),
    /// Files in a folder with the torrent's name: each one's path in components, and its length. The
    /// order is that of their bytes.
    Folder(Vec<(Vec<String>, u64)>),
}

/// A torrent to be made. Only the first five decide its info-hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The name of the file or folder.
    pub name: String,
    /// What is in it.
    pub content: Content,
    /// Bytes in a piece, see [`auto_piece_len`].
    pub piece_len: u32,
    /// Whether peers may come from the trackers alone (BEP 27).
    pub private: bool,
    /// What a private tracker tells its torrents by.
    pub source: Option<String>,
    /// Announce URLs by tier (BEP 12).
    pub tiers: Vec<Vec<String>>,
    /// URLs that have the data (BEP 19).
    pub web_seeds: Vec<String>,
    /// Free text.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When, in seconds since 1970.
    pub creation_date: Option<i64>,
}

impl Create {
    /// A torrent with nothing beside its data.
    #[must_use]
    pub const fn new(name: String, content: Content, piece_len: u32) -> Self {
        Self {
            name,
            content,
            piece_len,
            private: false,
            source: None,
            tiers: Vec::new(),
            web_seeds: Vec::new(),
            comment: None,
            created_by: None,
            creation_date: None,
        }
    }

    /// The .torrent file, given the SHA-1 of every piece in order.
    ///
    /// Keys are sorted and `private` is absent unless set, as other programs do it, so the same
    /// choices give the same info-hash.
    ///
    /// # Panics
    /// Never: everything here can be written as bencode.
    #[must_use]
    pub fn encode(&self, digests: &[[u8; 20]]) -> Vec<u8> {
        let tracker_count: usize = self.tiers.iter().map(Vec::len).sum();
        let (length, files) = match &self.content {
            Content::File(len) => (Some(*len), None),
            Content::Folder(files) => (None, Some(files.iter().map(FileDict::new).collect())),
        };
        let torrent = TorrentDict {
            announce: self.tiers.iter().flatten().next(),
            announce_list: (tracker_count > 1).then_some(&self.tiers),
            comment: self.comment.as_ref(),
            created_by: self.created_by.as_ref(),
            creation_date: self.creation_date,
            url_list: (!self.web_seeds.is_empty()).then_some(&self.web_seeds),
            info: InfoDict {
                length,
                files,
                name: &self.name,
                piece_length: self.piece_len,
                pieces: Bytes::new(digests.as_flattened()),
                private: self.private.then_some(1),
                source: self.source.as_ref(),
            },
        };
        serde_bencode::to_bytes(&torrent).expect("strings, integers, lists and dictionaries are bencode")
    }
}

#[derive(Serialize)]
struct TorrentDict<'a> {
    announce: Option<&'a String>,
    #[serde(rename = "announce-list")]
    announce_list: Option<&'a Vec<Vec<String>>>,
    comment: Option<&'a String>,
    #[serde(rename = "created by")]
    created_by: Option<&'a String>,
    #[serde(rename = "creation date")]
    creation_date: Option<i64>,
    info: InfoDict<'a>,
    #[serde(rename = "url-list")]
    url_list: Option<&'a Vec<String>>,
}

#[derive(Serialize)]
struct InfoDict<'a> {
    files: Option<Vec<FileDict<'a>>>,
    length: Option<u64>,
    name: &'a str,
    #[serde(rename = "piece length")]
    piece_length: u32,
    pieces: &'a Bytes,
    private: Option<u8>,
    source: Option<&'a String>,
}

#[derive(Serialize)]
struct FileDict<'a> {
    length: u64,
    path: &'a [String],
}

impl<'a> FileDict<'a> {
    fn new((path, length): &'a (Vec<String>, u64)) -> Self {
        Self { length: *length, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piece_lengths_follow_the_rule() {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        for (total, piece) in [
            (0, 16 * KIB),
            (1, 16 * KIB),
            (32 * MIB - 1, 16 * KIB),
            (32 * MIB, 32 * KIB),
            (300 * MIB, 256 * KIB),
            (1024 * MIB, MIB),
            (32 * KIB * MIB, 16 * MIB),
            (u64::MAX, 16 * MIB),
        ] {
            assert_eq!(u64::from(auto_piece_len(total)), piece, "{total}");
        }
    }

    #[test]
    fn keys_are_sorted_and_what_is_not_set_is_absent() {
        let mut create = Create {
            tiers: vec![vec!["http://a".to_owned()]],
            ..Create::new("n".to_owned(), Content::File(3), 16384)
        };
        let digests = [[b'x'; 20]];
        let text = |create: &Create| String::from_utf8(create.encode(&digests)).unwrap();
        let pieces = "6:pieces20:xxxxxxxxxxxxxxxxxxxx";
        assert_eq!(
            text(&create),
            format!("d8:announce8:http://a4:infod6:lengthi3e4:name1:n12:piece lengthi16384e{pieces}ee")
        );
        create.content = Content::Folder(vec![(vec!["d".to_owned(), "f".to_owned()], 3)]);
        create.private = true;
        create.source = Some("s".to_owned());
        create.tiers = vec![vec!["http://a".to_owned()], vec!["http://b".to_owned()]];
        create.web_seeds = vec!["http://w".to_owned()];
        create.comment = Some("c".to_owned());
        create.created_by = Some("p".to_owned());
        create.creation_date = Some(-1);
        assert_eq!(
            text(&create),
            format!(
                "d8:announce8:http://a13:announce-listll8:http://ael8:http://bee7:comment1:c10:created by1:p\
                 13:creation datei-1e4:infod5:filesld6:lengthi3e4:pathl1:d1:feee4:name1:n\
                 12:piece lengthi16384e{pieces}7:privatei1e6:source1:se8:url-listl8:http://wee"
            )
        );
    }

    /// What `mktorrent -l 15 -p -a http://a.example/announce -a http://b.example/x -c 'a comment' -d d`
    /// (1.1) writes for a folder of three files.
    #[test]
    fn mktorrent_writes_the_same_bytes() {
        let pieces = b"L\xde1\x85\xcfD\xb3*6\xaa\x9d\xf3\x0e\xf58\xce^\xce\xff\xae\
            \xe9JmLa)- \xf5\x91\x0f\xb3\xa4H\x97\xa4\xcd\xf0\xc2\xaa";
        let written = [
            b"d8:announce25:http://a.example/announce13:announce-listll25:http://a.example/announceel\
            18:http://b.example/xee7:comment9:a comment10:created by13:mktorrent 1.14:infod5:files\
            ld6:lengthi5e4:pathl5:a.txteed6:lengthi0e4:pathl5:emptyeed6:lengthi40000e4:pathl3:sub\
            5:z.bineee4:name1:d12:piece lengthi32768e6:pieces40:"
                .as_slice(),
            pieces,
            b"7:privatei1eee",
        ];
        let file = |path: &[&str], len| (path.iter().map(|&part| part.to_owned()).collect(), len);
        let create = Create {
            name: "d".to_owned(),
            content: Content::Folder(vec![
                file(&["a.txt"], 5),
                file(&["empty"], 0),
                file(&["sub", "z.bin"], 40_000),
            ]),
            piece_len: 32_768,
            private: true,
            source: None,
            tiers: vec![vec!["http://a.example/announce".to_owned()], vec!["http://b.example/x".to_owned()]],
            web_seeds: Vec::new(),
            comment: Some("a comment".to_owned()),
            created_by: Some("mktorrent 1.1".to_owned()),
            creation_date: None,
        };
        assert_eq!(create.encode(pieces.as_chunks().0), written.concat());
    }
}
