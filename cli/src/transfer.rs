//! A run of `download` or `seed`: what each event means for the user and for the exit code.
//!
//! No session here and no clock: events and the time come in, what to do with the session comes out.

mod metadata;
mod network;
mod peers;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use peerless_core::text::escaped;
use peerless_core::{
    Config, DiskError, DiskErrorKind, Event, InfoHash, Instant, Progress, Purpose, TorrentError, TorrentKey,
    TrackerReport,
};

use crate::exit::{Exit, Failure};
use crate::format;
use crate::goals::{Goals, Verdict, Watch, stall_words};
use crate::json::{JsonLines, Line, Lost, ProgressLine, seconds};
use crate::progress::Screen;

pub use summary::Summary;

/// What the session is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Be done with this torrent; others go on.
    Remove(TorrentKey),
    /// Be done with all.
    ShutDown,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// How often `-v` was said: peers as they come, go and fare, and more of each.
    pub verbose: u8,
}

/// The torrents of one run and how they fare.
#[derive(Debug)]
pub struct Transfer<W = io::Stdout> {
    torrents: Vec<Torrent>,
    /// Where in the list each is that is not over.
    by_key: BTreeMap<TorrentKey, usize>,
    failures: Vec<Exit>,
    purpose: Purpose,
    voice: Voice,
    screen: Screen,
    json: JsonLines<W>,
}

#[derive(Debug)]
struct Torrent {
    key: TorrentKey,
    summary: Summary,
    watch: Watch,
    added_at: Instant,
    started_at: Instant,
    percent: f64,
    /// The last thing that its trackers were told to have said: said again only when it changes.
    tracker_said: Option<String>,
    is_over: bool,
}

impl<W: Write> Transfer<W> {
    /// A run without torrents yet.
    #[must_use]
    pub const fn new(purpose: Purpose, voice: Voice, screen: Screen, json: JsonLines<W>) -> Self {
        Self {
            torrents: Vec::new(),
            by_key: BTreeMap::new(),
            failures: Vec::new(),
            purpose,
            voice,
            screen,
            json,
        }
    }

    /// Tells that the run begins.
    pub fn start(&mut self, runtime: &str, port: Option<u16>, unix_time: Option<u64>) {
        let version = env!("CARGO_PKG_VERSION");
        self.json.write(&Line::Start { version, runtime, port, time: unix_time });
        if self.voice.verbose > 0 {
            let listens =
                port.map_or_else(|| "not listening".to_owned(), |port| format!("listening on port {port}"));
            self.screen.note(&format!("{listens}, runtime {runtime}"));
        }
    }

    /// Takes a torrent that the session has under `key`.
    pub fn add(&mut self, now: Instant, key: TorrentKey, summary: Summary, goals: Goals) {
        self.screen.add(&summary.name, summary.total_len);
        if summary.is_known() {
            self.tell_added(&summary);
        }
        self.by_key.insert(key, self.torrents.len());
        self.torrents.push(Torrent {
            key,
            summary,
            watch: Watch::new(goals, now),
            added_at: now,
            started_at: now,
            percent: 0.0,
            tracker_said: None,
            is_over: false,
        });
    }

    /// Takes a failure: of a source that gave no torrent, or of the run itself.
    pub fn fail(&mut self, failure: &Failure) {
        self.tell_failure(failure, None);
    }

    /// Says something that is no failure. The caller has escaped what is foreign in it.
    pub fn note(&self, line: &str) {
        self.screen.note(line);
    }

    /// Takes an event; says what the session is to do about it.
    pub fn on_event(&mut self, now: Instant, event: Event) -> Option<Action> {
        let action = self.react(now, event);
        match self.json.take_lost() {
            // Nobody is left who would hear of the end, or could ask for it.
            Some(Lost::ReaderLeft) => Some(Action::ShutDown),
            Some(Lost::Failed(error)) => {
                self.fail(&Failure::unwritable(Path::new("stdout"), &error));
                action
            }
            None => action,
        }
    }

