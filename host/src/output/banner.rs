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
    /// What stands around a journey that is not trusted; `None` for one that is.
    pub wall: Option<String>,
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
            wall: plan.policy.untrusted.then(|| "this process, without a wall".to_owned()),
            outputs,
            headline: format!(
                "(100.00%) {count} scenario{plural}, {} max VUs, {length} max duration (incl. graceful stop):",
                plan.max_vus(),
            ),
            scenarios: plan
                .scenarios
                .iter()
                .map(|scenario| format!("* {}: {}", scenario.name, describe(scenario)))
                .collect(),
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
        writeln!(f, "        output: {outputs}")?;
        if let Some(wall) = &self.wall {
            writeln!(f, "     untrusted: {wall}")?;
        }
        writeln!(f)?;
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
                format!(
                    "Up to {} looping VUs for {length} over {} stages",
                    scenario.load.max_vus(),
                    curve.stages().1.len()
                )
            }
        }
        Load::Arrivals { curve, pre_allocated, max } => {
            let range = if pre_allocated == max { max.to_string() } else { format!("{pre_allocated}-{max}") };
            facts.push(format!("maxVUs: {range}"));
            match curve.constant_value() {
                Some(rate) => format!("{rate:.2} iterations/s for {length}"),
                None => format!(
                    "Up to {:.2} iterations/s for {length} over {} stages",
                    curve.peak(),
                    curve.stages().1.len()
                ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Curve, Stage};

    fn line(load: Load) -> String {
        describe(&Scenario::new("s", load).unwrap())
    }

    #[test]
    fn the_banner_is_that_of_k6() {
        let curve = Curve::constant(10.0, Duration::from_mins(1)).unwrap();
        let load = Load::Vus { curve, graceful_ramp_down: Duration::from_secs(30) };
        let plan = Plan::new(vec![Scenario::new("default", load).unwrap()]);
        let mut banner = Banner::new(&plan, SystemTime::UNIX_EPOCH, Vec::new());
        banner.script = "journey.wasm".to_owned();
        let expected = "     execution: local
        script: journey.wasm
        output: -

     scenarios: (100.00%) 1 scenario, 10 max VUs, 1m30s max duration (incl. graceful stop):
              * default: 10 looping VUs for 1m0s (gracefulStop: 30s)
";
        assert_eq!(banner.to_string(), expected);
    }

    #[test]
    fn every_load_is_described_in_the_words_of_k6() {
        let stages = [10, 0].map(|target| Stage { duration: Duration::from_secs(30), target: f64::from(target) });
        let ramp = Curve::new(0.0, &stages).unwrap();
        let steady = Curve::constant(200.0, Duration::from_secs(30)).unwrap();
        let second = Duration::from_secs(1);
        for (load, expected) in [
            (
                Load::Vus { curve: ramp.clone(), graceful_ramp_down: second },
                "Up to 10 looping VUs for 1m0s over 2 stages (gracefulRampDown: 1s, gracefulStop: 30s)",
            ),
            (
                Load::Iterations { vus: 5, budget: Budget::PerVu(20), max_duration: second },
                "20 iterations for each of 5 VUs (maxDuration: 1s, gracefulStop: 30s)",
            ),
            (
                Load::Iterations { vus: 5, budget: Budget::Shared(20), max_duration: second },
                "20 iterations shared among 5 VUs (maxDuration: 1s, gracefulStop: 30s)",
            ),
            (
                Load::Arrivals { curve: steady, pre_allocated: 50, max: 100 },
                "200.00 iterations/s for 30s (maxVUs: 50-100, gracefulStop: 30s)",
            ),
            (
                Load::Arrivals { curve: ramp, pre_allocated: 50, max: 50 },
                "Up to 10.00 iterations/s for 1m0s over 2 stages (maxVUs: 50, gracefulStop: 30s)",
            ),
        ] {
            assert_eq!(line(load), expected);
        }
    }
}
