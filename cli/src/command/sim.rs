//! `peerless sim SCENARIO`: a whole swarm of our own sessions in this process, under virtual time.

mod show;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use peerless_sim::picture;
use peerless_sim::report::Report;
use peerless_sim::run::{Ended, Run};
use peerless_sim::scenario::Scenario;

use crate::args::SimArgs;
use crate::exit::{Exit, Failure};
use crate::out;
use crate::signal::Signals;
use show::Show;

/// What happens between two looks at the signals and the clock: some milliseconds' worth.
const STEP_COUNT: usize = 2_000;

/// The longest scenario, in bytes, that is read: thousands of groups.
const SCENARIO_LEN_MAX: u64 = 1 << 20;

/// Plays the scenario and reports. What came of it is printed also where it did not come to its end.
///
/// # Errors
/// When the scenario can't be read or is none, a picture can't be written, somebody had not got
/// everything at the scenario's limit, or a signal came.
pub fn run(args: &SimArgs, signals: &Signals) -> Result<Exit, Failure> {
    let scenario = read(&args.file)?;
    // From here on a signal ends it with a report.
    signals.on_stop(Exit::Interrupted, || {});
    if let Some(dir) = &args.pictures {
        make_room(dir, args.force)?;
    }
    let seed = args.seed.unwrap_or(scenario.seed);
    let mut show = Show::new(args.quiet, scenario.name.as_deref().unwrap_or_default());
    let mut run = Run::new(scenario, seed);
    let mut ended = None;
    while ended.is_none() && !signals.is_stopping() {
        ended = run.advance(STEP_COUNT);
        show.update(&run);
    }
    show.finish();
    let report = run.report();
    if args.json {
        out::print_json(&report)?;
    } else {
        out::print(&report.to_string())?;
    }
    if let Some(dir) = &args.pictures {
        write_pictures(dir, &report)?;
    }
    let short = |exit, why: &str| {
        let (complete, goal) = (report.complete, report.goal);
        Err(Failure::new(exit, args.file.display(), format_args!("{why}: {complete} of {goal} complete")))
    };
    match ended {
        Some(Ended::Complete) => Ok(Exit::Done),
        Some(Ended::Limit) => short(Exit::GaveUp, "gave up at the scenario's limit"),
        Some(Ended::Interrupted) | None => short(Exit::Interrupted, "interrupted"),
    }
}

/// The scenario in a file; one without a name is called like the file.
fn read(path: &Path) -> Result<Scenario, Failure> {
    let invalid = |why: &dyn std::fmt::Display| Failure::new(Exit::Invalid, path.display(), why);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SCENARIO_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::unreadable(path, &error))?;
    if bytes.len() as u64 > SCENARIO_LEN_MAX {
        return Err(invalid(&"too long for a scenario"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| invalid(&"not text in UTF-8"))?;
    let mut scenario = Scenario::parse(text).map_err(|error| invalid(&error))?;
    if scenario.name.is_none() {
        scenario.name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
    }
    Ok(scenario)
}

/// Makes the folder of the pictures and sees that there is room for them, before time is spent.
fn make_room(dir: &Path, force: bool) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::unwritable(dir, &error))?;
    picture::NAMES.iter().try_for_each(|name| Failure::unless_free(&dir.join(name), force))
}

fn write_pictures(dir: &Path, report: &Report) -> Result<(), Failure> {
    let pictures = picture::draw(report).map_err(|error| Failure::new(Exit::Other, "pictures", error))?;
    pictures.into_iter().try_for_each(|(name, svg)| {
        let path = dir.join(name);
        fs::write(&path, svg).map_err(|error| Failure::unwritable(&path, &error))
    })
}
