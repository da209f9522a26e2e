//! Figures, budgets, and how they are printed and written.

use serde_json::{Value, json};

/// The same figure from several rounds.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// The middle value, or the mean of the two middle ones.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Round by round, this over another.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    fn cell(&self) -> String {
        match self.0.as_slice() {
            [one] => number(*one),
            _ => format!("{} ({}–{})", number(self.median()), number(self.min()), number(self.max())),
        }
    }

    fn json(&self) -> Value {
        json!({"median": self.median(), "min": self.min(), "max": self.max(), "rounds": self.0.len()})
    }
}

/// Something measured of one subject, such as `user µs/req` of `squall`.
struct Figure {
    row: &'static str,
    subject: String,
    measure: &'static str,
    samples: Samples,
}

/// A limit and what was measured against it.
struct Budget {
    row: &'static str,
    what: String,
    limit: f64,
    samples: Samples,
}

impl Budget {
    fn met(&self) -> bool {
        self.samples.median() <= self.limit
    }
}

/// Everything the bench found.
#[derive(Default)]
pub struct Results {
    figures: Vec<Figure>,
    budgets: Vec<Budget>,
    loads: Vec<(&'static str, f64)>,
    /// What was not measured, and why.
    pub left_out: Vec<String>,
}

impl Results {
    /// Adds a value of a further round.
    pub fn add(&mut self, row: &'static str, subject: &str, measure: &'static str, value: f64) {
        let known = self.figures.iter_mut().find(|f| f.row == row && f.subject == subject && f.measure == measure);
        match known {
            Some(figure) => figure.samples.0.push(value),
            None => {
                self.figures.push(Figure { row, subject: subject.to_owned(), measure, samples: Samples(vec![value]) });
            }
        }
    }

    /// What was measured so far.
    pub fn get(&self, row: &str, subject: &str, measure: &str) -> Option<&Samples> {
        let found = self.figures.iter().find(|f| f.row == row && f.subject == subject && f.measure == measure);
        found.map(|figure| &figure.samples)
    }

    /// Judges a figure of its own.
    pub fn limit(&mut self, row: &'static str, subject: &str, measure: &'static str, limit: f64) {
        match self.get(row, subject, measure).cloned() {
            Some(samples) => {
                self.budgets.push(Budget { row, what: format!("{subject}: {measure}"), limit, samples });
            }
            None => self.left_out.push(format!("{row}: {measure} of {subject} was not measured")),
        }
    }

    /// Judges `subject`'s figure as a multiple of `other`'s.
    pub fn ratio(&mut self, row: &'static str, measure: &'static str, subject: &str, other: &str, limit: f64) {
        match (self.get(row, subject, measure), self.get(row, other, measure)) {
            (Some(ours), Some(theirs)) => {
                let samples = ours.over(theirs);
                let what = format!("{measure}, {subject} ÷ {other}");
                self.budgets.push(Budget { row, what, limit, samples });
            }
            _ => self.left_out.push(format!("{row}: {measure} of {subject} and {other} were not both measured")),
        }
    }

    /// Remembers the machine's load before a row.
    pub fn load(&mut self, row: &'static str, load: f64) {
        self.loads.push((row, load));
    }

    /// How many budgets were missed.
    pub fn missed(&self) -> usize {
        self.budgets.iter().filter(|budget| !budget.met()).count()
    }

    /// One block per row, then the budgets.
    pub fn table(&self) -> String {
        let mut blocks = Vec::new();
        for (row, load) in &self.loads {
            blocks.push(format!("{row} (load average before: {load})\n{}", self.block(row)));
        }
        let header = ["row", "budget", "measured", "limit", ""].map(str::to_owned).to_vec();
        let lines = self.budgets.iter().map(|budget| {
            let verdict = if budget.met() { "met" } else { "MISSED" };
            vec![
                budget.row.to_owned(),
                budget.what.clone(),
                budget.samples.cell(),
                format!("≤ {}", number(budget.limit)),
                verdict.to_owned(),
            ]
        });
        blocks.push(aligned(&[header].into_iter().chain(lines).collect::<Vec<_>>()));
        blocks.extend(self.left_out.iter().map(|what| format!("*** LEFT OUT: {what}")));
        blocks.join("\n")
    }

    fn block(&self, row: &str) -> String {
        let figures: Vec<&Figure> = self.figures.iter().filter(|figure| figure.row == row).collect();
        let mut measures: Vec<&str> = Vec::new();
        let mut subjects: Vec<&str> = Vec::new();
        for figure in &figures {
            if !measures.contains(&figure.measure) {
                measures.push(figure.measure);
            }
            if !subjects.contains(&figure.subject.as_str()) {
                subjects.push(&figure.subject);
            }
        }
        let mut lines = vec![[""].iter().chain(&measures).map(ToString::to_string).collect::<Vec<_>>()];
        for subject in subjects {
            let cells = measures
                .iter()
                .map(|measure| self.get(row, subject, measure).map_or_else(|| "–".to_owned(), Samples::cell));
            lines.push([subject.to_owned()].into_iter().chain(cells).collect());
        }
        aligned(&lines)
    }

    /// For `bench/results.json`.
    pub fn json(&self) -> Value {
        let with = |mut samples: Value, more: Value| {
            if let (Value::Object(samples), Value::Object(more)) = (&mut samples, more) {
                samples.extend(more);
            }
            samples
        };
        let figures = self.figures.iter().map(|figure| {
            with(
                figure.samples.json(),
                json!({"row": figure.row, "subject": figure.subject, "measure": figure.measure}),
            )
        });
        let budgets = self.budgets.iter().map(|budget| {
            with(
                budget.samples.json(),
                json!({"row": budget.row, "what": budget.what, "limit": budget.limit, "met": budget.met()}),
            )
        });
        json!({
            "figures": figures.collect::<Vec<_>>(),
            "budgets": budgets.collect::<Vec<_>>(),
            "load_average_before": self.loads.iter().map(|(row, load)| ((*row).to_owned(), json!(load))).collect::<serde_json::Map<_, _>>(),
            "left_out": self.left_out,
        })
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Columns as wide as their widest cell.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert!((Samples(vec![3.0, 1.0, 2.0]).median() - 2.0).abs() < f64::EPSILON);
        assert!((Samples(vec![4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let mut results = Results::default();
        for (ours, theirs) in [(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)] {
            results.add("quickstart", "squall", "user µs/req", ours);
            results.add("quickstart", "oha", "user µs/req", theirs);
        }
        results.ratio("quickstart", "user µs/req", "squall", "oha", 1.5);
        results.ratio("quickstart", "user µs/req", "squall", "oha", 0.4);
        assert_eq!(results.missed(), 1);
        results.load("quickstart", 0.5);
        let table = results.table();
        assert!(table.contains("user µs/req, squall ÷ oha") && table.contains("MISSED"), "{table}");
    }

    #[test]
    fn a_budget_without_its_figure_is_left_out_and_said() {
        let mut results = Results::default();
        results.ratio("quickstart", "user instructions/req", "squall", "oha", 1.7);
        assert_eq!((results.missed(), results.left_out.len()), (0, 1));
    }
}
