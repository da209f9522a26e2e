//! Stages as options: tables, or texts like `10s:50`.

use std::time::Duration;

use super::fields::{Decode, Fields, Given};
use super::findings::Findings;
use super::node::{Node, Value};
use super::values::{Shown, reported};

/// A stage as the user wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StageOption {
    pub duration: Duration,
    pub target: Given<f64>,
}

impl Decode for Vec<StageOption> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let stages: Vec<Option<StageOption>> = match &node.value {
            Value::List(items) => items.iter().map(|item| stage(item, findings)).collect(),
            Value::Text(text) if node.spot.place.has_only_texts() => {
                let texts =
                    text.split(',').map(|text| Node::new(Value::Text(text.trim().to_owned()), node.spot.clone()));
                texts.map(|text| stage(&text, findings)).collect()
            }
            _ => return reported(None, node, "a list of stages", findings),
        };
        stages.into_iter().collect()
    }
}

fn stage(node: &Node, findings: &mut Findings) -> Option<StageOption> {
    if let (Value::Text(text), true) = (&node.value, node.spot.place.has_only_texts()) {
        let Some((span, target)) = text.split_once(':') else {
            return reported(None, node, "like `10s:50`", findings);
        };
        let part = |text: &str| Node::new(Value::Text(text.to_owned()), node.spot.clone());
        let duration = Duration::decode(&part(span), findings);
        let target = f64::decode(&part(target), findings);
        let spot = node.spot.clone();
        return Some(StageOption { duration: duration?, target: Given { value: target?, spot } });
    }
    let mut fields = Fields::open(node, findings)?;
    let before = findings.errors.len();
    let duration = fields.take::<Duration>("duration", findings);
    let target = fields.take::<f64>("target", findings);
    fields.finish(findings, |_| None);
    if findings.errors.len() == before {
        for (key, missing) in [("duration", duration.is_none()), ("target", target.is_none())] {
            if missing {
                let message = format!("`{}` has no `{key}`", findings.name(&node.spot));
                let problem = findings
                    .problem(&node.spot, &message)
                    .hint("a stage is like `{ duration = \"10s\", target = 50 }`");
                findings.error(problem);
            }
        }
    }
    Some(StageOption { duration: duration?.value, target: target? })
}

impl Shown for Vec<StageOption> {
    fn shown(&self) -> String {
        let stage = |stage: &StageOption| format!("{}:{}", stage.duration.shown(), stage.target.value);
        self.iter().map(stage).collect::<Vec<_>>().shown()
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::tests::{flag, json};
    use super::*;

    #[test]
    fn stages_are_tables_or_texts() {
        assert_eq!(flag::<Vec<StageOption>>("10s:5, 1m:20").unwrap().shown(), "10s:5, 1m0s:20");
        let stages = r#"[{"duration":"10s","target":5},{"target":2.5,"duration":0}]"#;
        assert_eq!(json::<Vec<StageOption>>(stages).unwrap().shown(), "10s:5, 0s:2.5");
        assert_eq!(json::<Vec<StageOption>>(r#"[{"duration":"10s"}]"#).unwrap_err(), "`x[0]` has no `target`");
        let error = json::<Vec<StageOption>>(r#"[{"duration":"10s","target":1,"end":2}]"#).unwrap_err();
        assert_eq!(error, "unknown option `x[0].end`");
        assert_eq!(flag::<Vec<StageOption>>("10s").unwrap_err(), "`--x` must be like `10s:50`, but is `10s`");
        assert_eq!(flag::<Vec<StageOption>>("10s:-1").unwrap_err(), "`--x` must be a number, 0 or more, but is `-1`");
    }
}
