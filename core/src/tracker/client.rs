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
                let families = cx.config.route.families();
                let families: Vec<_> =
                    families.filter(|family| self.hearing.wants(asker, *family, patience)).collect();
                self.http.insert(asker, HttpAsk { parts: Parts::new(families.len()), hashes: Vec::new() });
                for family in families {
                    let (route, url) = (cx.config.route.clone(), url.clone());
                    cx.job(Job::Announce { torrent, tier, route, family, url });
                }
            }
            (Question::HttpScrape(url, hashes), Asker::Scrape { number }) => {
                self.http.insert(asker, HttpAsk { parts: Parts::new(1), hashes });
                let route = cx.config.route.clone();
                cx.job(Job::Scrape { number, route, url });
            }
            // A tier announces and nothing else does.
            (Question::HttpAnnounce(_) | Question::HttpScrape(..), _) => {}
        }
    }

    /// What has been heard since.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        self.hearing.take()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::cx::TimerKey;
    use crate::key::Key;
    use crate::output::Output;
    use crate::time::Instant;
    use crate::tracker::ask::Patience;
    use crate::tracker::udp::{Answer, Request};

    const OK: &[u8] = b"d8:intervali900e5:peers0:e";

    /// What comes of a GET in each family, in order.
    fn heard(patience: Patience, results: &[(IpFamily, Result<&[u8], FetchError>)]) -> Vec<String> {
        let (mut cx, torrent) = (Cx::new(Config::default(), 1, Instant::START), TorrentKey::new(0, 0));
        let mut trackers = Trackers::default();
        let asker = Asker::Tier { torrent, tier: 1 };
        trackers.hearing.end(asker, IpFamily::V6, &mut Parts::new(1), Ok(News::Over));
        trackers.hearing.take();
        let question = Question::HttpAnnounce("http://t/announce".to_owned());
        trackers.ask(&mut cx, Ask { asker, question, patience });
        let asked = cx.outbox.iter().filter(|output| matches!(output, Output::Job(Job::Announce { .. })));
        assert_eq!(asked.count(), results.len());
        for (family, result) in results {
            trackers.on_announced((torrent, 1), *family, result.clone().map(<[u8]>::to_vec));
        }
        assert!(trackers.http.is_empty(), "nothing is waited for");
        let show = |heard: Heard| match heard.news {
            News::Announced(_) => format!("ok, more: {}", heard.more),
            News::Failed(error) => format!("{error}, more: {}", heard.more),
            news @ (News::Scraped(_) | News::Silent(_) | News::Over) => {
                format!("{news:?}, more: {}", heard.more)
            }
        };
        trackers.take_heard().into_iter().map(show).collect()
    }

    #[test]
    fn a_get_goes_out_in_both_families_and_one_answer_is_enough() {
        use IpFamily::{V4, V6};
        let (none, late) = (|| Err(FetchError::NoAddress), || Err(FetchError::Timeout));
        let both = |a, b| heard(Patience::Long, &[(V4, a), (V6, b)]);
        assert_eq!(both(Ok(OK), Ok(OK)), ["ok, more: true", "ok, more: false"]);
        assert_eq!(both(Ok(OK), none()), ["ok, more: true", "Over, more: false"]);
        assert_eq!(both(none(), Ok(OK)), ["ok, more: false"]);
        assert_eq!(both(late(), none()), ["no answer in time, more: false"]);
        assert_eq!(both(none(), late()), ["no answer in time, more: false"]);
        assert_eq!(both(none(), none()), ["the host has no address, more: false"]);
        assert_eq!(both(Ok(b"x"), none()).len(), 1);
    }

    #[test]
    fn who_leaves_tells_the_family_that_has_answered() {
        assert_eq!(heard(Patience::Parting, &[(IpFamily::V6, Ok(OK))]), ["ok, more: false"]);
    }

    #[test]
    fn a_udp_tracker_hears_of_its_name_its_packets_and_the_time() {
        let mut cx = Cx::new(Config::default(), 1, Instant::START);
        let mut trackers = Trackers::default();
        let ask = |cx: &mut Cx, trackers: &mut Trackers, number| {
            let question = Question::scrape("udp://t:1", vec![InfoHash::new([1; 20])]).unwrap();
            trackers.ask(cx, Ask { asker: Asker::Scrape { number }, question, patience: Patience::Short });
            cx.outbox.clear();
        };
        let sent = |cx: &mut Cx| {
            std::mem::take(&mut cx.outbox).into_iter().find_map(|output| {
                let Output::Datagram { bytes, .. } = output else { return None };
                Some(Request::parse(&bytes).unwrap())
            })
        };
        ask(&mut cx, &mut trackers, 0);
        trackers.on_resolved(&mut cx, "t".to_owned(), 1, Err("no such host".to_owned()));
        assert!(matches!(trackers.take_heard()[..], [Heard { news: News::Failed(_), .. }]));

        ask(&mut cx, &mut trackers, 1);
        let addr = SocketAddr::from(([192, 0, 2, 1], 1));
        trackers.on_resolved(&mut cx, "t".to_owned(), 1, Ok(vec![addr]));
        assert!(matches!(sent(&mut cx), Some(Request::Connect { .. })));
        cx.now = cx.timers.get(TimerKey::Trackers).unwrap();
        trackers.on_timer(&mut cx);
        let Some(Request::Connect { transaction }) = sent(&mut cx) else { panic!("it is asked again") };
        trackers.on_datagram(&mut cx, addr, &Answer::connected(transaction, 7));
        assert!(matches!(sent(&mut cx), Some(Request::Call { connection: 7, .. })));
    }

    #[test]
    fn a_torrent_that_is_gone_hears_nothing() {
        let (mut cx, torrent) = (Cx::new(Config::default(), 1, Instant::START), TorrentKey::new(0, 0));
        let mut trackers = Trackers::default();
        let asker = Asker::Tier { torrent, tier: 0 };
        let question = Question::HttpAnnounce("http://t/announce".to_owned());
        trackers.ask(&mut cx, Ask { asker, question, patience: Patience::Long });
        trackers.on_announced((torrent, 0), IpFamily::V4, Ok(OK.to_vec()));
        trackers.forget_torrent(&mut cx, torrent);
        trackers.take_heard();
        trackers.on_announced((torrent, 0), IpFamily::V6, Ok(OK.to_vec()));
        assert!(trackers.take_heard().is_empty());
        assert!(trackers.hearing.wants(asker, IpFamily::V6, Patience::Parting), "nothing is kept of it");
    }
}
