//! GETs of runs of bytes from web seeds (BEP 19).
//!
//! Connections are kept and used again, since one run follows on the other. An answer is read into
//! the run's blocks as it comes and never held whole; of a server that knows no ranges and sends the
//! whole file what comes before the run is read and dropped, up to a bound.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use peerless_core::block::Block;
use peerless_core::{FetchError, FetchFailure, FetchPart, Reach, Route};
use ureq::http::{Response, StatusCode, Uri, header};
use ureq::{Agent, Body};

use super::connect::{Blame, connector};
use super::guard::{Guard, Verdict};
use super::{HttpOptions, REDIRECT_COUNT_MAX, Source, fetch_error, location, tls, url};
use crate::error::locked;

/// How long a run may take in all. The core asks for no more than comes in a few seconds from a
/// server as fast as it was; what has come of a run by then is kept.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes read and dropped before a run, of a server that sends the whole file: a few seconds' worth.
/// Asking such a server for the end of a long file again and again would be an attack on it.
const SKIP_LEN_MAX: u64 = 64 << 20;

/// Servers whose connections are kept. A torrent has a few web seeds.
const AGENTS_MAX: usize = 32;

/// GETs runs, keeping connections.
#[derive(Debug)]
pub(crate) struct Web {
    options: HttpOptions,
    agents: Mutex<BTreeMap<Server, Known>>,
}

/// Which way a server is asked, its scheme and authority, and how near it was come to from.
type Server = (Route, String, Option<Reach>);

/// A server that has been asked before.
#[derive(Clone, Debug)]
struct Known {
    agent: Agent,
    /// How near it was when it was looked up last; a connection that is used again is as near.
    verdict: Verdict,
    blame: Blame,
}

impl Web {
    pub(crate) fn new(options: HttpOptions) -> Self {
        Self { options, agents: Mutex::default() }
    }

    /// The blocks of these lengths that the parts make: all, or those before what failed.
    pub(crate) fn fetch(
        &self,
        route: &Route,
        parts: &[FetchPart],
        block_lens: &[u32],
    ) -> (Vec<Block>, Result<(), FetchFailure>) {
        let deadline = Instant::now() + RUN_TIMEOUT;
        let mut blocks = Blocks::new(block_lens);
        for part in parts {
            let got = match &part.url {
                Some(url) => self.get(url, route, part, deadline, &mut blocks),
                None => {
                    blocks.zeros(part.len);
                    Ok(())
                }
            };
            if let Err(failure) = got {
                return (blocks.whole, Err(failure));
            }
        }
        (blocks.whole, Ok(()))
    }

    fn get(
        &self,
        start: &str,
        route: &Route,
        part: &FetchPart,
        deadline: Instant,
        blocks: &mut Blocks<'_>,
    ) -> Result<(), FetchFailure> {
        let mut url = url::parse(start).map_err(IntoFailure::into_failure)?;
        let mut guard = Guard::new(Source::WebSeed, route, None);
        for _ in 0..=REDIRECT_COUNT_MAX {
            let (mut response, reach) =
                self.hop(&url, &guard, part, deadline).map_err(IntoFailure::into_failure)?;
            if !response.status().is_redirection() {
                return self.body(&mut response, part, blocks);
            }
            url = location(&response, &url).map_err(IntoFailure::into_failure)?;
            guard.from = Some(reach);
        }
        Err(FetchError::Redirect(format!("more than {REDIRECT_COUNT_MAX}")).into_failure())
    }

