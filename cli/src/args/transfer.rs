//! The flags of `download` and `seed`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use peerless_core::{Check, SeedChoking};

use crate::files::FileSpec;
use crate::route::RouteArgs;
use crate::values::{PeerName, Rate, parse_duration, parse_rate, parse_ratio, parse_size, parse_tracker};

/// Arguments of `download`.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// A .torrent file, or the URL of one; several may be given
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<OsString>,
    /// Where the data goes; made if missing
    #[arg(
        short,
        long,
        visible_short_alias = 'd',
        visible_alias = "dir",
        value_name = "DIR",
        default_value = "."
    )]
    pub output: PathBuf,
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Get these files alone: numbers as `info` shows them, such as 1-3,7, or a glob; repeatable
    ///
    /// A glob with a slash is matched with the file's path, with or without the torrent's name in
    /// front, one without a slash with the file's name; `*` stands for no slash, `**` for anything.
    /// The same download given other files goes on with those.
    #[arg(long, value_name = "SPEC")]
    pub files: Vec<FileSpec>,
    /// Get pieces in their order
    #[arg(long)]
    pub sequential: bool,
    /// Get the first and the last piece of every file before all others
    #[arg(long)]
    pub first_and_last: bool,
    /// Seed until stopped, once all is there
    #[arg(long)]
    pub seed: bool,
    /// When to stop.
    #[command(flatten)]
    pub seeding: SeedingArgs,
    /// Give up after so long without a new piece (exit code 5), such as 90, 10m or 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub stop_timeout: Option<Duration>,
    /// What to tell.
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// Arguments of `seed`.
#[derive(Debug, Args)]
pub struct SeedArgs {
    /// A .torrent file, or the URL of one; several may be given
    #[arg(value_name = "TORRENT", required = true)]
    pub sources: Vec<OsString>,
    /// The folder that holds the torrent's top name
    #[arg(long, visible_aliases = ["output", "dir"], short = 'o', visible_short_alias = 'd')]
    #[arg(value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Seed until stopped: what this command does anyway, unless a ratio or time is given
    #[arg(long)]
    pub seed: bool,
    /// When to stop.
    #[command(flatten)]
    pub seeding: SeedingArgs,
    /// Taken as `download` takes it; there is nothing to wait for here
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, hide = true)]
    pub stop_timeout: Option<Duration>,
    /// What to tell.
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// How to reach peers, and what to believe of data that is there.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// The runtime that drives the core
    #[arg(short, long, value_enum, default_value_t = RuntimeArg::Mio)]
    pub runtime: RuntimeArg,
    /// Listening port; 0 = any [default: 6881, or the next free one up to 6889]
    #[arg(short, long)]
    pub port: Option<u16>,
    /// The way out.
    #[command(flatten)]
    pub way: RouteArgs,
    /// A peer to try; needs no tracker; repeatable
    #[arg(long = "peer", value_name = "HOST:PORT")]
    pub peers: Vec<PeerName>,
    /// A further tracker's announce URL; repeatable
    ///
    /// A private torrent that names trackers itself is announced at those alone.
    /// Unlike a torrent's own, which on this machine must be at /announce, it may be anywhere.
    #[arg(long = "tracker", value_name = "URL", value_parser = parse_tracker)]
    pub trackers: Vec<String>,
    /// Ask no trackers, not the torrent's own either
    #[arg(long)]
    pub no_trackers: bool,
    /// Connections at once, in all torrents
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_peers: u16,
    /// Bytes of payload per second received at most, such as 500K or 2M; 0 = no limit
    #[arg(long, value_name = "RATE", value_parser = parse_rate, default_value = "0", hide_default_value = true)]
    pub max_down: Rate,
    /// Bytes of payload per second sent at most, such as 500K or 2M; 0 = no limit
    #[arg(long, value_name = "RATE", value_parser = parse_rate, default_value = "0", hide_default_value = true)]
    pub max_up: Rate,
    /// To whom a seed gives: those who were given least, those who take most, or those near start or end
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = SeedChokingArg::RoundRobin)]
    pub seed_choking: SeedChokingArg,
    /// Give what is complete piece by piece, as the only seed of something new does best
    ///
    /// Super-seeding (BEP 16): peers are told of a piece or two at a time, so that each piece leaves us
    /// about once and peers give it to each other. It ends once somebody else has everything.
    #[arg(long)]
    pub super_seed: bool,
    /// What to do with data that is already there
    ///
    /// auto trusts the resume file where sizes and times agree and hashes the rest; full hashes
    /// everything; trust takes files of the right size as right.
    #[arg(long, value_enum, default_value_t = CheckArg::Auto)]
    pub check: CheckArg,
    /// No distributed hash table
    #[arg(long)]
    pub no_dht: bool,
    /// No peer exchange: neither hear of peers from others nor tell others of them
    #[arg(long)]
    pub no_pex: bool,
    /// No local service discovery
    #[arg(long)]
    pub no_lsd: bool,
    /// No web seeds
    #[arg(long)]
    pub no_webseed: bool,
    /// No port mapping at the router
    #[arg(long)]
    pub no_portmap: bool,
    /// The transport to peers; only tcp is built yet
    #[arg(long, value_name = "tcp", value_parser = only(&["tcp", "utp", "both"], TransportArg::Tcp))]
    pub transport: Option<TransportArg>,
    /// Message encryption; only disable is built yet
    #[arg(long, value_name = "disable")]
    #[arg(value_parser = only(&["disable", "prefer", "require"], EncryptionArg::Disable))]
    pub encryption: Option<EncryptionArg>,
    /// Write the session's inputs to FILE, for `replay`
    ///
    /// Payload is left out. FILE has the names, addresses and trackers of the transfer; `replay
    /// --anonymize` makes a copy that has not. The recording of an earlier run is overwritten; another file
    /// is not.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The longest that the recording gets
    ///
    /// There it ends, and the transfer goes on. What is done again begins with a session's birth, so it
    /// is the beginning that is kept.
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_size)]
    pub record_size: u64,
}

