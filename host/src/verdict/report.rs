//! The judgement of a run, and everything a summary needs.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{GeneratorVerdict, Selector, SummaryOptions, ThresholdResult};
use crate::aggregate::{Gauge, Group, Totals, Value};
use crate::metrics::{Contains, Kind, Registry, Tags, builtin};

/// What came of a run. Readable by machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// When its clock started, since 1970-01-01 00:00 UTC.
    pub started_at: Duration,
    /// From there to the end of the load. Rates are over this.
    pub duration: Duration,
    /// The seed of its random choices.
    pub seed: u64,
    /// Metrics that saw data or have a threshold, sorted by name; parts of a metric follow it.
    pub metrics: Vec<MetricTotals>,
    /// What came of the thresholds, in the order of the plan.
    pub thresholds: Vec<ThresholdResult>,
    /// Whether the load was what it was meant to be.
    pub generator: GeneratorVerdict,
    /// Groups and checks.
    pub root_group: Group,
    /// Counts by scenario, in the order of the plan.
    pub scenarios: Vec<ScenarioTotals>,
    /// The most VUs there were.
    pub max_vus: u32,
    /// What the user should look at.
    pub warnings: Vec<Warning>,
    /// Thresholds that could not be judged because of what they ask. The run exits with 104.
    pub config_errors: Vec<Warning>,
    /// Outputs that could not be written to the end. The run exits with 115.
    pub output_errors: Vec<String>,
    /// Why the journey marked the run as failed, if it did.
    pub journey_failed: Option<String>,
    /// The share of iterations that failed, trapped or timed out.
    pub failed_share: f64,
    /// How summaries of this report look.
    pub summary: SummaryOptions,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
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
    /// Its iterations used up the computing time that the run had.
    CpuUsedUp {
        /// How much that was.
        limit: Duration,
    },
    /// As many iterations trapped or timed out as the run may have.
    TooManyTraps {
        /// How many that are.
        limit: u64,
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

impl Ending {
    /// The same with its words, which may be the journey's, changed.
    #[must_use]
    pub fn map_words(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::JourneyAborted { reason } => Self::JourneyAborted { reason: change(reason) },
            Self::SetupFailed { message } => Self::SetupFailed { message: change(message) },
            Self::TeardownFailed { message } => Self::TeardownFailed { message: change(message) },
            Self::JourneyFailed { message } => Self::JourneyFailed { message: change(message) },
            silent => silent,
        }
    }
}

/// A metric, or a part of it, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricTotals {
    /// Which.
    pub selector: Selector,
    /// How its values are folded.
    pub kind: Kind,
    /// What its values are.
    pub contains: Contains,
    /// Whether it is not one of the built-in ones.
    pub is_custom: bool,
    /// Its value; zero when it saw no data.
    pub value: Value,
}

/// Counts of a scenario.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Something the user should look at: what was seen, and what to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What was seen, why it matters.
    pub message: String,
    /// What to try.
    pub hint: Option<String>,
}

impl Report {
    /// Whether every threshold holds.
    #[must_use]
    pub fn thresholds_hold(&self) -> bool {
        self.thresholds.iter().all(|result| result.passed)
    }