    /// One request and the head of its answer, and how near its server is.
    fn hop(
        &self,
        url: &Uri,
        guard: &Guard,
        part: &FetchPart,
        deadline: Instant,
    ) -> Result<(Response<Body>, Reach), FetchError> {
        guard.check_scheme(url)?;
        let known = self.agent(url, guard)?;
        if let Some(Ok(reach)) = &*locked(&known.verdict) {
            guard.check(url, *reach)?;
        }
        let last = part.begin.saturating_add(part.len).saturating_sub(1);
        let request = known
            .agent
            .get(url.clone())
            .config()
            .timeout_global(Some(deadline.saturating_duration_since(Instant::now())))
            .build()
            .header(header::RANGE, format!("bytes={}-{last}", part.begin))
            // Ranges are of what is sent: packed it would be another file.
            .header(header::ACCEPT_ENCODING, "identity");
        let response = request.call();
        let verdict = locked(&known.verdict).clone();
        match (response, verdict) {
            (Ok(response), Some(Ok(reach))) => Ok((response, reach)),
            (_, Some(Err(refused))) => Err(refused),
            (Ok(_), None) => Err(FetchError::Failed("the address was not looked up".to_owned())),
            (Err(error), _) => {
                Err(locked(&known.blame).take().unwrap_or_else(|| fetch_error(error, &self.options)))
            }
        }
    }

    /// The agent for the server of a URL that was come to from so near.
    fn agent(&self, url: &Uri, guard: &Guard) -> Result<Known, FetchError> {
        let server = format!(
            "{}://{}",
            url.scheme_str().unwrap_or_default(),
            url.authority().map_or("", |a| a.as_str())
        );
        let key = (guard.route.clone(), server, guard.from);
        if let Some(known) = locked(&self.agents).get(&key) {
            return Ok(known.clone());
        }
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(self.options.header_len_max)
            .timeout_connect(Some(self.options.timeout))
            .timeout_recv_response(Some(self.options.timeout))
            .user_agent(&self.options.user_agent)
            .tls_config(tls(url, &self.options)?)
            .build();
        let (verdict, blame) = (Verdict::default(), Blame::default());
        let resolver = guard.resolver(Arc::clone(&verdict));
        let connector = connector(guard.route.clone(), Arc::clone(&blame));
        let agent = Agent::with_parts(config, connector, resolver);
        let known = Known { agent, verdict, blame };
        let mut agents = locked(&self.agents);
        if agents.len() >= AGENTS_MAX {
            agents.clear();
        }
        agents.insert(key, known.clone());
        Ok(known)
    }

    fn body(
        &self,
        response: &mut Response<Body>,
        part: &FetchPart,
        blocks: &mut Blocks<'_>,
    ) -> Result<(), FetchFailure> {
        let skip = check_head(response, part)?;
        let mut reader = response.body_mut().as_reader();
        let mut scratch = vec![0; 16 * 1024];
        let mut drop_left = skip;
        while drop_left > 0 {
            let most = usize::try_from(drop_left).unwrap_or(usize::MAX).min(scratch.len());
            match reader.read(scratch.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return Err(FetchError::Failed("the answer ends early".to_owned()).into_failure()),
                Ok(len) => drop_left -= len as u64,
                Err(error) => return Err(fetch_error(error.into(), &self.options).into_failure()),
            }
        }
        let mut left = part.len;
        while left > 0 {
            match reader.read(blocks.room(left)) {
                Ok(0) => return Err(FetchError::Failed("the answer ends early".to_owned()).into_failure()),
                Ok(len) => {
                    blocks.filled(len);
                    left -= len as u64;
                }
                Err(error) => return Err(fetch_error(error.into(), &self.options).into_failure()),
            }
        }
        // The end of the answer, which lets the connection be used again. Of a whole file it is not read.
        if skip == 0 && response_is_partial(response) {
            let _ = response.body_mut().as_reader().read(&mut scratch[..1]);
        }
        Ok(())
    }
}

fn response_is_partial(response: &Response<Body>) -> bool {
    response.status() == StatusCode::PARTIAL_CONTENT
}

