//! Raw samples as k6's NDJSON: one line for a metric when it is first seen, one line for each sample.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Value as Raw, json};

use super::{Event, Output, OutputError, plain};
use crate::metrics::{Contains, Kind, Metric, Registry, Sample, Tags};
use crate::plan::duration;
use crate::verdict::{Selector, Threshold, number};

/// Lines stay in memory no longer than this.
const FLUSH: Duration = Duration::from_secs(1);

/// Writes samples as k6's NDJSON.
pub struct Json {
    name: String,
    writer: BufWriter<Box<dyn Write + Send>>,
    registry: Arc<Registry>,
    thresholds: Vec<Threshold>,
    started_at: SystemTime,
    /// What is known of the metrics, by id; a metric is in here once its definition is written.
    defined: Vec<Option<Metric>>,
    flushed: Instant,
}

#[derive(Serialize)]
struct Definition<'a> {
    r#type: &'static str,
    data: MetricData<'a>,
    metric: &'a str,
}

#[derive(Serialize)]
struct MetricData<'a> {
    name: &'a str,
    r#type: Kind,
    contains: Contains,
    thresholds: Vec<Raw>,
    submetrics: Option<Vec<Submetric>>,
}

#[derive(Serialize)]
struct Submetric {
    name: String,
    suffix: String,
    tags: Tags,
}

#[derive(Serialize)]
struct Point<'a> {
    metric: &'a str,
    r#type: &'static str,
    data: PointData<'a>,
}

#[derive(Serialize)]
struct PointData<'a> {
    time: String,
    value: Raw,
    tags: &'a Tags,
}

