//! Names and values as options: a table, one text, or a repeated flag.

use super::fields::{Decode, Given};
use super::findings::Findings;
use super::node::{Node, Value};
use super::values::reported;

/// Names and values: tags, or variables.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pairs(pub Vec<(String, Given<String>)>);

impl Pairs {
    /// Puts a higher layer on top: a name of it replaces only its namesake.
    pub fn cover(&mut self, higher: Self) {
        for (name, value) in higher.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some(pair) => pair.1 = value,
                None => self.0.push((name, value)),
            }
        }
    }

    /// The names and values without their places.
    pub fn plain(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, given)| (name.as_str(), given.value.as_str()))
    }
}

/// Files by the name they are granted as. Where only a path is written, the name is that of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct NamedFiles(pub Pairs);

impl Decode for NamedFiles {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let one = |node: &Node, text: &str| {
            match text.split_once('=') {
                Some((name, path)) if !name.is_empty() && !path.is_empty() => Some((name, path)),
                Some(_) => None,
                None => text.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).map(|name| (name, text)),
            }
            .map(|(name, path)| {
                let (value, spot) = (path.to_owned(), node.spot.clone());
                (name.to_owned(), Given { value, spot })
            })
        };
        let expected = "files like `NAME=PATH`";
        let files: Vec<_> = match &node.value {
            Value::Table(_) => return Pairs::decode(node, findings).map(Self),
            Value::Text(text) => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                texts.map(|text| reported(one(node, text), node, expected, findings)).collect()
            }
            Value::List(items) => {
                let read = |item: &Node| match &item.value {
                    Value::Text(text) => reported(one(item, text), item, expected, findings),
                    _ => reported(None, item, expected, findings),
                };
                items.iter().map(read).collect()
            }
            _ => return reported(None, node, expected, findings),
        };
        files.into_iter().collect::<Option<_>>().map(|files| Self(Pairs(files)))
    }
}

/// Names that servers are asked for, by host; a text alone is the name for all, `*`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ServerNames(pub Pairs);

impl Decode for ServerNames {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        let texts: Vec<&Node> = match &node.value {
            Value::Text(_) => vec![node],
            Value::List(items) if node.spot.place.has_only_texts() => items.iter().collect(),
            _ => return Pairs::decode(node, findings).map(Self),
        };
        let mut names = Pairs::default();
        for node in texts {
            match &node.value {
                Value::Text(text) if !text.contains('=') => {
                    let (value, spot) = (text.trim().to_owned(), node.spot.clone());
                    names.cover(Pairs(vec![("*".to_owned(), Given { value, spot })]));
                }
                _ => names.cover(Pairs::decode(node, findings)?),
            }
        }
        Some(Self(names))
    }
}

impl Decode for Pairs {
    fn decode(node: &Node, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => {
                let read = |(name, node): &(String, Node)| {
                    let value = pair_value(node, findings)?;
                    let spot = node.spot.clone();
                    Some((name.clone(), Given { value, spot }))
                };
                // Every wrong entry is reported, not just the first.
                let pairs: Vec<_> = entries.iter().map(read).collect();
                pairs.into_iter().collect::<Option<_>>().map(Self)
            }
            Value::Text(text) if node.spot.place.has_only_texts() => {
                let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
                let pairs: Vec<_> = pairs.map(|pair| pair_of(pair.trim(), node, findings)).collect();
                pairs.into_iter().collect::<Option<_>>().map(Self)
            }
            // Flags that may be repeated hold one pair each, so that values may hold commas.
            Value::List(items) if node.spot.place.has_only_texts() => {
                let texts = items.iter().filter_map(|item| match &item.value {
                    Value::Text(text) => Some(pair_of(text, item, findings)),
                    _ => None,
                });
                let pairs: Vec<_> = texts.collect();
                pairs.into_iter().collect::<Option<_>>().map(Self)
            }
            _ => reported(None, node, "a table of texts", findings),
        }
    }
}

fn pair_of(text: &str, node: &Node, findings: &mut Findings) -> Option<(String, Given<String>)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let (value, spot) = (value.to_owned(), node.spot.clone());
            Some((name.to_owned(), Given { value, spot }))
        }
        _ => {
            let message = format!("`{}` must be like `NAME=VALUE`, but is `{text}`", findings.name(&node.spot));
            let problem = findings.problem(&node.spot, &message);
            findings.error(problem);
            None
        }
    }
}

fn pair_value(node: &Node, findings: &mut Findings) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        _ => reported(None, node, "a text", findings),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::tests::{flag, json};
    use super::*;

    #[test]
    fn pairs_are_tables_or_texts() {
        let read = json::<Pairs>(r#"{"a":"x","b":1,"c":true}"#).unwrap();
        assert_eq!(read.plain().collect::<Vec<_>>(), [("a", "x"), ("b", "1"), ("c", "true")]);
        let read = flag::<Pairs>("a=x,b=y=z").unwrap();
        assert_eq!(read.plain().collect::<Vec<_>>(), [("a", "x"), ("b", "y=z")]);
        assert_eq!(flag::<Pairs>("a"), Err("`--x` must be like `NAME=VALUE`, but is `a`".to_owned()));
        assert_eq!(json::<Pairs>(r#"{"a":[]}"#), Err("`x.a` must be a text, but is a list".to_owned()));
    }
}