/// Whether the answer has the part; how many bytes of it come before.
fn check_head(response: &Response<Body>, part: &FetchPart) -> Result<u64, FetchFailure> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if header(header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Failed("it packs what it sends".to_owned()).into_failure());
    }
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = header(header::CONTENT_RANGE).and_then(content_range);
            let Some((first, total)) = range else {
                return Err(other_file("it does not say which bytes it sends"));
            };
            if first != part.begin {
                return Err(other_file("it sends other bytes than it was asked for"));
            }
            match total {
                Some(total) if total != part.file_len => Err(other_file("its file has another length")),
                Some(_) | None => Ok(0),
            }
        }
        StatusCode::OK => {
            let len = header(header::CONTENT_LENGTH).and_then(|len| len.parse::<u64>().ok());
            if len.is_some_and(|len| len != part.file_len) {
                return Err(other_file("its file has another length"));
            }
            if part.begin > SKIP_LEN_MAX {
                return Err(other_file("it knows no ranges"));
            }
            Ok(part.begin)
        }
        status => {
            let retry_after = header(header::RETRY_AFTER).and_then(retry_after);
            Err(FetchFailure { error: FetchError::Status(status.as_u16()), retry_after })
        }
    }
}

/// The server's file is not the torrent's, or it can't be asked for parts: that is hardly going to
/// change soon, as with the file's not being there.
fn other_file(why: &str) -> FetchFailure {
    FetchError::Unfit(why.to_owned()).into_failure()
}

/// `bytes FIRST-LAST/TOTAL` (RFC 9110, section 14.4): the first byte, and the whole length if told.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, total) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (unit.eq_ignore_ascii_case("bytes") && first <= last).then_some((first, total))
}

/// `Retry-After` (RFC 9110, section 10.2.3) in seconds. A date is not read: then it's our own pause.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Bytes that come in order, as blocks.
struct Blocks<'a> {
    lens: std::slice::Iter<'a, u32>,
    whole: Vec<Block>,
    /// The block at work, and how much of it is filled.
    open: Vec<u8>,
    filled: usize,
}

impl<'a> Blocks<'a> {
    fn new(lens: &'a [u32]) -> Self {
        Self { lens: lens.iter(), whole: Vec::with_capacity(lens.len()), open: Vec::new(), filled: 0 }
    }

    /// Where the next bytes go, at most `most`; not empty as long as blocks are missing.
    fn room(&mut self, most: u64) -> &mut [u8] {
        if self.filled == self.open.len() {
            self.open = self.lens.next().map_or_else(Vec::new, |len| vec![0; *len as usize]);
            self.filled = 0;
        }
        let end =
            self.open.len().min(self.filled.saturating_add(usize::try_from(most).unwrap_or(usize::MAX)));
        self.open.get_mut(self.filled..end).unwrap_or_default()
    }

    fn filled(&mut self, len: usize) {
        self.filled += len;
        if self.filled == self.open.len() && !self.open.is_empty() {
            self.whole.push(Block::new(std::mem::take(&mut self.open)));
            self.filled = 0;
        }
    }

    fn zeros(&mut self, mut len: u64) {
        while len > 0 {
            let room = self.room(len).len();
            if room == 0 {
                break;
            }
            self.filled(room);
            len -= room as u64;
        }
    }
}

/// A failure without a word on when to ask again.
trait IntoFailure {
    fn into_failure(self) -> FetchFailure;
}

impl IntoFailure for FetchError {
    fn into_failure(self) -> FetchFailure {
        FetchFailure { error: self, retry_after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_servers_write_them() {
        assert_eq!(content_range("bytes 5-9/20"), Some((5, Some(20))));
        assert_eq!(content_range(" Bytes 0-0/*"), Some((0, None)));
        for text in [
            "",
            "bytes",
            "bytes 9-5/20",
            "bytes */20",
            "items 0-1/2",
            "bytes 0-1",
            "bytes -1-2/3",
            "bytes 0-99999999999999999999/3",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    #[test]
    fn blocks_are_filled_in_order_and_no_further() {
        let mut blocks = Blocks::new(&[3, 2]);
        blocks.zeros(1);
        blocks.room(9).fill(7);
        blocks.filled(2);
        assert_eq!(blocks.whole, [Block::new(vec![0, 7, 7])]);
        blocks.zeros(99);
        assert_eq!(blocks.whole.len(), 2);
        assert!(blocks.room(9).is_empty());
    }
}
