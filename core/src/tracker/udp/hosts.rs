//! Names of UDP trackers: each is looked up once for all who ask there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::Target;
use crate::cx::Cx;
use crate::job::{Job, ResolveFor};
use crate::route::Bind;
use crate::time::Instant;
use crate::tracker::ask::Asker;

/// How long addresses are used again: many torrents ask one tracker within this time, and one that
/// moves is found again soon.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Names kept. More than trackers in use within that time.
const HOST_COUNT_MAX: usize = 256;

/// What is known of each name.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: BTreeMap<Target, Host>,
}

#[derive(Debug)]
enum Host {
    /// It is being looked up, for these.
    Asked(BTreeSet<Asker>),
    Known {
        addrs: Vec<SocketAddr>,
        until: Instant,
    },
}

impl Hosts {
    /// The addresses of `target`, if they are known; else they are looked up, and `asker` waits.
    pub(super) fn look_up(
        &mut self,
        cx: &mut Cx,
        bind: Bind,
        target: &Target,
        asker: Asker,
    ) -> Option<Vec<SocketAddr>> {
        match self.hosts.get_mut(target) {
            Some(Host::Known { addrs, until }) if *until > cx.now => return Some(addrs.clone()),
            Some(Host::Asked(askers)) => {
                askers.insert(asker);
                return None;
            }
            Some(Host::Known { .. }) | None => {}
        }
        self.make_room(cx.now);
        self.hosts.insert(target.clone(), Host::Asked(BTreeSet::from([asker])));
        let Target { host, port } = target.clone();
        cx.job(Job::Resolve { whom: ResolveFor::Tracker, bind, host, port });
        None
    }

    /// A look-up has ended: gives who waits for it.
    pub(super) fn on_resolved(
        &mut self,
        now: Instant,
        target: &Target,
        addrs: Option<&[SocketAddr]>,
    ) -> BTreeSet<Asker> {
        let Some(Host::Asked(askers)) = self.hosts.remove(target) else { return BTreeSet::new() };
        if let Some(addrs) = addrs {
            let known = Host::Known { addrs: addrs.to_vec(), until: now + LIFETIME };
            self.hosts.insert(target.clone(), known);
        }
        askers
    }

    fn make_room(&mut self, now: Instant) {
        if self.hosts.len() < HOST_COUNT_MAX {
            return;
        }
        self.hosts.retain(|_, host| match host {
            Host::Asked(_) => true,
            Host::Known { until, .. } => *until > now,
        });
        if self.hosts.len() >= HOST_COUNT_MAX {
            self.hosts.retain(|_, host| matches!(host, Host::Asked(_)));
        }
    }
}
