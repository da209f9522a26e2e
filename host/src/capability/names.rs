//! Names that guests give, as numbers: so many of each kind, and none longer than it may be.
//!
//! What goes beyond a limit becomes [`OTHER`] and is counted, so that a journey that makes names as it goes costs no more
//! than one that does not.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::metrics::{Excess, Recorder, Tags};
use crate::plan::Limits;
use crate::wit::grpc;
use crate::wit::http::Pair;
use crate::wit::metric::Tag;

/// The name of everything beyond a limit.
pub(super) const OTHER: &str = "_other";
/// Different names of tags on one worker.
const MOST_KEYS: usize = 256;
/// Tags that a guest may put on one sample.
const MOST_TAGS: usize = 64;
/// A group's path may be so many times as long as a name: groups lie inside one another.
const PATH: usize = 8;

/// The names that the VUs of one worker thread use.
pub(super) struct Names {
    recorder: Recorder,
    most: usize,
    most_values: usize,
    longest: usize,
    scopes: Vec<Tags>,
    /// Paths as k6 has them: `::outer::inner`. The first is "outside of any group".
    groups: Vec<Arc<str>>,
    group_ids: FxHashMap<(u32, Box<str>), u32>,
    checks: Vec<Arc<str>>,
    check_ids: FxHashMap<Box<str>, u32>,
    values: FxHashMap<Box<str>, FxHashSet<Box<str>>>,
}

/// A tag of one of the two types that WIT makes of it.
pub(super) trait NameAndValue {
    fn pair(&self) -> (&str, &str);
}

impl NameAndValue for Tag {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl NameAndValue for (String, String) {
    fn pair(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl NameAndValue for Pair {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl NameAndValue for grpc::Pair {
    fn pair(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

impl Names {
    pub(super) fn new(recorder: Recorder, limits: &Limits) -> Self {
        Self {
            recorder,
            most: limits.names as usize,
            most_values: limits.tag_values as usize,
            longest: limits.name_bytes as usize,
            scopes: Vec::new(),
            groups: vec![Arc::from("")],
            group_ids: FxHashMap::default(),
            checks: Vec::new(),
            check_ids: FxHashMap::default(),
            values: FxHashMap::default(),
        }
    }

    /// Numbers a set of tags. They are the plan's, and few.
    pub(super) fn scope(&mut self, tags: &Tags) -> u32 {
        let known = self.scopes.iter().position(|scope| scope == tags);
        known.unwrap_or_else(|| {
            self.scopes.push(tags.clone());
            self.scopes.len() - 1
        }) as u32
    }

    pub(super) fn scope_tags(&self, scope: u32) -> &Tags {
        &self.scopes[scope as usize]
    }

    /// Numbers a group inside another.
    pub(super) fn group(&mut self, outer: u32, name: &str) -> u32 {
        let name = self.cut(name);
        let key = (outer, Box::from(name));
        if let Some(&id) = self.group_ids.get(&key) {
            return id;
        }
        let around = &*self.groups[outer as usize];
        if self.groups.len() > self.most || around.len() + name.len() > PATH * self.longest {
            self.recorder.exceed(Excess::Groups);
            return self.add_group((0, Box::from(OTHER)), &format!("::{OTHER}"));
        }
        let path = format!("{around}::{name}");
        self.add_group(key, &path)
    }

    fn add_group(&mut self, key: (u32, Box<str>), path: &str) -> u32 {
        *self.group_ids.entry(key).or_insert_with(|| {
            self.groups.push(Arc::from(path));
            (self.groups.len() - 1) as u32
        })
    }

    pub(super) fn group_path(&self, group: u32) -> &str {
        &self.groups[group as usize]
    }

    /// Numbers a check.
    pub(super) fn check(&mut self, name: &str) -> u32 {
        let name = self.cut(name);
        if let Some(&id) = self.check_ids.get(name) {
            return id;
        }
        let name = if self.checks.len() < self.most {
            name
        } else {
            self.recorder.exceed(Excess::Checks);
            OTHER
        };
        *self.check_ids.entry(Box::from(name)).or_insert_with(|| {
            self.checks.push(Arc::from(name));
            (self.checks.len() - 1) as u32
        })
    }

    /// The name of a check; `None` where no check has that number.
    pub(super) fn check_name(&self, check: u32) -> Option<Arc<str>> {
        self.checks.get(check as usize).cloned()
    }

    /// The value of a tag, as it may be.
    pub(super) fn value<'a>(&mut self, key: &str, value: &'a str) -> &'a str {
        let value = self.cut(value);
        if !self.values.contains_key(key) {
            self.values.insert(Box::from(key), FxHashSet::default());
        }
        let most = self.most_values;
        let Some(known) = self.values.get_mut(key) else { return value };
        if known.contains(value) {
            return value;
        }
        if known.len() >= most {
            self.recorder.exceed(Excess::TagValues);
            return OTHER;
        }
        known.insert(Box::from(value));
        value
    }

    /// The tags that a guest puts on a sample, as they may be.
    pub(super) fn tags<'a, T: NameAndValue>(&mut self, tags: &'a [T]) -> Vec<(&'a str, &'a str)> {
        let most = tags.len().min(MOST_TAGS);
        (most..tags.len()).for_each(|_| self.recorder.exceed(Excess::Tags));
        tags[..most].iter().map(|tag| self.tag(tag.pair())).collect()
    }

    fn tag<'a>(&mut self, (key, value): (&'a str, &'a str)) -> (&'a str, &'a str) {
        let key = self.cut(key);
        if self.values.len() >= MOST_KEYS && !self.values.contains_key(key) {
            self.recorder.exceed(Excess::Tags);
            return (OTHER, OTHER);
        }
        (key, self.value(key, value))
    }

    /// A name or a value, no longer than it may be.
    pub(super) fn cut<'a>(&self, text: &'a str) -> &'a str {
        if text.len() <= self.longest {
            return text;
        }
        self.recorder.exceed(Excess::LongNames);
        &text[..text.floor_char_boundary(self.longest)]
    }
}
