//! Which part of a metric is meant. How it is read and printed is the threshold grammar's business, in `verdict`.

use serde::{Deserialize, Serialize};

use crate::metrics::Tags;

/// A metric, or the part of it that carries some tags: `http_req_duration{status:200}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// The tags its series must carry.
    pub tags: Tags,
}
