//! Questions to trackers and what is heard of them: between torrents, users and the trackers.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Machine;
use crate::id::InfoHash;
use crate::output::Event;
use crate::time::Instant;
use crate::torrent::Source;
use crate::tracker::{Ask, Asker, News, Patience, Question, SwarmCounts};

/// Swarms in one scrape: as many as fit into a datagram, or into a URL that servers take.
const SCRAPE_COUNT_MAX: usize = 70;

impl Machine {
    pub(crate) fn scrape(&mut self, now: Instant, url: String, mut hashes: Vec<InfoHash>) {
        hashes.truncate(SCRAPE_COUNT_MAX);
        self.cx.set_now(now);
        match Question::scrape(&url, hashes) {
            Ok(question) => {
                let number = self.scrape_count;
                self.scrape_count = number.wrapping_add(1);
                self.scrapes.insert(number, url);
                self.cx.asks.push(Ask {
                    asker: Asker::Scrape { number },
                    question,
                    patience: Patience::Short,
                });
            }
            Err(error) => self.cx.event(Event::Scraped { url, result: Err(error.to_string()) }),
        }
        self.settle();
    }

    pub(super) fn on_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        // A socket for both families shows an IPv4 address as an IPv6 one.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        self.trackers.on_datagram(&mut self.cx, from, bytes);
        self.hear_trackers();
    }

    /// Asks what torrents and users want to be asked.
    pub(super) fn ask_trackers(&mut self) {
        while !self.cx.asks.is_empty() {
            for ask in std::mem::take(&mut self.cx.asks) {
                self.trackers.ask(&mut self.cx, ask);
            }
            self.hear_trackers();
        }
    }

    /// Brings what has been heard to who had asked.
    pub(super) fn hear_trackers(&mut self) {
        let mut told = BTreeSet::new();
        for heard in self.trackers.take_heard() {
            match heard.asker {
                Asker::Tier { torrent: key, tier } => {
                    let Some(torrent) = self.torrents.get_mut(key) else { continue };
                    let stats = torrent.stats();
                    let news = (heard.news, heard.more);
                    let addrs = torrent.announcer.on_news(&mut self.cx, &stats, tier, news);
                    told.insert(key);
                    self.add_candidates(key, addrs, Source::Tracker);
                }
                Asker::Scrape { number } => {
                    if let Some(result) = scraped(heard.news)
                        && let Some(url) = self.scrapes.remove(&number)
                    {
                        self.cx.event(Event::Scraped { url, result });
                    }
                }
            }
        }
        // Only now: a new question makes what has been heard of the last one meaningless.
        for key in told {
            if let Some(torrent) = self.torrents.get_mut(key) {
                torrent.announce_due(&mut self.cx);
                self.may_have_closed(key);
            }
        }
    }
}

/// What a scrape has come to; the first answer counts.
fn scraped(news: News) -> Option<Result<Vec<SwarmCounts>, String>> {
    match news {
        News::Scraped(counts) => Some(Ok(counts)),
        News::Failed(error) => Some(Err(error.to_string())),
        News::Announced(_) | News::Silent(_) | News::Over => None,
    }
}
