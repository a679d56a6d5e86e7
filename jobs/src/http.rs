//! GET, as trackers and .torrent files need it: bounded in time, bytes and redirects.
//!
//! The URL comes from a torrent, the answer from anyone, so both may be hostile. A torrent must
//! not make us call services on the user's machine or network: see [`guard`]. Redirects are
//! followed by hand so that every hop is judged. Certificates are always checked. Each goes the way
//! that its [`Route`] says. Proxy settings in the environment are not used: they would apply to
//! trackers, but not to peers.

mod connect;
mod guard;
mod url;
pub(crate) mod web;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peerless_core::tracker::{announce_base, scrape_url};
use peerless_core::{FetchError, IpFamily, Reach, Route};
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::{locked, words};
use connect::Blame;
use guard::{Guard, Verdict};

/// Redirects followed for one GET; more are a loop.
const REDIRECT_COUNT_MAX: u32 = 5;

/// Bounds of a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// For everything together: names, connections, redirects, the body. Default: 15 s.
    pub timeout: Duration,
    /// Bytes of the body after inflation. Default: 2 MiB, some 300,000 compact peers.
    pub body_len_max: u64,
    /// Bytes of one answer's headers. Default: 64 KiB.
    pub header_len_max: usize,
    /// How we name ourselves. Default: `peerless/VERSION`.
    pub user_agent: String,
    /// A file of PEM certificates to trust in place of Mozilla's list, for a private CA.
    /// Default: what the environment variable `SSL_CERT_FILE` names, as OpenSSL has it.
    pub ca_file: Option<PathBuf>,
    /// Announce URLs that the user named: like other URLs of the user, and unlike those of torrents,
    /// they may be of anything on this machine. Default: none.
    pub user_trackers: Vec<String>,
}

impl HttpOptions {
    /// Who named the tracker that this is asked of.
    fn tracker_source(&self, url: &str) -> Source {
        // Whole: a torrent may name the same path with another query.
        let asks = |base: &str| {
            let asked = url.strip_prefix(base).unwrap_or_default();
            asked.strip_prefix(['?', '&']).unwrap_or(asked).starts_with("info_hash=")
        };
        let is_users = |tracker: &String| {
            asks(&announce_base(tracker)) || scrape_url(tracker, &[]).is_some_and(|base| asks(&base))
        };
        if self.user_trackers.iter().any(is_users) { Source::User } else { Source::Torrent }
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            body_len_max: 2 << 20,
            header_len_max: 64 << 10,
            user_agent: concat!("peerless/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_file: std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty()).map(PathBuf::from),
            user_trackers: Vec::new(),
        }
    }
}

/// Who named a URL, which decides where it may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A torrent: on this machine only trackers are called.
    Torrent,
    /// A torrent's web seed: files, wherever they are.
    WebSeed,
    /// The user: anything goes that the URL itself names.
    User,
}

/// GETs a .torrent file whose URL the user named.
///
/// # Errors
/// When there is no answer within the bounds, or one of another status than 200.
pub fn fetch(url: &str, route: &Route, options: &HttpOptions) -> Result<Vec<u8>, FetchError> {
    let (status, bytes) = get(url, options, Guard::new(Source::User, route, None))?;
    if status == 200 { Ok(bytes) } else { Err(FetchError::Status(status)) }
}

/// GETs an announce URL from an address of this family. A bencoded answer counts whatever its status:
/// trackers send their `failure reason` with 4xx as well.
pub(crate) fn announce(
    url: &str,
    route: &Route,
    family: IpFamily,
    options: &HttpOptions,
) -> Result<Vec<u8>, FetchError> {
    ask(url, route, options, Some(family))
}

/// GETs a scrape URL, with the same rules.
pub(crate) fn scrape(url: &str, route: &Route, options: &HttpOptions) -> Result<Vec<u8>, FetchError> {
    ask(url, route, options, None)
}

fn ask(
    url: &str,
    route: &Route,
    options: &HttpOptions,
    family: Option<IpFamily>,
) -> Result<Vec<u8>, FetchError> {
    get(url, options, Guard::new(options.tracker_source(url), route, family)).map(|(_, bytes)| bytes)
}

