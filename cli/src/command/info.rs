//! `peerless info SOURCE`: what a torrent, or a magnet link by itself, says.

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peerless_core::magnet::Magnet;
use peerless_core::metainfo::Metainfo;
use peerless_core::text::escaped;
use serde::Serialize;

use crate::args::InfoArgs;
use crate::exit::{Exit, Failure};
use crate::source::Source;
use crate::{format, out};

/// Prints it.
///
/// # Errors
/// When the source can't be read, or is neither.
pub fn run(args: &InfoArgs) -> Result<Exit, Failure> {
    let source = Source::parse(OsStr::new(&args.source))?;
    let metainfo;
    let info = if let Source::Magnet(magnet) = &source {
        Info::of_magnet(magnet)
    } else {
        metainfo = source.load_alone(&args.way)?;
        Info::of(&metainfo)
    };
    if args.json {
        out::print_json(&info)?;
    } else {
        out::print(&info.to_string())?;
    }
    Ok(Exit::Done)
}

/// What is known of a torrent; this is what `--json` prints, and `Display` is for people.
#[derive(Debug, Serialize)]
pub struct Info<'a> {
    name: Option<&'a str>,
    /// The bytes of what is not UTF-8, in base64.
    #[serde(flatten)]
    raw: RawTexts,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    total_size: Option<u64>,
    piece_length: Option<u32>,
    piece_count: Option<u32>,
    files: Option<Vec<InfoFile<'a>>>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    private: Option<bool>,
    comment: Option<String>,
    source: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
    magnet: String,
    /// Only of a torrent that was just made: where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

/// The bytes of those texts that are not UTF-8.
#[derive(Debug, Default, Serialize)]
struct RawTexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    name_raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment_raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_raw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_raw: Option<String>,
}

impl RawTexts {
    fn of(metainfo: &Metainfo) -> Self {
        let raw = |text: Option<&[u8]>| {
            text.filter(|text| std::str::from_utf8(text).is_err()).map(|text| STANDARD.encode(text))
        };
        Self {
            name_raw: raw(Some(metainfo.raw_name())),
            comment_raw: raw(metainfo.raw_comment()),
            source_raw: raw(metainfo.raw_source()),
            created_by_raw: raw(metainfo.raw_created_by()),
        }
    }
}

/// A file; padding files are not told of.
#[derive(Debug, Serialize)]
struct InfoFile<'a> {
    path: &'a str,
    length: u64,
}

impl<'a> Info<'a> {
    /// What a torrent says.
    #[must_use]
    pub fn of(metainfo: &'a Metainfo) -> Self {
        let geometry = metainfo.geometry();
        let files = metainfo.layout().files().iter().filter(|file| !file.padding);
        Self {
            name: Some(metainfo.name()),
            raw: RawTexts::of(metainfo),
            info_hash: Some(metainfo.info_hash().to_string()),
            info_hash_v2: None,
            total_size: Some(geometry.total_len()),
            piece_length: Some(geometry.piece_len()),
            piece_count: Some(geometry.piece_count()),
            files: Some(files.map(|file| InfoFile { path: &file.path, length: file.len }).collect()),
            trackers: metainfo.tiers().to_vec(),
            web_seeds: metainfo.web_seeds(),
            private: Some(metainfo.is_private()),
            comment: metainfo.comment(),
            source: metainfo.source(),
            created_by: metainfo.created_by(),
            creation_date: metainfo.creation_date(),
            magnet: Magnet::of(metainfo).to_string(),
            output: None,
        }
    }

    /// What a magnet link says by itself. Each of its trackers is a tier, as no order is meant.
    #[must_use]
    pub fn of_magnet(magnet: &'a Magnet) -> Self {
        Self {
            name: magnet.name.as_deref(),
            raw: RawTexts::default(),
            info_hash: Some(magnet.info_hash.to_string()),
            info_hash_v2: None,
            total_size: None,
            piece_length: None,
            piece_count: None,
            files: None,
            trackers: magnet.trackers.iter().map(|url| vec![url.clone()]).collect(),
            web_seeds: magnet.web_seeds.clone(),
            private: None,
            comment: None,
            source: None,
            created_by: None,
            creation_date: None,
            magnet: magnet.to_string(),
            output: None,
        }
    }

    /// The same, with where the torrent was written.
    #[must_use]
    pub fn with_output(self, output: &Path) -> Self {
        Self { output: Some(output.to_string_lossy().into_owned()), ..self }
    }

    fn write_files(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(files) = &self.files else { return Ok(()) };
        writeln!(f, "files      {}", files.len())?;
        for (index, file) in files.iter().enumerate() {
            writeln!(f, "{:>7}  {:>11}  {}", index + 1, format::size(file.length), escaped(file.path))?;
        }
        Ok(())
    }
}

