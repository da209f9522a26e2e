//! Tables read field by field: what nobody asked for is an error.

use super::findings::Findings;
use super::names;
use super::node::{Node, Spot, Value};

/// A value that the user gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given<T> {
    pub value: T,
    pub spot: Spot,
}

/// What can be read from what the user wrote.
pub(super) trait Decode: Sized {
    /// Reads a value; `None` when it is not one, which the findings then say.
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self>;
}

/// The fields of a table that nobody has read yet.
pub(super) struct Fields<'a> {
    left: Vec<(&'a str, &'a Node)>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub fn new(entries: impl IntoIterator<Item = (&'a str, &'a Node)>) -> Self {
        Self { left: entries.into_iter().collect(), asked: Vec::new() }
    }

    /// Opens a table; anything else is reported.
    pub fn open(node: &'a Node, findings: &mut Findings) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            findings.mismatch(node, "a table");
            return None;
        };
        let entries = entries.iter().map(|(key, node)| (key.as_str(), node));
        Some(Self::new(entries))
    }

    /// Takes a field out, in either spelling. `null` is as good as absent.
    pub fn node(&mut self, key: &'static str, findings: &mut Findings) -> Option<&'a Node> {
        self.asked.push(key);
        let mut found: Option<(&str, &Node)> = None;
        let mut kept = Vec::with_capacity(self.left.len());
        for (written, node) in self.left.drain(..) {
            match found {
                _ if !names::is_spelled(written, key) => kept.push((written, node)),
                None => found = Some((written, node)),
                Some((first, _)) => {
                    let problem = findings
                        .problem(&node.spot, &format!("`{first}` and `{written}` are the same option"))
                        .hint("keep one of them");
                    findings.error(problem);
                }
            }
        }
        self.left = kept;
        found.map(|(_, node)| node).filter(|node| node.value != Value::Null)
    }

    /// Takes a field out and reads it.
    pub fn take<T: Decode>(&mut self, key: &'static str, findings: &mut Findings) -> Option<Given<T>> {
        let node = self.node(key, findings)?;
        let value = T::decode(node, findings)?;
        let spot = node.spot.clone();
        Some(Given { value, spot })
    }

    /// Takes a field out if it is one of `keys`; else it stays where it is.
    pub fn take_among<T: Decode>(
        &mut self,
        keys: &[&str],
        key: &'static str,
        findings: &mut Findings,
    ) -> Option<Given<T>> {
        keys.contains(&key).then(|| self.take(key, findings)).flatten()
    }

    /// What nobody asked for.
    pub fn left(&self) -> &[(&'a str, &'a Node)] {
        &self.left
    }

    /// Reports what nobody asked for. `belongs` may know better where a key belongs.
    pub fn finish(self, findings: &mut Findings, belongs: impl Fn(&str) -> Option<String>) {
        for (written, node) in &self.left {
            let mut problem = findings.problem(&node.spot, &format!("unknown option `{}`", findings.name(&node.spot)));
            problem.hint = belongs(written).or_else(|| {
                let meant = names::nearest(written, self.asked.iter().copied())?;
                Some(format!("did you mean `{meant}`?"))
            });
            findings.error(problem);
        }
    }
}
