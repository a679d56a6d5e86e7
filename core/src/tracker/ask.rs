//! What is asked of a tracker of any kind, and what is heard: all that an announcer sees of HTTP and
//! UDP.

use std::collections::BTreeSet;
use std::time::Duration;

use super::request::{AnnounceRequest, announce_url};
use super::response::{AnnounceError, AnnounceResponse};
use super::scrape::{SwarmCounts, scrape_url};
use super::udp::{Announce, Call, Target};
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::key::TorrentKey;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Asker {
    /// A tier of a torrent.
    Tier { torrent: TorrentKey, tier: usize },
    /// A scrape, by its number.
    Scrape { number: u32 },
}

/// What is asked, in the way of the tracker's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// A GET of an announce URL.
    HttpAnnounce(String),
    /// A GET of a scrape URL, about these swarms.
    HttpScrape(String, Vec<InfoHash>),
    /// A call over datagrams.
    Udp(Target, Call),
}

/// A question to be asked.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) asker: Asker,
    pub(crate) question: Question,
    pub(crate) patience: Patience,
}

/// How long a tracker is tried that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// For two hours: there is no other (BEP 15, n up to 8).
    Long,
    /// For 45 s: another waits for its turn, or a user does.
    Short,
    /// Once, and only in the families in which it has answered: we leave, and nobody waits for long.
    Parting,
}

impl Patience {
    /// How often a datagram without an answer is sent again.
    pub(super) const fn retries(self) -> u32 {
        match self {
            Self::Long => 8,
            Self::Short => 1,
            Self::Parting => 0,
        }
    }
}

/// What is heard of a question.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) asker: Asker,
    pub(crate) news: News,
    /// Whether there is more to come: of the host's address in the other family.
    pub(crate) more: bool,
}

/// What has come of a question, or of a part of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    Announced(AnnounceResponse),
    Scraped(Vec<SwarmCounts>),
    /// Nobody has answered, and nothing further will be tried.
    Failed(AnnounceError),
    /// No answer so far; for so long the next one is waited for.
    Silent(Duration),
    /// An answer has come before, and no further one will.
    Over,
}

impl Question {
    /// An announce to the tracker at `url`.
    pub(crate) fn announce(url: &str, request: &AnnounceRequest<'_>) -> Result<Self, AnnounceError> {
        match Scheme::of(url)? {
            Scheme::Http => Ok(Self::HttpAnnounce(announce_url(url, request))),
            Scheme::Udp => {
                let (target, url_data) = Target::parse(url).map_err(AnnounceError::Refused)?;
                let announce = Announce {
                    info_hash: request.info_hash,
                    peer_id: request.peer_id,
                    downloaded: request.downloaded,
                    left: request.left,
                    uploaded: request.uploaded,
                    event: request.event,
                    key: request.key,
                    numwant: Some(request.numwant),
                    port: request.port.unwrap_or_default(),
                    url_data: url_data.as_bytes().to_vec(),
                };
                Ok(Self::Udp(target, Call::Announce(Box::new(announce))))
            }
        }
    }

    /// A scrape of the tracker whose announce URL is `url`.
    pub(crate) fn scrape(url: &str, hashes: Vec<InfoHash>) -> Result<Self, AnnounceError> {
        match Scheme::of(url)? {
            Scheme::Http => {
                let url = scrape_url(url, &hashes);
                let url = url.ok_or(AnnounceError::Refused("its URL has no counterpart for scrapes"))?;
                Ok(Self::HttpScrape(url, hashes))
            }
            Scheme::Udp => {
                let (target, _) = Target::parse(url).map_err(AnnounceError::Refused)?;
                Ok(Self::Udp(target, Call::Scrape(hashes)))
            }
        }
    }
}

/// How a tracker is spoken to.
enum Scheme {
    Http,
    Udp,
}

impl Scheme {
    fn of(url: &str) -> Result<Self, AnnounceError> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        if ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http)) {
            Ok(Self::Http)
        } else if scheme.eq_ignore_ascii_case("udp") {
            Ok(Self::Udp)
        } else {
            Err(AnnounceError::Refused("not an http, https or udp tracker"))
        }
    }
}

/// The parts of one question: one for each family of addresses in which the host has some.
#[derive(Debug, Default)]
pub(super) struct Parts {
    open_count: usize,
    answered: bool,
    error: Option<AnnounceError>,
}

impl Parts {
    pub(super) const fn new(count: usize) -> Self {
        Self { open_count: count, answered: false, error: None }
    }

    /// Whether one has been answered.
    pub(super) const fn is_answered(&self) -> bool {
        self.answered
    }
}

/// What has been heard and not been told yet, and in which families trackers answer.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    heard: Vec<Heard>,
    /// In which families the tracker asked last has answered.
    alive: BTreeSet<(Asker, IpFamily)>,
}

impl Hearing {
    pub(super) fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    pub(super) fn tell(&mut self, asker: Asker, news: News, more: bool) {
        self.heard.push(Heard { asker, news, more });
    }

    /// Whether to ask in this family. Before a tracker has answered at all, each is tried.
    pub(super) fn wants(&self, asker: Asker, family: IpFamily, patience: Patience) -> bool {
        let is_alive = |family| self.alive.contains(&(asker, family));
        patience != Patience::Parting || is_alive(family) || !IpFamily::ALL.into_iter().any(is_alive)
    }

    /// A part has ended; tells what that means for who asked, and gives whether there is more.
    pub(super) fn end(
        &mut self,
        asker: Asker,
        family: IpFamily,
        parts: &mut Parts,
        result: Result<News, AnnounceError>,
    ) -> bool {
        parts.open_count = parts.open_count.saturating_sub(1);
        let more = parts.open_count > 0;
        // A scrape is asked once: nothing is kept of it.
        if result.is_ok() && matches!(asker, Asker::Tier { .. }) {
            self.alive.insert((asker, family));
        } else {
            self.alive.remove(&(asker, family));
        }
        let news = match result {
            Ok(news) => {
                parts.answered = true;
                Some(news)
            }
            Err(_) if parts.answered => (!more).then_some(News::Over),
            Err(error) => {
                // That a host has no address in one family says nothing about the other.
                if parts.error.as_ref().is_none_or(AnnounceError::is_no_address) {
                    parts.error = Some(error);
                }
                parts.error.take_if(|_| !more).map(News::Failed)
            }
        };
        if let Some(news) = news {
            self.tell(asker, news, more);
        }
        more
    }

    /// Forgets what a torrent's trackers are like.
    pub(super) fn forget_torrent(&mut self, torrent: TorrentKey) {
        let of = |tier, family| (Asker::Tier { torrent, tier }, family);
        let range = of(0, IpFamily::V4)..=of(usize::MAX, IpFamily::V6);
        let gone: Vec<_> = self.alive.range(range).copied().collect();
        for it in gone {
            self.alive.remove(&it);
        }
    }
}
