//! Recording what a session is told, so that all it did can be done again.
//!
//! A recording is a list of the calls that change a session, each with its time, and after each
//! drain a digest of the outputs. Payload is left out: what counts is its length and the verdict on
//! it, and both are recorded. So are the bytes sent, as a digest without their payload.
//!
//! Layout: [`MAGIC`], then records. Each is a tag, the nanoseconds since the record before, and the
//! call's arguments, with all numbers as LEB128 (seven bits a byte, the lowest first).

mod codec;
mod digest;
mod payload;
mod read;
mod replay;
mod write;

pub use replay::{Divergence, ReplayError, Replayed, replay};
pub(crate) use write::Recorder;

/// What a recording begins with: its name, and the version of its layout.
pub(crate) const MAGIC: &[u8; 8] = b"peerle\x00\x04";

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Tag {
    New = 1,
    AddTorrent,
    RemoveTorrent,
    AddPeer,
    ShutDown,
    Accept,
    Connected,
    Received,
    Closed,
    Done,
    Timeout,
    Sent,
    Outputs,
    Datagram,
    Scrape,
    AddMagnet,
    SetChoice,
}

impl Tag {
    const ALL: [Self; 17] = [
        Self::New,
        Self::AddTorrent,
        Self::RemoveTorrent,
        Self::AddPeer,
        Self::ShutDown,
        Self::Accept,
        Self::Connected,
        Self::Received,
        Self::Closed,
        Self::Done,
        Self::Timeout,
        Self::Sent,
        Self::Outputs,
        Self::Datagram,
        Self::Scrape,
        Self::AddMagnet,
        Self::SetChoice,
    ];

    fn read(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u8 == byte)
    }
}
