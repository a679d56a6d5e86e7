//! All that a session asks of trackers: the one place that tells HTTP from UDP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::ask::{Ask, Asker, Heard, News, Parts, Question};
use super::response::{AnnounceError, parse_announce};
use super::scrape::parse_scrape;
use super::udp::{Target, UdpClient, UdpQuestion};
use crate::cx::Cx;
use crate::family::IpFamily;
use crate::id::InfoHash;
use crate::job::{FetchError, Job};
use crate::key::TorrentKey;

/// Asks trackers and hears what they say.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    udp: UdpClient,
    http: BTreeMap<Asker, HttpAsk>,
    heard: Vec<Heard>,
}

#[derive(Debug)]
struct HttpAsk {
    parts: Parts,
    /// The swarms of a scrape.
    hashes: Vec<InfoHash>,
}

impl Trackers {
    /// Asks a question, in place of an earlier one of the same asker.
    pub(crate) fn ask(&mut self, cx: &mut Cx, ask: Ask) {
        let Ask { asker, question, retries } = ask;
        match (question, asker) {
            (Question::Udp(target, call), _) => {
                let question = UdpQuestion { target, call, retries };
                self.udp.ask(cx, &mut self.heard, asker, question);
            }
            (Question::HttpAnnounce(url), Asker::Tier { torrent, tier }) => {
                self.http.insert(asker, HttpAsk { parts: Parts::new(2), hashes: Vec::new() });
                for family in IpFamily::ALL {
                    cx.job(Job::Announce { torrent, tier, family, url: url.clone() });
                }
            }
            (Question::HttpScrape(url, hashes), Asker::Scrape { number }) => {
                self.http.insert(asker, HttpAsk { parts: Parts::new(1), hashes });
                cx.job(Job::Scrape { number, url });
            }
            // A tier announces and nothing else does.
            (Question::HttpAnnounce(_) | Question::HttpScrape(..), _) => {}
        }
    }

    /// What has been heard since.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// A GET has ended.
    pub(crate) fn on_fetched(&mut self, asker: Asker, result: Result<Vec<u8>, FetchError>) {
        let Some(ask) = self.http.get_mut(&asker) else { return };
        let result = result.map_err(AnnounceError::Fetch).and_then(|body| match asker {
            Asker::Tier { .. } => parse_announce(&body).map(News::Announced),
            Asker::Scrape { .. } => parse_scrape(&body, &ask.hashes).map(News::Scraped),
        });
        let (news, more) = ask.parts.end(result);
        if !more {
            self.http.remove(&asker);
        }
        self.heard.extend(news.map(|news| Heard { asker, news, more }));
    }

    /// A tracker's name has been looked up, or could not be.
    pub(crate) fn on_resolved(
        &mut self,
        cx: &mut Cx,
        host: String,
        port: u16,
        result: Result<Vec<SocketAddr>, String>,
    ) {
        let result = result.as_deref().map_err(String::as_str);
        self.udp.on_resolved(cx, &mut self.heard, &Target { host, port }, result);
    }

    /// A packet has come, maybe from a tracker.
    pub(crate) fn on_datagram(&mut self, cx: &mut Cx, from: SocketAddr, bytes: &[u8]) {
        self.udp.on_datagram(cx, &mut self.heard, from, bytes);
    }

    /// A deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx) {
        self.udp.on_timer(cx, &mut self.heard);
    }

    /// A torrent is gone: what it asked is given up.
    pub(crate) fn forget_torrent(&mut self, cx: &mut Cx, torrent: TorrentKey) {
        self.udp.forget_torrent(cx, torrent);
        let of = |tier| Asker::Tier { torrent, tier };
        let askers: Vec<Asker> = self.http.range(of(0)..=of(usize::MAX)).map(|(asker, _)| *asker).collect();
        askers.into_iter().for_each(|asker| drop(self.http.remove(&asker)));
    }
}
