//! The metrics of one run: the built-in ones and those that journeys declare.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Contains, Kind, Metric, MetricId, builtin};

/// The longest name, in bytes.
const LONGEST: usize = 128;

/// Why a metric could not be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclareError {
    /// The name is not one.
    #[error("`{name}` is not a metric name: it must match `[A-Za-z_][A-Za-z0-9_]{{0,127}}`")]
    InvalidName {
        /// The name as given.
        name: String,
    },
    /// The metric exists and is something else.
    #[error(
        "metric `{name}` is a {existing:?} of {existing_contains:?} already, and cannot become a {wanted:?} of {wanted_contains:?}"
    )]
    Conflict {
        /// The metric.
        name: String,
        /// What it is.
        existing: Kind,
        /// What its values are.
        existing_contains: Contains,
        /// What was asked for.
        wanted: Kind,
        /// What its values were to be.
        wanted_contains: Contains,
    },
    /// The run has as many metrics as it may.
    #[error("the journey has declared {limit} metrics, which is the limit")]
    TooMany {
        /// The limit.
        limit: u32,
    },
}

/// All metrics of a run. Shared by all threads; locked only when a metric is declared or looked up by name.
#[derive(Debug)]
pub struct Registry {
    metrics: Mutex<Vec<Metric>>,
}

impl Default for Registry {
    fn default() -> Self {
        let metrics = builtin::TABLE
            .iter()
            .zip(0..)
            .map(|(&(name, kind, contains), id)| Metric { id: MetricId(id), name: Arc::from(name), kind, contains })
            .collect();
        Self { metrics: Mutex::new(metrics) }
    }
}

impl Registry {
    /// How many metrics of its own a run may have.
    pub const LIMIT: u32 = 1000;

    /// Returns the metric's id, declaring it if it is new.
    pub fn declare(&self, name: &str, kind: Kind, contains: Contains) -> Result<MetricId, DeclareError> {
        self.declare_within(name, kind, contains, Self::LIMIT)
    }

    /// The same where a run may have so many metrics beside the built-in ones.
    pub fn declare_within(
        &self,
        name: &str,
        kind: Kind,
        contains: Contains,
        limit: u32,
    ) -> Result<MetricId, DeclareError> {
        if !is_name(name) {
            // As much of it as shows what it was meant to be.
            return Err(DeclareError::InvalidName { name: name.chars().take(LONGEST).collect() });
        }
        let mut metrics = self.lock();
        if let Some(metric) = metrics.iter().find(|metric| &*metric.name == name) {
            if metric.kind == kind && metric.contains == contains {
                return Ok(metric.id);
            }
            return Err(DeclareError::Conflict {
                name: name.to_owned(),
                existing: metric.kind,
                existing_contains: metric.contains,
                wanted: kind,
                wanted_contains: contains,
            });
        }
        let id = u32::try_from(metrics.len()).unwrap_or(u32::MAX);
        if metrics.len() - builtin::TABLE.len() >= limit as usize {
            return Err(DeclareError::TooMany { limit });
        }
        metrics.push(Metric { id: MetricId(id), name: Arc::from(name), kind, contains });
        Ok(MetricId(id))
    }

    /// Returns the metric with this id.
    #[must_use]
    pub fn get(&self, id: MetricId) -> Option<Metric> {
        self.lock().get(id.0 as usize).cloned()
    }

    /// Returns the metric with this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Metric> {
        self.lock().iter().find(|metric| &*metric.name == name).cloned()
    }

    /// Returns the metrics that were declared after the first `known` ones.
    #[must_use]
    pub fn since(&self, known: usize) -> Vec<Metric> {
        self.lock().get(known..).map(<[Metric]>::to_vec).unwrap_or_default()
    }

    /// Returns all metrics in the order of their ids.
    #[must_use]
    pub fn all(&self) -> Vec<Metric> {
        self.lock().clone()
    }

    // The list is only ever pushed to, so it is whole even if a thread panicked while it held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Metric>> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.len() <= LONGEST && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declaring_a_metric_again_returns_the_same_id() {
        let registry = Registry::default();
        let first = registry.declare("items", Kind::Counter, Contains::Default).unwrap();
        assert_eq!(registry.declare("items", Kind::Counter, Contains::Default), Ok(first));
        assert_eq!(registry.get(first).unwrap().name.as_ref(), "items");
    }

    #[test]
    fn a_metric_cannot_change_its_kind() {
        let registry = Registry::default();
        let error = registry.declare("http_reqs", Kind::Trend, Contains::Time).unwrap_err();
        assert!(matches!(error, DeclareError::Conflict { existing: Kind::Counter, .. }), "{error}");
    }

    #[test]
    fn a_journey_declares_so_many_metrics_and_no_more() {
        let registry = Registry::default();
        let declare = |name: &str| registry.declare_within(name, Kind::Counter, Contains::Default, 2);
        let first = declare("one").unwrap();
        declare("two").unwrap();
        assert_eq!(declare("three"), Err(DeclareError::TooMany { limit: 2 }));
        assert_eq!(declare("one"), Ok(first), "one that is there may be declared again");
        declare("http_reqs").unwrap();
        assert!(declare(&"\u{1b}".repeat(1 << 20)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn a_name_is_ascii_and_starts_with_a_letter() {
        for bad in ["", "1st", "a-b", "ü", &"x".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("_a1"));
    }
}
