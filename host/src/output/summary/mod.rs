//! The end-of-test summary: k6's layout in text, with p(99) and a verdict on the generator added.

mod format;
mod table;

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{Event, Output, OutputError, plain};
use crate::aggregate::{Group, Value};
use crate::metrics::{Contains, Kind, builtin};
use crate::verdict::{GeneratorVerdict, MetricTotals, Report, SummaryOptions, ThresholdResult};
use format::{Paint, Style};
use table::{Cells, Row, Table};

/// k6's sections, and the built-in metrics shown in each. Custom metrics come first.
const SECTIONS: [(&str, IsIn); 7] = [
    ("HTTP", |name| name.starts_with("http_")),
    ("EXECUTION", |name| name.starts_with("vus") || name.starts_with("iteration") || name == "dropped_iterations"),
    ("NETWORK", |name| name.starts_with("data_") || name == "policy_denied"),
    // k6 has no such section; its own order goes on after it.
    ("STREAMS", |name| name.starts_with("stream_") || name.starts_with("llm_")),
    ("SOCKETS", |name| name.starts_with("socket_")),
    ("GRPC", |name| name.starts_with("grpc_")),
    ("WEBSOCKET", |name| name.starts_with("ws_")),
];
/// Whether a section has a metric of this name.
type IsIn = fn(&str) -> bool;

/// What k6 leaves out of the compact summary: checks have lines of their own, and phases are for those who ask.
const LEFT_OUT: [&str; 11] = [
    "checks",
    "group_duration",
    "http_req_blocked",
    "http_req_looking_up",
    "http_req_connecting",
    "http_req_tls_handshaking",
    "http_req_sending",
    "http_req_waiting",
    "http_req_receiving",
    "http_req_retries",
    "http_req_total_duration",
];

/// Prints the summary when the run has ended.
pub struct Summary {
    options: SummaryOptions,
    writer: Box<dyn Write + Send>,
}

impl Summary {
    /// Prints to standard output.
    #[must_use]
    pub fn stdout(options: SummaryOptions) -> Self {
        Self::new(options, Box::new(io::stdout()))
    }

    /// Prints to a writer.
    #[must_use]
    pub fn new(options: SummaryOptions, writer: Box<dyn Write + Send>) -> Self {
        Self { options, writer }
    }

    /// The summary as text.
    #[must_use]
    pub fn render(report: &Report, options: &SummaryOptions) -> String {
        let page = Page { report, options, style: Style { color: options.color } };
        [page.thresholds(), page.totals(), page.generator()].concat()
    }
}

impl Output for Summary {
    fn handle(&mut self, event: &Event<'_>) -> Result<(), OutputError> {
        let Event::Finished(report) = event else { return Ok(()) };
        let text = Self::render(report, &self.options);
        let written = write!(self.writer, "\n{text}\n").and_then(|()| self.writer.flush());
        written.map_err(|source| OutputError::Write { name: self.name(), source })
    }

    fn is_replaced_by_journey(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        "the summary".to_owned()
    }
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A summary while it is written.
struct Page<'a> {
    report: &'a Report,
    options: &'a SummaryOptions,
    style: Style,
}

