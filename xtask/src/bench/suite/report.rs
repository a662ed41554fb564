//! The table, and the raw figures behind it.

use super::super::statistics::Spread;
use super::case::{Aim, Quantity, Reading, Row};
use super::rounds::Played;
use serde_json::{Value, json};

/// What came out for one row of the table.
pub(super) struct Line {
    pub(super) case: &'static str,
    what: String,
    against: &'static str,
    aim: String,
    outcome: Result<Figures, String>,
}

struct Figures {
    quantity: Quantity,
    ours: Spread,
    other: Option<Spread>,
    /// As the aim wants it: the other's by ours, or ours by the other's.
    ratio: Option<Spread>,
    /// Whether the other was ended before it was done, so that its figure is a lower bound.
    cut: bool,
    met: Option<bool>,
}

pub(super) const HEADER: &str = "| case | against | strata | other | ratio of each pair | median | aim | |\n\
                                 |---|---|---|---|---|---|---|---|";

impl Line {
    /// The row out of what its contestants did.
    pub(super) fn of(case: &'static str, row: &Row, played: &[Played]) -> Self {
        let outcome = readings(played, row.ours).and_then(|ours| {
            let other = row.against.map(|name| readings(played, name)).transpose()?;
            figures(row, ours, other).ok_or_else(|| format!("no {} was measured", row.quantity.name()))
        });
        let against = row.against.unwrap_or_default();
        Self { case, what: row.what.clone(), against, aim: row.aim.text(row.quantity), outcome }
    }

    /// A case of which nothing can be said but why.
    pub(super) fn failed(case: &'static str, reason: String) -> Self {
        Self { case, what: case.to_owned(), against: "", aim: String::new(), outcome: Err(reason) }
    }

    /// As a row of the table in Markdown.
    pub(super) fn markdown(&self) -> String {
        let Self { what, against, aim, .. } = self;
        match &self.outcome {
            Ok(figures) => {
                let verdict = match figures.met {
                    Some(true) => "met",
                    Some(false) => "**missed**",
                    None => "",
                };
                let (ours, other, each, median) = figures.cells();
                format!("| {what} | {against} | {ours} | {other} | {each} | {median} | {aim} | {verdict} |")
            }
            Err(reason) => {
                let reason = reason.lines().next().unwrap_or_default().replace('|', "\\|");
                let reason: String = reason.chars().take(160).collect();
                format!("| {what} | {against} | | | | | {aim} | not measured: {reason} |")
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let spread = |spread: &Spread| json!({"each": spread.each, "median": spread.median, "least": spread.least, "most": spread.most});
        let mut value =
            json!({"case": self.case, "what": self.what, "against": self.against, "aim": self.aim});
        match &self.outcome {
            Ok(figures) => {
                value["quantity"] = json!(figures.quantity.name());
                value["ours"] = spread(&figures.ours);
                value["other"] = json!(figures.other.as_ref().map(spread));
                value["ratio"] = json!(figures.ratio.as_ref().map(spread));
                value["other_was_cut"] = json!(figures.cut);
                value["met"] = json!(figures.met);
            }
            Err(reason) => value["failed"] = json!(reason),
        }
        value
    }

    /// What went wrong, if something did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }
}

fn readings<'p>(played: &'p [Played], name: &str) -> Result<&'p [Reading], String> {
    let found = played.iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| format!("there is no {name} to compare with"))?;
    found.readings.as_deref().map_err(|reason| format!("{name}: {reason}"))
}

fn figures(row: &Row, ours: &[Reading], other: Option<&[Reading]>) -> Option<Figures> {
    let values = |readings: &[Reading]| -> Vec<f64> {
        readings.iter().filter_map(|reading| reading.values.get(&row.quantity).copied()).collect()
    };
    let cut = other.is_some_and(|readings| readings.iter().any(|reading| reading.cut));
    let ours = Spread::of(values(ours))?;
    let other = match other {
        Some(readings) => Some(Spread::of(values(readings))?),
        None => None,
    };
    let ratio = other.as_ref().and_then(|other| match row.aim {
        Aim::Times(_) => Spread::of_ratios(&other.each, &ours.each),
        _ => Spread::of_ratios(&ours.each, &other.each),
    });
    let met = match row.aim {
        Aim::Times(least) => ratio.as_ref().map(|ratio| ratio.median >= least),
        Aim::Within(most) => ratio.as_ref().map(|ratio| ratio.median <= most),
        Aim::AtMost(most) => Some(ours.median <= most),
        Aim::Known => None,
    };
    Some(Figures { quantity: row.quantity, ours, other, ratio, cut, met })
}

