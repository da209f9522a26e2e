//! What a JSONPath may cost on a document, before it is tried.
//!
//! A path is read once more, after the parser has accepted it, for what its cost depends on: which selectors can select
//! many, where a segment descends, and what a filter asks of every value. The result is an upper bound of the values that are
//! looked at. It is linear in the size of what a query starts from, because a value can be reached once from each of its
//! ancestors and no more, for each selector that does.

use serde_json::Value;

/// How large a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Values, objects and arrays included.
    pub(super) values: usize,
    /// The most values inside one another.
    pub(super) depth: usize,
}

impl Size {
    pub(super) fn of(value: &Value) -> Self {
        let inner = |size: Self, value| {
            let inner = Self::of(value);
            Self { values: size.values + inner.values, depth: size.depth.max(inner.depth + 1) }
        };
        let alone = Self { values: 1, depth: 1 };
        match value {
            Value::Array(items) => items.iter().fold(alone, inner),
            Value::Object(fields) => fields.values().fold(alone, inner),
            _ => alone,
        }
    }
}

/// How deep brackets and parentheses nest, quoted texts aside.
pub(super) fn nesting(path: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut reader = Reader::new(path, Size { values: 1, depth: 1 });
    while let Some(byte) = reader.peek() {
        match byte {
            b'\'' | b'"' => {
                reader.quoted();
                continue;
            }
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        reader.at += 1;
    }
    deepest
}

/// The most values that a path looks at, each as often as it does.
pub(super) fn steps(path: &str, size: Size) -> f64 {
    let mut reader = Reader::new(path, size);
    reader.skip(b"$");
    reader.query().on(size.values as f64)
}

/// A number that depends on how many values a query starts from: `fixed + each * values`.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    fixed: f64,
    each: f64,
}

impl Amount {
    fn on(self, values: f64) -> f64 {
        self.fixed + self.each * values
    }

    fn plus(self, other: Self) -> Self {
        Self { fixed: self.fixed + other.fixed, each: self.each + other.each }
    }

    fn times(self, factor: f64) -> Self {
        Self { fixed: self.fixed * factor, each: self.each * factor }
    }
}

/// What the brackets of one segment hold.
#[derive(Default)]
struct Selectors {
    /// Those that select at most one value: names and places.
    single: f64,
    /// Those that can select every child: wildcards, slices and filters.
    many: f64,
    /// What the filters cost for each child.
    filters: Amount,
}

struct Reader<'p> {
    path: &'p [u8],
    at: usize,
    size: Size,
}

impl<'p> Reader<'p> {
    fn new(path: &'p str, size: Size) -> Self {
        Self { path: path.as_bytes(), at: 0, size }
    }

    fn peek(&self) -> Option<u8> {
        self.path.get(self.at).copied()
    }

    fn skip(&mut self, these: &[u8]) -> bool {
        let found = self.path[self.at..].starts_with(these);
        self.at += if found { these.len() } else { 0 };
        found
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Passes a quoted text.
    fn quoted(&mut self) {
        let quote = self.peek();
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if Some(byte) == quote {
                break;
            }
        }
        self.at = self.at.min(self.path.len());
    }

