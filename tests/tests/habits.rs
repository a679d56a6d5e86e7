//! What widespread clients do although no BEP says so, and what they must get all the same.

use std::net::SocketAddr;
use std::path::PathBuf;

use peerless_core::{
    AddTorrent, Check, Choice, CloseReason, Config, Input, Instant, Output, PeerKey, Purpose, Session,
};
use peerless_sim::disk::Disk;
use peerless_sim::sample::Sample;
use peerless_sim::speak::{self, BITFIELD, HAVE, INTERESTED, PIECE, REQUEST};

const PIECE_LEN: u32 = 16 * 1024;

/// A session with one torrent and one peer that has dialled in.
struct Talk {
    session: Session,
    disk: Disk,
    peer: PeerKey,
    closed: Option<CloseReason>,
    heard: Vec<u8>,
}

impl Talk {
    fn new(sample: &Sample, purpose: Purpose) -> Self {
        let mut disk = Disk::new(1);
        match purpose {
            Purpose::Serve => disk.insert_full(sample),
            Purpose::Download => disk.insert(sample),
        }
        let mut session = Session::new(Config::default(), 1, Instant::START);
        let add = AddTorrent {
            metainfo: sample.metainfo.clone(),
            root: PathBuf::new(),
            purpose,
            check: Check::Full,
            choice: Choice::default(),
            web_seeds: Vec::new(),
            tiers: Vec::new(),
            peers: Vec::new(),
            hosts: Vec::new(),
        };
        session.add_torrent(Instant::START, add).expect("a new torrent");
        let addr = SocketAddr::from(([192, 0, 2, 1], 6881));
        let peer = session.accept(Instant::START, addr).expect("room for a peer");
        let mut talk = Self { session, disk, peer, closed: None, heard: Vec::new() };
        talk.settle();
        talk.say(&speak::handshake(sample.metainfo.info_hash().as_bytes(), b"-XX0000-abcdefghijkl"));
        talk
    }

    fn say(&mut self, bytes: &[u8]) {
        self.session.handle_input(Instant::START, Input::Received { peer: self.peer, bytes });
        self.settle();
    }

    fn tell(&mut self, id: u8, numbers: &[u32], bytes: &[u8]) {
        let mut message = Vec::new();
        speak::message(&mut message, id, numbers, bytes);
        self.say(&message);
    }

    /// Does all jobs and takes all bytes, until there is nothing to do.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.session.poll_output() {
                match output {
                    Output::Job(job) => {
                        self.disk.ask(&job);
                        let done = self.disk.run(job);
                        self.session.handle_input(Instant::START, Input::Done(done));
                    }
                    Output::Close { reason, .. } => self.closed = Some(reason),
                    Output::Connect { .. }
                    | Output::Send { .. }
                    | Output::Resume { .. }
                    | Output::Datagram { .. }
                    | Output::Event(_) => {}
                }
            }
            let unsent: Vec<u8> = self.session.unsent(self.peer).flatten().copied().collect();
            if unsent.is_empty() {
                return;
            }
            self.session.sent(Instant::START, self.peer, unsent.len());
            self.heard.extend(unsent);
        }
    }

    /// How many messages with this id have come.
    fn count(&self, wanted: u8) -> usize {
        let mut rest = self.heard.get(speak::HANDSHAKE_LEN..).unwrap_or_default();
        let mut count = 0;
        while let Some((len, tail)) = rest.split_first_chunk::<4>() {
            let (message, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
            count += usize::from(message.first() == Some(&wanted));
            rest = tail;
        }
        count
    }
}

/// aria2 replaces twenty and more `have`s by one bitfield, at any time.
#[test]
fn a_bitfield_may_come_late_and_adds_to_what_was_told() {
    let sample = Sample::new(1, 40 * PIECE_LEN as usize, PIECE_LEN);
    for purpose in [Purpose::Serve, Purpose::Download] {
        let mut talk = Talk::new(&sample, purpose);
        talk.tell(HAVE, &[3], &[]);
        talk.tell(BITFIELD, &[], &[0xFF, 0, 0, 0, 0]);
        talk.tell(BITFIELD, &[], &[0x80, 0, 0, 0, 0x01]);
        assert_eq!(talk.closed, None, "{purpose:?}");
    }
    let mut whole = Talk::new(&sample, Purpose::Serve);
    whole.tell(HAVE, &[0], &[]);
    whole.tell(BITFIELD, &[], &[0x7F, 0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(whole.closed, Some(CloseReason::Redundant), "what was told by both ways is everything");
}

/// Transmission asks for all that it expects in the next 10 s, and waits 90 s for what it is not
/// given.
#[test]
fn thousands_of_requests_at_once_are_all_answered() {
    let sample = Sample::new(2, 40 * PIECE_LEN as usize, PIECE_LEN);
    let mut talk = Talk::new(&sample, Purpose::Serve);
    talk.tell(INTERESTED, &[], &[]);
    let mut requests = Vec::new();
    for number in 0..4000 {
        speak::message(&mut requests, REQUEST, &[number % 40, number / 40 * 16, 16], &[]);
    }
    talk.say(&requests);
    assert_eq!(talk.closed, None);
    assert_eq!(talk.count(PIECE), 4000);
}
