//! The client's side of UDP trackers: who asked what, and what is waited for.
//!
//! A question is asked over each family in which the host has addresses, in an exchange each. An
//! exchange gets a connection id where there is none, sends its call, and sends again after 15 s,
//! 30 s, 60 s and so on (BEP 15, "Time outs"), each time to the host's next address. An answer counts
//! if it comes from the address asked, with the transaction asked for, and is of the kind wanted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::hosts::Hosts;
use super::links::Links;
use super::target::refusal;
use super::{Answer, Call, Target, connect};
use crate::cx::{Cx, TimerKey};
use crate::family::IpFamily;
use crate::key::TorrentKey;
use crate::output::Output;
use crate::route::Route;
use crate::time::Instant;
use crate::timer::TimerTable;
use crate::tracker::ask::{Asker, Hearing, News, Parts, Patience};
use crate::tracker::response::AnnounceError;

/// How long the first answer is waited for; doubles with each try (BEP 15).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// All conversations with UDP trackers.
#[derive(Debug, Default)]
pub(in crate::tracker) struct UdpClient {
    asks: BTreeMap<Asker, UdpAsk>,
    /// By the transaction that their calls have.
    exchanges: BTreeMap<u32, Exchange>,
    timers: TimerTable<u32>,
    links: Links,
    hosts: Hosts,
}

/// A question.
#[derive(Debug)]
struct UdpAsk {
    target: Target,
    call: Call,
    patience: Patience,
    parts: Parts,
    exchanges: Vec<u32>,
}

/// A question in one family.
#[derive(Debug)]
struct Exchange {
    asker: Asker,
    /// Of one family, at least one.
    addrs: Vec<SocketAddr>,
    /// Packets without an answer so far, or rounds of them: BEP 15's n.
    tries: u32,
    /// Whether the call has been sent; else a connection id is waited for.
    asking: bool,
    begun_at: Instant,
}

impl Exchange {
    fn addr(&self) -> SocketAddr {
        let at = self.tries as usize % self.addrs.len().max(1);
        self.addrs.get(at).copied().unwrap_or_else(|| SocketAddr::from(([0; 4], 0)))
    }
}

impl UdpClient {
    /// Asks a question, in place of an earlier one of the same asker.
    pub(in crate::tracker) fn ask(
        &mut self,
        cx: &mut Cx,
        hearing: &mut Hearing,
        asker: Asker,
        ask: UdpQuestion,
    ) {
        self.forget(cx, asker);
        let UdpQuestion { target, call, patience } = ask;
        let Some(bind) = cx.config.route.unproxied() else {
            let error = AnnounceError::Refused("a udp tracker can't be asked through the proxy");
            return hearing.tell(asker, News::Failed(error), false);
        };
        let parts = Parts::new(0);
        let known = target.addr().map(|addr| vec![addr]);
        let known = known.or_else(|| self.hosts.look_up(cx, bind, &target, asker));
        self.asks.insert(asker, UdpAsk { target, call, patience, parts, exchanges: Vec::new() });
        if let Some(addrs) = known {
            self.begin(cx, hearing, asker, Ok(&addrs));
        }
        self.set_timer(cx);
    }

    /// A tracker's name has been looked up, or could not be.
    pub(in crate::tracker) fn on_resolved(
        &mut self,
        cx: &mut Cx,
        hearing: &mut Hearing,
        target: &Target,
        result: Result<&[SocketAddr], &str>,
    ) {
        for asker in self.hosts.on_resolved(cx.now, target, result.ok()) {
            // It may ask another tracker by now.
            if self.asks.get(&asker).is_some_and(|ask| ask.target == *target && ask.exchanges.is_empty()) {
                self.begin(cx, hearing, asker, result);
            }
        }
        self.set_timer(cx);
    }

    /// A packet has come, maybe from a tracker.
    pub(in crate::tracker) fn on_datagram(
        &mut self,
        cx: &mut Cx,
        hearing: &mut Hearing,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Some((transaction, answer)) = Answer::parse(bytes, IpFamily::of(from.ip())) else { return };
        if self.links.take_connect(from, transaction) {
            self.on_connect_answer(cx, hearing, from, answer);
        } else {
            self.on_call_answer(cx, hearing, from, transaction, answer);
        }
        self.set_timer(cx);
    }

