//! Why a schema, or a message of one, cannot be used.

use std::fmt;

/// How much of a text that others wrote is repeated in a message.
const SHOWN: usize = 200;

/// Where in a `.proto` file; line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// Line and column, where they are known.
    pub at: Option<(u32, u32)>,
}

/// Why a schema, or a message of one, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A file is not right.
    #[error("{place}: {reason}")]
    Invalid {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A file that was asked for is not there.
    #[error("there is no file `{name}`; hint: grant it to the run with `--file`")]
    NoSuchFile {
        /// Its name.
        name: String,
    },
    /// A file that another one needs is not there.
    #[error("{place}: there is no file `{name}` to import; hint: grant it to the run as well")]
    NoSuchImport {
        /// Where it is imported.
        place: Place,
        /// Its name.
        name: String,
    },
    /// Files that import each other.
    #[error("{place}: the imports go in a circle: {circle}")]
    Circle {
        /// The import that closes it.
        place: Place,
        /// The files, in the order in which they import each other.
        circle: String,
    },
    /// There is more of something than can be taken.
    #[error("{what}: at most {limit}")]
    TooMuch {
        /// Of what.
        what: String,
        /// How much can be taken.
        limit: usize,
    },
    /// The bytes are no set of descriptors.
    #[error("not a set of file descriptors: {reason}")]
    NotASet {
        /// What is wrong with them.
        reason: String,
    },
    /// There is no method of this name.
    #[error("there is no method `{method}`{}", hint(near, *known))]
    UnknownMethod {
        /// The name.
        method: String,
        /// The names that look most like it.
        near: Vec<String>,
        /// How many are known.
        known: usize,
    },
    /// A JSON text does not fit its type.
    #[error("`{message}`{}: {reason}", at(path))]
    Json {
        /// The type.
        message: String,
        /// Where in the text, as in `items[2].price`; empty for the whole.
        path: String,
        /// Why.
        reason: String,
    },
    /// Bytes are no message of their type.
    #[error("the {length} bytes are no `{message}`: {reason}")]
    Bytes {
        /// The type.
        message: String,
        /// How many bytes there are.
        length: usize,
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// What a reader may do about an unknown method.
fn hint(near: &[String], known: usize) -> String {
    match (near, known) {
        ([], _) => "; no methods are known: load a `.proto` file, or connect with reflection".to_owned(),
        (near, known) if known <= near.len() => format!("; known: {}", quoted(near)),
        (near, known) => format!("; the nearest of {known}: {}", quoted(near)),
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at `{path}`") }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", shortened(name))).collect::<Vec<_>>().join(", ")
}

/// A text of others, on one line and not too long.
pub(in super::super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() && text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}
