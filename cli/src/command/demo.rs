//! `peerless demo`: the main job with nothing but this machine.
//!
//! The tracker runs on a thread of this process; seeds and downloads are processes of this same
//! program, so that what is shown is what a user gets.

mod child;
mod sample;

use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::{DemoArgs, RuntimeArg};
use crate::command::tracker::{self, Sockets};
use crate::exit::{Exit, Failure, words};
use crate::signal::Signals;
use crate::{format, out};
use child::Child;
use sample::{Folder, Sample};

/// How long the seeds may take until the tracker knows them.
const SEED_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one download may take; with the sample's usual size it takes about a second.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// Both runtimes, as seeds and as leeches.
const RUNTIMES: [RuntimeArg; 2] = [RuntimeArg::Mio, RuntimeArg::Smol];

/// Shows it and reports.
///
/// # Errors
/// When any step fails, a file differs, or a signal comes. Either way nothing is left behind.
pub fn run(args: &DemoArgs, signals: &Signals) -> Result<Exit, Failure> {
    let began_at = Instant::now();
    // Waiting is done in small steps that look for the signal; what was made is dropped on the way out.
    signals.on_stop(Exit::Interrupted, || {});
    let folder = Folder::new()?;
    let sample = Sample::make(folder.path(), args.size, signals)?;
    let files = format::count(sample.file_count(), "file");
    say("sample", &format!("{} in {files}", format::size(sample.total_len())))?;
    let sockets = Sockets::bind((Ipv4Addr::LOCALHOST, 0).into()).map_err(|error| no_tracker(&error))?;
    let addr = sockets.addr().map_err(|error| no_tracker(&error))?;
    let (_stop, stopped) = smol::channel::bounded::<()>(1);
    thread::Builder::new()
        .name("tracker".to_owned())
        .spawn(move || tracker::serve(sockets, &stopped))
        .map_err(|error| no_tracker(&error))?;
    let url = format!("http://{addr}/announce");
    say("tracker", &url)?;
    let create = ["create", sample.path(), "--output", "demo.torrent", "--tracker", &url];
    Child::start(folder.path(), "create", &create)?.finish(DOWNLOAD_TIMEOUT, signals)?;
    let mut seeds = Vec::new();
    for runtime in RUNTIMES {
        seeds.push(seed(folder.path(), runtime, signals)?);
    }
    say("seeds", "two, one under each runtime")?;
    for runtime in RUNTIMES {
        download(folder.path(), &sample, runtime, signals)?;
    }
    drop((seeds, folder));
    say("done", &format!("all of it in {}; nothing is left behind", format::elapsed(began_at.elapsed())))?;
    Ok(Exit::Done)
}

/// A seed that the tracker knows.
fn seed(folder: &Path, runtime: RuntimeArg, signals: &Signals) -> Result<Child, Failure> {
    let name = format!("seed-{}", runtime.name());
    let data = ["--data", sample::FOLDER, "--check", "trust"];
    let args = [&["seed", "demo.torrent"][..], &data, &COMMON, &["--runtime", runtime.name()]].concat();
    let mut seed = Child::start(folder, &name, &args)?;
    seed.wait_for_line("\"type\":\"tracker\"", SEED_TIMEOUT, signals)?;
    Ok(seed)
}

/// Flags of seeds and downloads alike.
const COMMON: [&str; 3] = ["--json", "--port", "0"];

fn download(folder: &Path, sample: &Sample, runtime: RuntimeArg, signals: &Signals) -> Result<(), Failure> {
    let name = format!("download-{}", runtime.name());
    let args =
        [&["download", "demo.torrent"][..], &COMMON, &["--output", &name, "--runtime", runtime.name()]]
            .concat();
    let began_at = Instant::now();
    Child::start(folder, &name, &args)?.finish(DOWNLOAD_TIMEOUT, signals)?;
    let time = began_at.elapsed();
    sample.compare(&folder.join(&name), signals)?;
    let (size, len) = (format::size(sample.total_len()), sample.total_len());
    let rate = format::rate(format::mean_rate(len, time));
    let took = format::elapsed(time);
    say(runtime.name(), &format!("downloaded {size} in {took} ({rate}), the same byte for byte"))
}

fn say(what: &str, words: &str) -> Result<(), Failure> {
    out::print(&format!("{what:<8} {words}\n"))
}

fn no_tracker(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Network, "tracker on 127.0.0.1", words(error))
}
