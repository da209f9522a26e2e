//! How thresholds and selectors are read and printed. The grammar is k6's; what is printed reads back the same.

use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::Duration;

use super::{Aggregation, Comparison, Expression, Selector, Threshold, ThresholdError};
use crate::metrics::Tags;

/// Operators, those that start with another one before it.
const OPERATORS: [(&str, Comparison); 7] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("===", Comparison::Equal),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Threshold {
    /// Reads a threshold: `key` is a metric or `metric{tag:value}`, `text` is `aggregation operator number`.
    pub fn parse(key: &str, text: &str) -> Result<Self, ThresholdError> {
        Ok(Self {
            selector: Selector::parse(key)?,
            expression: Expression::parse(text)?,
            abort_on_fail: false,
            delay_abort: Duration::ZERO,
            allow_no_data: false,
        })
    }
}

/// Reads `metric{tag:value}: aggregation operator number`.
impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let after_tags = end_of_tags(text).unwrap_or_default();
        let Some(colon) = text[after_tags..].find(':') else {
            return Err(syntax(
                text,
                "a colon between metric and condition is missing, like `http_req_duration: p(95)<500`",
            ));
        };
        let (key, condition) = text.split_at(after_tags + colon);
        Self::parse(key, &condition[1..])
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.selector, self.expression)
    }
}

impl Selector {
    /// Reads a metric's name, or `metric{tag:value,tag2:"value, with a comma"}`.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let text = text.trim();
        let Some(open) = text.find('{') else {
            return match text {
                "" => Err(syntax(text, "the metric's name is missing")),
                _ if text.contains('}') => Err(syntax(text, "a `{` is missing")),
                _ => Ok(Self { metric: text.to_owned(), tags: Tags::default() }),
            };
        };
        let metric = text[..open].trim();
        if metric.is_empty() {
            return Err(syntax(text, "the metric's name is missing"));
        }
        let Some(end) = end_of_tags(text) else { return Err(syntax(text, "a `}` is missing")) };
        if !text[end..].trim().is_empty() {
            return Err(syntax(text, "nothing may follow the `}`"));
        }
        let tags = parse_tags(&text[open + 1..end - 1]).map_err(|reason| syntax(text, reason))?;
        Ok(Self { metric: metric.to_owned(), tags })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.tags.is_empty() { Ok(()) } else { write!(f, "{{{}}}", self.suffix()) }
    }
}

impl Selector {
    /// The tags as they stand between the braces.
    #[must_use]
    pub fn suffix(&self) -> String {
        let mut suffix = String::new();
        for (name, value) in self.tags.iter() {
            if !suffix.is_empty() {
                suffix.push(',');
            }
            let plain = |text: &str| !text.contains([',', '{', '}', '"', '\'', '\\']) && text.trim() == text;
            let _ = write!(suffix, "{name}:");
            if plain(value) {
                suffix.push_str(value);
            } else {
                let _ = write!(suffix, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            }
        }
        suffix
    }
}

impl Expression {
    /// Reads `aggregation operator number`.
    pub fn parse(text: &str) -> Result<Self, ThresholdError> {
        let source = text.trim();
        let Some(at) = source.find(['<', '>', '=', '!']) else {
            return Err(syntax(source, "an operator is missing, one of `<`, `<=`, `>`, `>=`, `==`, `===`, `!=`"));
        };
        let (aggregation, rest) = source.split_at(at);
        let Some((operator, comparison)) = OPERATORS.iter().find(|(operator, _)| rest.starts_with(operator)) else {
            return Err(syntax(source, "the operator is none of `<`, `<=`, `>`, `>=`, `==`, `===`, `!=`"));
        };
        let number = rest[operator.len()..].trim();
        let starts_well = number.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
        let bound = number.parse::<f64>().ok().filter(|bound| starts_well && bound.is_finite());
        let Some(bound) = bound else { return Err(syntax(source, format!("`{number}` is not a number"))) };
        let aggregation = Aggregation::parse(aggregation.trim()).map_err(|reason| syntax(source, reason))?;
        Ok(Self { aggregation, comparison: *comparison, bound, source: source.to_owned() })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.aggregation, self.comparison, self.bound)
    }
}

impl Aggregation {
    /// Reads an aggregation; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "count" => return Ok(Self::Count),
            "rate" => return Ok(Self::Rate),
            "value" => return Ok(Self::Value),
            "avg" => return Ok(Self::Avg),
            "min" => return Ok(Self::Min),
            "max" => return Ok(Self::Max),
            "med" => return Ok(Self::Med),
            "" => return Err("the aggregation is missing".to_owned()),
            _ => {}
        }
        let Some(percent) = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')) else {
            let all = "`count`, `rate`, `value`, `avg`, `min`, `max`, `med`, `p(N)`";
            return Err(format!("`{text}` is not an aggregation, which are {all}"));
        };
        match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percentile(percent)),
            _ => Err(format!("`{percent}` is not a percentile from 0 to 100")),
        }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Rate => "rate",
            Self::Value => "value",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Med => "med",
            Self::Percentile(percent) => return write!(f, "p({percent})"),
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        })
    }
}

fn syntax(text: &str, reason: impl Into<String>) -> ThresholdError {
    ThresholdError::Syntax { text: text.trim().to_owned(), reason: reason.into() }
}

