//! What people see while a transfer runs: bars on a terminal, elsewhere a plain line now and then.
//! With many torrents, one for all of them.

mod rows;
mod sum;

use std::env;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use peerless_core::text::escaped;
use peerless_core::{Instant, Progress, State};

use crate::format;
use crate::goals::stall_words;
use crate::json::state_name;
use crate::out;
use rows::Rows;
use sum::Sum;

/// How often a torrent gets a line where there is no terminal.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The most torrents that each have a bar or line of their own: more would fill the screen.
const SINGLES_MAX: usize = 10;

/// The most rows of peers at once, in all torrents: with ten bars they fit into 24 lines.
const ROW_COUNT_MAX: usize = 10;

/// A torrent's bar.
const TRANSFER_TEMPLATE: &str = "{prefix:12!} [{bar:8}] {wide_msg}";

/// The bar of all torrents together.
const SUM_TEMPLATE: &str = "{prefix} [{bar:8}] {wide_msg}";

/// Where people look.
#[derive(Debug)]
pub struct Screen {
    kind: Kind,
    torrents: Vec<Shown>,
    sum: Sum,
    /// The bar of all torrents together, once there are too many for one each.
    sum_bar: Option<ProgressBar>,
}

#[derive(Debug)]
enum Kind {
    Silent,
    Plain,
    Bars(MultiProgress),
}

#[derive(Debug)]
struct Shown {
    name: String,
    bar: Option<ProgressBar>,
    /// Its peers, under the bar.
    rows: Rows,
    line_at: Instant,
    /// When its peers were last told of where there is no bar.
    peers_at: Instant,
}

/// How a torrent's peers are to be told of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Not at all.
    None,
    /// As rows under its bar.
    Rows {
        /// So many, so that those of all torrents fit on a screen.
        count: usize,
    },
    /// As lines of words.
    Sentences,
    /// As a line of JSON.
    Json,
}

