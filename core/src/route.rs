//! Which way everything leaves the machine: from which address, and through which proxy.
//!
//! What leads outside names its way: an output has a [`Hop`], a job a [`Route`] or a [`Bind`]. A hop is
//! made by a route alone, which makes none that leads another way; so a runtime that does what it is
//! told can't leak.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::family::IpFamily;
use crate::percent;

/// The way of everything. By default: from whichever address the system chooses, straight there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// What every socket is bound to.
    pub bind: Bind,
    /// What everything goes through. What can't, UDP among it, is not sent at all.
    pub proxy: Option<Arc<Proxy>>,
}

impl Route {
    /// The first hop of a connection to `peer`; `None` if there is no such way.
    #[must_use]
    pub fn stream(&self, peer: SocketAddr) -> Option<Hop> {
        self.bind.hop(self.proxy.as_ref().map_or(peer, |proxy| proxy.addr))
    }

    /// The way of a datagram; `None` if there is no such way.
    #[must_use]
    pub fn datagram(&self, to: SocketAddr) -> Option<Hop> {
        self.unproxied()?.hop(to)
    }

    /// From where things go straight to where they are to go. `None`: a proxy is between, which also
    /// looks names up.
    #[must_use]
    pub const fn unproxied(&self) -> Option<Bind> {
        if self.proxy.is_some() { None } else { Some(self.bind) }
    }

    /// The families in which a tracker is told of us over HTTP. A proxy looks the tracker's name up and
    /// can't be told in which: it is asked once, as if in the first.
    pub(crate) fn families(&self) -> impl Iterator<Item = IpFamily> {
        let (bind, is_proxied) = (self.bind, self.proxy.is_some());
        let goes = move |family: &IpFamily| {
            if is_proxied { *family == IpFamily::V4 } else { bind.admits(*family) }
        };
        IpFamily::ALL.into_iter().filter(goes)
    }
}

impl From<Bind> for Route {
    fn from(bind: Bind) -> Self {
        Self { bind, proxy: None }
    }
}

/// The address that sockets are bound to, or any.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bind(Option<IpAddr>);

impl Bind {
    /// Whichever address the system chooses.
    pub const ANY: Self = Self(None);

    /// This one alone. The other family is then not reached at all.
    #[must_use]
    pub fn to(ip: IpAddr) -> Self {
        Self(Some(ip.to_canonical()))
    }

    /// The address; `None`: any.
    #[must_use]
    pub const fn ip(self) -> Option<IpAddr> {
        self.0
    }

    /// Whether hosts of this family are reached from here.
    #[must_use]
    pub fn admits(self, family: IpFamily) -> bool {
        self.0.is_none_or(|ip| IpFamily::of(ip) == family)
    }

    /// Whether this address is reached from here.
    #[must_use]
    pub fn reaches(self, ip: IpAddr) -> bool {
        self.admits(IpFamily::of(ip))
    }

    fn hop(self, to: SocketAddr) -> Option<Hop> {
        // As it is where it can be: an IPv6 address may have a scope.
        let ip = to.ip().to_canonical();
        let to = if ip == to.ip() { to } else { SocketAddr::new(ip, to.port()) };
        self.reaches(ip).then_some(Hop { bind: self, to })
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ip) => write!(f, "Bind({ip})"),
            None => f.write_str("Bind(any)"),
        }
    }
}

/// From where and to where a connection is made or a datagram sent. Only a [`Route`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    bind: Bind,
    to: SocketAddr,
}

impl Hop {
    /// What the socket is to be bound to.
    #[must_use]
    pub const fn bind(&self) -> Bind {
        self.bind
    }

    /// Whether a socket that is bound to `ip` may be used: to what is to be bound, or where that is any,
    /// to anything in the family.
    #[must_use]
    pub fn leaves_from(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.bind.ip().map_or_else(|| IpFamily::of(ip) == IpFamily::of(self.to.ip()), |bound| bound == ip)
    }