    fn react(&mut self, now: Instant, event: Event) -> Option<Action> {
        match event {
            Event::Checking { torrent, done, total, bad } => self.on_checking(torrent, done, total, bad),
            Event::Metadata { torrent, have, total } => {
                if let Some((_, known)) = self.find(torrent) {
                    let info_hash = known.summary.info_hash;
                    self.json.write(&Line::Metadata { info_hash, have, total });
                }
            }
            Event::MetadataFailed { torrent } => {
                self.say(torrent, "the metadata that came is not the link's and is got anew");
            }
            Event::MetadataTooLong { torrent, addr, len } => {
                let max = format::size(Config::default().metadata_len_max as u64);
                let what =
                    format!("peer {addr} has metadata of {}, over the limit of {max}", format::size(len));
                self.say(torrent, &what);
            }
            // Who has the session sees to it.
            Event::MetadataDone { .. } => {}
            Event::Started { torrent, have } => return self.on_started(now, torrent, have),
            Event::Progress { torrent, progress } => return self.on_progress(now, torrent, &progress),
            Event::FileDone { torrent, file } => self.on_file(torrent, file),
            Event::Complete { torrent, progress } => return self.on_complete(now, torrent, &progress),
            Event::Tracker { torrent, url, result, next } => self.on_tracker(torrent, &url, &result, next),
            Event::Stopped { torrent, error } => return self.on_stopped(torrent, &error),
            Event::BindLost { ip, why } => return Some(self.on_bind_lost(ip, &why)),
            Event::ProxyFailed { error } => self.on_proxy(Some(error)),
            Event::ProxyWorks => self.on_proxy(None),
            Event::StandsFor { torrent, addr, host } => self.on_stands_for(torrent, addr, &host),
            Event::SaveFailed { torrent, error } => self.warn(torrent, "resume file", &error),
            Event::RecordFailed { error } => self.fail(&Failure::from(&error)),
            Event::RecordFull { len } => {
                let len = format::size(len);
                self.note(&format!(
                    "the recording ends here, with {len} (--record-size); the transfer goes on"
                ));
            }
            Event::ResolveFailed { torrent, host, why } => {
                self.say(torrent, &format!("peer {host}: {why}"));
            }
            Event::WebSeedFailed { torrent, url, why, next } => self.on_web_seed(torrent, &url, &why, next),
            Event::PieceFailed { torrent, piece } => {
                self.say(torrent, &format!("piece {piece} failed its hash and is fetched again"));
            }
            Event::PeerBanned { torrent, addr } => self.say(torrent, &format!("peer {addr} sends bad data")),
            Event::PeerConnected { torrent, addr, .. } if self.voice.verbose > 0 => {
                self.say(torrent, &format!("peer {addr} connected"));
            }
            Event::PeerNamed { torrent, addr, client } if self.voice.verbose > 0 => {
                self.say(torrent, &format!("peer {addr} is {}", escaped(&client)));
            }
            Event::PeerClosed { torrent: Some(torrent), addr, reason, .. } if self.voice.verbose > 0 => {
                let why = words::close(reason);
                self.say(torrent, &format!("peer {addr} closed: {why}"));
            }
            Event::PeerConnected { .. }
            | Event::PeerNamed { .. }
            | Event::PeerClosed { .. }
            | Event::Scraped { .. } => {}
        }
        None
    }

    /// The end of the run: tells what is unfinished, and gives the exit code.
    pub fn finish(mut self) -> Exit {
        if self.purpose == Purpose::Download {
            let unfinished: Vec<usize> = (0..self.torrents.len())
                .filter(|&at| self.torrents.get(at).is_some_and(|t| !t.is_over && !t.watch.is_complete()))
                .collect();
            for at in unfinished {
                let Some(torrent) = self.torrents.get(at) else { continue };
                let why = if torrent.summary.is_known() {
                    format!("interrupted at {:.1} %; the same command goes on", torrent.percent)
                } else {
                    "interrupted before its metadata came".to_owned()
                };
                let failure = Failure::new(Exit::Interrupted, &torrent.summary.name, why);
                self.tell_failure(&failure, Some(torrent.summary.info_hash));
            }
        }
        for at in 0..self.torrents.len() {
            self.screen.finish(at);
        }
        self.screen.end();
        let exit = self.failures.first().copied().unwrap_or(Exit::Done);
        self.json.write(&Line::End { code: exit.code() });
        exit
    }

