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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const NOBODY: Asker = Asker::Scrape { number: 0 };

    fn target(number: usize) -> Target {
        Target { host: format!("t{number}"), port: 1 }
    }

    /// Whether the name's addresses are known; if not, they are asked for.
    fn knows(hosts: &mut Hosts, cx: &mut Cx, number: usize) -> bool {
        let bind = cx.config.route.unproxied().unwrap();
        hosts.look_up(cx, bind, &target(number), NOBODY).is_some()
    }

    #[test]
    fn names_are_bounded_and_those_go_first_that_would_be_looked_up_again() {
        let (mut cx, mut hosts) = (Cx::new(Config::default(), 1, Instant::START), Hosts::default());
        let addrs = [SocketAddr::from(([192, 0, 2, 1], 1))];
        let half = HOST_COUNT_MAX / 2;
        for number in 0..HOST_COUNT_MAX {
            cx.now = Instant::START + if number < half { Duration::ZERO } else { LIFETIME / 2 };
            assert!(!knows(&mut hosts, &mut cx, number));
            assert_eq!(hosts.on_resolved(cx.now, &target(number), Some(&addrs)), BTreeSet::from([NOBODY]));
            assert!(knows(&mut hosts, &mut cx, number));
        }
        cx.now = Instant::START + LIFETIME;
        assert!(!knows(&mut hosts, &mut cx, HOST_COUNT_MAX));
        assert_eq!(hosts.hosts.len(), half + 1);
        assert!(!knows(&mut hosts, &mut cx, 0) && knows(&mut hosts, &mut cx, half));

        // None is too old, but what is waited for is kept.
        (0..half - 2).for_each(|number| {
            knows(&mut hosts, &mut cx, HOST_COUNT_MAX + 1 + number);
            hosts.on_resolved(cx.now, &target(HOST_COUNT_MAX + 1 + number), Some(&addrs));
        });
        assert_eq!(hosts.hosts.len(), HOST_COUNT_MAX);
        assert!(!knows(&mut hosts, &mut cx, 9999) && hosts.hosts.len() == 3);
        assert_eq!(hosts.on_resolved(cx.now, &target(0), None), BTreeSet::from([NOBODY]));
    }
}
