//! Connections of a swarm: dialled, answered, filled, read, ended, cut.

use std::net::SocketAddr;

use peerless_core::rng::Rng;
use peerless_core::{CloseCause, Input, Instant, PeerKey};

use super::place::jitter;
use super::{Actor, Swarm, What};
use crate::link::{Conn, End, Link, LinkKey, Net, NodeId, Pipe, pick, transfer_time};
use crate::part::Part;
use crate::puppet::{Act, Alarm};

/// The first port that dials come from.
const DIAL_PORT_MIN: u16 = 32_768;

impl Swarm {
    /// Calls an address; `key` is the session's name for the connection.
    pub(super) fn dial(&mut self, node: NodeId, key: Option<PeerKey>, to: SocketAddr) {
        let target = self.addrs.get(&to).copied();
        let latency = self.link_delay(node, target);
        let caller = &mut self.nodes[node.0];
        caller.dial_count = (caller.dial_count + 1) % DIAL_PORT_MIN;
        let from = SocketAddr::new(caller.addr.ip(), DIAL_PORT_MIN + caller.dial_count);
        let near = End { node, key, open: true };
        let far = End { node: target.unwrap_or(node), key: None, open: false };
        let pipes = [Pipe::default(), Pipe::default()];
        let link = Link { ends: [near, far], pipes, latency, to, from, up: false };
        let link = self.links.insert_with(|_| link);
        if let Some(peer) = key {
            self.host_mut(node).conns.insert(peer, Conn { link, side: 0 });
        }
        match target.map(|target| &self.nodes[target.0]) {
            Some(node) if node.behind_nat || matches!(node.actor, Actor::Silent) => {}
            Some(node) if !node.down => self.schedule(self.now + latency, What::Dialled(link)),
            Some(_) | None => self.schedule(self.now + 2 * latency, What::DialAnswered(link, false)),
        }
    }

    pub(super) fn on_dialled(&mut self, key: LinkKey) {
        let (now, conn) = (self.now, Conn { link: key, side: 1 });
        let Some(link) = self.links.get_mut(key) else {
            return;
        };
        let (node, latency) = (link.ends[1].node, link.latency);
        let mut acts = Vec::new();
        let taken = match &mut self.nodes[node.0].actor {
            Actor::Host(host) => host.session.accept(now, link.from).map(|peer| {
                host.conns.insert(peer, conn);
                link.ends[1].key = Some(peer);
            }),
            Actor::Puppet(puppet) => {
                puppet.connected(conn, None, &mut acts);
                Some(())
            }
            Actor::Silent => None,
        };
        link.ends[1].open = taken.is_some();
        self.schedule(now + latency, What::DialAnswered(key, taken.is_some()));
        self.react(node, acts);
    }

    pub(super) fn on_dial_answered(&mut self, key: LinkKey, yes: bool) {
        let (now, conn) = (self.now, Conn { link: key, side: 0 });
        let Some(link) = self.links.get_mut(key).filter(|link| link.ends[0].open) else {
            return;
        };
        let (node, peer, to) = (link.ends[0].node, link.ends[0].key, link.to);
        if !yes {
            self.links.remove(key);
            self.tell_closed(conn, node, peer, Some(to), CloseCause::Refused);
            return;
        }
        link.up = true;
        if let Some(range) = self.net.cut_after.clone() {
            let at = now + pick(&mut self.rng, &range);
            self.schedule(at, What::Cut(key));
        }
        let mut acts = Vec::new();
        match (&mut self.nodes[node.0].actor, peer) {
            (Actor::Host(host), Some(peer)) => host.session.handle_input(now, Input::Connected { peer }),
            (Actor::Puppet(puppet), _) => puppet.connected(conn, Some(to), &mut acts),
            (Actor::Host(_) | Actor::Silent, _) => {}
        }
        self.react(node, acts);
    }

