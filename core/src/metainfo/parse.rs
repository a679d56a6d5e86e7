//! From the dictionaries of a torrent to what they mean (BEP 3, 27, 47).
//!
//! A key that is not named here is not looked at. A key that must be right for the data to be right
//! is an error if it is not; any other (trackers, comments) is then as if it were not there.

use std::ops::Range;

use serde_bytes::ByteBuf;

use super::layout::{File, Layout};
use super::span::{Shape, shape};
use super::unique::make_unique;
use super::{
    Extras, FILE_COUNT_MAX, Metainfo, MetainfoError, PATH_LEN_MAX, PATHS_LEN_MAX, Place, path, tiers,
};
use crate::bencode::{Dict, Value};
use crate::id::InfoHash;
use crate::piece::{Geometry, PIECE_COUNT_MAX, PIECE_LEN_MAX, TOTAL_LEN_MAX};

/// What the names of files start with that BitComet put between others, before BEP 47.
const BITCOMET_PADDING: &[u8] = b"_____padding_file_";

/// All that `raw` says, without `raw` itself.
pub(super) fn parse(raw: &[u8]) -> Result<Metainfo, MetainfoError> {
    let Shape { top, info, info_span } = shape(raw)?;
    let info_hash = InfoHash::of(raw.get(info_span.clone()).unwrap_or_default());
    let pieces = match (info.get("pieces"), int(info.get("meta version"))) {
        (Some(pieces), _) => pieces,
        (None, Some(2)) => return Err(MetainfoError::V2Only),
        (None, _) => return Err(MetainfoError::Missing(Place::Info("pieces"))),
    };
    let digests = pieces.content_span();
    let digests = digests.ok_or(MetainfoError::Type { at: Place::Info("pieces"), want: "a string" })?;

    let raw_name = name(&info)?;
    let name = path::component(raw.get(raw_name.clone()).unwrap_or_default());
    let name = name.unwrap_or_else(|| info_hash.to_string());
    let files = match info.get("files") {
        Some(files) => many_files(files, &name)?,
        None => vec![only_file(&info, &name)?],
    };
    let layout = Layout::new(files);
    Ok(Metainfo {
        raw: Vec::new(),
        info_hash,
        raw_name,
        geometry: geometry(&info, layout.files(), digests.len())?,
        digests,
        name,
        layout,
        // A torrent that was meant to be private must not leak: anything but a plain 0 counts.
        private: info.get("private").is_some_and(|value| value.raw() != b"i0e"),
        tiers: tiers::tiers(&top),
        extras: extras(&top, &info),
        info: info_span,
    })
}

fn geometry(info: &Dict<'_>, files: &[File], digests_len: usize) -> Result<Geometry, MetainfoError> {
    let at = Place::Info("piece length");
    let piece_len = number(info.get("piece length"), at, 1, u64::from(PIECE_LEN_MAX))?;
    let total_len = files.last().map_or(0, |file| file.offset + file.len);
    let want = total_len.div_ceil(piece_len);
    if total_len == 0 {
        return Err(MetainfoError::NoData);
    }
    if want > u64::from(PIECE_COUNT_MAX) {
        return Err(MetainfoError::TooManyPieces(want));
    }
    if !digests_len.is_multiple_of(20) {
        return Err(MetainfoError::PiecesLen(digests_len));
    }
    let geometry = u32::try_from(piece_len).ok().and_then(|piece_len| Geometry::new(total_len, piece_len));
    geometry
        .filter(|geometry| geometry.piece_count() as usize == digests_len / 20)
        .ok_or(MetainfoError::PieceCount { have: digests_len / 20, want })
}

/// Where the torrent's name is.
fn name(info: &Dict<'_>) -> Result<Range<usize>, MetainfoError> {
    let utf8 = info.get("name.utf-8").and_then(Value::content_span).filter(|name| !name.is_empty());
    let plain = || {
        let at = Place::Info("name");
        let name = info.get("name").ok_or(MetainfoError::Missing(at))?;
        name.content_span().ok_or(MetainfoError::Type { at, want: "a string" })
    };
    utf8.map_or_else(plain, Ok)
}

fn only_file(info: &Dict<'_>, name: &str) -> Result<File, MetainfoError> {
    let len = number(info.get("length"), Place::Info("length"), 0, TOTAL_LEN_MAX)?;
    let executable = attr(info).contains(&b'x');
    Ok(File { path: name.to_owned(), len, offset: 0, padding: false, executable })
}

