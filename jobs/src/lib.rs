//! The blocking work of a session: files, hashing, HTTP, name resolution.
//!
//! [`Jobs::run`] does any [`Job`] and returns what came of it. It is called from several worker
//! threads at once, and it always returns: what goes wrong is in the [`JobDone`]. The runtimes
//! take it as an argument, so that a test can put its own in its place.

mod disk;
mod error;
mod files;
pub mod hash;
mod http;
mod lock;
mod metadata;
mod parallel;
mod pieces;
mod proxy;
mod record;
mod resolve;
mod resume;
pub mod verify;

pub use error::words;
pub use http::{HttpOptions, fetch};
pub use peerless_core::Lane;
pub use proxy::check_proxy;

use std::path::PathBuf;

use peerless_core::{Job, JobDone, Work};

use disk::Disk;
use http::web::Web;
use record::Recording;

/// What jobs may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Files kept open between jobs, at least one. Default: 128, half of what the strictest common
    /// limit (256, macOS) allows a process, which leaves as many for peers.
    pub open_files_max: usize,
    /// Bounds of HTTP requests.
    pub http: HttpOptions,
    /// Where the session's recording goes; emptied when its first part comes.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { open_files_max: 128, http: HttpOptions::default(), record: None }
    }
}

/// Does jobs. One is shared by all workers of a session.
#[derive(Debug)]
pub struct Jobs {
    disk: Disk,
    http: HttpOptions,
    web: Web,
    recording: Recording,
}

impl Jobs {
    /// Ready for work; nothing is opened before a job asks for it.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            disk: Disk::new(options.open_files_max),
            web: Web::new(options.http.clone()),
            http: options.http,
            recording: Recording::new(options.record),
        }
    }

    /// Does `job`, which may take as long as the disk or the network does.
    #[must_use]
    pub fn run(&self, job: Job) -> JobDone {
        match job {
            Job::Open { torrent, storage, check, purpose, unwanted } => {
                let result = self.disk.open(torrent, &storage, check, purpose, &unwanted);
                JobDone::Opened { torrent, result }
            }
            Job::Choose { torrent, storage, unwanted } => {
                let result = self.disk.choose(torrent, &storage, &unwanted);
                JobDone::Chosen { torrent, result }
            }
            Job::Check { torrent, storage, pieces } => {
                let result = self.disk.check(torrent, &storage, &pieces);
                JobDone::Checked { torrent, pieces, result }
            }
            Job::Store { torrent, storage, pieces } => {
                let (pieces, time) = self.disk.store(torrent, &storage, pieces);
                JobDone::Stored { torrent, pieces, time }
            }
            Job::Read { torrent, peer, storage, range, buffer } => {
                let result = self.disk.read(torrent, &storage, range, buffer);
                JobDone::Read { torrent, peer, range, result }
            }
            Job::Save { torrent, storage, have, close } => {
                let result = self.disk.save(torrent, &storage, have, close);
                JobDone::Saved { torrent, result }
            }
            Job::Announce { torrent, tier, route, family, url } => {
                let result = http::announce(&url, &route, family, &self.http);
                JobDone::Announced { torrent, tier, family, result }
            }
            Job::Scrape { number, route, url } => {
                JobDone::Scraped { number, result: http::scrape(&url, &route, &self.http) }
            }
            Job::Resolve { whom, bind, host, port } => {
                let result = resolve::resolve(bind, &host, port);
                JobDone::Resolved { whom, host, port, result }
            }
            Job::Metadata { torrent, work } => JobDone::Metadata { torrent, result: metadata::run(work) },
            Job::Fetch { torrent, seed, run, route, parts, block_lens } => {
                let (blocks, result) = self.web.fetch(&route, &parts, &block_lens);
                JobDone::Fetched { torrent, seed, run, blocks, result }
            }
            Job::CheckBind { ip } => {
                let result = peerless_net::check_bind(ip).map_err(|error| words(&error));
                JobDone::BindChecked { result }
            }
            Job::Record { offset, bytes } => {
                JobDone::Recorded { result: self.recording.write(offset, &bytes) }
            }
        }
    }
}

impl Work for Jobs {
    fn run(&self, job: Job) -> JobDone {
        self.run(job)
    }

    /// Reads for a peer what the system has in memory; everything else is for a worker.
    fn try_run(&self, job: Job) -> Result<JobDone, Job> {
        match job {
            Job::Read { torrent, peer, storage, range, mut buffer } => {
                if self.disk.read_cached(torrent, &storage, range, &mut buffer).is_some() {
                    Ok(JobDone::Read { torrent, peer, range, result: Ok(buffer.into_block()) })
                } else {
                    Err(Job::Read { torrent, peer, storage, range, buffer })
                }
            }
            Job::Open { .. }
            | Job::Choose { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Fetch { .. }
            | Job::Save { .. }
            | Job::Announce { .. }
            | Job::Scrape { .. }
            | Job::Resolve { .. }
            | Job::Metadata { .. }
            | Job::CheckBind { .. }
            | Job::Record { .. } => Err(job),
        }
    }
}
