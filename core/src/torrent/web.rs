//! Blocks from web seeds: a run asked of each that is at work, and what comes of it.

use super::{Phase, Torrent};
use crate::block::Block;
use crate::cx::{Cx, TimerKey, TorrentTimer};
use crate::id::PeerId;
use crate::job::{FetchFailure, Job};
use crate::key::PeerKey;
use crate::output::Event;
use crate::peer::Peers;
use crate::piece::{BLOCK_LEN, BlockRef};
use crate::webseed::{self, Run};

use super::verdict::Giver;

impl Torrent {
    /// Asks every web seed that may be asked for more.
    pub(crate) fn fill_web(&mut self, cx: &mut Cx) {
        for seed in 0..self.web.seeds.len() {
            while self.ask_web(cx, seed) {}
        }
    }

    /// Asks one web seed for one run; false if there is nothing to ask it for now.
    fn ask_web(&mut self, cx: &mut Cx, index: usize) -> bool {
        let (key, closing) = (self.key, self.closing);
        let Phase::Leeching(download) = &mut self.phase else { return false };
        let Some(seed) = self.web.seeds.get_mut(index) else { return false };
        let (source, count) = (webseed::key_of(index), seed.wants(cx.now));
        if closing || count == 0 {
            return false;
        }
        // A limit lets at least one block come at once.
        let share = cx.limits.down.share((key, source));
        let count = count.min(usize::try_from(share / u64::from(BLOCK_LEN)).unwrap_or(usize::MAX).max(1));
        if share == 0 || !cx.web.take(key) {
            return false;
        }
        let geometry = *self.storage.metainfo.geometry();
        let blocks = download.pick_run(cx, source, seed.next, count);
        let Some(last) = blocks.last() else {
            self.end_web(cx);
            return false;
        };
        seed.next = last.piece().get().checked_add(1).and_then(|next| geometry.piece(next));
        let parts = webseed::parts(&self.storage.metainfo, &seed.url, &blocks);
        let block_lens: Vec<u32> = blocks.iter().map(|block| block.len()).collect();
        cx.limits.down.charge(cx.now, (key, source), len_of(&blocks));
        let run = self.web.begin(cx.now, index, blocks);
        let route = cx.config.route.clone();
        cx.job(Job::Fetch { torrent: key, seed: index, run, route, parts, block_lens });
        true
    }

    /// A run has come, or what there is of it.
    pub(crate) fn on_fetched(
        &mut self,
        cx: &mut Cx,
        peers: &mut Peers,
        index: usize,
        run: u64,
        blocks: Vec<Block>,
        result: Result<(), FetchFailure>,
    ) {
        let Some(run) = self.web.end(index, run) else { return };
        self.end_web(cx);
        let source = webseed::key_of(index);
        let come = blocks.len();
        // The last claim may be under way: nothing is written any more.
        let is_late = self.closing;
        for (block, data) in run.blocks.iter().zip(blocks) {
            let len = data.as_slice().len() as u64;
            self.down.add(cx.now, len);
            self.wasted_len += match &mut self.phase {
                Phase::Leeching(download) if !is_late => {
                    download.on_block(cx, peers, source, *block, data.as_slice())
                }
                Phase::Leeching(_)
                | Phase::Metadata(_)
                | Phase::Checking(_)
                | Phase::Seeding
                | Phase::Stopped => len,
            };
            cx.pool.give_back(data);
        }
        if let Phase::Leeching(download) = &mut self.phase {
            let lost = run.blocks.get(come..).unwrap_or_default();
            cx.limits.down.give_back(self.key, len_of(lost));
            download.give_back(cx, source, if is_late { &run.blocks } else { lost });
            download.refill = true;
        }
        self.judge_web(cx, index, &run, result);
        self.refill(cx, peers);
        self.set_web_timer(cx);
    }

    fn judge_web(&mut self, cx: &mut Cx, index: usize, run: &Run, result: Result<(), FetchFailure>) {
        let torrent = self.key;
        let Some(seed) = self.web.seeds.get_mut(index) else { return };
        match result {
            Ok(()) => seed.on_success(cx.now, run),
            Err(failure) => {
                let next = seed.on_failure(cx.now, &failure);
                let why = failure.error.to_string();
                cx.event(Event::WebSeedFailed { torrent, url: seed.url.clone(), why, next });
            }
        }
    }

    /// A web seed gave bad data: it rests, or is left after several times. False if the giver is none.
    pub(super) fn strike_web(&mut self, cx: &mut Cx, giver: &Giver) -> bool {
        let count = self.web.seeds.len();
        let Some(index) = webseed::seed_of(giver.peer, count) else { return false };
        let torrent = self.key;
        if let Some(seed) = self.web.seeds.get_mut(index)
            && seed.on_lie(cx.now)
        {
            let (url, why) = (seed.url.clone(), "it sends bad data".to_owned());
            cx.event(Event::WebSeedFailed { torrent, url, why, next: None });
        }
        self.set_web_timer(cx);
        true
    }

    /// A GET has ended: somebody else may have its place.
    fn end_web(&self, cx: &mut Cx) {
        let next = cx.web.give_back(self.key);
        next.into_iter().for_each(|next| cx.budget.wake(next));
    }

    /// Wakes us when a web seed has rested enough.
    fn set_web_timer(&self, cx: &mut Cx) {
        if let Some(at) = self.web.next_at(cx.now) {
            cx.timers.set(TimerKey::Torrent(self.key, TorrentTimer::Web), at);
        }
    }

    /// A web seed has rested enough.
    pub(crate) fn on_web_timer(&mut self, cx: &mut Cx) {
        self.fill_web(cx);
        self.set_web_timer(cx);
    }
}

fn len_of(blocks: &[BlockRef]) -> u64 {
    blocks.iter().map(|block| u64::from(block.len())).sum()
}

/// Who a block is from that came from a web seed, if `key` names one.
pub(super) fn giver(key: PeerKey) -> Option<Giver> {
    webseed::seed_of(key, usize::MAX).map(|_| Giver {
        peer: key,
        addr: ([0, 0, 0, 0], 0).into(),
        id: PeerId::new([0; 20]),
    })
}