impl fmt::Display for Info<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |label: &str, value: &str| writeln!(f, "{label:<10} {}", escaped(value));
        line("name", self.name.unwrap_or("not known before the metadata is fetched"))?;
        line("info-hash", self.info_hash.as_deref().unwrap_or("none"))?;
        if let Some(size) = self.total_size {
            line("size", &format!("{} ({size} bytes)", format::size(size)))?;
        }
        if let (Some(count), Some(len)) = (self.piece_count, self.piece_length) {
            line("pieces", &format!("{count} of {}", format::size(len.into())))?;
        }
        if self.private == Some(true) {
            line("private", "yes: peers come from its own trackers alone")?;
        }
        if let Some(comment) = &self.comment {
            line("comment", comment)?;
        }
        if let Some(source) = &self.source {
            line("source", source)?;
        }
        let mut created = self.creation_date.and_then(format::date).unwrap_or_default();
        if let Some(by) = &self.created_by {
            let _ = write!(created, "{}by {by}", if created.is_empty() { "" } else { " " });
        }
        if !created.is_empty() {
            line("created", &created)?;
        }
        for (index, tier) in self.trackers.iter().enumerate() {
            tier.iter().try_for_each(|url| line("tracker", &format!("{}: {url}", index + 1)))?;
        }
        self.web_seeds.iter().try_for_each(|url| line("web seed", url))?;
        writeln!(f, "{:<10} {}", "magnet", self.magnet)?;
        self.write_files(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::metainfo::{Content, Create};

    fn torrent(name: &str, comment: &str) -> Metainfo {
        let create = Create {
            private: true,
            tiers: vec![vec!["http://t/announce".to_owned()]],
            comment: Some(comment.to_owned()),
            created_by: Some("maker".to_owned()),
            creation_date: Some(0),
            ..Create::new(
                name.to_owned(),
                Content::Folder(vec![(vec!["d".into(), "f".into()], 5), (vec!["e".into()], 0)]),
                16384,
            )
        };
        Metainfo::parse(create.encode(&[[7; 20]])).unwrap()
    }

    #[test]
    fn people_see_every_field_and_no_control_characters() {
        let torrent = torrent("n", "line\nline\u{1b}[2J");
        let text = Info::of(&torrent).to_string();
        for part in [
            "name       n\n",
            "size       5 B (5 bytes)\n",
            "pieces     1 of 16.0 KiB\n",
            "private    yes",
            "created    1970-01-01 00:00:00 UTC by maker\n",
            "tracker    1: http://t/announce\n",
            "files      2\n",
            "      1          5 B  n/d/f\n",
            "      2          0 B  n/e\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(!text.contains('\u{1b}') && text.contains("line\\u{a}line"), "{text}");
    }

    #[test]
    fn json_has_the_fields_of_the_contract() {
        let torrent = torrent("n", "c");
        let json = serde_json::to_value(Info::of(&torrent)).unwrap();
        assert_eq!(
            json["files"],
            serde_json::json!([{"path": "n/d/f", "length": 5}, {"path": "n/e", "length": 0}])
        );
        assert_eq!(json["trackers"], serde_json::json!([["http://t/announce"]]));
        assert_eq!((&json["info_hash_v2"], &json["private"]), (&serde_json::Value::Null, &true.into()));
        assert!(json["magnet"].as_str().unwrap().starts_with("magnet:?xt=urn:btih:"));
        assert!(json.as_object().unwrap().keys().all(|key| !key.ends_with("_raw") && key != "output"));
    }

    #[test]
    fn text_that_is_no_utf8_also_comes_as_it_is() {
        let raw =
            b"d7:comment2:\xFFc10:created by2:\xFFb4:infod6:lengthi1e4:name2:\xFFn12:piece lengthi16384e\
            6:pieces20:aaaaaaaaaaaaaaaaaaaa6:source2:\xFFsee";
        let torrent = Metainfo::parse(raw.to_vec()).unwrap();
        let json = serde_json::to_value(Info::of(&torrent)).unwrap();
        for (key, text, raw) in [
            ("name", "_n", "/24="),
            ("comment", "\u{FFFD}c", "/2M="),
            ("source", "\u{FFFD}s", "/3M="),
            ("created_by", "\u{FFFD}b", "/2I="),
        ] {
            assert_eq!((&json[key], &json[format!("{key}_raw")]), (&text.into(), &raw.into()));
        }
    }

    #[test]
    fn a_magnet_link_tells_what_it_can() {
        let link = format!("magnet:?xt=urn:btih:{}&dn=a%1Bb&tr=http%3A%2F%2Ft%2Fa", "ab".repeat(20));
        let magnet: Magnet = link.parse().unwrap();
        let info = Info::of_magnet(&magnet);
        assert!(info.to_string().contains("name       a\\u{1b}b\n"), "{info}");
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(
            (&json["files"], &json["total_size"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
        assert_eq!(json["trackers"], serde_json::json!([["http://t/a"]]));
    }
}