/// Walks a text and says for each character whether it stands outside of quotes and is not escaped.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().map(move |(at, char)| {
        if escaped {
            escaped = false;
            return (at, char, false);
        }
        match quote {
            Some(_) if char == '\\' => escaped = true,
            Some(open) if char == open => quote = None,
            None if char == '"' || char == '\'' => quote = Some(char),
            None => return (at, char, true),
            Some(_) => {}
        }
        (at, char, false)
    })
}

/// Returns where the text goes on after `{…}`; `None` if there is no `{`, or no `}` for it.
fn end_of_tags(text: &str) -> Option<usize> {
    let open = text.find('{')?;
    outside_quotes(&text[open..]).find(|(_, char, outside)| *outside && *char == '}').map(|(at, ..)| open + at + 1)
}

/// Reads `name:value,name:"value"`.
fn parse_tags(text: &str) -> Result<Tags, String> {
    let commas = outside_quotes(text).filter(|(_, char, outside)| *outside && *char == ',').map(|(at, ..)| at);
    let mut tags = Vec::new();
    let mut start = 0;
    for end in commas.chain([text.len()]) {
        let tag = text[start..end].trim();
        start = end + 1;
        let Some((name, value)) = tag.split_once(':') else {
            return Err(format!("`{tag}` is not `tag:value`"));
        };
        if name.trim().is_empty() {
            return Err(format!("`{tag}` has no name before the colon"));
        }
        tags.push((name.trim().to_owned(), unquoted(value.trim())));
    }
    Ok(tags.into_iter().collect())
}

fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let Some(inner) = inner else { return value.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => plain.extend(chars.next()),
            _ => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_is_that_of_k6() {
        for (text, aggregation, comparison, bound) in [
            ("p(95)<500", Aggregation::Percentile(95.0), Comparison::Less, 500.0),
            (" p(99.9) <= 1.5e3 ", Aggregation::Percentile(99.9), Comparison::LessOrEqual, 1500.0),
            ("rate === 0", Aggregation::Rate, Comparison::Equal, 0.0),
            ("count==10", Aggregation::Count, Comparison::Equal, 10.0),
            ("value!=-1", Aggregation::Value, Comparison::NotEqual, -1.0),
            ("med>=.5", Aggregation::Med, Comparison::GreaterOrEqual, 0.5),
            ("avg>1", Aggregation::Avg, Comparison::Greater, 1.0),
        ] {
            let expression = Expression::parse(text).unwrap();
            assert_eq!((expression.aggregation, expression.comparison), (aggregation, comparison), "{text}");
            assert!((expression.bound - bound).abs() < 1e-12, "{text}");
            assert_eq!(expression.source, text.trim());
        }
    }

    #[test]
    fn what_is_no_threshold_says_why() {
        for (text, reason) in [
            ("p(95) 500", "an operator is missing"),
            ("p(101)<1", "`101` is not a percentile"),
            ("mean<1", "`mean` is not an aggregation"),
            ("<1", "the aggregation is missing"),
            ("avg<fast", "`fast` is not a number"),
            ("avg<inf", "`inf` is not a number"),
            ("avg<500ms", "`500ms` is not a number"),
            ("avg=1", "the operator is none of"),
        ] {
            let error = Threshold::parse("m", text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for key in ["", "m{", "m{a}", "m{a:b}c", "{a:b}", "m}"] {
            assert!(Selector::parse(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_selector_takes_urls_and_quoted_values() {
        let selector = Selector::parse(r#"http_reqs{ name:http://x:80/a?b=c, group: "::a, b" }"#).unwrap();
        assert_eq!(selector.tags, [("name", "http://x:80/a?b=c"), ("group", "::a, b")].into_iter().collect());
        assert_eq!(selector.to_string(), r#"http_reqs{group:"::a, b",name:http://x:80/a?b=c}"#);
    }

    #[test]
    fn one_line_holds_metric_and_condition() {
        let threshold: Threshold = "http_req_duration{name:\"a}:b\"}: p(95)<500".parse().unwrap();
        assert_eq!(threshold.selector.tags.get("name"), Some("a}:b"));
        assert_eq!(threshold.expression.source, "p(95)<500");
        assert!("http_req_duration p(95)<500".parse::<Threshold>().is_err());
    }

    fn aggregations() -> impl Strategy<Value = Aggregation> {
        use Aggregation::{Avg, Count, Max, Med, Min, Percentile, Rate, Value};
        let named = prop::sample::select(vec![Avg, Count, Max, Med, Min, Rate, Value]);
        prop_oneof![named, (0.0..=100.0).prop_map(Percentile)]
    }

    proptest! {
        #[test]
        fn a_printed_threshold_parses_back(
            metric in "[a-z_][a-z0-9_]{0,20}",
            tags in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{0,8}", 0..4),
            aggregation in aggregations(),
            operator in 0..OPERATORS.len(),
            bound in -1e9..1e9,
        ) {
            let expression = Expression { aggregation, comparison: OPERATORS[operator].1, bound, source: String::new() };
            let selector = Selector { metric, tags: tags.into_iter().collect() };
            let source = expression.to_string();
            let threshold = Threshold {
                selector,
                expression: Expression { source, ..expression },
                abort_on_fail: false,
                delay_abort: Duration::ZERO,
                allow_no_data: false,
            };
            let back: Threshold = threshold.to_string().parse().unwrap();
            prop_assert_eq!(back, threshold);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
