//! What the user should look at after a run.

use crate::collector::ScenarioState;
use crate::metrics::{Excess, Excesses};
use crate::plan::{Limits, Load, Plan, Scenario, duration};
use crate::verdict::Warning;

/// What was lost on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lost {
    /// Look-ups of series beyond the limit.
    pub(super) series: u64,
    /// What else the journey had too much of.
    pub(super) excesses: Excesses,
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
    let excesses = Excess::ALL.into_iter().filter_map(|what| match lost.excesses.of(what) {
        0 => None,
        count => Some(excess(what, count, &plan.limits)),
    });
    dropped.chain(series).chain(excesses).chain(samples).collect()
}

/// One warning for a kind, however often it happened.
fn excess(what: Excess, count: u64, limits: &Limits) -> Warning {
    let Limits { names, tag_values, name_bytes, .. } = limits;
    let (message, hint) = match what {
        Excess::Checks => (
            format!(
                "more than {names} names of checks on one worker: {count} look-ups of further ones went to `_other`"
            ),
            "take what changes out of the name, or raise `limits.names`",
        ),
        Excess::Groups => (
            format!(
                "more than {names} groups on one worker, or too long a path: {count} further ones went to `_other`"
            ),
            "take what changes out of the name, or raise `limits.names`",
        ),
        Excess::DeepGroups => (
            format!("{count} groups were not opened: too many were open inside one another"),
            "end each group that you begin",
        ),
        Excess::TagValues => (
            format!(
                "more than {tag_values} values of a tag on one worker: {count} look-ups of further ones went to `_other`"
            ),
            "give requests with changing URLs one `name`, or raise `limits.tagValues`",
        ),
        Excess::Tags => (
            format!(
                "{count} tags went to `_other` or were left out: there were too many different ones, or too many on a sample"
            ),
            "use fewer names of tags",
        ),
        Excess::LongNames => (
            format!("{count} names and values of tags had more than {name_bytes} bytes, and the rest was cut off"),
            "use shorter ones, give requests a `name`, or raise `limits.nameBytes`",
        ),
        Excess::Values => (
            format!("{count} values were dropped: metrics take numbers that are finite and less than 2^63"),
            "look for a division by 0, or a field that is no number",
        ),
        Excess::Ids => (
            format!("{count} results and values were dropped: no check or metric has their id"),
            "use the ids that `declare` returned in the same run",
        ),
        Excess::Jars => (
            format!("{count} cookie jars were not made: an iteration had too many, and the VU's own was used instead"),
            "make fewer jars in an iteration",
        ),
    };
    Warning { message, hint: Some(hint.to_owned()) }
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
