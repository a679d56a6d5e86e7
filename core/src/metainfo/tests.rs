//! Whole torrents: what is read, what is refused, and that nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A torrent with these keys of `info` behind `name`, in bencode.
fn torrent(info: &str) -> Vec<u8> {
    format!("d8:announce8:http://a4:infod4:name1:n{info}ee").into_bytes()
}

fn parse(info: &str) -> Metainfo {
    Metainfo::parse(torrent(info)).unwrap()
}

/// A torrent of `files`, each `(length, other keys)`, with pieces of 16 bytes.
fn many(files: &[(u64, &str)]) -> Metainfo {
    let entries: String = files.iter().map(|(len, rest)| format!("d6:lengthi{len}e{rest}e")).collect();
    let total: u64 = files.iter().map(|(len, _)| len).sum();
    let digests = "x".repeat(usize::try_from(total.div_ceil(16)).unwrap() * 20);
    parse(&format!("5:filesl{entries}e12:piece lengthi16e6:pieces{}:{digests}", digests.len()))
}

fn paths(metainfo: &Metainfo) -> Vec<(&str, u64)> {
    metainfo.layout().files().iter().map(|file| (file.path.as_str(), file.offset)).collect()
}

const PIECE: &str = "12:piece lengthi16e6:pieces20:0123456789abcdefghij";

#[test]
fn a_single_file() {
    let metainfo = parse(&format!("6:lengthi7e{PIECE}"));
    assert_eq!(paths(&metainfo), [("n", 0)]);
    let geometry = metainfo.geometry();
    assert_eq!((geometry.total_len(), geometry.piece_count(), geometry.piece_len()), (7, 1, 16));
    let piece = geometry.piece(0).unwrap();
    assert_eq!(metainfo.digest(piece), Digest::Sha1(*b"0123456789abcdefghij"));
    assert_eq!(metainfo.info(), format!("d4:name1:n6:lengthi7e{PIECE}e").as_bytes());
    assert_eq!(metainfo.info_hash(), InfoHash::of(metainfo.info()));
    assert_eq!((metainfo.tiers(), metainfo.is_private()), (&[vec!["http://a".to_owned()]][..], false));
    assert_eq!((metainfo.comment(), metainfo.web_seeds()), (None, vec![]));
}

#[test]
fn a_private_torrent_is_announced_at_its_own_trackers_alone() {
    let may = |tracker: &str, private: u8| {
        let raw = format!("d{tracker}4:infod4:name1:n6:lengthi7e{PIECE}7:privatei{private}eee");
        let metainfo = Metainfo::parse(raw.into_bytes()).unwrap();
        ["http://a", "http://b"].map(|url| metainfo.may_announce_at(url))
    };
    assert_eq!(may("8:announce8:http://a", 1), [true, false]);
    assert_eq!(may("8:announce8:http://a", 0), [true, true]);
    assert_eq!(may("", 1), [true, true], "it names none");
}

#[test]
fn files_follow_one_on_the_other() {
    let metainfo = many(&[(3, "4:pathl1:d1:ae"), (0, "4:pathl1:ee"), (5, "4:pathl0:2:..1:be4:attr1:x")]);
    assert_eq!(paths(&metainfo), [("n/d/a", 0), ("n/e", 3), ("n/._/b", 3)]);
    let executable: Vec<_> = metainfo.layout().files().iter().map(|file| file.executable).collect();
    assert_eq!(executable, [false, false, true]);
}

#[test]
fn padding_is_known_and_links_are_left_out() {
    let metainfo = many(&[
        (3, "4:attr1:p4:pathl4:.pad1:3e"),
        (0, "4:attr1:l4:pathl4:linke12:symlink pathl3:etce"),
        (2, "4:pathl20:_____padding_file_0_e"),
        (1, "4:attr2:hx4:pathl1:ae"),
    ]);
    let padding: Vec<_> = metainfo.layout().files().iter().map(|file| file.padding).collect();
    assert_eq!(paths(&metainfo), [("n/.pad/3", 0), ("n/_____padding_file_0_", 3), ("n/a", 5)]);
    assert_eq!(padding, [true, true, false]);
}

#[test]
fn names_in_utf_8_are_preferred() {
    let metainfo = many(&[(1, "4:pathl2:\u{e9}e10:path.utf-8l3:abce"), (1, "4:pathl1:ae10:path.utf-8i1e")]);
    assert_eq!(paths(&metainfo), [("n/abc", 0), ("n/a", 1)]);
    let metainfo = parse(&format!("10:name.utf-82:ab6:lengthi7e{PIECE}"));
    assert_eq!((metainfo.name(), metainfo.raw_name()), ("ab", &b"ab"[..]));
}