impl Page<'_> {
    fn mark(&self, good: bool) -> String {
        if good { self.style.paint(Paint::Good, "✓") } else { self.style.paint(Paint::Bad, "✗") }
    }

    fn header(&self, title: &str) -> String {
        format!("  █ {} \n\n", self.style.paint(Paint::Bold, title))
    }

    fn thresholds(&self) -> String {
        if self.report.thresholds.is_empty() {
            return String::new();
        }
        let mut results: Vec<(String, &ThresholdResult)> =
            self.report.thresholds.iter().map(|result| (result.threshold.selector.to_string(), result)).collect();
        results.sort_by(|left, right| left.0.cmp(&right.0));
        let mut text = self.header("THRESHOLDS");
        for of_metric in results.chunk_by(|left, right| left.0 == right.0) {
            let _ = writeln!(text, "    {}", plain::line(&of_metric[0].0));
            for (_, result) in of_metric {
                text += &self.threshold(result);
            }
            text.push('\n');
        }
        text + "\n"
    }

    fn threshold(&self, result: &ThresholdResult) -> String {
        let (threshold, mark) = (&result.threshold, self.mark(result.passed));
        let expression = &threshold.expression;
        let metric = self.report.metrics.iter().find(|metric| metric.selector == threshold.selector);
        let seen = match (result.value, metric) {
            (Some(value), Some(metric)) => {
                let per_second =
                    metric.kind == Kind::Counter && expression.aggregation == crate::verdict::Aggregation::Rate;
                let value = self.humanize(value, metric.kind, metric.contains);
                format!("{}={value}{}", expression.aggregation, if per_second { "/s" } else { "" })
            }
            (Some(value), None) => format!("{}={}", expression.aggregation, format::number(value)),
            (None, _) => "no data".to_owned(),
        };
        format!("    {mark} '{}' {}\n", plain::line(&expression.source), self.style.paint(Paint::Value, &seen))
    }

    fn totals(&self) -> String {
        let mut text = self.header("TOTAL RESULTS");
        text += &self.check_totals();
        let shown = self.report.metrics.iter().filter(|metric| !LEFT_OUT.contains(&metric.selector.metric.as_str()));
        let (custom, built_in): (Vec<_>, Vec<_>) = shown.partition(|metric| metric.is_custom);
        let sections = SECTIONS.iter().map(|(title, is_in)| {
            let metrics = built_in.iter().copied().filter(|metric| is_in(&metric.selector.metric)).collect();
            (*title, metrics)
        });
        let sections: Vec<(&str, Vec<&MetricTotals>)> = [("CUSTOM", custom)].into_iter().chain(sections).collect();
        let rows = sections.iter().flat_map(|(_, metrics)| metrics.iter().map(|metric| self.row(metric)));
        let table = Table::new(rows.collect());
        let mut rows = table.lines(self.style).into_iter();
        for (title, metrics) in sections.iter().filter(|(_, metrics)| !metrics.is_empty()) {
            let _ = writeln!(text, "    {}", self.style.paint(Paint::Bold, title));
            for row in rows.by_ref().take(metrics.len()) {
                let _ = writeln!(text, "    {row}");
            }
            text.push('\n');
        }
        text
    }

    /// The three lines of totals, and the checks by group.
    fn check_totals(&self) -> String {
        let checks = builtin::TABLE[builtin::CHECKS.0 as usize].0;
        let is_checks = |metric: &&MetricTotals| metric.selector.metric == checks && metric.selector.tags.is_empty();
        let Some(metric) = self.report.metrics.iter().find(is_checks) else { return String::new() };
        let Value::Rate { passes, total } = metric.value else { return String::new() };
        let rate = |part: u64| Value::Rate { passes: part, total };
        let rows = [
            ("checks_total", Kind::Counter, Value::Counter(total as f64)),
            ("checks_succeeded", Kind::Rate, rate(passes)),
            ("checks_failed", Kind::Rate, rate(total - passes)),
        ];
        let rows = rows.map(|(name, kind, value)| self.row_of(name.to_owned(), 0, kind, Contains::Default, &value));
        let table = Table::new(rows.into());
        let mut text = String::new();
        for line in table.lines(self.style) {
            let _ = writeln!(text, "    {line}");
        }
        text.push('\n');
        self.checks(&self.report.root_group, 4, &mut text);
        text
    }

    fn checks(&self, group: &Group, indent: usize, text: &mut String) {
        for check in &group.checks {
            let total = check.passes + check.fails;
            let _ = writeln!(text, "{:indent$}{} {}", "", self.mark(check.fails == 0), plain::line(&check.name));
            if check.fails > 0 {
                let percent = 100 * check.passes / total;
                let counts = format!("↳  {percent}% — ✓ {} / ✗ {}", check.passes, check.fails);
                let _ = writeln!(text, "{:indent$}  {}", "", self.style.paint(Paint::Bad, &counts));
            }
        }
        if !group.checks.is_empty() {
            text.push('\n');
        }
        for inner in group.groups.iter().filter(|inner| has_checks(inner)) {
            let _ = writeln!(text, "{:indent$}█ {}\n", "", plain::line(&inner.name));
            self.checks(inner, indent + 2, text);
        }
    }

    fn generator(&self) -> String {
        match &self.report.generator {
            GeneratorVerdict::Valid => format!("    generator: {}\n", self.style.paint(Paint::Good, "valid")),
            GeneratorVerdict::Invalid { reasons } => {
                let mut text = format!("    generator: {}\n", self.style.paint(Paint::Bad, "INVALID"));
                for reason in reasons {
                    let _ = writeln!(text, "      {} {} (limit {})", self.mark(false), reason.value, reason.limit);
                    let _ = writeln!(text, "        hint: {}", reason.hint);
                }
                text
            }
        }
    }

    fn row(&self, metric: &MetricTotals) -> Row {
        let is_part = !metric.selector.tags.is_empty();
        let suffix = || plain::line(&metric.selector.suffix()).into_owned();
        let name = if is_part { format!("{{ {} }}", suffix()) } else { metric.selector.metric.clone() };
        self.row_of(name, if is_part { 2 } else { 0 }, metric.kind, metric.contains, &metric.value)
    }

    fn row_of(&self, name: String, indent: usize, kind: Kind, contains: Contains, value: &Value) -> Row {
        let stats = crate::verdict::stats(value, self.report.duration, &self.options.trend_stats);
        let shown = |number: f64| self.humanize(number, kind, contains);
        let numbers: Vec<f64> = stats.iter().map(|(_, number)| *number).collect();
        let cells = match (value, numbers.as_slice()) {
            (Value::Counter(_), [count, rate]) => Cells::Plain(shown(*count), vec![format!("{}/s", shown(*rate))]),
            (Value::Gauge(_), [last, min, max]) => {
                Cells::Plain(shown(*last), vec![format!("min={}", shown(*min)), format!("max={}", shown(*max))])
            }
            (Value::Rate { passes, total }, [rate, ..]) => {
                Cells::Plain(shown(*rate), vec![format!("{passes} out of {total}")])
            }
            _ => Cells::Trend(
                stats
                    .iter()
                    .zip(&self.options.trend_stats)
                    .map(|((name, number), stat)| {
                        let is_count = stat.aggregation == crate::verdict::Aggregation::Count;
                        (name.clone(), if is_count { format::number(*number) } else { shown(*number) })
                    })
                    .collect(),
            ),
        };
        Row { name, indent, cells }
    }

    fn humanize(&self, value: f64, kind: Kind, contains: Contains) -> String {
        match (kind, contains) {
            (Kind::Rate, _) => format::percent(value),
            (_, Contains::Data) => format::bytes(value),
            (_, Contains::Time) => format::time(value, self.options.time_unit),
            (_, Contains::Default) => format::number(value),
        }
    }
}

fn has_checks(group: &Group) -> bool {
    !group.checks.is_empty() || group.groups.iter().any(has_checks)
}

#[cfg(test)]
mod tests;