impl Screen {
    /// Bars if stderr is a terminal that can move its cursor, else lines; nothing if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Silent
        } else if has_cursor() {
            Kind::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
        } else {
            Kind::Plain
        };
        Self { kind, torrents: Vec::new(), sum: Sum::default(), sum_bar: None }
    }

    /// Shows a further torrent, under the number that the others follow on.
    pub fn add(&mut self, name: &str, total_len: u64) {
        let name = escaped(name).to_string();
        let bar = if self.torrents.len() < SINGLES_MAX {
            self.bar(TRANSFER_TEMPLATE, name.clone(), total_len)
        } else {
            None
        };
        self.sum.add(total_len);
        let rows = Rows::default();
        self.torrents.push(Shown { name, bar, rows, line_at: Instant::START, peers_at: Instant::START });
        if self.is_sum() {
            self.torrents
                .iter_mut()
                .filter_map(|shown| shown.bar.take())
                .for_each(|bar| bar.finish_and_clear());
            match &self.sum_bar {
                Some(bar) => bar.set_prefix(self.sum.name()),
                None => self.sum_bar = self.bar(SUM_TEMPLATE, self.sum.name(), 0),
            }
        }
    }

    fn bar(&self, look: &str, name: String, total_len: u64) -> Option<ProgressBar> {
        let Kind::Bars(bars) = &self.kind else { return None };
        let bar = bars.add(ProgressBar::new(total_len));
        bar.set_style(template(look));
        bar.set_prefix(name);
        Some(bar)
    }

    /// Whether torrents are too many to be shown one by one.
    const fn is_sum(&self) -> bool {
        self.torrents.len() > SINGLES_MAX
    }

    /// The torrent's name and size are known now.
    pub fn rename(&mut self, number: usize, name: &str, total_len: u64) {
        let Some(shown) = self.torrents.get_mut(number) else { return };
        shown.name = escaped(name).to_string();
        if let Some(bar) = &shown.bar {
            bar.set_length(total_len);
            bar.set_prefix(shown.name.clone());
        }
    }

    /// Shows a torrent's figures.
    pub fn update(&mut self, number: usize, now: Instant, progress: &Progress) {
        self.sum.update(number, progress);
        if self.is_sum() {
            return self.update_sum(now);
        }
        let Some(shown) = self.torrents.get_mut(number) else { return };
        if let Some(bar) = &shown.bar {
            bar.set_length(progress.wanted_len);
            bar.set_position(progress.done_len.min(progress.wanted_len));
            bar.set_message(short_figures(progress));
        } else if matches!(self.kind, Kind::Plain) && now.since(shown.line_at) >= LINE_INTERVAL {
            shown.line_at = now;
            out::tell(&format!("{}: {}", shown.name, figures(progress)));
        }
    }

    fn update_sum(&mut self, now: Instant) {
        if let Some(bar) = &self.sum_bar {
            if self.sum.is_due(now, Duration::ZERO) {
                let (done_len, wanted_len) = self.sum.lens();
                bar.set_length(wanted_len);
                bar.set_position(done_len);
                bar.set_message(self.sum.words());
            }
        } else if matches!(self.kind, Kind::Plain) && self.sum.is_due(now, LINE_INTERVAL) {
            out::tell(&format!("{}: {}", self.sum.name(), self.sum.words()));
        }
    }

    /// How the torrent's peers are to be told of at this time; `json`: in JSON, not to people.
    pub fn look_at_peers(&mut self, number: usize, now: Instant, json: bool) -> Look {
        let count = ROW_COUNT_MAX / self.torrents.len().max(1);
        let is_sum = self.is_sum();
        let Some(shown) = self.torrents.get_mut(number) else { return Look::None };
        let is_due = now.since(shown.peers_at) >= LINE_INTERVAL;
        let look = match &self.kind {
            Kind::Bars(_) if is_sum => Look::None,
            Kind::Bars(_) => return Look::Rows { count: count.max(1) },
            Kind::Silent | Kind::Plain if !is_due => Look::None,
            Kind::Silent if json => Look::Json,
            Kind::Silent => Look::None,
            Kind::Plain => Look::Sentences,
        };
        if look != Look::None {
            shown.peers_at = now;
        }
        look
    }

    /// Shows these lines under the torrent's bar, in place of those that are there.
    pub fn show_rows(&mut self, number: usize, lines: Vec<String>) {
        let Some(Shown { bar: Some(bar), rows, .. }) = self.torrents.get_mut(number) else { return };
        if let Kind::Bars(bars) = &self.kind {
            rows.show(bars, bar, lines);
        }
    }

    /// Shows how far the check of data that was there is.
    pub fn update_check(&self, number: usize, done: u32, total: u32) {
        if let Some(bar) = self.torrents.get(number).and_then(|shown| shown.bar.as_ref()) {
            bar.set_message(format!("checking {:.1} %", format::percent(done.into(), total.into())));
        }
    }

    /// Takes the torrent's bar away.
    pub fn finish(&mut self, number: usize) {
        if let Some(Shown { bar, rows, .. }) = self.torrents.get_mut(number) {
            if let Kind::Bars(bars) = &self.kind {
                rows.clear(bars);
            }
            bar.take().into_iter().for_each(|bar| bar.finish_and_clear());
        }
        self.sum.finish(number);
    }

    /// Takes away what is left.
    pub fn end(&mut self) {
        if let Some(bar) = self.sum_bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says something. The caller has escaped what is foreign in it.
    pub fn note(&self, line: &str) {
        match &self.kind {
            Kind::Silent => {}
            Kind::Plain => out::tell(line),
            Kind::Bars(bars) => tell_above(bars, line),
        }
    }

    /// Says what may never be missed, quiet or not.
    pub fn error(&self, line: &str) {
        match &self.kind {
            Kind::Silent | Kind::Plain => out::tell(line),
            Kind::Bars(bars) => tell_above(bars, line),
        }
    }
}

/// Writes a line above the bars. A terminal that is gone is no reason to panic, as it would be for
/// `MultiProgress::suspend`.
fn tell_above(bars: &MultiProgress, line: &str) {
    // There is nobody left to tell.
    let _ = bars.println(line);
}

/// One piece of work without a session, such as hashing: a bar on a terminal, elsewhere silent.
#[derive(Debug)]
pub struct Task(Option<ProgressBar>);

