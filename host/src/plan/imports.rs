//! Which imports of a component are granted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a journey may import that is not trusted, unless it is said otherwise: the interfaces of squall, which look at
/// the policy themselves, and those of WASI that give it nothing but time, random numbers and a place to write.
pub const UNTRUSTED_IMPORTS: &[&str] =
    &["squall:*", "wasi:cli/*", "wasi:clocks/*", "wasi:io/*", "wasi:random/*", "wasi:filesystem/*"];

/// Imports by their name: `wasi:clocks/monotonic-clock` in any version, `wasi:http/types@0.2.6` in this one,
/// `wasi:clocks/*` for a package, `wasi:*` for a namespace, `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImportPattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern of imports")]
pub struct PatternError {
    /// The text.
    pub pattern: String,
}

impl ImportPattern {
    /// Whether it means sockets, or some interface of theirs.
    #[must_use]
    pub fn means_sockets(&self) -> bool {
        self.0.starts_with("wasi:sockets/") || self.matches("wasi:sockets/tcp@0.2.0")
    }

    /// Whether this import is among those meant.
    #[must_use]
    pub fn matches(&self, import: &str) -> bool {
        matches(&self.0, import)
    }
}

/// Whether an import is among those that a pattern means.
pub(super) fn matches(pattern: &str, import: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => import.starts_with(start),
        None if pattern.contains('@') => import == pattern,
        None => import.split('@').next() == Some(pattern),
    }
}

impl FromStr for ImportPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let named = text.strip_suffix('*').unwrap_or(text);
        // A star stands for a whole name, so that nobody grants `wasi:clocks-of-mine` with `wasi:clocks*`.
        let whole = named.len() == text.len() || named.is_empty() || named.ends_with([':', '/']);
        let plain = named.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@+".contains(c));
        if text.is_empty() || !whole || !plain {
            return Err(PatternError { pattern: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ImportPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<ImportPattern> for String {
    fn from(pattern: ImportPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for ImportPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    fn matching(pattern: &str, import: &str) -> bool {
        pattern.parse::<ImportPattern>().unwrap().matches(import)
    }

    #[test]
    fn a_pattern_means_an_interface_a_package_a_namespace_or_all() {
        let clock = "wasi:clocks/monotonic-clock@0.2.6";
        assert!(matching("*", clock) && matching("wasi:*", clock) && matching("wasi:clocks/*", clock));
        assert!(matching("wasi:clocks/monotonic-clock", clock) && matching(clock, clock));
        assert!(!matching("wasi:clocks/monotonic-clock@0.2.5", clock));
        assert!(!matching("wasi:clocks/monotonic", clock) && !matching("wasi:clock", clock));
        assert!(!matching("wasi:clocks/*", "wasi:clocks-of-mine/now") && !matching("wasi:*", "wasix:a/b"));
    }

    #[test]
    fn a_star_inside_a_name_is_no_pattern() {
        for wrong in ["", "wasi:cl*", "w*i:clocks/*", "wasi:clocks/**", "wasi clocks", "a\n*"] {
            assert!(wrong.parse::<ImportPattern>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_journey_that_is_not_trusted_has_no_sockets_unless_they_are_granted() {
        let (trusted, mut untrusted) = (Policy::default(), Policy { untrusted: true, ..Policy::default() });
        let sockets = "wasi:sockets/tcp@0.2.6";
        assert!(trusted.grants_import(sockets) && !untrusted.grants_import(sockets));
        assert!(untrusted.grants_import("squall:journey/http@0.1.1") && untrusted.grants_import("wasi:cli/exit@0.2.0"));
        assert!(!untrusted.grants_import("wasi:http/outgoing-handler@0.2.6"));
        untrusted.imports = Some(["wasi:sockets/*".parse().unwrap()].into());
        assert!(untrusted.grants_import(sockets) && !untrusted.grants_import("squall:journey/http@0.1.1"));
    }
}
