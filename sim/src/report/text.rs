//! A report for people.

use std::fmt::{self, Display, Formatter};

use peerless_core::text::escaped;

use super::{GroupReport, Report, Spread};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("scenario");
        let count: usize = self.groups.iter().map(|group| group.count).sum();
        writeln!(
            f,
            "{}, seed {}: {count} {}, {} in {} {} of {}",
            escaped(name),
            self.seed,
            if count == 1 { "peer" } else { "peers" },
            size(self.torrent.size),
            self.torrent.pieces,
            if self.torrent.pieces == 1 { "piece" } else { "pieces" },
            size(self.torrent.piece_length)
        )?;
        self.outcome(f)?;
        writeln!(
            f,
            "\n{:<24}{:>6}{:>10}{:>10}{:>10}{:>10}",
            "time to complete", "", "min", "median", "95 %", "max"
        )?;
        row(f, "all honest", self.completion)?;
        for group in self.groups.iter().filter(|group| group.completion.is_some()) {
            row(f, &group.name, group.completion)?;
        }
        if let (Some(bound), Some(ratio)) = (self.bound, self.bound_ratio) {
            let (time, by) = (time(bound.seconds), bound.by.words());
            writeln!(f, "  no sooner than {time}, by {by} (fluid bound); the last took {ratio:.2} of that")?;
        }
        writeln!(
            f,
            "\n{:<24}{:>6}{:>10}{:>10}{:>10}{:>10}",
            "share ratio", "", "min", "median", "95 %", "max"
        )?;
        for group in self.groups.iter().filter(|group| group.share_ratio.is_some()) {
            ratio_row(f, group)?;
        }
        writeln!(f)?;
        self.figures(f)
    }
}

impl Report {
    fn outcome(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (complete, goal, end) = (self.complete, self.goal, time(self.time));
        match self.ended {
            "complete" => write!(f, "{complete} of {goal} complete, after {end} of virtual time")?,
            "limit" => write!(f, "{complete} of {goal} complete at the limit of {end} of virtual time")?,
            _ => write!(f, "interrupted: {complete} of {goal} complete, at {end} of virtual time")?,
        }
        for (count, words) in [(self.left, "left before"), (self.failed, "stopped by their disk")] {
            if count > 0 {
                write!(f, "; {count} {words}")?;
            }
        }
        writeln!(f)
    }

    fn figures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, value: String| writeln!(f, "{what:<24}{value}");
        if let Some(copies) = self.seed_copies {
            line("sent by the seeds", format!("{copies:.2} copies of the torrent"))?;
        }
        if let (Some(all), Some(middle)) = (self.upload_use, self.upload_use_middle) {
            line(
                "use of upload",
                format!(
                    "{} of what lines could carry; {} from 10 % to 90 % of the time",
                    percent(all),
                    percent(middle)
                ),
            )?;
        }
        let wasted = super::share(self.wasted, self.downloaded).unwrap_or_default();
        line(
            "wasted",
            format!("{} of {} received ({})", size(self.wasted), size(self.downloaded), percent(wasted)),
        )?;
        if let Some(each) = self.messages_per_piece {
            let kinds = format!(
                "{:.1} piece, {:.1} request, {:.1} have, {:.1} choke and interest, {:.1} cancel, {:.1} other",
                each.piece, each.request, each.have, each.state, each.cancel, each.other
            );
            line("messages per piece", format!("{:.1}: {kinds}", each.all))?;
        }
        if let Some(entropy) = self.entropy {
            line(
                "piece entropy",
                format!("{entropy:.3} on average; 1: each leech always wants something of each"),
            )?;
        }
        Ok(())
    }
}

fn row(f: &mut Formatter<'_>, name: &str, spread: Option<Spread>) -> fmt::Result {
    let Some(Spread { count, min, median, p95, max }) = spread else {
        return writeln!(f, "  {name:<22}{:>6}", "nobody");
    };
    let name = escaped(name).to_string();
    writeln!(
        f,
        "  {name:<22}{count:>6}{:>10}{:>10}{:>10}{:>10}",
        time(min),
        time(median),
        time(p95),
        time(max)
    )
}

fn ratio_row(f: &mut Formatter<'_>, group: &GroupReport) -> fmt::Result {
    let Some(Spread { count, min, median, p95, max }) = group.share_ratio else { return Ok(()) };
    let name = escaped(&group.name).to_string();
    writeln!(f, "  {name:<22}{count:>6}{min:>10.2}{median:>10.2}{p95:>10.2}{max:>10.2}")
}

/// Seconds in their two largest units: `41.2 s`, `5m 03s`, `1h 02m`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are not negative")]
pub(crate) fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole / 60 % 60),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Bytes in units of 1024.
fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}
