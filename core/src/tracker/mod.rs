//! What is said to trackers over HTTP (BEP 3, 7, 12, 23, 24, 31, 48) and UDP (BEP 15, 41), what they
//! answer, and a small tracker.

mod answer;
mod ask;
mod client;
mod query;
mod request;
mod response;
mod scrape;
mod server;
mod swarm;
mod ticket;
pub mod udp;

pub use request::{AnnounceEvent, AnnounceRequest, announce_base, announce_url};
pub use response::{
    AnnounceError, AnnounceResponse, INTERVAL_DEFAULT, INTERVAL_MAX, INTERVAL_MIN, PEER_COUNT_MAX, Retry,
    parse_announce,
};
pub use scrape::{SwarmCounts, parse_scrape, scrape_url};
pub use server::{HttpAnswer, TrackerOptions, TrackerServer};

pub(crate) use ask::{Ask, Asker, News, Patience, Question};
pub(crate) use client::Trackers;
