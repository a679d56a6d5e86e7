use std::path::PathBuf;
use std::time::Duration;

use peerless_core::key::Slab;
use peerless_core::{DiskError, DiskErrorKind, Event, Progress, StallReason, State, TorrentError};
use serde_json::Value;

use super::*;
use crate::goals::Then;

fn at(secs: u64) -> Instant {
    Instant::from_start(Duration::from_secs(secs))
}

fn progress(state: State, have_count: u32) -> Box<Progress> {
    Box::new(Progress {
        state,
        done_len: u64::from(have_count) * 10,
        wanted_len: 40,
        have_count,
        piece_count: 4,
        downloaded_len: u64::from(have_count) * 10,
        uploaded_len: 0,
        wasted_len: 0,
        down_rate: 10,
        up_rate: 0,
        stall: Some(StallReason::NoPeers),
        peer_count: 1,
        seed_count: 1,
        unchoked_count: 1,
        web_seed_count: 0,
        candidate_count: 1,
    })
}

/// A quiet run whose JSON goes to a vector, with one torrent for each of `goals`.
struct Run {
    transfer: Transfer<Vec<u8>>,
    keys: Vec<TorrentKey>,
}

fn run(purpose: Purpose, goals: &[Goals]) -> Run {
    let voice = Voice { verbose: 0 };
    let json = JsonLines::new(Some(Vec::new()));
    let mut transfer = Transfer::new(purpose, voice, Screen::new(true), json);
    let mut slab: Slab<TorrentKey, ()> = Slab::default();
    let mut keys = Vec::new();
    for (number, goals) in goals.iter().enumerate() {
        slab.insert_with(|key| keys.push(key));
        let summary = Summary {
            name: format!("t{number}"),
            info_hash: InfoHash::new([0; 20]),
            total_len: 40,
            piece_count: 4,
            file_count: 2,
            files: vec![Some((1, "t/a".to_owned())), None, Some((2, "t/b".to_owned()))],
        };
        transfer.add(at(0), keys[number], summary, *goals);
    }
    Run { transfer, keys }
}

const DOWNLOAD: Goals = Goals { then: Then::Exit, stop_timeout: None };
const SEED: Goals = Goals { then: Then::Seed, stop_timeout: None };

impl Run {
    fn on(&mut self, secs: u64, event: impl FnOnce(TorrentKey) -> Event) -> Option<Action> {
        let key = self.keys[0];
        self.transfer.on_event(at(secs), event(key))
    }

    fn complete(&mut self, secs: u64, number: usize) -> Option<Action> {
        let torrent = self.keys[number];
        self.transfer.on_event(at(secs), Event::Complete { torrent, progress: progress(State::Seeding, 4) })
    }

    fn stopped(&mut self, kind: DiskErrorKind) -> Option<Action> {
        let error = DiskError { kind, path: PathBuf::from("f"), why: "no".to_owned() };
        self.on(1, |torrent| Event::Stopped { torrent, error: TorrentError::Disk(error) })
    }

