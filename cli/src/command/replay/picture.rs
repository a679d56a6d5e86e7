//! A picture of a recorded session: rate and pieces over time.

use std::error::Error;
use std::time::Duration;

use peerless_core::text::escaped;
use peerless_sim::chart::{self, Chart, Curve, POINT_COUNT_MAX, thinned};

use super::explain::Moment;
use crate::format;

/// The shortest time that a rate is the mean of.
const RATE_TIME: Duration = Duration::from_secs(1);

/// Both charts, one below the other.
///
/// # Errors
/// When the plotting library can't draw them.
pub(super) fn svg(name: &str, moments: &[Moment]) -> Result<String, Box<dyn Error>> {
    let x = "time since the session began";
    let x_label = |seconds| format::elapsed(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let mut curves = vec![
        Curve { name: "down".to_owned(), points: rate(moments, |moment| moment.downloaded_len) },
        Curve { name: "up".to_owned(), points: rate(moments, |moment| moment.uploaded_len) },
    ];
    let rates = Chart {
        title: format!("{}: rate", escaped(name)),
        x,
        y: in_units(&mut curves),
        x_label,
        y_label: |rate| format!("{}", (rate * 1000.0).round() / 1000.0),
        y_max: 1.0,
        curves,
    };
    let pieces = moments.iter().map(|moment| (moment.time.as_secs_f64(), float(moment.have_count)));
    let pieces = Chart {
        title: format!("{}: pieces", escaped(name)),
        x,
        y: "pieces that are there",
        x_label,
        y_label: |count| format!("{count:.0}"),
        y_max: moments.last().map_or(1.0, |moment| float(moment.piece_count)),
        curves: vec![Curve { name: "pieces".to_owned(), points: thinned(pieces.collect()) }],
    };
    chart::svg(&[rates, pieces])
}

/// Makes bytes per second the largest unit that the curves reach, so that the axis has round numbers. What the
/// axis is of.
fn in_units(curves: &mut [Curve]) -> &'static str {
    let rates = || curves.iter().flat_map(|curve| &curve.points).map(|(_, rate)| *rate);
    let max = rates().fold(0.0, f64::max);
    let (unit, words) = [
        (1 << 30, "payload a second, in GiB"),
        (1 << 20, "payload a second, in MiB"),
        (1 << 10, "payload a second, in KiB"),
    ]
    .into_iter()
    .find(|(unit, _)| max >= float(*unit))
    .unwrap_or((1, "payload a second, in bytes"));
    curves.iter_mut().flat_map(|curve| &mut curve.points).for_each(|(_, rate)| *rate /= float(unit));
    words
}

/// Bytes per second, each the mean of a second or of as much as a point stands for.
fn rate(moments: &[Moment], sum: fn(&Moment) -> u64) -> Vec<(f64, f64)> {
    let all = moments.last().map_or(Duration::ZERO, |moment| moment.time);
    let step = (all / u32::try_from(POINT_COUNT_MAX).unwrap_or(1)).max(RATE_TIME.min(all / 20));
    let mut points = Vec::new();
    let mut from = Moment::default();
    for moment in moments {
        let passed = moment.time.saturating_sub(from.time);
        if passed < step || passed.is_zero() {
            continue;
        }
        let rate = float(sum(moment).saturating_sub(sum(&from))) / passed.as_secs_f64();
        // Steps: what was between two moments is not known.
        points.push((from.time.as_secs_f64(), rate));
        points.push((moment.time.as_secs_f64(), rate));
        from = *moment;
    }
    points
}

#[expect(clippy::cast_precision_loss, reason = "nobody sees a byte of 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
