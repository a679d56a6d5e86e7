//! How far a simulation is: a bar on a terminal, elsewhere a plain line now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use peerless_core::text::escaped;
use peerless_sim::run::{Run, Status};

use crate::progress::{LINE_INTERVAL, has_cursor, template};
use crate::{format, out};

/// How often a bar is drawn anew: as often as eyes follow.
const BAR_INTERVAL: Duration = Duration::from_millis(200);

/// Where people look.
#[derive(Debug)]
pub(super) struct Show {
    name: String,
    bar: Option<ProgressBar>,
    quiet: bool,
    told_at: Instant,
}

impl Show {
    /// A bar if stderr is a terminal that can move its cursor, else lines; nothing if `quiet`.
    pub(super) fn new(quiet: bool, name: &str) -> Self {
        let name = escaped(name).to_string();
        let bar = (!quiet && has_cursor()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(template("{prefix} [{bar:16}] {wide_msg}"));
            bar.set_prefix(name.clone());
            bar
        });
        Self { name, bar, quiet, told_at: Instant::now() }
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn update(&mut self, run: &Run) {
        let interval = if self.bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL };
        if self.quiet || self.told_at.elapsed() < interval {
            return;
        }
        self.told_at = Instant::now();
        let status = run.status();
        match &self.bar {
            Some(bar) => {
                bar.set_length(status.piece_goal);
                bar.set_position(status.piece_count);
                bar.set_message(words(&status));
            }
            None => out::tell(&format!("{}: {}", self.name, words(&status))),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn words(status: &Status) -> String {
    let percent = format::percent(status.piece_count, status.piece_goal);
    let time = format::duration(status.time);
    let Status { complete_count, goal_count, .. } = status;
    format!("{percent:.0} % of all pieces, {complete_count} of {goal_count} complete, {time} of virtual time")
}
