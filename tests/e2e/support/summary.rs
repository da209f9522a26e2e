//! The summary that `--summary-export` writes, read back.

use serde_json::Value;

/// A summary in k6's legacy JSON.
pub struct Summary(Value);

impl Summary {
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        Self(
            serde_json::from_str(text)
                .unwrap_or_else(|error| panic!("the summary is not JSON: {error}\n{text}")),
        )
    }

    /// The whole of it.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// A metric, as JSON; null if the run never saw it.
    pub fn metric(&self, name: &str) -> &Value {
        &self.0["metrics"][name]
    }

    /// A number of a metric.
    #[track_caller]
    pub fn value(&self, metric: &str, field: &str) -> f64 {
        let value = &self.metric(metric)[field];
        value.as_f64().unwrap_or_else(|| {
            panic!(
                "`{metric}` has no number `{field}`: {}",
                self.metric(metric)
            )
        })
    }

    /// What a counter counted; 0 if the run never saw it.
    pub fn count(&self, metric: &str) -> u64 {
        // Counters of iterations and requests are whole numbers.
        self.metric(metric)["count"]
            .as_f64()
            .map_or(0, |count| count.round() as u64)
    }

    /// Passes and fails of a check outside any group.
    #[track_caller]
    pub fn check(&self, name: &str) -> (u64, u64) {
        let check = &self.0["root_group"]["checks"][name];
        let number = |field: &str| {
            check[field]
                .as_u64()
                .unwrap_or_else(|| panic!("no check `{name}`: {}", self.0["root_group"]))
        };
        (number("passes"), number("fails"))
    }
}
