//! Calls with other names and addresses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::words::Words;
use crate::config::Config;
use crate::job::{
    BuiltMetadata, DiskError, FetchError, FetchFailure, JobDone, MetadataError, StoreError, StoredPiece,
};
use crate::magnet::Magnet;
use crate::metainfo::Metainfo;
use crate::record::call::Call;
use crate::route::{Bind, Proxy, Route};
use crate::session::{AddMagnet, AddTorrent};

type Tiers = Vec<Vec<String>>;

impl Words {
    pub(super) fn addr(&mut self, addr: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ips.rename(addr.ip()), addr.port())
    }

    fn addrs(&mut self, addrs: &[SocketAddr]) -> Vec<SocketAddr> {
        addrs.iter().map(|addr| self.addr(*addr)).collect()
    }

    pub(super) fn config(&mut self, config: &Config) -> Config {
        let Route { bind, proxy } = config.route.clone();
        let bind = bind.ip().map_or(Bind::ANY, |ip| Bind::to(self.ips.rename(ip)));
        let proxy =
            proxy.map(|proxy| Arc::new(Proxy { addr: self.addr(proxy.addr), login: proxy.login.clone() }));
        Config { route: Route { bind, proxy }, ..config.clone() }
    }

    /// The same call with other names. What peers say is for who hears the whole stream. `None` if it can't
    /// be told with others.
    pub(super) fn call(&mut self, call: Call) -> Option<Call> {
        Some(match call {
            Call::New(seeds, config) => Call::New(seeds, self.config(&config)),
            Call::AddTorrent(add) => Call::AddTorrent(Box::new(self.add_torrent(*add)?)),
            Call::AddMagnet(add) => Call::AddMagnet(Box::new(self.add_magnet(*add))),
            Call::AddPeer(torrent, addr) => Call::AddPeer(torrent, self.addr(addr)),
            Call::Accept(addr) => Call::Accept(self.addr(addr)),
            Call::Datagram(from, bytes) => {
                let bytes = self.datagram(from.ip(), &bytes);
                Call::Datagram(self.addr(from), bytes)
            }
            Call::Done(done) => Call::Done(self.done(done)?),
            Call::Scrape(url, hashes) => {
                Call::Scrape(self.url(&url), hashes.into_iter().map(|hash| self.hash(hash)).collect())
            }
            Call::FastSet(ip, hash, pieces) => Call::FastSet(self.ips.rename(ip), self.hash(hash), pieces),
            call @ (Call::RemoveTorrent(_)
            | Call::SetChoice(..)
            | Call::SetLimits(..)
            | Call::ShutDown
            | Call::Connected(_)
            | Call::Received(..)
            | Call::Closed(..)
            | Call::Timeout
            | Call::Sent(..)
            | Call::Outputs(_)) => call,
        })
    }

    fn add_torrent(&mut self, add: AddTorrent) -> Option<AddTorrent> {
        let AddTorrent { metainfo, root, purpose, check, choice, tiers, web_seeds, peers, hosts } = add;
        Some(AddTorrent {
            metainfo: self.metainfo(&metainfo)?,
            root: self.path(&root),
            purpose,
            check,
            choice,
            tiers: self.tiers(&tiers),
            web_seeds: self.urls(&web_seeds),
            peers: self.addrs(&peers),
            hosts: self.hosts(&hosts),
        })
    }

    fn add_magnet(&mut self, add: AddMagnet) -> AddMagnet {
        let AddMagnet { magnet, root, check, choice, tiers, web_seeds, peers, hosts, metadata_only } = add;
        let Magnet { info_hash, name, trackers, peers: named, web_seeds: served, select } = magnet;
        let name = name.map(|name| {
            let word = self.component(name.as_bytes());
            String::from_utf8_lossy(&word).into_owned()
        });
        AddMagnet {
            magnet: Magnet {
                info_hash: self.hash(info_hash),
                name,
                trackers: self.urls(&trackers),
                peers: self.hosts(&named),
                web_seeds: self.urls(&served),
                select,
            },
            root: self.path(&root),
            check,
            choice,
            tiers: self.tiers(&tiers),
            web_seeds: self.urls(&web_seeds),
            peers: self.addrs(&peers),
            hosts: self.hosts(&hosts),
            metadata_only,
        }
    }

    fn urls(&mut self, urls: &[String]) -> Vec<String> {
        urls.iter().map(|url| self.url(url)).collect()
    }

    fn tiers(&mut self, tiers: &Tiers) -> Tiers {
        tiers.iter().map(|tier| self.urls(tier)).collect()
    }

    fn hosts(&mut self, hosts: &[(String, u16)]) -> Vec<(String, u16)> {
        hosts.iter().map(|(host, port)| (self.host(host), *port)).collect()
    }

    /// What a UDP tracker answers (BEP 15). Of anything else the first bytes, by which it is seen to be
    /// nothing.
    fn datagram(&mut self, from: IpAddr, bytes: &[u8]) -> Vec<u8> {
        let kept = |count: usize| bytes.get(..count).unwrap_or(bytes);
        let rest = |count: usize| bytes.get(count..).unwrap_or_default();
        match (bytes.first_chunk::<4>(), from.to_canonical()) {
            (Some([0, 0, 0, 1]), IpAddr::V4(_)) => [kept(20), &self.compact::<4>(rest(20))].concat(),
            (Some([0, 0, 0, 1]), IpAddr::V6(_)) => [kept(20), &self.compact::<16>(rest(20))].concat(),
            (Some([0, 0, 0, 0 | 2]), _) => bytes.to_vec(),
            (Some([0, 0, 0, 3]), _) => [kept(8), &Self::blank(rest(8))].concat(),
            _ => [kept(4), &vec![0; rest(4).len()]].concat(),
        }
    }

    fn done(&mut self, done: JobDone) -> Option<JobDone> {
        Some(match done {
            JobDone::Opened { torrent, result } => {
                JobDone::Opened { torrent, result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::Checked { torrent, pieces, result } => {
                JobDone::Checked { torrent, pieces, result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::Stored { torrent, pieces, time } => {
                let pieces = pieces.into_iter().map(|piece| self.stored(piece)).collect();
                JobDone::Stored { torrent, pieces, time }
            }
            JobDone::Read { torrent, peer, range, result } => {
                JobDone::Read { torrent, peer, range, result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::Saved { torrent, result } => {
                JobDone::Saved { torrent, result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::Chosen { torrent, result } => {
                JobDone::Chosen { torrent, result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::Announced { torrent, tier, family, result } => {
                JobDone::Announced { torrent, tier, family, result: self.fetched(result) }
            }
            JobDone::Scraped { number, result } => JobDone::Scraped { number, result: self.fetched(result) },
            JobDone::Resolved { whom, host, port, result } => {
                let result = result.map(|addrs| self.addrs(&addrs)).map_err(|why| Self::text(&why));
                JobDone::Resolved { whom, host: self.host(&host), port, result }
            }
            JobDone::Fetched { torrent, seed, run, blocks, result } => {
                let result = result.map_err(|FetchFailure { error, retry_after }| FetchFailure {
                    error: fetch_error(error),
                    retry_after,
                });
                JobDone::Fetched { torrent, seed, run, blocks, result }
            }
            JobDone::Metadata { torrent, result } => {
                let result = match result {
                    Ok(built) => Ok(Box::new(BuiltMetadata {
                        metainfo: self.metainfo(&built.metainfo)?,
                        digests: built.digests.iter().map(|digest| self.digest(digest)).collect(),
                    })),
                    Err(MetadataError::NotSaved) => Err(MetadataError::NotSaved),
                    Err(MetadataError::Mismatch(digests)) => {
                        let digests = digests.iter().map(|digest| self.digest(digest)).collect();
                        Err(MetadataError::Mismatch(digests))
                    }
                    Err(MetadataError::Unusable(why)) => Err(MetadataError::Unusable(Self::text(&why))),
                };
                JobDone::Metadata { torrent, result }
            }
            JobDone::Recorded { result } => {
                JobDone::Recorded { result: result.map_err(|error| self.disk(error)) }
            }
            JobDone::BindChecked { result } => {
                JobDone::BindChecked { result: result.map_err(|why| Self::text(&why)) }
            }
        })
    }

    fn disk(&mut self, DiskError { kind, path, why }: DiskError) -> DiskError {
        DiskError { kind, path: self.path(&path), why: Self::text(&why) }
    }

    fn stored(&mut self, StoredPiece { piece, blocks, result }: StoredPiece) -> StoredPiece {
        let digests = |digests: Vec<[u8; 20]>| digests.iter().map(|digest| self.digest(digest)).collect();
        let result = match result {
            Ok(good) => Ok(digests(good)),
            Err(StoreError::Mismatch(bad)) => Err(StoreError::Mismatch(digests(bad))),
            Err(StoreError::Disk(error)) => Err(StoreError::Disk(self.disk(error))),
        };
        StoredPiece { piece, blocks, result }
    }

    fn fetched(&mut self, result: Result<Vec<u8>, FetchError>) -> Result<Vec<u8>, FetchError> {
        result.map(|body| self.answer(&body)).map_err(fetch_error)
    }

    /// The dictionary `info` of a torrent as it was and as it is.
    pub(super) fn info(&mut self, metainfo: &Metainfo) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((metainfo.info().to_vec(), self.metainfo(metainfo)?.info().to_vec()))
    }
}

fn fetch_error(error: FetchError) -> FetchError {
    match error {
        error @ (FetchError::Status(_)
        | FetchError::TooLong(_)
        | FetchError::Timeout
        | FetchError::NoAddress) => error,
        FetchError::Redirect(why) => FetchError::Redirect(Words::text(&why)),
        FetchError::Url(why) => FetchError::Url(Words::text(&why)),
        FetchError::Unfit(why) => FetchError::Unfit(Words::text(&why)),
        FetchError::Failed(why) => FetchError::Failed(Words::text(&why)),
        FetchError::Proxy(why) => FetchError::Proxy(Words::text(&why)),
    }
}
