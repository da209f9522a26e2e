//! JSONPath (RFC 9535).
//!
//! The evaluation cannot be stopped once it has begun, so its cost is known before: from the path and from the size and
//! depth of the document ([`cost`]).

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use serde_json::Value;
use serde_json_path::functions::{LogicalType, ValueType};

use super::cost::{self, Size};
use super::pattern::Pattern;
use super::pick::Found;
use crate::wit::extract::Error;

/// The longest path, in bytes.
const LONGEST: usize = 2 << 10;
/// Brackets and parentheses nested deeper than this are refused: reading them takes four times longer for every two.
const DEEPEST: usize = 8;
/// The longest document, in bytes.
const LONGEST_DOCUMENT: usize = 16 << 20;
/// The most values of a document: about 200 MB, and a tenth of a second.
const MOST_VALUES: usize = 1_000_000;
/// The most steps of an evaluation: about a second.
const MOST_STEPS: f64 = 2e7;

/// A compiled path.
#[derive(Debug)]
pub(super) struct JsonPath(serde_json_path::JsonPath);

/// A parsed document.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    size: Size,
}

impl Document {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let length = body.len();
        if length > LONGEST_DOCUMENT {
            let limit = LONGEST_DOCUMENT;
            return Err(Error::TooMuch(format!("the body has {length} bytes, and the limit for JSONPath is {limit}")));
        }
        // Every value but the first follows one of these. Those inside texts are counted too.
        let values = 1 + body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        if values > MOST_VALUES {
            return Err(Error::TooMuch(format!(
                "the body has {values} values, and the limit for JSONPath is {MOST_VALUES}"
            )));
        }
        let value = serde_json::from_slice(body).map_err(|error| Error::NotJson(error.to_string()))?;
        let size = Size::of(&value);
        Ok(Self { value, size })
    }
}

impl JsonPath {
    pub(super) fn new(path: &str) -> Result<Self, Error> {
        let length = path.len();
        if length > LONGEST {
            return Err(invalid(format!("the path has {length} bytes, and the limit is {LONGEST}")));
        }
        let depth = cost::nesting(path);
        if depth > DEEPEST {
            return Err(invalid(format!("the path nests {depth} deep, and the limit is {DEEPEST}")));
        }
        let parsed = serde_json_path::JsonPath::parse(path);
        parsed.map(Self).map_err(|error| invalid(format!("`{path}`: {error}")))
    }

    /// The values it selects, as JSON text.
    pub(super) fn find(&self, path: &str, document: &Document, nth: i32) -> Result<Found<String>, Error> {
        let steps = cost::steps(path, document.size);
        if steps > MOST_STEPS {
            let values = document.size.values;
            return Err(Error::TooMuch(format!(
                "`{path}` may take {steps:.0} steps on {values} values, and the limit is {MOST_STEPS:.0}"
            )));
        }
        Patterns::begin();
        let nodes = self.0.query(&document.value);
        if let Some(problem) = Patterns::problem() {
            return Err(problem);
        }
        let mut found = Found::new(nth);
        for node in nodes {
            let mut text = None;
            let length = if nth < 1 { text.insert(node.to_string()).len() } else { 0 };
            if found.offer(length, || text.unwrap_or_else(|| node.to_string()))?.is_break() {
                break;
            }
        }
        Ok(found)
    }
}

fn invalid(why: String) -> Error {
    Error::InvalidExpression(why)
}

/// The expressions of `match` and `search`, which come from paths and documents. Each is compiled once, not once for every
/// value, and all together have a limit of work.
#[derive(Default)]
struct Patterns {
    /// By the expression; the last of a path that matches whole texts.
    compiled: FxHashMap<(String, bool), Pattern>,
    work: u64,
    problem: Option<Error>,
}

thread_local! {
    static PATTERNS: RefCell<Patterns> = RefCell::default();
}

impl Patterns {
    /// The most bytes an expression inside a path may be compiled to.
    const LARGEST: usize = 64 << 10;
    /// Bytes of compiled expressions times bytes of texts: about a second of the worst.
    const MOST_WORK: u64 = 1 << 34;
    /// Expressions kept.
    const KEPT: usize = 64;

    fn begin() {
        PATTERNS.with_borrow_mut(|patterns| (patterns.work, patterns.problem) = (0, None));
    }

