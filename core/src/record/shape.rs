//! What is told to a session, as lists of its parts.
//!
//! Each type stands here once, and is written and read by the same list. To add
//!
//! - a field to [`Config`], [`AddTorrent`] or [`AddMagnet`]: name it with the next free number. A
//!   recording that lacks it is read with the default;
//! - a variant of an enum: name it with the next free number;
//! - a field to anything else: name it, and raise [`FORMAT`](super::FORMAT).
//!
//! Numbers are never given twice, nor to another thing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::codec::{Put, Reader, Take, Writer};
use crate::bitfield::Bitfield;
use crate::block::Block;
use crate::choice::Choice;
use crate::config::{Config, SeedChoking};
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::input::CloseCause;
use crate::job::{
    BuiltMetadata, Check, DiskError, DiskErrorKind, FetchError, FetchFailure, JobDone, MetadataError, Opened,
    Purpose, ResolveFor, StoreError, StoreTime, StoredPiece,
};
use crate::limit::Limits;
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
use crate::piece::{BlockRef, PieceIndex};
use crate::priority::Priority;
use crate::route::{Bind, Login, Proxy, Route, Secret};
use crate::session::{AddMagnet, AddTorrent};

/// A struct by its fields, in this order.
macro_rules! parts {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl Put for $name {
            fn put(&self, out: &mut Writer) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }
        }

        impl Take for $name {
            fn take(from: &mut Reader<'_>) -> Option<Self> {
                $(let $field = Take::take(from)?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

/// An enum by its variants and their fields, each variant with its number.
macro_rules! variants {
    ($($name:ident { $($number:literal $variant:ident $(($($item:ident),*))? $({ $($field:ident),* })?,)* })*) => {$(
        impl Put for $name {
            fn put(&self, out: &mut Writer) {
                match self {
                    $(Self::$variant $(($($item),*))? $({ $($field),* })? => {
                        out.byte($number);
                        $($($item.put(out);)*)?
                        $($($field.put(out);)*)?
                    })*
                }
            }
        }

        impl Take for $name {
            fn take(from: &mut Reader<'_>) -> Option<Self> {
                Some(match from.byte()? {
                    $($number => {
                        $($(let $item = Take::take(from)?;)*)?
                        $($(let $field = Take::take(from)?;)*)?
                        Self::$variant $(($($item),*))? $({ $($field),* })?
                    })*
                    _ => return None,
                })
            }
        }
    )*};
}

/// A struct that grows: what is always there in this order, then the others by number, each with its
/// length, where what is missing is as in `$base`.
macro_rules! growing {
    ($name:ident { $($always:ident),* } { $($number:literal $field:ident),* } not { $($never:ident),* } else $base:expr) => {
        impl Put for $name {
            fn put(&self, out: &mut Writer) {
                let Self { $($always,)* $($field,)* $($never: _,)* } = self;
                $($always.put(out);)*
                out.len([$($number),*].len());
                $(
                    out.byte($number);
                    let mut part = Writer::default();
                    $field.put(&mut part);
                    out.bytes(&part.0);
                )*
            }
        }

        impl Take for $name {
            fn take(from: &mut Reader<'_>) -> Option<Self> {
                $(let $always = Take::take(from)?;)*
                let mut value: Self = $base;
                for _ in 0..from.number()? {
                    let number = from.byte()?;
                    let bytes = from.bytes()?;
                    let mut part = from.part(bytes);
                    match number {
                        $($number => value.$field = Take::take(&mut part)?,)*
                        _ => return None,
                    }
                    if !part.rest().is_empty() {
                        return None;
                    }
                }
                Some(value)
            }
        }
    };
}

growing! {
    Config {} {
        1 listen_port, 2 peers_max, 3 half_open_max, 4 buffer_len_max, 5 requests_max,
        6 metadata_len_max, 7 hash_width, 8 upload_slots, 9 progress_interval, 10 pex, 11 limits,
        12 upload_slots_max, 13 seed_choking, 14 super_seed, 15 route
    } not { record, record_len_max } else Self::default()
}

growing! {
    AddTorrent { metainfo, root, purpose } {
        1 check, 2 choice, 3 tiers, 4 web_seeds, 5 peers, 6 hosts
    } not {} else Self::new(metainfo, root, purpose)
}

growing! {
    AddMagnet { magnet, root } {
        1 check, 2 choice, 3 tiers, 4 web_seeds, 5 peers, 6 hosts, 7 metadata_only
    } not {} else Self::new(magnet, root)
}

parts! {
    Choice { priorities, sequential, first_last }
    Limits { down, up }
    Magnet { info_hash, name, trackers, peers, web_seeds, select }
    Opened { have, unsure, ours }
    DiskError { kind, path, why }
    StoreTime { hashing, writing }
    BuiltMetadata { metainfo, digests }
    FetchFailure { error, retry_after }
}

variants! {
    Purpose { 0 Download, 1 Serve, }
    Check { 0 Auto, 1 Full, 2 Trust, }
    CloseCause { 0 End, 1 Refused, 2 Failed, }
    IpFamily { 4 V4, 6 V6, }
    SeedChoking { 0 RoundRobin, 1 Fastest, 2 AntiLeech, }
    ResolveFor { 0 Peer(torrent), 1 Tracker, }
    MetadataError { 0 NotSaved, 1 Mismatch(digests), 2 Unusable(why), }
    StoreError { 0 Mismatch(digests), 1 Disk(error), }
    DiskErrorKind { 0 Full, 1 Denied, 2 NotFound, 3 Locked, 4 WouldOverwrite, 5 Unsafe, 6 Other, }
    FetchError {
        0 Status(status), 1 TooLong(max), 2 Timeout, 3 Redirect(why), 4 Url(why), 5 Failed(why), 6 NoAddress,
        7 Unfit(why), 8 Proxy(why),
    }
    JobDone {
        0 Opened { torrent, result },
        1 Checked { torrent, pieces, result },
        2 Stored { torrent, pieces, time },
        3 Read { torrent, peer, range, result },
        4 Saved { torrent, result },
        5 Announced { torrent, tier, family, result },
        6 Resolved { whom, host, port, result },
        7 Scraped { number, result },
        8 Fetched { torrent, seed, run, blocks, result },
        9 Chosen { torrent, result },
        10 Metadata { torrent, result },
        11 Recorded { result },
        12 BindChecked { result },
    }
}

impl Put for Route {
    /// Of a login only the lengths are written down: as much as what is sent to a proxy says anyway.
    fn put(&self, out: &mut Writer) {
        let Self { bind, proxy } = self;
        bind.ip().put(out);
        let login = |login: &Login| (login.user.len(), login.password.len());
        proxy.as_ref().map(|proxy| (proxy.addr, proxy.login.as_ref().map(login))).put(out);
    }
}

impl Take for Route {
    /// With another login of the same length.
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let ip: Option<IpAddr> = Take::take(from)?;
        let bind = ip.map_or(Bind::ANY, Bind::to);
        let proxy: Option<(SocketAddr, Option<(u8, u8)>)> = Take::take(from)?;
        let login = |(user, password)| Login { user: Secret::blank(user), password: Secret::blank(password) };
        let proxy = proxy.map(|(addr, lens)| Arc::new(Proxy { addr, login: lens.map(login) }));
        Some(Self { bind, proxy })
    }
}

impl Put for StoredPiece {
    /// The blocks only bring their memory back.
    fn put(&self, out: &mut Writer) {
        let Self { piece, blocks: _, result } = self;
        piece.put(out);
        result.put(out);
    }
}

impl Take for StoredPiece {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { piece: Take::take(from)?, blocks: Vec::new(), result: Take::take(from)? })
    }
}

