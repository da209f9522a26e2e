//! Pass or fail: thresholds, the judgement of the generator itself, and the [`Report`] that carries both.
//!
//! A threshold is read by `grammar`, checked against the metrics there are by `check`, and judged on
//! [`crate::aggregate::Totals`]. Nothing here looks at a clock or a file.

mod check;
mod generator;
mod grammar;
mod report;
mod summary;
mod threshold;

#[cfg(test)]
pub(crate) use report::tests;

pub use crate::aggregate::Selector;
pub use check::{Checked, check_declared, check_thresholds};
pub use generator::{Evidence, GeneratorVerdict, Reason, busy_share};
pub use report::{Ending, MetricTotals, Report, ScenarioTotals, Warning};
pub use summary::{StatError, SummaryOptions, TimeUnit, TrendStat, group_id, number, stats};
pub use threshold::{Aggregation, Comparison, Expression, Threshold, ThresholdError, ThresholdResult, judge};
