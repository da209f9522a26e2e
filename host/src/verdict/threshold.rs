//! Thresholds: k6's grammar, and what it means.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::metrics::Tags;

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
}
