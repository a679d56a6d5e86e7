//! A run of `download` or `seed` on real sockets: loads, listens, builds the session, drives it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerless_core::metainfo::Metainfo;
use peerless_core::{AddTorrent, AddTorrentError, Choice, Config, Event, Instant, Purpose, Session};

use crate::args::{NetworkArgs, VoiceArgs};
use crate::drive::Run;
use crate::exit::{Exit, Failure};
use crate::files::FileSpec;
use crate::goals::Goals;
use crate::json::JsonLines;
use crate::listen::Listeners;
use crate::progress::Screen;
use crate::signal::Signals;
use crate::transfer::{Action, Summary, Transfer, Voice};
use crate::values::PeerName;
use crate::{descriptors, files, random, source};

/// How often figures are shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// What to transfer.
    pub sources: Vec<OsString>,
    /// The folder that holds, or is to hold, the torrents' top names.
    pub root: PathBuf,
    /// Get or serve.
    pub purpose: Purpose,
    /// What of it to get; all if there is none.
    pub files: Vec<FileSpec>,
    /// Pieces in their order.
    pub sequential: bool,
    /// The ends of files first.
    pub first_and_last: bool,
    /// When it is over.
    pub goals: Goals,
    /// How to reach peers.
    pub network: NetworkArgs,
    /// What to tell.
    pub voice: VoiceArgs,
}

impl Plan {
    /// The code of a stop that takes too long; a seed has nothing that could be unfinished.
    const fn late_exit(&self) -> Exit {
        match self.purpose {
            Purpose::Download => Exit::Interrupted,
            Purpose::Serve => Exit::Done,
        }
    }
}

/// Does it. A torrent that fails does not hold up the others.
pub fn run(plan: Plan, signals: &Signals) -> Exit {
    let voice = Voice { verbose: plan.voice.verbose > 0 };
    let json = JsonLines::new(plan.voice.json.then(io::stdout));
    let screen = Screen::new(plan.voice.quiet || plan.voice.json);
    let mut transfer = Transfer::new(plan.purpose, voice, screen, json);
    if let Err(failure) = transfer_all(plan, signals, &mut transfer) {
        transfer.fail(&failure);
    }
    transfer.finish()
}

fn transfer_all(plan: Plan, signals: &Signals, transfer: &mut Transfer) -> Result<(), Failure> {
    let mut loaded = Vec::new();
    for source in &plan.sources {
        match source::load(source) {
            Ok(metainfo) => loaded.push(metainfo),
            Err(failure) => transfer.fail(&failure),
        }
    }
    if loaded.is_empty() {
        return Ok(());
    }
    // From here on a signal is for the session to hear of, be it still to come.
    signals.on_stop(plan.late_exit(), || {});
    if let Some(path) = &plan.network.record {
        // Told now, and not once the first part is to be written.
        File::create(path).map_err(|error| Failure::unwritable(path, &error))?;
    }
    if let Some(words) = descriptors::make_room(loaded.len(), plan.network.max_peers) {
        transfer.note(&words);
    }
    let listeners = Listeners::bind(plan.network.port)?;
    let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
    transfer.start(plan.network.runtime.name(), listeners.port, unix_time);
    let config = Config {
        listen_port: Some(listeners.port),
        peers_max: plan.network.max_peers.into(),
        hash_width: peerless_jobs::hash::width(),
        progress_interval: Some(PROGRESS_INTERVAL),
        record: plan.network.record.is_some(),
        ..Config::default()
    };
    let mut session = Session::new(config, random::seed(), Instant::START);
    let mut any = false;
    for metainfo in loaded {
        any |= add(&plan, &mut session, transfer, metainfo)?;
    }
    if !any {
        return Ok(());
    }
    drive(&plan, signals, session, listeners, transfer)
}

/// Adds a torrent; false if what is wanted of it is not there.
fn add(
    plan: &Plan,
    session: &mut Session,
    transfer: &mut Transfer,
    metainfo: Metainfo,
) -> Result<bool, Failure> {
    let choice = match files::choose(&plan.files, &metainfo) {
        Ok(priorities) => Choice { priorities, sequential: plan.sequential, first_last: plan.first_and_last },
        Err(failure) => {
            transfer.fail(&failure);
            return Ok(false);
        }
    };
    let summary = Summary::new(&metainfo, plan.voice.json || plan.voice.verbose > 0);
    let name = metainfo.name().to_owned();
    let mut tiers = if plan.network.no_trackers { Vec::new() } else { metainfo.tiers().to_vec() };
    if !plan.network.no_trackers {
        tiers.extend(plan.network.trackers.iter().map(|url| vec![url.clone()]));
    }
    let web_seeds = if plan.network.no_webseed { Vec::new() } else { metainfo.web_seeds() };
    let (mut peers, mut hosts) = (Vec::new(), Vec::new());
    for peer in &plan.network.peers {
        match peer {
            PeerName::Addr(addr) => peers.push(*addr),
            PeerName::Host(host, port) => hosts.push((host.clone(), *port)),
        }
    }
    if tiers.is_empty() && peers.is_empty() && hosts.is_empty() && web_seeds.is_empty() {
        let name = summary.shown_name();
        transfer.note(&format!("{name}: no tracker and no peer is given: waiting for peers to come"));
    }
    let add = AddTorrent {
        metainfo,
        root: plan.root.clone(),
        purpose: plan.purpose,
        check: plan.network.check.into(),
        choice,
        web_seeds,
        tiers,
        peers,
        hosts,
    };
    match session.add_torrent(Instant::START, add) {
        Ok(key) => transfer.add(Instant::START, key, summary, plan.goals),
        Err(AddTorrentError::Duplicate(_)) => {
            transfer.note(&format!("{}: given twice", summary.shown_name()))
        }
        Err(error @ AddTorrentError::ShuttingDown) => return Err(Failure::new(Exit::Other, name, error)),
    }
    Ok(true)
}

fn drive(
    plan: &Plan,
    signals: &Signals,
    session: Session,
    listeners: Listeners,
    transfer: &mut Transfer,
) -> Result<(), Failure> {
    let options = peerless_jobs::Options { record: plan.network.record.clone(), ..Default::default() };
    let on_event = |session: &mut Session, now: Instant, event: Event| match transfer.on_event(now, event) {
        Some(Action::ShutDown) => session.shut_down(now),
        Some(Action::Remove(torrent)) => session.remove_torrent(now, torrent),
        None => {}
    };
    let run = Run { runtime: plan.network.runtime, listeners, options, late_exit: plan.late_exit() };
    run.drive(session, signals, on_event)
}
