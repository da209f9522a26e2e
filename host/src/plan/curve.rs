//! When each iteration is due.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A target at every moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve;

/// A segment of a ramp: reach a target over a duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// How long.
    pub duration: Duration,
    /// What is reached at its end.
    pub target: f64,
}

impl Curve {
    /// The greatest value.
    #[must_use]
    pub fn peak(&self) -> f64 {
        0.0
    }

    /// How long it lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::ZERO
    }
}