    /// Puts the next part of what this end has to send on its line, if the last one has left.
    pub(super) fn pump(&mut self, conn: Conn) {
        let (now, window) = (self.now, self.net.window_len);
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        let end = &link.ends[conn.side];
        let pipe = &mut link.pipes[conn.side];
        if !end.open || (conn.side == 0 && !link.up) {
            return;
        }
        if pipe.free_at > now {
            let at = pipe.free_at;
            if pipe.planned_at.replace(at) != Some(at) {
                self.schedule(at, What::Pump(conn));
            }
            return;
        }
        let node = &mut self.nodes[end.node.0];
        if pipe.len >= window {
            pipe.blocked = true;
            if let (Actor::Host(host), Some(peer)) = (&node.actor, end.key) {
                host.check_unsent(peer);
            }
            return;
        }
        let mut part = self.spare.pop().unwrap_or_default();
        part.clear();
        let limit = part_len(&self.net, &mut self.rng);
        let more = match (&mut node.actor, end.key) {
            (Actor::Host(host), Some(peer)) => {
                host.send(now, peer, &mut part, limit, &self.net, &mut self.whole)
            }
            (Actor::Puppet(_), _) => {
                part.extend(pipe.backlog.drain(..limit.min(pipe.backlog.len())));
                // It is told when its part has left, and may have more then.
                true
            }
            (Actor::Host(_) | Actor::Silent, _) => false,
        };
        if part.is_empty() {
            self.spare.push(part);
            return;
        }
        let (bytes, zeros) = part.both();
        pipe.counter.count(&mut node.traffic, bytes, zeros);
        node.up_free_at = node.up_free_at.max(now) + transfer_time(part.len(), node.speed.up);
        pipe.free_at = node.up_free_at;
        let jitter = jitter(&self.net, &mut self.rng);
        let mut arrives_at = pipe.last_arrival.max(pipe.free_at + link.latency + jitter);
        if let Some((_, time)) = self.net.stall.filter(|&(per_mille, _)| self.rng.below(1000) < per_mille) {
            arrives_at = arrives_at + time;
        }
        pipe.last_arrival = arrives_at;
        pipe.len += part.len();
        pipe.flight.push_back(part);
        let free_at = pipe.free_at;
        pipe.planned_at = more.then_some(free_at);
        self.schedule(arrives_at, What::Arrived(conn.other()));
        if more {
            self.schedule(free_at, What::Pump(conn));
        }
    }

    /// The last part of this end has left its line, or there is room again.
    pub(super) fn on_pump(&mut self, conn: Conn) {
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        // Else another look is planned, for a part was sent meanwhile.
        if link.pipes[conn.side].planned_at.take_if(|at| *at == self.now).is_none() {
            return;
        }
        let node = link.ends[conn.side].node;
        self.pump(conn);
        self.react(node, Vec::new());
    }

    /// A part is at the line of this end, which carries all its connections, one part after the other.
    /// It has come in while it was on its way, as far as the line had room.
    pub(super) fn on_arrived(&mut self, conn: Conn) {
        let now = self.now;
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        let pipe = &mut link.pipes[1 - conn.side];
        let Some(part) = pipe.flight.pop_front() else {
            return;
        };
        let reader = &mut self.nodes[link.ends[conn.side].node.0];
        let time = transfer_time(part.len(), reader.speed.down);
        let begins_at = now.since_start().saturating_sub(time);
        reader.down_free_at = reader.down_free_at.max(Instant::from_start(begins_at)) + time;
        if reader.down_free_at <= now && pipe.landing.is_empty() {
            pipe.unread.push_back(part);
            self.read(conn);
        } else {
            pipe.landing.push_back(part);
            let at = reader.down_free_at.max(now);
            self.schedule(at, What::Landed(conn));
        }
    }

    /// A part has come through the line of this end.
    pub(super) fn on_landed(&mut self, conn: Conn) {
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        let pipe = &mut link.pipes[1 - conn.side];
        pipe.unread.extend(pipe.landing.pop_front());
        self.read(conn);
    }

    fn read(&mut self, conn: Conn) {
        let Some(node) = self.links.get(conn.link).map(|link| link.ends[conn.side].node) else {
            return;
        };
        self.deliver(conn);
        self.react(node, Vec::new());
    }

    /// Lets this end read what has come, as far as it wants to.
    pub(super) fn deliver(&mut self, conn: Conn) {
        let now = self.now;
        loop {
            let Some(link) = self.links.get_mut(conn.link) else {
                return;
            };
            let end = &mut link.ends[conn.side];
            let (node, key, open) = (end.node, end.key, end.open);
            let pipe = &mut link.pipes[1 - conn.side];
            let Some(first) = pipe.unread.front() else {
                return;
            };
            if first.is_empty() {
                // Who ended the stream has closed, so this was the last open end.
                self.links.remove(conn.link);
                if open {
                    self.tell_closed(conn, node, key, None, CloseCause::End);
                }
                return;
            }
            let reads = match (&self.nodes[node.0].actor, key) {
                (Actor::Host(host), Some(peer)) if open => {
                    host.session.wants_read(peer).then(|| host.session.read_len_max(peer))
                }
                (Actor::Puppet(puppet), _) if open => puppet.plan.reads.then_some(usize::MAX),
                (Actor::Host(_) | Actor::Puppet(_) | Actor::Silent, _) => Some(usize::MAX),
            };
            let Some(len_max) = reads else { return };
            let part = pipe.read(len_max).unwrap_or_default();
            if pipe.blocked && pipe.len < self.net.window_len {
                pipe.blocked = false;
                pipe.planned_at = Some(now);
                self.schedule(now, What::Pump(conn.other()));
            }
            if open {
                self.hand_over(conn, node, key, &part);
            }
            self.spare.push(part);
        }
    }

