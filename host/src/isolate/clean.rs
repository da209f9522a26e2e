//! What the load process says, made fit to be added up. Texts are made fit to be shown where they are shown.

use std::time::Duration;

use crate::aggregate::{Group, Value, Window};
use crate::metrics::Metric;
use crate::output::Second;
use crate::plan::Plan;
use crate::verdict::{Report, SummaryOptions};

/// No run lasts as long, and no run counts as far.
const LONGEST: Duration = Duration::from_hours(24 * 366 * 10);
const MOST_COUNTED: u64 = 1 << 48;

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

/// A report. What the plan and this process know better is theirs. Returns whether it can be.
pub(super) fn report(report: &mut Report, plan: &Plan, known: &[Metric], summary: &SummaryOptions) -> bool {
    report.summary = summary.clone();
    report.seed = plan.seed;
    report.output_errors.clear();
    group(&mut report.root_group);
    for (totals, scenario) in report.scenarios.iter_mut().zip(&plan.scenarios) {
        totals.name = scenario.name.clone();
    }
    let thresholds = report.thresholds.len() == plan.thresholds.len()
        && report.thresholds.iter().zip(&plan.thresholds).all(|(result, threshold)| result.threshold == *threshold);
    let is_known = |metric: &crate::verdict::MetricTotals| {
        let mut named = known.iter().filter(|known| *known.name == *metric.selector.metric);
        named.any(|known| known.kind == metric.kind && known.contains == metric.contains) && value(&metric.value)
    };
    thresholds
        && report.scenarios.len() == plan.scenarios.len()
        && report.duration <= LONGEST
        && report.started_at <= LONGEST * 100
        && report.failed_share.is_finite()
        && report.metrics.iter().all(is_known)
}

fn group(group: &mut Group) {
    for check in &mut group.checks {
        (check.passes, check.fails) = (check.passes.min(MOST_COUNTED), check.fails.min(MOST_COUNTED));
    }
    group.groups.iter_mut().for_each(self::group);
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
        let metrics = || registry.all();
        assert!(
            !report(&mut honest.clone(), &plan, &metrics(), &SummaryOptions::default()),
            "`errors` was not declared"
        );
        registry.declare("errors", crate::metrics::Kind::Rate, crate::metrics::Contains::Default).unwrap();
        assert!(report(&mut honest, &plan, &metrics(), &SummaryOptions::default()));
        honest.root_group.at("::x").count("y", u64::MAX, 1);
        honest.duration = Duration::MAX;
        assert!(!report(&mut honest, &plan, &metrics(), &SummaryOptions::default()));
        let check = &honest.root_group.groups.last().unwrap().checks[0];
        assert_eq!(check.passes, MOST_COUNTED);
        let mut milder = hand_made();
        milder.thresholds[0].threshold.expression.bound = 1e9;
        assert!(!report(&mut milder, &plan, &metrics(), &SummaryOptions::default()), "the threshold is not the plan's");
    }
}
