//! Medians, spreads, the ratios of pairs, and slopes.

/// Numbers, and what is between the ends of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spread {
    /// In the order in which they were measured.
    pub(super) each: Vec<f64>,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// `None` of no numbers.
    pub(super) fn of(each: Vec<f64>) -> Option<Self> {
        let mut sorted = each.clone();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        Some(Self { each, median: median(&sorted), least, most })
    }

    /// The ratios of numbers that were measured beside each other: the numerator of each round by its denominator.
    /// A median of ratios, and no ratio of medians: what slows a whole round down is in both.
    pub(super) fn of_ratios(numerators: &[f64], denominators: &[f64]) -> Option<Self> {
        let pairs = numerators.iter().zip(denominators);
        Self::of(
            pairs.filter(|(_, denominator)| **denominator > 0.0).map(|(over, under)| over / under).collect(),
        )
    }
}

/// The middle of sorted numbers, or of the two there.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = |index: usize| sorted.get(index).copied().unwrap_or_default();
    (middle(sorted.len().saturating_sub(1) / 2) + middle(sorted.len() / 2)) / 2.0
}

/// The slope of the line that is nearest to the points, by least squares, when both axes are logarithmic: the power with
/// which `y` grows. `None` of fewer than two different `x`.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logarithms: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logarithms.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| logarithms.iter().map(pick).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let square: f64 = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let product: f64 = logarithms.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (square > 0.0).then(|| product / square)
}

#[cfg(test)]
mod tests {
    use super::{Spread, slope};

    #[test]
    fn the_median_is_the_middle_or_between_the_two_there() {
        let odd = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.least, odd.most), (2.0, 1.0, 3.0));
        assert_eq!(odd.each, [3.0, 1.0, 2.0], "in the order measured");
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 100.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn ratios_are_those_of_pairs() {
        // In the slow round both were slow. The ratio of the medians would be 2.
        let ratios = Spread::of_ratios(&[8.0, 40.0, 6.0], &[1.0, 10.0, 4.0]).unwrap();
        assert_eq!(ratios.each, [8.0, 4.0, 1.5]);
        assert_eq!(ratios.median, 4.0);
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None, "nothing to divide by");
    }

    #[test]
    fn the_slope_is_the_power() {
        let points = |power: f64| [1.0, 10.0, 100.0].map(|x: f64| (x, 7.0 * x.powf(power)));
        for power in [0.0, 0.5, 1.0, 2.0] {
            assert!((slope(&points(power)).unwrap() - power).abs() < 1e-9, "{power}");
        }
        let uneven = slope(&[(1.0, 1.0), (10.0, 20.0), (100.0, 100.0)]).unwrap();
        assert!(
            (uneven - 1.0).abs() < 1e-9,
            "one that is off in the middle does not tilt the line: {uneven}"
        );
        assert_eq!(slope(&[(5.0, 1.0), (5.0, 2.0)]), None);
    }
}
