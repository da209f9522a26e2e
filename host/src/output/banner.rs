//! What is about to run, as k6 says it.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::plan::{Budget, Load, Plan, Scenario, duration};

/// What is about to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// When the run's clock started.
    pub started_at: SystemTime,
    /// The journey, as the user called it; empty if nobody said.
    pub script: String,
    /// The outputs of raw samples, as the user calls them.
    pub outputs: Vec<String>,
    /// The number of scenarios, VUs, and the longest it can take.
    pub headline: String,
    /// A line for each scenario.
    pub scenarios: Vec<String>,
}

impl Banner {
    /// Describes a plan.
    #[must_use]
    pub fn new(plan: &Plan, started_at: SystemTime, outputs: Vec<String>) -> Self {
        let count = plan.scenarios.len();
        let plural = if count == 1 { "" } else { "s" };
        let length = duration::format(plan.max_length());
        Self {
            started_at,
            script: String::new(),
            outputs,
            headline: format!(
                "(100.00%) {count} scenario{plural}, {} max VUs, {length} max duration (incl. graceful stop):",
                plan.max_vus(),
            ),
            scenarios: plan.scenarios.iter().map(|scenario| format!("* {}: {}", scenario.name, describe(scenario))).collect(),
        }
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outputs = if self.outputs.is_empty() { "-".to_owned() } else { self.outputs.join(", ") };
        writeln!(f, "     execution: local")?;
        if !self.script.is_empty() {
            writeln!(f, "        script: {}", self.script)?;
        }
        writeln!(f, "        output: {outputs}\n")?;
        writeln!(f, "     scenarios: {}", self.headline)?;
        self.scenarios.iter().try_for_each(|line| writeln!(f, "              {line}"))
    }
}

/// Describes a scenario in k6's words.
fn describe(scenario: &Scenario) -> String {
    let length = duration::format(scenario.load.length());
    let mut facts = Vec::new();
    let what = match &scenario.load {
        Load::Iterations { vus, budget, .. } => {
            facts.push(format!("maxDuration: {length}"));
            match budget {
                Budget::Shared(iterations) => format!("{iterations} iterations shared among {vus} VUs"),
                Budget::PerVu(iterations) => format!("{iterations} iterations for each of {vus} VUs"),
            }
        }
        Load::Vus { curve, graceful_ramp_down } => {
            if let Some(vus) = curve.constant_value() {
                format!("{vus} looping VUs for {length}")
            } else {
                facts.push(format!("gracefulRampDown: {}", duration::format(*graceful_ramp_down)));
                format!("Up to {} looping VUs for {length} over {} stages", scenario.load.max_vus(), curve.stages().1.len())
            }
        }
        Load::Arrivals { curve, pre_allocated, max } => {
            let range = if pre_allocated == max { max.to_string() } else { format!("{pre_allocated}-{max}") };
            facts.push(format!("maxVUs: {range}"));
            match curve.constant_value() {
                Some(rate) => format!("{rate:.2} iterations/s for {length}"),
                None => format!("Up to {:.2} iterations/s for {length} over {} stages", curve.peak(), curve.stages().1.len()),
            }
        }
    };
    if scenario.graceful_stop > Duration::ZERO {
        facts.push(format!("gracefulStop: {}", duration::format(scenario.graceful_stop)));
    }
    if *scenario.exec != *"default" {
        facts.push(format!("exec: {}", scenario.exec));
    }
    if scenario.start > Duration::ZERO {
        facts.push(format!("startTime: {}", duration::format(scenario.start)));
    }
    if facts.is_empty() { what } else { format!("{what} ({})", facts.join(", ")) }
}
