//! What the user wrote, before anyone knows what it means: values, each with the place it came from.
//!
//! JSON, TOML, variables and flags all become [`Node`]s, so that everything after this reads one shape.

use std::sync::Arc;

use super::findings::Findings;
use super::names;

/// Letters of a text that a message shows.
const LONGEST_SHOWN: usize = 60;

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub value: Value,
    pub spot: Spot,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys as written, in the order they were written.
    Table(Vec<(String, Node)>),
    /// Something that no option is, such as TOML's dates.
    Other(String),
}

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// What the user calls it: `scenarios.browse.stages[1].duration`, `--vus` or `SQUALL_VUS`.
    pub name: String,
    pub place: Place,
}

/// The layers, and where in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody wrote it.
    Default,
    Journey,
    File {
        name: Arc<str>,
        line: usize,
    },
    Environment,
    CommandLine,
}

impl Place {
    /// Whether values are texts because there is nothing else.
    pub fn has_only_texts(&self) -> bool {
        matches!(self, Self::Environment | Self::CommandLine)
    }

    /// The layer, in a sentence.
    pub fn layer(&self) -> String {
        match self {
            Self::Default => "the defaults".to_owned(),
            Self::Journey => "the journey's options".to_owned(),
            Self::File { name, .. } => format!("`{name}`"),
            Self::Environment => "the environment".to_owned(),
            Self::CommandLine => "the command line".to_owned(),
        }
    }
}

impl Spot {
    /// The spot of a default.
    pub fn nowhere() -> Self {
        let (name, place) = (String::new(), Place::Default);
        Self { name, place }
    }

    /// The place for a problem, after the word "at".
    pub fn place(&self) -> String {
        match &self.place {
            Place::Journey => format!("journey options: {}", self.name),
            Place::File { name, line } => format!("{name}:{line}"),
            place => place.layer(),
        }
    }

    /// The place for a list of values.
    pub fn origin(&self) -> String {
        match &self.place {
            Place::Default => "default".to_owned(),
            Place::Journey => "journey options".to_owned(),
            Place::File { name, line } => format!("{name}:{line}"),
            Place::Environment | Place::CommandLine => self.name.clone(),
        }
    }

    /// An option's name as one writes it there.
    pub fn spell(&self, key: &str) -> String {
        match self.place {
            Place::File { .. } => names::kebab(key),
            Place::Default | Place::Journey => key.to_owned(),
            Place::Environment => names::variable(key),
            Place::CommandLine => format!("--{}", names::kebab(key)),
        }
    }

    fn item(&self, index: usize) -> Self {
        // There is no way to point into a variable or flag.
        let name = if self.place.has_only_texts() { self.name.clone() } else { format!("{}[{index}]", self.name) };
        Self { name, place: self.place.clone() }
    }

    fn entry(&self, key: &str) -> Self {
        let name = match self.name.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        Self { name, place: self.place.clone() }
    }
}

impl Node {
    pub fn new(value: Value, spot: Spot) -> Self {
        Self { value, spot }
    }

    /// A text from a flag or a variable.
    pub fn text(name: &str, place: Place, text: impl Into<String>) -> Self {
        let name = name.to_owned();
        Self::new(Value::Text(text.into()), Spot { name, place })
    }

    /// Texts from a flag that may be repeated.
    pub fn texts(name: &str, place: &Place, texts: &[String]) -> Self {
        let item = |text: &String| Self::text(name, place.clone(), text);
        let list = Value::List(texts.iter().map(item).collect());
        let name = name.to_owned();
        Self::new(list, Spot { name, place: place.clone() })
    }