    fn find(&mut self, key: TorrentKey) -> Option<(usize, &mut Torrent)> {
        let at = *self.by_key.get(&key)?;
        Some((at, self.torrents.get_mut(at)?))
    }

    fn on_checking(&mut self, key: TorrentKey, done: u32, total: u32, bad: u32) {
        let Some((at, torrent)) = self.find(key) else { return };
        let info_hash = torrent.summary.info_hash;
        self.json.write(&Line::Check { info_hash, done, total, bad });
        self.screen.update_check(at, done, total);
    }

    fn on_started(&mut self, now: Instant, key: TorrentKey, have: u32) -> Option<Action> {
        let purpose = self.purpose;
        let (at, torrent) = self.find(key)?;
        torrent.started_at = now;
        let (name, total) = (torrent.summary.shown_name(), torrent.summary.piece_count);
        match purpose {
            Purpose::Serve if have == 0 => {
                let failure =
                    Failure::new(Exit::Mismatch, &torrent.summary.name, "none of its data is there");
                return self.end_by(at, &failure);
            }
            Purpose::Serve => {
                torrent.watch.on_serving(now);
                let part = if have == total { "all of it" } else { "what is right" };
                self.screen.note(&format!("{name}: seeding {part}, {have} of {total} pieces"));
            }
            Purpose::Download if have > 0 && have < total => {
                self.screen.note(&format!("{name}: {have} of {total} pieces are there already"));
            }
            Purpose::Download => {}
        }
        None
    }

    fn on_progress(&mut self, now: Instant, key: TorrentKey, progress: &Progress) -> Option<Action> {
        let (at, torrent) = self.find(key)?;
        let verdict = torrent.watch.on_progress(now, progress);
        let stall = torrent.watch.stall(now, progress);
        let (info_hash, name) = (torrent.summary.info_hash, torrent.summary.shown_name());
        torrent.percent = format::percent(progress.done_len, progress.wanted_len);
        self.screen.update(at, now, progress);
        self.json.write(&Line::Progress(Box::new(ProgressLine::new(info_hash, progress))));
        if let Some(stall) = stall {
            let time = format::duration(stall.time);
            self.screen.note(&format!(
                "{name}: nothing has come for {time}: {}",
                stall_words(stall.reason, progress)
            ));
            self.json.write(&Line::stall(info_hash, stall));
        }
        self.on_verdict(at, verdict?)
    }

    fn on_complete(&mut self, now: Instant, key: TorrentKey, progress: &Progress) -> Option<Action> {
        let (at, torrent) = self.find(key)?;
        let first = !torrent.watch.is_complete();
        let verdict = torrent.watch.on_complete(now, progress);
        let line = Line::Complete {
            info_hash: torrent.summary.info_hash,
            bytes: progress.done_len,
            seconds: seconds(now.since(torrent.added_at)),
            wasted: progress.wasted_len,
        };
        let last = ProgressLine::new(torrent.summary.info_hash, progress);
        if first {
            let words = words::complete(progress, now.since(torrent.started_at));
            let note = format!("{}: {words}", torrent.summary.shown_name());
            // A short download has no other line of its figures.
            self.json.write(&Line::Progress(Box::new(last)));
            self.json.write(&line);
            self.screen.note(&note);
        }
        self.on_verdict(at, verdict?)
    }

    fn on_file(&mut self, key: TorrentKey, file: usize) {
        let verbose = self.voice.verbose > 0;
        let Some(at) = self.find(key).map(|(at, _)| at) else { return };
        let Some(torrent) = self.torrents.get(at) else { return };
        let Some((index, path)) = torrent.summary.file(file) else { return };
        self.json.write(&Line::File { info_hash: torrent.summary.info_hash, index, path });
        if verbose {
            self.screen.note(&format!("{}: complete", escaped(path)));
        }
    }

