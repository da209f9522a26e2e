//! Thresholds: k6's grammar, and what it means.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Totals, Value};
use crate::metrics::{Kind, Tags, builtin};

/// A condition on a metric that decides pass or fail, and may abort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// What it looks at.
    pub selector: Selector,
    /// What must hold.
    pub expression: Expression,
    /// Whether a run that crosses it ends at once.
    pub abort_on_fail: bool,
    /// How long after the start of the run it may first end it.
    pub delay_abort: Duration,
    /// Whether it passes when the metric saw no data. k6 passes; squall fails unless this is set.
    pub allow_no_data: bool,
}

/// A metric, or the part of it that carries some tags: `http_req_duration{status:200}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// The tags its series must carry.
    pub tags: Tags,
}

/// `aggregation op number`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expression {
    /// What is computed of the metric.
    pub aggregation: Aggregation,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what, in the metric's unit.
    pub bound: f64,
    /// As the user wrote it.
    pub source: String,
}

/// What is computed of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Counter: the sum.
    Count,
    /// Counter: the sum per second of the run. Rate: the share of values that are not 0.
    Rate,
    /// Gauge: the latest value.
    Value,
    /// Trend: the mean.
    Avg,
    /// Trend: the least value.
    Min,
    /// Trend: the greatest value.
    Max,
    /// Trend: the median.
    Med,
    /// Trend: a percentile, 0 to 100.
    Percentile(f64),
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==` and `===`
    Equal,
    /// `!=`
    NotEqual,
}

/// Why a threshold cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// The text does not follow the grammar.
    #[error("`{text}` is not a threshold: {reason}")]
    Syntax {
        /// The text.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// No metric has this name.
    #[error("threshold `{threshold}`: there is no metric `{metric}`")]
    UnknownMetric {
        /// The threshold, with its metric.
        threshold: String,
        /// The name as given.
        metric: String,
        /// What the user may have meant.
        suggestion: Option<String>,
    },
    /// The metric has no such aggregation.
    #[error("threshold `{threshold}`: `{aggregation}` is not for a {kind}, which `{metric}` is")]
    Aggregation {
        /// The threshold, with its metric.
        threshold: String,
        /// The metric.
        metric: String,
        /// What it is, in lower case.
        kind: &'static str,
        /// What was asked of it.
        aggregation: String,
        /// What it has.
        available: &'static str,
    },
}

impl ThresholdError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => Some("write `AGGREGATION OPERATOR NUMBER`, like `p(95)<500`, `rate<0.01` or `count>=1000`".to_owned()),
            Self::UnknownMetric { suggestion, .. } => suggestion.as_ref().map(|suggestion| format!("did you mean `{suggestion}`?")),
            Self::Aggregation { kind, available, .. } => Some(format!("a {kind} has {available}")),
        }
    }
}

impl Aggregation {
    /// Whether a metric of this kind has it.
    #[must_use]
    pub fn is_for(self, kind: Kind) -> bool {
        match kind {
            Kind::Counter => matches!(self, Self::Count | Self::Rate),
            Kind::Gauge => matches!(self, Self::Value),
            Kind::Rate => matches!(self, Self::Rate),
            Kind::Trend => !matches!(self, Self::Count | Self::Rate | Self::Value),
        }
    }

    /// Computes it; `None` when the metric has no such aggregation, or a rate or trend saw nothing.
    #[must_use]
    pub fn of(self, value: &Value, elapsed: Duration) -> Option<f64> {
        match (self, value) {
            (Self::Count, Value::Counter(sum)) => Some(*sum),
            (Self::Rate, Value::Counter(sum)) => Some(per_second(*sum, elapsed)),
            (Self::Value, Value::Gauge(gauge)) => Some(gauge.last),
            (Self::Rate, Value::Rate { passes, total }) if *total > 0 => Some(*passes as f64 / *total as f64),
            (_, Value::Trend(trend)) if trend.count() > 0 => match self {
                Self::Avg => Some(trend.mean()),
                Self::Min => Some(trend.min()),
                Self::Max => Some(trend.max()),
                Self::Med => Some(trend.percentile(50.0)),
                Self::Percentile(percent) => Some(trend.percentile(percent)),
                Self::Count | Self::Rate | Self::Value => None,
            },
            _ => None,
        }
    }
}

impl Comparison {
    /// Compares.
    #[must_use]
    // A user who writes `==` wants exactly that.
    #[allow(clippy::float_cmp)]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::LessOrEqual => value <= bound,
            Self::Greater => value > bound,
            Self::GreaterOrEqual => value >= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
        }
    }
}

/// What came of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdResult {
    /// The threshold.
    pub threshold: Threshold,
    /// What it looked at; `None` when the metric saw no data.
    pub value: Option<f64>,
    /// Whether it holds.
    pub passed: bool,
}

/// Judges thresholds on the run so far.
///
/// A threshold without data fails unless it allows that. `dropped_iterations` has data always: that nothing was recorded
/// is how it says that nothing was dropped.
#[must_use]
pub fn judge(thresholds: &[Threshold], totals: &Totals, elapsed: Duration) -> Vec<ThresholdResult> {
    let none_dropped = Value::Counter(0.0);
    let dropped = builtin::TABLE[builtin::DROPPED_ITERATIONS.0 as usize].0;
    let judge = |threshold: &Threshold| {
        let fallback = (threshold.selector.metric == dropped).then_some(&none_dropped);
        let seen = totals.get(&threshold.selector).or(fallback);
        let value = seen.and_then(|seen| threshold.expression.aggregation.of(seen, elapsed));
        let passed = value.map_or(threshold.allow_no_data, |value| {
            threshold.expression.comparison.holds(value, threshold.expression.bound)
        });
        ThresholdResult { threshold: threshold.clone(), value, passed }
    };
    thresholds.iter().map(judge).collect()
}

/// Returns a sum per second; 0 for no time.
pub(crate) fn per_second(sum: f64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { sum / elapsed.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aggregate::WindowRecorder;
    use crate::metrics::{MetricId, Record, Registry};

    const TEN: Duration = Duration::from_secs(10);

    type Given<'a> = (MetricId, &'a [(&'a str, &'a str)], f64);

    fn totals(thresholds: &[Threshold], samples: &[Given<'_>]) -> Totals {
        let registry = Arc::new(Registry::default());
        let recorder = WindowRecorder::new(Arc::clone(&registry), 100, None);
        for (metric, tags, value) in samples {
            recorder.add(recorder.series(*metric, &tags.iter().copied().collect()), *value);
        }
        let mut totals = Totals::new(registry, thresholds.iter().map(|threshold| threshold.selector.clone()).collect());
        totals.add(&recorder.take(Duration::ZERO, Duration::from_secs(1)));
        totals
    }

    fn parsed(given: &[(&str, &str)]) -> Vec<Threshold> {
        given.iter().map(|(key, text)| Threshold::parse(key, text).unwrap()).collect()
    }

    #[test]
    fn thresholds_are_judged_on_the_part_of_the_metric_they_name() {
        let thresholds = parsed(&[
            ("http_req_duration", "max<=40"),
            ("http_req_duration{status:200}", "avg == 15"),
            ("http_req_duration{status:200}", "p(50)>15"),
            ("http_reqs", "rate>=0.2"),
            ("http_reqs", "count!=2"),
        ]);
        let (ok, failed) = (&[("status", "200")][..], &[("status", "500")][..]);
        let totals = totals(&thresholds, &[
            (builtin::HTTP_REQ_DURATION, ok, 10.0),
            (builtin::HTTP_REQ_DURATION, ok, 20.0),
            (builtin::HTTP_REQ_DURATION, failed, 40.0),
            (builtin::HTTP_REQS, ok, 2.0),
        ]);
        let results = judge(&thresholds, &totals, TEN);
        let passed: Vec<bool> = results.iter().map(|result| result.passed).collect();
        assert_eq!(passed, [true, true, false, true, false]);
        assert_eq!(results[3].value, Some(0.2));
    }

    #[test]
    fn a_threshold_that_saw_no_data_fails_unless_it_may() {
        let mut thresholds = parsed(&[("checks", "rate>0.9"), ("checks", "rate>0.9"), ("dropped_iterations", "count<1")]);
        thresholds[1].allow_no_data = true;
        let results = judge(&thresholds, &totals(&thresholds, &[]), TEN);
        let seen: Vec<(Option<f64>, bool)> = results.iter().map(|result| (result.value, result.passed)).collect();
        assert_eq!(seen, [(None, false), (None, true), (Some(0.0), true)]);
    }
}
