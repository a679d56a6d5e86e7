//! Torrents without payload: their digests are zeros, since nothing here is hashed.

use peerless_core::bitfield::Bitfield;
use peerless_core::metainfo::{Content, Create, Metainfo};
use peerless_core::piece::Geometry;
use peerless_core::rng::Rng;

/// A torrent of one file.
#[must_use]
pub fn metainfo(total_len: u64, piece_len: u32) -> Metainfo {
    Metainfo::parse(encode(Content::File(total_len), total_len, piece_len)).expect("a good torrent")
}

/// The bencoded metainfo of a folder of `file_count` files, 100 in each folder below it.
#[must_use]
pub fn folder(file_count: u32, file_len: u64, piece_len: u32) -> Vec<u8> {
    let path = |i: u32| vec![format!("folder-{:05}", i / 100), format!("file-{i:07}.bin")];
    let files = (0..file_count).map(|i| (path(i), file_len)).collect();
    encode(Content::Folder(files), u64::from(file_count) * file_len, piece_len)
}

fn encode(content: Content, total_len: u64, piece_len: u32) -> Vec<u8> {
    let create = Create::new("sample".to_owned(), content, piece_len);
    let geometry = Geometry::new(total_len, piece_len).expect("lengths that go together");
    create.encode(&vec![[0; 20]; geometry.piece_count() as usize])
}

/// About `share` of 8 of the pieces.
#[must_use]
pub fn partial(geometry: &Geometry, rng: &mut Rng, share: usize) -> Bitfield {
    let mut set = Bitfield::empty(geometry.piece_count());
    for piece in geometry.pieces() {
        if rng.below(8) < share {
            set.insert(piece);
        }
    }
    set
}
