//! A seed with many interested peers, to see what a round of the choker costs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use peerless_core::bitfield::Bitfield;
use peerless_core::wire::{Handshake, Message};
use peerless_core::{
    AddTorrent, Check, Choice, Config, Input, Instant, Job, JobDone, Opened, Output, PeerId, PeerKey,
    Purpose, Session,
};

/// Time from one round to the next.
const ROUND: Duration = Duration::from_secs(10);

/// A session that seeds, and its peers. All of them want something, none takes anything.
#[derive(Debug)]
pub struct Crowd {
    session: Session,
    peers: Vec<PeerKey>,
    now: Instant,
}

impl Crowd {
    /// A seed with `count` peers, up to 65,536.
    #[must_use]
    pub fn new(count: u16) -> Self {
        let config = Config { peers_max: usize::from(count), ..Config::default() };
        let mut session = Session::new(config, 1, Instant::START);
        let metainfo = crate::metainfo(1 << 30, 1 << 20);
        let info_hash = metainfo.info_hash();
        let add = AddTorrent {
            metainfo,
            root: PathBuf::new(),
            purpose: Purpose::Serve,
            check: Check::Auto,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        };
        session.add_torrent(Instant::START, add).expect("the first torrent");
        let mut crowd = Self { session, peers: Vec::new(), now: Instant::START };
        crowd.drain();
        for number in 0..count {
            let [high, low] = number.to_be_bytes();
            let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, high, low)), 6881);
            let peer = crowd.session.accept(crowd.now, addr).expect("room for a peer");
            let mut peer_id = [b'-'; 20];
            peer_id[..2].copy_from_slice(&[high, low]);
            let handshake = Handshake { reserved: [0; 8], info_hash, peer_id: PeerId::new(peer_id) };
            crowd.say(peer, &handshake.encode());
            crowd.peers.push(peer);
            let mut bytes = Vec::new();
            Message::Interested.encode(&mut bytes);
            crowd.say(peer, &bytes);
        }
        crowd
    }

    /// Goes to just before the next round: every peer has shown that it is alive.
    pub fn wait(&mut self) {
        let mut bytes = Vec::new();
        Message::KeepAlive.encode(&mut bytes);
        for at in 0..self.peers.len() {
            self.say(self.peers[at], &bytes);
        }
        self.now = self.now + ROUND;
    }

    /// The round: who has had its turn is choked, who has waited is unchoked.
    pub fn round(&mut self) {
        self.session.handle_timeout(self.now);
        self.drain();
    }

    fn say(&mut self, peer: PeerKey, bytes: &[u8]) {
        self.session.handle_input(self.now, Input::Received { peer, bytes });
        self.drain();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a seed whose peers take nothing asks for no more")]
    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send { peer } => {
                    let len = self.session.unsent(peer).map(<[u8]>::len).sum();
                    self.session.sent(self.now, peer, len);
                }
                Output::Job(Job::Open { torrent, storage, .. }) => {
                    let piece_count = storage.metainfo.geometry().piece_count();
                    let (have, unsure) = (Bitfield::full(piece_count), Bitfield::empty(piece_count));
                    let result = Ok(Opened { have, unsure, ours: true });
                    self.session.handle_input(self.now, Input::Done(JobDone::Opened { torrent, result }));
                }
                Output::Close { reason, .. } => panic!("a peer was closed: {reason:?}"),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_stay_through_many_rounds() {
        let mut crowd = Crowd::new(100);
        for _ in 0..50 {
            crowd.wait();
            crowd.round();
        }
    }
}