    fn on_tracker(
        &mut self,
        key: TorrentKey,
        url: &str,
        result: &Result<TrackerReport, String>,
        next: Option<Duration>,
    ) {
        let verbose = self.voice.verbose > 0;
        let Some((_, torrent)) = self.find(key) else { return };
        let said = words::tracker(url, result, next);
        let is_news = torrent.tracker_said.as_ref() != Some(&said.news);
        let line = format!("{}: {}", torrent.summary.shown_name(), said.line);
        torrent.tracker_said = Some(said.news);
        let info_hash = torrent.summary.info_hash;
        if verbose || (said.matters && is_news) {
            self.screen.note(&line);
        }
        let report = result.as_ref().ok();
        self.json.write(&Line::Tracker {
            info_hash,
            url,
            ok: report.is_some(),
            error: result.as_ref().err().map(String::as_str),
            peers: report.map(|report| report.peer_count),
            next: next.map(|next| next.as_secs()),
            warning: report.and_then(|report| report.warning.as_deref()),
            external_ip: report.and_then(|report| report.external_ip),
        });
    }

    fn on_web_seed(&mut self, key: TorrentKey, url: &str, why: &str, next: Option<Duration>) {
        let Some((_, torrent)) = self.find(key) else { return };
        let info_hash = torrent.summary.info_hash;
        let next_secs = next.map(|next| next.as_secs());
        self.json.write(&Line::WebSeed { info_hash, url, error: why, next: next_secs });
        let again = next.map_or_else(
            || "not asked again".to_owned(),
            |next| format!("asked again in {}", format::duration(next)),
        );
        self.say(key, &format!("web seed {url}: {why}; {again}"));
    }

    fn on_stopped(&mut self, key: TorrentKey, error: &TorrentError) -> Option<Action> {
        let purpose = self.purpose;
        let (at, _) = self.find(key)?;
        let disk = match error {
            TorrentError::Disk(disk) => disk,
            TorrentError::Metadata(_) => {
                let failure = Failure::new(Exit::Invalid, &self.torrents.get(at)?.summary.name, error);
                return self.end_by(at, &failure);
            }
        };
        let failure = Failure::from(disk);
        // What is to be served is an input.
        let is_input = purpose == Purpose::Serve && disk.kind == DiskErrorKind::NotFound;
        self.end_by(at, &if is_input { failure.with_exit(Exit::Input) } else { failure })
    }

    fn on_verdict(&mut self, at: usize, verdict: Verdict) -> Option<Action> {
        match verdict {
            Verdict::Reached => self.end(at),
            Verdict::GaveUp => {
                let failure = Failure::new(
                    Exit::GaveUp,
                    &self.torrents.get(at)?.summary.name,
                    "gave up: no new piece within the stop timeout",
                );
                self.end_by(at, &failure)
            }
        }
    }

    fn end_by(&mut self, at: usize, failure: &Failure) -> Option<Action> {
        let info_hash = self.torrents.get(at)?.summary.info_hash;
        self.tell_failure(failure, Some(info_hash));
        self.end(at)
    }

    fn end(&mut self, at: usize) -> Option<Action> {
        self.screen.finish(at);
        let torrent = self.torrents.get_mut(at)?;
        torrent.is_over = true;
        let key = torrent.key;
        self.by_key.remove(&key);
        Some(if self.by_key.is_empty() { Action::ShutDown } else { Action::Remove(key) })
    }

    fn tell_failure(&mut self, failure: &Failure, info_hash: Option<InfoHash>) {
        self.failures.push(failure.exit());
        self.screen.error(&format!("peerless: {failure}"));
        let info_hash = info_hash.map(|hash| hash.to_string());
        self.json.write(&Line::Error { code: failure.exit().code(), message: failure.message(), info_hash });
    }

    fn say(&mut self, key: TorrentKey, what: &str) {
        let Some((_, torrent)) = self.find(key) else { return };
        let line = format!("{}: {}", torrent.summary.shown_name(), escaped(what));
        self.screen.note(&line);
    }

    fn warn(&mut self, key: TorrentKey, what: &str, error: &DiskError) {
        self.say(key, &format!("{what}: {error}"));
    }
}
