//! Sorted, shared tag sets.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys and values that split a metric into series. Sorted by key, each key once; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tags(Arc<[(Arc<str>, Arc<str>)]>);

impl Tags {
    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.binary_search_by(|(name, _)| (**name).cmp(key)).ok().map(|index| &*self.0[index].1)
    }

    /// Returns whether every tag of `selector` is here with the same value.
    #[must_use]
    pub fn matches(&self, selector: &Tags) -> bool {
        selector.iter().all(|(key, value)| self.get(key) == Some(value))
    }

    /// Keys and values in the order of the keys.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Returns these tags with others on top; theirs win.
    #[must_use]
    pub fn with<K: AsRef<str>, V: AsRef<str>>(&self, others: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut all: Vec<(Arc<str>, Arc<str>)> = self.0.to_vec();
        for (key, value) in others {
            match all.iter_mut().find(|(name, _)| **name == *key.as_ref()) {
                Some(tag) => tag.1 = Arc::from(value.as_ref()),
                None => all.push((Arc::from(key.as_ref()), Arc::from(value.as_ref()))),
            }
        }
        all.sort();
        Self(all.into())
    }

    /// Returns whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Tags {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        Self::default().with(tags)
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(map.into_iter().collect())
    }
}

/// Which of k6's system tags samples carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemTags(pub Vec<String>);

impl SystemTags {
    /// k6's default set.
    pub const DEFAULT: &[&str] = &[
        "proto",
        "subproto",
        "status",
        "method",
        "url",
        "name",
        "group",
        "check",
        "error",
        "error_code",
        "tls_version",
        "scenario",
        "service",
        "expected_response",
    ];
    /// Further ones that a user may switch on.
    pub const OPTIONAL: &[&str] = &["iter", "vu", "ocsp_status", "ip"];

    /// Returns whether a tag is on.
    #[must_use]
    pub fn has(&self, tag: &str) -> bool {
        self.0.iter().any(|name| name == tag)
    }
}

impl Default for SystemTags {
    fn default() -> Self {
        Self(Self::DEFAULT.iter().map(|&tag| tag.to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_tags_win_and_the_order_of_adding_does_not_matter() {
        let tags: Tags = [("b", "1"), ("a", "2")].into_iter().collect();
        assert_eq!(tags.with([("a", "3")]), [("a", "3"), ("b", "1")].into_iter().collect());
    }

    #[test]
    fn a_selector_matches_a_superset() {
        let tags: Tags = [("status", "200"), ("method", "GET")].into_iter().collect();
        assert!(tags.matches(&[("status", "200")].into_iter().collect()));
        assert!(tags.matches(&Tags::default()));
        assert!(!tags.matches(&[("status", "500")].into_iter().collect()));
        assert!(!tags.matches(&[("name", "")].into_iter().collect()));
    }
}
