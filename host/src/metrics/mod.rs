//! What is measured: metrics, tags, samples, and the [`Recorder`] that takes them in.
//!
//! Every built-in metric is on one screen, in [`builtin`]. Nothing here looks at a clock.

pub mod builtin;
mod excess;
mod recorder;
mod registry;
mod tags;

use std::sync::Arc;

pub use excess::{Excess, Excesses};
pub use recorder::{Record, Recorder, SeriesId};
pub use registry::{DeclareError, Registry};
pub use tags::{SystemTags, Tags};

use serde::{Deserialize, Serialize};

/// How values of a metric are folded together. The names are k6's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A sum of values.
    Counter,
    /// The latest value, with minimum and maximum.
    Gauge,
    /// The share of values that are not 0.
    Rate,
    /// Percentiles, mean, minimum and maximum of the values.
    Trend,
}

/// What the values of a metric are. The names are k6's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contains {
    /// A plain number.
    Default,
    /// Milliseconds.
    Time,
    /// Bytes.
    Data,
}

/// A metric's number in one run: built-in ones first, then the journey's own in the order they were declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricId(pub u32);

/// A named series kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its number in this run.
    pub id: MetricId,
    /// Its name, `[A-Za-z_][A-Za-z0-9_]{0,127}`.
    pub name: Arc<str>,
    /// How its values are folded.
    pub kind: Kind,
    /// What its values are.
    pub contains: Contains,
}

/// One measured value, for outputs that keep raw samples.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Which metric.
    pub metric: MetricId,
    /// Its tags.
    pub tags: Tags,
    /// Nanoseconds since the start of the run at which it was recorded (for a request: its end).
    pub at_nanos: u64,
    /// The value, in the metric's unit.
    pub value: f64,
}