    /// What was wrong since the beginning: a function of a path can only say yes or no.
    fn problem() -> Option<Error> {
        PATTERNS.with_borrow_mut(|patterns| patterns.problem.take())
    }

    fn test(&mut self, text: &ValueType<'_>, pattern: &ValueType<'_>, whole: bool) -> bool {
        let as_text = |value: &ValueType<'_>| value.as_value().and_then(Value::as_str).map(str::to_owned);
        let (Some(text), Some(pattern)) = (as_text(text), as_text(pattern)) else { return false };
        if self.problem.is_some() {
            return false;
        }
        if self.compiled.len() == Self::KEPT {
            self.compiled.clear();
        }
        let key = (pattern, whole);
        if !self.compiled.contains_key(&key) {
            let pattern = &key.0;
            let anchored = if whole { format!(r"\A(?:{pattern})\z") } else { pattern.clone() };
            // To compile one costs as much as to search for it in some text.
            self.work += 1 << 24;
            match Pattern::up_to(&anchored, Self::LARGEST) {
                Ok(compiled) => drop(self.compiled.insert(key.clone(), compiled)),
                Err(problem) => {
                    self.problem = Some(problem);
                    return false;
                }
            }
        }
        let compiled = &self.compiled[&key];
        self.work += compiled.work(text.len());
        if self.work > Self::MOST_WORK {
            let why = "the expressions of `match` and `search` are too large for so many values";
            self.problem = Some(Error::TooMuch(why.to_owned()));
            return false;
        }
        compiled.matches(&text)
    }
}

/// RFC 9535, 2.4.6: whether the whole text matches.
#[serde_json_path::function(name = "match")]
fn match_whole(text: ValueType, pattern: ValueType) -> LogicalType {
    PATTERNS.with_borrow_mut(|patterns| patterns.test(&text, &pattern, true)).into()
}

