//! What is said by extensions (BEP 10): our extended handshake, and what those of peers mean.

use super::{Phase, Torrent};
use crate::cx::Cx;
use crate::extension::{ExtensionError, Hello, Kind, REQUESTS_TOLD, Told, UploadOnly};
use crate::job::Purpose;
use crate::key::PeerKey;
use crate::names::is_stand_in;
use crate::output::{CloseReason, Event};
use crate::peer::{Peer, PeerError, Peers};
use crate::piece::BlockRef;
use crate::wire::Message;

/// Our name in extended handshakes.
const CLIENT: &str = concat!("peerless/", env!("CARGO_PKG_VERSION"));

impl Torrent {
    /// Says which extensions we take, and what else there is to know about us; `again`, if that may
    /// have changed: then also which we take no longer.
    pub(super) fn send_hello(&self, cx: &mut Cx, peer: &mut Peer, again: bool) {
        let metainfo = &self.storage.metainfo;
        let none = again.then_some(0);
        let hello = Hello {
            ids: Kind::ALL.map(|kind| if self.takes(cx, kind) { Some(kind.id()) } else { none }),
            client: Some(CLIENT.to_owned()),
            listen_port: cx.config.listen_port,
            request_max: Some(REQUESTS_TOLD.into()),
            your_ip: Some(peer.addr.ip()).filter(|ip| !is_stand_in(*ip)),
            metadata_len: u32::try_from(metainfo.info().len())
                .ok()
                .filter(|len| *len > 0 && !metainfo.is_private()),
            upload_only: self.is_upload_only().then_some(true),
        };
        peer.send(cx, Message::Extended { id: 0, payload: &hello.encode() });
    }

    /// Whether we take messages of this kind.
    fn takes(&self, cx: &Cx, kind: Kind) -> bool {
        match kind {
            Kind::UploadOnly | Kind::DontHave => true,
            // Private torrents' metadata is for those who have it from their tracker.
            Kind::Metadata => !self.storage.metainfo.is_private(),
            Kind::Pex => self.exchanges(cx),
        }
    }

    /// Whether we want nothing more of anyone (BEP 21).
    pub(super) fn is_upload_only(&self) -> bool {
        match self.phase {
            Phase::Seeding => !self.is_super_seeding(),
            // Some leave a peer at once that wants nothing and has nothing yet.
            Phase::Checking(_) => false,
            Phase::Metadata(_) | Phase::Leeching(_) | Phase::Stopped => {
                matches!(self.purpose, Purpose::Serve)
            }
        }
    }

    /// Tells everybody who understands it whether we want nothing more.
    pub(super) fn tell_upload_only(&self, cx: &mut Cx, peers: &mut Peers) {
        let message = if self.is_upload_only() { UploadOnly::MESSAGE } else { UploadOnly::MESSAGE_OVER };
        for key in &self.peers {
            if let Some(peer) = peers.get_mut(*key) {
                peer.send_extended(cx, Kind::UploadOnly, message);
            }
        }
    }

    /// Takes in a message of the extension protocol. Numbers that we gave to nothing are ignored.
    pub(super) fn on_extended(
        &mut self,
        cx: &mut Cx,
        peer: &mut Peer,
        id: u8,
        payload: &[u8],
    ) -> Result<(), CloseReason> {
        let addr = peer.addr;
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let extended = open.extended.get_or_insert_default();
        let told = if id == 0 {
            let hello = Hello::parse(payload).map_err(malformed)?;
            if let Some(count) = hello.request_max {
                open.requests.set_kept_max(count);
            }
            let first = !extended.greeted;
            let told = extended.on_handshake(cx, &hello);
            if let Some(client) = hello.client.filter(|_| first) {
                extended.client = Some(client.as_str().into());
                cx.event(Event::PeerNamed { torrent: self.key, addr, client });
            }
            told
        } else {
            let Some(kind) = Kind::of(id).filter(|kind| *kind != Kind::Pex || self.exchanges(cx)) else {
                return Ok(());
            };
            extended.on_message(cx, kind, payload).map_err(malformed)?.into_iter().collect()
        };
        self.act(cx, peer, told)
    }

    /// Time has passed that matters to an extension of this peer.
    pub(crate) fn on_extension_timer(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        key: PeerKey,
    ) -> Result<(), CloseReason> {
        let open = peers.get_mut(key).and_then(Peer::open_mut);
        let extended = open.and_then(|open| open.extended.as_mut());
        let told = extended.map_or_else(Vec::new, |extended| extended.on_timeout(cx));
        if told.contains(&Told::PexDue) {
            self.tell_of_peers(cx, peers, key);
        }
        peers.get_mut(key).map_or(Ok(()), |peer| self.act(cx, peer, told))
    }

    /// Does what extensions have found to be done.
    fn act(&mut self, cx: &mut Cx, peer: &mut Peer, told: Vec<Told<'_>>) -> Result<(), CloseReason> {
        for told in told {
            match told {
                Told::UploadOnly => self.after_pieces_told(cx, peer)?,
                Told::Lost { index } => self.on_dont_have(cx, peer, index)?,
                Told::MetadataLen => self.on_metadata_len(cx, peer),
                Told::Metadata(message) => self.on_metadata_message(cx, peer, message)?,
                Told::Listens => self.on_listens(cx, peer),
                Told::Pex(message) => self.on_pex(cx, peer, &message),
                // It has been told already, by who knows all peers.
                Told::PexDue => {}
            }
        }
        peer.set_extension_timer(cx);
        Ok(())
    }