impl Json {
    /// Opens a file, or standard output for `-` and nothing.
    pub fn open(target: &str, registry: Arc<Registry>, thresholds: &[Threshold]) -> Result<Self, OutputError> {
        let writer: Box<dyn Write + Send> = if target.is_empty() || target == "-" {
            Box::new(io::stdout())
        } else {
            let path = PathBuf::from(target);
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
                return Err(OutputError::Compressed { path });
            }
            Box::new(create(&path)?)
        };
        Ok(Self::to(writer, target, registry, thresholds))
    }

    fn to(writer: Box<dyn Write + Send>, target: &str, registry: Arc<Registry>, thresholds: &[Threshold]) -> Self {
        Self {
            name: format!("json ({})", if target.is_empty() { "-" } else { target }),
            writer: BufWriter::with_capacity(64 << 10, writer),
            registry,
            thresholds: thresholds.to_vec(),
            started_at: SystemTime::UNIX_EPOCH,
            defined: Vec::new(),
            flushed: Instant::now(),
        }
    }

    fn sample(&mut self, sample: &Sample) -> io::Result<()> {
        let id = sample.metric.0 as usize;
        if self.defined.len() <= id {
            self.defined.resize(id + 1, None);
        }
        if self.defined[id].is_none() {
            let Some(metric) = self.registry.get(sample.metric) else { return Ok(()) };
            self.define(&metric)?;
            self.defined[id] = Some(metric);
        }
        let Some(metric) = &self.defined[id] else { return Ok(()) };
        let data = PointData {
            time: rfc3339(self.started_at + Duration::from_nanos(sample.at_nanos)),
            value: number(sample.value),
            tags: &sample.tags,
        };
        line(&mut self.writer, &Point { metric: &metric.name, r#type: "Point", data })
    }

    fn define(&mut self, metric: &Metric) -> io::Result<()> {
        let thresholds = self.thresholds.iter().filter(|threshold| *threshold.selector.metric == *metric.name);
        let (whole, parts): (Vec<_>, Vec<_>) = thresholds.partition(|threshold| threshold.selector.tags.is_empty());
        let mut selectors: BTreeSet<Selector> = parts.iter().map(|threshold| threshold.selector.clone()).collect();
        if *metric.name == *"http_req_duration" {
            let tags = [("expected_response", "true")].into_iter().collect();
            selectors.insert(Selector { metric: metric.name.to_string(), tags });
        }
        let submetrics: Vec<Submetric> = selectors
            .into_iter()
            .map(|part| Submetric { name: part.to_string(), suffix: part.suffix(), tags: part.tags })
            .collect();
        let data = MetricData {
            name: &metric.name,
            r#type: metric.kind,
            contains: metric.contains,
            thresholds: whole.into_iter().map(threshold_json).collect(),
            submetrics: (!submetrics.is_empty()).then_some(submetrics),
        };
        line(&mut self.writer, &Definition { r#type: "Metric", data, metric: &metric.name })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.writer.flush()
    }
}

impl Output for Json {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let done = match event {
            Event::Started(banner) => {
                self.started_at = banner.started_at;
                Ok(())
            }
            Event::Samples(samples) => samples
                .iter()
                .try_for_each(|sample| self.sample(sample))
                .and_then(|()| if self.flushed.elapsed() < FLUSH { Ok(()) } else { self.flush() }),
            Event::Finished(_) => self.flush(),
            Event::Second(_) | Event::Notice(..) => Ok(()),
        };
        done.map_err(|source| OutputError::Write { name: self.name.clone(), source })
    }

    fn wants_samples(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Json").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Makes a file, or says why not.
pub(super) fn create(path: &Path) -> Result<File, OutputError> {
    File::create(path).map_err(|source| OutputError::Open { path: path.to_owned(), source })
}

fn line(writer: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    // It may go to a terminal.
    let mut serializer = serde_json::Serializer::with_formatter(&mut *writer, plain::Escaped);
    line.serialize(&mut serializer).map_err(io::Error::from)?;
    writer.write_all(b"\n")
}

fn threshold_json(threshold: &Threshold) -> Raw {
    let source = &threshold.expression.source;
    if !threshold.abort_on_fail {
        return json!(source);
    }
    let delay = (threshold.delay_abort > Duration::ZERO).then(|| duration::format(threshold.delay_abort));
    json!({"threshold": source, "abortOnFail": true, "delayAbortEval": delay})
}

fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second, nanos) = (second / 3600, second / 60 % 60, second % 60, since.subsec_nanos());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// Returns year, month and day of a day since 1970-01-01, by counting from 1 March of year 0, so that a leap day is the
/// last of its year (Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::builtin;
    use crate::output::Banner;
    use crate::plan::Plan;
    use crate::verdict::tests::hand_made as report_for_tests;

    fn sample(value: f64) -> Sample {
        let tags: Tags = [("status", "200"), ("name", "https://x/?a=<b>&c"), ("group", "")].into_iter().collect();
        Sample { metric: builtin::HTTP_REQ_DURATION, tags, at_nanos: 41_975_467_751, value }
    }

    fn banner() -> Banner {
        Banner::new(&Plan::new(Vec::new()), SystemTime::UNIX_EPOCH + Duration::from_mins(29_788_423), Vec::new())
    }

    #[test]
    fn lines_are_those_of_k6() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let thresholds =
            ["http_req_duration: p(95)<500", "http_req_duration{status:200}: avg<1", "http_req_duration: max<9"];
        let mut thresholds: Vec<Threshold> = thresholds.iter().map(|text| text.parse().unwrap()).collect();
        thresholds[2].abort_on_fail = true;
        thresholds[2].delay_abort = Duration::from_secs(10);
        let spec = format!("json={}", file.path().display());
        let mut output = super::super::open(&spec, &Arc::default(), &thresholds).unwrap();
        assert!(output.wants_samples());
        output.handle(&Event::Started(&banner())).unwrap();
        output.handle(&Event::Samples(&[sample(12.34), sample(10.0)])).unwrap();
        output.handle(&Event::Finished(&report_for_tests())).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[0],
            concat!(
                r#"{"type":"Metric","data":{"name":"http_req_duration","type":"trend","contains":"time","#,
                r#""thresholds":["p(95)<500",{"threshold":"max<9","abortOnFail":true,"delayAbortEval":"10s"}],"#,
                r#""submetrics":[{"name":"http_req_duration{expected_response:true}","suffix":"expected_response:true","#,
                r#""tags":{"expected_response":"true"}},{"name":"http_req_duration{status:200}","suffix":"status:200","#,
                r#""tags":{"status":"200"}}]},"metric":"http_req_duration"}"#,
            )
        );
        assert_eq!(
            lines[1],
            concat!(
                r#"{"metric":"http_req_duration","type":"Point","data":{"time":"2026-08-21T09:43:41.975467751Z","#,
                r#""value":12.34,"tags":{"group":"","name":"https://x/?a=<b>&c","status":"200"}}}"#,
            )
        );
        assert!(lines[2].contains(r#""value":10,"#), "{}", lines[2]);
    }

    #[test]
    fn days_become_dates_across_leap_years() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_819, (2027, 1, 1)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_with_a_hint() {
        let mut output = super::super::open("json=/dev/full", &Arc::default(), &[]).unwrap();
        output.handle(&Event::Samples(&[sample(1.0)])).unwrap();
        let error = output.handle(&Event::Finished(&report_for_tests())).unwrap_err();
        assert!(
            error.full().starts_with("`json (/dev/full)` could not be written to the end: No space left"),
            "{}",
            error.full()
        );
        assert!(error.hint().unwrap().contains("free some space"));
    }
}
