//! Pictures of a report, as SVG. They show what the report says and nothing else.

use std::error::Error;

use peerless_core::text::escaped;

use crate::chart::{self, Chart, Curve, thinned};
use crate::report::{Report, time_words};
use crate::run::Moment;

/// The file names of all pictures, in the order of [`draw`].
pub const NAMES: [&str; 6] =
    ["completion.svg", "upload.svg", "peers.svg", "entropy.svg", "copies.svg", "shares.svg"];

/// All pictures of a report, each with its file name.
///
/// # Errors
/// When the plotting library can't draw one.
pub fn draw(report: &Report) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let charts =
        [completion(report), upload(report), peers(report), entropy(report), copies(report), shares(report)];
    let drawn = NAMES.into_iter().zip(charts).map(|(name, chart)| Ok((name, chart::svg(&[chart])?)));
    drawn.collect()
}

fn completion(report: &Report) -> Chart {
    let mut curves: Vec<Curve> = report
        .times
        .iter()
        .map(|(group, times)| {
            let group = &report.groups[*group];
            Curve { name: group.name.clone(), points: distribution(times, group.count) }
        })
        .collect();
    if let Some(bound) = report.bound {
        curves.push(Curve {
            name: "fluid bound".to_owned(),
            points: vec![(bound.seconds, 0.0), (bound.seconds, 1.0)],
        });
    }
    Chart {
        title: title(report, "time to complete"),
        x: "time since a peer came",
        y: "peers that have everything",
        x_label: time_words,
        y_label: percent,
        y_max: 1.0,
        curves,
    }
}

fn upload(report: &Report) -> Chart {
    let of = |moment: &Moment| moment.upload_use;
    over_time(report, "use of upload", "sent, of what lines could carry", percent, 1.0, vec![("use", of)])
}

fn peers(report: &Report) -> Chart {
    let curves: Vec<Look> = vec![
        ("leeches", |moment| Some(float(moment.leeches))),
        ("seeds", |moment| Some(float(moment.seeds))),
    ];
    over_time(report, "honest peers that take part", "peers", number, 1.0, curves)
}

fn entropy(report: &Report) -> Chart {
    let of = |moment: &Moment| moment.entropy;
    over_time(
        report,
        "piece entropy",
        "leeches that want something of another",
        percent,
        1.0,
        vec![("entropy", of)],
    )
}

fn copies(report: &Report) -> Chart {
    let curves: Vec<Look> = vec![
        ("of a piece on average", |moment| Some(moment.copies_mean)),
        ("of the rarest piece", |moment| Some(float(moment.copies_min))),
    ];
    over_time(report, "copies of pieces", "copies", number, 1.0, curves)
}

fn shares(report: &Report) -> Chart {
    let curves = report.ratios.iter().map(|(group, ratios)| Curve {
        name: report.groups[*group].name.clone(),
        points: distribution(ratios, ratios.len()),
    });
    Chart {
        title: title(report, "share ratio"),
        x: "bytes sent for each received",
        y: "peers with no more",
        x_label: |ratio| format!("{ratio:.2}"),
        y_label: percent,
        y_max: 1.0,
        curves: curves.collect(),
    }
}

/// What a curve is called, and what a sample says to it.
type Look = (&'static str, fn(&Moment) -> Option<f64>);

fn over_time(
    report: &Report,
    what: &str,
    y: &'static str,
    y_label: fn(f64) -> String,
    y_max: f64,
    looks: Vec<Look>,
) -> Chart {
    let curves = looks.into_iter().map(|(name, look)| Curve {
        name: name.to_owned(),
        points: thinned(report.samples.iter().filter_map(|moment| Some((moment.t, look(moment)?))).collect()),
    });
    let (title, x) = (title(report, what), "virtual time");
    Chart { title, x, y, x_label: time_words, y_label, y_max, curves: curves.collect() }
}

/// The share of `count` that is at or below each of the sorted numbers, in steps.
fn distribution(sorted: &[f64], count: usize) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut share = 0.0;
    for (number, value) in sorted.iter().enumerate() {
        points.push((*value, share));
        share = float(number + 1) / float(count.max(1));
        points.push((*value, share));
    }
    thinned(points)
}

fn title(report: &Report, what: &str) -> String {
    let name = report.name.as_deref().unwrap_or("scenario");
    format!("{}: {what}", escaped(name))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn number(number: f64) -> String {
    format!("{number:.0}")
}

#[expect(clippy::cast_precision_loss, reason = "counts of peers are far below 2^53")]
fn float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::POINT_COUNT_MAX;

    #[test]
    fn curves_keep_their_ends_however_long_they_are() {
        let long: Vec<f64> = (0..10_000_u32).map(f64::from).collect();
        let points = distribution(&long, 20_000);
        assert!(points.len() <= POINT_COUNT_MAX + 1);
        assert_eq!((points.first(), points.last()), (Some(&(0.0, 0.0)), Some(&(9_999.0, 0.5))));
        assert_eq!(distribution(&[3.0], 2), [(3.0, 0.0), (3.0, 0.5)]);
    }
}