/// RFC 9535, 2.4.7: whether a part of the text matches.
#[serde_json_path::function(name = "search")]
fn search_part(text: ValueType, pattern: ValueType) -> LogicalType {
    PATTERNS.with_borrow_mut(|patterns| patterns.test(&text, &pattern, false)).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STORE: &str = r#"{"items": [{"id": 1, "name": "ada", "tags": ["x", "y"]}, {"id": 2, "name": "bob", "tags": []},
        {"id": 3, "name": "adam"}], "total": 3}"#;

    fn find(path: &str, nth: i32) -> Result<Vec<String>, Error> {
        let document = Document::parse(STORE.as_bytes())?;
        Ok(JsonPath::new(path)?.find(path, &document, nth)?.choose(|| 0.5))
    }

    #[test]
    fn values_come_as_json_in_the_order_of_the_document() {
        assert_eq!(find("$.items[*].id", -1).unwrap(), ["1", "2", "3"]);
        assert_eq!(find("$..name", 2).unwrap(), [r#""bob""#]);
        assert_eq!(find("$.items[?@.id > 1].name", -1).unwrap(), [r#""bob""#, r#""adam""#]);
        assert_eq!(find("$.items[0].tags", 1).unwrap(), [r#"["x","y"]"#]);
        assert_eq!(find("$.items[-1]['id']", 0).unwrap(), ["3"]);
        assert!(find("$.none", -1).unwrap().is_empty());
    }

    #[test]
    fn the_functions_of_the_rfc_are_there() {
        assert_eq!(find("$.items[?length(@.tags) == 2].id", -1).unwrap(), ["1"]);
        assert_eq!(find("$.items[?count(@.tags[*]) == 0].id", -1).unwrap(), ["2", "3"]);
        assert_eq!(find("$.items[?match(@.name, 'ad.')].id", -1).unwrap(), ["1"]);
        assert_eq!(find("$.items[?search(@.name, 'ad.')].id", -1).unwrap(), ["1", "3"]);
        assert_eq!(find("$.items[?match(@.id, '.*')].id", -1).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_path_that_cannot_be_used_says_why() {
        let nested = format!("$[?{}@.a{}]", "(".repeat(9), ")".repeat(9));
        for (path, part) in [
            ("items", "`items`"),
            ("$.items[", "`$.items[`"),
            ("$[?nothing(@.a)]", "'nothing' is not defined"),
            (&format!("$.{}", "a".repeat(3000)), "3002 bytes, and the limit is 2048"),
            (&nested, "10 deep, and the limit is 8"),
            ("$.items[?match(@.name, 'a(')]", "unclosed group"),
            ("$.items[?match(@.name, '.{500}{50}')]", "when compiled"),
        ] {
            let error = find(path, 1).err();
            assert!(matches!(&error, Some(Error::InvalidExpression(why)) if why.contains(part)), "{path}: {error:?}");
        }
    }

    #[test]
    fn a_document_that_is_not_json_or_too_much_is_an_error() {
        assert!(matches!(Document::parse(b"nonsense"), Err(Error::NotJson(_))));
        let many = format!("[{}0]", "0,".repeat(1_000_000));
        assert!(matches!(Document::parse(many.as_bytes()), Err(Error::TooMuch(why)) if why.contains("1000002 values")));
        let long = vec![b' '; (16 << 20) + 1];
        assert!(matches!(Document::parse(&long), Err(Error::TooMuch(why)) if why.contains("16777217 bytes")));
    }

    #[test]
    fn what_would_take_long_is_refused_before_it_begins() {
        let document = format!("[{}{{\"id\": 0}}]", r#"{"id": 1, "in": {"id": 2}},"#.repeat(20_000));
        let document = Document::parse(document.as_bytes()).unwrap();
        let run =
            |path: &str| JsonPath::new(path).unwrap().find(path, &document, 1).map(|found| found.choose(|| 0.0).len());
        for path in ["$..id", "$..*", "$..*..*", "$[?@.id == 1].id", "$..[?@.id == 2]", "$[?count(@..id) == 2]"] {
            assert!(run(path).is_ok(), "{path}");
        }
        for path in ["$[?count($..*) > @.id]", "$[*,*,*,*][*,*,*,*][*,*,*,*][*,*,*,*][*,*,*,*]", "$..[?@..[?$..id]]"] {
            assert!(matches!(run(path), Err(Error::TooMuch(why)) if why.contains("steps")), "{path}");
        }
    }

    #[test]
    fn matching_every_value_has_a_limit_of_work() {
        let texts = format!("[{}\"\"]", format!("\"{}\",", "ab".repeat(2000)).repeat(500));
        let document = Document::parse(texts.as_bytes()).unwrap();
        let path = "$[?search(@, 'a[ab]{200}c')]";
        let error = JsonPath::new(path).unwrap().find(path, &document, 1).err();
        assert!(matches!(error, Some(Error::TooMuch(why)) if why.contains("`search`")));
    }

    /// Paths of every kind of selector, filters in filters included.
    fn path() -> impl Strategy<Value = String> {
        let selector = prop_oneof![Just("'a'"), Just("*"), Just("0"), Just("-1"), Just("0:2"), Just("::-1")];
        let selector = selector.prop_map(str::to_owned);
        let segments = |selector: BoxedStrategy<String>| {
            let brackets = prop::collection::vec(selector, 1..4).prop_map(|all| format!("[{}]", all.join(", ")));
            let segment = prop_oneof![Just(".a".to_owned()), Just("..b".to_owned()), Just("..*".to_owned()), brackets];
            let descends = (any::<bool>(), segment).prop_map(|(descends, segment)| {
                if descends && segment.starts_with('[') { format!("..{segment}") } else { segment }
            });
            prop::collection::vec(descends, 0..4).prop_map(|all| all.concat())
        };
        let inner = segments(selector.clone().boxed());
        let filter = (any::<bool>(), inner).prop_map(|(root, rest)| format!("?{}{rest}", if root { '$' } else { '@' }));
        segments(prop_oneof![4 => selector, 1 => filter].boxed()).prop_map(|rest| format!("${rest}"))
    }

    fn document() -> impl Strategy<Value = Value> {
        Just(Value::from(1)).prop_recursive(4, 24, 4, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
            let object = prop::collection::vec((prop_oneof![Just("a"), Just("b"), Just("c")], inner), 0..4);
            let object =
                object.prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
            prop_oneof![list, object.prop_map(Value::Object)]
        })
    }

    proptest! {
        #[test]
        fn a_path_never_selects_more_than_the_steps_it_may_take(path in path(), document in document()) {
            let compiled = serde_json_path::JsonPath::parse(&path).unwrap();
            let selected = compiled.query(&document).len();
            let steps = cost::steps(&path, Size::of(&document));
            prop_assert!(selected as f64 <= steps, "{selected} values in {steps} steps");
        }
    }
}
