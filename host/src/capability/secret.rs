//! `secret`: texts that a guest can name and the host puts in their place.
//!
//! A guest writes `{{secret:NAME}}` where the value is to be. What is here turns that into the value; `http` does so for
//! a request that is about to leave, after it asked whether the secret may go where the request goes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use memchr::memmem;

use super::{Host, to_guest};
use crate::plan::{Destination, GrantedSecret, Plan, Scheme};
use crate::protocol::Error;
use crate::protocol::http::Target;
use crate::redact::Redactor;
use crate::wit::{http, secret};

/// What a placeholder begins and ends with.
const BEGIN: &str = "{{secret:";
const END: &str = "}}";
/// The same in a URL, where a guest's library may have escaped it.
const ESCAPED_BEGIN: &str = "%7b%7bsecret";
/// Letters of a name that messages show.
const LONGEST_SHOWN: usize = 64;

/// The secrets of a run that has some.
#[derive(Debug)]
pub struct Secrets {
    granted: BTreeMap<String, GrantedSecret>,
    redactor: Arc<Redactor>,
}

impl Secrets {
    /// The secrets of a plan; `None` where it has none.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let redactor = Arc::new(plan.redactor()?);
        Some(Self { granted: plan.secrets.clone(), redactor })
    }

    /// What takes them out of texts.
    #[must_use]
    pub fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// Whether there are placeholders in a URL, escaped or not.
    pub(super) fn is_named_in_url(url: &str) -> bool {
        Self::is_named(url.as_bytes()) || (url.contains('%') && url.to_ascii_lowercase().contains(ESCAPED_BEGIN))
    }

    /// Whether there are placeholders.
    pub(super) fn is_named(bytes: &[u8]) -> bool {
        memmem::find(bytes, BEGIN.as_bytes()).is_some()
    }

    /// Puts values in the place of placeholders, and calls back with the name of each before, which may refuse it. `None`
    /// where there are none.
    pub(super) fn fill<'s>(
        &'s self,
        bytes: &[u8],
        named: impl FnMut(&'s str) -> Result<(), Error>,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.fill_with(bytes, named, Cow::Borrowed)
    }

    /// The same in the strings of a JSON text: values are written as JSON has them.
    pub(super) fn fill_json<'s>(
        &'s self,
        text: &str,
        named: impl FnMut(&'s str) -> Result<(), Error>,
    ) -> Result<Option<String>, Error> {
        let written = |value: &'s str| {
            let quoted = serde_json::Value::from(value).to_string();
            Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
        };
        let filled = self.fill_with(text.as_bytes(), named, written)?;
        Ok(filled.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn fill_with<'s>(
        &'s self,
        bytes: &[u8],
        mut named: impl FnMut(&'s str) -> Result<(), Error>,
        written: impl Fn(&'s str) -> Cow<'s, str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut filled = Vec::new();
        let mut rest = bytes;
        while let Some(at) = memmem::find(rest, BEGIN.as_bytes()) {
            let after = &rest[at + BEGIN.len()..];
            let end = memmem::find(after, END.as_bytes()).ok_or_else(|| {
                Error::InvalidRequest(format!("`{BEGIN}` begins a secret's name that no `{END}` ends"))
            })?;
            let (name, secret) = self.get(&after[..end])?;
            named(name)?;
            filled.extend_from_slice(&rest[..at]);
            filled.extend_from_slice(written(&secret.value.0).as_bytes());
            rest = &after[end + END.len()..];
        }
        if rest.len() == bytes.len() {
            return Ok(None);
        }
        filled.extend_from_slice(rest);
        Ok(Some(filled))
    }

    /// The same of a text.
    pub(super) fn fill_text<'s>(
        &'s self,
        text: &str,
        named: impl FnMut(&'s str) -> Result<(), Error>,
    ) -> Result<Option<String>, Error> {
        let filled = self.fill(text.as_bytes(), named)?;
        // Texts were put into a text between characters, so nothing is lost.
        Ok(filled.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Refuses a secret that may not go there.
    pub(super) fn check(&self, name: &str, target: &Target) -> Result<(), Error> {
        let scheme = if target.is_tls() { Scheme::Https } else { Scheme::Http };
        self.check_destination(name, &Destination { scheme, host: target.host(), port: target.port() })
    }

    /// The same where it does not go by HTTP.
    pub(super) fn check_destination(&self, name: &str, to: &Destination<'_>) -> Result<(), Error> {
        if self.granted.get(name).is_some_and(|secret| secret.goes_to(to)) {
            return Ok(());
        }
        Err(Error::Denied(format!("secret `{name}` may not go to `{to}`")))
    }

    fn get(&self, name: &[u8]) -> Result<(&str, &GrantedSecret), Error> {
        let found = std::str::from_utf8(name).ok().and_then(|name| self.granted.get_key_value(name));
        let (name, secret) =
            found.ok_or_else(|| Error::InvalidRequest(self.unknown(&String::from_utf8_lossy(name))))?;
        Ok((name, secret))
    }

    fn unknown(&self, name: &str) -> String {
        let known = self.granted.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        format!("secret `{}` is not granted to the run; granted: {known}", shortened(name))
    }
}

impl Host {
    /// A text without the run's secrets, for the guest to read.
    pub(super) fn unseen(&self, text: String) -> String {
        match &self.run.secrets {
            None => text,
            Some(secrets) => secrets.redactor.owned(text),
        }
    }

    /// Why a request has no answer, without the run's secrets, of which a server's words may hold one.
    pub(super) fn told(&self, error: Error) -> http::Error {
        use http::Error as Guest;
        match to_guest(error) {
            Guest::Dns(text) => Guest::Dns(self.unseen(text)),
            Guest::Tls(text) => Guest::Tls(self.unseen(text)),
            Guest::Protocol(text) => Guest::Protocol(self.unseen(text)),
            Guest::Denied(text) => Guest::Denied(self.unseen(text)),
            Guest::InvalidUrl(text) => Guest::InvalidUrl(self.unseen(text)),
            Guest::InvalidRequest(text) => Guest::InvalidRequest(self.unseen(text)),
            Guest::Other(text) => Guest::Other(self.unseen(text)),
            silent => silent,
        }
    }
}

impl secret::Host for Host {
    fn reference(&mut self, name: String) -> Result<String, secret::Error> {
        let Some(secrets) = &self.run.secrets else {
            let name = shortened(&name);
            return Err(secret::Error::Unknown(format!("secret `{name}` is not granted to the run; granted: none")));
        };
        if secrets.granted.contains_key(&name) {
            Ok(format!("{BEGIN}{name}{END}"))
        } else {
            Err(secret::Error::Unknown(secrets.unknown(&name)))
        }
    }
}

/// A guest's text that fits into a message.
fn shortened(text: &str) -> Cow<'_, str> {
    let escaped = text.escape_debug().to_string();
    match escaped.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &escaped[..end])),
        None => Cow::Owned(escaped),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::Secret;

    /// Secrets `key` for `a.test` and `pin` for all hosts of `b.test`.
    pub(in super::super) fn secrets() -> Secrets {
        let mut plan = Plan::new(Vec::new());
        for (name, value, host) in [("key", "hunter2!", "http://a.test"), ("pin", "sesame99", "*.b.test")] {
            let secret = GrantedSecret { value: Secret(value.to_owned()), hosts: vec![host.parse().unwrap()] };
            plan.secrets.insert(name.to_owned(), secret);
        }
        Secrets::of(&plan).unwrap()
    }

    fn filled(text: &str) -> (Option<String>, Vec<String>) {
        let secrets = secrets();
        let mut names = Vec::new();
        let filled = secrets.fill_text(text, |name| {
            names.push(name.to_owned());
            Ok(())
        });
        let filled = filled.unwrap();
        (filled, names)
    }

    #[test]
    fn placeholders_become_values() {
        let (text, names) = filled("a {{secret:key}}{{secret:pin}} {{secret:key}}");
        assert_eq!(text.as_deref(), Some("a hunter2!sesame99 hunter2!"));
        assert_eq!(names, ["key", "pin", "key"]);
        for text in ["", "nothing", "{{secret", "{{ secret:key }}", "secret:key}}"] {
            assert_eq!(filled(text), (None, Vec::new()), "{text}");
        }
        let secrets = secrets();
        assert_eq!(secrets.fill(b"\xff{{secret:key}}\0", |_| Ok(())).unwrap().unwrap(), b"\xffhunter2!\0");
    }

    #[test]
    fn a_value_is_not_read_for_further_placeholders() {
        let mut plan = Plan::new(Vec::new());
        for (name, value) in [("a", "{{secret:b}}"), ("b", "hidden")] {
            let secret = GrantedSecret { value: Secret(value.to_owned()), hosts: Vec::new() };
            plan.secrets.insert(name.to_owned(), secret);
        }
        let filled = Secrets::of(&plan).unwrap().fill_text("{{secret:a}}", |_| Ok(())).unwrap();
        assert_eq!(filled.as_deref(), Some("{{secret:b}}"));
    }

    #[test]
    fn a_placeholder_of_no_secret_is_refused_by_name() {
        let secrets = secrets();
        let error = secrets.fill_text("{{secret:other}}", |_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "invalid request: secret `other` is not granted to the run; granted: `key`, `pin`");
        for text in ["{{secret:key", "{{secret:}}", "{{secret:{{secret:key}}", "{{secret:\n}}"] {
            assert!(matches!(secrets.fill_text(text, |_| Ok(())), Err(Error::InvalidRequest(_))), "{text}");
        }
        let long = format!("{{{{secret:{}}}}}", "a".repeat(1000));
        assert!(secrets.fill_text(&long, |_| Ok(())).unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn a_secret_may_go_where_it_is_granted() {
        let secrets = secrets();
        let check = |name: &str, url: &str| secrets.check(name, &Target::parse(url).unwrap());
        assert!(check("key", "http://a.test/x").is_ok());
        assert!(check("pin", "https://x.b.test:8443/").is_ok());
        let denied = "secret `key` may not go to `https://a.test`";
        assert_eq!(check("key", "https://a.test/"), Err(Error::Denied(denied.to_owned())));
        assert!(check("pin", "http://b.test/").is_err());
    }

    #[test]
    fn a_placeholder_in_a_url_is_seen_in_either_form() {
        for url in ["http://a/?k={{secret:key}}", "http://a/%7B%7Bsecret:key}}", "http://a/?%7b%7Bsecret%3Akey"] {
            assert!(Secrets::is_named_in_url(url), "{url}");
        }
        assert!(!Secrets::is_named_in_url("http://a/%20?secret:key"));
    }
}
