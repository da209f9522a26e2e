//! A part of a whole, and how loads are split.

use serde::{Deserialize, Serialize};

use super::{Budget, Curve, Load, Plan, Scenario};

/// Every `count`-th item of a sequence, starting with item `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which one, from 0.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };
}