    /// The metrics with a threshold that does not hold, each once, as k6 lists them.
    #[must_use]
    pub fn crossed(&self) -> Vec<String> {
        let crossed = self.thresholds.iter().filter(|result| !result.passed);
        let mut names: Vec<String> = crossed.map(|result| result.threshold.selector.to_string()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl MetricTotals {
    /// Lists what a summary shows: every metric that saw data, the parts of those that are kept apart, and whatever
    /// else has a threshold.
    #[must_use]
    pub fn of(totals: &Totals, registry: &Registry, thresholds: &[ThresholdResult]) -> Vec<Self> {
        let mut all = Vec::new();
        for metric in registry.all() {
            let is_judged = |part: &Selector| thresholds.iter().any(|result| result.threshold.selector == *part);
            let whole = totals.metric(metric.id);
            let is_custom = metric.id.0 as usize >= builtin::TABLE.len();
            let mut push = |selector: Selector, value: Option<&Value>| {
                let nothing = Value::Gauge(Gauge::of(0.0, 0));
                let empty = || Value::empty(metric.kind, metric.contains).unwrap_or(nothing);
                let value = value.cloned().unwrap_or_else(empty);
                all.push(Self { selector, kind: metric.kind, contains: metric.contains, is_custom, value });
            };
            let selector = Selector { metric: metric.name.to_string(), tags: Tags::default() };
            if whole.is_some() || is_judged(&selector) {
                push(selector, whole);
            }
            for (part, value) in totals.parts().filter(|(part, _)| *part.metric == *metric.name) {
                if whole.is_some() || is_judged(part) {
                    push(part.clone(), value);
                }
            }
        }
        all.sort_by_cached_key(|metric| (metric.selector.metric.clone(), metric.selector.suffix()));
        all
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::aggregate::WindowRecorder;
    use crate::metrics::{MetricId, Record};
    use crate::verdict::{Threshold, judge};

    const MINUTE: Duration = Duration::from_mins(1);

    /// A report of a run that never was, with round numbers.
    pub(crate) fn hand_made() -> Report {
        let registry = Arc::new(Registry::default());
        let errors = registry.declare("errors", Kind::Rate, Contains::Default).unwrap();
        let thresholds: Vec<Threshold> =
            [("http_req_duration", "p(95)<3000"), ("http_req_duration", "p(99)<100"), ("http_req_failed", "rate<0.01")]
                .map(|(key, text)| Threshold::parse(key, text).unwrap())
                .into();
        let recorder = WindowRecorder::new(Arc::clone(&registry), 100, None);
        let record = |metric: MetricId, tags: &[(&str, &str)], value: f64, times: u32| {
            let id = recorder.series(metric, &tags.iter().copied().collect());
            (0..times).for_each(|_| recorder.add(id, value));
        };
        let expected = [("expected_response", "true")];
        for (value, times) in [(1.2, 1), (10.0, 88), (250.04, 2), (2800.5, 5), (4200.0, 3), (4500.0, 1)] {
            record(builtin::HTTP_REQ_DURATION, &expected, value, times);
            record(builtin::ITERATION_DURATION, &[], value, times);
        }
        record(errors, &[], 1.0, 5);
        record(errors, &[], 0.0, 995);
        record(builtin::HTTP_REQ_FAILED, &[], 1.0, 5);
        record(builtin::HTTP_REQ_FAILED, &[], 0.0, 995);
        record(builtin::HTTP_REQS, &[], 1.0, 1000);
        record(builtin::HTTP_REQ_WAITING, &[], 1.0, 1000);
        record(builtin::DROPPED_ITERATIONS, &[], 3.0, 1);
        record(builtin::ITERATIONS, &[], 1.0, 500);
        record(builtin::VUS, &[], 0.0, 1);
        record(builtin::VUS, &[], 10.0, 1);
        record(builtin::VUS_MAX, &[], 10.0, 1);
        record(builtin::DATA_RECEIVED, &[], 1_249_000.0, 1);
        record(builtin::DATA_SENT, &[], 98_700.0, 1);
        let (status, fast) =
            ([("check", "status is 200"), ("group", "")], [("check", "response time < 500ms"), ("group", "")]);
        record(builtin::CHECKS, &status, 1.0, 500);
        record(builtin::CHECKS, &fast, 1.0, 495);
        record(builtin::CHECKS, &fast, 0.0, 5);
        let mut totals = Totals::new(Arc::clone(&registry), Vec::new());
        totals.add(&recorder.take(Duration::ZERO, Duration::from_secs(1)));
        let thresholds = judge(&thresholds, &totals, MINUTE);
        Report {
            ending: Ending::Completed,
            started_at: Duration::ZERO,
            duration: MINUTE,
            seed: 42,
            metrics: MetricTotals::of(&totals, &registry, &thresholds),
            thresholds,
            generator: GeneratorVerdict::Valid,
            root_group: totals.root_group().clone(),
            scenarios: Vec::new(),
            max_vus: 10,
            warnings: Vec::new(),
            config_errors: Vec::new(),
            output_errors: Vec::new(),
            journey_failed: None,
            failed_share: 0.0,
            summary: SummaryOptions::default(),
        }
    }

    #[test]
    fn a_report_survives_json() {
        let report = hand_made();
        let text = serde_json::to_string(&report).unwrap();
        let back: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(back.metrics, report.metrics);
        assert_eq!(back, report);
    }

    #[test]
    fn crossed_metrics_are_listed_once() {
        assert!(!hand_made().thresholds_hold());
        assert_eq!(hand_made().crossed(), ["http_req_duration"]);
    }

    #[test]
    fn metrics_without_data_are_left_out_and_parts_follow_their_metric() {
        let names: Vec<String> = hand_made().metrics.iter().map(|metric| metric.selector.to_string()).collect();
        assert!(!names.contains(&"iteration_delay".to_owned()));
        let place = names.iter().position(|name| name == "http_req_duration").unwrap();
        assert_eq!(names[place + 1], "http_req_duration{expected_response:true}");
    }
}