    /// A peer has lost a piece (BEP 54): what it was asked for of it will not come.
    fn on_dont_have(&mut self, cx: &mut Cx, peer: &mut Peer, index: u32) -> Result<(), CloseReason> {
        let Some(piece) = self.storage.metainfo.geometry().piece(index) else {
            return Err(CloseReason::Violation(PeerError::NoSuchPiece { index }));
        };
        let (key, is_wanted) = (peer.key, self.wants(piece));
        let Some(open) = peer.open_mut() else { return Ok(()) };
        let Phase::Leeching(download) = &mut self.phase else {
            open.pieces.remove(piece);
            return Ok(());
        };
        if !download.picker.remove_have(key, &mut open.pieces, piece) {
            return Ok(());
        }
        if is_wanted {
            open.wanted_count = open.wanted_count.saturating_sub(1);
        }
        let owed: Vec<BlockRef> = open.requests.blocks().filter(|block| block.piece() == piece).collect();
        owed.iter().for_each(|block| _ = open.requests.forget(*block));
        download.give_back(cx, key, &owed);
        peer.update_interest(cx);
        Ok(())
    }
}

const fn malformed(error: ExtensionError) -> CloseReason {
    CloseReason::Violation(PeerError::Extension(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::job::Job;
    use crate::machine::lab::Lab;

    fn hello(lab: &mut Lab, peer: PeerKey, hello: &Hello) {
        lab.say(peer, Message::Extended { id: 0, payload: &hello.encode() });
    }

    fn takes_all() -> Hello {
        Hello { ids: Kind::ALL.map(|kind| Some(10 + kind.id())), ..Hello::default() }
    }

    #[test]
    fn only_who_knows_extensions_is_told_of_ours() {
        let mut lab = Lab::new(Config::default(), "x.");
        let (old, new) = (lab.peer(1), lab.modern_peer(2));
        assert_eq!(lab.heard(old), ["bitfield"]);
        assert_eq!(lab.heard(new), ["bitfield", "hello"]);
    }

    #[test]
    fn no_more_is_asked_for_than_the_peer_keeps() {
        let mut lab = Lab::new(Config::default(), &".".repeat(10));
        let peer = lab.modern_peer(1);
        hello(&mut lab, peer, &Hello { request_max: Some(3), ..takes_all() });
        let all = lab.pieces(&"x".repeat(10)).to_wire();
        lab.say(peer, Message::Bitfield { bits: &all });
        lab.say(peer, Message::Unchoke);
        assert_eq!(lab.requests(peer).len(), 3);
    }

    #[test]
    fn a_lost_piece_is_asked_of_another_and_the_interest_ends() {
        let mut lab = Lab::new(Config::default(), ".x");
        let first = lab.modern_peer(1);
        let bits = lab.pieces("x.").to_wire();
        lab.say(first, Message::Bitfield { bits: &bits });
        lab.say(first, Message::Unchoke);
        let asked = lab.requests(first);
        assert_eq!(asked.len(), 2);
        let lost = Message::Extended { id: Kind::DontHave.id(), payload: &[0; 4] };
        lab.say(first, lost);
        assert_eq!(lab.heard(first), ["notinterested"]);
        let second = lab.giver(2, "x.");
        assert_eq!(lab.requests(second), asked);
        lab.say(first, lost);
        lab.say(first, Message::Extended { id: Kind::DontHave.id(), payload: &[0, 0, 0, 9] });
        let why = CloseReason::Violation(PeerError::NoSuchPiece { index: 9 });
        assert_eq!(lab.closed, [(first, why)]);
    }

    #[test]
    fn two_that_want_nothing_part() {
        let mut lab = Lab::new(Config::default(), "xx");
        let peer = lab.modern_peer(1);
        hello(&mut lab, peer, &takes_all());
        assert!(lab.is_there(peer));
        lab.say(peer, Message::Extended { id: Kind::UploadOnly.id(), payload: UploadOnly::MESSAGE });
        assert_eq!(lab.closed, [(peer, CloseReason::Redundant)]);
    }

    #[test]
    fn completion_is_told_under_the_number_that_the_peer_gave() {
        let mut lab = Lab::new(Config::default(), ".");
        let (giver, taker) = (lab.giver(1, "x"), lab.modern_peer(2));
        hello(&mut lab, taker, &takes_all());
        lab.heard(taker);
        lab.requests(giver).into_iter().for_each(|block| lab.give(giver, block));
        lab.finish(|job| matches!(job, Job::Store { .. }));
        assert_eq!(lab.heard(taker), ["have { index: 0 }", "extended 11 \u{1}"]);
    }

    #[test]
    fn what_nobody_knows_is_ignored_and_bombs_end_their_connection() {
        let mut lab = Lab::new(Config::default(), "x.");
        let (odd, bomb) = (lab.modern_peer(1), lab.modern_peer(2));
        lab.say(odd, Message::Extended { id: 77, payload: &[1, 2, 3] });
        lab.say(odd, Message::Unknown { id: 99, payload: &[] });
        lab.say(bomb, Message::Extended { id: 0, payload: &[&b"d1:a"[..], &[b'l'; 60_000]].concat() });
        assert_eq!(lab.closed, [(bomb, malformed(ExtensionError::Handshake))]);
        assert!(lab.is_there(odd));
    }

    #[test]
    fn a_client_is_named_once() {
        let mut lab = Lab::new(Config::default(), "x.");
        let peer = lab.modern_peer(1);
        for name in ["a", "b"] {
            hello(&mut lab, peer, &Hello { client: Some(name.to_owned()), ..takes_all() });
        }
        let named: Vec<_> =
            lab.events.iter().filter(|event| matches!(event, Event::PeerNamed { .. })).collect();
        assert!(matches!(named[..], [Event::PeerNamed { client, .. }] if client == "a"), "{named:?}");
    }
}