impl Put for Metainfo {
    fn put(&self, out: &mut Writer) {
        out.bytes(self.raw());
    }
}

impl Take for Metainfo {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Self::parse(from.bytes()?.to_vec()).ok()
    }
}

impl Put for InfoHash {
    fn put(&self, out: &mut Writer) {
        self.as_bytes().put(out);
    }
}

impl Take for InfoHash {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Take::take(from).map(Self::new)
    }
}

impl Put for Priority {
    fn put(&self, out: &mut Writer) {
        out.byte(self.get());
    }
}

impl Take for Priority {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Self::new(from.byte()?)
    }
}

impl Put for Bitfield {
    fn put(&self, out: &mut Writer) {
        self.piece_count().put(out);
        out.bytes(&self.to_wire());
    }
}

impl Take for Bitfield {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let piece_count = from.small()?;
        Self::from_wire(from.bytes()?, piece_count).ok()
    }
}

impl Put for Block {
    /// Payload is its length.
    fn put(&self, out: &mut Writer) {
        out.len(self.as_slice().len());
    }
}

impl Take for Block {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self::new(vec![0; from.payload_len()?]))
    }
}

impl Put for PieceIndex {
    fn put(&self, out: &mut Writer) {
        self.get().put(out);
    }
}

impl Take for PieceIndex {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let index = from.small()?;
        from.geometry().piece(index)
    }
}

impl Put for BlockRef {
    fn put(&self, out: &mut Writer) {
        (self.piece().get(), self.begin(), self.len()).put(out);
    }
}

impl Take for BlockRef {
    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let (index, begin, len) = Take::take(from)?;
        from.geometry().range(index, begin, len)
    }
}
