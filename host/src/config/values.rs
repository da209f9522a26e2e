//! The kinds of value that options have: how each is read and how it is shown again.

use std::time::Duration;

use super::fields::Decode;
use super::findings::Findings;
use super::node::{Node, Value};
use crate::plan::duration::{self, DurationError};

/// How a value is shown beside where it came from.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

/// A part of a whole, 0 to 1: `5%` or `0.05`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Portion(pub f64);

/// A number of bytes: `64MiB`, `10MB` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) struct Bytes(pub u64);

/// Units of bytes, in the order of their length so that `MB` is not taken for `B`.
const BYTE_UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

fn whole(node: &Node) -> Option<i128> {
    match &node.value {
        Value::Integer(number) => Some(*number),
        // JavaScript and its like have one kind of number; up to 2^53 it holds whole ones exactly.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i128),
        Value::Text(text) if node.spot.place.has_only_texts() => text.trim().parse().ok(),
        _ => None,
    }
}

fn number(node: &Node) -> Option<f64> {
    let number = match &node.value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) if node.spot.place.has_only_texts() => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

pub(super) fn reported<T>(value: Option<T>, node: &Node, expected: &str, findings: &mut Findings) -> Option<T> {
    if value.is_none() {
        findings.mismatch(node, expected);
    }
    value
}

impl Decode for bool {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if node.spot.place.has_only_texts() => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Some(true),
                "false" | "f" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        reported(value, node, "`true` or `false`", findings)
    }
}

impl Decode for u32 {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = whole(node).and_then(|number| number.try_into().ok());
        reported(value, node, "a whole number from 0 to 4294967295", findings)
    }
}

impl Decode for u64 {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = whole(node).and_then(|number| number.try_into().ok());
        reported(value, node, "a whole number, 0 or more", findings)
    }
}

impl Decode for f64 {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = number(node).filter(|number| *number >= 0.0);
        reported(value, node, "a number, 0 or more", findings)
    }
}

impl Decode for String {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        reported(value, node, "a text", findings)
    }
}

impl Decode for Duration {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let expected = "a duration like `30s`";
        let parsed = match &node.value {
            Value::Text(text) => duration::parse(text),
            Value::Integer(number) => duration::parse(&number.to_string()),
            // Display of a float never uses an exponent.
            Value::Float(number) if number.is_finite() => duration::parse(&number.to_string()),
            _ => {
                findings.mismatch(node, expected);
                return None;
            }
        };
        match parsed {
            Ok(span) => Some(span),
            Err(DurationError::Syntax { .. }) => {
                findings.mismatch(node, expected);
                None
            }
            Err(error) => {
                let message = format!("`{}`: {error}", findings.name(&node.spot));
                let problem = findings.problem(&node.spot, &message);
                findings.error(problem);
                None
            }
        }
    }
}

impl Decode for Portion {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = match &node.value {
            Value::Text(text) => match text.trim().strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
                None => text.trim().parse().ok(),
            },
            _ => number(node),
        };
        let value = value.filter(|portion| (0.0..=1.0).contains(portion));
        reported(value.map(Self), node, "a share from `0%` to `100%`, or from 0 to 1", findings)
    }
}

impl Decode for Bytes {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let value = match &node.value {
            Value::Text(text) => bytes(text.trim()),
            _ => whole(node).and_then(|number| number.try_into().ok()),
        };
        reported(value.map(Self), node, "a number of bytes like `64MiB`", findings)
    }
}

fn bytes(text: &str) -> Option<u64> {
    let unit = BYTE_UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (number, size) = unit.unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(size)
}

impl Decode for Vec<String> {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            // Only where there are no lists do commas make one.
            Value::Text(text) if node.spot.place.has_only_texts() => {
                Some(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
            }
            Value::Text(text) => Some(vec![text.clone()]),
            Value::List(items) => items.iter().map(|item| String::decode(item, findings)).collect(),
            _ => reported(None, node, "a list of texts", findings),
        }
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for f64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        if self.is_empty() { "\"\"".to_owned() } else { self.clone() }
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        duration::format(*self)
    }
}

