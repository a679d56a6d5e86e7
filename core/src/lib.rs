//! BitTorrent as a pure state machine: bytes, events and the time in, actions out.
//!
//! The core has no socket, file, thread, clock or source of chance of its own. A program feeds a
//! [`Session`] with what happens outside and does what it asks for; the same inputs with the same
//! seed give the same outputs, so a session can be recorded, replayed and simulated.
//!
//! # The run loop
//!
//! ```
//! use peerless_core::{Config, Input, Instant, Output, Session};
//!
//! fn drive(session: &mut Session, now: Instant) {
//!     // 1. Tell what has happened: connections made and ended, bytes and datagrams received,
//!     //    jobs done.
//!     //    session.handle_input(now, Input::Received { peer, bytes });
//!     // 2. Let time pass.
//!     session.handle_timeout(now);
//!     // 3. Do what is asked.
//!     while let Some(output) = session.poll_output() {
//!         match output {
//!             Output::Connect { peer, hop } => { /* connect as the hop says; later `Connected` or `Closed` */ }
//!             Output::Send { peer } => { /* write `session.unsent(peer)`; then `session.sent(..)` */ }
//!             Output::Resume { peer } => { /* read from this peer again */ }
//!             Output::Close { peer, reason } => { /* drop the socket */ }
//!             Output::Datagram { hop, bytes } => { /* send it from the UDP socket, or drop it */ }
//!             Output::Job(job) => { /* run it on a worker; later `Input::Done` */ }
//!             Output::Event(event) => { /* show it to the user */ }
//!         }
//!     }
//!     // 4. Wait for the next event, but no longer than this.
//!     let _deadline = session.poll_timeout();
//! }
//!
//! let mut session = Session::new(Config::default(), 1, Instant::START);
//! drive(&mut session, Instant::START);
//! session.shut_down(Instant::START);
//! assert!(session.is_shut_down());
//! ```
//!
//! There is no required order among the calls, and many inputs may come before a drain. Before it
//! reads from a peer a runtime asks [`Session::wants_read`]; bytes that have been read are always
//! taken. Keys are never reused: an input for a peer or torrent that is gone is ignored.

mod addr;
pub mod bencode;
pub mod bitfield;
pub mod block;
mod budget;
mod choice;
mod config;
mod cx;
pub mod extension;
mod family;
mod id;
mod input;
mod job;
pub mod key;
mod limit;
mod machine;
pub mod magnet;
pub mod metainfo;
mod names;
mod output;
mod peer;
mod peer_info;
mod percent;
pub mod picker;
pub mod piece;
pub mod priority;
mod rate;
mod record;
pub mod rng;
mod route;
mod session;
mod storage;
pub mod text;
mod time;
mod timer;
mod torrent;
pub mod tracker;
pub mod webseed;
pub mod wire;
mod work;

pub use addr::Reach;
pub use choice::Choice;
pub use config::{Config, SeedChoking};
pub use family::IpFamily;
pub use id::{InfoHash, InfoHashError, PeerId};
pub use input::{CloseCause, Input};
pub use job::{
    BlockDigest, BuiltMetadata, Check, DiskError, DiskErrorKind, FetchError, FetchFailure, FetchPart,
    FullPiece, Job, JobDone, Lane, MetadataError, MetadataWork, Opened, Purpose, ResolveFor, StoreError,
    StoreTime, StoredPiece, block_digest, verify,
};
pub use key::{PeerKey, TorrentKey};
pub use limit::Limits;
pub use output::{
    CloseReason, Event, Output, Progress, ProxyError, StallReason, State, TorrentError, TrackerReport,
};
pub use peer::{PeerError, Unsent};
pub use peer_info::{PeerInfo, PeerOrigin, PeerWait};
pub use record::{
    Divergence, RecordingEnd, RenameError, Replay, ReplayError, Replayed, Step, renamed, replay,
    sealed_recording, unsealed_recording,
};
pub use route::{Bind, Hop, Login, Proxy, Route, Secret};
pub use session::{AddMagnet, AddTorrent, AddTorrentError, Session};
pub use storage::Storage;
pub use time::Instant;
pub use work::Work;