    fn lines(&mut self) -> Vec<Value> {
        let text = String::from_utf8(self.transfer.json.out().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn the_last_torrent_to_be_done_ends_the_run() {
    let mut run = run(Purpose::Download, &[DOWNLOAD, DOWNLOAD]);
    assert_eq!(run.complete(1, 1), Some(Action::Remove(run.keys[1])));
    assert_eq!(run.complete(2, 0), Some(Action::ShutDown));
    assert_eq!(run.transfer.finish(), Exit::Done);
}

#[test]
fn a_download_that_seeds_on_is_complete_once_and_interrupted_with_success() {
    let mut run = run(Purpose::Download, &[SEED]);
    assert_eq!((run.complete(1, 0), run.complete(2, 0)), (None, None));
    let completes = run.lines().iter().filter(|line| line["type"] == "complete").count();
    assert_eq!(completes, 1);
    let types: Vec<_> = run.lines().iter().map(|line| line["type"].clone()).collect();
    let at = types.iter().position(|kind| kind == "complete").unwrap();
    assert_eq!(types[at - 1], "progress", "the figures at the end");
    assert_eq!(run.transfer.finish(), Exit::Done);
}

#[test]
fn an_unfinished_download_ends_interrupted() {
    let mut run = run(Purpose::Download, &[DOWNLOAD, DOWNLOAD]);
    assert!(run.complete(1, 0).is_some());
    assert_eq!(run.transfer.finish(), Exit::Interrupted);
}

#[test]
fn the_first_failure_decides_the_code() {
    let mut run = run(Purpose::Download, &[DOWNLOAD, DOWNLOAD]);
    run.transfer.fail(&Failure::new(Exit::Input, "x.torrent", "is not there"));
    assert!(run.stopped(DiskErrorKind::Full).is_some());
    assert!(run.complete(1, 1).is_some());
    assert_eq!(run.transfer.finish(), Exit::Input);
}

#[test]
fn disk_trouble_ends_one_torrent_with_its_code() {
    for (purpose, kind, exit) in [
        (Purpose::Download, DiskErrorKind::Full, Exit::DiskFull),
        (Purpose::Download, DiskErrorKind::Denied, Exit::Disk),
        (Purpose::Download, DiskErrorKind::Locked, Exit::Refused),
        (Purpose::Download, DiskErrorKind::NotFound, Exit::Disk),
        (Purpose::Serve, DiskErrorKind::NotFound, Exit::Input),
    ] {
        let mut run = run(purpose, &[DOWNLOAD]);
        assert_eq!(run.stopped(kind), Some(Action::ShutDown));
        assert_eq!(run.transfer.finish(), exit, "{purpose:?} {kind:?}");
    }
}

#[test]
fn giving_up_has_its_own_code() {
    let goals = Goals { stop_timeout: Some(Duration::from_secs(5)), ..DOWNLOAD };
    let mut run = run(Purpose::Download, &[goals]);
    let leeching = |torrent| Event::Progress { torrent, progress: progress(State::Leeching, 0) };
    assert_eq!(run.on(4, leeching), None);
    assert_eq!(run.on(5, leeching), Some(Action::ShutDown));
    let error = run.lines().pop().unwrap();
    assert_eq!((&error["type"], &error["code"]), (&"error".into(), &5.into()));
    assert_eq!(run.transfer.finish(), Exit::GaveUp);
}

#[test]
fn seeding_is_done_when_stopped_but_needs_something_to_seed() {
    let mut some = run(Purpose::Serve, &[SEED]);
    assert_eq!(some.on(1, |torrent| Event::Started { torrent, have: 3 }), None);
    assert_eq!(some.transfer.finish(), Exit::Done);
    let mut none = run(Purpose::Serve, &[SEED]);
    assert_eq!(none.on(1, |torrent| Event::Started { torrent, have: 0 }), Some(Action::ShutDown));
    assert_eq!(none.transfer.finish(), Exit::Mismatch);
}

#[test]
fn files_are_numbered_from_one_without_padding() {
    let mut run = run(Purpose::Download, &[DOWNLOAD]);
    for file in 0..4 {
        assert_eq!(run.on(1, |torrent| Event::FileDone { torrent, file }), None);
    }
    let files: Vec<_> = run.lines().into_iter().filter(|line| line["type"] == "file").collect();
    let told: Vec<_> = files.iter().map(|line| (&line["index"], &line["path"])).collect();
    assert_eq!(told, [(&1.into(), &"t/a".into()), (&2.into(), &"t/b".into())]);
}

#[test]
fn a_trackers_failure_is_told_with_its_words() {
    let mut run = run(Purpose::Download, &[DOWNLOAD]);
    let result = Err("unregistered torrent".to_owned());
    let next = Some(Duration::from_secs(60));
    run.on(1, |torrent| Event::Tracker { torrent, url: "http://t/a".to_owned(), result, next });
    let line = run.lines().pop().unwrap();
    assert_eq!((&line["ok"], &line["error"]), (&false.into(), &"unregistered torrent".into()));
    assert_eq!((&line["peers"], &line["next"]), (&Value::Null, &60.into()));
}
