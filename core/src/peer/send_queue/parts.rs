//! Walks over what a send queue holds.

use std::collections::vec_deque;
use std::mem;

use super::Queued;

/// What a run of unsent bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// Handshake, messages, and all of a piece message but its payload.
    Protocol,
    /// Content of the torrent.
    Payload,
}

/// The runs of bytes to send to one peer, in order, none empty.
#[derive(Clone, Debug, Default)]
pub struct Unsent<'a>(Parts<'a>);

/// The runs of bytes to send to one peer, in order, none empty, and what each is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts<'a> {
    /// Bytes yet to be passed over: they have left.
    skip: usize,
    /// Header and payload of the block whose turn it is.
    header: &'a [u8],
    payload: &'a [u8],
    blocks: vec_deque::Iter<'a, Queued>,
    tail: &'a [u8],
}

impl<'a> Unsent<'a> {
    pub(super) const fn new(parts: Parts<'a>) -> Self {
        Self(parts)
    }
}

impl<'a> Iterator for Unsent<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(_, bytes)| bytes)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (PartKind, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, bytes) = self.next_whole()?;
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            if skipped < bytes.len() {
                return Some((kind, &bytes[skipped..]));
            }
        }
    }
}

impl<'a> Parts<'a> {
    pub(super) const fn new(skip: usize, blocks: vec_deque::Iter<'a, Queued>, tail: &'a [u8]) -> Self {
        Self { skip, header: &[], payload: &[], blocks, tail }
    }

    /// The next run, whether or not it has left or is empty.
    fn next_whole(&mut self) -> Option<(PartKind, &'a [u8])> {
        if !self.header.is_empty() {
            return Some((PartKind::Protocol, mem::take(&mut self.header)));
        }
        if !self.payload.is_empty() {
            return Some((PartKind::Payload, mem::take(&mut self.payload)));
        }
        if let Some(queued) = self.blocks.next() {
            (self.header, self.payload) = (&queued.header, queued.payload());
            return Some((PartKind::Protocol, &queued.before));
        }
        (!self.tail.is_empty()).then(|| (PartKind::Protocol, mem::take(&mut self.tail)))
    }
}
