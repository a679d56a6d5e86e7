//! A torrent's peers, one by one, for who asked for more.

use std::io::Write;

use peerless_core::{Instant, PeerInfo, TorrentKey};

use super::Transfer;
use crate::json::Line;
use crate::peers::{HEADER, LONG_HEADER, Shown, sort};
use crate::progress::Look;

/// Peers told of one by one where there is no terminal, with `-v`; with `-vv` all are.
const SENTENCE_COUNT_MAX: usize = 20;

impl<W: Write> Transfer<W> {
    /// Takes a torrent's peers as they are now. `peers` is asked only if there is somebody to tell.
    pub fn on_peers<I: Iterator<Item = PeerInfo>>(
        &mut self,
        now: Instant,
        key: TorrentKey,
        peers: impl FnOnce() -> I,
    ) {
        if self.voice.verbose == 0 {
            return;
        }
        let Some(at) = self.find(key).map(|(at, _)| at) else { return };
        let look = self.screen.look_at_peers(at, now, self.json.is_wanted());
        if look == Look::None {
            return;
        }
        let mut peers: Vec<PeerInfo> = peers().collect();
        sort(&mut peers);
        let Some(torrent) = self.torrents.get(at) else { return };
        let (long, piece_count) = (self.voice.verbose > 1, torrent.summary.piece_count);
        let shown = peers.iter().map(|info| Shown::new(info, piece_count));
        match look {
            Look::None => {}
            Look::Rows { count } => {
                let count = if long { 2 * count } else { count };
                let mut lines = Vec::new();
                if !peers.is_empty() {
                    lines.push(if long { LONG_HEADER } else { HEADER }.to_owned());
                }
                lines.extend(shown.take(count).map(|peer| peer.row(long)));
                if peers.len() > count {
                    lines.push(format!("  and {} more", peers.len() - count));
                }
                self.screen.show_rows(at, lines);
            }
            Look::Sentences => {
                let name = torrent.summary.shown_name();
                let count = if long { usize::MAX } else { SENTENCE_COUNT_MAX };
                shown
                    .take(count)
                    .for_each(|peer| self.screen.note(&format!("{name}: {}", peer.sentence(long))));
            }
            Look::Json => {
                let peers = shown.map(|peer| peer.line()).collect();
                self.json.write(&Line::Peers { info_hash: torrent.summary.info_hash, peers });
            }
        }
    }
}