    fn name(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()) {
            self.at += 1;
        }
    }

    /// The segments behind `$` or `@`: what they cost.
    fn query(&mut self) -> Amount {
        let depth = self.size.depth as f64;
        // How many values the segments so far select, counted as often as they are, and how often the same one can be.
        let mut length = Amount { fixed: 1.0, each: 0.0 };
        let mut repeats = 1.0;
        let mut cost = length;
        loop {
            let before = self.at;
            self.spaces();
            let (descends, selectors) = if self.skip(b"..") {
                (true, self.selectors())
            } else if self.skip(b".") || self.peek() == Some(b'[') {
                (false, self.selectors())
            } else {
                self.at = before;
                return cost;
            };
            if descends {
                // Each value once from every ancestor that is selected.
                repeats = if length.each == 0.0 { length.fixed.min(repeats * depth) } else { repeats * depth };
                length = Amount { fixed: 0.0, each: repeats };
                cost = cost.plus(length);
            }
            // All children together are no more than all values.
            let children = Amount { fixed: 0.0, each: repeats };
            let inside = Amount { fixed: 0.0, each: selectors.filters.each * repeats * depth };
            let selected = length.times(selectors.single).plus(children.times(selectors.many));
            cost = cost.plus(length).plus(selected).plus(children.times(selectors.filters.fixed)).plus(inside);
            length = selected;
            repeats *= selectors.single + selectors.many;
        }
    }

    fn selectors(&mut self) -> Selectors {
        let mut selectors = Selectors::default();
        if !self.skip(b"[") {
            if self.skip(b"*") {
                selectors.many = 1.0;
            } else {
                selectors.single = 1.0;
                self.name();
            }
            return selectors;
        }
        while let Some(byte) = self.peek() {
            match byte {
                b']' => {
                    self.at += 1;
                    break;
                }
                b'\'' | b'"' => {
                    selectors.single += 1.0;
                    self.quoted();
                }
                b'*' => {
                    selectors.many += 1.0;
                    self.at += 1;
                }
                b'?' => {
                    selectors.many += 1.0;
                    selectors.filters = selectors.filters.plus(self.filter());
                }
                b'-' | b':' | b'0'..=b'9' => self.place_or_slice(&mut selectors),
                _ => self.at += 1,
            }
        }
        selectors
    }

    fn place_or_slice(&mut self, selectors: &mut Selectors) {
        let start = self.at;
        while self.peek().is_some_and(|byte| !matches!(byte, b',' | b']')) {
            self.at += 1;
        }
        let is_slice = self.path[start..self.at].contains(&b':');
        *(if is_slice { &mut selectors.many } else { &mut selectors.single }) += 1.0;
    }

    /// A filter up to its end: what it costs for one value, and for each value inside that one.
    fn filter(&mut self) -> Amount {
        let mut cost = Amount { fixed: 1.0, each: 0.0 };
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b',' | b']' if depth == 0 => break,
                b'\'' | b'"' => {
                    cost.fixed += 1.0;
                    self.quoted();
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                b'@' => {
                    self.at += 1;
                    cost = cost.plus(self.query());
                    continue;
                }
                b'$' => {
                    self.at += 1;
                    // From the root, whichever value is asked about.
                    cost.fixed += self.query().on(self.size.values as f64);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { values: 1000, depth: 4 };

    #[test]
    fn a_path_to_one_value_costs_a_step_for_each_segment() {
        assert!(steps("$.a['b'][0][-1]", SIZE) < 20.0);
        assert!(steps("$['a,b:*', 'c']", SIZE) < 10.0);
    }

    #[test]
    fn selecting_many_costs_the_values_there_are_as_often_as_they_are_reached() {
        for (path, at_least, at_most) in [
            ("$[*]", 1000.0, 1100.0),
            ("$[0:2]", 1000.0, 1100.0),
            ("$..a", 1000.0, 5000.0),
            ("$..*", 2000.0, 5000.0),
            ("$..*..*", 4000.0, 20_000.0),
            ("$[?@.a == 'x]' && @['b'].c]", 1000.0, 15_000.0),
            ("$[?@..a]", 4000.0, 30_000.0),
            ("$[?$..a]", 1e6, 1e7),
            ("$[?@.a[?@.b[?$[*]]]]", 1e6, 1e8),
            ("$[*,*][*,*][*,*]", 8000.0, 30_000.0),
        ] {
            let steps = steps(path, SIZE);
            assert!((at_least..at_most).contains(&steps), "{path}: {steps}");
        }
        assert!(steps(&format!("${}", "[*,*]".repeat(400)), SIZE) > 1e100);
    }

    #[test]
    fn brackets_in_quoted_texts_do_not_nest() {
        assert_eq!(nesting("$[?((@['[[[('] == \"[\\\"[\"))]"), 4);
        assert_eq!((nesting("$.a"), nesting("$[')"), nesting("$['\\")), (0, 1, 1));
    }

    #[test]
    fn the_size_of_a_document_is_counted() {
        let value = serde_json::json!({"a": [1, {"b": null}], "c": "x"});
        assert_eq!(Size::of(&value), Size { values: 6, depth: 4 });
    }
}
