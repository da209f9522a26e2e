//! Pass or fail: thresholds, the judgement of the generator itself, and the [`Report`].

mod threshold;

pub use threshold::{Aggregation, Comparison, Expression, Selector, Threshold, ThresholdError};
