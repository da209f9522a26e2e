//! What has come of the samples of one series.

use serde::{Deserialize, Serialize};

use super::Trend;
use crate::metrics::{Contains, Kind};

/// The folded samples of a series, or of several merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// The sum.
    Counter(f64),
    /// The latest value, with minimum and maximum.
    Gauge(Gauge),
    /// How many values were not 0, of how many.
    Rate {
        /// Values that were not 0.
        passes: u64,
        /// All values.
        total: u64,
    },
    /// Percentiles, mean, minimum and maximum.
    Trend(Box<Trend>),
}

/// The folded samples of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    /// The latest value.
    pub last: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// When the latest value was seen, in nanoseconds since the start of the run: the end of its window.
    pub at_nanos: u64,
}

impl Gauge {
    /// The gauge after one value.
    #[must_use]
    pub fn of(value: f64, at_nanos: u64) -> Self {
        Self { last: value, min: value, max: value, at_nanos }
    }

    /// Adds another gauge of the same metric. Of two values seen in the same window the greater counts as the later, so
    /// that the order of merging does not matter.
    pub fn merge(&mut self, other: &Self) {
        if (other.at_nanos, other.last) > (self.at_nanos, self.last) {
            (self.at_nanos, self.last) = (other.at_nanos, other.last);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl Value {
    /// The value of a metric that saw nothing; there is none for a gauge.
    #[must_use]
    pub fn empty(kind: Kind, contains: Contains) -> Option<Self> {
        match kind {
            Kind::Counter => Some(Self::Counter(0.0)),
            Kind::Gauge => None,
            Kind::Rate => Some(Self::Rate { passes: 0, total: 0 }),
            Kind::Trend => Some(Self::Trend(Box::new(Trend::new(contains)))),
        }
    }

    /// Adds another value of the same metric. A value of another kind is ignored: a metric cannot change its kind.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(sum), Self::Counter(other)) => *sum += other,
            (Self::Gauge(gauge), Self::Gauge(other)) => gauge.merge(other),
            (Self::Rate { passes, total }, Self::Rate { passes: more_passes, total: more_total }) => {
                *passes += more_passes;
                *total += more_total;
            }
            (Self::Trend(trend), Self::Trend(other)) => trend.merge(other),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_value_of_a_gauge_wins_in_either_order() {
        let (early, late) = (Gauge::of(9.0, 1), Gauge::of(3.0, 2));
        let (mut one, mut other) = (early, late);
        one.merge(&late);
        other.merge(&early);
        assert_eq!(one, other);
        assert_eq!(one, Gauge { last: 3.0, min: 3.0, max: 9.0, at_nanos: 2 });
    }
}
