//! Reading an answer on the host: what is found enters the guest, the body does not.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::Response;
use crate::Error;
use crate::bindings::squall::journey::extract as host;

/// The match numbers of the contract.
const FIRST: i32 = 1;
const RANDOM: i32 = 0;
const ALL: i32 = -1;

/// Something to be found in an answer, by the host.
///
/// Made by [`Response::json_path`], [`regex`](Response::regex), [`css`](Response::css) and
/// [`between`](Response::between). Nothing is read until [`first`](Self::first), [`or`](Self::or) or [`all`](Self::all).
///
/// ```no_run
/// # fn main() -> Result<(), squall_sdk::Error> {
/// let page = squall_sdk::http::get("http://127.0.0.1:8080/html")?;
/// let token = page.css("input[name=csrf]").attribute("value").or("NOT_FOUND")?;
/// let links = page.css("nav a").attribute("href").all()?;
/// let one_of_them = page.regex(r#"href="(/item/\d+)""#).group(1).random().first()?;
/// let second = page.between("<li>", "</li>").nth(2).first()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is asked for with `first`, `or` or `all`"]
pub struct Extract<'a> {
    id: u32,
    source: Source<'a>,
    nth: i32,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    JsonPath(&'a str),
    Regex { pattern: &'a str, group: String },
    Css { selector: &'a str, attribute: Option<&'a str> },
    Between { left: &'a str, right: &'a str },
}

impl<'a> Extract<'a> {
    fn new(response: &Response, source: Source<'a>) -> Self {
        Self { id: response.id(), source, nth: FIRST }
    }

    /// Of a regular expression: the group that is wanted, by its number or its name. Without it, the whole match.
    #[expect(clippy::needless_pass_by_value, reason = "`group(1)` reads better than a reference")]
    pub fn group(mut self, wanted: impl ToString) -> Self {
        if let Source::Regex { group, .. } = &mut self.source {
            *group = wanted.to_string();
        }
        self
    }

    /// Of a CSS selector: the attribute that is wanted. Elements without it do not count. Without it, the text inside.
    pub fn attribute(mut self, name: &'a str) -> Self {
        if let Source::Css { attribute, .. } = &mut self.source {
            *attribute = Some(name);
        }
        self
    }

    /// The n-th of what is found, from 1. The first is what is wanted otherwise.
    pub fn nth(mut self, number: u32) -> Self {
        // What lies beyond the contract's numbers is beyond any body as well; there is no 0-th either.
        self.nth = i32::try_from(number.max(1)).unwrap_or(i32::MAX);
        self
    }

    /// One of what is found, by the host's seeded sequence.
    pub fn random(mut self) -> Self {
        self.nth = RANDOM;
        self
    }

    /// What is wanted, or none.
    pub fn first(self) -> Result<Option<String>, Error> {
        Ok(self.read()?.into_iter().next())
    }

    /// What is wanted, or `default` where it is not there.
    pub fn or(self, default: &str) -> Result<String, Error> {
        Ok(self.first()?.unwrap_or_else(|| default.to_owned()))
    }

    /// All that is found, in the order of the body. At most 10 000 texts of 16 MiB in all.
    pub fn all(mut self) -> Result<Vec<String>, Error> {
        self.nth = ALL;
        self.read()
    }

    fn read(self) -> Result<Vec<String>, Error> {
        let Self { id, source, nth } = self;
        Ok(match source {
            Source::JsonPath(path) => host::json_path(id, path, nth)?.into_iter().map(plain).collect(),
            Source::Regex { pattern, group } => host::regex(id, pattern, &group, nth)?,
            Source::Css { selector, attribute } => host::css(id, selector, attribute, nth)?,
            Source::Between { left, right } => host::boundary(id, left, right, nth)?,
        })
    }
}

/// A JSON text as what it says, any other value as it is.
fn plain(json: String) -> String {
    if json.starts_with('"') { serde_json::from_str(&json).unwrap_or(json) } else { json }
}

/// A hash function for [`Response::hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// Reading on the host: the body stays outside the guest.
impl Response {
    /// Finds values by a JSONPath (RFC 9535). A text comes as what it says (`ada`), any other value as JSON (`3`,
    /// `[1,2]`).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// # let list = squall_sdk::http::get("http://127.0.0.1:8080/workflows")?;
    /// let id = list.json_path("$.items[?@.name == 'nightly'].id").or("NOT_FOUND")?;
    /// # Ok(()) }
    /// ```
    pub fn json_path<'a>(&self, path: &'a str) -> Extract<'a> {
        Extract::new(self, Source::JsonPath(path))
    }

    /// All values that a JSONPath selects, read from JSON.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// # let list = squall_sdk::http::get("http://127.0.0.1:8080/workflows")?;
    /// let ids: Vec<u64> = list.json_path_values("$.items[*].id")?;
    /// # Ok(()) }
    /// ```
    pub fn json_path_values<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Error> {
        let values = host::json_path(self.id(), path, ALL)?;
        values.iter().map(|value| Ok(serde_json::from_str(value)?)).collect()
    }

    /// Finds texts by a regular expression in the syntax of Rust's `regex`. The body's bytes are searched, whatever they
    /// are.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// # let page = squall_sdk::http::get("http://127.0.0.1:8080/html")?;
    /// let token = page.regex(r#"name="csrf" value="(?<token>[^"]+)""#).group("token").or("NOT_FOUND")?;
    /// # Ok(()) }
    /// ```
    pub fn regex<'a>(&self, pattern: &'a str) -> Extract<'a> {
        Extract::new(self, Source::Regex { pattern, group: "0".to_owned() })
    }

    /// All groups of each match of a regular expression, the whole match first. A group that took no part is none.
    pub fn regex_captures(&self, pattern: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        Ok(host::regex_captures(self.id(), pattern, ALL)?)
    }

    /// Finds HTML elements by a CSS selector: the text inside, or an [attribute](Extract::attribute).
    pub fn css<'a>(&self, selector: &'a str) -> Extract<'a> {
        Extract::new(self, Source::Css { selector, attribute: None })
    }

    /// Finds what stands between two texts. An empty `left` is the body's begin, an empty `right` its end.
    pub fn between<'a>(&self, left: &'a str, right: &'a str) -> Extract<'a> {
        Extract::new(self, Source::Between { left, right })
    }

    /// All values of a header, in the order received. Names are case-insensitive.
    pub fn header_values(&self, name: &str) -> Result<Vec<String>, Error> {
        Ok(host::header_values(self.id(), name)?)
    }

    /// Whether the body holds this text.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// use squall_sdk::{check, http};
    /// let page = http::get("http://127.0.0.1:8080/html")?;
    /// check!("is signed in", page.contains("Sign out")?);
    /// # Ok(()) }
    /// ```
    pub fn contains(&self, text: &str) -> Result<bool, Error> {
        Ok(host::contains(self.id(), text)?)
    }

    /// A part of the body, by its bytes; shorter where the body ends before.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// # let file = squall_sdk::http::get("http://127.0.0.1:8080/bytes/1000000")?;
    /// let head = file.body_range(0..16)?;
    /// # Ok(()) }
    /// ```
    pub fn body_range(&self, range: Range<u32>) -> Result<Vec<u8>, Error> {
        Ok(host::body_slice(self.id(), range.start, range.end.saturating_sub(range.start))?)
    }

    /// Bytes of the body that the host holds; 0 where the body was thrown away.
    pub fn held_len(&self) -> Result<u32, Error> {
        Ok(host::size(self.id())?)
    }

    /// A hash of the body, in lower-case hexadecimal.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), squall_sdk::Error> {
    /// use squall_sdk::http::{self, Hash};
    /// let file = http::get("http://127.0.0.1:8080/bytes/1000000")?;
    /// let sum = file.hash(Hash::Sha256)?;
    /// # Ok(()) }
    /// ```
    pub fn hash(&self, hash: Hash) -> Result<String, Error> {
        let digest = match hash {
            Hash::Md5 => host::Digest::Md5,
            Hash::Sha1 => host::Digest::Sha1,
            Hash::Sha256 => host::Digest::Sha256,
            Hash::Sha512 => host::Digest::Sha512,
        };
        Ok(host::hash(self.id(), digest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(source: Source<'_>) -> Extract<'_> {
        Extract { id: 1, source, nth: FIRST }
    }

    #[test]
    fn a_json_text_is_what_it_says_and_any_other_value_stays_json() {
        for (json, text) in
            [(r#""a\"b""#, "a\"b"), ("12", "12"), (r#"["a"]"#, r#"["a"]"#), ("null", "null"), (r#""""#, "")]
        {
            assert_eq!(plain(json.to_owned()), text);
        }
    }

    #[test]
    fn what_is_wanted_is_the_first_unless_told_otherwise() {
        let css = || extract(Source::Css { selector: "a", attribute: None });
        assert_eq!((css().nth, css().nth(3).nth, css().nth(0).nth, css().nth(u32::MAX).nth), (1, 3, 1, i32::MAX));
        assert_eq!(css().random().nth, 0);
        assert!(matches!(css().attribute("href").source, Source::Css { attribute: Some("href"), .. }));
    }

    #[test]
    fn a_group_is_a_number_or_a_name() {
        let regex = || extract(Source::Regex { pattern: "a", group: "0".to_owned() });
        let group = |extract: Extract<'_>| match extract.source {
            Source::Regex { group, .. } => group,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (group(regex()), group(regex().group(2)), group(regex().group("id"))),
            ("0".into(), "2".into(), "id".into())
        );
    }
}