    /// Where to: with a proxy, to that. Of the family of the address that is bound.
    #[must_use]
    pub const fn to(&self) -> SocketAddr {
        self.to
    }
}

/// A SOCKS5 proxy (RFC 1928).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    /// Where it is.
    pub addr: SocketAddr,
    /// Who we are there, if it wants to know.
    pub login: Option<Login>,
}

/// User and password for a proxy (RFC 1929).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login {
    /// The user's name there.
    pub user: Secret,
    /// The user's password there.
    pub password: Secret,
}

/// Bytes that nobody else may see: they are in no recording, digest or message, but for their count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The most bytes that a SOCKS5 login has room for.
    pub const LEN_MAX: usize = 255;

    /// `None` if there are more than [`Secret::LEN_MAX`].
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= Self::LEN_MAX).then_some(Self(bytes))
    }

    /// What stands in a URL, with `%XX` for bytes that can't.
    #[must_use]
    pub fn of_url(text: &str) -> Option<Self> {
        Self::new(percent::decode(text))
    }

    /// So many bytes that are nobody's.
    pub(crate) fn blank(len: u8) -> Self {
        Self(vec![b'x'; len.into()])
    }

    pub(crate) fn len(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Hash for Secret {
    /// Outputs are digested for recordings, and by a digest a password could be guessed.
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn proxied(proxy: &str) -> Route {
        Route { bind: Bind::ANY, proxy: Some(Arc::new(Proxy { addr: addr(proxy), login: None })) }
    }

    fn bound(ip: &str) -> Route {
        Bind::to(ip.parse().unwrap()).into()
    }

    #[test]
    fn what_is_bound_reaches_its_family_alone() {
        let (v4, v6) = (addr("192.0.2.1:1"), addr("[2001:db8::1]:1"));
        for (route, reaches) in [
            (Route::default(), [true, true]),
            (bound("10.0.0.1"), [true, false]),
            (bound("::ffff:10.0.0.1"), [true, false]),
            (bound("fd00::1"), [false, true]),
        ] {
            for (to, is_reached) in [v4, v6].into_iter().zip(reaches) {
                let hops = [route.stream(to), route.datagram(to)];
                assert_eq!(hops.map(|hop| hop.is_some()), [is_reached; 2], "{route:?} {to}");
                assert!(hops.iter().flatten().all(|hop| hop.bind() == route.bind && hop.to() == to));
            }
            let families: Vec<_> = route.families().collect();
            assert_eq!(families.len(), reaches.iter().filter(|reached| **reached).count());
        }
    }

    #[test]
    fn an_ipv4_address_in_disguise_is_one() {
        let hop = bound("10.0.0.1").stream(addr("[::ffff:192.0.2.1]:1")).unwrap();
        assert_eq!(hop.to(), addr("192.0.2.1:1"));
    }

    #[test]
    fn everything_goes_through_the_proxy_or_not_at_all() {
        let route = proxied("10.0.0.9:1080");
        for to in [addr("192.0.2.1:1"), addr("[2001:db8::1]:1")] {
            assert_eq!(route.stream(to).unwrap().to(), addr("10.0.0.9:1080"));
            assert_eq!(route.datagram(to), None);
        }
        assert_eq!((route.unproxied(), route.families().count()), (None, 1));
        let astray = Route { bind: Bind::to("fd00::1".parse().unwrap()), ..route };
        assert_eq!(astray.stream(addr("[2001:db8::1]:1")), None, "the proxy is not reached from there");
    }

    #[test]
    fn a_secret_is_not_shown_nor_digested() {
        let login = |text: &str| {
            let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).unwrap();
            Login { user: secret("me"), password: secret(text) }
        };
        assert!(!format!("{:?}", login("hunter2")).contains("hunter2"));
        let digest = |login: &Login| {
            let mut hasher = std::hash::DefaultHasher::new();
            login.hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(digest(&login("a")), digest(&login("bc")));
        assert_eq!(Secret::new(vec![0; 256]), None);
    }
}
