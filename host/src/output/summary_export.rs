//! `--summary-export`: k6's legacy JSON, byte for byte in shape. In it, a threshold that is `true` has failed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::{Event, Output, OutputError, json};
use crate::aggregate::{Group, Value};
use crate::verdict::{Report, TrendStat, group_id, number, stats};

/// Writes the summary in k6's legacy JSON.
#[derive(Debug)]
pub struct SummaryExport {
    path: PathBuf,
    file: File,
    trend_stats: Vec<TrendStat>,
}

impl SummaryExport {
    /// Makes the file, so that one that cannot be written fails before the run.
    pub fn create(path: &Path, trend_stats: Vec<TrendStat>) -> Result<Self, OutputError> {
        Ok(Self { path: path.to_owned(), file: json::create(path)?, trend_stats })
    }
}

impl Output for SummaryExport {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let Event::Finished(report) = event else { return Ok(()) };
        let text = render(report, &self.trend_stats);
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|source| OutputError::Write { name: self.name(), source })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn render(report: &Report, trend_stats: &[TrendStat]) -> String {
    let mut metrics = Map::new();
    for metric in &report.metrics {
        let mut values: Map<String, Json> = stats(&metric.value, report.duration, trend_stats)
            .into_iter()
            .map(|(name, value)| (name, number(value)))
            .collect();
        let rate = matches!(metric.value, Value::Rate { .. }).then(|| values.shift_remove("rate")).flatten();
        let thresholds = report.thresholds_of(&metric.selector);
        if !thresholds.is_empty() {
            let failed =
                thresholds.iter().map(|result| (result.threshold.expression.source.clone(), json!(!result.passed)));
            values.insert("thresholds".to_owned(), failed.collect::<Map<_, _>>().into());
        }
        if let Some(rate) = rate {
            values.insert("value".to_owned(), rate);
        }
        metrics.insert(metric.selector.to_string(), values.into());
    }
    let export = json!({"root_group": group(&report.root_group), "metrics": metrics});
    let mut text = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    export
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, indent))
        .expect("a JSON value can be written to memory");
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn group(group: &Group) -> Json {
    let groups: Map<String, Json> = group.groups.iter().map(|inner| (inner.name.clone(), self::group(inner))).collect();
    let checks: Map<String, Json> = group
        .checks
        .iter()
        .map(|check| {
            let id = group_id(&check.path);
            let (name, path) = (&check.name, &check.path);
            let entry = json!({"name": name, "path": path, "id": id, "passes": check.passes, "fails": check.fails});
            (check.name.clone(), entry)
        })
        .collect();
    json!({"name": group.name, "path": group.path, "id": group_id(&group.path), "groups": groups, "checks": checks})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::SummaryOptions;
    use crate::verdict::tests::hand_made as report_for_tests;

    const GOLDEN: &str = r#"{
    "root_group": {
        "name": "",
        "path": "",
        "id": "d41d8cd98f00b204e9800998ecf8427e",
        "groups": {
            "login": {
                "name": "login",
                "path": "::login",
                "id": "a7d10b3a6c9a385ee254f0dbc7f9c8c9",
                "groups": {},
                "checks": {
                    "status is 200": {
                        "name": "status is 200",
                        "path": "::login::status is 200",
                        "id": "a659066fb7eb0f38feb711d11a175611",
                        "passes": 500,
                        "fails": 0
                    }
                }
            }
        },
        "checks": {}
    },
    "metrics": {
        "http_req_duration": {
            "avg": 324.8378,
            "min": 1.2,
            "med": 10,
            "max": 4500,
            "p(90)": 250.04,
            "p(95)": 2800.5,
            "p(99)": 4203.000000000002,
            "thresholds": {
                "p(95)<3000": false,
                "p(99)<100": true
            }
        },
        "http_req_failed": {
            "passes": 5,
            "fails": 995,
            "thresholds": {
                "rate<0.01": false
            },
            "value": 0.005
        },
        "http_reqs": {
            "count": 1000,
            "rate": 16.666666666666668
        },
        "vus": {
            "value": 10,
            "min": 0,
            "max": 10
        }
    }
}"#;

    #[test]
    fn the_export_is_k6s_legacy_form() {
        let mut report = report_for_tests();
        report.metrics.retain(|metric| {
            ["http_req_duration", "http_req_failed", "http_reqs", "vus"].contains(&metric.selector.to_string().as_str())
        });
        report.root_group = Group::default();
        report.root_group.at("::login").count("status is 200", 500, 0);
        let text = render(&report, &SummaryOptions::default().trend_stats);
        assert_eq!(text, GOLDEN.replace("a659066fb7eb0f38feb711d11a175611", &group_id("::login::status is 200")));
    }

    #[test]
    fn a_file_that_cannot_be_made_fails_before_the_run() {
        let error = SummaryExport::create(Path::new("/no/such/directory/s.json"), Vec::new()).unwrap_err();
        assert!(matches!(error, OutputError::Open { .. }));
    }
}