impl Shown for Portion {
    fn shown(&self) -> String {
        // A share of 0.07 times 100 is not quite 7; no one writes shares to nine places.
        let percent = format!("{:.6}", self.0 * 100.0);
        format!("{}%", percent.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Shown for Bytes {
    fn shown(&self) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let unit = units.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        unit.map_or_else(|| format!("{}B", self.0), |(unit, size)| format!("{}{unit}", self.0 / size))
    }
}

impl Shown for Vec<String> {
    fn shown(&self) -> String {
        if self.is_empty() { "none".to_owned() } else { self.join(", ") }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::node::{Place, Spot};
    use super::*;

    pub(in super::super) fn json<T: Decode>(text: &str) -> Result<T, String> {
        let spot = Spot { name: "x".to_owned(), place: Place::Journey };
        let node = Node::json(serde_json::from_str(text).unwrap(), spot);
        read(&node)
    }

    pub(in super::super) fn flag<T: Decode>(text: &str) -> Result<T, String> {
        read(&Node::text("--x", Place::CommandLine, text))
    }

    fn read<T: Decode>(node: &Node) -> Result<T, String> {
        let mut findings = Findings::default();
        let value = T::decode(node, &mut findings);
        match (value, findings.errors.first()) {
            (Some(value), None) => Ok(value),
            (_, Some(problem)) => Err(problem.message.clone()),
            (None, None) => panic!("a value that cannot be read is reported"),
        }
    }

    #[test]
    fn numbers_may_be_texts_only_where_there_is_nothing_else() {
        assert_eq!(flag::<u32>("10"), Ok(10));
        assert_eq!(json::<u32>("10"), Ok(10));
        assert_eq!(json::<u32>("10.0"), Ok(10));
        let whole = "a whole number from 0 to 4294967295";
        assert_eq!(json::<u32>("\"10\""), Err(format!("`x` must be {whole}, but is the text `10`")));
        assert_eq!(json::<u32>("-1"), Err(format!("`x` must be {whole}, but is `-1`")));
        assert_eq!(json::<u32>("1.5"), Err(format!("`x` must be {whole}, but is `1.5`")));
        assert_eq!(json::<u32>("5000000000"), Err(format!("`x` must be {whole}, but is `5000000000`")));
        assert_eq!(flag::<u32>("ten"), Err(format!("`--x` must be {whole}, but is `ten`")));
        assert_eq!(json::<f64>("-0.5"), Err("`x` must be a number, 0 or more, but is `-0.5`".to_owned()));
        assert_eq!(flag::<f64>("inf"), Err("`--x` must be a number, 0 or more, but is `inf`".to_owned()));
    }

    #[test]
    fn a_number_for_a_duration_is_milliseconds() {
        assert_eq!(json::<Duration>("1500"), Ok(Duration::from_millis(1500)));
        assert_eq!(json::<Duration>("0.5"), Ok(Duration::from_micros(500)));
        assert_eq!(json::<Duration>("\"1m30s\""), Ok(Duration::from_secs(90)));
        assert_eq!(json::<Duration>("true"), Err("`x` must be a duration like `30s`, but is `true`".to_owned()));
        assert_eq!(
            json::<Duration>("\"5 min\""),
            Err("`x` must be a duration like `30s`, but is the text `5 min`".to_owned())
        );
        assert_eq!(json::<Duration>("\"-1s\""), Err("`x`: `-1s` is a negative duration".to_owned()));
    }

    #[test]
    fn shares_are_percent_or_parts_of_one() {
        assert_eq!(json::<Portion>("\"5%\""), Ok(Portion(0.05)));
        assert_eq!(flag::<Portion>("0.05"), Ok(Portion(0.05)));
        let expected = "a share from `0%` to `100%`, or from 0 to 1";
        assert_eq!(json::<Portion>("5"), Err(format!("`x` must be {expected}, but is `5`")));
        assert_eq!(Portion(0.07).shown(), "7%");
    }

    #[test]
    fn bytes_have_units() {
        for (text, size) in
            [("\"64MiB\"", 64 << 20), ("\"10 MB\"", 10_000_000), ("\"1kB\"", 1000), ("4096", 4096), ("\"9B\"", 9)]
        {
            assert_eq!(json::<Bytes>(text), Ok(Bytes(size)), "{text}");
        }
        assert_eq!(
            json::<Bytes>("\"64Mb\""),
            Err("`x` must be a number of bytes like `64MiB`, but is the text `64Mb`".to_owned())
        );
        assert_eq!(Bytes(64 << 20).shown(), "64MiB");
        assert_eq!(Bytes(1000).shown(), "1000B");
    }
}
