//! `peerless scrape SOURCE`: how many peers a torrent has, by its trackers (BEP 48, BEP 15).

use std::ffi::OsStr;
use std::fmt;

use peerless_core::text::escaped;
use peerless_core::tracker::SwarmCounts;
use peerless_core::{Config, Event, InfoHash, Instant, Route, Session};
use peerless_jobs::HttpOptions;
use serde::Serialize;

use crate::args::ScrapeArgs;
use crate::drive::Run;
use crate::exit::{Exit, Failure};
use crate::listen::Listeners;
use crate::signal::Signals;
use crate::source::Source;
use crate::{out, random};

/// Asks and prints.
///
/// # Errors
/// When the source can't be read or names no tracker, or no tracker answers.
pub fn run(args: &ScrapeArgs, signals: &Signals) -> Result<Exit, Failure> {
    let route = args.way.open()?;
    let mut scrape = Scrape::of(args, &route)?;
    if scrape.trackers.is_empty() {
        let what = args.source.to_string_lossy();
        return Err(Failure::new(Exit::Other, what, "it names no tracker; --tracker URL gives one"));
    }
    let config = Config { route: route.clone(), ..Config::default() };
    let mut session = Session::new(config, random::seed(), Instant::START);
    for tracker in &scrape.trackers {
        session.scrape(Instant::START, tracker.url.clone(), vec![scrape.info_hash]);
    }
    let http = HttpOptions { user_trackers: args.trackers.clone(), ..HttpOptions::default() };
    let run = Run {
        runtime: args.runtime,
        listeners: Listeners::for_datagrams(&route),
        options: peerless_jobs::Options { http, ..Default::default() },
        late_exit: Exit::Interrupted,
    };
    run.drive(session, signals, |session, now, event| {
        if let Event::Scraped { url, result } = event {
            scrape.take(&url, result);
        }
        if scrape.trackers.iter().all(|tracker| tracker.ok.is_some()) {
            session.shut_down(now);
        }
    })?;
    if args.json {
        out::print_json(&scrape)?;
    } else {
        out::print(&scrape.to_string())?;
    }
    if scrape.trackers.iter().any(|tracker| tracker.ok == Some(true)) {
        Ok(Exit::Done)
    } else if signals.is_stopping() {
        Ok(Exit::Interrupted)
    } else {
        Err(Failure::new(Exit::Network, scrape.info_hash, "no tracker answers"))
    }
}

/// What is asked and what has come; this is what `--json` prints, and `Display` is for people.
#[derive(Debug, Serialize)]
struct Scrape {
    #[serde(serialize_with = "display")]
    info_hash: InfoHash,
    trackers: Vec<Tracker>,
}

#[derive(Debug, Serialize)]
struct Tracker {
    url: String,
    /// Whether it answered; `null` if the run was ended before that was known.
    ok: Option<bool>,
    error: Option<String>,
    seeds: Option<u32>,
    leeches: Option<u32>,
    downloaded: Option<u32>,
}

impl Scrape {
    fn of(args: &ScrapeArgs, route: &Route) -> Result<Self, Failure> {
        let source = Source::parse(OsStr::new(&args.source))?;
        let (info_hash, mut urls) = match &source {
            Source::Magnet(magnet) => (magnet.info_hash, magnet.trackers.clone()),
            Source::File(_) | Source::Url(_) => {
                let metainfo = source.load(route)?;
                (metainfo.info_hash(), metainfo.tiers().concat())
            }
        };
        urls.extend(args.trackers.iter().cloned());
        let mut trackers: Vec<Tracker> = Vec::new();
        for url in urls {
            if trackers.iter().all(|tracker| tracker.url != url) {
                trackers.push(Tracker {
                    url,
                    ok: None,
                    error: None,
                    seeds: None,
                    leeches: None,
                    downloaded: None,
                });
            }
        }
        Ok(Self { info_hash, trackers })
    }

    fn take(&mut self, url: &str, result: Result<Vec<SwarmCounts>, String>) {
        let Some(tracker) = self.trackers.iter_mut().find(|tracker| tracker.url == url) else { return };
        tracker.ok = Some(result.is_ok());
        match result {
            Ok(counts) => {
                let counts = counts.first().copied().unwrap_or_default();
                tracker.seeds = Some(counts.seeds);
                tracker.leeches = Some(counts.leeches);
                tracker.downloaded = Some(counts.downloaded);
            }
            Err(error) => tracker.error = Some(error),
        }
    }
}

impl fmt::Display for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tracker in &self.trackers {
            let url = escaped(&tracker.url);
            match (&tracker.error, tracker.seeds, tracker.leeches, tracker.downloaded) {
                (Some(error), ..) => writeln!(f, "{url}: {}", escaped(error))?,
                (None, Some(seeds), Some(leeches), Some(downloaded)) => {
                    writeln!(f, "{url}: {seeds} seeds, {leeches} leeches, {downloaded} downloaded")?;
                }
                (None, ..) => writeln!(f, "{url}: no answer yet")?,
            }
        }
        Ok(())
    }
}

fn display<S: serde::Serializer>(value: &InfoHash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::RuntimeArg;
    use crate::route::RouteArgs;

    fn args(source: &str, trackers: &[&str]) -> ScrapeArgs {
        ScrapeArgs {
            source: source.into(),
            trackers: trackers.iter().map(|&url| url.to_owned()).collect(),
            way: RouteArgs::default(),
            runtime: RuntimeArg::Mio,
            json: false,
        }
    }

    #[test]
    fn each_tracker_is_asked_once_and_has_its_line() {
        let link = format!("magnet:?xt=urn:btih:{}&tr=udp%3A%2F%2Fa%3A1&tr=http%3A%2F%2Fb", "ab".repeat(20));
        let mut scrape = Scrape::of(&args(&link, &["http://c", "udp://a:1"]), &Route::default()).unwrap();
        scrape.take("udp://a:1", Ok(vec![SwarmCounts { seeds: 1, leeches: 2, downloaded: 3 }]));
        scrape.take("http://b", Err("no\u{1b}".to_owned()));
        scrape.take("http://elsewhere", Ok(Vec::new()));
        assert_eq!(
            scrape.to_string(),
            "udp://a:1: 1 seeds, 2 leeches, 3 downloaded\nhttp://b: no\\u{1b}\nhttp://c: no answer yet\n"
        );
        let json = serde_json::to_value(&scrape).unwrap();
        let trackers = json["trackers"].as_array().unwrap();
        assert_eq!((json["info_hash"].as_str(), trackers.len()), (Some(&*"ab".repeat(20)), 3));
        assert_eq!(
            (&trackers[0]["seeds"], &trackers[1]["ok"], &trackers[2]["ok"]),
            (&1.into(), &false.into(), &serde_json::Value::Null)
        );
    }
}
