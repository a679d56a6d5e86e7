//! Charts of curves, as SVG.

use std::error::Error;

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
                .label(curve.name.escape_debug().to_string())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        if self.curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.85))
                .border_style(BLACK.mix(0.3))
                .label_font(("sans-serif", 12))
                .draw()?;
        }
        Ok(())
    }
}
