//! The jobs of a swarm's hosts: to the disk, to a tracker, to the names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peerless_core::{FetchError, FetchFailure, FetchPart, Input, IpFamily, Job, JobDone};

use super::{Swarm, What};
use crate::link::{NodeId, pick};
use crate::tracker::host_of;
use crate::web::WebServer;

impl Swarm {
    /// Gives a job to whom it is for, after the time that it takes.
    pub(super) fn ask(&mut self, node: NodeId, job: Job) {
        let delay = match &job {
            // The names of trackers here have IPv4 addresses, and no look-up is needed to know it.
            Job::Announce { family: IpFamily::V6, .. } => self.net.tracker_delay.start,
            Job::Announce { .. } | Job::Scrape { .. } | Job::Resolve { .. } => {
                pick(&mut self.rng, &self.net.tracker_delay)
            }
            Job::Fetch { parts, .. } => {
                let time = self.web_of(parts).map_or(Duration::ZERO, |web| web.time_of(parts));
                pick(&mut self.rng, &self.net.tracker_delay) + time
            }
            Job::Open { .. }
            | Job::Choose { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Read { .. }
            | Job::Save { .. }
            | Job::Metadata { .. }
            | Job::CheckBind { .. }
            | Job::Record { .. } => self.disk_time(node, &job),
        };
        let host = self.host_mut(node);
        host.disk.ask(&job);
        let life = host.life;
        if delay.is_zero() {
            // As a runtime does what it can do at once.
            self.finish(node, job);
        } else {
            self.schedule(self.now + delay, What::Job(node, life, Box::new(job)));
        }
    }

    /// The web seed that is asked for these.
    fn web_of(&mut self, parts: &[FetchPart]) -> Option<&mut WebServer> {
        let url = parts.iter().find_map(|part| part.url.as_ref())?;
        self.web.get_mut(host_of(url))
    }

    /// The job's time has come; what it comes to is told to the session that asked.
    pub(super) fn work(&mut self, node: NodeId, life: u32, job: Job) {
        if self.host(node).life == life {
            self.finish(node, job);
            self.settle(node);
        }
    }

    /// Does a job and tells the session.
    fn finish(&mut self, node: NodeId, job: Job) {
        let (now, ip) = (self.now, self.addr(node).ip());
        let done = match job {
            Job::Announce { torrent, tier, family: family @ IpFamily::V6, .. } => {
                JobDone::Announced { torrent, tier, family, result: Err(FetchError::NoAddress) }
            }
            Job::Announce { torrent, tier, family: family @ IpFamily::V4, url, .. } => {
                let tracker = self.trackers.entry(host_of(&url).into()).or_default();
                let result = tracker.get(now, ip, &url, &mut self.rng);
                JobDone::Announced { torrent, tier, family, result }
            }
            Job::CheckBind { .. } => JobDone::BindChecked { result: Ok(()) },
            Job::Scrape { number, .. } => JobDone::Scraped { number, result: Err(FetchError::Status(404)) },
            Job::Fetch { torrent, seed, run, parts, block_lens, .. } => {
                let nobody =
                    || FetchFailure { error: FetchError::Failed("no such host".into()), retry_after: None };
                let (blocks, result) = match self.web_of(&parts) {
                    Some(web) => web.get(&parts, &block_lens),
                    None => (Vec::new(), Err(nobody())),
                };
                JobDone::Fetched { torrent, seed, run, blocks, result }
            }
            Job::Resolve { whom, bind, host, port } => {
                let found = self.names.get(&host).ok_or("no such name");
                let reached = |ips: &Vec<IpAddr>| {
                    let ips = ips.iter().filter(|ip| bind.reaches(**ip));
                    ips.map(|&ip| SocketAddr::new(ip, port)).collect()
                };
                let addrs = found.map(reached);
                JobDone::Resolved { whom, host, port, result: addrs.map_err(Into::into) }
            }
            job @ (Job::Open { .. }
            | Job::Choose { .. }
            | Job::Check { .. }
            | Job::Store { .. }
            | Job::Read { .. }
            | Job::Save { .. }
            | Job::Metadata { .. }
            | Job::Record { .. }) => {
                let host = self.host_mut(node);
                if host.has_ended() {
                    return;
                }
                host.effect_count += 1;
                host.disk.run(job)
            }
        };
        let host = self.host_mut(node);
        host.session.handle_input(now, Input::Done(done));
        host.look(now);
    }
}
