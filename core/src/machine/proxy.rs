//! Connections through a proxy: its part of them, and what to do while it is of no use.
//!
//! A proxy that is down or refuses us fails every call alike. No peer is blamed for that: all wait, and
//! then one call after the other shows whether it is there again.

use std::time::Duration;

use super::Machine;
use crate::cx::{Cx, TimerKey};
use crate::key::PeerKey;
use crate::output::{CloseReason, Event, ProxyError};
use crate::peer::{Peer, Phase};
use crate::time::Instant;
use crate::wire::Socks5Step;

/// The pause after a proxy has failed; doubles with each further time in a row.
const REST_START: Duration = Duration::from_secs(1);

/// The longest such pause: it may be a tunnel that comes back.
const REST_MAX: Duration = Duration::from_secs(60);

/// How the proxy fares.
#[derive(Debug, Default)]
pub(super) struct ProxyHealth {
    /// Times in a row that it was of no use.
    failures: u32,
    rests_until: Option<Instant>,
}

impl ProxyHealth {
    /// Whether it may be called.
    pub(super) fn may_be_called(&self, now: Instant) -> bool {
        self.rests_until.is_none_or(|until| until <= now)
    }

    /// It was of no use to a call. Of many at once the first counts.
    fn on_failure(&mut self, cx: &mut Cx, error: ProxyError) {
        if !self.may_be_called(cx.now) {
            return;
        }
        let pause = REST_START.saturating_mul(1 << self.failures.min(6)).min(REST_MAX);
        let is_first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Some(cx.now + pause);
        cx.timers.set(TimerKey::Proxy, cx.now + pause);
        if is_first {
            cx.event(Event::ProxyFailed { error });
        }
    }

    /// It has led somewhere, or tried to.
    fn on_success(&mut self, cx: &mut Cx) {
        if std::mem::take(&mut self.failures) > 0 {
            self.rests_until = None;
            cx.event(Event::ProxyWorks);
        }
    }
}

impl Machine {
    /// Bytes of a proxy: gives how many, if the connection through it is made.
    pub(super) fn on_proxy_bytes(
        &mut self,
        key: PeerKey,
        bytes: &[u8],
    ) -> Result<Option<usize>, CloseReason> {
        let Some(peer) = self.peers.get_mut(key) else { return Ok(None) };
        let mut taken = 0;
        loop {
            let Phase::Proxying(socks) = &mut peer.phase else { return Ok(None) };
            match socks.step(bytes.get(taken..).unwrap_or_default()).map_err(CloseReason::Proxy)? {
                Socks5Step::NeedMore => return Ok(None),
                Socks5Step::Send { bytes, used, is_secret } => {
                    taken += used;
                    peer.send_to_proxy(&mut self.cx, &bytes, is_secret);
                }
                Socks5Step::Done { used } => {
                    taken += used;
                    break;
                }
            }
        }
        let torrent = peer.torrent.and_then(|torrent| self.torrents.get(torrent));
        let Some(torrent) = torrent else { return Ok(None) };
        peer.on_connected(&mut self.cx, torrent.info_hash());
        self.proxy.on_success(&mut self.cx);
        Ok(Some(taken))
    }

