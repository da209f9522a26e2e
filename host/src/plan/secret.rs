//! Secrets: texts that a journey can name and never sees.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Plan, Secret};
use crate::redact::Redactor;

/// The longest name of a secret, in bytes.
pub const LONGEST_NAME: usize = 64;

/// A secret, and who may get to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantedSecret {
    /// Its value. A plan that is sent to another process has it with it.
    pub value: Secret,
    /// The hosts that requests may take it to.
    pub hosts: Vec<SecretHost>,
}

/// Hosts that a secret is for: `api.shop.test`, `*.shop.test`, `10.0.0.1:8080` or `https://api.shop.test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHost {
    /// Whether the scheme is `https`, or `http`; `None` for both.
    tls: Option<bool>,
    /// The host as URLs have it, but an IPv6 address without brackets. Of a domain, what follows `*.`.
    host: String,
    /// Whether it is all hosts of a domain.
    is_domain: bool,
    /// The port; `None` for all.
    port: Option<u16>,
}

/// A text names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no host")]
pub struct NoHost;

impl GrantedSecret {
    /// Whether a request to this scheme, host and port may take it along.
    #[must_use]
    pub fn goes_to(&self, tls: bool, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|rule| rule.holds(tls, host, port))
    }
}

impl SecretHost {
    fn holds(&self, tls: bool, host: &str, port: u16) -> bool {
        let is_host = if self.is_domain {
            // The dot before the domain is part of the match, or `evilshop.test` would be of `shop.test`.
            host.strip_suffix(&*self.host).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        is_host && self.tls.is_none_or(|wanted| wanted == tls) && self.port.is_none_or(|wanted| wanted == port)
    }
}

impl FromStr for SecretHost {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Some(true), rest),
            Some(("http", rest)) => (Some(false), rest),
            Some(_) => return Err(NoHost),
            None => (None, text),
        };
        let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let (is_domain, rest) = rest.strip_prefix("*.").map_or((false, rest), |domain| (true, domain));
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or(NoHost)?))
            }
            _ => (rest, None),
        };
        let host = url::Host::parse(host).map_err(|_| NoHost)?;
        if is_domain && !matches!(host, url::Host::Domain(_)) {
            return Err(NoHost);
        }
        let host = host.to_string().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.or_else(|| tls.map(|tls| if tls { 443 } else { 80 }));
        Ok(Self { tls, host, is_domain, port })
    }
}

impl fmt::Display for SecretHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tls) = self.tls {
            formatter.write_str(if tls { "https://" } else { "http://" })?;
        }
        if self.is_domain {
            formatter.write_str("*.")?;
        }
        match self.host.contains(':') {
            true => write!(formatter, "[{}]", self.host)?,
            false => formatter.write_str(&self.host)?,
        }
        match self.port {
            Some(port) if self.tls != Some(port == 443) || !matches!(port, 80 | 443) => write!(formatter, ":{port}"),
            _ => Ok(()),
        }
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
    use super::*;

    fn goes(rule: &str, tls: bool, host: &str, port: u16) -> bool {
        let hosts = vec![rule.parse().unwrap()];
        GrantedSecret { value: Secret("hidden".to_owned()), hosts }.goes_to(tls, host, port)
    }

    #[test]
    fn a_secret_goes_to_its_hosts_and_to_no_other() {
        assert!(goes("api.shop.test", true, "api.shop.test", 443));
        assert!(goes("API.shop.test", false, "api.shop.test", 8080));
        assert!(goes("https://api.shop.test", true, "api.shop.test", 443));
        assert!(goes("https://api.shop.test:8443/", true, "api.shop.test", 8443));
        assert!(goes("[::1]:80", false, "::1", 80));
        assert!(goes("*.shop.test", true, "a.b.shop.test", 443));
        for (rule, tls, host, port) in [
            ("api.shop.test", true, "shop.test", 443),
            ("api.shop.test:443", true, "api.shop.test", 8443),
            ("https://api.shop.test", false, "api.shop.test", 80),
            ("https://api.shop.test", true, "api.shop.test", 8443),
            ("http://api.shop.test", true, "api.shop.test", 443),
            ("*.shop.test", true, "shop.test", 443),
            ("*.shop.test", true, "evilshop.test", 443),
            ("*.shop.test", true, "shop.test.evil.test", 443),
            ("*.shop.test", true, ".shop.test", 443),
        ] {
            assert!(!goes(rule, tls, host, port), "{rule} {host}:{port}");
        }
    }

    #[test]
    fn a_host_is_shown_as_it_is_written() {
        for text in ["api.shop.test", "*.shop.test:8080", "https://api.shop.test", "http://a:443", "https://[::1]:80"] {
            assert_eq!(text.parse::<SecretHost>().unwrap().to_string(), text);
        }
        assert_eq!("https://a:443".parse::<SecretHost>().unwrap().to_string(), "https://a");
        for text in ["", "ftp://a", "a:0", "a:x", "http://a/b", "*.10.0.0.1", "u@a", "a b", "*"] {
            assert_eq!(text.parse::<SecretHost>(), Err(NoHost), "{text}");
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
