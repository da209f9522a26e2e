//! What a summary says of a metric, whatever its form: which numbers, under which names.

use std::fmt::Write as _;
use std::time::Duration;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::threshold::per_second;
use super::{Aggregation, Report, Selector};
use crate::aggregate::{Group, Value};

/// How summaries look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryOptions {
    /// What is shown of a trend.
    pub trend_stats: Vec<TrendStat>,
    /// The unit of times.
    pub time_unit: TimeUnit,
    /// Whether text is coloured.
    pub color: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

/// One number of a trend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrendStat {
    /// Its name, as the user wrote it.
    pub name: String,
    /// What it is.
    pub aggregation: Aggregation,
}

/// Why something is not a number of a trend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a trend statistic, which are `avg`, `min`, `med`, `max`, `count` and `p(N)` with N from 0 to 100"
)]
pub struct StatError {
    /// The text as given.
    pub text: String,
}

/// The unit of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// The one that suits the number.
    #[default]
    Auto,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

impl TimeUnit {
    /// Reads `s`, `ms` or `us`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::Auto),
            "s" => Some(Self::Seconds),
            "ms" => Some(Self::Milliseconds),
            "us" => Some(Self::Microseconds),
            _ => None,
        }
    }

    /// The unit as the user writes it; empty for none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
        }
    }
}

impl TrendStat {
    /// Reads `avg`, `min`, `med`, `max`, `count` or `p(N)`.
    pub fn parse(text: &str) -> Result<Self, StatError> {
        let text = text.trim();
        match Aggregation::parse(text) {
            Ok(aggregation) if !matches!(aggregation, Aggregation::Rate | Aggregation::Value) => {
                Ok(Self { name: text.to_owned(), aggregation })
            }
            _ => Err(StatError { text: text.to_owned() }),
        }
    }
}

/// k6's statistics, and p(99).
impl Default for SummaryOptions {
    fn default() -> Self {
        use Aggregation::{Avg, Max, Med, Min, Percentile};
        let shown = [Avg, Min, Med, Max, Percentile(90.0), Percentile(95.0), Percentile(99.0)];
        let trend_stats = shown.map(|aggregation| TrendStat { name: aggregation.to_string(), aggregation }).into();
        Self {
            trend_stats,
            time_unit: TimeUnit::Auto,
            color: false,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
        }
    }
}

/// The numbers of a value with k6's names, in k6's order.
#[must_use]
pub fn stats(value: &Value, elapsed: Duration, trend_stats: &[TrendStat]) -> Vec<(String, f64)> {
    let named = |pairs: &[(&str, f64)]| pairs.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    match value {
        Value::Counter(sum) => named(&[("count", *sum), ("rate", per_second(*sum, elapsed))]),
        Value::Gauge(gauge) => named(&[("value", gauge.last), ("min", gauge.min), ("max", gauge.max)]),
        Value::Rate { passes, total } => {
            let fails = total - passes;
            let rate = if *total == 0 { 0.0 } else { *passes as f64 / *total as f64 };
            named(&[("rate", rate), ("passes", *passes as f64), ("fails", fails as f64)])
        }
        Value::Trend(trend) => {
            let number = |stat: &TrendStat| match stat.aggregation {
                Aggregation::Count => trend.count() as f64,
                aggregation => aggregation.of(value, elapsed).unwrap_or_default(),
            };
            trend_stats.iter().map(|stat| (stat.name.clone(), number(stat))).collect()
        }
    }
}

/// A number as JavaScript prints it: without a fraction where it has none.
#[must_use]
pub fn number(value: f64) -> Json {
    // Up to here every whole number has its own float.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < WHOLE { json!(value as i64) } else { json!(value) }
}

/// The id of a group or check: the MD5 of its path, as k6 makes it.
#[must_use]
pub fn group_id(path: &str) -> String {
    Md5::digest(path).iter().fold(String::with_capacity(32), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    })
}

