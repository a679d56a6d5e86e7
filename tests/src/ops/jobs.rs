//! What comes of jobs, good and bad.

use std::net::SocketAddr;

use peerless_core::{
    DiskError, DiskErrorKind, FetchError, FetchFailure, Input, Job, JobDone, MetadataError, StoreError,
    StoreTime,
};

use super::{Source, World};
use peerless_sim::web::{Answer, WebServer};

impl World {
    pub(super) fn finish_job(&mut self, source: &mut Source<'_>) {
        self.drain();
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(source.below(self.jobs.len()));
        let done = match job {
            Job::Announce { torrent, tier, family, .. } => {
                let named = b"d8:intervali60e5:peers12:\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe1e";
                let body = [&named[..], b"de", b"x"][source.below(3)];
                if body.len() > 2 {
                    self.seen.named.extend([1, 2].map(|last| SocketAddr::from(([10, 0, 0, last], 6881))));
                }
                JobDone::Announced { torrent, tier, family, result: Ok(body.to_vec()) }
            }
            Job::Scrape { number, .. } => {
                let body: [&[u8]; 2] = [b"d5:filesdee", b"x"];
                JobDone::Scraped { number, result: Ok(body[source.below(2)].to_vec()) }
            }
            Job::CheckBind { .. } => JobDone::BindChecked { result: Ok(()) },
            Job::Resolve { whom, host, port, .. } => {
                let addr = self.addr(source.below(16));
                self.seen.named.insert(addr);
                JobDone::Resolved { whom, host, port, result: Ok(vec![addr]) }
            }
            Job::Fetch { torrent, seed, run, parts, block_lens, .. } => {
                // Mostly what is right, so that pieces come about.
                let answers = [Answer::Right, Answer::Right, Answer::Cut, Answer::Wrong];
                let mut web = WebServer::new(self.sample, answers[source.below(4)]);
                let (blocks, result) = web.get(&parts, &block_lens);
                JobDone::Fetched { torrent, seed, run, blocks, result }
            }
            job @ (Job::Open { .. }
            | Job::Choose { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Read { .. }
            | Job::Save { .. }
            | Job::Metadata { .. }
            | Job::Record { .. }) => self.host.disk.run(job),
        };
        self.host.session.handle_input(self.now, Input::Done(done));
    }

    pub(super) fn fail_job(&mut self, source: &mut Source<'_>) {
        self.drain();
        if self.jobs.is_empty() {
            return;
        }
        let error = || DiskError { kind: DiskErrorKind::Full, path: "/sim".into(), why: "full".into() };
        let done = match self.jobs.remove(source.below(self.jobs.len())) {
            Job::Open { torrent, storage, .. } => {
                self.host.disk.give_up(storage.metainfo.info_hash());
                JobDone::Opened { torrent, result: Err(error()) }
            }
            Job::Fetch { torrent, seed, run, .. } => {
                let status = [404, 503][source.below(2)];
                let failure = FetchFailure { error: FetchError::Status(status), retry_after: None };
                JobDone::Fetched { torrent, seed, run, blocks: Vec::new(), result: Err(failure) }
            }
            Job::Choose { torrent, .. } => JobDone::Chosen { torrent, result: Err(error()) },
            Job::Check { torrent, pieces, .. } => JobDone::Checked { torrent, pieces, result: Err(error()) },
            Job::Store { torrent, pieces, .. } => {
                let failed = pieces.into_iter().map(|piece| piece.stored(Err(StoreError::Disk(error()))));
                JobDone::Stored { torrent, pieces: failed.collect(), time: StoreTime::default() }
            }
            Job::Read { torrent, peer, range, .. } => {
                JobDone::Read { torrent, peer, range, result: Err(error()) }
            }
            Job::Save { torrent, storage, close, .. } => {
                if close {
                    self.host.disk.give_up(storage.metainfo.info_hash());
                }
                JobDone::Saved { torrent, result: Err(error()) }
            }
            Job::Announce { torrent, tier, family, .. } => {
                JobDone::Announced { torrent, tier, family, result: Err(FetchError::Timeout) }
            }
            Job::Scrape { number, .. } => JobDone::Scraped { number, result: Err(FetchError::Timeout) },
            Job::CheckBind { .. } => JobDone::BindChecked { result: Err("gone".into()) },
            Job::Resolve { whom, host, port, .. } => {
                JobDone::Resolved { whom, host, port, result: Err("none".into()) }
            }
            Job::Metadata { torrent, .. } => {
                JobDone::Metadata { torrent, result: Err(MetadataError::NotSaved) }
            }
            Job::Record { .. } => JobDone::Recorded { result: Err(error()) },
        };
        self.host.session.handle_input(self.now, Input::Done(done));
    }
}
