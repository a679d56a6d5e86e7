//! Limits and times of a session: each with its unit, its default and the reason for it.

use std::time::Duration;

use crate::limit::Limits;
use crate::route::Route;

/// How a session behaves. Every field has a default that suits a desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The port that peers can reach us at, told to trackers. `None`: we can't be reached.
    pub listen_port: Option<u16>,
    /// Which way everything leaves the machine.
    pub route: Route,
    /// Connections at once, in all torrents.
    ///
    /// 200 fill any line; more cost memory and the tracker's goodwill.
    pub peers_max: usize,
    /// Connections at once that are being made, or have not shown a handshake yet.
    ///
    /// Enough to find peers fast, few enough for a home router's table.
    pub half_open_max: usize,
    /// Bytes of blocks held in memory, asked for or on their way to disk or to a peer, in all.
    pub buffer_len_max: usize,
    /// Requests kept outstanding at one peer at most.
    ///
    /// 500 is the queue that most clients keep; what is beyond it they drop.
    pub requests_max: usize,
    /// The longest metadata, in bytes, that is got from peers.
    ///
    /// Real torrents pass 10 MiB. More is memory that a stranger decides about.
    pub metadata_len_max: usize,
    /// Pieces that the workers hash side by side: so many that are complete are given to them at
    /// once, and each waits a moment for others to come.
    ///
    /// 1 by default, for workers that hash one piece after the other: none waits.
    pub hash_width: usize,
    /// Whether peers tell us of others, and we them (BEP 11), in torrents that are not private.
    pub pex: bool,
    /// Payload per second, in all torrents. [`Session::set_limits`](crate::Session::set_limits) changes it.
    pub limits: Limits,
    /// Peers unchoked at once in one torrent at the start, the optimistic one among them.
    ///
    /// From then on their number follows what they get: see `upload_slots_max`.
    pub upload_slots: usize,
    /// The most of them. Some are added while they get enough on average to be worth it, the more there
    /// are the more: 4 KiB/s for each slot that there is; some are closed where they get less. No more
    /// than `upload_slots`: their number stays.
    ///
    /// 50 at 200 KiB/s are 10 MiB/s, beyond which more peers at once only wait for each other.
    pub upload_slots_max: usize,
    /// To whom a seed gives its slots.
    pub seed_choking: SeedChoking,
    /// Whether a torrent of which all is there looks to peers as if next to nothing were, and is given
    /// piece by piece (BEP 16). For the only seed of something new: it costs time where others have it.
    pub super_seed: bool,
    /// How often a torrent's progress is told as an event, at most each millisecond; `None`: never.
    pub progress_interval: Option<Duration>,
    /// Whether to record the session's inputs as [`Job::Record`](crate::Job::Record).
    pub record: bool,
    /// Bytes of a recording at most. Where it would get longer it ends, and what is written is whole.
    ///
    /// A download of some hundred GiB leaves as much; nobody passes on more.
    pub record_len_max: u64,
}

/// To whom a seed gives its slots: it is given nothing by which to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SeedChoking {
    /// By turns of a minute, whoever has been given least first: everyone gets the same, and pieces
    /// come to many. The default, since no peer can gain by what it claims.
    #[default]
    RoundRobin,
    /// Those who take most: the line is always full, and data comes fast to those who can pass it on.
    Fastest,
    /// Those who have least, or nearly everything: who has half has others to get from, and who would
    /// leave half-way is not fed on.
    AntiLeech,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen_port: None,
            route: Route::default(),
            peers_max: 200,
            half_open_max: 50,
            buffer_len_max: 64 * 1024 * 1024,
            requests_max: 500,
            metadata_len_max: 32 * 1024 * 1024,
            hash_width: 1,
            pex: true,
            limits: Limits::default(),
            upload_slots: 8,
            upload_slots_max: 50,
            seed_choking: SeedChoking::default(),
            super_seed: false,
            progress_interval: None,
            record: false,
            record_len_max: 1 << 30,
        }
    }
}
