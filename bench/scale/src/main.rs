//! What many peers, torrents, pieces and files cost: see the README beside.

mod floods;
mod inside;
mod meter;
mod pieces;
mod program;
mod tracker;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Counts what is allocated, so that memory is exact and the same in every run.
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

const USAGE: &str = "usage: peerless-scale core
       peerless-scale floods
       peerless-scale program PEERLESS [SECONDS [DIR]]
       peerless-scale tracker PEERLESS

core     memory and cost per event of sessions in memory, at rising sizes
floods   what a session makes of a peer that sends without end, beside others
program  start-up, memory and idle CPU of the program PEERLESS under both runtimes;
         SECONDS (10) for each idle measurement, DIR (/dev/shm) for torrents and data
tracker  announces to the program's tracker over HTTP and UDP, with ever more peers";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["floods"] => floods::run(),
        ["core"] => inside::run().and_then(|()| pieces::run()),
        ["program", program, ref rest @ ..] if rest.len() <= 2 => {
            let seconds = rest.first().map_or(Ok(10), |text| text.parse());
            let dir = PathBuf::from(rest.get(1).copied().unwrap_or("/dev/shm"));
            match seconds {
                Ok(seconds) => program::run(&PathBuf::from(program), &dir, Duration::from_secs(seconds)),
                Err(_) => return usage(),
            }
        }
        ["tracker", program] => tracker::run(&PathBuf::from(program)),
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "peerless-scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let _ = writeln!(io::stderr(), "{USAGE}");
    ExitCode::from(2)
}
