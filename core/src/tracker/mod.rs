//! What is said to HTTP trackers and what they answer (BEP 3, 7, 12, 23), and a small tracker.

mod answer;
mod query;
mod request;
mod response;
mod server;
mod swarm;

pub use request::{AnnounceEvent, AnnounceRequest, announce_url};
pub use response::{
    AnnounceError, AnnounceResponse, INTERVAL_DEFAULT, INTERVAL_MAX, INTERVAL_MIN, PEER_COUNT_MAX,
    parse_announce,
};
pub use server::{HttpAnswer, TrackerOptions, TrackerServer};
