//! `--bind` and `--proxy`: which way everything leaves the machine, looked at before anything does.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use peerless_core::text::escaped;
use peerless_core::{Bind, Login, Proxy, Route, Secret};

use crate::exit::{Exit, Failure, words};

/// How long the proxy may take to show that it is there.
const PROXY_TIMEOUT: Duration = Duration::from_secs(15);

/// The port of SOCKS proxies where none is given (RFC 1928).
const PROXY_PORT: u16 = 1080;

/// Which way everything leaves the machine.
#[derive(Clone, Debug, Default, Args)]
pub struct RouteArgs {
    /// Listen on and connect from this address alone: peers, trackers, HTTP, all of it
    ///
    /// Peers and trackers of the other family are not contacted. When the address is not this machine's,
    /// or not any more, the run ends with exit code 6: nothing ever leaves another way. Only look-ups of
    /// names are the system's own and can't be bound; --proxy leaves them to the proxy. 0.0.0.0 and ::
    /// stand for every address of their family.
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// Everything goes through this SOCKS5 proxy, which also looks names up
    ///
    /// What can't go through it is not sent: UDP trackers are not asked, and no connections are taken,
    /// since they would come past it. User and password may have %XX in them. Other users of this machine
    /// can see the command line.
    #[arg(long, value_name = "socks5://[USER:PASS@]HOST:PORT")]
    pub proxy: Option<ProxyUrl>,
}

/// A proxy as the user names it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    host: String,
    port: u16,
    login: Option<Login>,
}

impl FromStr for ProxyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WANTED: &str = "socks5://[USER:PASS@]HOST:PORT is wanted";
        let (scheme, rest) = text.split_once("://").ok_or(WANTED)?;
        // What curl and others call a SOCKS5 proxy that looks names up, as here it always does.
        if !["socks5", "socks5h"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
            return Err(format!("only SOCKS5 proxies are built; {WANTED}"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let (host, port) = place_of(place).ok_or(WANTED)?;
        let login = login.map(login_of).transpose()?;
        Ok(Self { host, port, login })
    }
}

/// Host and port; an IPv6 address is in brackets.
fn place_of(text: &str) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => PROXY_PORT,
        None => return None,
    };
    let is_host =
        !host.is_empty() && !host.contains(['/', '?', '#', '@']) && !host.contains(char::is_whitespace);
    is_host.then(|| (host.to_owned(), port))
}

fn login_of(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let secret = |text| Secret::of_url(text).ok_or("user and password have at most 255 bytes");
    Ok(Login { user: secret(user)?, password: secret(password)? })
}

/// Without the login.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RouteArgs {
    /// What a user of a proxy goes without, if there is one.
    #[must_use]
    pub fn limits(&self) -> Option<String> {
        let url = self.proxy.as_ref()?;
        let words = escaped(&url.to_string()).to_string();
        Some(format!("through the proxy {words}: UDP trackers are not asked, and nobody can call us"))
    }

    /// The route, once it is known that it leads somewhere.
    ///
    /// # Errors
    /// When the address can't be bound, or the proxy is not there or does not take us.
    pub fn open(&self) -> Result<Route, Failure> {
        let bind = match self.bind {
            Some(ip) => bind_to(ip)?,
            None => Bind::ANY,
        };
        let Some(url) = &self.proxy else { return Ok(bind.into()) };
        let failure = |why: String| Failure::new(Exit::Network, format_args!("proxy {url}"), why);
        let addr = address_of(url, bind).map_err(failure)?;
        let proxy = Some(Arc::new(Proxy { addr, login: url.login.clone() }));
        let route = Route { bind, proxy };
        peerless_jobs::check_proxy(&route, PROXY_TIMEOUT).map_err(failure)?;
        Ok(route)
    }
}

/// # Errors
/// When it is not an address of this machine.
fn bind_to(ip: IpAddr) -> Result<Bind, Failure> {
    let failed = |error| Failure::new(Exit::Network, ip, format_args!("can't bind: {}", words(&error)));
    peerless_net::check_bind(ip).map_err(failed)?;
    Ok(Bind::to(ip))
}

/// Where the proxy is: the one name that is looked up here.
fn address_of(url: &ProxyUrl, bind: Bind) -> Result<SocketAddr, String> {
    let found = (url.host.as_str(), url.port).to_socket_addrs().map_err(|error| words(&error))?;
    let mut reached = found.filter(|addr| bind.reaches(addr.ip()));
    reached.next().ok_or_else(|| "it has no address that is reached from there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> Result<ProxyUrl, String> {
        text.parse()
    }

    #[test]
    fn a_proxy_has_host_port_and_maybe_a_login() {
        for (text, place, has_login) in [
            ("socks5://127.0.0.1:9050", "127.0.0.1:9050", false),
            ("SOCKS5H://proxy.example:1/", "proxy.example:1", false),
            ("socks5://[::1]:1080", "[::1]:1080", false),
            ("socks5://proxy", "proxy:1080", false),
            ("socks5://me:p%40ss@proxy:1", "proxy:1", true),
            ("socks5://me@proxy:1", "proxy:1", true),
            ("socks5://me:a@b@proxy:1", "proxy:1", true),
        ] {
            let proxy = proxy(text).unwrap();
            assert_eq!((proxy.to_string().as_str(), proxy.login.is_some()), (place, has_login), "{text}");
        }
        for bad in [
            "",
            "proxy:1",
            "http://proxy:1",
            "socks4://proxy:1",
            "socks5://",
            "socks5://:1",
            "socks5://a:0",
            "socks5://a:x",
            "socks5://a:1:2",
            "socks5://::1:1",
            "socks5://[x]:1",
            "socks5://a/b:1",
            "socks5://a b:1",
        ] {
            assert!(proxy(bad).is_err(), "{bad}");
        }
        assert!(proxy(&format!("socks5://me:{}@proxy:1", "x".repeat(256))).is_err());
    }

    #[test]
    fn a_login_is_decoded_and_not_shown() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).unwrap();
        let url = proxy("socks5://m%65:p%40ss%3A@proxy:1").unwrap();
        assert_eq!(url.login, Some(Login { user: secret("me"), password: secret("p@ss:") }));
        assert!(!format!("{url:?} {url}").contains("ss:"));
    }

    #[test]
    fn what_leads_nowhere_is_a_network_failure() {
        // Of the block for documentation: nobody has it.
        let bind = Some("192.0.2.1".parse().unwrap());
        let failure = RouteArgs { bind, proxy: None }.open().unwrap_err();
        assert!(
            failure.exit() == Exit::Network && failure.message().starts_with("192.0.2.1: can't bind"),
            "{failure}"
        );
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        drop(taken);
        let at = |bind: Option<&str>| RouteArgs {
            bind: bind.map(|ip| ip.parse().unwrap()),
            proxy: Some(format!("socks5://{addr}").parse().unwrap()),
        };
        for bind in [None, Some("127.0.0.1"), Some("::1")] {
            let failure = at(bind).open().unwrap_err();
            assert_eq!(failure.exit(), Exit::Network);
            assert!(failure.message().starts_with(&format!("proxy {addr}: ")), "{failure}");
        }
    }
}
