//! Thresholds as options: a table by metric, a list, or one line each.

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::node::{Node, Spot, Value};
use super::values::Shown;
use crate::verdict::{Threshold, ThresholdError};

/// For a threshold without its condition.
const HINT: &str = "write `threshold = \"p(95)<500\"`";

impl Decode for Vec<Given<Threshold>> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let before = findings.errors.len();
        let thresholds = match &node.value {
            Value::Table(metrics) => {
                let read = |(metric, node): &(String, Node)| of_metric(metric, node, findings);
                metrics.iter().flat_map(read).collect()
            }
            Value::Text(text) if node.spot.place.has_only_texts() => in_text(text, &node.spot, findings),
            Value::List(lines) if node.spot.place.has_only_texts() => {
                let read =
                    |line: &Node| String::decode(line, findings).and_then(|text| in_line(&text, &line.spot, findings));
                lines.iter().filter_map(read).collect()
            }
            _ => {
                findings.mismatch(node, "a table of metrics and their thresholds");
                return None;
            }
        };
        (findings.errors.len() == before).then_some(thresholds)
    }
}

fn of_metric(metric: &str, node: &Node, findings: &mut Findings) -> Vec<Given<Threshold>> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| one(metric, item, findings)).collect(),
        Value::Null => Vec::new(),
        _ => one(metric, node, findings).into_iter().collect(),
    }
}

fn one(metric: &str, node: &Node, findings: &mut Findings) -> Option<Given<Threshold>> {
    if let Value::Text(text) = &node.value {
        let parsed = Threshold::parse(metric, text);
        return checked(parsed, &node.spot, findings);
    }
    if !matches!(node.value, Value::Table(_)) {
        findings.mismatch(node, "a threshold like `p(95)<500`");
        return None;
    }
    let mut fields = Fields::open(node, findings)?;
    let condition = fields.node("threshold", findings);
    let abort = fields.take::<bool>("abortOnFail", findings);
    let delay = fields.take("delayAbortEval", findings);
    let no_data = fields.take::<bool>("allowNoData", findings);
    fields.finish(findings, |_| None);
    let Some(condition) = condition else {
        let message = format!("`{}` has no `threshold`", findings.name(&node.spot));
        let problem = findings.problem(&node.spot, &message).hint(HINT);
        findings.error(problem);
        return None;
    };
    let text = String::decode(condition, findings)?;
    let mut given = checked(Threshold::parse(metric, &text), &condition.spot, findings)?;
    given.value.abort_on_fail = abort.is_some_and(|given| given.value);
    given.value.delay_abort = delay.map_or(given.value.delay_abort, |given| given.value);
    given.value.allow_no_data = no_data.is_some_and(|given| given.value);
    Some(given)
}

/// A variable holds JSON in the form of the file, or one line.
fn in_text(text: &str, spot: &Spot, findings: &mut Findings) -> Vec<Given<Threshold>> {
    if !text.trim_start().starts_with('{') {
        return in_line(text, spot, findings).into_iter().collect();
    }
    match serde_json::from_str(text) {
        Ok(json) => {
            let node = Node::json(json, spot.clone());
            Vec::decode(&node, findings).unwrap_or_default()
        }
        Err(error) => {
            let problem = findings.problem(spot, &format!("`{}` is not JSON: {error}", findings.name(spot)));
            findings.error(problem);
            Vec::new()
        }
    }
}

fn in_line(text: &str, spot: &Spot, findings: &mut Findings) -> Option<Given<Threshold>> {
    checked(text.parse(), spot, findings)
}

fn checked(
    parsed: Result<Threshold, ThresholdError>,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<Given<Threshold>> {
    match parsed {
        Ok(value) => {
            let spot = spot.clone();
            Some(Given { value, spot })
        }
        Err(error) => {
            let message = format!("`{}`: {error}", findings.name(spot));
            let mut problem = findings.problem(spot, &message);
            problem.hint = error.hint();
            findings.error(problem);
            None
        }
    }
}

impl Shown for Threshold {
    fn shown(&self) -> String {
        let aborts = match (self.abort_on_fail, self.delay_abort.is_zero()) {
            (false, _) => String::new(),
            (true, true) => ", aborts".to_owned(),
            (true, false) => format!(", aborts after {}", self.delay_abort.shown()),
        };
        let no_data = if self.allow_no_data { ", may see no data" } else { "" };
        format!("{}{aborts}{no_data}", self.expression.source)
    }
}
