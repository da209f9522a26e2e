//! Secrets: texts that a journey can name and never sees.

use serde::{Deserialize, Serialize};

use super::{Destination, Plan, Rule, Secret};
use crate::redact::Redactor;

/// The longest name of a secret, in bytes.
pub const LONGEST_NAME: usize = 64;

/// A secret, and who may get to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedSecret {
    /// Its value. A plan that is sent to another process has it with it.
    pub value: Secret,
    /// The hosts that requests may take it to: names by their name, addresses that URLs have by their number. What a name
    /// resolves to is not looked at.
    pub hosts: Vec<Rule>,
}

impl GrantedSecret {
    /// Whether a request to this destination may take it along.
    #[must_use]
    pub fn goes_to(&self, to: &Destination<'_>) -> bool {
        self.hosts.iter().any(|rule| rule.names(to))
    }
}

/// Whether a text can name a secret: letters, digits, `.`, `_` and `-`, a letter or digit first.
#[must_use]
pub fn is_secret_name(text: &str) -> bool {
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= LONGEST_NAME
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(is_rest)
}

impl Plan {
    /// What takes the secrets of the plan out of texts; `None` where it has none.
    #[must_use]
    pub fn redactor(&self) -> Option<Redactor> {
        Redactor::new(self.secrets.values().map(|granted| granted.value.0.as_str()))
    }

    /// The same with something else in the place of every secret, to be shown.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        self.http = self.http.without_secrets();
        for granted in self.secrets.values_mut() {
            granted.value = Secret("(hidden)".to_owned());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scheme, canonical_host};
    use super::*;

    fn goes(rule: &str, to: &str) -> bool {
        let url = url::Url::parse(to).unwrap();
        let host = canonical_host(url.host_str().unwrap()).unwrap();
        let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let to = Destination { scheme, host: &host, port: url.port_or_known_default().unwrap() };
        let hosts = vec![rule.parse().unwrap()];
        GrantedSecret { value: Secret("hidden".to_owned()), hosts }.goes_to(&to)
    }

    #[test]
    fn a_secret_goes_to_its_hosts_and_to_no_other() {
        for (rule, to) in [
            ("api.shop.test", "https://api.shop.test"),
            ("API.shop.test", "http://api.shop.test:8080"),
            ("api.shop.test", "https://api.shop.test./"),
            ("https://api.shop.test", "https://api.shop.test"),
            ("https://api.shop.test:8443", "https://api.shop.test:8443"),
            ("[::1]:80", "http://[::1]"),
            ("127.0.0.0/8", "http://127.0.0.1:8080"),
            ("*.shop.test", "https://a.b.shop.test"),
        ] {
            assert!(goes(rule, to), "{rule} {to}");
        }
        for (rule, to) in [
            ("api.shop.test", "https://shop.test"),
            ("api.shop.test:443", "https://api.shop.test:8443"),
            ("https://api.shop.test", "http://api.shop.test"),
            ("https://api.shop.test", "https://api.shop.test:8443"),
            ("http://api.shop.test", "https://api.shop.test:80"),
            ("*.shop.test", "https://shop.test"),
            ("*.shop.test", "https://evilshop.test"),
            ("*.shop.test", "https://shop.test.evil.test"),
            ("10.0.0.0/8", "http://127.0.0.1"),
            // What a name leads to is its owner's choice.
            ("127.0.0.0/8", "http://localhost"),
        ] {
            assert!(!goes(rule, to), "{rule} {to}");
        }
    }

    #[test]
    fn a_plan_shows_no_secret_but_carries_it() {
        let granted = GrantedSecret { value: Secret("hunter2!".to_owned()), hosts: Vec::new() };
        let mut plan = Plan::new(Vec::new());
        assert!(plan.redactor().is_none());
        plan.secrets.insert("key".to_owned(), granted);
        assert!(!format!("{plan:?}").contains("hunter2"));
        let sent = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&sent).unwrap(), plan);
        assert_eq!(plan.redactor().unwrap().text("a hunter2!"), "a ***");
        assert!(!serde_json::to_string(&plan.without_secrets()).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_name_of_a_secret_is_a_word() {
        for name in ["api-key", "A", "0.a_b"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "-a", "a b", "a}", "ä", &"a".repeat(65)] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