fn get(start: &str, options: &HttpOptions, mut guard: Guard) -> Result<(u16, Vec<u8>), FetchError> {
    let deadline = Instant::now().checked_add(options.timeout);
    let mut url = url::parse(start)?;
    for _ in 0..=REDIRECT_COUNT_MAX {
        let left = deadline.map_or(options.timeout, |at| at.saturating_duration_since(Instant::now()));
        let (mut response, reach) = hop(&url, options, &guard, left)?;
        if !response.status().is_redirection() {
            return body(&mut response, options);
        }
        url = location(&response, &url)?;
        guard.from = Some(reach);
    }
    Err(FetchError::Redirect(format!("more than {REDIRECT_COUNT_MAX}")))
}

/// One request and the head of its answer, and how near its server is.
fn hop(
    url: &Uri,
    options: &HttpOptions,
    guard: &Guard,
    left: Duration,
) -> Result<(Response<Body>, Reach), FetchError> {
    guard.check_scheme(url)?;
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(options.header_len_max)
        .max_idle_connections(0)
        .timeout_global(Some(left))
        .user_agent(&options.user_agent)
        .tls_config(tls(url, options)?)
        .build();
    let (verdict, blame) = (Verdict::default(), Blame::default());
    let connector = connect::connector(guard.route.clone(), Arc::clone(&blame));
    let agent = Agent::with_parts(config, connector, guard.resolver(Arc::clone(&verdict)));
    let response = agent.get(url.clone()).call();
    match (response, locked(&verdict).take()) {
        (Ok(response), Some(Ok(reach))) => Ok((response, reach)),
        (_, Some(Err(refused))) => Err(refused),
        (Ok(_), None) => Err(FetchError::Failed("the address was not looked up".to_owned())),
        (Err(error), _) => Err(locked(&blame).take().unwrap_or_else(|| fetch_error(error, options))),
    }
}

fn tls(url: &Uri, options: &HttpOptions) -> Result<TlsConfig, FetchError> {
    let builder = TlsConfig::builder();
    let Some(path) = options.ca_file.as_ref().filter(|_| url.scheme_str() == Some("https")) else {
        return Ok(builder.build());
    };
    let failed = |why: String| FetchError::Failed(format!("{}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| failed(words(&error)))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            Ok(_) | Err(_) => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(failed("holds no certificate".to_owned()));
    }
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}

fn location(response: &Response<Body>, from: &Uri) -> Result<Uri, FetchError> {
    let Some(location) = response.headers().get("location") else {
        return Err(FetchError::Status(response.status().as_u16()));
    };
    let bad = || FetchError::Redirect("to what is no URL".to_owned());
    url::join(from, location.to_str().map_err(|_| bad())?).ok_or_else(bad)
}

/// The status and the body. Of another status than 200 only what may be a tracker's answer counts.
fn body(response: &mut Response<Body>, options: &HttpOptions) -> Result<(u16, Vec<u8>), FetchError> {
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    let max = options.body_len_max;
    let mut reader = response.body_mut().as_reader().take(max.saturating_add(1));
    let read = reader.read_to_end(&mut bytes);
    if status != 200 && !bytes.starts_with(b"d") {
        return Err(FetchError::Status(status));
    }
    read.map_err(|error| fetch_error(error.into(), options))?;
    if bytes.len() as u64 > max {
        return Err(FetchError::TooLong(max));
    }
    Ok((status, bytes))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the list of errors is open")]
fn fetch_error(error: ureq::Error, options: &HttpOptions) -> FetchError {
    match error {
        ureq::Error::Timeout(_) => FetchError::Timeout,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => FetchError::Timeout,
        ureq::Error::Io(error) => FetchError::Failed(words(&error)),
        ureq::Error::LargeResponseHeader(_, _) => FetchError::TooLong(options.header_len_max as u64),
        ureq::Error::BadUri(why) => FetchError::Url(why),
        ureq::Error::Http(error) => FetchError::Url(error.to_string()),
        ureq::Error::HostNotFound => FetchError::Failed("host not found".to_owned()),
        error => FetchError::Failed(error.to_string()),
    }
}
