//! Whether thresholds can be judged at all, known before the run where possible.

use super::{Aggregation, Comparison, Threshold, ThresholdError, Warning};
use crate::metrics::{Contains, Kind, Metric, Registry, builtin};

/// What is known of thresholds before the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Those that can never be judged.
    pub errors: Vec<ThresholdError>,
    /// Those that are decided already.
    pub warnings: Vec<Warning>,
    /// Names of metrics that the journey would have to declare.
    pub undeclared: Vec<String>,
}

/// Checks thresholds against the metrics known so far.
///
/// A journey declares its metrics while it runs, so a name that nobody knows is not an error yet, unless it is so close
/// to a built-in one that it is surely a slip. [`check_declared`] is the last word, after the run.
#[must_use]
pub fn check_thresholds(thresholds: &[Threshold], registry: &Registry) -> Checked {
    let mut checked = Checked::default();
    for threshold in thresholds {
        let name = &threshold.selector.metric;
        if let Some(metric) = registry.find(name) {
            checked.errors.extend(wrong_aggregation(threshold, &metric));
            checked.warnings.extend(decided(threshold, &metric));
        } else if let Some(suggestion) = slip(threshold) {
            checked.errors.push(unknown(threshold, Some(suggestion)));
        } else if !checked.undeclared.contains(name) {
            checked.undeclared.push(name.clone());
        }
    }
    checked
}

/// Checks thresholds after the run, when every metric that will ever be declared is.
#[must_use]
pub fn check_declared(thresholds: &[Threshold], registry: &Registry) -> Vec<ThresholdError> {
    let check = |threshold: &Threshold| match registry.find(&threshold.selector.metric) {
        Some(metric) => wrong_aggregation(threshold, &metric),
        None => Some(unknown(threshold, nearest(threshold, registry))),
    };
    thresholds.iter().filter_map(check).collect()
}

fn unknown(threshold: &Threshold, suggestion: Option<String>) -> ThresholdError {
    let metric = threshold.selector.metric.clone();
    ThresholdError::UnknownMetric { threshold: threshold.to_string(), metric, suggestion }
}

fn wrong_aggregation(threshold: &Threshold, metric: &Metric) -> Option<ThresholdError> {
    let aggregation = threshold.expression.aggregation;
    if aggregation.is_for(metric.kind) {
        return None;
    }
    let (kind, available) = match metric.kind {
        Kind::Counter => ("counter", "`count` and `rate`"),
        Kind::Gauge => ("gauge", "`value`"),
        Kind::Rate => ("rate", "`rate`"),
        Kind::Trend => ("trend", "`avg`, `min`, `med`, `max` and `p(N)`"),
    };
    Some(ThresholdError::Aggregation {
        threshold: threshold.to_string(),
        metric: metric.name.to_string(),
        kind,
        aggregation: aggregation.to_string(),
        available,
    })
}

/// Returns what was meant by a name that is nearly a built-in metric's.
fn slip(threshold: &Threshold) -> Option<String> {
    let name = threshold.selector.metric.as_str();
    // Of a short name, two letters are half.
    let is_close = |known: &str| name.len() >= 5 && strsim::damerau_levenshtein(name, known) <= 2;
    let known = builtin::TABLE.iter().map(|row| row.0);
    let closest = known.filter(|known| is_close(known)).min_by_key(|known| strsim::damerau_levenshtein(name, known));
    closest.map(ToOwned::to_owned).or_else(|| rate_of(name))
}

/// Returns the threshold for a name like `http_reqs_per_sec`, which is a counter's `rate`.
fn rate_of(name: &str) -> Option<String> {
    let endings = ["_per_second", "_per_sec", "_per_s", "_rate", "_rps"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending))?;
    let mut counters = builtin::TABLE.iter().filter(|row| row.1 == Kind::Counter).map(|row| row.0);
    let counter = counters.find(|counter| *counter == stem || counter.strip_suffix('s') == Some(stem))?;
    Some(format!("{counter}: rate>100"))
}

fn nearest(threshold: &Threshold, registry: &Registry) -> Option<String> {
    let name = threshold.selector.metric.as_str();
    let rated = registry.all().into_iter().map(|metric| (strsim::jaro_winkler(name, &metric.name), metric.name));
    let best = rated.max_by(|left, right| left.0.total_cmp(&right.0)).filter(|best| best.0 > 0.8);
    slip(threshold).or_else(|| best.map(|(_, name)| name.to_string()))
}

