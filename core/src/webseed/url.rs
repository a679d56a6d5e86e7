//! Which URL has which bytes (BEP 19, "url-list").
//!
//! The URL of a web seed of a single file is the file's, unless it ends with a slash: then the
//! torrent's name follows. For several files it is a folder's: the torrent's name and the file's path
//! follow, each part escaped.

use crate::job::FetchPart;
use crate::metainfo::Metainfo;
use crate::percent;
use crate::piece::BlockRef;

/// The URL of a file of the torrent at a web seed; `None` if there is no such file.
#[must_use]
pub fn file_url(metainfo: &Metainfo, base: &str, file: usize) -> Option<String> {
    let path = &metainfo.layout().files().get(file)?.path;
    if !metainfo.is_folder() && !base.ends_with('/') {
        return Some(base.to_owned());
    }
    let mut url = base.to_owned();
    // Servers that take the path as a parameter are named with a `?`: they have no folders.
    if !url.ends_with('/') {
        url.push('/');
    }
    for (at, part) in path.split('/').enumerate() {
        if at > 0 {
            url.push('/');
        }
        percent::encode(&mut url, part.as_bytes());
    }
    Some(url)
}

/// What to GET for blocks that follow one on the other, in order.
#[must_use]
pub fn parts(metainfo: &Metainfo, base: &str, blocks: &[BlockRef]) -> Vec<FetchPart> {
    let (geometry, layout) = (metainfo.geometry(), metainfo.layout());
    let mut parts: Vec<FetchPart> = Vec::new();
    let mut last_file = None;
    for span in blocks.iter().flat_map(|block| layout.spans(geometry, *block)) {
        if last_file == Some(span.file)
            && let Some(part) = parts.last_mut()
        {
            part.len += span.len;
            continue;
        }
        last_file = Some(span.file);
        let Some(file) = layout.files().get(span.file) else { continue };
        let url = if file.padding { None } else { file_url(metainfo, base, span.file) };
        parts.push(FetchPart { url, begin: span.offset, len: span.len, file_len: file.len });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metainfo::{Content, Create};
    use proptest::prelude::*;

    fn torrent(name: &str, content: Content) -> Metainfo {
        let len = match &content {
            Content::File(len) => *len,
            Content::Folder(files) => files.iter().map(|(_, len)| len).sum(),
        };
        let create = Create::new(name.to_owned(), content, 32 * 1024);
        let count = usize::try_from(len.div_ceil(32 * 1024)).unwrap();
        Metainfo::parse(create.encode(&vec![[0; 20]; count])).unwrap()
    }

    fn folder(files: &[(&str, u64)]) -> Metainfo {
        let parts = |path: &str| path.split('/').map(str::to_owned).collect();
        torrent("n m", Content::Folder(files.iter().map(|(path, len)| (parts(path), *len)).collect()))
    }

    #[test]
    fn urls_follow_the_rules() {
        let file = torrent("a b", Content::File(1));
        assert_eq!(file_url(&file, "http://h/x.iso", 0).as_deref(), Some("http://h/x.iso"));
        assert_eq!(file_url(&file, "http://h/d/", 0).as_deref(), Some("http://h/d/a%20b"));
        let many = folder(&[("ü/50%", 1), ("c&#", 1)]);
        assert_eq!(file_url(&many, "http://h/d", 0).as_deref(), Some("http://h/d/n%20m/%C3%BC/50%25"));
        assert_eq!(file_url(&many, "http://h/d/", 1).as_deref(), Some("http://h/d/n%20m/c%26%23"));
        assert_eq!(file_url(&many, "http://h/d/", 2), None);
    }

    #[test]
    fn a_folder_of_one_file_is_a_folder() {
        let one = folder(&[("f", 1)]);
        assert_eq!(file_url(&one, "http://h/d", 0).as_deref(), Some("http://h/d/n%20m/f"));
    }

    proptest! {
        #[test]
        fn parts_are_the_bytes_of_the_blocks(
            lens in prop::collection::vec(0..60_000_u64, 1..8),
            first in 0..20_usize,
            count in 1..9_usize,
        ) {
            prop_assume!(lens.iter().sum::<u64>() > 0);
            let names: Vec<String> = (0..lens.len()).map(|at| at.to_string()).collect();
            let files: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(lens.iter().copied()).collect();
            let torrent = folder(&files);
            let geometry = torrent.geometry();
            let all: Vec<BlockRef> = geometry.pieces().flat_map(|piece| geometry.blocks(piece)).collect();
            let blocks: Vec<BlockRef> = all.into_iter().skip(first).take(count).collect();
            let parts = parts(&torrent, "http://h/", &blocks);
            let want: u64 = blocks.iter().map(|block| u64::from(block.len())).sum();
            prop_assert_eq!(parts.iter().map(|part| part.len).sum::<u64>(), want);
            prop_assert!(parts.iter().all(|part| part.len > 0 && part.begin + part.len <= part.file_len));
        }
    }
}
