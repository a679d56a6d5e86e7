//! Charts of curves, as SVG.

use std::error::Error;

use peerless_core::text::escaped;
use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor, SVGBackend,
    SeriesLabelPosition, WHITE,
};
use plotters::style::{BLACK, Color, IntoFont};

/// Width and height of a chart in pixels: two fit beside each other on a page.
const SIZE: (u32, u32) = (640, 360);

/// The most points of a curve; more can't be told apart.
pub const POINT_COUNT_MAX: usize = 200;

/// Colours that people with any kind of sight can tell apart (Okabe, Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// One curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is of.
    pub name: String,
    /// Along it, in order.
    pub points: Vec<(f64, f64)>,
}

/// What a chart shows.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// What the horizontal axis is of.
    pub x: &'static str,
    /// What the vertical axis is of.
    pub y: &'static str,
    /// A number on the horizontal axis.
    pub x_label: fn(f64) -> String,
    /// A number on the vertical axis.
    pub y_label: fn(f64) -> String,
    /// The least that the upper end of the vertical axis is.
    pub y_max: f64,
    /// At most seven can be told apart.
    pub curves: Vec<Curve>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Charts, one below the other.
///
/// # Errors
/// When the plotting library can't draw one.
pub fn svg(charts: &[Chart]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let height = SIZE.1 * u32::try_from(charts.len())?;
        let root = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let areas = root.split_evenly((charts.len(), 1));
        charts.iter().zip(&areas).try_for_each(|(chart, area)| chart.draw(area))?;
        root.present()?;
    }
    Ok(svg)
}

/// No more points than can be told apart, the first and the last among them.
#[must_use]
pub fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let (count, step) = (points.len(), points.len().div_ceil(POINT_COUNT_MAX).max(1));
    let kept = points.into_iter().enumerate();
    kept.filter(|(number, _)| number % step == 0 || number + 1 == count).map(|(_, point)| point).collect()
}

impl Chart {
    fn draw(&self, root: &Area<'_>) -> Result<(), Box<dyn Error>> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x_max = points().map(|(x, _)| *x).fold(0.0, f64::max).max(0.001);
        let y_max = points().map(|(_, y)| *y).fold(self.y_max, f64::max);
        let mut chart = ChartBuilder::on(root)
            .caption(&self.title, ("sans-serif", 17).into_font())
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(58)
            .build_cartesian_2d(0.0..x_max * 1.03, 0.0..y_max * 1.05)?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|x| (self.x_label)(*x))
            .y_label_formatter(&|y| (self.y_label)(*y))
            .max_light_lines(0)
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .axis_desc_style(("sans-serif", 13))
            .label_style(("sans-serif", 12))
            .draw()?;
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
                .label(escaped(&curve.name).to_string())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        if self.curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(self.free_corner(x_max, y_max))
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.3))
                .label_font(("sans-serif", 12))
                .draw()?;
        }
        Ok(())
    }

    /// Where the names of the curves hide the least of them.
    fn free_corner(&self, x_max: f64, y_max: f64) -> SeriesLabelPosition {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let upper_left = points().filter(|(x, y)| *x < x_max * 0.3 && *y > y_max * 0.6).count();
        let lower_right = points().filter(|(x, y)| *x > x_max * 0.7 && *y < y_max * 0.4).count();
        if lower_right < upper_left {
            SeriesLabelPosition::LowerRight
        } else {
            SeriesLabelPosition::UpperLeft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chart of one curve and one that is not in the way, as text.
    fn drawn(points: &[(f64, f64)]) -> String {
        let curve = |name: &str, points| Curve { name: name.to_owned(), points };
        let curves = vec![curve("first", points.to_vec()), curve("second", vec![(0.0, 0.0), (0.1, 0.0)])];
        let label = |number| format!("{number}");
        let chart =
            Chart { title: String::new(), x: "", y: "", x_label: label, y_label: label, y_max: 1.0, curves };
        svg(&[chart]).unwrap()
    }

    #[test]
    fn names_stand_where_the_curves_do_not() {
        let place = |points| {
            let svg = drawn(points);
            let text = svg.split("<text ").find(|text| text.contains("\nfirst\n")).unwrap();
            let number = |key: &str| text.split(key).nth(1)?.split('"').nth(1)?.parse::<u32>().ok();
            (number("x=").unwrap() < SIZE.0 / 2, number("y=").unwrap() < SIZE.1 / 2)
        };
        assert_eq!(place(&[(0.0, 0.0), (0.9, 0.1), (1.0, 1.0)]), (true, true), "above what rises late");
        assert_eq!(place(&[(0.0, 0.0), (0.1, 0.9), (1.0, 1.0)]), (false, false), "below what has risen");
    }
}