#[test]
fn a_torrent_without_a_name_is_named_by_its_hash() {
    let raw = format!("d4:infod6:lengthi7e4:name0:{PIECE}ee");
    let metainfo = Metainfo::parse(raw.into_bytes()).unwrap();
    assert_eq!(metainfo.name(), metainfo.info_hash().to_string());
}

#[test]
fn unknown_keys_are_kept_out_of_the_way() {
    let info = [b"d6:lengthi7e4:name1:n1:\xfed1:\xfflee", PIECE.as_bytes(), b"1:zlee"].concat();
    let raw = [b"d1:\xffi1e4:info", &info[..], b"5:nodesi0ee\n"].concat();
    assert_eq!(Metainfo::parse(raw).unwrap().info(), info);
}

#[test]
fn what_is_only_shown() {
    let raw = format!(
        "d7:comment2:hi10:created by1:p13:creation datei12e4:infod6:lengthi7e4:name1:n{PIECE}\
         7:privatei1e6:source1:se8:url-listl9:http://w/ee"
    );
    let metainfo = Metainfo::parse(raw.into_bytes()).unwrap();
    assert_eq!(metainfo.comment().as_deref(), Some("hi"));
    assert_eq!(metainfo.created_by().as_deref(), Some("p"));
    assert_eq!(metainfo.source().as_deref(), Some("s"));
    assert_eq!(metainfo.creation_date(), Some(12));
    assert_eq!(metainfo.web_seeds(), ["http://w/"]);
    assert!(metainfo.is_private() && metainfo.tiers().is_empty());
}

#[test]
fn a_hybrid_serves_as_v1_and_v2_alone_is_refused() {
    parse(&format!("6:lengthi7e12:meta versioni2e{PIECE}"));
    let v2 = "9:file treed1:ad0:d6:lengthi7e11:pieces root0:eee12:meta versioni2e12:piece lengthi16e";
    assert_eq!(Metainfo::parse(torrent(v2)), Err(MetainfoError::V2Only));
}

#[test]
fn every_fault_is_named_with_its_place() {
    let file = |rest: &str| format!("5:filesld6:lengthi7e4:pathl1:aeed{rest}ee{PIECE}");
    let long = format!("6:lengthi1e4:pathl{}e", format!("255:{}", "x".repeat(255)).repeat(13));
    for (info, why) in [
        ("6:lengthi7e".to_owned(), "info.pieces is missing"),
        ("6:lengthi7e6:piecesi1e".to_owned(), "info.pieces is not a string"),
        ("6:lengthi7e6:pieces0:".to_owned(), "info.piece length is missing"),
        (PIECE.to_owned(), "info.length is missing"),
        (format!("6:length1:7{PIECE}"), "info.length is not an integer"),
        (format!("6:lengthi-7e{PIECE}"), "info.length is -7, not from 0 to 281474976710656"),
        (format!("6:lengthi0e{PIECE}"), "the files have no bytes in all, so there is nothing to get"),
        (format!("5:filesle{PIECE}"), "the files have no bytes in all, so there is nothing to get"),
        (format!("5:filesde{PIECE}"), "info.files is not a list"),
        (format!("6:lengthi17e{PIECE}"), "info.pieces has 1 hashes, but the files have 2 pieces"),
        (
            "6:lengthi1e12:piece lengthi16e6:pieces1:x".to_owned(),
            "info.pieces has 1 bytes, not a multiple of 20",
        ),
        (
            "6:lengthi1e12:piece lengthi0e6:pieces0:".to_owned(),
            "info.piece length is 0, not from 1 to 536870912",
        ),
        (
            "6:lengthi2097153e12:piece lengthi1e6:pieces0:".to_owned(),
            "info.piece length makes 2097153 pieces, over 2097152",
        ),
        (file("4:pathl1:be"), "info.files[1].length is missing"),
        (file("6:lengthi7e"), "info.files[1].path is missing"),
        (file("6:lengthi7e4:pathle"), "info.files[1].path is empty"),
        (file("6:lengthi7e4:pathli1ee"), "info.files[1].path is not a list of strings"),
        (file("6:lengthi281474976710656e4:pathl1:be"), "the files have over 281474976710656 bytes in all"),
        (file(&long), "info.files[1].path is longer than 3072 bytes"),
        (format!("5:filesli1ee{PIECE}"), "byte 45: a dictionary is needed here"),
    ] {
        let error = Metainfo::parse(torrent(&info)).map(drop).unwrap_err();
        assert_eq!(error.to_string(), why, "{info}");
    }
    let error = Metainfo::parse(b"d4:infod6:lengthi7e6:pieces0:ee".to_vec()).unwrap_err();
    assert_eq!(error.to_string(), "info.name is missing");
    assert_eq!(Metainfo::parse(vec![b'd'; FILE_LEN_MAX + 1]), Err(MetainfoError::TooLong));
}

