//! The tree of groups and their checks, as k6's summaries show it.

use serde::{Deserialize, Serialize};

/// What separates the names in a path.
const SEPARATOR: &str = "::";
/// How deep the tree is: whoever walks it calls itself as often. A name with many separators in it stays one name.
const DEEPEST: usize = 64;

/// A group, with the groups and checks in it, in the order in which they were first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name; empty for the root.
    pub name: String,
    /// Its path, `::outer::inner`; empty for the root.
    pub path: String,
    /// The groups in it.
    pub groups: Vec<Group>,
    /// The checks in it.
    pub checks: Vec<CheckTotals>,
}

/// How often a check held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTotals {
    /// Its name.
    pub name: String,
    /// Its path: that of its group, and its name.
    pub path: String,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

impl Group {
    /// Returns the group of this path, making it and those around it where they are new.
    pub fn at(&mut self, path: &str) -> &mut Self {
        let mut group = self;
        for name in path.splitn(DEEPEST + 1, SEPARATOR).skip(1) {
            let place = group.groups.iter().position(|inner| inner.name == name).unwrap_or_else(|| {
                let path = format!("{}{SEPARATOR}{name}", group.path);
                group.groups.push(Self { name: name.to_owned(), path, ..Self::default() });
                group.groups.len() - 1
            });
            group = &mut group.groups[place];
        }
        group
    }

    /// Counts results of a check of this group.
    pub fn count(&mut self, check: &str, passes: u64, fails: u64) {
        if let Some(known) = self.checks.iter_mut().find(|known| known.name == check) {
            known.passes += passes;
            known.fails += fails;
            return;
        }
        let path = format!("{}{SEPARATOR}{check}", self.path);
        self.checks.push(CheckTotals { name: check.to_owned(), path, passes, fails });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_many_separators_makes_no_deep_tree() {
        let mut root = Group::default();
        let path = "::x".repeat(1_000_000);
        root.at(&path).count("c", 1, 0);
        let (mut group, mut depth) = (&root, 0);
        while let Some(inner) = group.groups.first() {
            (group, depth) = (inner, depth + 1);
        }
        assert_eq!((depth, group.path.len(), group.checks.len()), (DEEPEST, path.len(), 1));
    }

    #[test]
    fn a_path_makes_its_groups_once() {
        let mut root = Group::default();
        root.at("::login::form").count("is 200", 3, 1);
        root.at("::login::form").count("is 200", 1, 0);
        root.at("").count("top", 1, 0);
        let form = &root.groups[0].groups[0];
        assert_eq!((root.groups.len(), form.path.as_str()), (1, "::login::form"));
        assert_eq!(
            form.checks,
            [CheckTotals { name: "is 200".into(), path: "::login::form::is 200".into(), passes: 4, fails: 1 }]
        );
        assert_eq!(root.checks[0].path, "::top");
    }
}
