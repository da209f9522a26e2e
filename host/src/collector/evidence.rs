//! What the collector sees of the generator itself.

use crate::aggregate::{Totals, Value};
use crate::collector::ScenarioState;
use crate::metrics::builtin;
use crate::plan::{Load, Plan};
use crate::platform;
use crate::verdict::Evidence;

/// Watches how busy the machine is.
#[derive(Debug, Default)]
pub(super) struct Machine {
    last: Option<(u64, u64)>,
}

impl Machine {
    /// The share of all CPUs that was busy since the last call; `None` where the system does not say.
    pub(super) fn busy(&mut self) -> Option<f64> {
        let now = platform::machine_cpu()?;
        let before = self.last.replace(now)?;
        let (busy, total) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
        (total > 0).then(|| busy as f64 / total as f64)
    }
}

/// Adds what is known at the end of the run. Only open models promise when an iteration starts.
pub(super) fn complete(mut evidence: Evidence, plan: &Plan, states: &[ScenarioState], totals: &Totals) -> Evidence {
    for (scenario, state) in plan.scenarios.iter().zip(states) {
        if matches!(scenario.load, Load::Arrivals { .. }) {
            evidence.planned += state.planned;
            evidence.dropped += state.dropped;
        }
    }
    if let Some(Value::Trend(delay)) = totals.metric(builtin::ITERATION_DELAY) {
        evidence.delay_p99 = Some(delay.percentile(99.0));
    }
    evidence
}
