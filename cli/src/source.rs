//! What SOURCE may be, and how a torrent is got from it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peerless_core::Route;
use peerless_core::magnet::Magnet;
use peerless_core::metainfo::{FILE_LEN_MAX, Metainfo};
use peerless_jobs::HttpOptions;

use crate::exit::{Exit, Failure};
use crate::route::RouteArgs;

/// How long the GET of a .torrent file may take. The longest has 64 MiB.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a torrent is to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A .torrent file.
    File(PathBuf),
    /// The http or https URL of one.
    Url(String),
    /// A magnet link, or a bare info-hash.
    Magnet(Box<Magnet>),
}

impl Source {
    /// Reads SOURCE as the command line has it. A file is preferred to an info-hash of its name.
    ///
    /// # Errors
    /// When it is a magnet link that is not valid, or of a kind that is not built.
    pub fn parse(text: &OsStr) -> Result<Self, Failure> {
        let file = || Self::File(text.into());
        let Some(text) = text.to_str() else { return Ok(file()) };
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => return Ok(Self::Url(text.to_owned())),
            Some("magnet") => return magnet(text, text),
            Some(_) | None => {}
        }
        let digits = text.as_bytes();
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        let is_base32 =
            digits.iter().all(|digit| matches!(digit.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7'));
        match digits.len() {
            40 | 64 if !is_hex => Ok(file()),
            32 if !is_base32 => Ok(file()),
            32 | 40 | 64 if Path::new(text).exists() => Ok(file()),
            32 | 40 => magnet(text, &format!("magnet:?xt=urn:btih:{text}")),
            64 => Err(Failure::new(Exit::Other, text, "BitTorrent v2 is not built yet")),
            _ => Ok(file()),
        }
    }

    /// The torrent that is there, without asking peers; where it is on the network, by a way that is
    /// opened for it alone.
    ///
    /// # Errors
    /// As [`Source::load`] has them, and when the way can't be opened.
    pub fn load_alone(&self, way: &RouteArgs) -> Result<Metainfo, Failure> {
        let route = if matches!(self, Self::Url(_)) { way.open()? } else { Route::default() };
        self.load(&route)
    }

    /// The torrent that is there, without asking peers; a URL is asked by this way.
    ///
    /// # Errors
    /// When it can't be read or is no torrent; for a magnet link, always.
    pub fn load(&self, route: &Route) -> Result<Metainfo, Failure> {
        match self {
            Self::File(path) => {
                let raw = read(path).map_err(|error| Failure::unreadable(path, &error))?;
                parse(&path.display(), raw)
            }
            Self::Url(url) => {
                let limits = HttpOptions {
                    timeout: FETCH_TIMEOUT,
                    body_len_max: FILE_LEN_MAX as u64,
                    ..HttpOptions::default()
                };
                let raw = peerless_jobs::fetch(url, route, &limits)
                    .map_err(|error| Failure::of_fetch(url, &error))?;
                parse(url, raw)
            }
            Self::Magnet(magnet) => {
                let why = "a magnet link does not hold the torrent, which is needed here";
                Err(Failure::new(Exit::Invalid, magnet.info_hash, why))
            }
        }
    }
}

/// The torrent that SOURCE names: a file or a URL.
///
/// # Errors
/// When it can't be read or is no torrent, or for a magnet link.
pub fn load(text: &OsStr, way: &RouteArgs) -> Result<Metainfo, Failure> {
    Source::parse(text)?.load_alone(way)
}

fn magnet(what: &str, link: &str) -> Result<Source, Failure> {
    let magnet: Magnet = link.parse().map_err(|error| Failure::new(Exit::Invalid, what, error))?;
    Ok(Source::Magnet(Box::new(magnet)))
}

fn parse(what: &impl std::fmt::Display, raw: Vec<u8>) -> Result<Metainfo, Failure> {
    Metainfo::parse(raw).map_err(|error| {
        Failure::new(Exit::Invalid, what, format_args!("not a torrent that can be used: {error}"))
    })
}

/// Reads no more than tells that the file is too long.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX as u64 + 1).read_to_end(&mut raw)?;
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<Source, Failure> {
        Source::parse(OsStr::new(text))
    }

    #[test]
    fn each_kind_is_told_by_its_form() {
        assert_eq!(source("a.torrent"), Ok(Source::File("a.torrent".into())));
        assert_eq!(source("C:\\a.torrent"), Ok(Source::File("C:\\a.torrent".into())));
        assert_eq!(source("HTTPS://h/a"), Ok(Source::Url("HTTPS://h/a".to_owned())));
        let hash = "ab".repeat(20);
        let link = source(&format!("magnet:?xt=urn:btih:{hash}")).unwrap();
        assert_eq!(source(&hash), Ok(link));
        assert!(matches!(source(&"A2".repeat(16)), Ok(Source::Magnet(_))));
        assert!(matches!(source(&"A1".repeat(16)), Ok(Source::File(_))));
        assert!(matches!(source(&"zz".repeat(20)), Ok(Source::File(_))));
    }

    #[test]
    fn what_is_wrong_has_its_own_code() {
        let code =
            |text: &str| source(text).and_then(|source| source.load(&Route::default())).unwrap_err().exit();
        assert_eq!(code("/nowhere/a.torrent"), Exit::Input);
        assert_eq!(code("/dev/null"), Exit::Invalid);
        assert_eq!(code("magnet:?x"), Exit::Invalid);
        assert_eq!(code(&"ab".repeat(20)), Exit::Invalid);
        assert_eq!(code(&"ab".repeat(32)), Exit::Other);
    }
}
