//! A run of `download` or `seed` on real sockets: loads, listens, builds the session, drives it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerless_core::magnet::Magnet;
use peerless_core::metainfo::Metainfo;
use peerless_core::priority::Priority;
use peerless_core::{
    AddMagnet, AddTorrent, AddTorrentError, Choice, Config, Event, Instant, Limits, Purpose, Route, Session,
    TorrentKey,
};
use peerless_jobs::HttpOptions;

use crate::args::{NetworkArgs, VoiceArgs};
use crate::drive::Run;
use crate::exit::{Exit, Failure};
use crate::files::FileSpec;
use crate::goals::Goals;
use crate::json::JsonLines;
use crate::listen::Listeners;
use crate::progress::Screen;
use crate::signal::Signals;
use crate::source::Source;
use crate::transfer::{Action, Summary, Transfer, Voice};
use crate::values::PeerName;
use crate::{command, descriptors, files, random, recording};

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
    /// Where the torrent of a magnet link goes, if that is all that is wanted.
    pub metadata_to: Option<TorrentFile>,
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

/// A .torrent file to be written.
#[derive(Debug)]
pub struct TorrentFile {
    /// Where.
    pub path: PathBuf,
    /// Whether to overwrite what is there.
    pub force: bool,
}

/// What a source has come to.
#[derive(Debug)]
enum Loaded {
    Torrent(Box<Metainfo>),
    Magnet(Box<Magnet>),
}

impl Plan {
    /// What is wanted of a torrent.
    fn choice(&self, metainfo: &Metainfo) -> Result<Choice, Failure> {
        files::choose(&self.files, metainfo).map(|priorities| self.choice_of(priorities))
    }

    const fn choice_of(&self, priorities: Vec<Priority>) -> Choice {
        Choice { priorities, sequential: self.sequential, first_last: self.first_and_last }
    }

    /// Whether files are told by name.
    const fn tells_paths(&self) -> bool {
        self.voice.json || self.voice.verbose > 0
    }

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
    let voice = Voice { verbose: plan.voice.verbose };
    let json = JsonLines::new(plan.voice.json.then(io::stdout));
    let screen = Screen::new(plan.voice.quiet || plan.voice.json);
    let mut transfer = Transfer::new(plan.purpose, voice, screen, json);
    if let Err(failure) = transfer_all(plan, signals, &mut transfer) {
        transfer.fail(&failure);
    }
    transfer.finish()
}

