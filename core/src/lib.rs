//! BitTorrent as a pure state machine: bytes, events and the time in, actions out.

pub mod bencode;
pub mod bitfield;
pub mod block;
mod budget;
mod config;
mod cx;
mod id;
mod input;
mod job;
pub mod key;
mod machine;
pub mod magnet;
pub mod metainfo;
mod output;
mod peer;
mod percent;
pub mod picker;
pub mod piece;
mod rate;
mod record;
pub mod rng;
mod session;
mod storage;
pub mod text;
mod time;
mod timer;
mod torrent;
pub mod tracker;
pub mod wire;

pub use config::Config;
pub use id::{InfoHash, InfoHashError, PeerId};
pub use input::{CloseCause, Input};
pub use job::{
    BlockDigest, Check, DiskError, DiskErrorKind, FetchError, Job, JobDone, Lane, Opened, Purpose,
    StoreError, block_digest, verify,
};
pub use key::{PeerKey, TorrentKey};
pub use output::{CloseReason, Event, Output, Progress, State, TorrentError, TrackerReport};
pub use peer::{PeerError, Unsent};
pub use record::{Divergence, ReplayError, Replayed, replay};
pub use session::{AddTorrent, AddTorrentError, Session};
pub use storage::Storage;
pub use time::Instant;
