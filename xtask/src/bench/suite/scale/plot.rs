//! Plots with logarithmic axes, as SVG: a power is a straight line, and its slope is the power.

use crate::bench::statistics::slope;
use std::fmt::Write;

/// One command's points.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
pub(super) struct Plot {
    pub(super) x_label: &'static str,
    pub(super) y_label: &'static str,
    pub(super) series: Vec<Series>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 50.0;
/// Told apart by those who see no red or green, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// An axis from one power of ten to another.
struct Scale {
    least: i32,
    most: i32,
    from: f64,
    to: f64,
}

impl Scale {
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for logarithm in values.filter(|value| *value > 0.0).map(f64::log10) {
            least = least.min(logarithm);
            most = most.max(logarithm);
        }
        if least > most {
            (least, most) = (0.0, 1.0);
        }
        let least = least.floor() as i32;
        Self { least, most: (most.ceil() as i32).max(least + 1), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        self.from + share * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.least..=self.most).map(|power| 10f64.powi(power))
    }
}

impl Plot {
    /// The picture.
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Scale::around(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Scale::around(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for value in x.powers() {
            let (at, bottom) = (x.at(value), HEIGHT - BOTTOM);
            svg += &format!("<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>\n");
            svg += &text(at, bottom + 18.0, "middle", "black", &power(value));
        }
        for value in y.powers() {
            let (at, right) = (y.at(value), WIDTH - RIGHT);
            svg += &format!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\n");
            svg += &text(LEFT - 8.0, at + 4.0, "end", "black", &power(value));
        }
        svg += &text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0, "middle", "black", self.x_label);
        let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
        let label = text(0.0, 0.0, "middle", "black", self.y_label);
        svg += &format!("<g transform=\"translate(16 {middle}) rotate(-90)\">{}</g>\n", label.trim_end());
        for (number, series) in self.series.iter().enumerate() {
            svg += &line(series, COLOURS[number % COLOURS.len()], &x, &y);
            let stated = slope(&series.points).map_or(String::new(), |slope| format!(" (slope {slope:.2})"));
            let row = TOP + 16.0 + 16.0 * number as f64;
            let colour = COLOURS[number % COLOURS.len()];
            svg += &text(LEFT + 10.0, row, "start", colour, &format!("{}{stated}", series.name));
        }
        svg + "</svg>\n"
    }
}

fn line(series: &Series, colour: &str, x: &Scale, y: &Scale) -> String {
    let mut path = String::new();
    let mut dots = String::new();
    for (number, (across, up)) in series.points.iter().enumerate() {
        let (left, top) = (x.at(*across), y.at(*up));
        let step = if number == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{step}{left:.1} {top:.1}");
        let _ = writeln!(dots, "<circle cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{dots}")
}

fn text(x: f64, y: f64, anchor: &str, colour: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>\n")
}

/// A power of ten as people write it.
fn power(value: f64) -> String {
    match value {
        large if large >= 1e9 => format!("{}G", large / 1e9),
        large if large >= 1e6 => format!("{}M", large / 1e6),
        large if large >= 1e3 => format!("{}k", large / 1e3),
        small => format!("{small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Plot, Scale, Series, power};

    #[test]
    fn a_decade_is_as_long_as_any_other() {
        let scale = Scale::around([30.0, 2000.0].into_iter(), 0.0, 300.0);
        let at: Vec<f64> = [10.0, 100.0, 1000.0, 10_000.0].iter().map(|value| scale.at(*value)).collect();
        assert!(
            at.iter().zip([0.0, 100.0, 200.0, 300.0]).all(|(at, want)| (at - want).abs() < 1e-9),
            "{at:?}"
        );
    }

    #[test]
    fn a_plot_has_its_points_labels_and_slopes() {
        let points = vec![(10.0, 0.1), (100.0, 1.0), (1000.0, 10.0)];
        let series = vec![Series { name: "push <all>", points }];
        let svg = Plot { x_label: "files", y_label: "seconds", series }.svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(">push &lt;all> (slope 1.00)</text>"), "{svg}");
        assert!(svg.contains(">files</text>") && svg.contains(">seconds</text>"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn powers_are_short() {
        assert_eq!([0.01, 1.0, 1e4, 1e6, 1e9].map(power), ["0.01", "1", "10k", "1M", "1G"]);
    }
}