/// Warns of a threshold that no run can pass, or none can fail, because of what values the metric can have.
fn decided(threshold: &Threshold, metric: &Metric) -> Option<Warning> {
    let expression = &threshold.expression;
    let (least, greatest) = match (metric.kind, metric.contains) {
        (Kind::Rate, _) => (0.0, 1.0),
        (_, Contains::Time | Contains::Data) => (0.0, f64::INFINITY),
        _ if (metric.id.0 as usize) < builtin::TABLE.len() => (0.0, f64::INFINITY),
        _ => return None,
    };
    let bound = expression.bound;
    let (always, never) = match expression.comparison {
        Comparison::Less => (greatest < bound, least >= bound),
        Comparison::LessOrEqual => (greatest <= bound, least > bound),
        Comparison::Greater => (least > bound, greatest <= bound),
        Comparison::GreaterOrEqual => (least >= bound, greatest < bound),
        Comparison::Equal => (false, bound < least || bound > greatest),
        Comparison::NotEqual => (bound < least || bound > greatest, false),
    };
    let fate = match (always, never) {
        (true, _) => "fail",
        (_, true) => "pass",
        _ => return None,
    };
    let (name, range) = (&metric.name, if greatest.is_finite() { "from 0 to 1" } else { "0 or more" });
    let percent = expression.aggregation == Aggregation::Rate && greatest.is_finite() && bound > 1.0 && bound <= 100.0;
    let hint = percent
        .then(|| format!("for {bound} % write `{}{}{}`", expression.aggregation, expression.comparison, bound / 100.0));
    Some(Warning { message: format!("threshold `{threshold}` can never {fate}: `{name}` is {range}"), hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, text: &str) -> Checked {
        check_thresholds(&[Threshold::parse(key, text).unwrap()], &Registry::default())
    }

    #[test]
    fn a_slip_in_a_built_in_name_is_an_error_that_names_the_nearest() {
        let checked = check("http_req_durations", "p(95)<500");
        assert_eq!(
            checked.errors[0].to_string(),
            "threshold `http_req_durations: p(95)<500`: there is no metric `http_req_durations`"
        );
        assert_eq!(checked.errors[0].hint().unwrap(), "did you mean `http_req_duration`?");
    }

    #[test]
    fn a_rate_in_the_name_becomes_a_rate_of_the_counter() {
        for name in ["http_reqs_per_sec", "http_req_rate", "iterations_per_second"] {
            let error = check(name, "value>100").errors.remove(0);
            assert!(error.hint().unwrap().contains("s: rate>100"), "{error}");
        }
    }

    #[test]
    fn a_name_of_the_journeys_own_is_left_until_after_the_run() {
        let thresholds = [Threshold::parse("orders", "count>1").unwrap()];
        let registry = Registry::default();
        assert_eq!(check_thresholds(&thresholds, &registry).undeclared, ["orders"]);
        assert_eq!(check_declared(&thresholds, &registry).len(), 1);
        registry.declare("order", Kind::Counter, Contains::Default).unwrap();
        assert_eq!(check_declared(&thresholds, &registry)[0].hint().unwrap(), "did you mean `order`?");
        registry.declare("orders", Kind::Counter, Contains::Default).unwrap();
        assert_eq!(check_declared(&thresholds, &registry), []);
    }

    #[test]
    fn an_aggregation_of_another_kind_is_an_error() {
        let error = check("http_req_duration", "rate<1").errors.remove(0);
        assert_eq!(
            error.to_string(),
            "threshold `http_req_duration: rate<1`: `rate` is not for a trend, which `http_req_duration` is"
        );
        assert_eq!(error.hint().unwrap(), "a trend has `avg`, `min`, `med`, `max` and `p(N)`");
    }

    #[test]
    fn a_threshold_that_is_decided_already_is_warned_about() {
        let warning = check("http_req_failed", "rate<5").warnings.remove(0);
        assert_eq!(
            warning.message,
            "threshold `http_req_failed: rate<5` can never fail: `http_req_failed` is from 0 to 1"
        );
        assert_eq!(warning.hint.unwrap(), "for 5 % write `rate<0.05`");
        assert!(check("checks", "rate>1").warnings[0].message.contains("can never pass"));
        assert!(check("http_req_duration", "p(95)<0").warnings[0].message.contains("can never pass"));
        assert_eq!(check("http_req_failed", "rate<0.05").warnings, []);
    }
}
