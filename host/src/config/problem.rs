//! What is wrong with a configuration, as the user gets to read it.

use std::fmt;

/// Something wrong, or worth knowing, in what the user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The value and the limit.
    pub message: String,
    /// Where the user wrote it, such as `squall.toml:14`.
    pub place: Option<String>,
    /// What the user can do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem without a place or a hint. Control characters, which a journey may have put there, are escaped.
    #[must_use]
    pub fn new(message: impl AsRef<str>) -> Self {
        Self { message: printable(message.as_ref()), place: None, hint: None }
    }

    /// Adds where it is.
    #[must_use]
    pub fn at(mut self, place: impl AsRef<str>) -> Self {
        self.place = Some(printable(place.as_ref()));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl AsRef<str>) -> Self {
        self.hint = Some(printable(hint.as_ref()));
        self
    }
}

/// The text with its control characters escaped, so that it cannot steer the terminal it is printed on.
pub(super) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            plain.extend(letter.escape_default());
        } else {
            plain.push(letter);
        }
    }
    plain
}

/// The message, then the place and the hint on lines of their own, indented.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(f, "\n  at {place}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Every problem of a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Returns `None` when there is no problem.
    #[must_use]
    pub fn some(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
