//! Recording what a session is told, so that all it did can be done again.
//!
//! A recording is a list of the calls that change a session, each with its time, and after each
//! drain a word on each output. Payload is left out: what counts is its length and the verdict on
//! it, and both are recorded. So are the bytes sent, as a digest without their payload.
//!
//! Layout: [`frame`] around records. Each is a tag, the nanoseconds since the record before, and the
//! call's arguments. [`shape`] says how to add what is new.

mod call;
mod codec;
mod digest;
mod frame;
mod kind;
mod payload;
mod recorder;
mod rename;
mod replay;
mod shape;

pub use frame::{RecordingEnd, sealed_recording, unsealed_recording};
pub(crate) use recorder::Recorder;
pub use rename::{RenameError, renamed};
pub use replay::{Divergence, Replay, ReplayError, Replayed, Step, replay};

/// The version of the layout. Additions as [`shape`] has them need no other.
const FORMAT: u32 = 6;

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
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
    SetLimits,
    FastSet,
}

impl Tag {
    const ALL: [Self; 19] = [
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
        Self::SetLimits,
        Self::FastSet,
    ];

    fn read(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u8 == byte)
    }
}
