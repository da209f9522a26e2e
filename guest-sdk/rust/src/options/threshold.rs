//! A threshold, which is a text in the options until it needs to be an object.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Text;

/// A condition on a metric that decides whether the run passed.
#[derive(Clone, Debug)]
#[must_use]
pub struct Threshold {
    condition: String,
    abort_on_fail: bool,
    delay_abort_eval: Option<Text>,
    allow_no_data: bool,
}

impl Threshold {
    /// A condition in k6's grammar: `p(95)<500`, `rate<0.01`, `count>1000`.
    pub fn new(condition: impl Into<String>) -> Self {
        Self { condition: condition.into(), abort_on_fail: false, delay_abort_eval: None, allow_no_data: false }
    }

    /// Stops the run as soon as the condition fails.
    pub fn abort_on_fail(mut self) -> Self {
        self.abort_on_fail = true;
        self
    }

    /// Does not stop the run before it has lasted this long.
    pub fn delay_abort_eval(mut self, delay: Duration) -> Self {
        self.delay_abort_eval = Some(delay.into());
        self
    }

    /// Passes when the metric has no values at all; without this it fails.
    pub fn allow_no_data(mut self) -> Self {
        self.allow_no_data = true;
        self
    }
}

impl From<&str> for Threshold {
    fn from(condition: &str) -> Self {
        Self::new(condition)
    }
}

impl From<String> for Threshold {
    fn from(condition: String) -> Self {
        Self::new(condition)
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.abort_on_fail && self.delay_abort_eval.is_none() && !self.allow_no_data {
            return serializer.serialize_str(&self.condition);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("threshold", &self.condition)?;
        if self.abort_on_fail {
            map.serialize_entry("abortOnFail", &true)?;
        }
        if let Some(delay) = &self.delay_abort_eval {
            map.serialize_entry("delayAbortEval", delay)?;
        }
        if self.allow_no_data {
            map.serialize_entry("allowNoData", &true)?;
        }
        map.end()
    }
}
