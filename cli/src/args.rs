//! The command line: what may be said. What is not built is not here, so that it is refused.

mod transfer;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use transfer::{
    CheckArg, DownloadArgs, EncryptionArg, NetworkArgs, RuntimeArg, SeedArgs, SeedingArgs, TransportArg,
    VoiceArgs,
};

use crate::route::RouteArgs;
use crate::values::{PieceLen, parse_any_tracker, parse_tracker, parse_web_seed};

/// A BitTorrent client.
///
/// `peerless SOURCE` downloads: it gets the data, verifies it and exits.
#[derive(Debug, Parser)]
#[command(name = "peerless", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    /// What to do; without one, download.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The download, when no command is given.
    #[command(flatten)]
    pub download: DownloadArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Get the data, verify it, exit; or keep seeding where told to
    ///
    /// Data that is there already is verified first and not fetched again. A download that was
    /// interrupted goes on where it was when the same command is given again.
    Download(DownloadArgs),
    /// Serve data that is already there, until SIGINT or SIGTERM
    Seed(SeedArgs),
    /// Hash-check data offline, with all cores
    ///
    /// Names the bad files and pieces. Exit code 8 when anything is missing or wrong.
    Verify(VerifyArgs),
    /// Show what a torrent, or a magnet link by itself, says
    ///
    /// Uses no network unless SOURCE is a URL.
    #[command(visible_alias = "show")]
    Info(InfoArgs),
    /// Make a torrent of a file or folder
    Create(CreateArgs),
    /// Change a torrent's trackers, web seeds or comment; its info-hash stays
    ///
    /// What is not named stays as it is. The file is replaced whole or not at all.
    Edit(EditArgs),
    /// Print a torrent's magnet link
    ///
    /// With --output, and of a magnet link: get the metadata alone from peers, and write the torrent.
    Magnet(Box<MagnetArgs>),
    /// Ask a torrent's trackers how many peers it has
    ///
    /// Joins no swarm. Exit code 6 when no tracker answers.
    Scrape(ScrapeArgs),
    /// Run a small HTTP and UDP tracker, for a LAN or a test
    ///
    /// Both listen on the same port number.
    Tracker(TrackerArgs),
    /// Do the main job with nothing but this machine, and report speeds
    ///
    /// Makes a sample payload, starts a tracker and seeders on loopback, downloads it under both
    /// runtimes, verifies it byte for byte and cleans up.
    Demo(DemoArgs),
    /// Replay a recording made with --record, say where it diverges or where the time went
    ///
    /// Exit code 12 when it diverges.
    Replay(ReplayArgs),
    /// Simulate a swarm: our own sessions in one process, under virtual time
    ///
    /// SCENARIO is a TOML file that says who takes part, when they come and go, what their lines carry
    /// and what goes wrong; docs/simulation.md explains each key. Scenario and seed decide everything:
    /// the same two give the same report, byte for byte. Exit code 5 when somebody had not got
    /// everything at the scenario's limit of virtual time. A signal ends it with a report of what there
    /// is so far.
    Sim(SimArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A .torrent file, or the URL of one
    pub torrent: OsString,
    /// The folder that holds the torrent's top name
    pub dir: PathBuf,
    /// The way of a URL.
    #[command(flatten)]
    pub way: RouteArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A .torrent file, the URL of one, a magnet link or an info-hash
    pub source: OsString,
    /// The way of a URL.
    #[command(flatten)]
    pub way: RouteArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The file or folder to share
    ///
    /// In a folder every file is taken, hidden ones too, sorted by path. Symbolic links are not.
    pub path: PathBuf,
    /// Where the torrent goes [default: NAME.torrent in the current folder]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A tracker's announce URL; repeatable
    ///
    /// Each is a tier of its own; commas within one separate trackers of the same tier.
    #[arg(long = "tracker", value_name = "URL", value_parser = parse_tier)]
    pub tiers: Vec<Tier>,
    /// A web seed's URL; repeatable
    ///
    /// Of one file the file's own URL, or its folder's with a slash at the end; of a folder the URL of
    /// the folder that it lies in.
    #[arg(long = "web-seed", value_name = "URL", value_parser = parse_web_seed)]
    pub web_seeds: Vec<String>,
    /// The length of a piece: a power of two such as 256K or 4M, or auto
    ///
    /// auto takes the largest power of two from 16K to 16M that makes at least 1,024 pieces: so from
    /// 16 MiB to 32 GiB of data there are 1,024 to 2,048.
    #[arg(long, value_name = "SIZE", default_value = "auto")]
    pub piece_length: PieceLen,
    /// Which version of the format to make; only 1 is built yet
    #[arg(long, value_name = "VERSION", default_value = "1", value_parser = ["1"])]
    pub version: String,
    /// Peers are to come from the torrent's own trackers alone
    #[arg(long)]
    pub private: bool,
    /// Words to go with it
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// A mark that makes the info-hash another, as some trackers want it
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// The torrent's name [default: the last part of PATH]
    #[arg(long)]
    pub name: Option<String>,
    /// Leave the time out: the same input then gives the same file, byte for byte
    #[arg(long)]
    pub no_creation_date: bool,
    /// Overwrite the output file
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object about the new torrent
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `edit`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct EditArgs {
    /// The .torrent file
    pub file: PathBuf,
    /// Where the changed torrent goes [default: the file itself]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A tracker's announce URL, in place of those that are there; repeatable
    ///
    /// Each is a tier of its own; commas within one separate trackers of the same tier.
    #[arg(long = "tracker", value_name = "URL", value_parser = parse_tier, group = "change")]
    pub tiers: Vec<Tier>,
    /// Take all trackers out
    #[arg(long, conflicts_with = "tiers", group = "change")]
    pub no_trackers: bool,
    /// A web seed's URL, in place of those that are there; repeatable
    #[arg(long = "web-seed", value_name = "URL", value_parser = parse_web_seed, group = "change")]
    pub web_seeds: Vec<String>,
    /// Take all web seeds out
    #[arg(long, conflicts_with = "web_seeds", group = "change")]
    pub no_web_seeds: bool,
    /// Words to go with it; none take the comment out
    #[arg(long, value_name = "TEXT", group = "change")]
    pub comment: Option<String>,
}

/// The trackers of one tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier(pub Vec<String>);

/// Arguments of `magnet`.
#[derive(Debug, Args)]
pub struct MagnetArgs {
    /// A .torrent file, or the URL of one; with --output a magnet link or an info-hash
    #[arg(value_name = "SOURCE")]
    pub torrent: OsString,
    /// Where the torrent goes whose metadata is got from peers
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the output file
    #[arg(long, requires = "output")]
    pub force: bool,
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Give up after so long without new metadata (exit code 5), such as 90, 10m or 2h
    #[arg(long, value_name = "DURATION", value_parser = crate::values::parse_duration)]
    pub stop_timeout: Option<std::time::Duration>,
    /// What to tell.
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// Arguments of `scrape`.
#[derive(Debug, Args)]
pub struct ScrapeArgs {
    /// A .torrent file, the URL of one, a magnet link or an info-hash
    pub source: OsString,
    /// A further tracker's announce URL; repeatable
    #[arg(long = "tracker", value_name = "URL", value_parser = parse_tracker)]
    pub trackers: Vec<String>,
    /// The way out.
    #[command(flatten)]
    pub way: RouteArgs,
    /// The runtime that drives the core
    #[arg(short, long, value_enum, default_value_t = RuntimeArg::Mio)]
    pub runtime: RuntimeArg,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tracker`.
#[derive(Debug, Args)]
pub struct TrackerArgs {
    /// Where to listen; port 0 takes any, and the address is printed
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// Only errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Bytes of the sample's large file
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = crate::values::parse_size)]
    pub size: u64,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The recording
    pub file: PathBuf,
    /// Tell where the time went: no peers, choked, slow peers, the disk, a limit …
    ///
    /// For each torrent, and for each of its peers what the connection waited for.
    #[arg(long)]
    pub explain: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw rate and pieces over time into this SVG file
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Write a copy without names into this file: fit to be sent to somebody
    ///
    /// Addresses, hosts, trackers, names of files and torrents, info-hashes, digests and peer ids become
    /// others, the same for the same; the copy replays as the recording does. Lengths, times, ports and the
    /// names of clients stay.
    #[arg(long, value_name = "FILE")]
    pub anonymize: Option<PathBuf>,
    /// Overwrite files that are there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// The scenario, a TOML file
    #[arg(value_name = "SCENARIO")]
    pub file: PathBuf,
    /// Decides every chance [default: the scenario's, or 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw the report as SVG pictures into this folder, which is made if it is not there
    ///
    /// completion.svg, upload.svg, peers.svg, entropy.svg, copies.svg and shares.svg.
    #[arg(long, value_name = "DIR")]
    pub pictures: Option<PathBuf>,
    /// Overwrite pictures that are there
    #[arg(long, requires = "pictures")]
    pub force: bool,
    /// Only errors, no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// Announce URLs of one tier, separated by commas.
fn parse_tier(text: &str) -> Result<Tier, String> {
    text.split(',').map(parse_any_tracker).collect::<Result<_, _>>().map(Tier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn download(line: &str) -> DownloadArgs {
        let cli = parse(line).unwrap();
        let Some(Command::Download(args)) = cli.command else { return cli.download };
        args
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_source_alone_is_a_download() {
        let args = download("peerless a.torrent b.torrent -o out -r smol");
        assert_eq!(args.sources, ["a.torrent", "b.torrent"]);
        assert_eq!((args.output, args.network.runtime), ("out".into(), RuntimeArg::Smol));
        assert_eq!(download("peerless download x").sources, ["x"]);
        assert_eq!(download("peerless download x --dir y").output, PathBuf::from("y"));
        assert_eq!(download("peerless x -d y").output, PathBuf::from("y"));
    }

    #[test]
    fn nothing_and_the_unknown_are_refused() {
        for bad in [
            "peerless",
            "peerless download",
            "peerless --nonsense x",
            "peerless x --files 0",
            "peerless seed x --files 1",
            "peerless seed x --proxy http://h:1",
            "peerless verify x",
            "peerless x -r tokio",
            "peerless x --peer nonsense",
            "peerless x -q -v",
            "peerless create p --version 2",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_turns_something_off_is_taken() {
        let off = "--no-dht --no-pex --no-lsd --no-webseed --no-portmap --no-trackers \
                   --transport tcp --encryption disable";
        assert!(parse(&format!("peerless download x {off}")).is_ok());
        assert!(parse(&format!("peerless seed x --data d {off}")).is_ok());
        for bad in ["--transport utp", "--transport both", "--encryption require", "--encryption prefer"] {
            let error = parse(&format!("peerless x {bad}")).unwrap_err().to_string();
            assert!(error.contains("not built yet"), "{error}");
        }
    }

    #[test]
    fn files_and_order_are_taken() {
        let args = download("peerless x --files 1-3,7 --files *.mkv --sequential --first-and-last");
        assert!(args.files.len() == 2 && args.sequential && args.first_and_last);
    }

    #[test]
    fn tiers_are_split_at_commas() {
        let cli = parse("peerless create p --tracker http://a/,http://b/ --tracker http://c/").unwrap();
        let Some(Command::Create(args)) = cli.command else { panic!("{cli:?}") };
        let tier = |urls: &[&str]| Tier(urls.iter().map(|&url| url.to_owned()).collect());
        assert_eq!(args.tiers, [tier(&["http://a/", "http://b/"]), tier(&["http://c/"])]);
    }

    #[test]
    fn show_is_info() {
        assert!(matches!(parse("peerless show x --json").unwrap().command, Some(Command::Info(_))));
    }
}
