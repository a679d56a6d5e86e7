//! All that a session asks of trackers: the one place that tells HTTP from UDP.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::ask::{Ask, Asker, Heard, Hearing, News, Parts, Question};
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
    hearing: Hearing,
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
        let Ask { asker, question, patience } = ask;
        match (question, asker) {
            (Question::Udp(target, call), _) => {
                let question = UdpQuestion { target, call, patience };
                self.udp.ask(cx, &mut self.hearing, asker, question);
            }
            (Question::HttpAnnounce(url), Asker::Tier { torrent, tier }) => {
                let families = IpFamily::ALL.into_iter();
                let families: Vec<_> =
                    families.filter(|family| self.hearing.wants(asker, *family, patience)).collect();
                self.http.insert(asker, HttpAsk { parts: Parts::new(families.len()), hashes: Vec::new() });
                for family in families {
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
        self.hearing.take()
    }

    /// A scrape is over: nothing is kept of it.
    pub(crate) fn forget_scrape(&mut self, number: u32) {
        self.hearing.forget(Asker::Scrape { number });
    }

    /// A GET of an announce URL has ended.
    pub(crate) fn on_announced(
        &mut self,
        (torrent, tier): (TorrentKey, usize),
        family: IpFamily,
        result: Result<Vec<u8>, FetchError>,
    ) {
        self.on_fetched(Asker::Tier { torrent, tier }, family, result);
    }

    /// A GET of a scrape URL has ended.
    pub(crate) fn on_scraped(&mut self, number: u32, result: Result<Vec<u8>, FetchError>) {
        // In which family does not matter: it is the only part.
        self.on_fetched(Asker::Scrape { number }, IpFamily::V4, result);
    }

    fn on_fetched(&mut self, asker: Asker, family: IpFamily, result: Result<Vec<u8>, FetchError>) {
        let Some(ask) = self.http.get_mut(&asker) else { return };
        let result = result.map_err(AnnounceError::Fetch).and_then(|body| match asker {
            Asker::Tier { .. } => parse_announce(&body).map(News::Announced),
            Asker::Scrape { .. } => parse_scrape(&body, &ask.hashes).map(News::Scraped),
        });
        if !self.hearing.end(asker, family, &mut ask.parts, result) {
            self.http.remove(&asker);
        }
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
        self.udp.on_resolved(cx, &mut self.hearing, &Target { host, port }, result);
    }

    /// A packet has come, maybe from a tracker.
    pub(crate) fn on_datagram(&mut self, cx: &mut Cx, from: SocketAddr, bytes: &[u8]) {
        self.udp.on_datagram(cx, &mut self.hearing, from, bytes);
    }

    /// A deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx) {
        self.udp.on_timer(cx, &mut self.hearing);
    }

    /// A torrent is gone: what it asked is given up.
    pub(crate) fn forget_torrent(&mut self, cx: &mut Cx, torrent: TorrentKey) {
        self.udp.forget_torrent(cx, torrent);
        self.hearing.forget_torrent(torrent);
        let of = |tier| Asker::Tier { torrent, tier };
        let askers: Vec<Asker> = self.http.range(of(0)..=of(usize::MAX)).map(|(asker, _)| *asker).collect();
        askers.into_iter().for_each(|asker| drop(self.http.remove(&asker)));
    }
}