impl Task {
    /// Work of so many steps.
    #[must_use]
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = has_cursor().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.set_style(template("{prefix} [{bar:40}] {percent} %"));
            bar.set_prefix(what);
            bar
        });
        Self(bar)
    }

    /// So many steps are done.
    pub fn update(&mut self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Whether stderr is a terminal that can move its cursor.
pub(crate) fn has_cursor() -> bool {
    stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// No colours: there is nothing for `NO_COLOR` to turn off.
pub(crate) fn template(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// A torrent's figures in words.
#[must_use]
pub fn figures(progress: &Progress) -> String {
    let percent = format::percent(progress.done_len, progress.wanted_len);
    let peers = format::count(progress.peer_count, "peer");
    let up = format::rate(progress.up_rate);
    match progress.state {
        State::Metadata if progress.wanted_len == 0 => format!("waiting for metadata, {peers}"),
        State::Metadata | State::Checking | State::Stopped => {
            format!("{} {percent:.1} %", state_name(progress.state))
        }
        State::Seeding => {
            let sent = format::size(progress.uploaded_len);
            format!("seeding, up {up}, {sent} sent, {peers}")
        }
        State::Leeching => {
            let size = format::size(progress.wanted_len);
            if let Some(stall) = progress.stall.filter(|_| progress.down_rate == 0) {
                return format!("{percent:.1} % of {size}, up {up}, {}", stall_words(stall, progress));
            }
            let rest = progress.wanted_len.saturating_sub(progress.done_len);
            let eta = format::eta(rest, progress.down_rate).map_or_else(|| "-".to_owned(), format::duration);
            let down = format::rate(progress.down_rate);
            format!("{percent:.1} % of {size}, down {down}, up {up}, {peers}, ETA {eta}")
        }
    }
}

/// The same, short enough for a bar's line of 80 columns; in aria2's words.
fn short_figures(progress: &Progress) -> String {
    let tight = |text: String| text.replace(' ', "");
    let up = tight(format::size(progress.up_rate));
    let peers = progress.peer_count;
    match progress.state {
        State::Metadata | State::Checking | State::Stopped => figures(progress),
        State::Seeding => format!("seeding UL:{up} CN:{peers}"),
        State::Leeching => {
            let percent = format::percent(progress.done_len, progress.wanted_len);
            let (size, down) = (format::size(progress.wanted_len), format::size(progress.down_rate));
            if let Some(stall) = progress.stall.filter(|_| progress.down_rate == 0) {
                return format!("{percent:.1}% of {} {}", tight(size), stall_words(stall, progress));
            }
            let rest = progress.wanted_len.saturating_sub(progress.done_len);
            let eta = format::eta(rest, progress.down_rate)
                .map_or_else(|| "-".to_owned(), |time| tight(format::duration(time)));
            let (size, down) = (tight(size), tight(down));
            format!("{percent:.1}% of {size} ETA:{eta} DL:{down} UL:{up} CN:{peers}")
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use peerless_core::StallReason;

    pub(super) fn progress(state: State) -> Progress {
        Progress {
            state,
            done_len: 150 << 20,
            wanted_len: 300 << 20,
            have_count: 1,
            piece_count: 2,
            downloaded_len: 0,
            uploaded_len: 1 << 20,
            wasted_len: 0,
            down_rate: 10 << 20,
            up_rate: 512,
            stall: Some(StallReason::PeersSlow),
            peer_count: 1,
            seed_count: 1,
            unchoked_count: 1,
            web_seed_count: 0,
            candidate_count: 1,
        }
    }

    #[test]
    fn figures_say_what_matters_in_each_state() {
        let leeching = figures(&progress(State::Leeching));
        assert_eq!(leeching, "50.0 % of 300.0 MiB, down 10.0 MiB/s, up 512 B/s, 1 peer, ETA 15s");
        let stalled = Progress { down_rate: 0, peer_count: 12, ..progress(State::Leeching) };
        let stalled = Progress { stall: Some(StallReason::AllChoked), ..stalled };
        assert_eq!(figures(&stalled), "50.0 % of 300.0 MiB, up 512 B/s, 12 peers, none lets us download");
        assert_eq!(figures(&progress(State::Seeding)), "seeding, up 512 B/s, 1.0 MiB sent, 1 peer");
        assert_eq!(figures(&progress(State::Checking)), "checking 50.0 %");
    }

    #[test]
    fn a_bars_figures_fit_into_80_columns() {
        let mut large = progress(State::Leeching);
        assert_eq!(short_figures(&large), "50.0% of 300.0MiB ETA:15s DL:10.0MiB UL:512B CN:1");
        (large.wanted_len, large.done_len, large.peer_count) = (99 << 30, 98 << 30, 200);
        (large.down_rate, large.up_rate) = (99 << 20, 99 << 10);
        let (figures, before) = (short_figures(&large), "123456789012 [12345678] ");
        assert!(before.len() + figures.len() <= 80, "{figures}");
    }

    #[test]
    fn the_bars_template_is_valid() {
        assert!(ProgressStyle::with_template(TRANSFER_TEMPLATE).is_ok());
        assert!(ProgressStyle::with_template(SUM_TEMPLATE).is_ok());
    }
}
