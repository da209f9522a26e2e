//! What the user should look at after a run.

use crate::collector::ScenarioState;
use crate::plan::{Load, Plan, Scenario, duration};
use crate::verdict::Warning;

/// What was lost on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lost {
    /// Look-ups of series beyond the limit.
    pub(super) series: u64,
    /// Samples that the outputs were too slow for.
    pub(super) samples: u64,
}

pub(super) fn of(plan: &Plan, states: &[ScenarioState], lost: Lost) -> Vec<Warning> {
    let dropped = plan.scenarios.iter().zip(states).filter_map(|(scenario, state)| dropped(scenario, state));
    let series = (lost.series > 0).then(|| Warning {
        message: format!(
            "more than {} series on one worker: {} look-ups of new ones went to series tagged `_other`, which lumps them together",
            plan.limits.series, lost.series,
        ),
        hint: Some("give requests with changing URLs one `name`".to_owned()),
    });
    let samples = (lost.samples > 0).then(|| Warning {
        message: format!("{} samples are missing from the outputs of samples: they were too slow", lost.samples),
        hint: Some("write to a faster disk, or lower the rate; the summary is not affected".to_owned()),
    });
    dropped.chain(series).chain(samples).collect()
}

fn dropped(scenario: &Scenario, state: &ScenarioState) -> Option<Warning> {
    let (name, dropped, planned) = (&scenario.name, state.dropped, state.planned);
    if dropped == 0 {
        return None;
    }
    let (message, hint) = match &scenario.load {
        Load::Arrivals { curve, max, .. } => (
            format!("{dropped} of {planned} iterations were dropped in `{name}`: all {max} VUs were busy"),
            format!("raise `max-vus`, or the target cannot keep up with {}/s", rate(curve.peak())),
        ),
        load => (
            format!(
                "{dropped} of {planned} iterations were never started in `{name}`: `maxDuration` ({}) was over",
                duration::format(load.length()),
            ),
            "raise `maxDuration`, or use more VUs".to_owned(),
        ),
    };
    Some(Warning { message, hint: Some(hint) })
}

fn rate(rate: f64) -> String {
    let text = format!("{rate:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