impl Figures {
    /// Ours, the other's, the ratios of pairs, their median.
    fn cells(&self) -> (String, String, String, String) {
        let unit = self.quantity.name();
        let ours = format!("{} {unit}", number(self.ours.median));
        let more = if self.cut { "> " } else { "" };
        let other = self.other.as_ref().map(|other| format!("{more}{} {unit}", number(other.median)));
        let each = self.ratio.as_ref().map(|ratio| {
            let all: Vec<String> = ratio.each.iter().map(|ratio| number(*ratio)).collect();
            all.join(", ")
        });
        let median = self.ratio.as_ref().map(|ratio| format!("{more}{}", number(ratio.median)));
        (ours, other.unwrap_or_default(), each.unwrap_or_default(), median.unwrap_or_default())
    }
}

impl Aim {
    fn text(self, quantity: Quantity) -> String {
        match self {
            Self::Times(least) => format!("≥ {}", number(least)),
            Self::Within(most) => format!("≤ {}", number(most)),
            Self::AtMost(most) => format!("≤ {} {}", number(most), quantity.name()),
            Self::Known => String::new(),
        }
    }
}

/// Three digits that count, and all of those of a large number.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 99.95 => 0,
        large if large >= 9.995 => 1,
        large if large >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if digits > 0 {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    // Groups of three.
    let (sign, figures) = text.split_at(usize::from(text.starts_with('-')));
    let mut grouped = String::from(sign);
    for (at, figure) in figures.chars().enumerate() {
        if at > 0 && (figures.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(figure);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{Line, number};
    use crate::bench::suite::case::{Aim, Quantity, Reading, Row};
    use crate::bench::suite::rounds::Played;

    fn played(name: &'static str, seconds: &[f64]) -> Played {
        let readings = seconds.iter().map(|value| Reading::default().with(Quantity::Seconds, *value));
        Played { name, readings: Ok(readings.collect()) }
    }

    #[test]
    fn a_row_says_whether_the_aim_was_met() {
        let players = [played("strata", &[1.0, 2.0, 1.0]), played("Spack", &[9.0, 10.0, 8.5])];
        let row = |aim| Line::of("push", &Row::clock("push", "Spack", aim), &players).markdown();
        assert_eq!(row(Aim::Times(8.0)), "| push | Spack | 1 s | 9 s | 9, 5, 8.5 | 8.5 | ≥ 8 | met |");
        assert!(row(Aim::Times(8.6)).ends_with("| **missed** |"));
        assert!(row(Aim::Within(0.1)).ends_with("| 0.111, 0.2, 0.118 | 0.118 | ≤ 0.1 | **missed** |"));
        assert!(row(Aim::AtMost(1.0)).ends_with("| ≤ 1 s | met |"));
    }

    #[test]
    fn a_failure_of_either_is_a_row_too() {
        let failed = Played { name: "Spack", readings: Err("no network | at all\nmore".into()) };
        let players = [played("strata", &[1.0]), failed];
        let line = Line::of("push", &Row::clock("push", "Spack", Aim::Times(8.0)), &players);
        assert!(
            line.markdown().ends_with("| not measured: Spack: no network \\| at all |"),
            "{}",
            line.markdown()
        );
        assert_eq!(line.json()["failed"], "Spack: no network | at all\nmore");
        let absent = Line::of("push", &Row::clock("push", "floor", Aim::Known), &players);
        assert_eq!(absent.failure(), Some("there is no floor to compare with"));
    }

    #[test]
    fn what_was_cut_is_a_bound() {
        let mut slow = played("Spack", &[60.0]);
        slow.readings.as_mut().unwrap()[0].cut = true;
        let players = [played("strata", &[0.05]), slow];
        let line =
            Line::of("resolve", &Row::clock("resolve", "Spack", Aim::Times(100.0)), &players).markdown();
        assert_eq!(line, "| resolve | Spack | 0.05 s | > 60 s | 1,200 | > 1,200 | ≥ 100 | met |");
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown: Vec<String> =
            [0.0, 0.1234, 1.0, 1.256, 12.34, 123.4, 125_942_458.0, -1234.5].map(number).to_vec();
        assert_eq!(shown, ["0", "0.123", "1", "1.26", "12.3", "123", "125,942,458", "-1,234"]);
    }
}
