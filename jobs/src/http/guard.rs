//! Where a GET may lead.
//!
//! A torrent that names `http://localhost:8080/delete` as its tracker, or a public tracker that
//! redirects to the router's address, would make us attack the user's own network. So:
//! only http and https; on this machine nothing but trackers (paths that start with `/announce` or
//! `/scrape`);
//! and a public server can't redirect to a private address. The addresses judged are those that
//! are then connected to, so a host name that changes its address gains nothing.
//!
//! Through a proxy names are looked up there, and their addresses are not known here. Such a name counts
//! as far away, unless it is one of this machine or network by its form; addresses that are written out
//! are judged as ever.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use peerless_core::{FetchError, IpFamily, Reach, Route};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::{Source, url};
use crate::error::locked;

/// The addresses that ureq takes; more would be a panic there.
const ADDR_COUNT_MAX: usize = 16;

/// Judges one hop.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) source: Source,
    /// How near the server is that sent us here; `None`: nobody did.
    pub(super) from: Option<Reach>,
    pub(super) route: Route,
    /// Where addresses of one family alone are wanted.
    family: Option<IpFamily>,
}

/// What came of the look-up: how near the server is, or why it is not called.
pub(super) type Verdict = Arc<Mutex<Option<Result<Reach, FetchError>>>>;

impl Guard {
    pub(super) fn new(source: Source, route: &Route, family: Option<IpFamily>) -> Self {
        Self { source, from: None, route: route.clone(), family }
    }

    /// Refuses what is not http or https.
    pub(super) fn check_scheme(&self, url: &Uri) -> Result<(), FetchError> {
        match url.scheme_str() {
            Some("http" | "https") => Ok(()),
            Some(other) => Err(self.refusal(format!("scheme {other}"))),
            None => Err(self.refusal("no scheme".to_owned())),
        }
    }

    /// Refuses what may not be called so near, on a connection that is there already.
    pub(super) fn check(&self, url: &Uri, to: Reach) -> Result<(), FetchError> {
        self.refuses(target(url), to).map_or(Ok(()), |why| Err(self.refusal(why.to_owned())))
    }

    /// A resolver that hands out only addresses that may be called.
    pub(super) fn resolver(&self, verdict: Verdict) -> GuardedResolver {
        GuardedResolver { guard: self.clone(), verdict }
    }

    /// The addresses that may be called for `target`, a path with its query, all about as near as the first of them.
    fn judge(
        &self,
        target: &str,
        mut addrs: Vec<SocketAddr>,
    ) -> Result<(Reach, Vec<SocketAddr>), FetchError> {
        if !addrs.is_empty() {
            let (family, bind) = (self.family, self.route.bind);
            addrs.retain(|addr| {
                bind.reaches(addr.ip()) && family.is_none_or(|family| IpFamily::of(addr.ip()) == family)
            });
            if addrs.is_empty() {
                return Err(FetchError::NoAddress);
            }
        }
        let mut refused = None;
        let mut allowed: Vec<(Reach, SocketAddr)> = Vec::new();
        for addr in addrs {
            let reach = Reach::of(addr.ip());
            match self.refuses(target, reach) {
                Some(why) => refused = Some(why),
                None => allowed.push((reach, addr)),
            }
        }
        // Which of them answers is not known, so the farthest counts: it is trusted least.
        match (allowed.iter().map(|(reach, _)| *reach).max(), refused) {
            (Some(reach), _) => Ok((reach, allowed.into_iter().map(|(_, addr)| addr).collect())),
            (None, Some(why)) => Err(self.refusal(why.to_owned())),
            (None, None) => Err(FetchError::Failed("host not found".to_owned())),
        }
    }

    /// How near the server is that a proxy is to find, unless it may not be called for `target`.
    fn judge_unseen(&self, target: &str, host: &str) -> Result<Reach, FetchError> {
        let reach = host.parse().map_or_else(|_| reach_of_name(host), Reach::of);
        self.refuses(target, reach).map_or(Ok(reach), |why| Err(self.refusal(why.to_owned())))
    }

