//! Where each value of a plan came from.

use super::fields::Given;
use super::problem::printable;
use super::values::Shown;

/// A value of the plan and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The scenario it belongs to; `None` for the run.
    pub scenario: Option<String>,
    /// The option, as in the journey's options: `preAllocatedVUs`.
    pub key: String,
    /// The value, as one would write it.
    pub value: String,
    /// `default`, `journey options`, `squall.toml:14`, `SQUALL_VUS` or `--vus`.
    pub from: String,
}

/// Where every value of a plan came from, in the order in which one reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Origin> {
        self.0.iter()
    }

    /// The one of an option of the run, such as `seed`, or of a scenario.
    #[must_use]
    pub fn get(&self, scenario: Option<&str>, key: &str) -> Option<&Origin> {
        let mut same = self.0.iter().filter(|origin| origin.key == key);
        same.find(|origin| origin.scenario.as_deref() == scenario)
    }

    /// Writes down a value that the user gave, or the default.
    pub(super) fn note<T: Shown>(&mut self, scenario: Option<&str>, key: &str, given: Option<&Given<T>>, default: &T) {
        let value = given.map_or(default, |given| &given.value).shown();
        let from = given.map_or_else(|| "default".to_owned(), |given| given.spot.origin());
        self.push(scenario, key, &value, from);
    }

    pub(super) fn push(&mut self, scenario: Option<&str>, key: &str, value: &str, from: String) {
        let scenario = scenario.map(str::to_owned);
        let (key, value) = (printable(key), printable(value));
        self.0.push(Origin { scenario, key, value, from });
    }

    /// Forgets the scenarios that are not to run.
    pub(super) fn keep_scenario(&mut self, name: &str) {
        self.0.retain(|origin| origin.scenario.as_deref().is_none_or(|scenario| scenario == name));
    }
}

impl<'a> IntoIterator for &'a Origins {
    type Item = &'a Origin;
    type IntoIter = std::slice::Iter<'a, Origin>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
