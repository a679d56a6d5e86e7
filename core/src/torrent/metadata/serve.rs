//! Metadata for others, within bounds (BEP 9).

use std::time::Duration;

use super::super::Torrent;
use crate::cx::Cx;
use crate::extension::{Kind, METADATA_PIECE_LEN, MetadataMessage};
use crate::peer::Peer;
use crate::time::Instant;

/// Metadata given away in a second, in pieces: 4 MiB, so that requests, which cost next to nothing,
/// can't keep us from sending payload.
const SERVED_PER_SECOND: u32 = 256;

/// How often one connection is given the whole metadata.
pub(super) const SERVED_TIMES: u32 = 2;

/// How much metadata was given away in the current second.
#[derive(Debug, Default)]
pub(in crate::torrent) struct Served {
    since: Instant,
    piece_count: u32,
}

impl Served {
    fn take(&mut self, now: Instant) -> bool {
        if now.since(self.since) >= Duration::from_secs(1) {
            *self = Self { since: now, piece_count: 0 };
        }
        self.piece_count += 1;
        self.piece_count <= SERVED_PER_SECOND
    }
}

impl Torrent {
    /// Gives a piece of the metadata, unless the torrent is private (as others have it: who may have
    /// it has it from its tracker), or the peer, or all of them, have had enough.
    pub(super) fn serve_metadata(&mut self, cx: &mut Cx, peer: &mut Peer, number: u32) {
        let metainfo = &self.storage.metainfo;
        let info = metainfo.info();
        let start = (number as usize).saturating_mul(METADATA_PIECE_LEN as usize);
        let piece_count = u32::try_from(info.len()).unwrap_or(u32::MAX).div_ceil(METADATA_PIECE_LEN);
        let Some(extended) = peer.open_mut().and_then(|open| open.extended.as_mut()) else { return };
        let there = !metainfo.is_private() && number < piece_count;
        let may = extended.metadata.served_count < SERVED_TIMES.saturating_mul(piece_count);
        let message = if there && may && self.metadata_served.take(cx.now) {
            extended.metadata.served_count += 1;
            let end = info.len().min(start + METADATA_PIECE_LEN as usize);
            let bytes = info.get(start..end).unwrap_or_default();
            MetadataMessage::Data { piece: number, total_len: u32::try_from(info.len()).ok(), bytes }
        } else {
            MetadataMessage::Reject { piece: number }
        };
        peer.send_extended(cx, Kind::Metadata, &message.encode());
    }
}
