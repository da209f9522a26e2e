//! Pass or fail: thresholds, the judgement of the generator itself, and the [`Report`].

mod threshold;

use std::sync::Arc;

pub use threshold::{Aggregation, Comparison, Expression, Selector, Threshold, ThresholdError};

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// Counts by scenario, in the order of the plan.
    pub scenarios: Vec<ScenarioTotals>,
    /// What the user should look at.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// The summary as `handle-summary` gets it.
    #[must_use]
    pub fn to_k6_summary_json(&self) -> String {
        "{}".to_owned()
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Completed,
    /// The user stopped it.
    Interrupted,
    /// A threshold with `abortOnFail` was crossed.
    ThresholdAborted,
    /// The journey asked for it.
    JourneyAborted {
        /// The journey's words.
        reason: String,
    },
    /// `setup` failed; nothing ran.
    SetupFailed {
        /// Why.
        message: String,
    },
    /// `setup` took too long; nothing ran.
    SetupTimedOut,
    /// `teardown` failed.
    TeardownFailed {
        /// Why.
        message: String,
    },
    /// `teardown` took too long.
    TeardownTimedOut,
    /// The journey could not be instantiated.
    JourneyFailed {
        /// Why.
        message: String,
    },
}

/// Counts of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScenarioTotals {
    /// Its name.
    pub name: Arc<str>,
    /// Iterations that were due; for closed models those that started.
    pub planned: u64,
    /// Iterations that started.
    pub started: u64,
    /// Iterations that ended by themselves, failed ones included.
    pub completed: u64,
    /// Iterations that failed, trapped or timed out.
    pub failed: u64,
    /// Iterations that were cut off.
    pub interrupted: u64,
    /// Iterations that were due and never started.
    pub dropped: u64,
}

/// Something the user should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What was seen, why it matters.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}