/// When seeding ends.
#[derive(Clone, Copy, Debug, Args)]
pub struct SeedingArgs {
    /// Seed on until so many times the torrent's size has been sent in this run
    ///
    /// With --seed-time, whichever comes first.
    #[arg(long, value_name = "R", value_parser = parse_ratio)]
    pub seed_ratio: Option<f64>,
    /// Seed on for so long, such as 90, 10m or 2h
    ///
    /// With --seed-ratio, whichever comes first.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub seed_time: Option<Duration>,
}

/// How much is told, and to whom.
#[derive(Clone, Copy, Debug, Args)]
pub struct VoiceArgs {
    /// Print one JSON object per line on stdout
    #[arg(long)]
    pub json: bool,
    /// Only errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More: each peer as it comes, goes and fares; twice: more of each
    ///
    /// Under a torrent's bar, elsewhere every 10 s, those peers that move the most: address, flags,
    /// speeds down and up, how much of the torrent it has, what the connection waits for, requests it
    /// has not answered of those kept at it, client. With -vv more peers, and of each what has come and
    /// gone in all, requests of it that we have not answered, and since when it is connected.
    /// Flags: D we download from it, d we would if it let us, U it downloads from us, u it would, K we
    /// could and want nothing, ? it could and wants nothing, O optimistic unchoke, S snubbed: it owes
    /// blocks for too long, I incoming, X named by another peer.
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// A runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeArg {
    /// One thread, epoll or its kin by mio
    Mio,
    /// smol's executor and async-io
    Smol,
}

impl RuntimeArg {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Smol => "smol",
        }
    }
}

/// To whom a seed gives its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SeedChokingArg {
    /// By turns, whoever was given least first
    RoundRobin,
    /// Those who take most
    Fastest,
    /// Those who have least, or nearly everything
    AntiLeech,
}

impl From<SeedChokingArg> for SeedChoking {
    fn from(order: SeedChokingArg) -> Self {
        match order {
            SeedChokingArg::RoundRobin => Self::RoundRobin,
            SeedChokingArg::Fastest => Self::Fastest,
            SeedChokingArg::AntiLeech => Self::AntiLeech,
        }
    }
}

/// What to believe of data that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckArg {
    /// Trust the resume file where sizes and times agree, hash the rest
    Auto,
    /// Hash everything
    Full,
    /// Trust files of the right size
    Trust,
}

impl From<CheckArg> for Check {
    fn from(check: CheckArg) -> Self {
        match check {
            CheckArg::Auto => Self::Auto,
            CheckArg::Full => Self::Full,
            CheckArg::Trust => Self::Trust,
        }
    }
}

/// The transports that are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportArg {
    /// TCP alone.
    Tcp,
}

/// The kinds of encryption that are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionArg {
    /// None.
    Disable,
}

/// Takes the first of `names` as `value`; the others are known, but not built yet.
fn only<T: Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
    value: T,
) -> impl TypedValueParser<Value = T> {
    let built = names.first().copied().unwrap_or_default();
    PossibleValuesParser::new(names).try_map(move |name| {
        if name == built { Ok(value.clone()) } else { Err(format!("not built yet; only {built} is")) }
    })
}