#[test]
fn a_long_name_can_not_be_multiplied_by_many_files() {
    let name = "x".repeat(255);
    let file = "d6:lengthi1e4:pathl1:aee";
    let raw = format!("d4:infod5:filesl{}e4:name255:{name}{PIECE}ee", file.repeat(300_000));
    assert_eq!(Metainfo::parse(raw.into_bytes()), Err(MetainfoError::PathsTooLong));
}

fn content() -> impl Strategy<Value = Content> {
    let path = vec("[a-zA-Z./ ]{0,4}", 1..4);
    prop_oneof![
        (1_u64..1000).prop_map(Content::File),
        (vec((path, 0_u64..50), 0..20), 1_u64..9).prop_map(|(mut files, len)| {
            files.push((vec!["last".to_owned()], len));
            Content::Folder(files)
        }),
    ]
}

fn create() -> impl Strategy<Value = Create> {
    let texts = (proptest::option::of(".*"), proptest::option::of("[a-z]*"));
    let tiers = vec(vec("http://[a-z]{1,9}", 1..3), 0..3);
    ("\\PC{1,20}", content(), 1_u32..99, any::<bool>(), texts, tiers, any::<Option<i64>>()).prop_map(
        |(name, content, piece_len, private, (comment, source), tiers, creation_date)| Create {
            name,
            content,
            piece_len,
            private,
            source,
            tiers,
            web_seeds: Vec::new(),
            created_by: None,
            comment,
            creation_date,
        },
    )
}

fn digests(create: &Create) -> Vec<[u8; 20]> {
    let total_len: u64 = match &create.content {
        Content::File(len) => *len,
        Content::Folder(files) => files.iter().map(|(_, len)| len).sum(),
    };
    (0..total_len.div_ceil(u64::from(create.piece_len))).map(|n| [n.to_le_bytes()[0]; 20]).collect()
}

proptest! {
    #[test]
    fn what_is_created_can_be_read(create in create()) {
        let digests = digests(&create);
        let metainfo = Metainfo::parse(create.encode(&digests)).unwrap();
        let geometry = metainfo.geometry();
        prop_assert_eq!(geometry.piece_len(), create.piece_len);
        prop_assert_eq!(metainfo.raw_name(), create.name.as_bytes());
        prop_assert_eq!(metainfo.is_private(), create.private);
        prop_assert_eq!((metainfo.comment(), metainfo.source()), (create.comment, create.source));
        prop_assert_eq!(metainfo.creation_date(), create.creation_date);
        let urls: std::collections::BTreeSet<_> = create.tiers.iter().flatten().collect();
        prop_assert_eq!(metainfo.tiers().iter().flatten().count(), urls.len());
        for (piece, digest) in geometry.pieces().zip(&digests) {
            prop_assert_eq!(metainfo.digest(piece), Digest::Sha1(*digest));
        }
        let files = metainfo.layout().files();
        let lens: Vec<_> = files.iter().map(|file| file.len).collect();
        match create.content {
            Content::File(len) => prop_assert_eq!(lens, [len]),
            Content::Folder(files) => {
                prop_assert_eq!(lens, files.iter().map(|(_, len)| *len).collect::<Vec<_>>());
            }
        }
        for file in files {
            for (depth, part) in file.path.split('/').enumerate() {
                prop_assert_eq!(path::component(part.as_bytes()), Some(part.to_owned()));
                prop_assert!(depth > 0 || part == metainfo.name());
            }
        }
    }

    #[test]
    fn a_damaged_torrent_never_panics(
        create in create(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut raw = create.encode(&digests(&create));
        for (at, byte, kind) in damage {
            let at = at.index(raw.len());
            match kind {
                0 => raw[at] = byte,
                1 => raw.insert(at, b"deil0123456789:-"[usize::from(byte % 16)]),
                _ => drop(raw.remove(at)),
            }
        }
        if let Ok(metainfo) = Metainfo::parse(raw) {
            let shown = (metainfo.comment(), metainfo.source(), metainfo.created_by(), metainfo.web_seeds());
            prop_assert!(metainfo.geometry().pieces().all(|piece| metainfo.digest(piece) == metainfo.digest(piece)));
            drop(shown);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in vec(any::<u8>(), 0..200), like in "[del0-9i:-]{0,80}") {
        let _ = Metainfo::parse(raw);
        let _ = Metainfo::parse(like.into_bytes());
    }
}
