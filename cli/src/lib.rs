//! The command line of peerless: reads arguments, runs one subcommand, ends with an exit code.
//!
//! What it prints and the codes that it ends with are a contract with scripts and front ends.

pub mod args;
pub mod command;
pub mod descriptors;
pub mod drive;
pub mod engine;
pub mod exit;
pub mod files;
pub mod format;
pub mod goals;
pub mod http_server;
pub mod json;
pub mod listen;
pub mod out;
pub mod peers;
pub mod progress;
pub mod random;
pub mod recording;
pub mod route;
pub mod signal;
pub mod source;
pub mod transfer;
pub mod udp_server;
pub mod usage;
pub mod values;

use std::ffi::OsString;

use clap::Parser;

use args::{Cli, Command};
use exit::{Exit, Failure};
use signal::Signals;

/// Runs the program with `args`, the first of which is its own name.
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.len() < 2 {
        return usage::report_nothing();
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    let result = Signals::install().and_then(|signals| dispatch(cli, &signals));
    result.unwrap_or_else(|failure| {
        out::tell_failure(&failure);
        failure.exit()
    })
}

fn dispatch(cli: Cli, signals: &Signals) -> Result<Exit, Failure> {
    match cli.command.unwrap_or(Command::Download(cli.download)) {
        Command::Download(args) => Ok(command::download::run(args, signals)),
        Command::Seed(args) => Ok(command::seed::run(args, signals)),
        Command::Verify(args) => command::verify::run(&args),
        Command::Info(args) => command::info::run(&args),
        Command::Create(args) => command::create::run(&args),
        Command::Edit(args) => command::edit::run(&args),
        Command::Magnet(args) => command::magnet::run(*args, signals),
        Command::Scrape(args) => command::scrape::run(&args, signals),
        Command::Tracker(args) => command::tracker::run(&args, signals),
        Command::Demo(args) => command::demo::run(&args, signals),
        Command::Replay(args) => command::replay::run(&args),
        Command::Sim(args) => command::sim::run(&args, signals),
        Command::Completions(args) => command::completions::run(&args),
        Command::Man => command::man::run(),
    }
}
