//! Regular expressions and boundaries, on bytes.
//!
//! The search itself is linear, but a large expression can cost microseconds for every byte of a body made for it, and a
//! search that has begun cannot be ended. So the size of the expression decides how long a body may be.

use memchr::memmem::Finder;
use regex::bytes::{Captures, Match, Regex, RegexBuilder};

use super::pick::Found;
use crate::wit::extract::Error;

/// The longest expression, in bytes.
const LONGEST: usize = 8 << 10;
/// The most bytes an expression may be compiled to.
const LARGEST: usize = 1 << 20;
/// Bytes of the compiled expression times bytes of the body. The worst body takes up to 3 seconds at this limit
/// (measured), where a usual one takes milliseconds.
const MOST_WORK: u64 = 1 << 35;
/// Groups nested deeper than this are refused.
const DEEPEST: u32 = 64;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// At least the bytes it was compiled to.
    size: usize,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, Error> {
        Self::up_to(pattern, LARGEST)
    }

    /// Compiles an expression to at most `largest` bytes.
    pub(super) fn up_to(pattern: &str, largest: usize) -> Result<Self, Error> {
        if pattern.len() > LONGEST {
            let length = pattern.len();
            return Err(invalid(format!("the expression has {length} bytes, and the limit is {LONGEST}")));
        }
        // The crate does not say how large an expression became, only that it is larger than a limit.
        let mut size = 1 << 10;
        loop {
            let mut builder = RegexBuilder::new(pattern);
            match builder.size_limit(size).dfa_size_limit(256 << 10).nest_limit(DEEPEST).build() {
                Ok(regex) => return Ok(Self { regex, size }),
                Err(regex::Error::CompiledTooBig(_)) if size < largest => size = (size + size / 2).min(largest),
                Err(regex::Error::CompiledTooBig(_)) => {
                    let hint = "smaller repeats help, and `(?-u)` before `\\w`, `\\d` and `\\s`";
                    return Err(invalid(format!("`{pattern}` is over {largest} bytes when compiled; {hint}")));
                }
                Err(error) => return Err(invalid(format!("`{pattern}`: {}", last_line(&error)))),
            }
        }
    }

    /// The cost of a search in so many bytes.
    pub(super) fn work(&self, bytes: usize) -> u64 {
        (self.size as u64).saturating_mul(bytes as u64)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// Texts that a group matched.
    pub(super) fn find(&self, body: &[u8], group: &str, nth: i32) -> Result<Found<String>, Error> {
        self.check(body)?;
        let group = self.group(group)?;
        let mut found = Found::new(nth);
        let mut offer = |part: Option<Match<'_>>| {
            let bytes = part.map_or(&[][..], |part| part.as_bytes());
            found.offer(bytes.len(), || text(bytes))
        };
        if group == 0 {
            for whole in self.regex.find_iter(body) {
                if offer(Some(whole))?.is_break() {
                    break;
                }
            }
        } else {
            for captures in self.regex.captures_iter(body) {
                if offer(captures.get(group))?.is_break() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// All groups of each match.
    pub(super) fn captures(&self, body: &[u8], nth: i32) -> Result<Found<Vec<Option<String>>>, Error> {
        self.check(body)?;
        let mut found = Found::new(nth);
        let groups =
            |captures: &Captures<'_>| captures.iter().map(|part| part.map(|part| text(part.as_bytes()))).collect();
        for captures in self.regex.captures_iter(body) {
            let bytes = captures.iter().flatten().map(|part| part.len()).sum();
            if found.offer(bytes, || groups(&captures))?.is_break() {
                break;
            }
        }
        Ok(found)
    }

    fn check(&self, body: &[u8]) -> Result<(), Error> {
        let (length, longest) = (body.len(), MOST_WORK / self.size as u64);
        if length as u64 > longest {
            let hint = "smaller repeats help, and `(?-u)` before `\\w`, `\\d` and `\\s`";
            return Err(Error::TooMuch(format!(
                "the body has {length} bytes, and the limit for an expression of this size is {longest}; {hint}"
            )));
        }
        Ok(())
    }

    fn group(&self, group: &str) -> Result<usize, Error> {
        let number = group.parse().ok().filter(|number| *number < self.regex.captures_len());
        let named = || self.regex.capture_names().position(|name| name == Some(group));
        number.or_else(named).ok_or_else(|| invalid(format!("`{}` has no group `{group}`", self.regex.as_str())))
    }
}

/// Texts between two others.
pub(super) fn between(body: &[u8], left: &str, right: &str, nth: i32) -> Result<Found<String>, Error> {
    let (left_finder, right_finder) = (Finder::new(left), Finder::new(right));
    let mut found = Found::new(nth);
    let mut rest = body;
    while let Some(start) = left_finder.find(rest) {
        let inside = &rest[start + left.len()..];
        let end = if right.is_empty() { Some(inside.len()) } else { right_finder.find(inside) };
        let Some(end) = end else { break };
        if found.offer(end, || text(&inside[..end]))?.is_break() || left.is_empty() || right.is_empty() {
            break;
        }
        rest = &inside[end + right.len()..];
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn invalid(why: String) -> Error {
    Error::InvalidExpression(why)
}

/// What is wrong, without the drawing of where: a message is one line.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, body: &[u8], group: &str, nth: i32) -> Result<Vec<String>, Error> {
        Ok(Pattern::new(pattern)?.find(body, group, nth)?.choose(|| 0.5))
    }

    #[test]
    fn a_group_is_a_number_or_a_name() {
        let body = b"id=1&id=22&id=333";
        let pattern = r"id=(?<id>\d+)";
        assert_eq!(find(pattern, body, "0", -1).unwrap(), ["id=1", "id=22", "id=333"]);
        assert_eq!(find(pattern, body, "1", 2).unwrap(), ["22"]);
        assert_eq!(find(pattern, body, "id", 0).unwrap(), ["22"]);
        assert!(find(pattern, body, "1", 4).unwrap().is_empty());
        let error = find(pattern, body, "2", 1).unwrap_err();
        assert!(matches!(error, Error::InvalidExpression(why) if why.contains("no group `2`")));
    }

    #[test]
    fn a_group_that_took_no_part_is_empty_or_none() {
        let pattern = Pattern::new("(a)|(b)").unwrap();
        assert_eq!(pattern.find(b"ab", "1", -1).unwrap().choose(|| 0.0), ["a", ""]);
        let some = |text: &str| Some(text.to_owned());
        let all = pattern.captures(b"ab", -1).unwrap().choose(|| 0.0);
        assert_eq!(all, [vec![some("a"), some("a"), None], vec![some("b"), None, some("b")]]);
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_all_the_same() {
        assert_eq!(find("a(.*)c", b"\xff a\xe4bc", "0", 1).unwrap(), Vec::<String>::new());
        assert_eq!(find("(?s-u)a(.*)c", b"\xff a\xe4bc", "1", 1).unwrap(), ["\u{fffd}b"]);
    }

    #[test]
    fn an_expression_that_cannot_be_used_says_why_in_a_line() {
        let why = |pattern: &str| match Pattern::new(pattern) {
            Err(Error::InvalidExpression(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why("a("), "`a(`: unclosed group");
        assert!(why(r"\w{1,200}").contains("over 1048576 bytes"));
        assert!(why(&"a".repeat(9000)).contains("9000 bytes, and the limit is 8192"));
        assert!(why(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).contains("nest"));
    }

    #[test]
    fn a_large_expression_takes_only_small_bodies() {
        let pattern = Pattern::new(r"(?-u)a[ab]{2000}c").unwrap();
        assert!(pattern.find(&[b'a'; 1000], "0", 1).is_ok());
        let error = pattern.find(&vec![b'a'; 1 << 20], "0", 1).err();
        assert!(matches!(error, Some(Error::TooMuch(why)) if why.contains("1048576 bytes, and the limit")));
        // What extractors are usually written like takes large ones.
        for pattern in [r#"name="csrf" value="([^"]+)""#, r#""token":"([^"]+)""#, "(?i)<title>(.*?)</title>"] {
            assert!(Pattern::new(pattern).unwrap().work(12 << 20) <= MOST_WORK, "{pattern}");
        }
    }

    #[test]
    fn what_stands_between_two_texts_is_as_short_as_it_can_be() {
        let all = |left, right| between(b"[a][b] [c", left, right, -1).unwrap().choose(|| 0.0);
        assert_eq!(all("[", "]"), ["a", "b"]);
        assert_eq!((all("", "["), all("", "]")), (vec![String::new()], vec!["[a".to_owned()]));
        assert_eq!((all("[b]", ""), all("", "")), (vec![" [c".to_owned()], vec!["[a][b] [c".to_owned()]));
        assert_eq!((all("x", "]"), all("[c", "]")), (vec![], vec![]));
    }
}
