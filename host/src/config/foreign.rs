//! Options of k6 that squall does not have: those that would change what happens are errors, the others warnings.

use super::fields::Fields;
use super::findings::Findings;
use super::node::{Node, Value};

/// What becomes of an option that squall does not have.
enum Fate {
    /// The run would not be the one that was asked for.
    Refused,
    /// The run is the same without it; the text says why.
    Ignored(&'static str),
}

use Fate::{Ignored, Refused};

const FOREIGN: &[(&str, Fate)] = &[
    ("paused", Refused),
    ("executionSegment", Refused),
    ("executionSegmentSequence", Refused),
    ("metricSamplesBufferSize", Ignored("squall keeps no samples to buffer")),
    ("consoleOutput", Ignored("log lines go to standard error")),
    ("linger", Ignored("there is no API to stay up for")),
    ("noUsageReport", Ignored("squall reports its use to nobody")),
    ("features", Ignored("squall has no feature switches")),
    ("cloud", Ignored("squall runs on this machine")),
    ("ext", Ignored("squall has no extensions")),
];

/// Takes k6's other options out and says what becomes of them.
pub(super) fn take(fields: &mut Fields<'_>, findings: &mut Findings) {
    for (key, fate) in FOREIGN {
        if !fields.left().iter().any(|(written, _)| super::names::is_spelled(written, key)) {
            continue;
        }
        let Some(node) = fields.node(key, findings) else {
            continue;
        };
        if is_off(node) {
            continue;
        }
        let name = findings.name(&node.spot).to_owned();
        match fate {
            Refused => {
                let problem = findings
                    .problem(&node.spot, &format!("`{name}` is not supported yet"))
                    .hint("remove it; the run would not be the one it asks for");
                findings.error(problem);
            }
            Ignored(why) => {
                let problem = findings.problem(&node.spot, &format!("`{name}` has no effect: {why}")).hint("remove it");
                findings.warn(problem);
            }
        }
    }
}

/// Whether it asks for nothing, as the defaults that tools write out do.
fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) | Value::Integer(0) => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Table(entries) => entries.is_empty(),
        _ => false,
    }
}