    fn refuses(&self, target: &str, to: Reach) -> Option<&'static str> {
        if self.from == Some(Reach::Public) && to != Reach::Public {
            return Some("from a public to a private host");
        }
        if self.source == Source::WebSeed {
            // A file of a web seed may be near, but what a query does there is not ours to try. As
            // libtorrent has it.
            return (to != Reach::Public && target.contains('?')).then_some("with a query to a private host");
        }
        // A server on this machine that the user named may also lead on to others on it.
        let trusted = self.source == Source::User && matches!(self.from, None | Some(Reach::Local));
        (to == Reach::Local && !trusted && !is_tracker(target))
            .then_some("to this machine, but not to a tracker")
    }

    fn refusal(&self, why: String) -> FetchError {
        match self.from {
            None => FetchError::Url(why),
            Some(_) => FetchError::Redirect(why),
        }
    }
}

/// A URL's path and query.
fn target(url: &Uri) -> &str {
    url.path_and_query().map_or("/", |target| target.as_str())
}

/// Whether a path can only be a tracker's. A key behind `/announce` is fine; in front of it there
/// could be any program's name, and a way back up could lead to one.
fn is_tracker(target: &str) -> bool {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let climbs = path.contains("..") || path.to_ascii_lowercase().contains("%2e") || path.contains('\\');
    (path.starts_with("/announce") || path.starts_with("/scrape")) && !climbs
}

/// The system's name resolution behind a [`Guard`].
#[derive(Debug)]
pub(super) struct GuardedResolver {
    guard: Guard,
    verdict: Verdict,
}

impl Resolver for GuardedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (host, port) = url::host_and_port(uri).ok_or(ureq::Error::HostNotFound)?;
        let judged = if self.guard.route.unproxied().is_some() {
            self.guard.judge(target(uri), look_up(host, port, timeout)?)
        } else {
            self.guard.judge_unseen(target(uri), host).map(|reach| (reach, Vec::new()))
        };
        match judged {
            Ok((reach, addrs)) => {
                *locked(&self.verdict) = Some(Ok(reach));
                let mut resolved = self.empty();
                addrs.into_iter().take(ADDR_COUNT_MAX).for_each(|addr| resolved.push(addr));
                Ok(resolved)
            }
            Err(refused) => {
                *locked(&self.verdict) = Some(Err(refused));
                Err(ureq::Error::HostNotFound)
            }
        }
    }
}

/// How near a host is whose address is not known, by the form of its name (RFC 6761, RFC 6762). A name
/// without a dot is one of a local network.
fn reach_of_name(host: &str) -> Reach {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.rsplit_once('.').map_or(("", host.as_str()), |(rest, last)| (rest, last)) {
        (_, "localhost") => Reach::Local,
        ("", _) | (_, "local") => Reach::Private,
        _ => Reach::Public,
    }
}