    /// The time of [`TimerKey::Trackers`] has come.
    pub(in crate::tracker) fn on_timer(&mut self, cx: &mut Cx, hearing: &mut Hearing) {
        while let Some(transaction) = self.timers.pop_due(cx.now) {
            self.on_silence(cx, hearing, transaction);
        }
        self.set_timer(cx);
    }

    /// Gives up what a torrent asks.
    pub(in crate::tracker) fn forget_torrent(&mut self, cx: &mut Cx, torrent: TorrentKey) {
        let of = |tier| Asker::Tier { torrent, tier };
        let askers: Vec<Asker> = self.asks.range(of(0)..=of(usize::MAX)).map(|(asker, _)| *asker).collect();
        askers.into_iter().for_each(|asker| self.forget(cx, asker));
        self.set_timer(cx);
    }

    fn forget(&mut self, cx: &Cx, asker: Asker) {
        let Some(ask) = self.asks.remove(&asker) else { return };
        ask.exchanges.into_iter().for_each(|exchange| self.drop_exchange(cx.now, exchange));
    }

    /// The addresses are known: an exchange for each family.
    fn begin(
        &mut self,
        cx: &mut Cx,
        hearing: &mut Hearing,
        asker: Asker,
        addrs: Result<&[SocketAddr], &str>,
    ) {
        let Some(ask) = self.asks.get(&asker) else { return };
        let wanted = IpFamily::ALL.map(|family| (family, hearing.wants(asker, family, ask.patience)));
        let (mut refused, mut exchanges) = (None, Vec::new());
        for family in wanted.into_iter().filter_map(|(family, wanted)| wanted.then_some(family)) {
            let mut addrs = addrs.unwrap_or_default().to_vec();
            addrs.retain(|addr| {
                let refusal = refusal(*addr).or_else(|| unreached(&cx.config.route, *addr));
                refused = refusal.or(refused);
                refusal.is_none() && IpFamily::of(addr.ip()) == family
            });
            let Some(first) = addrs.first().copied() else { continue };
            let transaction = self.new_transaction(cx);
            let exchange = Exchange { asker, addrs, tries: 0, asking: false, begun_at: cx.now };
            self.exchanges.insert(transaction, exchange);
            self.links.enter(first, transaction);
            exchanges.push(transaction);
        }
        let Some(ask) = self.asks.get_mut(&asker) else { return };
        if exchanges.is_empty() {
            let error = match addrs {
                Err(why) => AnnounceError::Resolve(why.to_owned()),
                Ok(_) => AnnounceError::Refused(refused.unwrap_or("its host has no address")),
            };
            self.asks.remove(&asker);
            return hearing.tell(asker, News::Failed(error), false);
        }
        ask.parts = Parts::new(exchanges.len());
        ask.exchanges.clone_from(&exchanges);
        exchanges.into_iter().for_each(|transaction| self.send(cx, transaction));
    }

    fn new_transaction(&self, cx: &mut Cx) -> u32 {
        loop {
            let transaction = cx.rng.next_u32();
            if !self.exchanges.contains_key(&transaction) {
                return transaction;
            }
        }
    }

    /// Sends the call, or what gets a connection id for it, and waits for the answer.
    fn send(&mut self, cx: &mut Cx, transaction: u32) {
        let Some(exchange) = self.exchanges.get_mut(&transaction) else { return };
        let Some(ask) = self.asks.get(&exchange.asker) else { return };
        let to = exchange.addr();
        let id = self.links.id(cx.now, to);
        exchange.asking = id.is_some();
        let bytes = match id {
            Some(id) => Some(ask.call.encode(id, transaction)),
            None => {
                let connecting = cx.rng.next_u32();
                self.links.connect(cx.now, to, connecting).then(|| connect(connecting))
            }
        };
        let datagram = cx.config.route.datagram(to).zip(bytes);
        cx.outbox.extend(datagram.map(|(hop, bytes)| Output::Datagram { hop, bytes }));
        self.timers.set(transaction, cx.now + timeout(exchange.tries));
    }

    fn on_connect_answer(&mut self, cx: &mut Cx, hearing: &mut Hearing, from: SocketAddr, answer: Answer) {
        let waiting = |client: &Self| {
            let mut users = client.links.users(from);
            users.retain(|user| client.exchanges.get(user).is_some_and(|exchange| !exchange.asking));
            users
        };
        match answer {
            Answer::Connected { connection } => {
                self.links.connected(cx.now, from, connection);
                waiting(self).into_iter().for_each(|user| self.send(cx, user));
            }
            Answer::Failed(reason) => {
                for user in waiting(self) {
                    let error = AnnounceError::Failure { reason: reason.clone(), retry: None };
                    self.end(cx, hearing, user, Err(error));
                }
            }
            Answer::Announced(_) | Answer::Scraped(_) => {}
        }
    }

