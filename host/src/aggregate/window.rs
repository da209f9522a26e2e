//! One second of aggregated series.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::Value;
use crate::metrics::{Excesses, MetricId, Tags};

/// A metric and the tags of some of its samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Series {
    /// The metric.
    pub metric: MetricId,
    /// The tags.
    pub tags: Tags,
}

/// What was recorded in a span of the run. Windows of several workers, and of several seconds, merge.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Window {
    /// When it starts, since the start of the run.
    pub start: Duration,
    /// How long it is.
    pub length: Duration,
    /// What was touched; each series once.
    pub series: Vec<(Arc<Series>, Value)>,
    /// How often a series was asked for beyond the limit, and given one tagged `_other` instead.
    pub overflowed: u64,
    /// What else there was too much of.
    #[serde(default)]
    pub excesses: Excesses,
}

impl Window {
    /// When it ends, since the start of the run.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start + self.length
    }

    /// Adds another window: what comes of it starts with the earlier and ends with the later of the two.
    pub fn merge(&mut self, other: Self) {
        let end = self.end().max(other.end());
        self.start = self.start.min(other.start);
        self.length = end.saturating_sub(self.start);
        self.overflowed += other.overflowed;
        self.excesses.add(&other.excesses);
        if self.series.is_empty() {
            self.series = other.series;
            return;
        }
        let mut places: FxHashMap<Arc<Series>, usize> =
            self.series.iter().enumerate().map(|(place, (series, _))| (Arc::clone(series), place)).collect();
        for (series, value) in other.series {
            if let Some(&place) = places.get(&series) {
                self.series[place].1.merge(&value);
            } else {
                places.insert(Arc::clone(&series), self.series.len());
                self.series.push((series, value));
            }
        }
    }

    /// Adds one value of a series.
    pub fn add(&mut self, series: Arc<Series>, value: Value) {
        match self.series.iter_mut().find(|(existing, _)| *existing == series) {
            Some((_, existing)) => existing.merge(&value),
            None => self.series.push((series, value)),
        }
    }
}
