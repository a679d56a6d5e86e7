//! The ways to hash that this CPU has, and which is the fastest for how many messages.

use std::sync::LazyLock;

use crate::message::{Block, State};

/// One message's part in a step: these blocks go into this state.
pub(crate) struct Lane<'a> {
    pub(crate) state: &'a mut State,
    /// As many in each lane of a step.
    pub(crate) blocks: &'a [Block],
}

/// A way to hash some messages side by side.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    name: &'static str,
    lane_count: usize,
    /// From how many messages on it is faster than those that stand before it; `usize::MAX`: never.
    pays_from: usize,
    /// Hashes at most `lane_count` lanes.
    compress: fn(&mut [Lane<'_>]),
}

impl Backend {
    /// What to call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many messages it hashes at once.
    #[must_use]
    pub const fn lane_count(&self) -> usize {
        self.lane_count
    }

    /// A further way, for [`backends`].
    pub(crate) const fn new(
        name: &'static str,
        lane_count: usize,
        pays_from: usize,
        compress: fn(&mut [Lane<'_>]),
    ) -> Self {
        Self { name, lane_count, pays_from, compress }
    }

    /// Hashes the lanes' blocks; no more lanes than it has, all as long.
    pub(crate) fn compress(&self, lanes: &mut [Lane<'_>]) {
        debug_assert!(lanes.len() <= self.lane_count);
        debug_assert!(lanes.windows(2).all(|pair| pair[0].blocks.len() == pair[1].blocks.len()));
        (self.compress)(lanes);
    }
}

/// How many messages at once are worth waiting for: more are not hashed faster.
#[must_use]
pub fn width() -> usize {
    choose(backends(), usize::MAX - 1).lane_count
}

/// The ways that this CPU has; the one for a single message comes first.
#[must_use]
pub fn backends() -> &'static [Backend] {
    static FOUND: LazyLock<Vec<Backend>> = LazyLock::new(|| {
        let mut found = vec![SINGLE];
        #[cfg(target_arch = "x86_64")]
        found.extend(crate::x86::found());
        found
    });
    &FOUND
}

/// The fastest of `backends` for so many messages.
pub(crate) fn choose(backends: &[Backend], message_count: usize) -> &Backend {
    let fit = backends.iter().rev().find(|backend| backend.pays_from <= message_count);
    fit.or_else(|| backends.first()).unwrap_or(&SINGLE)
}

/// One message alone, everywhere.
const SINGLE: Backend = Backend {
    name: "single",
    lane_count: 1,
    pays_from: 0,
    compress: |lanes| lanes.iter_mut().for_each(|lane| compress(lane.state, lane.blocks)),
};

/// Hashes blocks into one state.
pub(crate) fn compress(state: &mut State, blocks: &[Block]) {
    sha1::block_api::compress(state, blocks);
}