/// The files of `info.files`, in order.
///
/// A symbolic link (BEP 47, `attr` `l`) has no bytes whatever its `length` says, and is left out: a
/// link from a torrent could lead anywhere.
fn many_files(list: Value<'_>, name: &str) -> Result<Vec<File>, MetainfoError> {
    let entries = list.items().ok_or(MetainfoError::Type { at: Place::Info("files"), want: "a list" })?;
    let (mut files, mut total_len, mut paths_len) = (Vec::new(), 0, 0);
    for (index, entry) in entries.enumerate() {
        if index >= FILE_COUNT_MAX {
            return Err(MetainfoError::TooManyFiles);
        }
        let dict = Dict::of(entry)?;
        let attr = attr(&dict);
        if attr.contains(&b'l') {
            continue;
        }
        let at = |key| Place::File { index, key };
        let len = number(dict.get("length"), at("length"), 0, TOTAL_LEN_MAX)?;
        let (path, bitcomet_padding) = file_path(&dict, index, name)?;
        paths_len += path.len();
        if paths_len > PATHS_LEN_MAX {
            return Err(MetainfoError::PathsTooLong);
        }
        let padding = attr.contains(&b'p') || bitcomet_padding;
        files.push(File { path, len, offset: total_len, padding, executable: attr.contains(&b'x') });
        total_len += len;
        if total_len > TOTAL_LEN_MAX {
            return Err(MetainfoError::TooMuchData);
        }
    }
    make_unique(&mut files);
    files.shrink_to_fit();
    Ok(files)
}

/// A file's safe path below `name`, and whether it says padding.
fn file_path(file: &Dict<'_>, index: usize, name: &str) -> Result<(String, bool), MetainfoError> {
    let utf8 = file.get("path.utf-8").and_then(Value::read::<Vec<ByteBuf>>).filter(|path| !path.is_empty());
    let at = Place::File { index, key: "path" };
    let parts = match (utf8, file.get("path")) {
        (Some(parts), _) => parts,
        (None, None) => return Err(MetainfoError::Missing(at)),
        (None, Some(path)) => path.read().ok_or(MetainfoError::Type { at, want: "a list of strings" })?,
    };
    let Some(last) = parts.last() else {
        return Err(MetainfoError::NoPath(at));
    };
    let mut path = name.to_owned();
    for part in parts.iter().filter_map(|part| path::component(part)) {
        path.push('/');
        path.push_str(&part);
        if path.len() > PATH_LEN_MAX {
            return Err(MetainfoError::PathTooLong(at));
        }
    }
    if path.len() == name.len() {
        path.push_str("/_");
    }
    Ok((path, last.starts_with(BITCOMET_PADDING)))
}

/// BEP 47, `attr`: a letter for each property.
fn attr<'a>(file: &Dict<'a>) -> &'a [u8] {
    file.get("attr").and_then(Value::bytes).unwrap_or_default()
}

fn int(value: Option<Value<'_>>) -> Option<i64> {
    value.and_then(Value::read)
}

fn number(value: Option<Value<'_>>, at: Place, min: u64, max: u64) -> Result<u64, MetainfoError> {
    let value = value.ok_or(MetainfoError::Missing(at))?;
    let value: i64 = value.read().ok_or(MetainfoError::Type { at, want: "an integer" })?;
    let in_range = u64::try_from(value).ok().filter(|value| (min..=max).contains(value));
    in_range.ok_or(MetainfoError::Range { at, value, min, max })
}

/// Of a torrent of which nothing is known.
pub(super) const fn no_extras() -> Extras {
    Extras { comment: 0..0, created_by: 0..0, source: 0..0, url_list: 0..0, creation_date: None }
}

/// Where the texts are that are only shown; the UTF-8 ones first.
fn extras(top: &Dict<'_>, info: &Dict<'_>) -> Extras {
    let text = |dict: &Dict<'_>, keys: [&str; 2]| {
        let value = keys.iter().find_map(|key| dict.get(key).filter(|value| value.bytes().is_some()));
        value.map(Value::span).unwrap_or_default()
    };
    Extras {
        comment: text(top, ["comment.utf-8", "comment"]),
        created_by: text(top, ["created by.utf-8", "created by"]),
        source: text(info, ["source", "source"]),
        url_list: top.get("url-list").map(Value::span).unwrap_or_default(),
        creation_date: int(top.get("creation date")),
    }
}
