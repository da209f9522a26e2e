//! What is kept of a trend: exact count, sum, minimum and maximum, and percentiles within 0.1 %.

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use crate::metrics::Contains;

/// How many units there are in a millisecond, a byte and anything else.
const UNITS: [f64; 3] = [10_000.0, 1.0, 1_000.0];
/// More values than this are in no trend that comes over a wire.
const MOST_COUNTED: u64 = 1 << 48;

/// The values of a trend, folded.
///
/// Values are counted in units: a tenth of a microsecond for times, a byte for data, a thousandth for anything else.
/// Up to 32 distinct ones are kept exactly, more fall into the buckets of a histogram with three significant digits.
/// Which of the two it is depends only on the values, not on the order they came in or were merged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Trend {
    units: f64,
    count: u64,
    zeros: u64,
    sum: f64,
    min: f64,
    max: f64,
    positive: Counts,
    // Mirrored: the counts of the absolute values.
    negative: Option<Box<Counts>>,
}

/// A trend on the wire.
#[derive(Serialize, Deserialize)]
struct Wire {
    units: f64,
    count: u64,
    zeros: u64,
    sum: f64,
    min: f64,
    max: f64,
    exact: bool,
    positive: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    negative: Option<(bool, Vec<(u64, u64)>)>,
}

impl Trend {
    /// Makes an empty trend for values of this sort.
    #[must_use]
    pub fn new(contains: Contains) -> Self {
        let [time, data, default] = UNITS;
        Self::empty(match contains {
            Contains::Time => time,
            Contains::Data => data,
            Contains::Default => default,
        })
    }

    fn empty(units: f64) -> Self {
        Self {
            units,
            count: 0,
            zeros: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            positive: Counts::default(),
            negative: None,
        }
    }

    /// Takes a value in. One that is not finite is ignored.
    #[inline]
    pub fn add(&mut self, value: f64) {
        // Most phases of most requests did not happen.
        if value == 0.0 {
            self.count += 1;
            self.zeros += 1;
            self.min = self.min.min(0.0);
            self.max = self.max.max(0.0);
            return;
        }
        if !value.is_finite() {
            return;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // Adding a half and cutting off is a few instructions; `round` is a call on plain x86-64.
        let units = (value.abs() * self.units + 0.5) as u64;
        if units == 0 {
            self.zeros += 1;
        } else if value > 0.0 {
            self.positive.record(units, 1);
        } else {
            self.negative.get_or_insert_default().record(units, 1);
        }
    }

    /// Adds another trend of the same metric.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.zeros += other.zeros;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.positive.merge(&other.positive);
        if let Some(negative) = &other.negative {
            self.negative.get_or_insert_default().merge(negative);
        }
    }

    /// Takes everything out and keeps what it is worth keeping of the storage. What comes out is compact.
    #[must_use]
    pub fn drain(&mut self) -> Self {
        let mut taken = Self::empty(self.units);
        (taken.count, taken.zeros, taken.sum, taken.min, taken.max) =
            (self.count, self.zeros, self.sum, self.min, self.max);
        taken.positive = self.positive.drain();
        taken.negative = self.negative.as_mut().map(|negative| Box::new(negative.drain()));
        (self.count, self.zeros, self.sum, self.min, self.max) = (0, 0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        taken
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least value, exactly; 0 when there was none.
    #[must_use]
    pub fn min(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.min }
    }

    /// The greatest value, exactly; 0 when there was none.
    #[must_use]
    pub fn max(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.max }
    }

    /// The mean of the values; 0 when there was none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The value below which `percent` of the values lie, interpolated between the two nearest as k6 does; 0 when there
    /// was none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> f64 {
        if self.count == 0 || percent <= 0.0 {
            return self.min();
        }
        if percent >= 100.0 {
            return self.max();
        }
        let position = percent / 100.0 * (self.count - 1) as f64;
        let (rank, part) = (position.floor(), position.fract());
        let (lower, upper) = self.neighbours(rank as u64);
        (lower + (upper - lower) * part).clamp(self.min, self.max)
    }

    /// The values of this rank (from 0) and of the next.
    fn neighbours(&self, rank: u64) -> (f64, f64) {
        let mut negative = self.negative.as_ref().map(|counts| counts.entries()).unwrap_or_default();
        negative.reverse();
        let negative = negative.into_iter().map(|(value, count)| (-(value as f64), count));
        let positive = self.positive.entries().into_iter().map(|(value, count)| (value as f64, count));
        let mut before = 0;
        let mut lower = None;
        for (value, count) in negative.chain([(0.0, self.zeros)]).chain(positive) {
            before += count;
            if before > rank && lower.is_none() {
                lower = Some(value);
            }
            if let Some(lower) = lower
                && before > rank + 1
            {
                return (lower / self.units, value / self.units);
            }
        }
        let lower = lower.map_or(self.max, |value| value / self.units);
        (lower, self.max)
    }
}

impl PartialEq for Trend {
    fn eq(&self, other: &Self) -> bool {
        let negative = |trend: &Self| trend.negative.as_ref().map(|counts| counts.entries()).unwrap_or_default();
        (self.units, self.count, self.zeros, self.sum, self.min, self.max)
            == (other.units, other.count, other.zeros, other.sum, other.min, other.max)
            && self.positive.entries() == other.positive.entries()
            && negative(self) == negative(other)
    }
}