fn transfer_all(plan: Plan, signals: &Signals, transfer: &mut Transfer) -> Result<(), Failure> {
    let route = plan.network.way.open()?;
    let mut loaded = Vec::new();
    for source in &plan.sources {
        match load(&plan, &route, source) {
            Ok(one) => loaded.push(one),
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
        recording::make(path)?;
    }
    if let Some(words) = descriptors::make_room(loaded.len(), plan.network.max_peers) {
        transfer.note(&words);
    }
    let listeners = Listeners::bind(&route, plan.network.port)?;
    let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
    transfer.start(plan.network.runtime.name(), listeners.port, unix_time);
    plan.network.way.limits().into_iter().for_each(|words| transfer.note(&words));
    let config = Config {
        listen_port: listeners.port,
        route,
        peers_max: plan.network.max_peers.into(),
        hash_width: peerless_jobs::hash::width(),
        seed_choking: plan.network.seed_choking.into(),
        super_seed: plan.network.super_seed,
        limits: Limits { down: plan.network.max_down.0, up: plan.network.max_up.0 },
        pex: !plan.network.no_pex,
        progress_interval: Some(PROGRESS_INTERVAL),
        record: plan.network.record.is_some(),
        record_len_max: plan.network.record_size,
        ..Config::default()
    };
    let mut session = Session::new(config, random::seed(), Instant::START);
    let mut any = false;
    for one in loaded {
        any |= match one {
            Loaded::Torrent(metainfo) => add_torrent(&plan, &mut session, transfer, *metainfo)?,
            Loaded::Magnet(magnet) => add_magnet(&plan, &mut session, transfer, *magnet)?,
        };
    }
    if !any {
        return Ok(());
    }
    drive(&plan, signals, session, listeners, transfer)
}

fn load(plan: &Plan, route: &Route, source: &OsStr) -> Result<Loaded, Failure> {
    match Source::parse(source)? {
        Source::Magnet(magnet) if plan.purpose == Purpose::Download => Ok(Loaded::Magnet(magnet)),
        source @ (Source::File(_) | Source::Url(_) | Source::Magnet(_)) => {
            source.load(route).map(|metainfo| Loaded::Torrent(Box::new(metainfo)))
        }
    }
}

/// Whom to ask for a torrent.
struct Whom {
    tiers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    peers: Vec<SocketAddr>,
    hosts: Vec<(String, u16)>,
}

impl Whom {
    /// The torrent's own trackers and web seeds, the user's further trackers, and the user's peers.
    fn new(network: &NetworkArgs, mut tiers: Vec<Vec<String>>, mut web_seeds: Vec<String>) -> Self {
        if network.no_webseed {
            web_seeds.clear();
        }
        if network.no_trackers {
            tiers.clear();
        } else {
            tiers.extend(network.trackers.iter().map(|url| vec![url.clone()]));
        }
        let mut whom = Self { tiers, web_seeds, peers: Vec::new(), hosts: Vec::new() };
        for peer in &network.peers {
            match peer {
                PeerName::Addr(addr) => whom.peers.push(*addr),
                PeerName::Host(host, port) => whom.hosts.push((host.clone(), *port)),
            }
        }
        whom
    }

    const fn is_nobody(&self) -> bool {
        self.tiers.is_empty() && self.web_seeds.is_empty() && self.peers.is_empty() && self.hosts.is_empty()
    }
}

/// Adds a torrent; false if what is wanted of it is not there.
fn add_torrent(
    plan: &Plan,
    session: &mut Session,
    transfer: &mut Transfer,
    metainfo: Metainfo,
) -> Result<bool, Failure> {
    let choice = match plan.choice(&metainfo) {
        Ok(choice) => choice,
        Err(failure) => {
            transfer.fail(&failure);
            return Ok(false);
        }
    };
    let summary = Summary::new(&metainfo, plan.tells_paths());
    let whom = Whom::new(&plan.network, metainfo.tiers().to_vec(), metainfo.web_seeds());
    tell_nobody(transfer, &summary, &whom);
    if let Some(url) = plan.network.trackers.iter().find(|url| !metainfo.may_announce_at(url)) {
        let name = summary.shown_name();
        transfer
            .note(&format!("{name}: {url} is not asked: the torrent is private and has trackers of its own"));
    }
    let Whom { tiers, web_seeds, peers, hosts } = whom;
    let (root, purpose, check) = (plan.root.clone(), plan.purpose, plan.network.check.into());
    let add = AddTorrent { metainfo, root, purpose, check, choice, tiers, web_seeds, peers, hosts };
    added(plan, transfer, summary, session.add_torrent(Instant::START, add))
}

fn add_magnet(
    plan: &Plan,
    session: &mut Session,
    transfer: &mut Transfer,
    magnet: Magnet,
) -> Result<bool, Failure> {
    let summary = Summary::of_magnet(&magnet);
    let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
    let mut whom = Whom::new(&plan.network, tiers, magnet.web_seeds.clone());
    for (host, port) in &magnet.peers {
        match host.parse() {
            Ok(ip) => whom.peers.push(SocketAddr::new(ip, *port)),
            Err(_) => whom.hosts.push((host.clone(), *port)),
        }
    }
    tell_nobody(transfer, &summary, &whom);
    let Whom { tiers, web_seeds, peers, hosts } = whom;
    let (root, check) = (plan.root.clone(), plan.network.check.into());
    let choice = plan.choice_of(Vec::new());
    let metadata_only = plan.metadata_to.is_some();
    let add = AddMagnet { magnet, root, check, choice, tiers, web_seeds, peers, hosts, metadata_only };
    added(plan, transfer, summary, session.add_magnet(Instant::START, add))
}

fn tell_nobody(transfer: &Transfer, summary: &Summary, whom: &Whom) {
    if whom.is_nobody() {
        let name = summary.shown_name();
        transfer.note(&format!("{name}: no tracker and no peer is given: waiting for peers to come"));
    }
}

fn added(
    plan: &Plan,
    transfer: &mut Transfer,
    summary: Summary,
    result: Result<TorrentKey, AddTorrentError>,
) -> Result<bool, Failure> {
    match result {
        Ok(key) => transfer.add(Instant::START, key, summary, plan.goals),
        Err(AddTorrentError::Duplicate(_)) => {
            transfer.note(&format!("{}: given twice", summary.shown_name()));
        }
        Err(error @ AddTorrentError::ShuttingDown) => {
            return Err(Failure::new(Exit::Other, summary.shown_name(), error));
        }
    }
    Ok(true)
}

/// The metadata of a magnet link is there: it is told, and written if that was all.
fn on_metadata(
    plan: &Plan,
    session: &mut Session,
    now: Instant,
    transfer: &mut Transfer,
    torrent: TorrentKey,
) -> Option<Action> {
    let metainfo = session.metainfo(torrent)?;
    transfer.on_known(torrent, Summary::new(metainfo, plan.tells_paths()));
    let Some(TorrentFile { path, force }) = &plan.metadata_to else {
        if plan.files.is_empty() {
            return None;
        }
        match plan.choice(metainfo) {
            Ok(choice) => session.set_choice(now, torrent, choice),
            Err(failure) => return transfer.on_written(torrent, Err(failure)),
        }
        return None;
    };
    let written = command::create::write(path, metainfo.raw(), *force);
    transfer.on_written(torrent, written.map_err(|error| Failure::unwritable(path, &error)))
}

fn drive(
    plan: &Plan,
    signals: &Signals,
    session: Session,
    listeners: Listeners,
    transfer: &mut Transfer,
) -> Result<(), Failure> {
    let http = HttpOptions { user_trackers: plan.network.trackers.clone(), ..HttpOptions::default() };
    let record = plan.network.record.clone();
    let options = peerless_jobs::Options { http, record, ..Default::default() };
    let on_event = |session: &mut Session, now: Instant, event: Event| {
        let told = if let Event::Progress { torrent, .. } = event { Some(torrent) } else { None };
        let action = if let Event::MetadataDone { torrent } = event {
            on_metadata(plan, session, now, transfer, torrent)
        } else {
            transfer.on_event(now, event)
        };
        if let Some(torrent) = told {
            transfer.on_peers(now, torrent, || session.peers(now, torrent));
        }
        match action {
            Some(Action::ShutDown) => session.shut_down(now),
            Some(Action::Remove(torrent)) => session.remove_torrent(now, torrent),
            None => {}
        }
    };
    let run = Run { runtime: plan.network.runtime, listeners, options, late_exit: plan.late_exit() };
    run.drive(session, signals, on_event)
}
