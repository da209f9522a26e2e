//! What a component is granted: imports, and proposals of WebAssembly.

use std::collections::BTreeSet;

use super::fields::Decode;
use super::findings::Findings;
use super::lower::Lowering;
use super::names;
use super::node::{Node, Value};
use super::values::{Shown, reported};
use crate::plan::{ImportPattern, Policy, Proposal, UNTRUSTED_IMPORTS};

/// Reads a list of what has one word each.
fn words<T>(
    node: &Node,
    expected: &str,
    findings: &mut Findings,
    word: impl Fn(&str, &Node, &mut Findings) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<_> = match &node.value {
        Value::Text(text) if node.spot.place.has_only_texts() => {
            let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            texts.map(|text| word(text, node, findings)).collect()
        }
        Value::Text(text) => vec![word(text, node, findings)],
        Value::List(items) => items
            .iter()
            .map(|item| match &item.value {
                Value::Text(text) => word(text.trim(), item, findings),
                _ => reported(None, item, expected, findings),
            })
            .collect(),
        _ => return reported(None, node, expected, findings),
    };
    read.into_iter().collect()
}

impl Decode for Vec<ImportPattern> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        words(node, "a list of imports like `wasi:clocks/*`", findings, |text, node, findings| match text.parse() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = format!("`{}`: {error}", findings.name(&node.spot));
                let hint = "write `package:name/interface`, `package:name/*`, `package:*` or `*`";
                findings.refuse(&node.spot, &message, hint);
                None
            }
        })
    }
}

impl Decode for Vec<Proposal> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        words(node, "a list of proposals like `gc`", findings, |text, node, findings| {
            let known = || Proposal::ALL.iter().map(|one| one.name());
            let found = Proposal::ALL.iter().copied().find(|one| one.name() == text);
            if found.is_none() {
                let message = format!("`{}`: there is no proposal `{text}`", findings.name(&node.spot));
                let hint = match names::nearest(text, known()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("there are {}", names::listed(known())),
                };
                findings.refuse(&node.spot, &message, &hint);
            }
            found
        })
    }
}

fn joined(words: impl Iterator<Item = String>, none: &str) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { none.to_owned() } else { words.join(", ") }
}

impl Shown for Vec<ImportPattern> {
    fn shown(&self) -> String {
        joined(self.iter().map(ToString::to_string), "none")
    }
}

impl Shown for Vec<Proposal> {
    fn shown(&self) -> String {
        joined(self.iter().map(|one| one.name().to_owned()), "none")
    }
}

impl Lowering<'_> {
    /// Whom the run trusts, and what it grants to a component before that has run.
    pub(super) fn policy(&mut self) -> Policy {
        let untrusted = self.pick("untrusted", self.layer.untrusted.as_ref(), false);
        let net = self.net(untrusted);
        let (proposals, imports, sockets) = (self.proposals(), self.imports(untrusted), self.sockets());
        Policy { untrusted, proposals, imports, sockets, net }
    }

    /// `allowImport` adds to what `imports` says, or to the default; where all is granted there is nothing to add.
    fn imports(&mut self, untrusted: bool) -> Option<BTreeSet<ImportPattern>> {
        let (given, added) = (self.layer.imports.as_ref(), self.layer.allow_import.as_ref());
        let default = || -> Vec<ImportPattern> {
            UNTRUSTED_IMPORTS.iter().map(|text| text.parse().expect("the constant is right, as a test says")).collect()
        };
        let base = match given {
            Some(_) => Some(self.pick("policy.imports", given, Vec::new())),
            None if untrusted => Some(self.pick("policy.imports", None, default())),
            None => {
                self.origins.push(None, "policy.imports", "all", "default".to_owned());
                None
            }
        };
        let added = match added {
            Some(_) => self.pick("policy.allowImport", added, Vec::new()),
            None => Vec::new(),
        };
        base.map(|base| base.into_iter().chain(added).collect())
    }

    /// Whether somebody said that the guest may have sockets: a default does not.
    fn sockets(&self) -> bool {
        let said = [&self.layer.imports, &self.layer.allow_import].into_iter().flatten();
        said.flat_map(|given| &given.value).any(ImportPattern::means_sockets)
    }

    fn proposals(&mut self) -> BTreeSet<Proposal> {
        self.pick("policy.proposals", self.layer.proposals.as_ref(), Vec::new()).into_iter().collect()
    }
}