impl Report {
    /// The summary as k6 hands it to `handleSummary`, with squall's own under `squall`.
    #[must_use]
    pub fn to_k6_summary_json(&self) -> String {
        let options = &self.summary;
        let mut metrics = serde_json::Map::new();
        for metric in &self.metrics {
            let values: serde_json::Map<String, Json> = stats(&metric.value, self.duration, &options.trend_stats)
                .into_iter()
                .map(|(name, value)| (name, number(value)))
                .collect();
            let mut entry = json!({"type": metric.kind, "contains": metric.contains, "values": values});
            let thresholds = self.thresholds_of(&metric.selector);
            if !thresholds.is_empty() {
                let ok = |passed: bool| json!({"ok": passed});
                entry["thresholds"] = thresholds
                    .iter()
                    .map(|result| (result.threshold.expression.source.clone(), ok(result.passed)))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            metrics.insert(metric.selector.to_string(), entry);
        }
        let stat_names: Vec<&str> = options.trend_stats.iter().map(|stat| stat.name.as_str()).collect();
        let summary = json!({
            "root_group": group(&self.root_group),
            "options": {
                "summaryTrendStats": stat_names,
                "summaryTimeUnit": options.time_unit.as_str(),
                "noColor": !options.color,
            },
            "state": {
                "isStdOutTTY": options.stdout_is_terminal,
                "isStdErrTTY": options.stderr_is_terminal,
                "testRunDurationMs": number(self.duration.as_secs_f64() * 1000.0),
            },
            "metrics": metrics,
            "squall": {
                "ending": self.ending,
                "seed": self.seed,
                "generator": self.generator,
                "scenarios": self.scenarios,
                "max_vus": self.max_vus,
                "thresholds": self.thresholds.iter().map(|result| json!({
                    "metric": result.threshold.selector.to_string(),
                    "threshold": result.threshold.expression.source,
                    "value": result.value.map(number),
                    "ok": result.passed,
                })).collect::<Vec<_>>(),
                "warnings": self.warnings,
            },
        });
        summary.to_string()
    }

    /// The results of the thresholds on exactly this part of a metric.
    #[must_use]
    pub fn thresholds_of(&self, selector: &Selector) -> Vec<&super::ThresholdResult> {
        self.thresholds.iter().filter(|result| result.threshold.selector == *selector).collect()
    }
}

fn group(group: &Group) -> Json {
    let checks: Vec<Json> = group
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "path": check.path,
                "id": group_id(&check.path),
                "passes": check.passes,
                "fails": check.fails,
            })
        })
        .collect();
    let groups: Vec<Json> = group.groups.iter().map(self::group).collect();
    json!({"name": group.name, "path": group.path, "id": group_id(&group.path), "groups": groups, "checks": checks})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::report::tests::hand_made;

    #[test]
    fn the_journey_gets_its_summary_in_the_form_of_k6() {
        let summary: Json = serde_json::from_str(&hand_made().to_k6_summary_json()).unwrap();
        let duration = &summary["metrics"]["http_req_duration"];
        assert_eq!((&duration["type"], &duration["contains"]), (&json!("trend"), &json!("time")));
        assert_eq!(duration["values"]["max"], json!(4500));
        assert_eq!(duration["thresholds"], json!({"p(95)<3000": {"ok": true}, "p(99)<100": {"ok": false}}));
        assert_eq!(summary["metrics"]["http_req_failed"]["values"], json!({"rate": 0.005, "passes": 5, "fails": 995}));
        assert_eq!(summary["root_group"]["id"], "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(summary["root_group"]["checks"][0]["passes"], 500);
        assert_eq!(summary["state"]["testRunDurationMs"], 60_000);
        assert_eq!(summary["options"]["summaryTrendStats"][6], "p(99)");
        assert_eq!(summary["squall"]["generator"]["state"], "valid");
    }

    #[test]
    fn a_trend_statistic_is_one_of_k6s() {
        assert_eq!(TrendStat::parse("p(99.99)").unwrap().name, "p(99.99)");
        assert_eq!(TrendStat::parse("count").unwrap().aggregation, Aggregation::Count);
        assert!(TrendStat::parse("p(200)").is_err());
        assert!(TrendStat::parse("rate").is_err());
    }
}
