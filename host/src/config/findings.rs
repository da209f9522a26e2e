//! Problems as they are found, so that all of them are reported at once.

use super::Problem;
use super::node::{Node, Spot};

/// What was found so far, and where the search is.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// What messages start with, such as "scenario `browse`: ".
    scope: String,
    /// The part of a name that the scope says already.
    prefix: String,
}

impl Findings {
    pub fn error(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    pub fn warn(&mut self, problem: Problem) {
        self.warnings.push(problem);
    }

    /// Looks at one scenario: until [`Self::leave`], messages name it.
    pub fn enter(&mut self, scenario: &str, spot: &Spot) {
        self.scope = format!("scenario `{scenario}`: ");
        self.prefix = format!("{}.", spot.name);
    }

    /// Looks at the whole again.
    pub fn leave(&mut self) {
        self.scope.clear();
        self.prefix.clear();
    }

    /// What to call a value in a message.
    pub fn name<'a>(&self, spot: &'a Spot) -> &'a str {
        let name = spot.name.strip_prefix(&self.prefix).unwrap_or(&spot.name);
        if name.is_empty() { "options" } else { name }
    }

    /// A problem with the scope before its message and the place of `spot`.
    pub fn problem(&self, spot: &Spot, message: &str) -> Problem {
        Problem::new(format!("{}{message}", self.scope)).at(spot.place())
    }

    /// Reports what is wrong at `spot`, and what to do about it.
    pub fn refuse(&mut self, spot: &Spot, message: &str, hint: &str) {
        let problem = self.problem(spot, message).hint(hint);
        self.error(problem);
    }

    /// Reports a value that is not what it must be.
    pub fn mismatch(&mut self, node: &Node, expected: &str) {
        let message = format!("`{}` must be {expected}, but is {}", self.name(&node.spot), node.found());
        let problem = self.problem(&node.spot, &message);
        self.error(problem);
    }
}