    /// A session has closed this end.
    pub(super) fn close_end(&mut self, conn: Conn) {
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        link.ends[conn.side].open = false;
        if !link.ends[1 - conn.side].open {
            self.links.remove(conn.link);
            return;
        }
        self.send_end(conn);
        self.deliver(conn);
    }

    /// The link breaks: both ends learn it at once.
    pub(super) fn cut(&mut self, key: LinkKey) {
        let Some(link) = self.links.remove(key) else {
            return;
        };
        for (side, end) in link.ends.into_iter().enumerate().filter(|(_, end)| end.open) {
            let dialled = (side == 0).then_some(link.to);
            self.tell_closed(Conn { link: key, side }, end.node, end.key, dialled, CloseCause::Failed);
        }
    }

    pub(super) fn conn(&self, node: NodeId, peer: PeerKey) -> Option<Conn> {
        self.host(node).conns.get(peer)
    }

    pub(super) fn wake_puppet(&mut self, node: NodeId, alarm: Alarm) {
        let mut acts = Vec::new();
        if let Actor::Puppet(puppet) = &mut self.nodes[node.0].actor {
            let links = &self.links;
            let room = |conn: Conn| {
                let pipe = links.get(conn.link).map(|link| &link.pipes[conn.side]);
                pipe.map_or(0, |pipe| (64 * 1024_usize).saturating_sub(pipe.backlog.len()))
            };
            puppet.woken(alarm, room, &mut acts);
        }
        self.react(node, acts);
    }

    pub(super) fn perform(&mut self, node: NodeId, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send(conn, bytes) => {
                    if let Some(link) = self.links.get_mut(conn.link) {
                        link.pipes[conn.side].backlog.extend(bytes);
                        self.pump(conn);
                    }
                }
                Act::Dial(addr, pause) => self.schedule(self.now + pause, What::PuppetDial(node, addr)),
                Act::Wake(alarm, pause) => self.schedule(self.now + pause, What::PuppetWake(node, alarm)),
            }
        }
    }

    /// Does what a node wants done after something happened to it.
    fn react(&mut self, node: NodeId, acts: Vec<Act>) {
        match self.nodes[node.0].actor {
            Actor::Host(_) => self.settle(node),
            Actor::Puppet(_) => self.perform(node, acts),
            Actor::Silent => {}
        }
    }

    fn hand_over(&mut self, conn: Conn, node: NodeId, key: Option<PeerKey>, part: &Part) {
        let now = self.now;
        let mut acts = Vec::new();
        let part = self.whole.of(part);
        match (&mut self.nodes[node.0].actor, key) {
            (Actor::Host(host), Some(peer)) => {
                let cut = if self.net.rechunk { self.rng.below(part.len()) } else { 0 };
                let (first, rest) = part.split_at(cut);
                for bytes in [first, rest].into_iter().filter(|bytes| !bytes.is_empty()) {
                    host.receive(now, peer, bytes);
                }
            }
            (Actor::Puppet(puppet), _) => puppet.received(conn, part, &mut acts),
            (Actor::Host(_) | Actor::Silent, _) => {}
        }
        self.perform(node, acts);
    }

    fn tell_closed(
        &mut self,
        conn: Conn,
        node: NodeId,
        key: Option<PeerKey>,
        dialled: Option<SocketAddr>,
        cause: CloseCause,
    ) {
        let now = self.now;
        let mut acts = Vec::new();
        match (&mut self.nodes[node.0].actor, key) {
            (Actor::Host(host), Some(peer)) => {
                host.forget(peer);
                host.session.handle_input(now, Input::Closed { peer, cause });
            }
            (Actor::Puppet(puppet), _) => puppet.closed(conn, dialled, &mut acts),
            (Actor::Host(_) | Actor::Silent, _) => {}
        }
        self.react(node, acts);
    }

    /// The end of the stream follows what was sent.
    fn send_end(&mut self, conn: Conn) {
        let now = self.now;
        let Some(link) = self.links.get_mut(conn.link) else {
            return;
        };
        let pipe = &mut link.pipes[conn.side];
        pipe.flight.push_back(Part::default());
        pipe.last_arrival = pipe.last_arrival.max(now + link.latency);
        let arrives_at = pipe.last_arrival;
        self.schedule(arrives_at, What::Arrived(conn.other()));
    }
}

/// How much goes into the next part of a stream.
fn part_len(net: &Net, rng: &mut Rng) -> usize {
    let max = net.chunk_len_max;
    match rng.below(8) {
        _ if !net.rechunk => max,
        0 => 1 + rng.below(20),
        _ => 1 + rng.below(max),
    }
}
