//! Rows of text under a torrent's bar.

use indicatif::{MultiProgress, ProgressBar};

use super::template;

/// A row. What does not fit into the terminal's width is cut.
const TEMPLATE: &str = "{wide_msg}";

/// The rows under one bar.
#[derive(Debug, Default)]
pub(super) struct Rows(Vec<ProgressBar>);

impl Rows {
    /// Shows these lines under `bar`, in place of those that are there.
    pub(super) fn show(&mut self, bars: &MultiProgress, bar: &ProgressBar, lines: Vec<String>) {
        self.0.drain(lines.len().min(self.0.len())..).for_each(|row| take_away(bars, &row));
        for (at, line) in lines.into_iter().enumerate() {
            if self.0.len() <= at {
                let row = bars.insert_after(self.0.last().unwrap_or(bar), ProgressBar::no_length());
                row.set_style(template(TEMPLATE));
                self.0.push(row);
            }
            if let Some(row) = self.0.get(at) {
                row.set_message(line);
            }
        }
    }

    /// Takes them away.
    pub(super) fn clear(&mut self, bars: &MultiProgress) {
        self.0.drain(..).for_each(|row| take_away(bars, &row));
    }
}

fn take_away(bars: &MultiProgress, row: &ProgressBar) {
    row.finish_and_clear();
    bars.remove(row);
}
