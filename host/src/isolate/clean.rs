//! What the load process says, made fit to be added up. Texts are made fit to be shown where they are shown.

use std::time::Duration;

use crate::aggregate::{Group, Value, Window};
use crate::metrics::Metric;
use crate::output::Second;
use crate::plan::Plan;
use crate::verdict::{Report, SummaryOptions, Warning};

/// No run lasts as long, and no run counts as far.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 10);
const MOST_COUNTED: u64 = 1 << 48;
/// Warnings that are shown, and the bytes of one.
const MOST_WARNINGS: usize = 100;
const LONGEST_TEXT: usize = 8 << 10;

/// A second. What the plan says of its scenarios is the plan's to say. Returns whether it can be.
pub(super) fn second(second: &mut Second, plan: &Plan) -> bool {
    for (state, scenario) in second.scenarios.iter_mut().zip(&plan.scenarios) {
        state.name = scenario.name.clone();
        state.length = scenario.load.length();
        state.start = state.start.min(LONGEST);
        for count in [&mut state.started, &mut state.completed, &mut state.failed, &mut state.dropped] {
            *count = (*count).min(MOST_COUNTED);
        }
    }
    second.at <= LONGEST && second.scenarios.len() == plan.scenarios.len() && window(&second.window)
}

/// Whether a window can be added to others.
fn window(window: &Window) -> bool {
    let spans = [window.start, window.length].iter().all(|span| *span <= LONGEST);
    spans && window.overflowed <= MOST_COUNTED && window.series.iter().all(|(_, value)| self::value(value))
}

fn value(value: &Value) -> bool {
    match value {
        // Its counts were checked when it was read.
        Value::Trend(_) => true,
        Value::Rate { passes, total } => passes <= total && *total <= MOST_COUNTED,
        Value::Counter(sum) => sum.is_finite(),
        Value::Gauge(gauge) => [gauge.last, gauge.min, gauge.max].iter().all(|value| value.is_finite()),
    }
}

/// What a report is measured by.
pub(super) struct Measure<'a> {
    pub plan: &'a Plan,
    pub known: &'a [Metric],
    /// Series that an honest process has at most; groups and checks are made of them.
    pub most_series: usize,
    pub summary: &'a SummaryOptions,
}

/// A report. What the plan and this process know better is theirs. Returns whether it can be.
pub(super) fn report(report: &mut Report, measure: &Measure<'_>) -> bool {
    let Measure { plan, known, most_series, summary } = *measure;
    report.summary = summary.clone();
    report.seed = plan.seed;
    report.output_errors.clear();
    report.warnings.truncate(MOST_WARNINGS);
    for Warning { message, hint } in report.warnings.iter_mut().chain(&mut report.config_errors) {
        std::iter::once(message).chain(hint).for_each(shorten);
    }
    let parts = group(&mut report.root_group);
    for (totals, scenario) in report.scenarios.iter_mut().zip(&plan.scenarios) {
        totals.name = scenario.name.clone();
    }
    let thresholds = report.thresholds.len() == plan.thresholds.len()
        && report.thresholds.iter().zip(&plan.thresholds).all(|(result, threshold)| result.threshold == *threshold);
    let is_known = |metric: &crate::verdict::MetricTotals| {
        let mut named = known.iter().filter(|known| *known.name == *metric.selector.metric);
        named.any(|known| known.kind == metric.kind && known.contains == metric.contains) && value(&metric.value)
    };
    // A part of a metric has a threshold, or is that of the expected answers.
    let whole = report.metrics.len() <= known.len() + plan.thresholds.len() + 1
        && report.config_errors.len() <= plan.thresholds.len()
        && parts <= most_series.saturating_mul(2);
    thresholds
        && whole
        && report.scenarios.len() == plan.scenarios.len()
        && report.duration <= LONGEST
        && report.started_at <= LONGEST * 100
        && report.failed_share.is_finite()
        && report.metrics.iter().all(is_known)
}

/// Bounds the counts, and returns how many groups and checks there are.
fn group(group: &mut Group) -> usize {
    for check in &mut group.checks {
        (check.passes, check.fails) = (check.passes.min(MOST_COUNTED), check.fails.min(MOST_COUNTED));
    }
    let inner: usize = group.groups.iter_mut().map(self::group).sum();
    1 + group.checks.len() + inner
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST_TEXT));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Registry;
    use crate::verdict::tests::hand_made;

    #[test]
    fn a_report_that_does_not_fit_its_plan_is_refused() {
        let registry = Registry::default();
        let mut plan = Plan::new(Vec::new());
        let mut honest = hand_made();
        plan.thresholds = honest.thresholds.iter().map(|result| result.threshold.clone()).collect();
        let possible = |told: &mut Report, plan: &Plan| {
            report(
                told,
                &Measure { plan, known: &registry.all(), most_series: 100, summary: &SummaryOptions::default() },
            )
        };
        assert!(!possible(&mut honest.clone(), &plan), "`errors` was not declared");
        registry.declare("errors", crate::metrics::Kind::Rate, crate::metrics::Contains::Default).unwrap();
        assert!(possible(&mut honest, &plan));
        let mut chatty = honest.clone();
        (0..300).for_each(|number| chatty.root_group.count(&number.to_string(), 1, 0));
        assert!(!possible(&mut chatty, &plan), "there are more checks than series");
        honest.root_group.at("::x").count("y", u64::MAX, 1);
        honest.duration = Duration::MAX;
        assert!(!possible(&mut honest, &plan));
        let check = &honest.root_group.groups.last().unwrap().checks[0];
        assert_eq!(check.passes, MOST_COUNTED);
        let mut milder = hand_made();
        milder.thresholds[0].threshold.expression.bound = 1e9;
        assert!(!possible(&mut milder, &plan), "the threshold is not the plan's");
    }
}