    /// Reads JSON.
    pub fn json(value: serde_json::Value, spot: Spot) -> Self {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => number
                .as_i128()
                .map(Value::Integer)
                .or_else(|| number.as_f64().map(Value::Float))
                .unwrap_or_else(|| Value::Other(number.to_string())),
            Json::String(text) => Value::Text(text),
            Json::Array(items) => {
                let items = items.into_iter().enumerate();
                Value::List(items.map(|(index, item)| Self::json(item, spot.item(index))).collect())
            }
            Json::Object(entries) => {
                let read = |(key, value): (String, Json)| {
                    let node = Self::json(value, spot.entry(&key));
                    (key, node)
                };
                Value::Table(entries.into_iter().map(read).collect())
            }
        };
        Self::new(value, spot)
    }

    /// Reads a TOML document; what is not TOML becomes problems, and the rest is still read.
    pub fn toml(file: &str, text: &str, findings: &mut Findings) -> Self {
        let source = Toml { file: Arc::from(file), text };
        let (table, errors) = toml::de::DeTable::parse_recoverable(text);
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let spot = source.spot("", start);
            let message = error.message().trim().to_owned();
            findings.error(super::Problem::new(format!("`{file}` is not TOML: {message}")).at(spot.place()));
        }
        let top = source.spot("", 0);
        let value = source.table(table.into_inner(), &top);
        Self::new(value, top)
    }

    /// The value, in a sentence after "is".
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null => "`null`".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(number) => format!("`{number}`"),
            Value::Float(number) => format!("`{number}`"),
            Value::Text(text) if self.spot.place.has_only_texts() => format!("`{}`", shortened(text)),
            Value::Text(text) => format!("the text `{}`", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Other(text) => format!("`{text}`"),
        }
    }
}

/// A text that fits a line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A TOML document while it is read.
struct Toml<'a> {
    file: Arc<str>,
    text: &'a str,
}

impl Toml<'_> {
    fn spot(&self, name: &str, offset: usize) -> Spot {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = 1 + before.matches('\n').count();
        let (name, file) = (name.to_owned(), Arc::clone(&self.file));
        Spot { name, place: Place::File { name: file, line } }
    }

    fn table(&self, table: toml::de::DeTable<'_>, spot: &Spot) -> Value {
        // The table is sorted by key; the user's order is that of the places.
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let read = |(key, value): (toml::Spanned<toml::de::DeString<'_>>, toml::Spanned<toml::de::DeValue<'_>>)| {
            let name = spot.entry(key.get_ref()).name;
            let spot = self.spot(&name, key.span().start);
            let node = Node::new(self.value(value.into_inner(), &spot), spot);
            (key.into_inner().into_owned(), node)
        };
        Value::Table(entries.into_iter().map(read).collect())
    }

    fn value(&self, value: toml::de::DeValue<'_>, spot: &Spot) -> Value {
        use toml::de::DeValue;
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other(number.to_string()),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Float(number),
                Err(_) => Value::Other(number.to_string()),
            },
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(items) => {
                let read = |(index, item): (usize, toml::Spanned<DeValue<'_>>)| {
                    let spot = self.spot(&spot.item(index).name, item.span().start);
                    Node::new(self.value(item.into_inner(), &spot), spot)
                };
                Value::List(items.into_iter().enumerate().map(read).collect())
            }
            DeValue::Table(table) => self.table(table, spot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(node: &Node) -> Vec<(&str, String)> {
        let Value::Table(entries) = &node.value else { panic!("{node:?}") };
        entries.iter().map(|(key, node)| (key.as_str(), node.spot.place())).collect()
    }

    #[test]
    fn toml_keeps_the_order_and_the_lines() {
        let text = "vus = 1\n\n[scenarios.z]\nstages = [\n  {},\n  {},\n]\n[scenarios.a]\n";
        let mut findings = Findings::default();
        let node = Node::toml("squall.toml", text, &mut findings);
        assert_eq!(findings.errors, []);
        assert_eq!(entries(&node), [("vus", "squall.toml:1".into()), ("scenarios", "squall.toml:3".into())]);
        let Value::Table(top) = &node.value else { panic!() };
        assert_eq!(entries(&top[1].1), [("z", "squall.toml:3".into()), ("a", "squall.toml:8".into())]);
        let Value::Table(scenarios) = &top[1].1.value else { panic!() };
        let Value::Table(fields) = &scenarios[0].1.value else { panic!() };
        let Value::List(stages) = &fields[0].1.value else { panic!() };
        assert_eq!(stages[1].spot.name, "scenarios.z.stages[1]");
        assert_eq!(stages[1].spot.place(), "squall.toml:6");
    }

    #[test]
    fn every_mistake_in_a_toml_file_is_found() {
        let mut findings = Findings::default();
        let node = Node::toml("s.toml", "vus = \nvus = 3\nquiet = yes\nseed = 4\n", &mut findings);
        let places: Vec<_> = findings.errors.iter().map(|error| error.place.as_deref().unwrap()).collect();
        assert!(places.contains(&"s.toml:1") && places.contains(&"s.toml:3"), "{:?}", findings.errors);
        assert!(entries(&node).iter().any(|(key, _)| *key == "seed"));
    }
}