/// Looks a host up on a thread of its own, since the system's look-up can't be told how long it
/// may take. A late one ends by itself.
fn look_up(host: &str, port: u16, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let host = host.to_owned();
    let (answer, answered) = mpsc::sync_channel(1);
    thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let addrs = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        let _ = answer.send(addrs);
    })?;
    match answered.recv_timeout(*timeout.after) {
        Ok(addrs) => Ok(addrs?),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(ureq::Error::Timeout(timeout.reason)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(ureq::Error::HostNotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::Bind;
    use proptest::prelude::*;

    /// Which of the addresses may be called.
    fn allowed(source: Source, from: impl Into<Option<Reach>>, path: &str) -> Vec<Reach> {
        let guard = Guard { from: from.into(), ..Guard::new(source, &Route::default(), None) };
        let addrs = ["127.0.0.1:1", "192.168.0.1:1", "8.8.8.8:1"].map(|addr| addr.parse().unwrap());
        guard.judge(path, addrs.into()).map_or(vec![], |(farthest, addrs)| {
            assert_eq!(Some(farthest), addrs.iter().map(|addr| Reach::of(addr.ip())).max());
            addrs.iter().map(|addr| Reach::of(addr.ip())).collect()
        })
    }

    #[test]
    fn each_hop_may_lead_so_far() {
        use Reach::{Local, Private, Public};
        use Source::{Torrent, User};
        let all = vec![Local, Private, Public];
        assert_eq!(allowed(Torrent, None, "/announce"), all);
        assert_eq!(allowed(Torrent, None, "/x"), all[1..]);
        assert_eq!(allowed(User, None, "/x"), all);
        assert_eq!(allowed(User, Local, "/x"), all);
        assert_eq!(allowed(Torrent, Local, "/x"), all[1..]);
        for source in [Torrent, User] {
            assert_eq!(allowed(source, Public, "/announce"), [Public]);
            assert_eq!(allowed(source, Private, "/announce"), all);
            assert_eq!(allowed(source, Private, "/x"), all[1..]);
        }
    }

    #[test]
    fn a_public_name_with_a_private_address_counts_as_private() {
        let guard = Guard { from: Some(Reach::Public), ..Guard::new(Source::User, &Route::default(), None) };
        let refused = guard.judge("/x", vec!["10.0.0.1:80".parse().unwrap()]);
        assert!(matches!(refused, Err(FetchError::Redirect(_))));
    }

    #[test]
    fn one_family_alone_is_called_where_that_is_wanted() {
        let addrs = || ["10.0.0.1:1", "[fd00::1]:1"].map(|addr| addr.parse().unwrap()).to_vec();
        for (family, at) in [(IpFamily::V4, 0), (IpFamily::V6, 1)] {
            let guard = Guard::new(Source::Torrent, &Route::default(), Some(family));
            assert_eq!(guard.judge("/announce", addrs()), Ok((Reach::Private, vec![addrs()[at]])));
            let other = vec![addrs()[1 - at]];
            assert_eq!(guard.judge("/announce", other), Err(FetchError::NoAddress));
        }
    }

    #[test]
    fn what_is_bound_calls_its_family_alone() {
        let addrs = || ["10.0.0.1:1", "[fd00::1]:1"].map(|addr| addr.parse().unwrap()).to_vec();
        for (ip, at) in [("10.0.0.9", 0), ("fd00::9", 1)] {
            let route = Bind::to(ip.parse().unwrap()).into();
            let guard = Guard::new(Source::User, &route, None);
            assert_eq!(guard.judge("/x", addrs()), Ok((Reach::Private, vec![addrs()[at]])));
            assert_eq!(guard.judge("/x", vec![addrs()[1 - at]]), Err(FetchError::NoAddress));
        }
    }

    #[test]
    fn hosts_behind_a_proxy_are_judged_as_far_as_they_can_be() {
        use Reach::{Local, Private, Public};
        let of = |from, path, host| {
            let guard = Guard { from, ..Guard::new(Source::Torrent, &Route::default(), None) };
            guard.judge_unseen(path, host).ok()
        };
        for (host, reach) in [
            ("tracker.example", Public),
            ("8.8.8.8", Public),
            ("tracker", Private),
            ("nas.local.", Private),
            ("192.168.0.1", Private),
            ("fd00::1", Private),
            ("LOCALHOST", Local),
            ("a.localhost", Local),
            ("127.0.0.1", Local),
        ] {
            assert_eq!(of(None, "/announce", host), Some(reach), "{host}");
            assert_eq!(of(None, "/x", host), (reach != Local).then_some(reach), "{host}");
            assert_eq!(of(Some(Public), "/announce", host), (reach == Public).then_some(reach), "{host}");
        }
    }

    #[test]
    fn trackers_of_this_machine_are_told_by_their_path() {
        for path in ["/announce", "/announce.php", "/announce/key", "/scrape"] {
            assert!(is_tracker(path), "{path}");
        }
        for path in ["/", "/admin/announce", "/announce/../admin", "/announce/%2E%2e/admin", "/announce\\.x"]
        {
            assert!(!is_tracker(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_out_of_a_trackers_place_counts_as_its(
            begin in prop::sample::select(vec!["/announce", "/scrape", ""]),
            parts in prop::collection::vec(prop::sample::select(vec![
                "/announce", "/scrape", "/", "?", ".", "..", "%2e", "%2E", "%2f", "%", "2", "e", "\\", "admin",
            ]), 0..8),
        ) {
            let path = format!("{begin}{}", parts.concat());
            if is_tracker(&path) {
                let decoded = path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/");
                let decoded = decoded.split('?').next().unwrap();
                prop_assert!(decoded.starts_with("/announce") || decoded.starts_with("/scrape"), "{path}");
                prop_assert!(!decoded.split(['/', '\\']).any(|part| part == ".."), "{path}");
            }
        }
    }
}
