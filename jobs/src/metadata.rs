//! Metadata that came from peers: put together, verified, and kept for the next run.
//!
//! What is kept lies beside the resume file and is as much a hint as that: whatever is wrong with it,
//! it counts as absent, and peers are asked again.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use peerless_core::metainfo::{FILE_LEN_MAX, Metainfo};
use peerless_core::{BuiltMetadata, DiskError, InfoHash, MetadataError, MetadataWork};
use peerless_hash::sha1;

use crate::disk::root::{Access, Root};
use crate::error::disk_error;

/// Does what is to be done about metadata.
pub(crate) fn run(work: MetadataWork) -> Result<Box<BuiltMetadata>, MetadataError> {
    match work {
        MetadataWork::Find { root, info_hash } => {
            let metainfo = find(&root, info_hash).ok_or(MetadataError::NotSaved)?;
            Ok(Box::new(BuiltMetadata { metainfo, digests: Vec::new() }))
        }
        MetadataWork::Build { save_in, magnet, pieces, digest_pieces } => {
            let metainfo = Metainfo::assemble(&magnet, &pieces)?;
            if let Some(root) = save_in {
                // Only the next run would miss it. What ails the disk the download will tell.
                let _ = save(&root, &metainfo);
            }
            let digests =
                if digest_pieces { pieces.iter().map(|piece| sha1(piece)).collect() } else { Vec::new() };
            Ok(Box::new(BuiltMetadata { metainfo, digests }))
        }
    }
}

/// The file's name in the root.
fn name(info_hash: InfoHash) -> String {
    format!(".peerless-{info_hash}.torrent")
}

fn find(root: &Path, info_hash: InfoHash) -> Option<Metainfo> {
    let file = Root::open(root).ok()?.file(&name(info_hash), Access::Read).ok()?;
    let mut raw = Vec::new();
    // One byte more than there may be, so that a longer file is seen as such.
    file.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut raw).ok()?;
    Metainfo::parse(raw).ok().filter(|metainfo| metainfo.info_hash() == info_hash)
}

fn save(root: &Path, metainfo: &Metainfo) -> Result<(), DiskError> {
    fs::create_dir_all(root).map_err(|error| disk_error(root, &error))?;
    let root = Root::open(root)?;
    let name = name(metainfo.info_hash());
    let temporary = format!("{name}.{}", std::process::id());
    let written = root.file(&temporary, Access::Write).and_then(|mut file| {
        let done = file.set_len(0).and_then(|()| file.write_all(metainfo.raw()));
        done.map_err(|error| disk_error(&root.path().join(&temporary), &error))
    });
    let renamed = written.and_then(|()| root.rename(&temporary, &name));
    if renamed.is_err() {
        let _ = root.remove(&temporary);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::magnet::Magnet;
    use std::sync::Arc;

    const INFO: &[u8] = b"d6:lengthi1e4:name1:n12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae";

    fn build(root: &Path, info: &[u8]) -> Result<Box<BuiltMetadata>, MetadataError> {
        let link = format!("magnet:?xt=urn:btih:{}&tr=http://a/", InfoHash::of(INFO));
        let magnet: Arc<Magnet> = Arc::new(link.parse().unwrap());
        let pieces = vec![info.to_vec()];
        run(MetadataWork::Build { save_in: Some(root.to_owned()), magnet, pieces, digest_pieces: true })
    }

    fn find(root: &Path) -> Result<Box<BuiltMetadata>, MetadataError> {
        run(MetadataWork::Find { root: root.to_owned(), info_hash: InfoHash::of(INFO) })
    }

    #[test]
    fn what_was_built_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new");
        assert_eq!(find(&root), Err(MetadataError::NotSaved));
        let built = build(&root, INFO).unwrap();
        assert_eq!(built.digests, [sha1(INFO)]);
        assert_eq!(find(&root).unwrap().metainfo, built.metainfo);
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }

    #[test]
    fn what_is_wrong_is_not_kept_and_a_broken_file_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            matches!(build(dir.path(), b"de"), Err(MetadataError::Mismatch(digests)) if digests.len() == 1)
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let built = build(dir.path(), INFO).unwrap();
        let path = dir.path().join(name(InfoHash::of(INFO)));
        let raw = built.metainfo.raw();
        for broken in [&raw[..raw.len() - 1], b"", b"d4:infodee"] {
            fs::write(&path, broken).unwrap();
            assert_eq!(find(dir.path()), Err(MetadataError::NotSaved));
        }
    }
}