    fn on_call_answer(
        &mut self,
        cx: &mut Cx,
        hearing: &mut Hearing,
        from: SocketAddr,
        transaction: u32,
        answer: Answer,
    ) {
        let Some(exchange) = self.exchanges.get(&transaction) else { return };
        let Some(ask) = self.asks.get(&exchange.asker) else { return };
        if exchange.addr() != from || !exchange.asking {
            return;
        }
        match (answer, &ask.call) {
            (Answer::Announced(response), Call::Announce(_)) => {
                self.end(cx, hearing, transaction, Ok(News::Announced(response)));
            }
            (Answer::Scraped(counts), Call::Scrape(hashes)) if counts.len() >= hashes.len() => {
                let counts = counts.into_iter().take(hashes.len()).collect();
                self.end(cx, hearing, transaction, Ok(News::Scraped(counts)));
            }
            // A tracker may have forgotten a connection id before its minute is over.
            (Answer::Failed(_), _) if self.links.drop_id(from, exchange.begun_at) => {
                self.send(cx, transaction);
            }
            (Answer::Failed(reason), _) => {
                let error = AnnounceError::Failure { reason, retry: None };
                self.end(cx, hearing, transaction, Err(error));
            }
            (Answer::Connected { .. } | Answer::Announced(_) | Answer::Scraped(_), _) => {}
        }
    }

    /// No answer has come in time: again, or no more.
    fn on_silence(&mut self, cx: &mut Cx, hearing: &mut Hearing, transaction: u32) {
        let Some(exchange) = self.exchanges.get_mut(&transaction) else { return };
        let Some(ask) = self.asks.get(&exchange.asker) else { return };
        if ask.parts.is_answered() || exchange.tries >= ask.patience.retries() {
            return self.end(cx, hearing, transaction, Err(AnnounceError::Silent));
        }
        let before = exchange.addr();
        exchange.tries += 1;
        let (asker, next) = (exchange.asker, exchange.addr());
        // Some trackers say nothing to a connection id that they don't know any more.
        self.links.drop_id(before, exchange.begun_at);
        let wait = timeout(exchange.tries);
        let is_first = ask.exchanges.first() == Some(&transaction);
        self.links.leave(cx.now, before, transaction);
        self.links.enter(next, transaction);
        self.send(cx, transaction);
        if is_first {
            hearing.tell(asker, News::Silent(wait), true);
        }
    }

    fn end(&mut self, cx: &Cx, hearing: &mut Hearing, transaction: u32, result: Result<News, AnnounceError>) {
        let Some(exchange) = self.exchanges.get(&transaction) else { return };
        let (asker, family) = (exchange.asker, IpFamily::of(exchange.addr().ip()));
        self.drop_exchange(cx.now, transaction);
        let Some(ask) = self.asks.get_mut(&asker) else { return };
        ask.exchanges.retain(|open| *open != transaction);
        if !hearing.end(asker, family, &mut ask.parts, result) {
            self.asks.remove(&asker);
        }
    }

    fn drop_exchange(&mut self, now: Instant, transaction: u32) {
        if let Some(exchange) = self.exchanges.remove(&transaction) {
            self.links.leave(now, exchange.addr(), transaction);
            self.timers.clear(transaction);
        }
    }

    fn set_timer(&self, cx: &mut Cx) {
        match self.timers.next() {
            Some(at) => cx.timers.set(TimerKey::Trackers, at),
            None => cx.timers.clear(TimerKey::Trackers),
        }
    }
}

/// A question for a UDP tracker.
#[derive(Debug)]
pub(in crate::tracker) struct UdpQuestion {
    pub(in crate::tracker) target: Target,
    pub(in crate::tracker) call: Call,
    pub(in crate::tracker) patience: Patience,
}

/// Why nothing is sent to `addr`, if no way leads there.
fn unreached(route: &Route, addr: SocketAddr) -> Option<&'static str> {
    route.datagram(addr).is_none().then_some("its host has no address in the family that is bound")
}

/// How long the answer to the packet after `tries` others is waited for.
fn timeout(tries: u32) -> Duration {
    ANSWER_TIMEOUT.saturating_mul(1 << tries.min(8))
}

#[cfg(test)]
mod tests;