impl From<Trend> for Wire {
    fn from(trend: Trend) -> Self {
        Self {
            units: trend.units,
            count: trend.count,
            zeros: trend.zeros,
            sum: trend.sum,
            // JSON knows no infinity.
            min: trend.min(),
            max: trend.max(),
            exact: trend.positive.is_exact(),
            positive: trend.positive.entries(),
            negative: trend.negative.map(|counts| (counts.is_exact(), counts.entries())),
        }
    }
}

impl Wire {
    /// Whether a trend can be this. Who sends one may mean harm: counts must not overflow when they are added up, and
    /// extremes must be in order.
    fn is_possible(&self) -> bool {
        let mut left = MOST_COUNTED;
        let negative = self.negative.iter().flat_map(|(_, entries)| entries);
        let counts = self.positive.iter().chain(negative).map(|entry| entry.1);
        let fits = [self.count, self.zeros].iter().all(|&count| count <= MOST_COUNTED)
            && counts.chain([self.zeros]).all(|count| match left.checked_sub(count) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            });
        let finite = [self.sum, self.min, self.max].iter().all(|value| value.is_finite());
        fits && finite && self.min <= self.max && UNITS.contains(&self.units)
    }
}

impl TryFrom<Wire> for Trend {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        if !wire.is_possible() {
            return Err("no trend has these numbers");
        }
        let mut trend = Self::empty(wire.units);
        (trend.count, trend.zeros, trend.sum) = (wire.count, wire.zeros, wire.sum);
        if wire.count > 0 {
            (trend.min, trend.max) = (wire.min, wire.max);
        }
        trend.positive = Counts::restore(wire.exact, wire.positive);
        trend.negative = wire.negative.map(|(exact, entries)| Box::new(Counts::restore(exact, entries)));
        Ok(trend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trend(values: &[f64]) -> Trend {
        let mut trend = Trend::new(Contains::Time);
        for &value in values {
            trend.add(value);
        }
        trend
    }

    /// k6's percentile of the values themselves.
    fn exact(values: &[f64], percent: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let position = percent / 100.0 * (sorted.len() - 1) as f64;
        let (lower, upper) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
        lower + (upper - lower) * position.fract()
    }

    #[test]
    fn few_distinct_values_have_exact_percentiles() {
        let trend = trend(&[10.0, 20.0, 30.0, 40.0]);
        assert!((trend.percentile(50.0) - 25.0).abs() < 1e-9);
        assert!((trend.percentile(90.0) - 37.0).abs() < 1e-9);
        assert!((trend.mean() - 25.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_trend_is_all_zero() {
        let trend = Trend::new(Contains::Default);
        let seen = [trend.min(), trend.max(), trend.mean(), trend.percentile(99.0)];
        assert_eq!((trend.count(), seen.map(|value| value as i64)), (0, [0; 4]));
    }

    #[test]
    fn zeros_and_negative_values_keep_their_place() {
        let trend = trend(&[-3.0, -1.0, 0.0, 0.0, 2.0]);
        let seen = [0.0, 25.0, 50.0, 100.0].map(|percent| trend.percentile(percent));
        assert_eq!(seen.map(|value| value as i64), [-3, -1, 0, 2]);
    }

    #[test]
    fn a_value_that_is_no_number_is_ignored() {
        assert_eq!(trend(&[f64::NAN, f64::INFINITY, 1.0]).count(), 1);
    }

    #[test]
    fn draining_leaves_an_empty_trend_that_records_on() {
        let values: Vec<f64> = (1..=1000).map(f64::from).collect();
        let mut recording = trend(&values);
        let first = recording.drain();
        assert_eq!(recording.count(), 0);
        for &value in &values {
            recording.add(value);
        }
        assert_eq!(recording.drain(), first);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_thousandth_and_extremes_exact(
            values in proptest::collection::vec(prop_oneof![0.0..5.0, 0.0..60_000.0], 1..400),
            percent in 0.0..=100.0,
        ) {
            let trend = trend(&values);
            let (seen, truth) = (trend.percentile(percent), exact(&values, percent));
            prop_assert!((seen - truth).abs() <= truth.abs() * 0.001 + 0.000_1, "{seen} for {truth}");
            let extremes = [0.0, 100.0];
            let (seen, truth) = (extremes.map(|at| trend.percentile(at)), extremes.map(|at| exact(&values, at)));
            prop_assert_eq!(seen.map(f64::to_bits), truth.map(f64::to_bits));
        }

        #[test]
        fn merging_in_any_order_and_association_is_the_same(
            parts in proptest::collection::vec(proptest::collection::vec((-50_i32..2000).prop_map(f64::from), 0..60), 3..6),
        ) {
            let all: Vec<f64> = parts.concat();
            let mut left = Trend::new(Contains::Time);
            for part in &parts {
                left.merge(&trend(part));
            }
            let mut right = Trend::new(Contains::Time);
            for part in parts.iter().rev() {
                let mut next = trend(part).drain();
                next.merge(&right);
                right = next;
            }
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(&left, &trend(&all));
        }

        #[test]
        fn a_trend_survives_the_wire(values in proptest::collection::vec(-10.0..9000.0, 0..80)) {
            let trend = trend(&values);
            let text = serde_json::to_string(&trend).unwrap();
            let back: Trend = serde_json::from_str(&text).unwrap();
            // A float read back from JSON may differ in its last bit.
            for percent in [0.0, 50.0, 95.0, 100.0] {
                prop_assert!((back.percentile(percent) - trend.percentile(percent)).abs() < 1e-9);
            }
            prop_assert_eq!(back.count(), trend.count());
        }
    }
}
