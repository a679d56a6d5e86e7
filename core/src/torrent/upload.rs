//! The way of a block up: asked by a peer, read by a worker, sent.

use std::sync::Arc;

use super::Torrent;
use crate::block::Block;
use crate::cx::Cx;
use crate::extension::REQUESTS_TOLD;
use crate::job::{DiskError, DiskErrorKind, Job};
use crate::key::PeerKey;
use crate::peer::{Peer, PeerError, Peers, QUEUE_MAX};
use crate::piece::{BlockRef, REQUEST_LEN_MAX};

impl Torrent {
    /// A peer asks for a block.
    ///
    /// While it is choked its requests are turned down: they may have crossed the choke (BEP 3). So
    /// are those beyond the queue's bound. Who speaks the fast extension is told.
    pub(super) fn on_request(
        &self,
        cx: &mut Cx,
        peer: &mut Peer,
        index: u32,
        begin: u32,
        len: u32,
    ) -> Result<(), PeerError> {
        let range = self.storage.metainfo.geometry().range(index, begin, len);
        let range = range.filter(|range| range.len() <= REQUEST_LEN_MAX && self.have.has(range.piece()));
        let Some(range) = range else { return Err(PeerError::BadRequest { index, begin, len }) };
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let may_ask = !open.flow.am_choking || open.fast.take_granted(range.piece());
        let max = if open.fast.is_on { usize::from(REQUESTS_TOLD) } else { QUEUE_MAX };
        if !may_ask || !open.uploads.request(range, max) {
            peer.reject(cx, range);
        }
        Ok(())
    }

    /// Has the next run read for a peer, if its send queue runs low.
    pub(crate) fn pump_uploads(&self, cx: &mut Cx, peers: &mut Peers, key: PeerKey) {
        let Some(peer) = peers.get_mut(key) else { return };
        let (queue, phase) = (&peer.queue, &mut peer.phase);
        let crate::peer::Phase::Open(open) = phase else { return };
        if !open.uploads.has_next() {
            return;
        }
        let len_max = cx.limits.up.share((self.key, key));
        if len_max > 0
            && let Some(range) = open.uploads.next_read(key, queue, &mut cx.budget, len_max)
        {
            cx.limits.up.charge(cx.now, (self.key, key), range.len().into());
            let (storage, buffer) = (Arc::clone(&self.storage), cx.runs.buffer(range.len() as usize));
            cx.job(Job::Read { torrent: self.key, peer: key, storage, range, buffer });
        }
    }

    /// A run has been read for a peer that is still there.
    pub(crate) fn on_read(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
        range: BlockRef,
        result: Result<Block, DiskError>,
    ) {
        let Some(peer) = peers.get_mut(key) else { return };
        let data = match result {
            Ok(data) if data.as_slice().len() == range.len() as usize => data,
            Ok(_) => {
                let path = self.storage.root.join(self.storage.metainfo.name());
                let why = "a read brought another length than was asked for".to_owned();
                return self.fail(cx, DiskError { kind: DiskErrorKind::Other, path, why });
            }
            Err(error) => return self.fail(cx, error),
        };
        let unused = peer.send_with_open(cx, |queue, open| open.uploads.on_read(range, data, queue));
        cx.budget.end_upload(unused.unwrap_or_default());
        self.pump_uploads(cx, peers, key);
    }

    /// Payload has left for a peer.
    pub(crate) fn on_sent(&mut self, cx: &mut Cx, peers: &mut Peers, key: PeerKey, payload_len: u64) {
        self.up.add(cx.now, payload_len);
        cx.budget.end_upload(payload_len);
        self.pump_uploads(cx, peers, key);
    }
}