    /// A connection has ended: gives whether the proxy is to blame.
    pub(super) fn blame_proxy(&mut self, peer: &Peer, reason: Option<CloseReason>) -> bool {
        if self.cx.config.route.proxy.is_none() || !peer.outgoing {
            return false;
        }
        let is_lost = matches!(reason, None | Some(CloseReason::Timeout));
        let error = match (&peer.phase, reason) {
            (Phase::Connecting, _) if is_lost => Some(ProxyError::NotThere),
            (Phase::Proxying(_), Some(CloseReason::Proxy(error))) => {
                error.is_of_proxy().then_some(ProxyError::Refuses(error))
            }
            // Some end the connection, or say nothing, where they don't reach the peer.
            (Phase::Proxying(socks), _) if is_lost => (!socks.has_asked()).then_some(ProxyError::Silent),
            _ => return false,
        };
        match error {
            Some(error) => self.proxy.on_failure(&mut self.cx, error),
            None => self.proxy.on_success(&mut self.cx),
        }
        error.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lab::Lab;
    use super::*;
    use crate::config::Config;
    use crate::id::PeerId;
    use crate::input::{CloseCause, Input};
    use crate::route::{Bind, Login, Proxy, Route, Secret};
    use crate::wire::{Socks5Error, Socks5Refusal};
    use std::net::SocketAddr;
    use std::sync::Arc;

    const PROXY: &str = "203.0.113.9:1080";
    const OK: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    fn lab() -> Lab {
        let secret = |text: &str| Secret::of_url(text).unwrap();
        let login = Some(Login { user: secret("me"), password: secret("hunter2") });
        let proxy = Some(Arc::new(Proxy { addr: PROXY.parse().unwrap(), login }));
        Lab::new(Config { route: Route { bind: Bind::ANY, proxy }, ..Config::default() }, "..")
    }

    /// Calls a peer; gives the connection to the proxy.
    fn call(lab: &mut Lab, number: u8) -> PeerKey {
        lab.machine.add_peer(lab.now, lab.torrent, Lab::addr(number));
        lab.drain();
        let (peer, to) = lab.dialled.pop().unwrap();
        assert_eq!(to, PROXY.parse::<SocketAddr>().unwrap());
        peer
    }

    /// What waits to be sent, which is then sent.
    fn sent(lab: &mut Lab, peer: PeerKey) -> Vec<u8> {
        let bytes = lab.machine.peer(peer).unwrap().queue.unsent().flatten().copied().collect::<Vec<_>>();
        lab.machine.sent(lab.now, peer, bytes.len());
        bytes
    }

    fn says(lab: &mut Lab, peer: PeerKey, bytes: &[u8]) {
        lab.input(Input::Received { peer, bytes });
        lab.drain();
    }

    fn proxy_events(lab: &mut Lab) -> Vec<String> {
        lab.drain();
        let events = std::mem::take(&mut lab.events).into_iter();
        let shown = events.filter_map(|event| {
            if let Event::ProxyFailed { error } = event {
                return Some(error.to_string());
            }
            matches!(event, Event::ProxyWorks).then(|| "works".to_owned())
        });
        shown.collect()
    }

    #[test]
    fn a_peer_is_reached_through_the_proxy_and_shakes_hands_behind_it() {
        let mut lab = lab();
        let peer = call(&mut lab, 1);
        lab.input(Input::Connected { peer });
        assert_eq!(sent(&mut lab, peer), [5, 2, 0, 2]);
        says(&mut lab, peer, &[5, 2]);
        assert_eq!(sent(&mut lab, peer), b"\x01\x02me\x07hunter2");
        says(&mut lab, peer, &[1, 0]);
        let request = sent(&mut lab, peer);
        let SocketAddr::V4(addr) = Lab::addr(1) else { panic!("an IPv4 address") };
        let port = addr.port().to_be_bytes();
        assert_eq!(request, [&[5, 1, 0, 1][..], &addr.ip().octets(), &port].concat());
        says(&mut lab, peer, &OK[..9]);
        assert!(sent(&mut lab, peer).is_empty());
        says(&mut lab, peer, &OK[9..]);
        assert!(sent(&mut lab, peer).starts_with(b"\x13BitTorrent protocol"));
        lab.greet(peer, PeerId::new([1; 20]));
        assert!(lab.closed.is_empty() && lab.machine.peer(peer).unwrap().open().is_some());
    }

    #[test]
    fn bytes_behind_the_answer_are_the_peer_s() {
        let mut lab = lab();
        let peer = call(&mut lab, 1);
        lab.input(Input::Connected { peer });
        says(&mut lab, peer, &[&[5, 0][..], &OK, b"GET / HTTP"].concat());
        assert!(matches!(lab.closed[..], [(_, CloseReason::Violation(_))]), "{:?}", lab.closed);
        assert_eq!(proxy_events(&mut lab), [""; 0]);
    }

    #[test]
    fn a_peer_out_of_reach_is_tried_again_later_and_others_at_once() {
        let mut lab = lab();
        let peer = call(&mut lab, 1);
        lab.input(Input::Connected { peer });
        says(&mut lab, peer, &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        let refused = CloseReason::Proxy(Socks5Error::Refused(Socks5Refusal::ConnectionRefused));
        assert_eq!(lab.closed, [(peer, refused)]);
        assert_eq!(proxy_events(&mut lab), [""; 0]);
        assert!(lab.dialled.is_empty(), "as with any peer that does not answer");
        call(&mut lab, 2);
        lab.pass(Duration::from_secs(1));
        assert_eq!(lab.dialled.len(), 1);
    }

    #[test]
    fn a_proxy_that_is_down_is_told_once_and_called_ever_later() {
        let mut lab = lab();
        let first = call(&mut lab, 1);
        let second = call(&mut lab, 2);
        for peer in [first, second] {
            lab.input(Input::Closed { peer, cause: CloseCause::Refused });
        }
        assert_eq!(proxy_events(&mut lab), ["no connection to it can be made"]);
        let mut pauses = Vec::new();
        let mut since = lab.now;
        while lab.now.since_start() < Duration::from_secs(200) {
            lab.pass(Duration::from_millis(500));
            lab.drain();
            if !lab.dialled.is_empty() {
                pauses.push(lab.now.since(since).as_secs());
                since = lab.now;
                for (peer, _) in std::mem::take(&mut lab.dialled) {
                    lab.input(Input::Closed { peer, cause: CloseCause::Refused });
                }
            }
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(proxy_events(&mut lab), [""; 0]);
        // Nobody is forgotten meanwhile.
        while lab.dialled.is_empty() {
            lab.pass(Duration::from_millis(500));
            lab.drain();
        }
        assert_eq!(lab.dialled.len(), 2);
        let (peer, _) = lab.dialled[0];
        lab.input(Input::Connected { peer });
        says(&mut lab, peer, &[&[5, 0][..], &OK].concat());
        assert_eq!(proxy_events(&mut lab), ["works"]);
    }

    #[test]
    fn a_proxy_that_refuses_us_or_is_silent_is_to_blame() {
        let refuses: fn(&mut Lab, PeerKey) = |lab, peer| says(lab, peer, &[5, 0xFF]);
        let closes: fn(&mut Lab, PeerKey) =
            |lab, peer| lab.input(Input::Closed { peer, cause: CloseCause::End });
        let is_silent: fn(&mut Lab, PeerKey) = |lab, _| lab.pass(Duration::from_secs(20));
        for (does, words) in [
            (refuses, "it wants a login, or another one than user and password"),
            (closes, "it does not answer"),
            (is_silent, "it does not answer"),
        ] {
            let mut lab = lab();
            let peer = call(&mut lab, 1);
            lab.input(Input::Connected { peer });
            does(&mut lab, peer);
            assert_eq!(proxy_events(&mut lab), [words]);
        }
    }

    #[test]
    fn who_does_not_answer_behind_the_proxy_is_not_the_proxy_s_fault() {
        for closes in [true, false] {
            let mut lab = lab();
            let peer = call(&mut lab, 1);
            lab.input(Input::Connected { peer });
            says(&mut lab, peer, &[5, 0]);
            if closes {
                lab.input(Input::Closed { peer, cause: CloseCause::End });
            } else {
                lab.pass(Duration::from_secs(20));
            }
            assert_eq!(proxy_events(&mut lab), [""; 0]);
            assert!(!lab.is_there(peer));
        }
    }
}
